"""Expressions on tensors: what the scalar parser reads, and @, .T, indices, lists, settings and tensor functions."""

from __future__ import annotations

from collections.abc import Collection

from typing import Any

from gradexplain.errors import FormulaError
from gradexplain.language.expression import ExpressionParser, Pending
from gradexplain.language.functions import MODULES, Call, Value, is_boolean
from gradexplain.language.graph import SYMBOLIC_CONSTANTS
from gradexplain.language.shapes import ShapeProblem, axis
from gradexplain.language.tensor_calls import CALLS, ELEMENTWISE_OR, PROPERTIES, Arguments, size_node
from gradexplain.language.tensor_graph import Setting, TensorGraph
from gradexplain.language.tensor_rules import TENSOR_ALIASES, TENSOR_RULES
from gradexplain.language.tensor_text import PRODUCTS, write_part
from gradexplain.language.tokens import END, LINE_END, NAME, NUMBER, WORDS, Token

PRODUCT = 3
# A new axis, and all axes up to those that follow.
NEW, REST = "None", "..."
# PyTorch's layers without weights, by the function that each of them calls; none for layers with weights.
LAYERS = {
    "ReLU": "relu", "ReLU6": "relu6", "LeakyReLU": "leaky_relu", "ELU": "elu", "SELU": "selu", "GELU": "gelu", "SiLU": "silu",
    "Mish": "mish", "Sigmoid": "sigmoid", "LogSigmoid": "logsigmoid", "Tanh": "tanh", "Tanhshrink": "tanhshrink",
    "Softplus": "softplus", "Softsign": "softsign", "Hardtanh": "hardtanh", "Hardsigmoid": "hardsigmoid",
    "Hardswish": "hardswish", "Softmax": "softmax", "LogSoftmax": "log_softmax", "Flatten": "flatten", "MSELoss": "mse_loss",
    "L1Loss": "l1_loss", "HuberLoss": "huber_loss", "SmoothL1Loss": "smooth_l1_loss", "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits", "CrossEntropyLoss": "cross_entropy", "NLLLoss": "nll_loss",
    "LayerNorm": "layer_norm", "Linear": "", "Conv1d": "", "Conv2d": "", "Embedding": "", "LSTM": "", "GRU": "",
    "BatchNorm1d": "",
}  # fmt: skip


