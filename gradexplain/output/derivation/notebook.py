"""A derivation as tables with typeset formulas, for a notebook: HTML with MathML, escaped throughout."""

from __future__ import annotations

from gradexplain.output.derivation import lines
from gradexplain.output.derivation.lines import Line
from gradexplain.output.page import pages
from gradexplain.records import BackwardRow, Derivation


def write(derivation: Derivation) -> str:
    """The gradient with its closed forms, the backward pass, Jacobians or the Hessian; of very long ones both ends."""
    products = lines.with_products(derivation)

    def contributions(row: BackwardRow) -> list[Line]:
        found = lines.lines_of(derivation, row, products)
        return found if len(found) == 1 else found[:-1]

    value = next(column.heading for column in lines.columns(derivation) if column.field == "value")
    return pages.fragment(
        "notebook.html", derivation=derivation, point=lines.point(derivation), value=value,
        contributions=contributions, sections=list(lines.sections(derivation)),
    )  # fmt: skip
