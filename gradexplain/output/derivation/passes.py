"""The passes of a derivation as tables of characters: the inputs, the forward and the backward pass, Jacobians."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradexplain.errors import columns
from gradexplain.output.cells import add_rows, table, text, verdict_cell
from gradexplain.output.derivation.lines import Backward, Column, Line, backward, sections, tensor_inputs
from gradexplain.output.numbers import UNLIMITED, block, block_pair, sizes
from gradexplain.records import Derivation
from gradexplain.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType
    from rich.table import Table

NARROWEST = 30
OTHER = "autograd has"
# The columns that stand below each other in one where there is less room.
STACKED = ("chain", "rule", "local", "numbers")
# A line with all of its fields as text.
Cells = dict[str, str]


def inputs(derivation: Derivation, width: int) -> list[RenderableType]:
    """The inputs with their shapes, where they have a table of their own."""
    entries = tensor_inputs(derivation)
    if not entries:
        return []
    grid = table(("input", "left"), ("shape", "left"), ("value", "right"))
    _keep_whole(grid, 2)
    for name, entry in entries:
        grid.add_row(text(name), text(sizes(entry.shape)), _numbers(block(entry.value, room=_room(width))))
    return [text("Inputs", "bold"), grid, text("")]


def _room(width: int) -> int:
    """Numbers have the larger part of a narrow place, since they are not folded."""
    return max(NARROWEST, width * 3 // 5)


def forward(derivation: Derivation, width: int) -> list[RenderableType]:
    """The nodes with their values, and PyTorch's where some differ."""
    rows = derivation.nodes
    differs = any(block(row.value) != block(row.autograd) for row in rows if row.autograd is not None)
    with_shape = any(row.shape for row in rows)
    room = _room(width) // (1 + differs)
    shapes = [("shape", "left")] * with_shape
    grid = table(("node", "left"), ("is", "left"), *shapes, ("value", "right"), *[("PyTorch has", "right")] * differs)
    _keep_whole(grid, 2 + with_shape)

    def cells(i: int) -> Iterable[RenderableType]:
        row = rows[i]
        numbers = [row.value, *[row.autograd] * differs]
        shown = map(text, (row.node, row.expression, *[sizes(row.shape)] * with_shape))
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


def backward_pass(derivation: Derivation, width: int) -> list[RenderableType]:
    """The backward pass in the widest of three layouts that fits: all columns, some of them in one, or stacked."""
    found = backward(derivation)
    if found is None:
        return []
    title = [text(f"Backward, from {found.start}", "bold"), *[text(found.legend, "dim")] * bool(found.legend)]
    lines = [_cells(line, UNLIMITED) for line in found.lines]
    needs = {column.field: _needs(column, lines, found.columns) for column in found.columns}
    if sum(needs.values()) + 2 * len(needs) <= width:
        return [*title, _grid(found.columns, found.columns, lines), text("")]
    few = [column for column in found.columns if column.field not in STACKED[1:]]
    needs["chain"] = max(map(_width, map(_how, lines)))
    if sum(needs[column.field] for column in few) + 2 * len(few) <= width:
        together = [{**line, "chain": _how(line)} for line in lines]
        return [*title, _grid(few, found.columns, together), text("")]
    return [*title, *_stacked(found, width), text("")]


def _cells(line: Line, room: int) -> Cells:
    value, autograd = block_pair(line.value, line.autograd, line.verdict, room)
    return {**line._asdict(), "value": value, "autograd": autograd}


def _heading(column: Column, shown: Sequence[Column]) -> str:
    """The heading of a column; a rule and the formula beside it have one."""
    headings = {other.field: other.heading for other in shown}
    own = {"rule": headings.get("local", column.heading), "local": ""}.get(column.field, column.heading)
    return f"{own}\n({column.witness})" if column.witness else own


def _needs(column: Column, lines: Sequence[Cells], shown: Sequence[Column]) -> int:
    return max(_width(_heading(column, shown)), *(_width(line[column.field]) for line in lines))


