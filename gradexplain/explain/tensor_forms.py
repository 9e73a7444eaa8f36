"""Closed forms of gradients by vectors and matrices: the reverse walk over the rule tables, in formulas."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from gradexplain.language.algebra import TooLarge
from gradexplain.language.backward import Edges, reverse
from gradexplain.language.pullbacks import Pullback
from gradexplain.language.tensor_algebra import Formulas, TensorAlgebra
from gradexplain.language.tensor_graph import TensorGraph


class _FormulaReading:
    """Formulas for the reverse walk; None stands for one that has grown too large."""

    def __init__(self, algebra: TensorAlgebra, seed: int) -> None:
        self.algebra, self.builder, self._seed = algebra, Formulas(algebra), seed

    def seed(self) -> int | None:
        return self._seed

    def contribution(self, i: int, slot: int, upstream: int | None) -> tuple[int | None, int | None]:
        if upstream is None:
            return None, None
        graph = self.algebra.graph
        node = graph.nodes[i]
        try:
            return None, Pullback(self.builder, graph, node, slot, node.inputs, i, upstream).value()
        except TooLarge:
            return None, None

    def add(self, first: int | None, second: int | None) -> int | None:
        if first is None or second is None:
            return None
        try:
            return self.algebra.sum(second, first)
        except TooLarge:
            return None


def tensor_forms(
    graph: TensorGraph, sources: Sequence[int], seed: int, edges: Edges | None = None
) -> dict[int, int | None]:
    """The closed form of the gradient by each source, as a node added to `graph`; None where it is too long.

    `seed` is the node of the upstream gradient. Named nodes stay symbols. Each form has the shape of its source.
    """
    atoms = (set(graph.names) - {graph.objective}) | set(graph.inputs)
    algebra = TensorAlgebra(graph, atoms)
    walk = reverse(graph, sources, _FormulaReading(algebra, seed), edges=edges, keep=False)
    found: dict[int, int | None] = {}
    for j in sources:
        total = walk.totals.get(j, graph.constant(0))
        if total is not None and algebra.number(total) == 0 and graph.shapes[j]:
            total = graph.apply("zeros_like", j)
        found[j] = None if total is None else algebra.spread(total, graph.shapes[j])
    return found
