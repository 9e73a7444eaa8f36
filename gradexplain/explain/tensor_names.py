"""What the nodes of a formula on tensors are called, and each node and vector-Jacobian product over those names."""

from __future__ import annotations

from collections.abc import Mapping

from gradexplain.calculus.algebra import TooLarge
from gradexplain.calculus.pullbacks import Pullback
from gradexplain.calculus.tensor_algebra import Formulas, TensorAlgebra
from gradexplain.explain.names import Names
from gradexplain.language.graph import Graph
from gradexplain.language.text import write
from gradexplain.rules.tensor_rules import TENSOR_RULES

UPSTREAM = "g"


class TensorNames(Names):
    """The names of all nodes, as for single numbers. `upstream` is what the upstream gradient is called."""

    graph: Graph

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.upstream = UPSTREAM
        while self.upstream in self.of.values():
            self.upstream += "_"

    def written(self, i: int, named: Mapping[int, str]) -> str:
        """The node over the nodes in `named`; here no two nodes share a pattern, since shapes change how they look."""
        return write(self.graph, i, named)

    def inputs(self, i: int) -> tuple[str, ...]:
        """The tensors that node `i` reads, by name; constants are written out."""
        return tuple(self._called(j) for j in self.graph.nodes[i].inputs)

    def _called(self, j: int) -> str:
        return self.of[j] if j in self.of else write(self.graph, j, self.of)

    def local(self, i: int, slot: int) -> str:
        """The local derivative of an elementwise node, or the vector-Jacobian product of any other, over names."""
        node = self.graph.nodes[i]
        named = [j for j in node.inputs if j in self.of]
        shapes = {self.of[j]: self.graph.shapes[j] for j in [*named, i]}
        scratch = Graph({**shapes, self.upstream: self.graph.shapes[i]})
        scratch.sizes = self.graph.sizes
        values = [scratch.input(self.of[j]) if j in self.of else self._constant(j, scratch) for j in node.inputs]
        out, upstream = scratch.input(self.of[i]), scratch.input(self.upstream)
        builder = Formulas(TensorAlgebra(scratch))
        pullback = Pullback(builder, self.graph, node, slot, values, out, upstream)
        try:
            root = pullback.value() if node.rule in TENSOR_RULES or self.is_stretched(i, slot) else pullback.local()
        except TooLarge:
            return ""
        return write(scratch, root, {})

    def _constant(self, j: int, scratch: Graph) -> int:
        """A constant part made again in another graph: taken as a name, it would lose its brackets."""
        return self.graph.rebuilt(j, {}, scratch.constant, scratch.apply)

    def is_stretched(self, i: int, slot: int) -> bool:
        """Whether an elementwise node broadcasts this input, so that its gradient is summed back."""
        node = self.graph.nodes[i]
        return node.rule not in TENSOR_RULES and self.graph.shapes[node.inputs[slot]] != self.graph.shapes[i]
