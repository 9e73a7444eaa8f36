"""The chain rule of the rule table on many points at once: whole tensors, elementwise.

One element is one row of data or one step of a run. It is the reverse walk over the rule table, in the arithmetic of
the forward pass that autograd differentiates, and knows nothing of autograd.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradexplain.calculus.backward import reverse
from gradexplain.calculus.pullbacks import Pullback
from gradexplain.language.graph import Graph
from gradexplain.readings.tables import TableBuilder, kink_distance


class Sized(NamedTuple):
    """A gradient, with the sum of the absolute values of all the terms that it was added up from."""

    value: Any
    size: Any


class _Reading:
    """Tensors for the reverse walk; without `sized`, the sizes are left out."""

    def __init__(self, builder: TableBuilder, graph: Graph, values: Sequence[Any], sized: bool) -> None:
        self.builder, self.graph, self.values, self.sized = builder, graph, values, sized

    def seed(self) -> Sized:
        return Sized(1.0, 1.0)

    def contribution(self, i: int, slot: int, upstream: Sized) -> tuple[Sized, Sized]:
        node, values = self.graph.nodes[i], self.values
        inputs = [values[j] for j in node.inputs]
        local = Pullback(self.builder, self.graph, node, slot, inputs, values[i], upstream.value).local()
        size = abs(local) if self.sized else 0.0
        return Sized(local, size), Sized(upstream.value * local, upstream.size * size)

    @staticmethod
    def add(first: Sized, second: Sized) -> Sized:
        return Sized(first.value + second.value, first.size + second.size)


def chain_rule(
    builder: TableBuilder, graph: Graph, sources: Sequence[int], values: Sequence[Any], sized: bool = True
) -> dict[int, Sized]:
    """The gradient by each source, elementwise, by the reverse walk over the rule table; none where nothing flows.

    `values` are those of all nodes, tensors of one shape or numbers. Without `sized`, which takes about half of the
    time, the size of a gradient is its own absolute value.
    """
    totals = reverse(graph, sources, _Reading(builder, graph, values, sized)).totals
    return totals if sized else {i: Sized(total.value, abs(total.value)) for i, total in totals.items()}


def at_kink(builder: TableBuilder, graph: Graph, sources: Sequence[int], values: Sequence[Any]) -> Any:
    """Where some operation between the objective and `sources` is just where its derivative may not exist.

    Booleans, elementwise (or one for all).
    """
    needed, reached = graph.ancestors([graph.objective]), _reached(graph, sources)
    found: Any = False
    for i in range(len(graph.nodes)):
        distance = kink_distance(builder, graph, i, values) if needed[i] and reached[i] else None
        if distance is not None:
            found = found | (distance == 0)
    return found


def _reached(graph: Graph, sources: Sequence[int]) -> list[bool]:
    """For every node, whether it depends on one of `sources`, be it through a condition."""
    found = [False] * len(graph.nodes)
    for i in sources:
        found[i] = True
    for i, node in enumerate(graph.nodes):
        found[i] = found[i] or any(found[j] for j in node.inputs)
    return found
