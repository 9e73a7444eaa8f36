"""Numbers as a reader wants them: few digits where they are enough, all where two numbers would look the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from gradexplain.errors import OptionError
from gradexplain.records import FAILURES, Value
from gradexplain.rules.shapes import write_shape
from gradexplain.tensor import Tensor

DIGITS, SHORT = 6, 24
# As wide as anything can get: in a pipe nothing is folded or cut.
UNLIMITED = 100_000
# Up to so many elements a tensor stands in a line, and in a block.
MAX_IN_A_LINE, LONGEST_LINE = 12, 66
MAX_IN_BLOCK, MAX_ROWS, MAX_COLUMNS = 32, 8, 6


def show(value: Value | Tensor, digits: int = DIGITS) -> str:
    """A number in up to `digits` significant digits, integers in full; empty for a missing one.

    A small tensor is a nested list in one line, a larger one its shape, norm and range.

    >>> show(-8.0), show(0.1 + 0.2), show("1.9700711140170469939e434"), show(None)
    ('-8', '0.3', '1.97007e434', '')
    """
    if value is None:
        return ""
    if isinstance(value, Tensor):
        return _in_a_line(value, digits)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        mantissa, _, exponent = value.partition("e")
        return f"{float(mantissa):.{digits}g}e{exponent}"
    if value == 0:
        return "0"
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    text = f"{value:.{digits}g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def show_pair(first: Value | Tensor, second: Value | Tensor, verdict: str) -> tuple[str, str]:
    """Two numbers, with as many digits as it takes to tell them apart where the verdict says that they differ.

    >>> show_pair(1.0000001, 1.0000002, "precision"), show_pair(1.0000001, 1.0000002, "agrees")
    (('1.0000001', '1.0000002'), ('1', '1'))
    """
    return _told_apart(show, first, second, verdict)


def _told_apart(
    write: Callable[[Value | Tensor, int], str], first: Value | Tensor, second: Value | Tensor, verdict: str
) -> tuple[str, str]:
    for digits in (DIGITS, 9, 12, 15, 17):
        one, other = write(first, digits), write(second, digits)
        if one != other or first == second or verdict not in FAILURES:
            break
    return one, other


def _in_a_line(value: Tensor, digits: int) -> str:
    """A tensor in one line."""
    if value.count <= MAX_IN_A_LINE:
        line = _nested(value.nested(), lambda number: show(number, digits))
        if len(line) <= LONGEST_LINE:
            return line
    size = sizes(value.shape) if len(value.shape) > 1 else f"{value.count:,} elements"
    return f"{size}, norm {show(value.norm)}, {show(value.low)} to {show(value.high)}"


def short(value: Value | Tensor) -> str:
    """A number, or a tensor in a few words: nested lists, and of one that is not very small its norm.

    >>> short(Tensor.of([[1], [2]])), short(Tensor.of([1 / 3, 2 / 3, 4 / 3])), short(0.5)
    ('[[1], [2]]', 'norm 1.528', '0.5')
    """
    line = show(value)
    return line if not isinstance(value, Tensor) or len(line) <= SHORT else f"norm {show(value.norm, 4)}"


def _nested(entry: Any, write: Callable[[float], str]) -> str:
    return f"[{', '.join(_nested(part, write) for part in entry)}]" if isinstance(entry, list) else write(entry)


def sizes(shape: Sequence[int | str]) -> str:
    """A shape in a table; empty for a single number. A size may have a name.

    >>> sizes((2, 1)), sizes((3,)), sizes(()), sizes(("n", 2))
    ('2x1', '3', '', 'n x 2')
    """
    return write_shape(tuple(shape)) if shape else ""


def block(value: Value | Tensor, digits: int = DIGITS, room: int = UNLIMITED) -> str:
    """A number, or a tensor as rows of right-aligned columns; of a large one its norm, range and a corner.

    What is wider than `room` columns counts as large.

    >>> print(block(Tensor.of([[1, -2.5], [10, 3]])))
     1  -2.5
    10     3
    """
    if not isinstance(value, Tensor):
        return show(value, digits)
    if not value.count:
        return "empty"
    rows, columns = (value.shape[-2] if len(value.shape) > 1 else 1), value.shape[-1]
    entries = value.entries
    if value.count <= MAX_IN_BLOCK and rows <= MAX_ROWS and columns <= MAX_COLUMNS and entries is not None:
        grid = _grid([show(number, digits) for number in entries], columns)
        lines = _aligned(grid)
        if len(lines[0]) <= room:
            return _apart(lines, rows)
    grid = _grid([show(number, digits) for number in value.corner], value.corner_shape[-1])
    lines = _cut(grid, columns)
    while len(lines[0]) > room and len(grid[0]) > 1:
        grid = [row[:-1] for row in grid]
        lines = _cut(grid, columns)
    spread = f"all {show(value.low)}" if value.low == value.high else f"{show(value.low)} to {show(value.high)}"
    below = "\n⋮" if value.corner_shape[:-1] != value.shape[:-1] else ""
    own_rows = value.corner_shape[-2] if len(value.shape) > 1 else 1
    return f"norm {show(value.norm)}, {spread}\n{_apart(lines, own_rows)}{below}"


def _apart(lines: Sequence[str], rows: int) -> str:
    """The lines of a tensor with an empty one between its matrices, which have so many rows."""
    return "\n".join(f"\n{line}" if k and k % rows == 0 else line for k, line in enumerate(lines))


def _grid(cells: Sequence[str], columns: int) -> list[list[str]]:
    return [list(cells[i : i + columns]) for i in range(0, len(cells), columns)]


def _cut(grid: Sequence[Sequence[str]], columns: int) -> list[str]:
    """The lines of a corner, with a sign where there are more columns."""
    return _aligned([[*row, "…"] if columns > len(row) else row for row in grid])


def _aligned(grid: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in grid]


def block_pair(first: Value | Tensor, second: Value | Tensor, verdict: str, room: int = UNLIMITED) -> tuple[str, str]:
    """Two blocks, with as many digits as it takes to tell them apart where the verdict says that they differ.

    >>> block_pair(Tensor.of([1.00000001]), Tensor.of([1]), "precision")
    ('1.00000001', '1')
    """
    return _told_apart(lambda value, digits: block(value, digits, room), first, second, verdict)


def bare(value: Value | Tensor) -> str:
    """A number for a script: all its digits, no `.0` at the end of an integer; a tensor as nested lists.

    >>> bare(-8.0), bare(0.1)
    ('-8', '0.1')
    """
    if isinstance(value, Tensor):
        if value.numbers is None:
            raise OptionError(f"a tensor of {value.count:,} elements is not written out", hint="use a smaller one")
        return _nested(value.nested(), bare)
    if isinstance(value, float):
        return show(value) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else repr(value)
    return str(value)
