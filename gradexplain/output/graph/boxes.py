"""The computation graph in characters: boxes from left to right where there is room, else a list with rails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from gradexplain.errors import columns, printable
from gradexplain.output.derivation.table import terminal_width
from gradexplain.output.formats import PLAIN, Look
from gradexplain.output.graph import rails
from gradexplain.output.graph.canvas import ASCII_LINES, LINES, Canvas
from gradexplain.output.graph.levels import Levels, Link, Size, Spacing
from gradexplain.output.graph.picture import INPUT, OBJECTIVE, Picture, PictureEdge, PictureNode, picture, product
from gradexplain.records import Derivation

# Where nothing limits the width, boxes are drawn up to this.
WIDEST = 200
SPACING = Spacing(across=3, down=0, bend=0.5)
# The corners and sides of a box by what is in it: inputs are round, the objective is double.
_SHAPES = {INPUT: "╭─╮│╰╯", OBJECTIVE: "╔═╗║╚╝", "": "┌─┐│└┘"}
_ASCII_SHAPES = {INPUT: ".-.|''", OBJECTIVE: "#=#|##", "": "+-+|++"}


class Detail(NamedTuple):
    """How much a drawing says: whether edges have labels, and the spaces beside the text in a box."""

    labels: bool
    padding: int


# From the widest to the narrowest.
DETAILS = (Detail(True, 1), Detail(False, 1), Detail(False, 0))


def write(derivation: Derivation, look: Look = PLAIN) -> str:
    """The drawing in as many columns as there are: the boxes that say most of those that fit, else the list."""
    width, ascii_only = terminal_width() if look.width is None else look.width, look.ascii_only
    drawn = picture(derivation)
    if ascii_only:
        drawn = _in_ascii(drawn)
    body = ""
    for detail in DETAILS:
        body = body or boxes(drawn, detail, min(width, WIDEST), ascii_only)
    body = body or rails.render(drawn, width, ascii_only)
    heading = rails.folded(drawn.heading, width)
    notes = [line for note in drawn.notes for line in rails.folded(note, width)]
    body = body.lstrip("\n")
    return "\n".join([*heading, "", body, *([""] if notes else []), *notes]) + "\n"


def _in_ascii(drawn: Picture) -> Picture:
    nodes = [
        replace(
            node,
            name=printable(node.name, "ascii"),
            expression=printable(node.expression, "ascii"),
            partial=printable(node.partial, "ascii"),
        )
        for node in drawn.nodes
    ]
    edges = [replace(edge, local=printable(edge.local, "ascii")) for edge in drawn.edges]
    heading, *notes = (printable(text, "ascii") for text in (drawn.heading, *drawn.notes))
    return Picture(heading, tuple(nodes), tuple(edges), tuple(notes))


def node_lines(node: PictureNode) -> list[str]:
    """What stands in the box of a node."""
    lines = [node.formula, node.value or "no value"]
    if node.partial:
        lines.append(f"{node.partial} = {node.gradient or '?'}")
    lines += [part for part in node.verdict.split(": ") if part]
    return [*lines, f"{node.hidden:,} left out"] if node.hidden else lines


def edge_lines(edge: PictureEdge, ascii_only: bool = False) -> list[str]:
    """What stands on an edge."""
    text = product(edge).replace("·", "*") if ascii_only else product(edge)
    return [line for line in (edge.label, text) if line]


def boxes(drawn: Picture, detail: Detail, width: int, ascii_only: bool) -> str:
    """The graph as boxes in columns, empty where it is wider than `width` or its lines cannot be told apart."""
    inside = [node_lines(node) for node in drawn.nodes]
    entering = [0] * len(inside)
    for edge in drawn.edges:
        entering[edge.target] += 1
    sizes = []
    for lines, count in zip(inside, entering, strict=True):
        height = max(len(lines), count)
        room = max(map(columns, lines)) + 2 + 2 * detail.padding
        sizes.append(Size(room, 1.5, height + 0.5, tuple(range(count))))
    links = []
    for edge in drawn.edges:
        lines = edge_lines(edge, ascii_only) if detail.labels else []
        label = Size(max(map(columns, lines)) + 2, len(lines) + 0.5, 0.5) if lines else None
        links.append(Link(edge.source, edge.target, label))
    levels = Levels(sizes, links, SPACING)
    drawing = _Drawing(levels)
    if not drawing.possible or drawing.width > width:
        return ""
    canvas = Canvas()
    drawing.lines(canvas)
    for k, node in enumerate(drawn.nodes):
        shapes = _ASCII_SHAPES if ascii_only else _SHAPES
        shape = shapes.get(node.kind, shapes[""])
        _box(canvas, drawing, k, inside[k], shape, detail.padding)
    for edge, item in zip(drawn.edges, levels.labels, strict=True):
        if item is not None:
            lines = edge_lines(edge, ascii_only)
            for n, line in enumerate(lines):
                middle = drawing.lefts[levels.layer[item]] + (drawing.widths[levels.layer[item]] - columns(line)) // 2
                canvas.text(drawing.row(item) - len(lines) + n, middle, line)
    return canvas.render(ASCII_LINES if ascii_only else LINES)


def _box(canvas: Canvas, drawing: _Drawing, node: int, lines: Sequence[str], shape: str, padding: int) -> None:
    size = drawing.levels.sizes[node]
    inner, height = int(size.width) - 2, int(size.above + size.below) - 2
    left, top = drawing.left(node), drawing.row(node) - 1
    canvas.text(top, left, shape[0] + shape[1] * inner + shape[2])
    for n in range(height):
        text = lines[n] if n < len(lines) else ""
        padded = " " * padding + text + " " * (inner - padding - columns(text))
        canvas.text(top + 1 + n, left, shape[3] + padded + shape[3])
    canvas.text(top + 1 + height, left, shape[4] + shape[1] * inner + shape[5])


class _Drawing:
    """Rows and columns of all items, and the tracks on which edges go up or down between two columns.

    `possible` says whether every line keeps apart from those of other edges, but for crossings.
    """

    def __init__(self, levels: Levels) -> None:
        self.levels = levels
        self.rows = self._rows()
        self.possible = True
        # Lines from one item share a track; by the item, its track and the rows where it arrives.
        self.tracks: dict[int, int] = {}
        self.lefts: list[int] = []
        self.widths: list[int] = []
        left = 0
        for layer, column in enumerate(levels.columns):
            self.lefts.append(left)
            self.widths.append(int(max((levels.sizes[item].width for item in column), default=0)))
            tracks = self._assign(column)
            left += self.widths[-1] + (tracks + 2 if layer < len(levels.columns) - 1 else 0)
        self.width = left

    def row(self, item: int) -> int:
        return self.rows[item]

    def left(self, node: int) -> int:
        layer = self.levels.layer[node]
        return self.lefts[layer] + (self.widths[layer] - int(self.levels.sizes[node].width)) // 2

    def _rows(self) -> list[int]:
        """Whole rows, in the same order and as far apart as before."""
        levels = self.levels
        rows = [0] * len(levels.sizes)
        for column in levels.columns:
            least = -math.inf
            for item in column:
                size = levels.sizes[item]
                rows[item] = int(max(math.floor(levels.line[item] + 0.5), least + size.above))
                least = rows[item] + size.below
        return rows

    def _arrivals(self, item: int) -> list[tuple[int, int]]:
        """The rows at which lines from an item arrive in the next column, and the items there."""
        levels = self.levels
        return [
            (self.rows[other] + (int(levels.entry[edge]) if other < levels.count else 0), other)
            for other, edge in levels.after[item]
        ]

    def _assign(self, column: Sequence[int]) -> int:
        """Give a track to each item that needs one; returns how many there are.

        Where one line arrives at the row on which another leaves, the latter has to turn off first.
        """
        rows = {item: [row for row, _ in self._arrivals(item)] for item in column}
        turning = [item for item in column if any(row != self.rows[item] for row in rows[item])]
        leaving = {self.rows[item]: item for item in column if rows[item]}
        later: dict[int, set[int]] = {item: set() for item in turning}
        for item in turning:
            for row in rows[item]:
                other = leaving.get(row, item)
                if other != item:
                    if other not in later:
                        self.possible = False
                        return 0
                    later[other].add(item)
        waiting = {item: sum(item in others for others in later.values()) for item in turning}
        ready = [item for item in turning if not waiting[item]]
        spans: list[list[tuple[int, int]]] = []
        done = 0
        while ready:
            item = ready.pop(0)
            done += 1
            self.tracks[item] = self._free(spans, item, rows[item], later)
            for other in sorted(later[item]):
                waiting[other] -= 1
                if not waiting[other]:
                    ready.append(other)
        self.possible = self.possible and done == len(turning)
        return len(spans)

    def _free(self, spans: list[list[tuple[int, int]]], item: int, rows: list[int], later: dict[int, set[int]]) -> int:
        """The first track with room, after those of the items that have to turn off before this one."""
        low, high = min(*rows, self.rows[item]), max(*rows, self.rows[item])
        first = max((self.tracks[one] + 1 for one, others in later.items() if item in others), default=0)
        for track in range(first, len(spans) + 1):
            if track == len(spans):
                spans.append([])
            if all(high < other_low or low > other_high for other_low, other_high in spans[track]):
                spans[track].append((low, high))
                return track
        raise AssertionError("there is always another track")

    def lines(self, canvas: Canvas) -> None:
        """Draw all edges."""
        levels = self.levels
        for item in range(len(levels.sizes)):
            layer, row, is_node = levels.layer[item], self.rows[item], item < levels.count
            start = self.left(item) + int(levels.sizes[item].width) if is_node else self.lefts[layer]
            end = self.lefts[layer] + self.widths[layer]
            for arrives, other in self._arrivals(item):
                following = self.lefts[layer + 1]
                stop = self.left(other) - 1 if other < levels.count else following
                if arrives == row:
                    canvas.level(row, start, stop, item)
                    continue
                track = end + 1 + self.tracks[item]
                canvas.level(row, start, track, item)
                canvas.upright(track, row, arrives, item)
                canvas.level(arrives, track, stop, item)
