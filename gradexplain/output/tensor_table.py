"""The forward and backward pass on tensors as tables: shapes, blocks of numbers, vector-Jacobian products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradexplain.errors import columns
from gradexplain.output.cells import KEPT_ROWS, elided, more, table, text, verdict_cell
from gradexplain.output.numbers import block, sizes
from gradexplain.records import BackwardRow, Contribution, Derivation

if TYPE_CHECKING:
    from rich.console import RenderableType

LAYOUT = "Each gradient has the shape of its variable; g is the upstream gradient, of the node on the chain's left."
HEADINGS = ("partial", "shape", "chain rule", "rule", "vector-Jacobian product", "value", "autograd", "verdict")
RIGHT = frozenset((5, 6))
# One line of the backward pass: all columns but the last two, which only the row of the sum has.
Line = tuple[str, ...]


def parts(derivation: Derivation, width: int) -> list[RenderableType]:
    """What stands between the formula and the gradients."""
    return [*_inputs(derivation), *_forward(derivation), *_backward(derivation, width)]


def _inputs(derivation: Derivation) -> list[RenderableType]:
    grid = table(("input", "left"), ("shape", "left"), ("value", "right"))
    for name, entry in derivation.inputs.items():
        grid.add_row(text(name), text(sizes(entry.shape)), _numbers(block(entry.value)))
    return [text("Inputs", "bold"), grid, text("")]


def _forward(derivation: Derivation) -> list[RenderableType]:
    rows = derivation.nodes
    differs = any(block(row.value) != block(row.autograd) for row in rows if row.autograd is not None)
    headings = [("node", "left"), ("is", "left"), ("shape", "left"), ("value", "right")]
    grid = table(*headings, *[("PyTorch has", "right")] * differs)
    first, last = elided(len(rows))
    for i in [*first, None, *last] if last else first:
        if i is None:
            grid.add_row(text("…"), text(more(len(rows) - 2 * KEPT_ROWS)))
            continue
        row = rows[i]
        cells = [text(row.node), text(row.expression), text(sizes(row.shape)), _numbers(block(row.value))]
        grid.add_row(*cells, *[_numbers(block(row.autograd))] * differs)
    return [text("Forward", "bold"), grid, text("")]


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
    lines: list[tuple[Line, str]] = [line for i in first for line in _lines(derivation, rows[i])]
    if last:
        lines.append((("…", "", more(len(rows) - 2 * KEPT_ROWS), *[""] * 4), ""))
        lines += [line for i in last for line in _lines(derivation, rows[i])]
    objective = derivation.objective
    title = text(f"Backward, from ∂{objective}/∂{objective} = {_upstream(derivation)}", "bold")
    legend = text(LAYOUT, "dim")
    everything = [HEADINGS[:-1], *[line for line, _ in lines]]
    needs = [max(_width(line[k]) for line in everything) for k in range(len(HEADINGS) - 1)]
    if sum(needs) + 12 + 2 * len(HEADINGS) <= width:
        grid = table(*[(heading, "right" if k in RIGHT else "left") for k, heading in enumerate(HEADINGS)])
        for line, verdict in lines:
            grid.add_row(
                *[_numbers(cell) if k in RIGHT else text(cell) for k, cell in enumerate(line)], verdict_cell(verdict)
            )
        return [title, legend, grid, text("")]
    return [title, legend, *_stacked(lines), text("")]


def _upstream(derivation: Derivation) -> str:
    from gradexplain.output.numbers import show

    return show(derivation.upstream)


def _width(content: str) -> int:
    return max(map(columns, content.split("\n")))


def _lines(derivation: Derivation, row: BackwardRow) -> list[tuple[Line, str]]:
    """One line for a single contribution, else one for each and one for their sum."""
    shape = sizes(_shape(derivation, row.node))
    found: list[Line] = []
    for contribution in row.contributions:
        chain = f"∂{derivation.objective}/∂{contribution.through} · ∂{contribution.through}/∂{row.node}"
        rule = contribution.title
        product = contribution.local if is_product(contribution) else _times(contribution.local)
        found.append(("", "", chain, rule, product, block(contribution.value), ""))
    autograd = block(row.autograd)
    if len(found) == 1:
        return [((row.partial, shape, *found[0][2:6], autograd), row.verdict)]
    total = (row.partial, shape, "", f"sum of {len(found)}", "", block(row.value), autograd)
    return [*[(line, "") for line in found], (total, row.verdict)]


def is_product(contribution: Contribution) -> bool:
    """Whether `local` is a vector-Jacobian product as a whole, and no local derivative element by element."""
    return contribution.local_value is None or contribution.local.startswith("sum(")


def _times(local: str) -> str:
    """The upstream gradient times a local derivative."""
    if local in ("1", "-1"):
        return local.replace("1", "g")
    return f"g*({local})" if " + " in local or " - " in local or local.startswith("-") else f"g*{local}"


def _shape(derivation: Derivation, node: str) -> Sequence[int]:
    if node in derivation.inputs:
        return derivation.inputs[node].shape
    return next((row.shape for row in derivation.nodes if row.node == node), ())


def _stacked(lines: list[tuple[Line, str]]) -> list[RenderableType]:
    """The same below each other, where the columns do not fit."""
    from rich.padding import Padding

    found: list[RenderableType] = []
    for line, verdict in lines:
        partial, shape, chain, rule, product, value, autograd = line
        if partial:
            found.append(text(f"{partial}   {shape}".rstrip(), "bold"))
        how = "\n".join(part for part in (chain, f"{rule}: {product}" if product else rule) if part)
        found.append(Padding(text(how), (0, 0, 0, 2)))
        grid = table(("", "right"), ("", "right"), ("", "left"), head=False)
        same = autograd == value and verdict == "agrees"
        if verdict:
            beside = text("and autograd too, " if same else "")
            beside.append_text(verdict_cell(verdict))
            grid.add_row(_numbers(value), _numbers("" if same else autograd), beside)
        else:
            grid.add_row(_numbers(value), text(""), text(""))
        found.append(Padding(grid, (0, 0, 0, 4)))
    return found
