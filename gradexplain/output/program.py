"""A derivation as a program of straight lines that can be read aloud: forward, then backward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradexplain.output.code import Listing, with_comments
from gradexplain.output.formats import Look
from gradexplain.output.numbers import bare, show
from gradexplain.records import Derivation

if TYPE_CHECKING:
    from gradexplain.output.tensor_code import TensorListing


def write(derivation: Derivation, look: Look) -> str:
    """The program; it looks the same everywhere."""
    return render(derivation)


def render(derivation: Derivation) -> str:
    """A line for each input, each operation and each contribution, the numbers in comments."""
    listing: Listing | TensorListing
    if derivation.has_tensors:
        from gradexplain.output.tensor_code import TensorListing

        listing = TensorListing(derivation)
    else:
        listing = Listing(derivation)
    lines = [
        (f"{name} = {bare(entry.value)}", "") if entry.value is not None else (f"# {name} has no value", "")
        for name, entry in derivation.inputs.items()
    ]
    lines.append(("", ""))
    lines += [(f"{row.node} = {row.expression}", show(row.value)) for row in derivation.nodes]
    lines.append(("", ""))
    gradients, objective = listing.gradients, listing.graph.objective
    lines.append((f"{gradients[objective]} = {bare(derivation.upstream)}", "the seed"))
    rows = {row.node: row for row in derivation.backward}
    for line in listing.backward():
        row = rows[listing.shown[line.node]]
        parts = [line.title, show(row.contributions[line.through].value)]
        if line.through and line.through == len(row.contributions) - 1 and row.value is not None:
            parts.append(f"{show(row.value)} in all")
        lines.append((f"{line.name} {line.operator} {line.code}", ", ".join(filter(None, parts))))
    for i in listing.sources:
        if i not in listing.walk.totals:
            lines.append((f"{gradients[i]} = 0", "nothing flows there"))
    return "\n".join(with_comments(lines)) + "\n"
