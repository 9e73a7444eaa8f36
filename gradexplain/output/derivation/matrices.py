"""Jacobians and a Hessian as parts of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradexplain.output.cells import text
from gradexplain.output.derivation.tensor_lines import sections
from gradexplain.output.derivation.tensor_table import compared
from gradexplain.output.numbers import block_pair
from gradexplain.records import Derivation

if TYPE_CHECKING:
    from rich.console import RenderableType


def parts(derivation: Derivation, width: int) -> list[RenderableType]:
    """What was asked for beside the gradients; nothing where nothing was."""
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
