"""Indices of tensors, `x[1, :, -2:]` and `x.shape[0]`, and what they are taken of."""

from __future__ import annotations

from gradexplain.errors import FormulaError, ShapeError
from gradexplain.language.graph import Graph
from gradexplain.language.reader import EITHER, Reader, Value
from gradexplain.language.tokens import END, LINE_END, NUMBER, Token
from gradexplain.rules.shapes import ShapeProblem, axis

# A new axis, and all axes that nothing else takes.
NEW, REST = "None", "..."
# What stands for one axis: an index, a range, several indices, or one of the two words above.
Item = int | slice | list[int] | str
# No axis is longer.
_MAX_INDEX = 2**48
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


def of_pair(parser: Reader, value: Value, word: Token) -> Value:
    """The values of a maximum along an axis, `m.values`. Raises FormulaError for its indices."""
    if value.pair == EITHER:
        raise _not_a_pair(parser, value)
    if word.text == "indices":
        raise parser.error("indices are whole numbers, which have no gradient", word, "the values are .values")
    return Value(value.node, value.start, word.end)


def _not_a_pair(parser: Reader, value: Value) -> FormulaError:
    hint = "along an axis, write max(x, dim=1) or torch.max(x, 1); element by element, maximum(x, 1)"
    return parser.error("this compares element by element, and is no pair of values and indices", value, hint)


def _part_of_pair(parser: Reader, value: Value, items: list[Item], end: Token) -> Value:
    """`max(x, dim=1)[0]`: its values."""
    if value.pair == EITHER:
        raise _not_a_pair(parser, value)
    if items in ([1], [-1]):
        raise parser.error("[1] are the indices, whole numbers that have no gradient", end, "the values are [0]")
    if items not in ([0], [-2]):
        raise parser.error("a maximum along an axis is a pair: [0] are its values", end, "an element is .values[…]")
    return Value(value.node, value.start, end.end)


def indexed(parser: Reader, value: Value) -> Value:
    """`x[1, :, -2:]`: each axis in turn. The position is moved to the closing bracket. Raises FormulaError."""
    bracket, items, place = parser.tokens[parser.position], list[Item](), parser.position
    while parser.tokens[place].text != "]" or place == parser.position:
        item, place = _item(parser, bracket, place + 1)
        items.append(item)
        if parser.tokens[place].text == "," and parser.tokens[place + 1].text == "]":
            place += 1
    end = parser.tokens[place]
    parser.position = place
    if value.pair:
        return _part_of_pair(parser, value, items, end)
    node = parser.solid(value)
    try:
        node = _taken(parser.graph, node, items)
    except ShapeProblem as problem:
        raise parser.problem(problem, value.start, end.end) from None
    parser.graph.places.setdefault(node, (value.start, end.end))
    return Value(node, value.start, end.end)


def _item(parser: Reader, bracket: Token, place: int) -> tuple[Item, int]:
    """What stands for one axis, from a place on, and the place of the comma or bracket after it."""
    tokens, token = parser.tokens, parser.tokens[place]
    following = tokens[place + 1].text
    found: Item
    if [t.text for t in tokens[place : place + 3]] == [".", ".", "."]:
        found, place = REST, place + 3
    elif token.text == "None":
        found, place = NEW, place + 1
    elif token.text in ("np", "numpy", "jnp") and following == "." and tokens[place + 2].text == "newaxis":
        found, place = NEW, place + 3
    elif token.text == "[":
        found, place = _list(parser, bracket, place)
    else:
        bounds, place = _bounds(parser, bracket, place)
        if bounds == [None]:
            raise parser.error("an index is missing", tokens[place], SUCH_AS)
        found = slice(*bounds) if len(bounds) > 1 else bounds[0]  # type: ignore[assignment]
    _check_end(parser, bracket, place, (",", "]"))
    return found, place


def _list(parser: Reader, bracket: Token, place: int) -> tuple[list[int], int]:
    """Several indices of one axis, `[0, 2]`, and the place behind them."""
    found: list[int] = []
    while parser.tokens[place].text != "]":
        number, place = _number(parser, bracket, place + 1)
        if number is None:
            raise parser.error("an index is missing", parser.tokens[place], SUCH_AS)
        found.append(number)
        _check_end(parser, bracket, place, (",", "]"))
        if parser.tokens[place].text == "," and parser.tokens[place + 1].text == "]":
            place += 1
    return found, place + 1


