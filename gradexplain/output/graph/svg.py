"""The computation graph as an SVG picture: self-contained, for light and dark pages, without scripts.

Every node is `<g class="node" id="node-K" data-node="NAME">`, every edge
`<g class="edge" data-from="NAME" data-to="NAME">`. Numbers stand alone in elements of the classes `value`, `gradient`,
`upstream`, `local` and `contribution`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from textwrap import wrap
from typing import NamedTuple

from gradexplain.output.formats import PLAIN, Look
from gradexplain.output.graph.layout import Place, Route, arrange
from gradexplain.output.graph.lettering import fitted, small, style, text_width, widths
from gradexplain.output.graph.levels import Link, Size, Spacing
from gradexplain.output.graph.picture import (
    CONSTANT,
    INPUT,
    OBJECTIVE,
    VECTOR_JACOBIAN,
    Picture,
    PictureEdge,
    PictureNode,
    caption,
    in_order,
    picture,
    product,
    spoken,
)
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
    dashed = ["Dashed: through what is left out."] if any(edge.hidden for edge in drawn.edges) else []
    legend = [line for text in (*_explained(drawn), *dashed, *drawn.notes) for line in wrap(text, room)]
    top = MARGIN + 2 * LINE
    height = top + layout.height + MARGIN + LINE * len(legend) + MARGIN
    shift = (width - layout.width) / 2
    parts = [
        *_opening(drawn, width, height, embedded),
        _line(
            MARGIN, MARGIN + LINE * 0.7, Words(((fitted(drawn.heading, 13, width - 2 * MARGIN), ""),), "name"), "start"
        ),
        f'<g transform="translate({_n(shift)} {_n(top)})">',
        *(_edge(drawn, boxes, *row) for row in zip(drawn.edges, layout.routes, labels, strict=True)),
        *(_node(k, *row) for k, row in enumerate(zip(boxes, layout.nodes, strict=True))),
        "</g>",
        *_legend(legend, top + layout.height + MARGIN + LINE * 0.7),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _explained(drawn: Picture) -> Sequence[str]:
    """What the shapes and the texts are."""
    return TENSOR_LEGEND if any(edge.kind == VECTOR_JACOBIAN for edge in drawn.edges) else LEGEND


def _opening(drawn: Picture, width: float, height: float, embedded: bool) -> Iterable[str]:
    if not embedded:
        yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield (
        '<svg xmlns="http://www.w3.org/2000/svg" class="gradexplain-graph" role="group" '
        f'width="{_n(width)}" height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}">'
    )
    yield f"<title>{_safe(drawn.heading)}</title>"
    about = " ".join((*_explained(drawn), *drawn.notes))
    yield f"<desc>The computation graph: {len(drawn.nodes)} nodes. {_safe(about)}</desc>"
    yield f"<style>{style()}</style>"
    if not embedded:
        yield f'<rect class="ground" width="{_n(width)}" height="{_n(height)}"/>'


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


def _node(number: int, box: _Box, place: Place) -> str:
    node = box.node
    middle = place.left + place.width / 2
    top = place.line - box.height / 2
    first = top + (box.height - LINE * len(box.inside)) / 2
    lines = [_line(middle, first + LINE * (k + 0.72), line) for k, line in enumerate(box.inside)]
    under = top + box.height + 2
    lines += [_line(middle, under + LINE * (k + 0.72), line) for k, line in enumerate(box.below)]
    return (
        f'<g class="node {node.kind}" id="node-{number}" data-node="{escape(node.name)}" tabindex="0">'
        f"<title>{_safe(chr(10).join(spoken(node)))}</title>"
        f"{_shape(node.kind, middle - box.width / 2, top, box.width, box.height)}{''.join(lines)}</g>"
    )


def _shape(kind: str, left: float, top: float, width: float, height: float) -> str:
    """The outline of a node, which tells its kind without any colour."""
    if kind == CONSTANT:
        cut = 9.0
        across, down = width - 2 * cut, height - 2 * cut
        path = f"M{_n(left + cut)} {_n(top)}h{_n(across)}l{cut} {cut}v{_n(down)}l{-cut} {cut}h{_n(-across)}"
        return f'<path class="shape" d="{path}l{-cut} {-cut}v{_n(-down)}z"/>'
    corner = {INPUT: height / 2.6, OBJECTIVE: 5.0}.get(kind, 3.0)
    outline = _rectangle(left, top, width, height, corner)
    return outline + _rectangle(left + 3, top + 3, width - 6, height - 6, 3) if kind == OBJECTIVE else outline


def _rectangle(left: float, top: float, width: float, height: float, corner: float) -> str:
    place = f'x="{_n(left)}" y="{_n(top)}" width="{_n(width)}" height="{_n(height)}"'
    return f'<rect class="shape" {place} rx="{_n(corner)}"/>'


def _edge(drawn: Picture, boxes: Sequence[_Box], edge: PictureEdge, route: Route, lines: Sequence[Words]) -> str:
    points = list(route.points)
    # The shape may be less wide than the gradient below it: the edge begins and ends at the shape.
    (start, from_line), (end, to_line) = points[0], points[-1]
    points[0] = (start - boxes[edge.source].inset, from_line)
    points[-1] = (end + boxes[edge.target].inset, to_line)
    path = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for k, (x, y) in enumerate(points[1:], 1):
        before = points[k - 1]
        if k % 2 or before[1] == y:
            path.append(f"H{_n(x)}")
        else:
            half = (before[0] + x) / 2
            path.append(f"C{_n(half)} {_n(before[1])} {_n(half)} {_n(y)} {_n(x)} {_n(y)}")
    x, y = points[-1]
    head = f"M{_n(x - 8)} {_n(y - 4)}L{_n(x)} {_n(y)}L{_n(x - 8)} {_n(y + 4)}z"
    words = ""
    if route.label is not None:
        middle, first = route.label.left + route.label.width / 2, route.label.top
        words = "".join(_line(middle, first + LINE * (k + 0.72), line) for k, line in enumerate(lines))
    source, target = drawn.nodes[edge.source].name, drawn.nodes[edge.target].name
    dashed = " hidden" if edge.hidden else ""
    path_words = f"from {source} to {target}" + (f": {edge.kind} {edge.local}" if edge.local else "")
    return (
        f'<g class="edge{dashed}" data-from="{escape(source)}" data-to="{escape(target)}">'
        f"<title>{_safe(path_words)}</title>"
        f'<path class="way" d="{"".join(path)}"/><path class="head" d="{head}"/>{words}</g>'
    )


def _legend(lines: Sequence[str], top: float) -> list[str]:
    return [_line(MARGIN, top + LINE * k, Words(((line, ""),), "caption"), "start") for k, line in enumerate(lines)]


def _line(x: float, y: float, words: Words, anchor: str = "middle") -> str:
    inner = "".join(
        f'<tspan class="{kind}">{_safe(piece)}</tspan>' if kind else _safe(piece) for piece, kind in words.pieces
    )
    return (
        f'<text class="{words.kind}" x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}"{widths(words.text, words.width)}>'
        f"{inner}</text>"
    )


def _safe(text: str) -> str:
    return escape(in_order(text))


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
