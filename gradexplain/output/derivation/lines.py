"""A derivation in lines that know no layout: the inputs, the backward pass, Jacobians and a Hessian, for every format.

A number is a tensor of shape (), so there is one kind of line; what is empty in all of them is no column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gradexplain.output import tex
from gradexplain.output.cells import KEPT_ROWS, elided, more
from gradexplain.output.numbers import show, sizes
from gradexplain.records import BackwardRow, Contribution, Derivation, Hessian, Input, MatrixDerivation, Value
from gradexplain.rules.table import ELEMENTWISE
from gradexplain.tensor import Tensor

UPSTREAM = "g"
MAX_CONTRIBUTIONS = 30
MAX_ELEMENTS, MAX_EIGENVALUES = 12, 8
# The columns that are left out where they are empty.
OPTIONAL = frozenset(("shape", "local", "numbers"))


class Line(NamedTuple):
    """One line of the backward pass: a contribution, or a gradient as their sum.

    `local` is the local derivative or the vector-Jacobian product, `numbers` what is multiplied or added up. The
    partial, autograd and the verdict are only in the line of the gradient, and empty in others.
    """

    partial: str
    shape: str
    chain: str
    rule: str
    local: str
    numbers: str
    value: Value | Tensor
    autograd: Value | Tensor
    verdict: str

    @property
    def is_gap(self) -> bool:
        """Whether the line stands for others that are left out, and its chain says how many."""
        return self.partial == "…"

    @property
    def through(self) -> str:
        """The node at whose end the contribution begins; empty where it is no contribution."""
        return self.chain.partition(" · ")[0].rpartition("/∂")[2] if self.chain.startswith("∂") else ""


class Column(NamedTuple):
    """A column of the backward pass: the field of a line, its heading, who says so, and whether it holds numbers."""

    field: str
    heading: str
    witness: str = ""
    is_number: bool = False


class Backward(NamedTuple):
    """The backward pass: where it starts, how the lines are to be read, the columns that are not empty, the lines."""

    start: str
    legend: str
    columns: tuple[Column, ...]
    lines: list[Line]


def tensor_inputs(derivation: Derivation) -> list[tuple[str, Input]]:
    """All inputs, where some part of the formula is a vector or a matrix; the point of others stands in one line."""
    return list(derivation.inputs.items()) if derivation.has_tensors else []


def point(derivation: Derivation) -> list[str]:
    """The point as it was given, such as `w = 1`, where it stands in one line."""
    return [] if derivation.has_tensors else [f"{name} = {value}" for name, value in derivation.point.items()]


def names(derivation: Derivation) -> tex.Symbols:
    """The names that formulas about it may use; where some are vectors or matrices, with their shapes."""
    if derivation.has_tensors:
        return derivation.shapes
    return [*derivation.inputs, *[row.node for row in derivation.nodes]]


def given_shapes(derivation: Derivation) -> dict[str, tuple[int | str, ...]]:
    """The shapes of the inputs that are vectors or matrices, as they were given."""
    return {name: derivation.shapes[name] for name in derivation.inputs if derivation.shapes.get(name)}


def backward(derivation: Derivation) -> Backward | None:
    """The backward pass, of very many gradients the first and the last; None where there is nothing to go through."""
    rows, objective = derivation.backward, derivation.objective
    if not rows:
        return None
    first, last = elided(len(rows))
    products = with_products(derivation)
    lines = [line for i in first for line in lines_of(derivation, rows[i], products)]
    if last:
        lines.append(Line("…", "", more(len(rows) - 2 * KEPT_ROWS), "", "", "", None, None, ""))
        lines += [line for i in last for line in lines_of(derivation, rows[i], products)]
    filled = {name for name in OPTIONAL if any(getattr(line, name) for line in lines)}
    shown = tuple(column for column in columns(derivation) if column.field in filled or column.field not in OPTIONAL)
    return Backward(f"∂{objective}/∂{objective} = {show(derivation.upstream)}", layout(derivation), shown, lines)


def columns(derivation: Derivation) -> tuple[Column, ...]:
    """All columns, in the order of the fields of a line."""
    # Large vectors and matrices have no exact numbers.
    exact = not derivation.has_tensors or any(entry.exact is not None for entry in derivation.gradient.values())
    heading, digits = ("exact", "50 digits") if exact else ("value", "")
    local = "vector-Jacobian product" if with_products(derivation) else "local derivative"
    return (
        Column("partial", "partial"), Column("shape", "shape"), Column("chain", "chain rule"), Column("rule", "rule"),
        Column("local", local), Column("numbers", "numbers"), Column("value", heading, digits, True),
        Column("autograd", "autograd", "PyTorch", True), Column("verdict", "verdict"),
    )  # fmt: skip


def lines_of(derivation: Derivation, row: BackwardRow, products: bool) -> list[Line]:
    """One line for a single contribution, else one for each and one for their sum; see `with_products`."""
    shape = sizes(shape_of(derivation, row.node))
    found = []
    for entry in row.contributions[:MAX_CONTRIBUTIONS]:
        chain = f"∂{derivation.objective}/∂{entry.through} · ∂{entry.through}/∂{row.node}"
        local = product(derivation, entry) if products else entry.local
        found.append(Line("", "", chain, entry.title, local, numbers(derivation, entry), entry.value, None, ""))
    count = len(row.contributions)
    if count == 1:
        only = found[0]._replace(partial=row.partial, shape=shape, verdict=row.verdict)
        return [only._replace(value=row.value, autograd=row.autograd)]
    if count > MAX_CONTRIBUTIONS:
        found.append(Line("", "", more(count - MAX_CONTRIBUTIONS), "", "", "", None, None, ""))
    values = [entry.value for entry in row.contributions]
    terms = "" if any(isinstance(value, Tensor) for value in values) else _sum([show(value) or "?" for value in values])
    return [*found, Line(row.partial, shape, "", f"sum of {count}", "", terms, row.value, row.autograd, row.verdict)]


def numbers(derivation: Derivation, entry: Contribution) -> str:
    """Upstream gradient times local derivative in numbers, with the symbol for what is not known.

    It is empty where nothing is known, and where one of the two is no number.
    """
    upstream, local = entry.upstream, entry.local_value
    if isinstance(upstream, Tensor) or isinstance(local, Tensor) or (upstream is None and local is None):
        return ""
    if local is None and is_product(derivation, entry):
        return ""
    symbol = f"∂{derivation.objective}/∂{entry.through}"
    return f"{show(upstream) or symbol} · {show(local) or entry.local}"


def _sum(terms: list[str]) -> str:
    """Numbers added up, as one would write it.

    >>> _sum(["4", "-1"])
    '4 - 1'
    """
    if len(terms) > 6:
        terms = [*terms[:5], f"… ({len(terms) - 5:,} more)"]
    return terms[0] + "".join(f" - {term[1:]}" if term.startswith("-") else f" + {term}" for term in terms[1:])


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
    """How the lines of the backward pass are to be read; empty where that needs no words."""
    if not with_products(derivation):
        return ""
    name = upstream_name(derivation)
    upstream = f"{name} is the upstream gradient, that of the node on the left of the chain"
    shapes = "Each gradient has the shape of its variable; " if derivation.has_tensors else ""
    return f"{shapes}{upstream}."


def with_products(derivation: Derivation) -> bool:
    """Whether the lines have vector-Jacobian products: not only local derivatives, by which numbers are multiplied."""
    return derivation.has_tensors or any(
        entry.rule not in ELEMENTWISE for row in derivation.backward for entry in row.contributions
    )


def is_product(derivation: Derivation, entry: Contribution) -> bool:
    """Whether the formula of a contribution has the upstream gradient in it."""
    name = upstream_name(derivation)
    return entry.rule not in ELEMENTWISE or re.search(rf"(?<!\w){name}(?!\w)", entry.local) is not None


def product(derivation: Derivation, entry: Contribution) -> str:
    """The vector-Jacobian product of a contribution as a formula over the upstream gradient.

    The rules of single numbers have a local derivative, element by element, where nothing is broadcast.
    """
    name, local = upstream_name(derivation), entry.local
    if is_product(derivation, entry):
        return local
    if local in ("1", "-1"):
        return local.replace("1", name)
    if local.startswith("-") or _is_sum(local):
        return f"{name}*({local})"
    return name + local[1:] if local.startswith("1/") else f"{name}*{local}"


def _is_sum(text: str) -> bool:
    """Whether a formula is a sum or a difference.

    >>> _is_sum("1/x - y"), _is_sum("1/(x - y)")
    (True, False)
    """
    outside, depth = "", 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        outside += letter * (not depth)
    return " + " in outside or " - " in outside


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
