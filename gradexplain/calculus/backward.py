"""The reverse walk: the chain rule as rows, written once and folded by whatever reading is put in.

A reading supplies three things: the seed (the upstream gradient of the objective), a contribution (the local derivative
of a node with respect to one of its inputs, and its product with the upstream gradient), and the sum of contributions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from gradexplain.language.graph import Graph

T = TypeVar("T")


class Reading(Protocol[T]):
    """What the walk needs to know of the values that it combines."""

    def seed(self) -> T: ...
    def contribution(self, node: int, slot: int, upstream: T) -> tuple[T, T]: ...
    def add(self, first: T, second: T) -> T: ...


class NoNumbers:
    """A reading that computes nothing, for the edges of the walk alone."""

    def seed(self) -> None: ...

    def contribution(self, node: int, slot: int, upstream: None) -> tuple[None, None]:
        return None, None

    def add(self, first: None, second: None) -> None: ...


class Step(NamedTuple, Generic[T]):
    """One contribution: upstream gradient of `through`, times its local derivative with respect to input `slot`."""

    through: int
    slot: int
    upstream: T
    local: T
    value: T


class Edges(NamedTuple):
    """The edges that a walk follows: for every node those along which a gradient leaves it, and how many reach it."""

    leaving: list[Sequence[tuple[int, int]]]
    arriving: list[int]


@dataclass(frozen=True, slots=True)
class Walk(Generic[T]):
    """A walk: `steps` by the node that they lead to, `totals` their sums, `order` the nodes as sums are complete."""

    steps: dict[int, list[Step[T]]]
    totals: dict[int, T]
    order: list[int]
    edges: Edges


def reverse(
    graph: Graph,
    sources: Sequence[int],
    reading: Reading[T],
    top: int = -1,
    stop: Collection[int] = (),
    edges: Edges | None = None,
    keep: bool = True,
) -> Walk[T]:
    """Walk from the objective back to `sources` (numbers of nodes) and collect every contribution on the way.

    Only nodes that depend on a source take part. A source that no contribution reaches has no entry in the result.
    The walk begins at `top` where it is given, and goes no further than the nodes in `stop`. `edges` are those of an
    earlier walk of the same extent, which need not be found again. Without `keep` there are totals but no steps.

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
    edges = edges or _edges(graph, sources, top, stop)
    waiting = edges.arriving.copy()
    steps: dict[int, list[Step[T]]] = {}
    totals: dict[int, T] = {top: reading.seed()}
    order: list[int] = []
    contribution = reading.contribution
    for i in range(top, -1, -1):
        for slot, j in edges.leaving[i]:
            upstream = totals[i]
            local, value = contribution(i, slot, upstream)
            # The one place where gradients accumulate.
            totals[j] = reading.add(totals[j], value) if j in totals else value
            if keep:
                step = Step(i, slot, upstream, local, value)
                if j in steps:
                    steps[j].append(step)
                else:
                    steps[j] = [step]
            waiting[j] -= 1
            if not waiting[j]:
                order.append(j)
    return Walk(steps, totals, order, edges)


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
        if node.inputs and not found[i]:
            for j, flows in zip(node.inputs, graph.flows(node), strict=True):
                if found[j] and flows:
                    found[i] = True
                    break
    return found


def active(graph: Graph, sources: Sequence[int]) -> list[int]:
    """The nodes between the objective and the sources, both kinds of end included but for the objective."""
    depends, needed = influenced(graph, sources, len(graph.nodes) - 1), graph.needed()
    return [i for i in range(len(graph.nodes)) if depends[i] and needed[i] and i != graph.objective]


def _edges(graph: Graph, sources: Sequence[int], top: int, stop: Collection[int]) -> Edges:
    depends = influenced(graph, sources, top)
    leaving: list[Sequence[tuple[int, int]]] = [()] * (top + 1)
    arriving = [0] * (top + 1)
    for i in range(top, -1, -1):
        node = graph.nodes[i]
        inputs = node.inputs
        if not inputs or not depends[i] or not (arriving[i] or i == top) or i in stop:
            continue
        flows = graph.flows(node)
        leaving[i] = [(slot, j) for slot, j in enumerate(inputs) if depends[j] and flows[slot]]
        for _, j in leaving[i]:
            arriving[j] += 1
    return Edges(leaving, arriving)
