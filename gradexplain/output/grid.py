"""Columns of literal text that line up, with lines across all of them in between: what a table of steps is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradexplain.errors import columns

if TYPE_CHECKING:
    from rich.text import Text

GAP = "  "
# A cell may have several lines; a row that is a text goes across all columns.
Row = Sequence[str] | str


def widths(rows: Sequence[Row]) -> list[int]:
    """How wide each column is.

    >>> widths([("a", "bc"), "a line across", ("def", "g")])
    [3, 2]
    """
    cells = [row for row in rows if not isinstance(row, str)]
    return [max(columns(line) for row in cells for line in row[k].split("\n")) for k in range(len(cells[0]))]


def total(rows: Sequence[Row]) -> int:
    """How wide all columns are together."""
    found = widths(rows)
    return sum(found) + len(GAP) * (len(found) - 1)


def layout(rows: Sequence[Row], left: frozenset[int] = frozenset()) -> list[str]:
    """The rows as lines; columns are aligned to the right, those in `left` to the left.

    >>> layout([("step", "is"), ("1", "x*x")], frozenset([1]))
    ['step  is', '   1  x*x']
    """
    size = widths(rows)
    lines = []
    for row in rows:
        if isinstance(row, str):
            lines.append(row)
            continue
        parts = [cell.split("\n") for cell in row]
        for n in range(max(map(len, parts))):
            cells = [part[n] if n < len(part) else "" for part in parts]
            padded = [
                cell + " " * (size[k] - columns(cell)) if k in left else " " * (size[k] - columns(cell)) + cell
                for k, cell in enumerate(cells)
            ]
            lines.append(GAP.join(padded).rstrip())
    return lines


def filled(items: Sequence[str], separator: str, width: int, indent: str = "") -> list[str]:
    """Items one after the other in lines of at most `width` columns; no item is broken.

    >>> filled(["a = 1", "W[0, 1] = 2"], ",  ", 16, "  ")
    ['  a = 1,', '  W[0, 1] = 2']
    """
    lines, line = [], ""
    for item in items:
        longer = f"{line}{separator}{item}" if line else item
        if line and columns(indent + longer) > width:
            lines.append(f"{indent}{line}{separator}".rstrip())
            longer = item
        line = longer
    return [*lines, f"{indent}{line}"]


def styled(line: str, word: str, style: str) -> Text:
    """A line with its last `word` in a style, where it ends with that word."""
    from gradexplain.output.cells import text

    found = text(line)
    if word and line.endswith(word):
        found.stylize(style, len(line) - len(word))
    return found
