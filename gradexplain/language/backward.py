"""The reverse walk: the chain rule as rows, written once and folded by whatever reading is put in.

A reading supplies three things: the seed (the upstream gradient of the objective), a contribution (the local derivative
of a node with respect to one of its inputs, and its product with the upstream gradient), and the sum of contributions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from gradexplain.language.graph import Graph
from gradexplain.language.rules import RULES

T = TypeVar("T")


class Reading(Protocol[T]):
    """What the walk needs to know of the values that it combines."""

    def seed(self) -> T: ...
    def contribution(self, node: int, slot: int, upstream: T) -> tuple[T, T]: ...
    def add(self, first: T, second: T) -> T: ...


class Step(NamedTuple, Generic[T]):
    """One contribution: upstream gradient of `through`, times its local derivative with respect to input `slot`."""

    through: int
    slot: int
    upstream: T
    local: T
    value: T


@dataclass(frozen=True, slots=True)
class Walk(Generic[T]):
    """A walk: `steps` by the node that they lead to, `totals` their sums, `order` the nodes as sums are complete."""

    steps: dict[int, list[Step[T]]]
    totals: dict[int, T]
    order: list[int]


def reverse(
    graph: Graph, sources: Sequence[int], reading: Reading[T], top: int = -1, stop: Collection[int] = ()
) -> Walk[T]:
    """Walk from the objective back to `sources` (numbers of nodes) and collect every contribution on the way.

    Only nodes that depend on a source take part. A source that no contribution reaches has no entry in the result.
    The walk begins at `top` where it is given, and goes no further than the nodes in `stop`.

    >>> from gradexplain.language.parse import parse
    >>> class Count:
    ...     "A reading that counts the paths from each node to the objective."
    ...     def seed(self): return 1
    ...     def contribution(self, node, slot, upstream): return 1, upstream
    ...     def add(self, first, second): return first + second
    >>> graph = parse("x*x + x")
    >>> x = graph.inputs[0]
    >>> reverse(graph, [x], Count()).totals[x]
    3
    """
    top = graph.objective if top < 0 else top
    edges, waiting = _edges(graph, sources, top, stop)
    steps: dict[int, list[Step[T]]] = {}
    totals: dict[int, T] = {top: reading.seed()}
    order: list[int] = []
    for i in range(top, -1, -1):
        for slot, j in edges[i]:
            upstream = totals[i]
            local, value = reading.contribution(i, slot, upstream)
            steps.setdefault(j, []).append(Step(i, slot, upstream, local, value))
            # The one place where gradients accumulate.
            totals[j] = reading.add(totals[j], value) if j in totals else value
            waiting[j] -= 1
            if not waiting[j]:
                order.append(j)
    return Walk(steps, totals, order)


def influenced(graph: Graph, sources: Sequence[int], last: int) -> list[bool]:
    """For every node up to `last`, whether a gradient can flow from it to one of `sources` (each source on itself).

    A condition chooses, but nothing flows through it.
    """
    nodes = graph.nodes[: last + 1]
    found = [False] * len(nodes)
    for source in sources:
        if source < len(nodes):
            found[source] = True
    for i, node in enumerate(nodes):
        if not found[i] and node.inputs:
            partials = RULES[node.rule].partials
            for slot, j in enumerate(node.inputs):
                if found[j] and partials[slot]:
                    found[i] = True
                    break
    return found


def _edges(
    graph: Graph, sources: Sequence[int], top: int, stop: Collection[int]
) -> tuple[list[list[tuple[int, int]]], list[int]]:
    """For every node the edges along which a gradient leaves it, and for every node how many reach it."""
    depends = influenced(graph, sources, top)
    edges: list[list[tuple[int, int]]] = [[] for _ in range(top + 1)]
    waiting = [0] * (top + 1)
    reached = [False] * (top + 1)
    reached[top] = True
    for i in range(top, -1, -1):
        node = graph.nodes[i]
        if not reached[i] or not depends[i] or not node.inputs or i in stop:
            continue
        partials = RULES[node.rule].partials
        for slot, j in enumerate(node.inputs):
            if depends[j] and partials[slot]:
                edges[i].append((slot, j))
                waiting[j] += 1
                reached[j] = True
    return edges, waiting
