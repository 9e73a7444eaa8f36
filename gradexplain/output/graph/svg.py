"""The computation graph as an SVG picture: self-contained, for light and dark pages, without scripts.

Every node is `<g class="node" id="node-K" data-node="NAME">`, every edge
`<g class="edge" data-from="NAME" data-to="NAME">`. Numbers stand alone in elements of the classes `value`, `gradient`,
`upstream`, `local` and `contribution`.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import NamedTuple

from gradexplain.output.formats import PLAIN, Look
from gradexplain.output.graph.layout import Place, Route, arrange
from gradexplain.output.graph.lettering import fitted, small, tenths, text_width, widths
from gradexplain.output.graph.levels import Link, Size, Spacing
from gradexplain.output.graph.picture import (
    INPUT,
    VECTOR_JACOBIAN,
    PictureEdge,
    PictureNode,
    caption,
    picture,
    product,
)
from gradexplain.output.page import pages
from gradexplain.records import Derivation

PAD, LINE, MARGIN, LONGEST, LEAST_WIDTH = 10.0, 17.0, 20.0, 230.0, 480.0
SPACING = Spacing(across=26, down=16, bend=5, slope=0.18, widest=90)
ENTRY = 12.0
LEGEND = (
    "Rounded ends: input. Box: operation. Double box: objective. Cut corners: constant.",
    "Forward, left to right: the value in each box. Backward, right to left: the gradient below it (∂), the sum of "
    "what stands on the edges that leave the box.",
    "On an edge: its local derivative, and upstream gradient · local derivative = contribution.",
)
TENSOR_LEGEND = (
    *LEGEND[:2],
    "On an edge: the vector-Jacobian product that flows back along it; g is the upstream gradient, that of the node "
    "where the edge ends.",
)


class Words(NamedTuple):
    """A line of text: its pieces with the class of each (empty for plain text), and the class of the whole line."""

    pieces: tuple[tuple[str, str], ...]
    kind: str

    @property
    def text(self) -> str:
        return "".join(piece for piece, _ in self.pieces)

    @property
    def width(self) -> float:
        return text_width(self.text, small(self.kind))

    @property
    def held(self) -> str:
        """What holds the line to its width, where its letters may be wider than expected."""
        return widths(self.text, self.width)


# A line of text, and where its middle is.
Placed = tuple[float, float, Words]


def preload() -> None:
    """Import now what `write` needs."""
    pages.environment()


def write(derivation: Derivation, look: Look = PLAIN, embedded: bool = False) -> str:
    """The picture as a document of its own.

    With `embedded` it is a part for a page: no XML declaration, and the page's own background.
    """
    drawn = picture(derivation)
    boxes = [_Box(node, sum(edge.target == k for edge in drawn.edges)) for k, node in enumerate(drawn.nodes)]
    labels = [_edge_lines(edge) for edge in drawn.edges]
    links = [
        Link(edge.source, edge.target, _label_size(lines)) for edge, lines in zip(drawn.edges, labels, strict=True)
    ]
    layout = arrange([box.size for box in boxes], links, SPACING)
    width = max(layout.width + 2 * MARGIN, LEAST_WIDTH)
    room = int((width - 2 * MARGIN) / text_width("x", 11))
    explained = TENSOR_LEGEND if any(edge.kind == VECTOR_JACOBIAN for edge in drawn.edges) else LEGEND
    dashed = ["Dashed: through what is left out."] if any(edge.hidden for edge in drawn.edges) else []
    legend = [line for text in (*explained, *dashed, *drawn.notes) for line in wrap(text, room)]
    top = MARGIN + 2 * LINE
    names = [node.name for node in drawn.nodes]
    edges = [
        (edge, names[edge.source], names[edge.target], *_way(boxes[edge.source], boxes[edge.target], route),
         [] if route.label is None else _below(lines, route.label.left + route.label.width / 2, route.label.top))
        for edge, route, lines in zip(drawn.edges, layout.routes, labels, strict=True)
    ]  # fmt: skip
    return pages.fragment(
        "graph.svg", drawn=drawn, embedded=embedded, style=pages.asset("graph.css").replace("\n", ""),
        about=" ".join((*explained, *drawn.notes)), width=width, row=LINE, margin=MARGIN, top=top,
        height=top + layout.height + MARGIN + LINE * len(legend) + MARGIN, shift=(width - layout.width) / 2,
        heading=Words(((fitted(drawn.heading, 13, width - 2 * MARGIN), ""),), "name"), edges=edges,
        nodes=[(box.node, *_placed(box, place)) for box, place in zip(boxes, layout.nodes, strict=True)],
        below=top + layout.height + MARGIN + LINE * 0.7, legend=[Words(((line, ""),), "caption") for line in legend],
    ).strip() + "\n"  # fmt: skip


class _Box:
    """A node with its lines, inside of the shape and below it, and the room that they take."""

    def __init__(self, node: PictureNode, edges: int) -> None:
        self.node = node
        self.inside = [
            Words(((caption(node), ""),), "caption"),
            Words(((fitted(node.formula, 13, LONGEST), ""),), "name"),
            Words(((node.value, "value"),), "number") if node.value else Words((("no value", ""),), "caption"),
        ]
        if node.hidden:
            self.inside.append(Words(((f"{node.hidden:,} left out", ""),), "caption"))
        self.below = []
        if node.partial:
            partial = f"{fitted(node.partial, 13, LONGEST)} = "
            self.below.append(Words(((partial, ""), (node.gradient or "?", "gradient")), "backward"))
        self.below += [Words(((part, ""),), "verdict") for part in node.verdict.split(": ") if part]
        round_ends = 16 if node.kind == INPUT else 0
        self.width = max(line.width for line in self.inside) + 2 * PAD + round_ends
        self.height = max(LINE * len(self.inside) + PAD, ENTRY * edges + PAD)
        whole = max([self.width, *(line.width for line in self.below)])
        self.inset = (whole - self.width) / 2
        entries = tuple(ENTRY * (k - (edges - 1) / 2) for k in range(edges))
        self.size = Size(whole, self.height / 2, self.height / 2 + LINE * len(self.below) + 2, entries)


def _edge_lines(edge: PictureEdge) -> list[Words]:
    if not edge.local:
        return []
    before = edge.label.removesuffix(edge.local)
    lines = [Words(((before, ""), (fitted(edge.local, 11, LONGEST * 0.8), "formula")), "caption")]
    if product(edge):
        pieces = ((edge.upstream, "upstream"), (" · ", ""), (edge.local_value, "local"), (" = ", ""))
        lines.append(Words((*pieces, (edge.contribution, "contribution")), "backward"))
    return lines


def _label_size(lines: Sequence[Words]) -> Size | None:
    if not lines:
        return None
    return Size(max(line.width for line in lines) + PAD, LINE * len(lines) + 2, 6)


def _placed(box: _Box, place: Place) -> tuple[tuple[float, float, float, float], list[Placed]]:
    """The outline of a node, as left, top, width and height, and its lines of text."""
    middle, top = place.left + place.width / 2, place.line - box.height / 2
    inside = _below(box.inside, middle, top + (box.height - LINE * len(box.inside)) / 2)
    outline = (middle - box.width / 2, top, box.width, box.height)
    return outline, [*inside, *_below(box.below, middle, top + box.height + 2)]


def _below(lines: Sequence[Words], middle: float, top: float) -> list[Placed]:
    """Lines of text below each other."""
    return [(middle, top + LINE * (k + 0.72), line) for k, line in enumerate(lines)]


def _way(source: _Box, target: _Box, route: Route) -> tuple[str, str]:
    """The path of an edge and that of its head."""
    points = list(route.points)
    # The shape may be less wide than the gradient below it: the edge begins and ends at the shape.
    (start, from_line), (end, to_line) = points[0], points[-1]
    points[0] = (start - source.inset, from_line)
    points[-1] = (end + target.inset, to_line)
    path = [f"M{tenths(points[0][0])} {tenths(points[0][1])}"]
    for k, (x, y) in enumerate(points[1:], 1):
        before = points[k - 1]
        if k % 2 or before[1] == y:
            path.append(f"H{tenths(x)}")
        else:
            half = tenths((before[0] + x) / 2)
            path.append(f"C{half} {tenths(before[1])} {half} {tenths(y)} {tenths(x)} {tenths(y)}")
    x, y = points[-1]
    head = f"M{tenths(x - 8)} {tenths(y - 4)}L{tenths(x)} {tenths(y)}L{tenths(x - 8)} {tenths(y + 4)}z"
    return "".join(path), head
