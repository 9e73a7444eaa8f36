"""Light algebra on graphs that keeps the person's own order, for numbers, vectors and matrices.

Elementwise operations are those of single numbers, with a shape to be kept. What is linear lets single numbers out in
front; transposes go inwards until they cancel; terms with a common matrix are joined. Tensors of ones stand last in a
product, and only where no other factor has their shape.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import Any

from gradexplain.calculus.matrix_products import CHANGES, joined, put_together
from gradexplain.calculus.matrix_rewrites import rewrite
from gradexplain.calculus.products import ONE, Exponent, Factors, TooLarge
from gradexplain.calculus.reductions import loosened, without_ones
from gradexplain.calculus.terms import Terms
from gradexplain.language.graph import Graph
from gradexplain.rules.products import PRODUCTS, product_rule
from gradexplain.rules.shapes import Shape, broadcast
from gradexplain.rules.table import ELEMENTWISE, RULES

__all__ = ["Algebra", "Formulas", "TooLarge"]

# Made of a shape alone.
FILLED = {"ones_like": 1, "zeros_like": 0, "ones": 1, "zeros": 0}


class Algebra(Terms):
    """Builds simplified nodes in `graph`, as Terms does element by element.

    >>> graph = Graph({"A": (2, 2)})
    >>> algebra, A = Algebra(graph), graph.input("A")
    >>> algebra.turned(algebra.turned(A)) == A
    True
    """

    def __init__(self, graph: Graph, atoms: Collection[int] = (), generic: bool = True) -> None:
        super().__init__(graph, atoms, generic)
        # What the rows of the rewrites make of a node, None where none fits.
        self.rewritten: dict[int, int | None] = {}

    def shape(self, value: int) -> Shape:
        """The shape of a node."""
        return self.graph.shapes[value]

    def settings(self, node: int) -> tuple[Any, ...]:
        """The settings of a node, in the order of its rule."""
        return self.graph.nodes[node].settings

    def is_rule(self, node: int, *rules: str) -> bool:
        """Whether a node that may be taken apart is of one of the rules."""
        return node not in self.atoms and self.graph.nodes[node].rule in rules

    def is_turn(self, node: int) -> bool:
        """Whether a transposition swaps the last two axes."""
        rank = len(self.shape(node))
        return rank > 1 and {axis % rank for axis in self.settings(node)} == {rank - 2, rank - 1}

    def make(self, rule: str, inputs: Sequence[int], settings: tuple[Any, ...] = ()) -> int:
        """The node for a rule of either table, in its simplest form. Raises TooLarge."""
        if rule in ELEMENTWISE:
            return self.apply(rule, *inputs)
        # One axis in brackets is one axis.
        names = [name for name, *_ in RULES[rule].settings]
        settings = tuple(value[0] if name == "dim" and isinstance(value, tuple) and len(value) == 1 else value
                         for name, value in zip(names, settings, strict=True))  # fmt: skip
        # Whatever is made of it, the result has the shape that it is to have.
        plain = self.graph.apply(rule, *inputs, settings=settings)
        if rule in FILLED:
            return self.spread(self.graph.constant(FILLED[rule]), self.shape(plain))
        self.size(plain)
        found = self._linear(rule, list(inputs), settings) if RULES[rule].linear else None
        if found is None and rule in CHANGES:
            found = CHANGES[rule](self, list(inputs), list(settings))
        if found is None:
            found = rewrite(self, plain)
        return plain if found is None else self.spread(found, self.shape(plain))

    def apply(self, rule: str, *inputs: int, settings: tuple[Any, ...] = ()) -> int:
        """The same, for inputs one by one. Raises TooLarge."""
        if rule not in ELEMENTWISE:
            return self.make(rule, inputs, settings)
        if not self.graph.has_axes:
            return super().apply(rule, *inputs)
        wanted = broadcast([self.shape(i) for i in inputs])
        if rule == "mul":
            # As for a factor of 1: the other one is left as it is written.
            for one, other in (inputs, inputs[::-1]):
                if self.is_rule(one, "ones") and self.shape(other) == wanted:
                    return other
        found = super().apply(rule, *inputs)
        if rule == self.graph.nodes[found].rule and found not in self.atoms:
            changed = rewrite(self, found)
            found = found if changed is None else changed
        return self.spread(found, wanted)

    def sum(self, first: int, second: int) -> int:
        """As for single numbers; products of matrices with a common side are joined. Raises TooLarge."""
        if not self.graph.has_axes:
            return super().sum(first, second)
        wanted = broadcast([self.shape(first), self.shape(second)])
        first, second = self._tidied(first), self._tidied(second)
        first, second = loosened(self, (without_ones(self, first), without_ones(self, second)))
        found = joined(self, first, second) if wanted else None
        return self.spread(super().sum(first, second) if found is None else found, wanted)

    def _tidied(self, node: int) -> int:
        """A product of the person's in the form in which products can be joined."""
        if self.is_rule(node, *PRODUCTS) and self.shape(node):
            return self.make(self.graph.nodes[node].rule, self.graph.nodes[node].inputs)
        return node

    def summands(self, node: int) -> list[int]:
        """The terms of a sum that this algebra made; else the node alone."""
        return self._summands(node)

    def total(self, nodes: list[int]) -> int:
        """The sum of nodes, one after the other. Raises TooLarge."""
        result = nodes[0]
        for node in nodes[1:]:
            result = self.sum(result, node)
        return result

    def build(self, coefficient: Fraction, factors: Factors) -> int:
        """As for single numbers; ones are left out where another factor has their shape. Raises TooLarge."""
        if not self.graph.has_axes:
            return super().build(coefficient, factors)
        if not coefficient:
            return self.graph.constant(0)
        bases = loosened(self, tuple(factors))
        if bases != tuple(factors):
            return self.combine(tuple(zip(bases, factors.values(), strict=True)), coefficient)
        kept = {base: exponent for base, exponent in factors.items() if not self.is_rule(base, "ones")}
        shape = broadcast([self.shape(base) for base in kept])
        wanted = broadcast([shape, *[self.shape(base) for base in factors]])
        node = put_together(self, coefficient, kept)
        if node is None:
            node = super().build(coefficient, kept)
        return node if shape == wanted else self._with_ones(node, wanted)

    def _with_ones(self, node: int, wanted: Shape) -> int:
        ones = self.graph.apply("ones", settings=(wanted,))
        return ones if self.number(node) == 1 else self.graph.apply("mul", node, ones)

    def front(self, coefficient: Fraction, factors: Factors) -> int:
        """The product of single numbers. Raises TooLarge."""
        return super().build(coefficient, factors)

    def know(self, node: int, coefficient: Fraction, factors: Factors) -> int:
        """Remember what a node is the product of."""
        self._products[node] = coefficient, factors
        self.size(node)
        return node

    def spread(self, node: int, wanted: Shape) -> int:
        """The node with the shape that it must have, which simplifying may have lost."""
        if self.shape(node) == wanted:
            return node
        if self.number(node) == 0:
            return self.graph.apply("zeros", settings=(wanted,))
        return self._with_ones(node, wanted)

    # Linear operations

    def taken_out(self, node: int) -> tuple[Fraction, Factors, int]:
        """The number and the single factors in front of a node, and what is left of it."""
        coefficient, factors = self.product(node)
        single = {base: exponent for base, exponent in factors.items() if not self.shape(base)}
        if (coefficient == 1 and not single) or not self.shape(node):
            return ONE, {}, node
        rest = {base: exponent for base, exponent in factors.items() if base not in single}
        return coefficient, single, self.build(ONE, rest)

    def _linear(self, rule: str, inputs: list[int], settings: tuple[Any, ...]) -> int | None:
        """The operation with everything that is a single number in front of it; None where there is nothing."""
        coefficient, factors = ONE, dict[int, Exponent]()
        rest = list(inputs)
        for k, i in enumerate(inputs[: RULES[rule].linear]):
            if self.number(i) == 0:
                return self.graph.constant(0)
            number, single, rest[k] = self.taken_out(i)
            coefficient *= number
            for base, exponent in single.items():
                factors[base] = factors.get(base, 0) + exponent
        if rest == inputs:
            return None
        inner = self.make(rule, rest, settings)
        parts: list[tuple[int, Exponent]] = [(base, exponent) for base, exponent in factors.items() if exponent]
        return self.combine((*parts, (inner, 1)), coefficient)

    def turned(self, node: int) -> int:
        """The transpose of a matrix (or of each in a batch); a vector as it is."""
        rank = len(self.shape(node))
        return node if rank < 2 else self.make("transpose", (node,), (rank - 2, rank - 1))

    def product_of(self, one: int, other: int) -> int:
        """The product of vectors or matrices."""
        return self.make(product_rule(len(self.shape(one)), len(self.shape(other))), (one, other))

    def scaled(self, node: int, number: Fraction) -> int:
        """A node times a number."""
        return node if number == 1 else self.combine(((node, 1),), number)


class Formulas:
    """The builder of formulas: nodes of a graph, simplified on the way."""

    def __init__(self, algebra: Algebra) -> None:
        self.algebra = algebra
        # Whether a rule's own exception for one value is left out.
        self.generic = algebra.generic

    def number(self, value: Any) -> int:
        """The node of a number, or of pi and e."""
        return self.algebra.graph.constant(Fraction(repr(value)) if isinstance(value, (int, float)) else value)

    def size(self, size: int | str) -> int:
        """The node of a size."""
        return self.algebra.graph.size(size)

    def shape(self, value: int) -> Shape:
        """The shape of a node."""
        return self.algebra.shape(value)

    def apply(self, rule: str, inputs: Sequence[int], settings: tuple[Any, ...] = ()) -> int:
        """The node of a rule. Raises TooLarge."""
        return self.algebra.make(rule, inputs, settings)
