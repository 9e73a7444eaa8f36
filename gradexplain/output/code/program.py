"""A derivation as a program of straight lines that can be read aloud: forward, then backward."""

from __future__ import annotations

from gradexplain.output.code.listing import Listing, with_comments
from gradexplain.output.formats import PLAIN, Look
from gradexplain.output.numbers import bare, show
from gradexplain.records import Derivation, Value
from gradexplain.tensor import Tensor

MAX_WRITTEN = 60


def write(derivation: Derivation, look: Look = PLAIN) -> str:
    """A line for each input, each operation and each contribution, the numbers in comments."""
    listing = Listing(derivation)
    lines = [(_input(name, entry.value), "") for name, entry in derivation.inputs.items()]
    lines += [(f"{size} = {listing.names[i]}.shape[{axis}]", str(number)) for size, i, axis, number in listing.sizes()]
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


def _input(name: str, value: Value | Tensor) -> str:
    """The line of an input; a tensor that is too large to be read is described."""
    if value is None:
        return f"# {name} has no value"
    large = isinstance(value, Tensor) and value.count > MAX_WRITTEN
    return f"# {name} is {show(value)}" if large else f"{name} = {bare(value)}"
