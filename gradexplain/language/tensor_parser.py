"""Expressions on tensors: what the scalar parser reads, and @, .T, indices, lists, settings and tensor functions."""

from __future__ import annotations

from gradexplain.language.expression import Pending
from gradexplain.language.functions import Call, Value, is_boolean
from gradexplain.language.graph import SYMBOLIC_CONSTANTS
from gradexplain.language.tensor_arguments import Arguments
from gradexplain.language.tensor_calls import CALLS, ELEMENTWISE_OR, PROPERTIES
from gradexplain.language.tensor_index import IndexParser
from gradexplain.language.tensor_text import PRODUCTS
from gradexplain.language.tokens import NAME, WORDS, Token
from gradexplain.rules.shapes import ShapeProblem
from gradexplain.rules.table import RULES

PRODUCT = 3


def _aliases(rule: str) -> tuple[str, ...]:
    """The other names of a rule that is not elementwise."""
    row = RULES.get(rule)
    return row.aliases if row is not None and not row.partials else ()


class TensorParser(IndexParser):
    """Reads expressions of one text into one graph."""

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
            self.values.append(Value(self.setting(word.text), token.start, end.end))
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
        tensor = any(v.node in self.lists or (v.node >= 0 and self.graph.shapes[v.node]) for v in call.arguments)
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
        if (name in RULES and rule in PRODUCTS) or (name[0].islower() and name in _aliases(rule)):
            self.graph.spelling.setdefault(node, name)
        return Value(node, start, end.end)

    def _make_solid(self, call: Call) -> None:
        for k, value in enumerate(call.arguments):
            call.arguments[k] = value._replace(node=self.solid(value, "another function"))
        for key, value in call.keywords.items():
            call.keywords[key] = value._replace(node=self.solid(value, "another function"))

    def _listed(self, call: Call, end: Token) -> Value:
        """A list: kept as it is where it is an argument as a whole, else the tensor of its elements."""
        for value in call.arguments:
            if is_boolean(self.graph, value.node):
                raise self.error("this comparison is used as a number", value)
        number = self.below()
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

    def _input(self, token: Token) -> int:
        name = token.text
        if name in WORDS:
            return self.setting(WORDS[name])
        if name in self.graph.sizes and name not in self.given:
            return self.graph.constant(name)
        if name in self.graph.given and name in SYMBOLIC_CONSTANTS:
            self.first_use.setdefault(name, token)
            return self.graph.input(name)
        return super()._input(token)