class TensorParser(ExpressionParser):
    """Reads expressions of one text into a TensorGraph.

    Lists and tuples that are arguments of a call are kept in `lists`, under negative numbers, until the function says
    what they are: sizes, axes, or tensors.
    """

    graph: TensorGraph

    def __init__(self, text: str, graph: TensorGraph, given: Collection[str] = ()) -> None:
        super().__init__(text, graph, given)
        self.lists: dict[int, list[Value]] = {}

    def problem(self, problem: ShapeProblem, start: int, end: int, inputs: Collection[int] = ()) -> FormulaError:
        """A problem of shapes with its place, the text of the inputs put into its hint."""
        texts = [write_part(self.graph, i) for i in inputs]
        hint = problem.hint.format(*texts) if "{" in problem.hint and len(texts) > 1 else problem.hint
        return FormulaError(problem.message, self.text, start, end, hint)

    def solid_value(self, value: Value) -> Value:
        """A value that can have a name: a list as a tensor, and no setting."""
        node = self.solid(value)
        if isinstance(self.graph.nodes[node].value, Setting):
            raise self.error("this is a setting of a function, not a number", value)
        return value._replace(node=node)

    def solid(self, value: Value) -> int:
        """The node of a value; a list becomes the tensor of its elements."""
        if value.node >= 0:
            return value.node
        parts = [self.solid(part) for part in self.lists[value.node]]
        return self.node("stack", [*parts, self.graph.setting(0)], value.start, value.end)

    def node(self, rule: str, inputs: list[int], start: int, end: int) -> int:
        """The node of a rule; matrix products are told apart by the number of axes. Raises FormulaError."""
        return self._apply(rule, inputs, start, end)

    def _apply(self, rule: str, inputs: list[int], start: int, end: int) -> int:
        if rule == "matmul":
            ranks = [len(self.graph.shapes[i]) for i in inputs]
            rule = {(1, 1): "dot", (2, 1): "matvec", (1, 2): "vecmat"}.get((ranks[0], ranks[1]), rule)
        try:
            return super()._apply(rule, inputs, start, end)
        except ShapeProblem as problem:
            raise self.problem(problem, start, end, inputs) from None

    def _operand(self, token: Token) -> bool:
        text = token.text
        if text == "[":
            self._open(token, Call(token))
            return True
        if text in ("'", '"'):
            word, end = self.tokens[self.position + 1 : self.position + 3]
            if word.kind != NAME or end.text != text:
                raise self.error("a word in quotation marks is missing here", token)
            self.position += 2
            self.values.append(Value(self.graph.setting(word.text), token.start, end.end))
            return False
        if text == "]" and self.tokens[self.position - 1].text == "[":
            raise self.error("this list is empty", token, "put the elements in, such as [1, 2]")
        return super()._operand(token)

    def _operator(self, token: Token) -> bool:
        text = token.text
        if text == "@":
            self._reduce(PRODUCT)
            self.stack.append(Pending("matmul", PRODUCT, token))
            return True
        if text == "[":
            self._index(token)
            return False
        if text == "]":
            self._reduce(1)
            if not self.stack or self.stack[-1].call is None or self.stack[-1].token.text != "[":
                raise self.error("there is no open bracket that this ] belongs to", token)
            self._close(token)
            return False
        if text == "," and self.depth:
            self._reduce(1)
            bracket = self.stack[-1]
            if bracket.call is None:
                # A comma makes a tuple of what was a bracket.
                self.stack[-1] = bracket._replace(call=Call(bracket.token))
        if text == ")" and self.depth:
            self._reduce(1)
            if self.stack[-1].token.text == "[":
                raise self.error("this bracket is closed by ) and opened by [", self.stack[-1].token)
        return super()._operator(token)

    def _called(self, call: Call, end: Token) -> Value:
        name = call.name.text
        if name in ("(", "["):
            return self._listed(call, end)
        start = min([call.name.start, *[value.start for value in call.arguments]])
        known = CALLS.get(name)
        tensor = any(value.node < 0 or self.graph.shapes[value.node] for value in call.arguments)
        if known is None or (name in ELEMENTWISE_OR and (len(call.arguments) > 1 or not tensor)):
            self._make_solid(call)
            return super()._called(call, end)
        arguments = Arguments(self, call, start, end.end)
        try:
            node = known(arguments)
        except ShapeProblem as problem:
            inputs = [value.node for value in call.arguments if value.node >= 0]
            raise self.problem(problem, start, end.end, inputs) from None
        arguments.finish()
        rule = self.graph.nodes[node].rule
        if name in TENSOR_RULES and rule in PRODUCTS:
            self.graph.spelling.setdefault(node, name)
        elif TENSOR_ALIASES.get(name) == rule and name[0].islower():
            self.graph.spelling.setdefault(node, name)
        return Value(node, start, end.end)

    def _make_solid(self, call: Call) -> None:
        for k, value in enumerate(call.arguments):
            call.arguments[k] = value._replace(node=self.solid(value))
        for key, value in call.keywords.items():
            call.keywords[key] = value._replace(node=self.solid(value))
        for value in [*call.arguments, *call.keywords.values()]:
            if isinstance(self.graph.nodes[value.node].value, Setting):
                raise self.error("this is a setting of another function, not a number", value)

    def _listed(self, call: Call, end: Token) -> Value:
        """A list: kept as it is where it is an argument as a whole, else the tensor of its elements."""
        for value in call.arguments:
            if is_boolean(self.graph, value.node):
                raise self.error("this comparison is used as a number", value)
        number = -2 - len(self.lists)
        self.lists[number] = call.arguments
        value = Value(number, call.name.start, end.end)
        outside = self.stack[-2] if len(self.stack) > 1 else None
        following = self.tokens[self.position + 1].text
        argument = outside is not None and outside.call is not None and following in (",", ")")
        return value if argument else value._replace(node=self.solid(value))

    def _reduce(self, precedence: int) -> None:
        if self.stack and self.stack[-1].rule and self.stack[-1].precedence >= precedence:
            # What an operator takes is no list and no setting any more.
            for k, value in enumerate(self.values):
                if value.node < 0:
                    self.values[k] = value._replace(node=self.solid(value))
                elif isinstance(self.graph.nodes[value.node].value, Setting):
                    raise self.error("this is a setting of a function, not a number", value)
        super()._reduce(precedence)

    def _method(self) -> bool:
        value = self.values[-1]
        name, following = self.tokens[self.position + 1 : self.position + 3]
        change = PROPERTIES.get(name.text)
        if name.text == "shape" and following.text == "[":
            return self._axis_of_shape(name)
        if change is None or following.text == "(":
            self.values[-1] = value._replace(node=self.solid(value))
            return super()._method()
        self.values.pop()
        try:
            node = change(self.graph, self.solid(value))
        except ShapeProblem as problem:
            raise self.problem(problem, value.start, name.end) from None
        self.graph.places.setdefault(node, (value.start, name.end))
        self.values.append(Value(node, value.start, name.end))
        self.position += 1
        return False

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
            if token.text == ":" and len(parts) < 3 and not listed:
                parts.append(None)
            elif listed and token.text == "," and parts[-1] is not None:
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
            return graph.apply("unsqueeze", node, graph.setting(axis)), axis + 1
        if parts == [REST]:
            left = sum(token.text == "," for token in self.tokens[self.position : self._closing()])
            return node, len(graph.shapes[node]) - left + axis
        if listed:
            chosen = [self._element(node, axis, index) for index in parts]
            return graph.apply("stack", *chosen, graph.setting(axis)), axis + 1
        if len(parts) == 1:
            return self._element(node, axis, parts[0]), axis
        start, stop, step = (*parts, None)[:3]
        if (start, stop, step) == (None, None, None):
            return node, axis + 1
        values = [axis, start, stop, 1 if step is None else step]
        if values[3] < 1:  # type: ignore[operator]
            raise ShapeProblem("the step of a range is a whole number from 1 on", "flip(x, 0) turns an axis around")
        return graph.apply("slice", node, *map(graph.setting, values)), axis + 1

    def _element(self, node: int, axis: int, index: int) -> int:
        graph = self.graph
        size = graph.shapes[node][axis] if axis < len(graph.shapes[node]) else 0
        # An index from the end is the same element as one from the start.
        index = index + size if index < 0 and isinstance(size, int) and index + size >= 0 else index
        return graph.apply("select", node, graph.setting(axis), graph.setting(index))

    def _closing(self) -> int:
        """The place of the bracket that ends the index which begins here."""
        return self._matching(self.position)

    def _name(self, token: Token) -> bool:
        while token.text in MODULES and (self._is_module(token) or self._is_layer()):
            self.position += 2
            token = self.tokens[self.position]
        if token.text in LAYERS and self.tokens[self.position + 1].text == "(":
            self._called_as_function(token)
        return super()._name(self.tokens[self.position])

    def _is_layer(self) -> bool:
        """Whether `nn.` and a layer stand here."""
        dot, name = self.tokens[self.position + 1 : self.position + 3]
        return dot.text == "." and name.text in LAYERS

    def _called_as_function(self, token: Token) -> None:
        """`nn.Softmax(dim=1)(z)`: the tokens put in the order of `softmax(z, dim=1)`."""
        tokens, start = self.tokens, self.position
        middle = self._matching(start + 1)
        if tokens[middle + 1].text != "(":
            raise self.error(f"{token.text} is a layer, and is called with a tensor", token, f"such as {token.text}()(x)")
        if not LAYERS[token.text]:
            hint = "give the weights as variables, such as linear(x, W, b)"
            raise self.error(f"{token.text} has weights of its own that no formula shows", token, hint)
        end = self._matching(middle + 1)
        settings, arguments = tokens[start + 2 : middle], tokens[middle + 2 : end]
        comma = tokens[middle]._replace(text=",")
        name = token._replace(text=LAYERS[token.text])
        between = [comma] if settings and arguments else []
        tokens[start : end + 1] = [name, tokens[start + 1], *arguments, *between, *settings, tokens[end]]

    def _matching(self, start: int) -> int:
        """The place of the bracket that closes the one at `start`."""
        depth = 0
        for place in range(start, len(self.tokens)):
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(self.tokens[place].text, 0)
            if not depth:
                return place
        raise self.error("this bracket is never closed", self.tokens[start], "add a )")

    def _input(self, token: Token) -> int:
        name = token.text
        if name in WORDS:
            return self.graph.setting(WORDS[name])
        if name in self.graph.sizes and name not in self.given:
            return self.graph.constant(name)
        if name in self.graph.given and name in SYMBOLIC_CONSTANTS:
            self.first_use.setdefault(name, token)
            return self.graph.input(name)
        return super()._input(token)
