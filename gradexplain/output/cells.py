"""What all parts of the table share: cells of literal text, tables without lines, and what is left out of long ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

MAX_ROWS = 200
KEPT_ROWS = 20
VERDICT_STYLES = {"agrees": "green", "unverified": "dim", "convention": "yellow", "undefined": "yellow"}


def text(content: str, style: str = "") -> Text:
    """Literal text: no markup, folded where it is too long."""
    from rich.text import Text

    return Text(content, style=style, overflow="fold")


def table(*headings: tuple[str, str], head: bool = True) -> Table:
    """A table without lines; each column has a heading and an alignment."""
    from rich.table import Table

    table = Table(box=None, show_header=head, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading, justify in headings:
        table.add_column(text(heading), justify=justify, overflow="fold", no_wrap=False)  # type: ignore[arg-type]
    return table


def verdict_cell(verdict: str) -> Text:
    """A verdict in its colour."""
    return text(verdict, VERDICT_STYLES.get(verdict, "bold red"))


def more(count: int) -> str:
    """What stands for rows that are left out."""
    return f"… {count:,} more (--format json has all of them)"


def add_rows(grid: Table, count: int, row: Callable[[int], Iterable[RenderableType]]) -> None:
    """Add `count` rows to a table, each by its number; of very many the first and the last, and a word between them."""
    first, last = elided(count)
    for i in first:
        grid.add_row(*row(i))
    if last:
        grid.add_row(text("…"), text(more(count - 2 * KEPT_ROWS)))
    for i in last:
        grid.add_row(*row(i))


def elided(count: int) -> tuple[range, range]:
    """Which of `count` rows to show: all, or the first and the last of very many."""
    if count <= MAX_ROWS:
        return range(count), range(0)
    return range(KEPT_ROWS), range(count - KEPT_ROWS, count)
