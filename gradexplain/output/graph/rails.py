"""The computation graph as a list from the objective down, with a rail at the left for each value still to come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradexplain.errors import columns
from gradexplain.output.graph.canvas import ASCII_LINES, DOWN, LEFT, LINES, RIGHT, UP
from gradexplain.output.graph.picture import (
    CONSTANT,
    INPUT,
    OBJECTIVE,
    OPERATION,
    Picture,
    PictureEdge,
    PictureNode,
    product,
)

# What stands for a node, by its kind; the words beside it say the same.
_DOTS = {OBJECTIVE: "◆", OPERATION: "●", INPUT: "○", CONSTANT: "◇"}
_ASCII_DOTS = {OBJECTIVE: "@", OPERATION: "*", INPUT: "o", CONSTANT: "%"}
# Rails take at most a third of the width; where there would be more of them, the list goes without.
SHARE = 3


def render(drawn: Picture, width: int, ascii_only: bool) -> str:
    """The list in up to `width` columns; long texts are folded, and nothing is cut."""
    rows = _rows(drawn)
    most = max((len(row.before) for row in rows), default=0)
    most = max([most, *(len(row.after) for row in rows)])
    with_rails = 2 * most * SHARE <= width
    lines: list[str] = []
    for row in rows:
        node = drawn.nodes[row.node]
        texts = _texts(drawn, row.node, ascii_only)
        room = max(1, width - (2 * most if with_rails else 2))
        first, *rest = [line for text in texts for line in folded(text, room)]
        dots = _ASCII_DOTS if ascii_only else _DOTS
        signs = ASCII_LINES if ascii_only else LINES
        if not with_rails:
            lines += [f"{dots[node.kind]} {first}", *(f"  {line}" for line in rest)]
            continue
        heads = [row.dot(dots[node.kind], signs), *row.branches(signs)]
        tail = row.below(signs)
        rest += [""] * max(len(heads) - 1 - len(rest), 0)
        heads += [tail] * (len(rest) + 1 - len(heads))
        # An empty line keeps two nodes apart.
        pairs = zip([*heads, tail], [first, *rest, ""], strict=True)
        lines += [_padded(head, 2 * most) + line for head, line in pairs]
    return "\n".join(line.rstrip() for line in lines).rstrip("\n ")


def _padded(head: str, width: int) -> str:
    return head + " " * (width - columns(head))


class _Row:
    """A node of the list, in rail `at`; `before` and `after` are the nodes that the rails lead to, None for a gap."""

    def __init__(
        self, node: int, at: int, before: Sequence[int | None], after: Sequence[int | None], reads: Sequence[int]
    ) -> None:
        self.node, self.at, self.before, self.after, self.reads = node, at, before, after, reads

    def dot(self, dot: str, signs: Mapping[int, str]) -> str:
        cells = [" " if one is None else _sign(signs, UP | DOWN) for one in self.before]
        cells += [" "] * (self.at + 1 - len(cells))
        cells[self.at] = dot
        return " ".join(cells)

    def branches(self, signs: Mapping[int, str]) -> list[str]:
        """The line that leads from the node to the rails of what it reads, where it is not straight down."""
        ends = [self.after.index(j) for j in self.reads]
        if all(end == self.at for end in ends):
            return []
        first, last = min([*ends, self.at]), max([*ends, self.at])
        joints = []
        for column in range(max(len(self.after), self.at + 1)):
            goes_on = column < len(self.after) and self.after[column] is not None
            came = column < len(self.before) and self.before[column] is not None
            sides = UP if column == self.at or (came and goes_on) else 0
            sides |= DOWN if goes_on else 0
            inside = first <= column <= last
            if inside and (column == self.at or column in ends):
                sides |= (LEFT if column > first else 0) | (RIGHT if column < last else 0)
            elif inside and not sides:
                sides = LEFT | RIGHT
            joints.append((sides, inside and column < last))
        return ["".join(_sign(signs, sides) + (_sign(signs, LEFT) if on else " ") for sides, on in joints).rstrip()]

    def below(self, signs: Mapping[int, str]) -> str:
        return " ".join(" " if one is None else _sign(signs, UP | DOWN) for one in self.after)


def _sign(signs: Mapping[int, str], sides: int) -> str:
    return " " if not sides else signs[sides]


def _rows(drawn: Picture) -> list[_Row]:
    """The nodes from the last to the first, each with the rails that are open before and after it."""
    reads: list[list[int]] = [[] for _ in drawn.nodes]
    for edge in drawn.edges:
        if edge.source not in reads[edge.target]:
            reads[edge.target].append(edge.source)
    open_rails: list[int | None] = []
    rows = []
    for node in range(len(drawn.nodes) - 1, -1, -1):
        before = open_rails.copy()
        at = open_rails.index(node) if node in open_rails else _free(open_rails)
        open_rails[at : at + 1] = [None]
        for j in sorted(reads[node], reverse=True):
            if j not in open_rails:
                place = at if open_rails[at] is None else _free(open_rails)
                open_rails[place : place + 1] = [j]
        while open_rails and open_rails[-1] is None:
            open_rails.pop()
        rows.append(_Row(node, at, before, open_rails.copy(), reads[node]))
    return rows


def _free(open_rails: list[int | None]) -> int:
    return open_rails.index(None) if None in open_rails else len(open_rails)


def _texts(drawn: Picture, k: int, ascii_only: bool) -> list[str]:
    node = drawn.nodes[k]
    kind = "" if node.kind == OPERATION else f"  {node.kind}"
    first = f"{node.formula} = {node.value}{kind}" if node.value else f"{node.formula}{kind}, no value"
    lines = [first]
    if node.hidden:
        lines.append(f"{node.hidden:,} left out before it")
    if node.partial:
        verdict = f"  {node.verdict}" if node.verdict else ""
        lines.append(f"{node.partial} = {node.gradient or '?'}{verdict}")
    leaving = [edge for edge in drawn.edges if edge.source == k and edge.local]
    return lines + [_contribution(drawn.nodes[edge.target], edge, ascii_only) for edge in leaving]


def _contribution(through: PictureNode, edge: PictureEdge, ascii_only: bool) -> str:
    text = product(edge).replace("·", "*") if ascii_only else product(edge)
    return f"  through {through.name}: local {edge.local}" + (f", {text}" if text else "")


def folded(text: str, width: int) -> list[str]:
    """The text in lines of up to `width` columns, broken at spaces where there are some; all of it is kept.

    >>> folded("v1 = alpha*beta", 10)
    ['v1 =', 'alpha*beta']
    """
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if columns(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        line = ""
        for character in word:
            if line and columns(line + character) > width:
                lines.append(line)
                line = ""
            line += character
    return [*lines, line]
