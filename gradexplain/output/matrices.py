"""Jacobians and a Hessian as parts of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradexplain.output.cells import table, text, verdict_cell
from gradexplain.output.numbers import block, show, sizes
from gradexplain.records import Derivation, Hessian, MatrixDerivation

if TYPE_CHECKING:
    from rich.console import RenderableType


def parts(derivation: Derivation) -> list[RenderableType]:
    """What was asked for beside the gradients; nothing where nothing was."""
    if not isinstance(derivation, MatrixDerivation):
        return []
    found: list[RenderableType] = []
    if derivation.jacobian is not None:
        shape = "the shape of the result, then that of the input"
        found += [text("Jacobian", "bold"), text(f"Each has {shape}; autograd's is by torch.func.jacrev.", "dim")]
        for entry in derivation.jacobian.values():
            heading = text(f"{entry.partial}   {sizes(entry.shape)}".rstrip())
            if entry.symbolic is not None:
                heading.append(f"   = {entry.symbolic}")
            elif entry.product is not None:
                heading.append(f"   vector-Jacobian product: {entry.product}")
            found += [heading, _compared(block(entry.value), block(entry.autograd), entry.verdict)]
        found.append(text(""))
    if derivation.hessian is not None:
        found += _hessian(derivation.objective, derivation.hessian)
    return found


def _compared(own: str, other: str, verdict: str) -> RenderableType:
    from rich.padding import Padding

    grid = table(("", "right"), ("", "right"), ("", "left"), head=False)
    same = own == other and verdict == "agrees"
    beside = text("and autograd too, " if same else "")
    beside.append_text(verdict_cell(verdict))
    cells = [text(own), text("" if same else other)]
    for cell in cells:
        cell.no_wrap = True
    grid.add_row(*cells, beside)
    return Padding(grid, (0, 0, 0, 2))


def _hessian(objective: str, entry: Hessian) -> list[RenderableType]:
    found: list[RenderableType] = [text("Hessian", "bold")]
    for pair, symbolic in entry.symbolic.items():
        one, other = pair.split(",")
        below = f"∂{one}²" if one == other else f"∂{one} ∂{other}"
        found.append(text(f"∂²{objective}/{below} = {symbolic}"))
    found.append(text(f"in the order {', '.join(entry.elements[:12])}{', …' * (len(entry.elements) > 12)}", "dim"))
    found.append(_compared(block(entry.value), block(entry.autograd), entry.verdict))
    if entry.eigenvalues:
        shown = [show(value) for value in entry.eigenvalues[:8]]
        found.append(text(f"eigenvalues {', '.join(shown)}{', …' * (len(entry.eigenvalues) > 8)}"))
        found.append(text(f"{entry.meaning}"))
    return [*found, text("")]
