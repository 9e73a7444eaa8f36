"""The backward pass of a formula on tensors in lines, Jacobians and a Hessian, for every format that a person reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gradexplain.output.cells import more
from gradexplain.output.numbers import show, sizes
from gradexplain.records import BackwardRow, Contribution, Derivation, Hessian, MatrixDerivation, Value
from gradexplain.rules.tensor_rules import TENSOR_RULES
from gradexplain.tensor import Tensor

UPSTREAM = "g"
HEADINGS = ("partial", "shape", "chain rule", "rule", "vector-Jacobian product", "value", "autograd", "verdict")
MAX_CONTRIBUTIONS = 30
MAX_ELEMENTS, MAX_EIGENVALUES = 12, 8


class Line(NamedTuple):
    """One line of the backward pass, in the order of HEADINGS: a contribution, or a gradient as their sum.

    The partial, autograd and the verdict are only in the line of the gradient, and empty in others.
    """

    partial: str
    shape: str
    chain: str
    rule: str
    product: str
    value: Value | Tensor
    autograd: Value | Tensor
    verdict: str


def given_shapes(derivation: Derivation) -> dict[str, tuple[int | str, ...]]:
    """The shapes of the inputs that are vectors or matrices, as they were given."""
    return {name: derivation.shapes[name] for name in derivation.inputs if derivation.shapes.get(name)}


def lines_of(derivation: Derivation, row: BackwardRow) -> list[Line]:
    """One line for a single contribution, else one for each and one for their sum."""
    shape = sizes(shape_of(derivation, row.node))
    found = []
    for entry in row.contributions[:MAX_CONTRIBUTIONS]:
        chain = f"∂{derivation.objective}/∂{entry.through} · ∂{entry.through}/∂{row.node}"
        found.append(Line("", "", chain, entry.title, product(derivation, entry), entry.value, None, ""))
    count = len(row.contributions)
    if count == 1:
        return [found[0]._replace(partial=row.partial, shape=shape, autograd=row.autograd, verdict=row.verdict)]
    if count > MAX_CONTRIBUTIONS:
        found.append(Line("", "", more(count - MAX_CONTRIBUTIONS), "", "", None, None, ""))
    return [*found, Line(row.partial, shape, "", f"sum of {count}", "", row.value, row.autograd, row.verdict)]


def shape_of(derivation: Derivation, node: str) -> Sequence[int]:
    """The shape of an input or a node."""
    if node in derivation.inputs:
        return derivation.inputs[node].shape
    return next((row.shape for row in derivation.nodes if row.node == node), ())


def upstream_name(derivation: Derivation) -> str:
    """What the upstream gradient is called: g, with underscores where the formula has that name itself."""
    name = UPSTREAM
    while name in derivation.shapes:
        name += "_"
    return name


def layout(derivation: Derivation) -> str:
    """How the lines of the backward pass are to be read."""
    name = upstream_name(derivation)
    upstream = f"{name} is the upstream gradient, that of the node on the left of the chain"
    return f"Each gradient has the shape of its variable; {upstream}."


def product(derivation: Derivation, entry: Contribution) -> str:
    """The vector-Jacobian product of a contribution as a formula over the upstream gradient.

    The rules of single numbers have a local derivative, element by element, where nothing is broadcast.
    """
    name, local = upstream_name(derivation), entry.local
    if entry.rule in TENSOR_RULES or re.search(rf"(?<!\w){name}(?!\w)", local):
        return local
    if local in ("1", "-1"):
        return local.replace("1", name)
    if local.startswith("1/"):
        return name + local[1:]
    return f"{name}*({local})" if " + " in local or " - " in local or local.startswith("-") else f"{name}*{local}"


class Entry(NamedTuple):
    """A Jacobian or a Hessian: what it is, its shape, formulas as pairs of a symbol and what it is, the numbers."""

    partial: str
    shape: str
    formulas: tuple[tuple[str, str], ...]
    value: Value | Tensor
    autograd: Value | Tensor
    verdict: str


class Section(NamedTuple):
    """What was asked for beside the gradients: a title, how the entries are to be read, and what to say of them."""

    title: str
    remark: str
    entries: tuple[Entry, ...]
    sentences: tuple[str, ...]


def sections(derivation: Derivation) -> Iterator[Section]:
    """The Jacobians or the Hessian of a derivation; none where none was asked for."""
    if not isinstance(derivation, MatrixDerivation):
        return
    if derivation.jacobian is not None:
        entries = []
        for entry in derivation.jacobian.values():
            formulas = [(entry.partial, entry.symbolic)] if entry.symbolic is not None else []
            if not formulas and entry.product is not None:
                formulas = [("vector-Jacobian product", entry.product)]
            shape = sizes(entry.shape)
            entries.append(Entry(entry.partial, shape, tuple(formulas), entry.value, entry.autograd, entry.verdict))
        remark = "Each has the shape of the result, then that of the input; autograd's is by torch.func.jacrev."
        yield Section("Jacobian", remark, tuple(entries), ())
    if derivation.hessian is not None:
        yield _hessian(derivation.objective, derivation.hessian)


def _hessian(objective: str, entry: Hessian) -> Section:
    formulas = []
    for pair, symbolic in entry.symbolic.items():
        one, other = pair.split(",")
        formulas.append((f"∂²{objective}/{f'∂{one}²' if one == other else f'∂{one} ∂{other}'}", symbolic))
    count = len(entry.elements)
    order = f"In the order {', '.join(entry.elements[:MAX_ELEMENTS])}{', …' * (count > MAX_ELEMENTS)}."
    order = order if count else "There are no elements."
    sentences = []
    if entry.eigenvalues:
        shown = [show(value) for value in entry.eigenvalues[:MAX_EIGENVALUES]]
        rest = ", …" * (len(entry.eigenvalues) > MAX_EIGENVALUES)
        sentences = [f"Eigenvalues: {', '.join(shown)}{rest}", f"{entry.meaning[:1].upper()}{entry.meaning[1:]}."]
    made = Entry(f"∂²{objective}", f"{count}x{count}", tuple(formulas), entry.value, entry.autograd, entry.verdict)
    return Section("Hessian", order, (made,), tuple(sentences))