def _width(content: str) -> int:
    return max(map(columns, content.split("\n")))


def _grid(shown: Sequence[Column], every: Sequence[Column], lines: Sequence[Cells]) -> Table:
    right = {column.field for column in shown if column.is_number or column.field == "numbers"}
    grid = table(*[(_heading(column, every), "right" if column.field in right else "left") for column in shown])
    for line in lines:
        cells = [
            _numbers(line[column.field]) if column.is_number else text(line[column.field]) for column in shown[:-1]
        ]
        grid.add_row(*cells, verdict_cell(line["verdict"]))
    return grid


def _how(line: Cells) -> str:
    """The chain rule, the rule with its formula, and the numbers, below each other."""
    rule = f"{line['rule']}: {line['local']}" if line["local"] else line["rule"]
    return "\n".join(part for part in (line["chain"], rule, line["numbers"]) if part)


def _stacked(found: Backward, width: int) -> list[RenderableType]:
    """The same below each other, where the columns do not fit."""
    from rich.padding import Padding

    shown = [column for column in found.columns if column.field not in ("rule", "local")]
    value = next(column.heading for column in shown if column.field == "value")
    parts: list[RenderableType] = []
    if not any(isinstance(line.value, Tensor) for line in found.lines):
        parts.append(text(", ".join(_heading(column, shown).replace("\n", " ") for column in shown), "dim"))
    for line in found.lines:
        cells = _cells(line, width - 6)
        if line.partial:
            parts.append(text(f"{line.partial}   {line.shape}".rstrip(), "bold"))
        parts.append(Padding(text(_how(cells)), (0, 0, 0, 2)))
        if isinstance(line.value, Tensor):
            parts.append(Padding(compared(cells["value"], cells["autograd"], line.verdict, width - 5), (0, 0, 0, 4)))
        elif line.verdict:
            result = text(f"  {value} {cells['value'] or '?'}, autograd {cells['autograd'] or '?'}, ")
            result.append_text(verdict_cell(line.verdict))
            parts.append(result)
        elif cells["value"]:
            parts.append(text(f"  = {cells['value']}"))
    return parts


def compared(value: str, autograd: str, verdict: str, width: int) -> RenderableType:
    """Two blocks of numbers and the verdict beside each other, or below where that is too wide; equal ones once."""
    if not verdict:
        return _numbers(value)
    same = autograd == value or not autograd
    beside = text("and autograd too, " if same and autograd else "")
    beside.append_text(verdict_cell(verdict))
    parts = [_numbers(value)] if same else [_numbers(value), text(OTHER), _numbers(autograd)]
    wide = _width(value) + 2 + (0 if same else _width(autograd) + len(OTHER) + 4) + columns(beside.plain) <= width
    if not wide:
        below = table(("", "left"), head=False)
        for cell in parts:
            below.add_row(cell)
        below.add_row(beside)
        return below
    grid = table(*[("", "right")] * len(parts), ("", "left"), head=False)
    grid.add_row(*parts, beside)
    return grid


def matrices(derivation: Derivation, width: int) -> list[RenderableType]:
    """The Jacobians or the Hessian that were asked for beside the gradients; nothing where nothing was."""
    from rich.padding import Padding

    found: list[RenderableType] = []
    for section in sections(derivation):
        found += [text(section.title, "bold"), text(section.remark, "dim")]
        for entry in section.entries:
            found.append(text(f"{entry.partial}   {entry.shape}".rstrip()))
            found += [Padding(text(f"{symbol} = {formula}"), (0, 0, 0, 2)) for symbol, formula in entry.formulas]
            value, autograd = block_pair(entry.value, entry.autograd, entry.verdict, width - 4)
            found.append(Padding(compared(value, autograd, entry.verdict, width - 3), (0, 0, 0, 2)))
        found += [*map(text, section.sentences), text("")]
    return found
