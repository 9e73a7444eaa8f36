"""The Jacobian in a vector-Jacobian product: what a formula multiplies a vector with, as a formula itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gradexplain.calculus.algebra import Algebra, TooLarge
from gradexplain.calculus.backward import influenced
from gradexplain.language.graph import Graph
from gradexplain.language.text import write

# What is longer is not readable any more; the numbers stand for it.
MAX_TEXT = 160
SUMS = ("add", "sub")
# The map that gives the vector back.
UNIT = -1


def matrix(graph: Graph, product: int | None, g: int, names: Mapping[int, str]) -> str | None:
    """The Jacobian whose transpose a vector-Jacobian product `product` multiplies the vector `g` with, as text.

    None where it is not of such a form. J.T @ g belongs to the Jacobian J, g*d to diag(d), sum(d*g) to d, and a number
    times g to it.
    """
    if product is None:
        return None
    try:
        maps = LinearMaps(graph, g, (set(names) | set(graph.inputs) | {g}) - {product})
        found = maps.of(product)
        text = None if found is None else write(graph, maps.solid(found), names)
    except TooLarge:
        return None
    return text if text is not None and len(text) <= MAX_TEXT else None


class LinearMaps:
    """What nodes are linear in `g` with: J of J.T @ g, r of dot(r, g), and the factor of a number `g`.

    The nodes `atoms` are taken whole. The methods raise TooLarge.
    """

    def __init__(self, graph: Graph, g: int, atoms: Collection[int]) -> None:
        self.graph, self.g = graph, g
        self.algebra = Algebra(graph, atoms)
        self.vector = len(graph.shapes[g]) == 1

    def of(self, node: int) -> int | None:
        """The map of a node, UNIT where the node is g itself, None where there is none that can be written."""
        if node == self.g:
            return UNIT
        if len(self.graph.shapes[self.g]) > 1 or self.algebra.size(node) > MAX_TEXT:
            return None
        if self.algebra.is_rule(node, *SUMS):
            return self._sum(node, self.graph.constant(1), node)
        number, factors = self.algebra.product(node)
        depends = influenced(self.graph, [self.g], len(self.graph.nodes) - 1)
        within = [base for base in factors if depends[base]]
        if len(within) != 1 or factors[within[0]] != 1:
            return None
        (base,) = within
        rest = self.algebra.build(number, {other: power for other, power in factors.items() if other != base})
        if self.algebra.is_rule(base, *SUMS):
            return self._sum(base, rest, node)
        inner = UNIT if base == self.g else self._inner(base, depends)
        return None if inner is None else self._scaled(rest, inner, base)

    def solid(self, found: int) -> int:
        """A map as a node; the map of g itself is a unit matrix, or 1."""
        if found != UNIT:
            return found
        shape = self.graph.shapes[self.g]
        return self.algebra.make("eye", (), (shape[0],)) if shape else self.graph.constant(1)

    def _sum(self, total: int, factor: int, node: int) -> int | None:
        """The map of `factor` times the sum `total`, which together are `node`."""
        wanted, sides = self.graph.shapes[node], []
        outside = self.graph.shapes[factor] == ()
        for side in self.graph.nodes[total].inputs:
            found = self.of(side)
            if found is None:
                return None
            if not outside:
                found = self._scaled(factor, found, side)
            shape = self.graph.shapes[side]
            if found is None or (outside and shape != wanted and shape != ()):
                return None
            solid = self.solid(found)
            if outside and self.vector and shape != wanted:
                # A number that is added to every element.
                solid = self.algebra.make("outer", (solid, self._ones(wanted)))
            sides.append(solid)
        inner = self.algebra.apply(self.graph.nodes[total].rule, *sides)
        return self.algebra.apply("mul", factor, inner) if outside else inner

    def _inner(self, base: int, depends: list[bool]) -> int | None:
        """The map of a product of matrices and vectors, or of the sum of all elements."""
        rule, inputs, _, _ = self.graph.nodes[base]
        shape = self.graph.shapes[inputs[0]]
        if rule in ("sum", "mean") and len(shape) == 1:
            row = self._row(self._ones(shape), inputs[0])
            count = self.graph.size(shape[0])
            return row if row is None or rule == "sum" else self.algebra.apply("div", row, count)
        if rule not in ("dot", "matvec", "vecmat", "solve"):
            return None
        constant, linear = inputs if depends[inputs[1]] else inputs[::-1]
        if depends[constant] or len(self.graph.shapes[linear]) != 1:
            return None
        if rule == "dot":
            return self._row(constant, linear)
        inner = self.of(linear)
        if inner is None:
            return None
        turned = constant if rule == "vecmat" else self.algebra.turned(constant)
        if rule == "solve":
            turned = self.algebra.make("inverse", (turned,))
        return turned if inner == UNIT else self._product(inner, turned)

    def _row(self, constant: int, linear: int) -> int | None:
        """The vector r in dot(constant, linear) = dot(r, g)."""
        inner = self.of(linear)
        if inner is None or not self.vector:
            return None
        return constant if inner == UNIT else self.algebra.product_of(inner, constant)

    def _scaled(self, factor: int, inner: int, base: int) -> int | None:
        """The map of `factor` times a node whose map is `inner`."""
        shapes = self.graph.shapes
        if self.algebra.number(factor) == 1:
            return inner
        if not shapes[factor] or not self.vector:
            return self.algebra.apply("mul", factor, self.solid(inner))
        if len(shapes[factor]) > 1:
            return None
        if not shapes[base]:
            return self.algebra.make("outer", (inner, factor))
        scale = self.algebra.make("diag", (factor,))
        return scale if inner == UNIT else self._product(inner, scale)

    def _product(self, left: int, right: int) -> int:
        """A product of matrices; a diagonal one stays one, as in A @ diag(d) @ B."""
        nodes, stack = self.graph.nodes, [left, right]
        while stack:
            i = stack.pop()
            if self.algebra.is_rule(i, "diag"):
                return self.graph.apply("matmul", left, right)
            if self.algebra.is_rule(i, "matmul"):
                stack += nodes[i].inputs
        return self.algebra.product_of(left, right)

    def _ones(self, shape: tuple[int | str, ...]) -> int:
        return self.algebra.spread(self.graph.constant(1), shape)
