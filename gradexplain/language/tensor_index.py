"""Indices of tensors, `x[1, :, -2:]`, and what they are taken of: nodes with shapes, and lists."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from gradexplain.errors import FormulaError
from gradexplain.language.functions import Value
from gradexplain.language.graph import Graph
from gradexplain.language.tensor_calls import size_node
from gradexplain.language.tensor_layers import LayerParser
from gradexplain.language.tensor_text import write_part
from gradexplain.language.tokens import END, LINE_END, NUMBER, Token
from gradexplain.rules.products import product_rule
from gradexplain.rules.shapes import ShapeProblem, axis

# A new axis, and all axes up to those that follow.
NEW, REST = "None", "..."


class IndexParser(LayerParser):
    """Makes nodes with shapes, and reads indices.

    Lists and tuples that are arguments of a call are kept in `lists`, under negative numbers, until the function says
    what they are: sizes, axes, or tensors. So are words such as True, in `settings`.
    """

    def __init__(self, text: str, graph: Graph, given: Collection[str] = ()) -> None:
        super().__init__(text, graph, given)
        self.lists: dict[int, list[Value]] = {}
        self.settings: dict[int, Any] = {}

    def below(self) -> int:
        """A number that stands for no node."""
        return -2 - len(self.lists) - len(self.settings)

    def setting(self, value: Any) -> int:
        """The number under which a setting is kept."""
        number = self.below()
        self.settings[number] = value
        return number

    def problem(self, problem: ShapeProblem, start: int, end: int, inputs: Collection[int] = ()) -> FormulaError:
        """A problem of shapes with its place, the text of the inputs put into its hint."""
        texts = [write_part(self.graph, i) for i in inputs]
        hint = problem.hint.format(*texts) if "{" in problem.hint and len(texts) > 1 else problem.hint
        return FormulaError(problem.message, self.text, start, end, hint)

    def solid_value(self, value: Value) -> Value:
        """A value that can have a name: a list as a tensor, and no setting."""
        return value._replace(node=self.solid(value))

    def solid(self, value: Value, whose: str = "a function") -> int:
        """The node of a value; a list becomes the tensor of its elements. Raises FormulaError for a setting."""
        if value.node >= 0:
            return value.node
        if value.node in self.settings:
            raise self.error(f"this is a setting of {whose}, not a number", value)
        parts = [self.solid(part, whose) for part in self.lists[value.node]]
        return self.node("stack", parts, value.start, value.end, (0,))

    def node(self, rule: str, inputs: list[int], start: int, end: int, settings: tuple[Any, ...] = ()) -> int:
        """The node of a rule; matrix products are told apart by the number of axes. Raises FormulaError."""
        return self._apply(rule, inputs, start, end, settings)

    def _apply(self, rule: str, inputs: Iterable[int], start: int, end: int, settings: tuple[Any, ...] = ()) -> int:
        inputs = list(inputs)
        if rule == "matmul":
            one, other = (len(self.graph.shapes[i]) for i in inputs)
            rule = product_rule(one, other)
        try:
            return super()._apply(rule, inputs, start, end, settings)
        except ShapeProblem as problem:
            raise self.problem(problem, start, end, inputs) from None

    def _axis_of_shape(self, name: Token) -> bool:
        """`x.shape[0]`: the number of elements along an axis."""
        value = self.values.pop()
        sign, place = 1, self.position + 3
        if self.tokens[place].text == "-":
            sign, place = -1, place + 1
        number, end = self.tokens[place : place + 2]
        if not number.text.isdigit() or end.text != "]":
            raise self.error("an axis is a whole number", name, "such as x.shape[0]")
        shape = self.graph.shapes[self.solid(value)]
        try:
            node = size_node(self.graph, shape[axis(sign * int(number.text), len(shape))])
        except (ShapeProblem, IndexError):
            raise self.error(f"there is no axis {sign * int(number.text)}", number) from None
        self.values.append(Value(node, value.start, end.end))
        self.position = place + 1
        return False

    def _index(self, bracket: Token) -> None:
        """`x[1, :, -2:]`: each axis in turn, one index or a range."""
        value = self.values.pop()
        node, place, along = self.solid(value), self.position + 1, 0
        while True:
            parts, listed, place = self._axis_index(bracket, place)
            end = self.tokens[place]
            try:
                node, along = self._taken(node, along, parts, listed)
            except ShapeProblem as problem:
                raise self.problem(problem, value.start, end.end) from None
            self.graph.places.setdefault(node, (value.start, end.end))
            if end.text == "]":
                break
            place += 1
        self.position = place
        self.values.append(Value(node, value.start, end.end))

    def _axis_index(self, bracket: Token, place: int) -> tuple[list[Any], bool, int]:
        """What stands for one axis: an index, the bounds of a range, NEW or REST, or the elements of a list."""
        parts: list[Any] = [None]
        listed = self.tokens[place].text == "["
        place += listed
        while (token := self.tokens[place]).text not in (",", "]") or (listed and token.text == ","):
            sign = 1
            if token.text == "-":
                sign, place = -1, place + 1
                token = self.tokens[place]
            another = token.text == "," and parts[-1] is not None if listed else token.text == ":" and len(parts) < 3
            if another:
                parts.append(None)
            elif token.text == "." and [t.text for t in self.tokens[place : place + 3]] == [".", ".", "."]:
                parts[-1], place = REST, place + 2
            elif token.text == "None" and parts == [None]:
                parts[-1] = NEW
            elif token.kind == NUMBER and token.text.isdigit() and parts[-1] is None:
                parts[-1] = sign * int(token.text)
            elif token.kind in (END, LINE_END):
                raise self.error("this bracket is never closed", bracket, "such as x[0], x[:, 1] or x[1:3]")
            else:
                raise self.error("an index is a whole number or a range", token, "such as x[0], x[:, 1] or x[1:3]")
            place += 1
        return parts, listed, place + listed

    def _taken(self, node: int, axis: int, parts: list[Any], listed: bool) -> tuple[int, int]:
        """The node with one axis indexed, and the axis that comes next."""
        graph = self.graph
        if parts == [None] or (listed and None in parts):
            raise ShapeProblem("an index is missing", "such as x[0], x[:, 1] or x[1:3]")
        if parts == [NEW]:
            return graph.apply("unsqueeze", node, settings=(axis,)), axis + 1
        if parts == [REST]:
            left = sum(token.text == "," for token in self.tokens[self.position : self._closing()])
            return node, len(graph.shapes[node]) - left + axis
        if listed:
            chosen = [self._element(node, axis, index) for index in parts]
            return graph.apply("stack", *chosen, settings=(axis,)), axis + 1
        if len(parts) == 1:
            return self._element(node, axis, parts[0]), axis
        start, stop, step = (*parts, None)[:3]
        if (start, stop, step) == (None, None, None):
            return node, axis + 1
        values = (axis, start, stop, 1 if step is None else step)
        if values[3] < 1:
            raise ShapeProblem("the step of a range is a whole number from 1 on", "flip(x, 0) turns an axis around")
        return graph.apply("slice", node, settings=values), axis + 1

    def _element(self, node: int, axis: int, index: int) -> int:
        graph = self.graph
        size = graph.shapes[node][axis] if axis < len(graph.shapes[node]) else 0
        # An index from the end is the same element as one from the start.
        index = index + size if index < 0 and isinstance(size, int) and index + size >= 0 else index
        return graph.apply("select", node, settings=(axis, index))

    def _closing(self) -> int:
        """The place of the bracket that ends the index which begins here."""
        return self._matching(self.position)
