"""Light algebra on tensors: what the algebra of single numbers does, and products, transposes and sums of matrices.

Elementwise operations are those of single numbers, with a shape to be kept. What is linear lets single numbers out in
front; transposes go inwards until they cancel; terms with a common matrix are joined.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from typing import Any

from gradexplain.language.algebra import Algebra
from gradexplain.language.products import ONE, Exponent, Factors
from gradexplain.language.shapes import Shape, broadcast, times
from gradexplain.language.tensor_calls import size_node
from gradexplain.language.tensor_graph import TensorGraph
from gradexplain.language.tensor_rules import TENSOR_RULES

PRODUCTS = frozenset(("matmul", "matvec", "vecmat", "dot"))
# Linear in each tensor that goes in: a single number may stand in front as well.
LINEAR = PRODUCTS | {
    "outer", "kron", "transpose", "permute", "reshape", "reshape_as", "flatten", "unsqueeze", "squeeze", "flip", "select",
    "slice", "diag", "diagonal", "tril", "triu", "sum", "mean", "cumsum", "trace", "expand_as", "kron_left", "kron_right",
}  # fmt: skip
# The inputs from which numbers are taken, where it is not all of them.
FIRST_ONLY = frozenset(("reshape_as", "expand_as"))
UNITS = frozenset(("ones_like", "ones"))
NOTHING = frozenset(("zeros_like", "zeros"))


class TensorAlgebra(Algebra):
    """Builds simplified nodes in a TensorGraph. It is the builder of formulas for Pullback."""

    graph: TensorGraph

    def __init__(self, graph: TensorGraph, atoms: Collection[int] = (), generic: bool = True) -> None:
        super().__init__(graph, atoms, generic)

    def shape(self, value: int) -> Shape:
        """The shape of a node."""
        return self.graph.shapes[value]

    def size(self, node: int) -> int:  # type: ignore[override]
        return super().size(node)

    def number(self, node: int) -> Fraction | None:
        """As for single numbers; tensors of 0 are 0."""
        if self.graph.nodes[node].rule in NOTHING:
            return Fraction(0)
        return super().number(node)

    def make(self, rule: str, inputs: Sequence[int], settings: tuple[Any, ...] = ()) -> int:
        """The node for a rule of either table, in its simplest form. Raises TooLarge."""
        if rule not in TENSOR_RULES:
            return self.apply(rule, *inputs)
        made = [self.graph.setting(setting) for setting in settings]
        # Whatever is made of it, the result has the shape that it is to have.
        plain = self.graph.apply(rule, *inputs, *made)
        self.size(plain)
        count = len(inputs)
        found = self._linear(rule, list(inputs), made) if rule in LINEAR else None
        found = found if found is not None else self._tensor(rule, list(inputs), made)
        return self.spread(plain if found is None else found, self.shape(plain), inputs[:count])

    def apply(self, rule: str, *inputs: int) -> int:
        if rule in TENSOR_RULES:
            count = len(inputs) - len(TENSOR_RULES[rule].settings)
            settings = tuple(self.graph.nodes[i].value.value for i in inputs[count:])  # type: ignore[union-attr]
            return self.make(rule, inputs[:count], settings)
        wanted = broadcast([self.shape(i) for i in inputs])
        return self.spread(super().apply(rule, *inputs), wanted, inputs)

    def sum(self, first: int, second: int) -> int:
        wanted = broadcast([self.shape(first), self.shape(second)])
        joined = self._joined(first, second) if len(wanted) > 0 or self._is_product(first) else None
        found = super().sum(first, second) if joined is None else joined
        return self.spread(found, wanted, (first, second))

    def build(self, coefficient: Fraction, factors: Factors) -> int:
        """As for single numbers; ones are left out where another factor has their shape."""
        units = [base for base in factors if self.graph.nodes[base].rule in UNITS and base not in self.atoms]
        kept = dict(factors)
        for unit in units:
            rest = broadcast([self.shape(base) for base in kept if base != unit])
            if broadcast([rest, self.shape(unit)]) == rest and coefficient:
                del kept[unit]
            else:
                kept[unit] = 1
        return super().build(coefficient, kept)

    def spread(self, node: int, wanted: Shape, among: Sequence[int]) -> int:
        """The node with the shape that it must have, which simplifying may have lost."""
        if self.shape(node) == wanted:
            return node
        like = next((i for i in among if self.shape(i) == wanted), None)
        if self.number(node) == 0:
            return self.graph.apply("zeros_like", like) if like is not None else self._filled("zeros", wanted)
        ones = self.graph.apply("ones_like", like) if like is not None else self._filled("ones", wanted)
        if self.number(node) == 1:
            return ones
        return self.combine(((node, 1), (ones, 1)))

    def _filled(self, rule: str, shape: Shape) -> int:
        return self.graph.apply(rule, self.graph.setting(shape))

    # Linear operations

    def taken_out(self, node: int) -> tuple[Fraction, Factors, int]:
        """The number and the single factors in front of a node, and what is left of it."""
        coefficient, factors = self.product(node)
        single = {base: exponent for base, exponent in factors.items() if not self.shape(base)}
        if (coefficient == 1 and not single) or not self.shape(node):
            return ONE, {}, node
        rest = {base: exponent for base, exponent in factors.items() if base not in single}
        return coefficient, single, self.build(ONE, rest)

    def _linear(self, rule: str, inputs: list[int], settings: list[int]) -> int | None:
        """The operation with everything that is a single number in front of it; None where there is nothing."""
        coefficient, factors = ONE, {}
        rest = list(inputs)
        for k, i in enumerate(inputs[:1] if rule in FIRST_ONLY else inputs):
            if self.number(i) == 0:
                return self.graph.constant(0)
            number, single, rest[k] = self.taken_out(i)
            coefficient *= number
            for base, exponent in single.items():
                factors[base] = factors.get(base, 0) + exponent
        if rest == inputs:
            return None
        plain = tuple(self.graph.nodes[i].value.value for i in settings)  # type: ignore[union-attr]
        inner = self.make(rule, rest, plain)
        parts: list[tuple[int, Exponent]] = [(base, exponent) for base, exponent in factors.items() if exponent]
        return self.combine((*parts, (inner, 1)), coefficient)

    def _is(self, node: int, *rules: str) -> bool:
        return node not in self.atoms and self.graph.nodes[node].rule in rules

    def _is_product(self, node: int) -> bool:
        return self._is(self.taken_out(node)[2] if self.shape(node) else node, *PRODUCTS)

    def _tensor(self, rule: str, inputs: list[int], settings: list[int]) -> int | None:
        """What an operation becomes; None where it stays as it is."""
        change = _CHANGES.get(rule)
        return None if change is None else change(self, inputs, [self.graph.nodes[i].value.value for i in settings])  # type: ignore[union-attr]

    def turned(self, node: int) -> int:
        """The transpose of a matrix (or of each in a batch); a vector as it is."""
        rank = len(self.shape(node))
        return node if rank < 2 else self.make("transpose", (node,), (rank - 2, rank - 1))

    def product_of(self, one: int, other: int) -> int:
        """The product of vectors or matrices."""
        ranks = len(self.shape(one)), len(self.shape(other))
        return self.make({(1, 1): "dot", (2, 1): "matvec", (1, 2): "vecmat"}.get(ranks, "matmul"), (one, other))

    def _joined(self, first: int, second: int) -> int | None:
        """Two products with a common side as one: A @ x + B @ x as (A + B) @ x, the single numbers put where they fit."""
        found = []
        for node in (first, second):
            number, factors, rest = self.taken_out(node)
            if not self._is(rest, *PRODUCTS):
                return None
            rule, (left, right), _ = self.graph.nodes[rest]
            # x @ A is the same as A.T @ x.
            found.append((number, factors, "matvec" if rule == "vecmat" else rule,
                          (self.turned(right), left) if rule == "vecmat" else (left, right)))  # fmt: skip
        (c1, f1, r1, (a1, b1)), (c2, f2, r2, (a2, b2)) = found
        if f1 != f2 or r1 != r2:
            return None
        shared = c1 if abs(c1) == abs(c2) else ONE
        one, other = self._scaled(a1, c1 / shared), self._scaled(a2, c2 / shared)
        if b1 == b2 and self.shape(a1) == self.shape(a2):
            inner = self.product_of(self.sum(one, other), b1)
        elif a1 == a2 and self.shape(b1) == self.shape(b2):
            inner = self.product_of(a1, self.sum(self._scaled(b1, c1 / shared), self._scaled(b2, c2 / shared)))
        else:
            return None
        return self.combine((*f1.items(), (inner, 1)), shared)

    def _scaled(self, node: int, number: Fraction) -> int:
        return node if number == 1 else self.combine(((node, 1),), number)


def _turned(algebra: TensorAlgebra, inputs: list[int], settings: list[Any]) -> int | None:
    """A.T.T is A, (A @ B).T is B.T @ A.T, a symmetric matrix stays."""
    (node,) = inputs
    rank = len(algebra.shape(node))
    if node in algebra.atoms or {k % rank for k in settings} != {rank - 2, rank - 1}:
        return None
    rule, parts, _ = algebra.graph.nodes[node]
    if rule == "transpose" and {algebra.graph.nodes[i].value.value % rank for i in parts[1:]} == {rank - 2, rank - 1}:  # type: ignore[union-attr]
        return parts[0]
    if rule == "matmul":
        return algebra.product_of(algebra.turned(parts[1]), algebra.turned(parts[0]))
    if rule == "outer":
        return algebra.make("outer", (parts[1], parts[0]))
    if rule in ("eye", "diag"):
        return node
    if rule in ("inverse", "ones_like", "zeros_like") and rank == 2:
        return algebra.make(rule, (algebra.turned(parts[0]),))
    if rule in ("tril", "triu"):
        diagonal = algebra.graph.nodes[parts[1]].value.value  # type: ignore[union-attr]
        return algebra.make("triu" if rule == "tril" else "tril", (algebra.turned(parts[0]),), (-diagonal,))
    if rule in ("add", "sub") and _same_when_turned(algebra, node):
        return node
    return None


def _same_when_turned(algebra: TensorAlgebra, node: int) -> bool:
    """Whether a sum has with each term its transpose."""
    _, (one, other), _ = algebra.graph.nodes[node]
    if algebra.graph.nodes[node].rule != "add" or algebra.shape(one) != algebra.shape(other):
        return False
    turned = algebra.turned(one)
    return turned == other or (turned == one and algebra.turned(other) == other)


def _multiplied(algebra: TensorAlgebra, inputs: list[int], settings: list[Any]) -> int | None:
    """Unit matrices and inverses beside their matrix drop out; x @ A is written A.T @ x."""
    one, other = inputs
    if algebra._is(one, "eye"):
        return other
    if algebra._is(other, "eye"):
        return one
    for first, second in ((one, other), (other, one)):
        if algebra._is(first, "inverse") and algebra.graph.nodes[first].inputs[0] == second:
            return algebra.make("eye", (), (algebra.shape(second)[-1],))
    left = algebra.graph.nodes[one]
    if algebra._is(one, "matmul", "matvec", "vecmat") and algebra._is(left.inputs[1], "inverse"):
        if algebra.graph.nodes[left.inputs[1]].inputs[0] == other:
            return left.inputs[0]
    if len(algebra.shape(one)) == 1 and len(algebra.shape(other)) == 2:
        return algebra.product_of(algebra.turned(other), one)
    if len(algebra.shape(one)) == len(algebra.shape(other)) == 1 and one > other and one not in algebra.atoms:
        return algebra.make("dot", (other, one)) if other in algebra.atoms else None
    return None


def _inverted(algebra: TensorAlgebra, inputs: list[int], settings: list[Any]) -> int | None:
    (node,) = inputs
    if algebra._is(node, "inverse"):
        return algebra.graph.nodes[node].inputs[0]
    if algebra._is(node, "eye"):
        return node
    if algebra._is(node, "transpose") and len(algebra.shape(node)) == 2:
        inner = algebra.graph.apply("inverse", algebra.graph.nodes[node].inputs[0])
        return algebra.graph.apply("transpose", inner, *algebra.graph.nodes[node].inputs[1:])
    return None


def _added(algebra: TensorAlgebra, inputs: list[int], settings: list[Any]) -> int | None:
    """The sum of ones is their number."""
    (node,), (dim, keepdim) = inputs, settings
    shape = algebra.shape(node)
    if not shape or (shape == (1,) and not keepdim and algebra._is(node, "unsqueeze")):
        return node if not shape else algebra.graph.nodes[node].inputs[0]
    if not algebra._is(node, *UNITS):
        return None
    from gradexplain.language.shapes import axes

    gone = axes(dim, len(shape))
    count = size_node(algebra.graph, times(shape[k] for k in gone))
    left = tuple(1 if k in gone else size for k, size in enumerate(shape) if keepdim or k not in gone)
    return count if not left else algebra.combine(((count, 1), (algebra._filled("ones", left), 1)))


def _squeezed(algebra: TensorAlgebra, inputs: list[int], settings: list[Any]) -> int | None:
    (node,) = inputs
    rule, parts, _ = algebra.graph.nodes[node]
    undone = rule == "unsqueeze" and algebra._is(node, rule) and algebra.graph.nodes[parts[1]].value.value == settings[0]  # type: ignore[union-attr]
    return parts[0] if undone else None


def _reshaped(algebra: TensorAlgebra, inputs: list[int], settings: list[Any]) -> int | None:
    return inputs[0] if algebra.shape(inputs[0]) == algebra.shape(inputs[1]) else None


def _cofactor(algebra: TensorAlgebra, inputs: list[int], settings: list[Any]) -> int | None:
    """Written with the inverse, which a matrix has in general."""
    if not algebra.generic or len(algebra.shape(inputs[0])) > 2:
        return None
    inverse = algebra.turned(algebra.make("inverse", inputs))
    return algebra.apply("mul", algebra.make("det", inputs), inverse)


def _diagonal(algebra: TensorAlgebra, inputs: list[int], settings: list[Any]) -> int | None:
    """diag(diag(x)) is x, and the diagonal of an outer product is a product element by element."""
    (node,) = inputs
    parts = algebra.graph.nodes[node].inputs
    if algebra._is(node, "diag"):
        return parts[0]
    return algebra.apply("mul", *parts) if algebra._is(node, "outer") else None


_CHANGES: dict[str, Callable[[TensorAlgebra, list[int], list[Any]], int | None]] = {
    "transpose": _turned, "matmul": _multiplied, "matvec": _multiplied, "vecmat": _multiplied, "dot": _multiplied,
    "inverse": _inverted, "sum": _added, "squeeze": _squeezed, "reshape_as": _reshaped, "expand_as": _reshaped,
    "diagonal": _diagonal, "cofactor": _cofactor,
}  # fmt: skip


class Formulas:
    """The builder of formulas: nodes of a graph, simplified on the way."""

    def __init__(self, algebra: TensorAlgebra) -> None:
        self.algebra = algebra

    def number(self, value: Any) -> int:
        """The node of a number, or of pi and e."""
        return self.algebra.graph.constant(Fraction(value) if isinstance(value, (int, float)) else value)

    def size(self, size: int | str) -> int:
        """The node of a size."""
        return size_node(self.algebra.graph, size)

    def shape(self, value: int) -> Shape:
        """The shape of a node."""
        return self.algebra.shape(value)

    def apply(self, rule: str, inputs: Sequence[int], settings: tuple[Any, ...] = ()) -> int:
        """The node of a rule. Raises TooLarge."""
        return self.algebra.make(rule, inputs, settings)
