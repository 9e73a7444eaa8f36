"""Indices of tensors, `x[1, :, -2:]` and `x.shape[0]`, and what they are taken of."""

from __future__ import annotations

from typing import Any

from gradexplain.errors import ShapeError
from gradexplain.language.reader import Reader, Value
from gradexplain.language.tokens import END, LINE_END, NUMBER, Token
from gradexplain.rules.shapes import ShapeProblem, axis

# A new axis, and all axes up to those that follow.
NEW, REST = "None", "..."
SUCH_AS = "such as x[0], x[:, 1] or x[1:3]"


def axis_of_shape(parser: Reader, value: Value) -> Value:
    """`x.shape[0]`: the number of elements along an axis. The position is moved to its end."""
    name, sign, place = parser.tokens[parser.position + 1], 1, parser.position + 3
    if parser.tokens[place].text == "-":
        sign, place = -1, place + 1
    number, end = parser.tokens[place], parser.tokens[place + 1]
    if not number.text.isdigit() or end.text != "]":
        raise parser.error("an axis is a whole number", name, "such as x.shape[0]")
    shape = parser.graph.shapes[parser.solid(value)]
    try:
        node = parser.graph.size(shape[axis(sign * int(number.text), len(shape))])
    except (ShapeProblem, IndexError):
        message = f"there is no axis {sign * int(number.text)}"
        raise ShapeError(message, parser.text, number.start, number.end) from None
    parser.position = place + 1
    return Value(node, value.start, end.end)


def indexed(parser: Reader, value: Value) -> Value:
    """`x[1, :, -2:]`: each axis in turn, one index or a range. The position is moved to the closing bracket."""
    bracket = parser.tokens[parser.position]
    node, place, along = parser.solid(value), parser.position + 1, 0
    while True:
        parts, listed, place = _axis_index(parser, bracket, place)
        end = parser.tokens[place]
        try:
            node, along = _taken(parser, node, along, parts, listed)
        except ShapeProblem as problem:
            raise parser.problem(problem, value.start, end.end) from None
        parser.graph.places.setdefault(node, (value.start, end.end))
        if end.text == "]":
            break
        place += 1
    parser.position = place
    return Value(node, value.start, end.end)


def _axis_index(parser: Reader, bracket: Token, place: int) -> tuple[list[Any], bool, int]:
    """What stands for one axis: an index, the bounds of a range, NEW or REST, or the elements of a list."""
    tokens, parts = parser.tokens, list[Any]((None,))
    listed = tokens[place].text == "["
    place += listed
    while (token := tokens[place]).text not in (",", "]") or (listed and token.text == ","):
        sign = 1
        if token.text == "-":
            sign, place = -1, place + 1
            token = tokens[place]
        another = token.text == "," and parts[-1] is not None if listed else token.text == ":" and len(parts) < 3
        if another:
            parts.append(None)
        elif token.text == "." and [t.text for t in tokens[place : place + 3]] == [".", ".", "."]:
            parts[-1], place = REST, place + 2
        elif token.text == "None" and parts == [None]:
            parts[-1] = NEW
        elif token.kind == NUMBER and token.text.isdigit() and parts[-1] is None:
            parts[-1] = sign * int(token.text)
        elif token.kind in (END, LINE_END):
            raise parser.error("this bracket is never closed", bracket, SUCH_AS)
        else:
            raise parser.error("an index is a whole number or a range", token, SUCH_AS)
        place += 1
    return parts, listed, place + listed


def _taken(parser: Reader, node: int, along: int, parts: list[Any], listed: bool) -> tuple[int, int]:
    """The node with one axis indexed, and the axis that comes next."""
    graph = parser.graph
    if parts == [None] or (listed and None in parts):
        raise ShapeProblem("an index is missing", SUCH_AS)
    if parts == [NEW]:
        return graph.apply("unsqueeze", node, settings=(along,)), along + 1
    if parts == [REST]:
        left = sum(t.text == "," for t in parser.tokens[parser.position : parser.closing(parser.position)])
        if left > len(graph.shapes[node]):
            raise ShapeProblem("there are more indices than axes")
        return node, len(graph.shapes[node]) - left + along
    if listed:
        chosen = [_element(parser, node, along, index) for index in parts]
        return graph.apply("stack", *chosen, settings=(along,)), along + 1
    if len(parts) == 1:
        return _element(parser, node, along, parts[0]), along
    start, stop, step = (*parts, None)[:3]
    if (start, stop, step) == (None, None, None):
        return node, along + 1
    step = 1 if step is None else step
    if step < 1:
        raise ShapeProblem("the step of a range is a whole number from 1 on", "flip(x, 0) turns an axis around")
    return graph.apply("slice", node, settings=(along, start, stop, step)), along + 1


def _element(parser: Reader, node: int, along: int, index: int) -> int:
    shape = parser.graph.shapes[node]
    size = shape[along] if along < len(shape) else 0
    # An index from the end is the same element as one from the start.
    index = index + size if index < 0 and isinstance(size, int) and index + size >= 0 else index
    return parser.graph.apply("select", node, settings=(along, index))
