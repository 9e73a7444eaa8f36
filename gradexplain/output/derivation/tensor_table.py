"""The passes of a formula on tensors as tables: shapes, blocks of numbers, vector-Jacobian products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradexplain.errors import columns
from gradexplain.output.cells import KEPT_ROWS, add_rows, elided, more, table, text, verdict_cell
from gradexplain.output.derivation.tensor_lines import HEADINGS, layout, lines_of
from gradexplain.output.numbers import UNLIMITED, block, block_pair, show, sizes
from gradexplain.records import BackwardRow, Derivation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType
    from rich.table import Table

# A line as text, in the order of HEADINGS.
Cells = tuple[str, ...]
# The columns of numbers, each with its place among the others.
VALUE, AUTOGRAD = 5, 6
NARROWEST = 30
OTHER = "autograd has"


def parts(derivation: Derivation, width: int) -> list[RenderableType]:
    """What stands between the formula and the gradients."""
    # Numbers have the larger part of a narrow place, since they are not folded.
    room = max(NARROWEST, width * 3 // 5)
    return [*_inputs(derivation, room), *_forward(derivation, room), *_backward(derivation, width)]


def _inputs(derivation: Derivation, room: int) -> list[RenderableType]:
    grid = table(("input", "left"), ("shape", "left"), ("value", "right"))
    _keep_whole(grid, 2)
    for name, entry in derivation.inputs.items():
        grid.add_row(text(name), text(sizes(entry.shape)), _numbers(block(entry.value, room=room)))
    return [text("Inputs", "bold"), grid, text("")]


def _forward(derivation: Derivation, room: int) -> list[RenderableType]:
    rows = derivation.nodes
    differs = any(block(row.value) != block(row.autograd) for row in rows if row.autograd is not None)
    room = room // 2 if differs else room
    headings = [("node", "left"), ("is", "left"), ("shape", "left"), ("value", "right")]
    grid = table(*headings, *[("PyTorch has", "right")] * differs)
    _keep_whole(grid, 2)

    def cells(i: int) -> Iterable[RenderableType]:
        row = rows[i]
        numbers = [row.value, *[row.autograd] * differs]
        shown = map(text, (row.node, row.expression, sizes(row.shape)))
        return [*shown, *[_numbers(block(value, room=room)) for value in numbers]]

    add_rows(grid, len(rows), cells)
    return [text("Forward", "bold"), grid, text("")]


def _keep_whole(grid: Table, first: int) -> None:
    """Have columns from the `first` on as wide as they need to be, and others folded for that."""
    for column in grid.columns[first:]:
        column.no_wrap = True


def _numbers(content: str) -> RenderableType:
    """Rows of numbers, never folded: a line is a row of the tensor."""
    cell = text(content)
    cell.no_wrap = True
    return cell


def _backward(derivation: Derivation, width: int) -> list[RenderableType]:
    rows = derivation.backward
    if not rows:
        return []
    first, last = elided(len(rows))
    gap = [("…", "", more(len(rows) - 2 * KEPT_ROWS), *[""] * 5)] if last else []

    def lines_in(room: int) -> list[Cells]:
        ends = [[cells for i in part for cells in _cells(derivation, rows[i], room)] for part in (first, last)]
        return [*ends[0], *gap, *ends[1]]

    lines = lines_in(UNLIMITED)
    objective = derivation.objective
    title = text(f"Backward, from ∂{objective}/∂{objective} = {show(derivation.upstream)}", "bold")
    legend = text(layout(derivation), "dim")
    needs = [max(_width(line[k]) for line in (HEADINGS, *lines)) for k in range(len(HEADINGS))]
    if sum(needs) + 2 * len(HEADINGS) <= width:
        grid = table(*[(heading, "right" if k in (VALUE, AUTOGRAD) else "left") for k, heading in enumerate(HEADINGS)])
        for line in lines:
            *cells, verdict = line
            numbers = [_numbers(cell) if k in (VALUE, AUTOGRAD) else text(cell) for k, cell in enumerate(cells)]
            grid.add_row(*numbers, verdict_cell(verdict))
        return [title, legend, grid, text("")]
    return [title, legend, *_stacked(lines_in(width - 6), width), text("")]


def _cells(derivation: Derivation, row: BackwardRow, room: int) -> list[Cells]:
    found: list[Cells] = []
    for line in lines_of(derivation, row):
        numbers = block_pair(line.value, line.autograd, line.verdict, room)
        found.append((line.partial, line.shape, line.chain, line.rule, line.product, *numbers, line.verdict))
    return found


def _width(content: str) -> int:
    return max(map(columns, content.split("\n")))


def _stacked(lines: list[Cells], width: int) -> list[RenderableType]:
    """The same below each other, where the columns do not fit."""
    from rich.padding import Padding

    found: list[RenderableType] = []
    for partial, shape, chain, rule, product, value, autograd, verdict in lines:
        if partial:
            found.append(text(f"{partial}   {shape}".rstrip(), "bold"))
        how = "\n".join(part for part in (chain, f"{rule}: {product}" if product else rule) if part)
        found += [
            Padding(text(how), (0, 0, 0, 2)),
            Padding(compared(value, autograd, verdict, width - 5), (0, 0, 0, 4)),
        ]
    return found


def compared(value: str, autograd: str, verdict: str, width: int) -> RenderableType:
    """Two blocks of numbers and the verdict beside each other, or below where that is too wide; equal ones once."""
    if not verdict:
        return _numbers(value)
    same = autograd == value or not autograd
    beside = text("and autograd too, " if same and autograd else "")
    beside.append_text(verdict_cell(verdict))
    wide = _width(value) + 2 + (0 if same else _width(autograd) + len(OTHER) + 4) + columns(beside.plain) <= width
    if not wide:
        below = table(("", "left"), head=False)
        for cell in [_numbers(value)] if same else [_numbers(value), text(OTHER), _numbers(autograd)]:
            below.add_row(cell)
        below.add_row(beside)
        return below
    parts = [_numbers(value)] if same else [_numbers(value), text(OTHER), _numbers(autograd)]
    grid = table(*[("", "right")] * len(parts), ("", "left"), head=False)
    grid.add_row(*parts, beside)
    return grid