def _bounds(parser: Reader, bracket: Token, place: int) -> tuple[list[int | None], int]:
    """An index, or the bounds of a range and its step."""
    number, place = _number(parser, bracket, place)
    bounds = [number]
    while parser.tokens[place].text == ":" and len(bounds) < 3:
        number, place = _number(parser, bracket, place + 1)
        bounds.append(number)
    return bounds, place


def _number(parser: Reader, bracket: Token, place: int) -> tuple[int | None, int]:
    """The whole number at a place, None where there is none, and the place behind it."""
    token, sign = parser.tokens[place], 1
    if token.text == "-":
        sign, place = -1, place + 1
        token = parser.tokens[place]
    if token.kind == NUMBER and token.text.isdigit():
        if len(token.text) > 15 or int(token.text) > _MAX_INDEX:
            raise parser.error("this index is too large", token, "no tensor has as many elements")
        return sign * int(token.text), place + 1
    if sign == 1 and token.text in (":", ",", "]"):
        return None, place
    _check_end(parser, bracket, place, ())
    return None, place


def _check_end(parser: Reader, bracket: Token, place: int, allowed: tuple[str, ...]) -> None:
    """Refuse a token where an index must end. Raises FormulaError."""
    token = parser.tokens[place]
    if token.text in allowed:
        return
    if token.kind in (END, LINE_END):
        raise parser.error("this bracket is never closed", bracket, SUCH_AS)
    raise parser.error("an index is a whole number or a range", token, SUCH_AS)


def _taken(graph: Graph, node: int, items: list[Item]) -> int:
    """The node with its axes indexed. Raises ShapeProblem."""
    rank, taken = len(graph.shapes[node]), sum(item not in (NEW, REST) for item in items)
    if taken > rank:
        if not rank:
            raise ShapeProblem("a single number has no elements", "give a vector or a shape, such as --shape x=3")
        raise ShapeProblem(f"there are {taken} indices and {rank} {'axis' if rank == 1 else 'axes'}")
    if items.count(REST) > 1:
        raise ShapeProblem("only one ... can stand in an index")
    along, lists = 0, dict[int, list[int]]()
    for item in items:
        if item == NEW:
            node = graph.apply("unsqueeze", node, settings=(along,))
        elif item == REST:
            along += rank - taken - 1
        elif isinstance(item, slice):
            node = _ranged(graph, node, along, item)
        elif isinstance(item, list):
            lists[along] = item
        else:
            node, along = _element(graph, node, along, int(item)), along - 1
        along += 1
    return _picked(graph, node, lists) if lists else node


def _ranged(graph: Graph, node: int, along: int, bounds: slice) -> int:
    if (bounds.start, bounds.stop, bounds.step) == (None, None, None):
        return node
    step = 1 if bounds.step is None else bounds.step
    if step < 1:
        raise ShapeProblem("the step of a range is a whole number from 1 on", "flip(x, 0) turns an axis around")
    return graph.apply("slice", node, settings=(along, bounds.start, bounds.stop, step))


def _picked(graph: Graph, node: int, lists: dict[int, list[int]]) -> int:
    """The elements at several indices. Lists for several axes go in step, as in PyTorch: the first of each, and so on.

    Their new axis stands where the first of them did, or first of all where other axes are between them.
    """
    count = max(map(len, lists.values()))
    if any(len(indices) not in (1, count) for indices in lists.values()) or not all(lists.values()):
        lengths = " and ".join(str(len(indices)) for indices in lists.values())
        raise ShapeProblem(f"lists of indices go in step, and have the lengths {lengths}", SUCH_AS)
    places = sorted(lists)
    parts = []
    for k in range(count):
        part = node
        for along in reversed(places):
            indices = lists[along]
            part = _element(graph, part, along, indices[k % len(indices)])
        parts.append(part)
    together = places == list(range(places[0], places[0] + len(places)))
    return graph.apply("stack", *parts, settings=(places[0] if together else 0,))


def _element(graph: Graph, node: int, along: int, index: int) -> int:
    size = graph.shapes[node][along]
    # An index from the end is the same element as one from the start.
    index = index + size if index < 0 and isinstance(size, int) and index + size >= 0 else index
    return graph.apply("select", node, settings=(along, index))
