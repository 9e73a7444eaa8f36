"""The first half of a layout: which column each part of a graph stands in, in which order, and at what height.

Everything that takes room is an *item* of one column: a node, the label of an edge, and the bend of an edge that goes
past a column. Items of a column never overlap, and outside of columns there is nothing but edges, so
no edge crosses a text.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from gradexplain.output.graph.fitting import spread

SWEEPS = 12
# A graph with more bends than this is not for the eye: its long edges go straight, wherever that is.
MAX_BENDS = 20_000
# How much a straight line matters, by how many of its two ends are nodes.
_STRAIGHT = (8.0, 2.0, 1.0)


class Size(NamedTuple):
    """The room of an item: its width, and how far it reaches above and below the line that edges leave it on.

    `entries` are the places where edges arrive, from that line, from top to bottom; without any, they arrive on it.
    """

    width: float
    above: float
    below: float
    entries: tuple[float, ...] = ()


class Link(NamedTuple):
    """An edge between two nodes, by number; a `source` comes before its `target`. The label stands on the edge."""

    source: int
    target: int
    label: Size | None = None


class Spacing(NamedTuple):
    """The least room between columns and between items of a column, and the half height of a bend.

    `slope` is how much wider the room between two columns gets with the height of the steepest edge in it, up to
    `widest`.
    """

    across: float
    down: float
    bend: float
    slope: float = 0.0
    widest: float = 0.0


class Levels:
    """Items in columns: `sizes` and `layer` by item (the nodes come first), `columns` from top to bottom.

    `chains` has the items of each edge from its source to its target, `labels` the item of its label or None,
    `line` the height of each item, and `entry` where the edge arrives, from the line of its target.

    >>> levels = Levels([Size(4, 1, 1), Size(4, 1, 1), Size(4, 1, 1)], [Link(0, 2), Link(1, 2)], Spacing(2, 1, 0))
    >>> levels.layer, levels.columns, levels.line
    ([0, 0, 1], [[0, 1], [2]], [1.0, 4.0, 2.5])
    """

    def __init__(self, sizes: Sequence[Size], links: Sequence[Link], spacing: Spacing) -> None:
        self.sizes, self.links, self.spacing = list(sizes), links, spacing
        self.count = len(self.sizes)
        self.layer = _layers(self.count, links)
        self.chains: list[list[int]] = []
        self.labels: list[int | None] = []
        self._add_items()
        self.before: list[list[tuple[int, int]]] = [[] for _ in self.sizes]
        self.after: list[list[tuple[int, int]]] = [[] for _ in self.sizes]
        for edge, chain in enumerate(self.chains):
            for one, other in pairwise(chain):
                self.before[other].append((one, edge))
                self.after[one].append((other, edge))
        self.columns = self._first_order()
        self.rank = [0] * len(self.sizes)
        self._order()
        self.entry = self._entries()
        self.line = self._heights()

    def _add_items(self) -> None:
        doubled = any(link.label is not None for link in self.links)
        if doubled:
            self.layer = [2 * layer for layer in self.layer]
        spans = [self.layer[link.target] - self.layer[link.source] for link in self.links]
        straight = sum(spans) - len(spans) > MAX_BENDS
        bend = Size(0.0, self.spacing.bend, self.spacing.bend)
        for link, span in zip(self.links, spans, strict=True):
            chain = [link.source]
            label = None
            for layer in range(self.layer[link.source] + 1, self.layer[link.target]):
                stands_here = link.label is not None and len(chain) == 1
                if straight and span > 2 and not stands_here:
                    break
                if stands_here:
                    label = len(self.sizes)
                chain.append(len(self.sizes))
                self.sizes.append(link.label if stands_here and link.label else bend)
                self.layer.append(layer)
            self.chains.append([*chain, link.target])
            self.labels.append(label)

    def _first_order(self) -> list[list[int]]:
        """The columns in the order in which a walk from the ends of the graph back to its beginnings meets them."""
        columns: list[list[int]] = [[] for _ in range(max(self.layer, default=-1) + 1)]
        seen = [False] * len(self.sizes)
        for last in range(self.count):
            stack = [] if self.after[last] else [last]
            while stack:
                item = stack.pop()
                if not seen[item]:
                    seen[item] = True
                    columns[self.layer[item]].append(item)
                    stack.extend(one for one, _ in reversed(self.before[item]))
        return columns

    def _order(self) -> None:
        """Sort each column by the middle of its neighbours, back and forth; keep the order with fewest crossings."""
        best, fewest = [column.copy() for column in self.columns], self._ranked()
        for sweep in range(SWEEPS):
            if not fewest:
                break
            columns, sides = (self.columns, self.before) if sweep % 2 == 0 else (self.columns[::-1], self.after)
            for column in columns:
                middle = {item: self._middle(item, sides[item]) for item in column}
                column.sort(key=middle.__getitem__)
                for rank, item in enumerate(column):
                    self.rank[item] = rank
            found = self._ranked()
            if found < fewest:
                best, fewest = [column.copy() for column in self.columns], found
        self.columns = best
        self._ranked()

    def _middle(self, item: int, neighbours: list[tuple[int, int]]) -> float:
        if not neighbours:
            return float(self.rank[item])
        return sum(self.rank[one] for one, _ in neighbours) / len(neighbours)

    def _ranked(self) -> int:
        """Number the items of each column; returns how many pairs of edges cross between two columns."""
        for column in self.columns:
            for rank, item in enumerate(column):
                self.rank[item] = rank
        crossings = 0
        for column in self.columns:
            ends: list[int] = []
            for item in column:
                ranks = sorted(self.rank[other] for other, _ in self.after[item])
                crossings += sum(len(ends) - bisect_right(ends, rank) for rank in ranks)
                for rank in ranks:
                    insort(ends, rank)
        return crossings

    def _entries(self) -> list[float]:
        entry = [0.0] * len(self.links)
        for node in range(self.count):
            places = self.sizes[node].entries
            if places:
                for k, (_, edge) in enumerate(
                    sorted(self.before[node], key=lambda pair: (self.rank[pair[0]], pair[1]))
                ):
                    entry[edge] = places[min(k, len(places) - 1)]
        return entry

    def _heights(self) -> list[float]:
        """Move each item towards the heights of its neighbours, as far as the others in its column let it."""
        line = [0.0] * len(self.sizes)
        gaps = {layer: self._gaps(column) for layer, column in enumerate(self.columns)}
        for layer, column in enumerate(self.columns):
            for item, height in zip(column, spread([0.0] * len(column), [1.0] * len(column), gaps[layer]), strict=True):
                line[item] = height
        both = range(len(self.columns))
        for sweep in range(SWEEPS + 1):
            for layer in both if sweep % 2 == 0 else reversed(both):
                column = self.columns[layer]
                wanted, weights = [], []
                for item in column:
                    height, weight = self._wanted(item, line, sweep)
                    wanted.append(height)
                    weights.append(weight)
                for item, height in zip(column, spread(wanted, weights, gaps[layer]), strict=True):
                    line[item] = height
        for _ in range(3):
            self._straighten(line)
        top = min((line[item] - self.sizes[item].above for item in range(len(line))), default=0.0)
        return [height - top for height in line]

    def _straighten(self, line: list[float]) -> None:
        """Bring what stands between the two ends of an edge to one height, that of an end if possible."""
        for edge, chain in enumerate(self.chains):
            inner = chain[1:-1]
            low, high = -math.inf, math.inf
            for item in inner:
                column, rank = self.columns[self.layer[item]], self.rank[item]
                for other, sign in ((rank - 1, 1), (rank + 1, -1)):
                    if 0 <= other < len(column):
                        first, second = sorted((rank, other))
                        room = self.sizes[column[first]].below + self.sizes[column[second]].above + self.spacing.down
                        bound = line[column[other]] + sign * room
                        low, high = (max(low, bound), high) if sign > 0 else (low, min(high, bound))
            if inner and low <= high:
                ends = (line[chain[-1]] + self.entry[edge], line[chain[0]])
                middle = sum(line[item] for item in inner) / len(inner)
                height = next((end for end in ends if low <= end <= high), max(low, min(high, middle)))
                for item in inner:
                    line[item] = height

    def _gaps(self, column: list[int]) -> list[float]:
        sizes = [self.sizes[item] for item in column]
        return [one.below + other.above + self.spacing.down for one, other in pairwise(sizes)]

    def _wanted(self, item: int, line: list[float], sweep: int) -> tuple[float, float]:
        """The height that an item wants, and how much: of both sides in the last sweeps, else of one in turn."""
        sides = self._neighbours(
            item, line, sweep >= SWEEPS - 4 or sweep % 2 == 0, sweep >= SWEEPS - 4 or sweep % 2 == 1
        )
        total = weight = 0.0
        for height, own in sides:
            total += own * height
            weight += own
        return (total / weight, weight) if weight else (line[item], 0.1)

    def _neighbours(self, item: int, line: list[float], left: bool, right: bool) -> Iterator[tuple[float, float]]:
        own = int(item < self.count)
        if left:
            for one, edge in self.before[item]:
                offset = self.entry[edge] if own else 0.0
                yield line[one] - offset, _STRAIGHT[own + (one < self.count)]
        if right:
            for other, edge in self.after[item]:
                offset = self.entry[edge] if other < self.count else 0.0
                yield line[other] + offset, _STRAIGHT[own + (other < self.count)]


def _layers(count: int, links: Sequence[Link]) -> list[int]:
    """The layer of each node: the longest way to it; one that reads nothing stands just before its first reader."""
    layer, reads, first_reader = [0] * count, [False] * count, [-1] * count
    for link in sorted(links, key=lambda link: link.target):
        layer[link.target] = max(layer[link.target], layer[link.source] + 1)
        reads[link.target] = True
    for link in links:
        found = first_reader[link.source]
        first_reader[link.source] = layer[link.target] if found < 0 else min(found, layer[link.target])
    return [own if reads[node] or first_reader[node] < 0 else first_reader[node] - 1 for node, own in enumerate(layer)]
