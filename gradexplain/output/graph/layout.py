"""Where the nodes and edges of a graph go, from left to right, as plain numbers in any unit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from gradexplain.output.graph.levels import Levels, Link, Size, Spacing


class Place(NamedTuple):
    """A rectangle, and the height `line` at which edges leave it."""

    left: float
    top: float
    width: float
    height: float
    line: float


class Route(NamedTuple):
    """The points of an edge, level in pairs: along a node or through a column, then across the room between two."""

    points: tuple[tuple[float, float], ...]
    label: Place | None


class Layout(NamedTuple):
    """The whole picture: its size, the places of the nodes and the routes of the edges, both in the given order."""

    width: float
    height: float
    nodes: tuple[Place, ...]
    routes: tuple[Route, ...]


def arrange(sizes: Sequence[Size], links: Sequence[Link], spacing: Spacing) -> Layout:
    """Lay out a graph: nodes of the given sizes, and links between them. The same graph has always the same layout.

    >>> layout = arrange([Size(4, 1, 1), Size(4, 1, 1)], [Link(0, 1)], Spacing(2, 1, 0))
    >>> layout.nodes[1], layout.routes[0].points
    (Place(left=6.0, top=0.0, width=4, height=2, line=1.0), ((4.0, 1.0), (4.0, 1.0), (6.0, 1.0), (6.0, 1.0)))
    """
    levels = Levels(sizes, links, spacing)
    widths = [max((levels.sizes[item].width for item in column), default=0.0) for column in levels.columns]
    steepest = [0.0] * len(levels.columns)
    for edge, chain in enumerate(levels.chains):
        for one, other in pairwise(chain):
            arrives = levels.line[other] + (levels.entry[edge] if other < levels.count else 0.0)
            steepest[levels.layer[one]] = max(steepest[levels.layer[one]], abs(arrives - levels.line[one]))
    lefts, left = [], 0.0
    for width, height in zip(widths, steepest, strict=True):
        lefts.append(left)
        left += width + spacing.across + min(spacing.widest, spacing.slope * height)

    def place(item: int) -> Place:
        size, layer, line = levels.sizes[item], levels.layer[item], levels.line[item]
        inner = lefts[layer] + (widths[layer] - size.width) / 2
        return Place(inner, line - size.above, size.width, size.above + size.below, line)

    places = [place(item) for item in range(len(levels.sizes))]
    routes = []
    for edge, chain in enumerate(levels.chains):
        points = []
        for item in chain:
            height = levels.line[item] + (levels.entry[edge] if item == chain[-1] else 0.0)
            start, end = lefts[levels.layer[item]], lefts[levels.layer[item]] + widths[levels.layer[item]]
            start = places[item].left + places[item].width if item == chain[0] else start
            end = places[item].left if item == chain[-1] else end
            points += [(start, height), (end, height)]
        label = levels.labels[edge]
        routes.append(Route(tuple(points), None if label is None else places[label]))
    return Layout(
        max((one.left + one.width for one in places), default=0.0),
        max((one.top + one.height for one in places), default=0.0),
        tuple(places[: levels.count]),
        tuple(routes),
    )
