"""One expression: precedence parsing with a stack of its own, so that no formula is too deep for it.

Python's `ast` reads the same grammar, but gives up at 200 brackets and at some thousand operators in a row, and its
messages differ between versions of Python; `docs/how-it-works.md` says more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gradexplain.errors import FormulaError, LimitError, ShapeError
from gradexplain.language import calls, functions, indices, layers, modules
from gradexplain.language.arguments import COMPARISONS, is_number
from gradexplain.language.complaints import (
    CLOSING,
    foreign,
    infinite,
    missing_operator,
    nothing_here,
    unknown_attribute,
)
from gradexplain.language.graph import Graph
from gradexplain.language.names import value_of
from gradexplain.language.numerals import read_number
from gradexplain.language.reader import Call, Layer, Reader, Value, Word
from gradexplain.language.text import PRECEDENCE, write_part
from gradexplain.language.tokens import (
    END,
    LINE_END,
    MAX_OPERATIONS,
    NAME,
    NUMBER,
    SYMBOL,
    WORDS,
    Token,
    check_operations,
    tokenize,
)
from gradexplain.rules.products import product_rule
from gradexplain.rules.shapes import ShapeProblem
from gradexplain.rules.table import OPERATORS

MAX_DEPTH = 20_000
# The rule of each operator between two values, how tightly it binds, and how tightly what stands before it must.
_BINARY = {sign: (rule, PRECEDENCE[rule], PRECEDENCE[rule] + (rule == "pow")) for sign, rule in OPERATORS.items()}
_BINARY["@"] = ("matmul", PRECEDENCE["mul"], PRECEDENCE["mul"])
# No look ahead goes further.
_AHEAD = 5


@dataclass(slots=True)
class Pending:
    """What waits on the stack: an operator for its right side, or (`rule` empty) a bracket for its end."""

    rule: str
    precedence: int
    token: Token
    call: Call | None = None


class Parser:
    """Reads expressions of one text into one graph.

    `variables` maps the names defined so far to their nodes; any other name becomes an input. `given` holds names
    that have a value, so that `e` can be a variable. `first_use` keeps where each input was first named, and `pairs`
    has the names of what PyTorch has as values and indices. `call` makes the value of a call, and `properties` are what
    may follow a value and a dot.
    """

    def __init__(
        self, text: str, graph: Graph, given: Collection[str] = (),
        call: Callable[[Reader, Call, Token], Value] = calls.called,
        properties: Mapping[str, Callable[[Graph, int], int]] = functions.PROPERTIES,
    ) -> None:  # fmt: skip
        self.text, self.given = text, frozenset(given)
        self.graph: Graph = graph
        self.call, self.properties = call, properties
        self.tokens = tokenize(text)
        self.tokens += self.tokens[-1:] * _AHEAD
        self.position = 0
        self.operations = 0
        self.variables: dict[str, int] = {}
        self.pairs: set[str] = set()
        self.first_use: dict[str, Token] = {}
        self.values: list[Value] = []
        self.stack: list[Pending] = []
        self.depth = 0

    def error(self, message: str, place: Token | Value, hint: str = "") -> FormulaError:
        """The error with its place in this text."""
        return FormulaError(message, self.text, place.start, max(place.end, place.start + 1), hint)

    def problem(self, problem: ShapeProblem, start: int, end: int, inputs: Collection[int] = ()) -> ShapeError:
        """A problem of shapes with its place, the text of the inputs put into its hint."""
        hint = problem.hint
        if "{" in hint and len(inputs) > 1:
            hint = hint.format(*[write_part(self.graph, i) for i in inputs])
        return ShapeError(problem.message, self.text, start, end, hint)

    def expression(self, separators: str) -> Value:
        """Read from the current position up to one of `separators` outside brackets, a line end or the end."""
        self.values, self.stack, self.depth = [], [], 0
        tokens, want_value = self.tokens, True
        while True:
            token = tokens[self.position]
            kind = token.kind
            if kind == SYMBOL:
                if not self.depth and token.text in separators:
                    break
            elif kind == LINE_END and self.depth:
                self.position += 1
                continue
            elif kind in (END, LINE_END):
                break
            if want_value:
                want_value = self._name(token) if kind == NAME else self._operand(token)
            else:
                want_value = self._operator(token)
            self.position += 1
        if self.depth:
            opened = next(pending for pending in self.stack if not pending.rule)
            raise self.error("this bracket is never closed", opened.token, f"add a {CLOSING[opened.token.text]}")
        if want_value:
            raise nothing_here(self.text, self.tokens, self.position)
        self._reduce(1)
        value = self.values.pop()
        return Value(self.solid(value), value.start, value.end, None, value.pair)

    def solid(self, value: Value, whose: str = "a function") -> int:
        """The node of a value; a list becomes the tensor of its elements. Raises FormulaError for a setting."""
        if value.content is None:
            return value.node
        if isinstance(value.content, Word):
            if value.content.value == math.inf:
                raise infinite(self.text, value.start, value.end)
            if not isinstance(value.content.value, str) and whose == "another function":
                word = str(value.content.value)
                raise self.error(f"{word} is a word of Python and cannot be a name here", value, f"call it {word}_")
            raise self.error(f"this is a setting of {whose}, not a number", value)
        if isinstance(value.content, Layer):
            name = value.content.name
            raise self.error(f"{name} is a layer, and is called with a tensor", value, f"such as {name}()(x)")
        parts = [self.solid(part, whose) for part in value.content]
        return self.node("stack", parts, value.start, value.end, (0,))

    def node(self, rule: str, inputs: Sequence[int], start: int, end: int, settings: tuple[Any, ...] = ()) -> int:
        """The node of a rule; products of matrices are told apart by the number of axes. Raises FormulaError."""
        graph = self.graph
        try:
            if rule == "matmul":
                one, other = inputs
                rule = product_rule(len(graph.shapes[one]), len(graph.shapes[other]))
            node = graph.apply(rule, *inputs, settings=settings) if settings else graph.apply(rule, *inputs)
        except ShapeProblem as problem:
            raise self.problem(problem, start, end, inputs) from None
        graph.places.setdefault(node, (start, end))
        self.operations += 1
        if self.operations > MAX_OPERATIONS:
            check_operations(self.operations)
        return node

    # Where a value must begin

    def _operand(self, token: Token) -> bool:
        """Take a token, no name, where a value must begin; returns whether a value is still wanted after it."""
        text = token.text
        if token.kind == NUMBER:
            self.values.append(Value(self._number(token), token.start, token.end))
            return False
        if text == "(":
            self._open(token)
        elif text == "-":
            self.stack.append(Pending("neg", PRECEDENCE["neg"], token))
            check_operations(len(self.stack))
        elif text == ")" and self._ends_call():
            self._close(token)
            return False
        elif text == "[":
            self._open(token, Call(token))
        elif text in ("'", '"') and self._may_be_setting():
            self._quoted(token)
            return False
        elif text == "]" and self.tokens[self.position - 1].text == "[":
            raise self.error("this list is empty", token, "put the elements in, such as [1, 2]")
        elif text != "+":
            raise nothing_here(self.text, self.tokens, self.position)
        return True

    def _number(self, token: Token) -> int:
        number = read_number(token.text)
        if number is None:
            raise self.error("this number is too large, too small or too long", token, "no dtype could hold it")
        node = self.graph.constant(number)
        self.graph.places.setdefault(node, (token.start, token.end))
        return node

    def _may_be_setting(self) -> bool:
        """Whether the innermost bracket is that of a function with settings, and an argument of it begins here."""
        call = self.stack[-1].call if self.stack else None
        return call is not None and call.name is not self.stack[-1].token and calls.takes_words(call.name.text)

    def _quoted(self, token: Token) -> None:
        word, end = self.tokens[self.position + 1 : self.position + 3]
        if word.kind != NAME or end.text != token.text:
            raise self.error("a word in quotation marks is missing here", token)
        self.position += 2
        self.values.append(Value(-1, token.start, end.end, Word(word.text)))

    def _name(self, token: Token) -> bool:
        module = ""
        if token.text in modules.ROOTS and (found := modules.path_at(self)) is not None:
            module, self.position = found
            token = self.tokens[self.position]
        following = self.tokens[self.position + 1]
        if following.text == "(":
            if token.text in layers.LAYERS:
                module = modules.LAYER
            self.position += 1
            self._open(following, Call(token, module=module))
            return True
        if token.text in WORDS and not module and self._may_be_setting():
            self.values.append(Value(-1, token.start, token.end, Word(WORDS[token.text])))
        else:
            self.values.append(value_of(self, module, token))
        return False

    # Where a value has just ended

    def _operator(self, token: Token) -> bool:
        """Take a token where a value has just ended; returns whether a value is wanted after it."""
        text = token.text
        binary = _BINARY.get(text)
        if binary is not None:
            rule, precedence, before = binary
            if self.stack:
                self._reduce(before)
            self.stack.append(Pending(rule, precedence, token))
            return True
        if text == "(" and isinstance(layer := self.values[-1].content, Layer):
            self.values.pop()
            self._open(token, replace(layer.call, arguments=[], keywords={}))
            return True
        if token.kind in (NUMBER, NAME) or text == "(":
            raise missing_operator(self.text, self.tokens[self.position - 1], token)
        if text in (")", ",", "]"):
            return self._in_bracket(token)
        if text == "[":
            self.values.append(indices.indexed(self, self.values.pop()))
            return False
        if text == "." and self.tokens[self.position + 1].kind == NAME:
            return self._method()
        raise foreign(self.text, token)

    def _in_bracket(self, token: Token) -> bool:
        """A comma, or the end of a bracket."""
        text = token.text
        self._reduce(1)
        opened = self.stack[-1] if self.stack else None
        if opened is None or (text == "]" and opened.token.text != "["):
            hint = "a statement gives one name to one value" if text == "," else ""
            raise self.error(f"there is no open bracket that this {text} belongs to", token, hint)
        if text == ")" and opened.token.text == "[":
            raise self.error("this bracket is closed by ) and opened by [", opened.token)
        if text != ",":
            self._close(token)
            return False
        if opened.call is None:
            if len(self.stack) == 1 or self.stack[-2].call is None:
                raise self.error("a comma separates the arguments of a function only", token)
            # A comma makes a tuple of what was a bracket.
            opened.call = Call(opened.token)
        self._argument(opened.call)
        self._keyword(opened.call)
        return True

    def _open(self, token: Token, call: Call | None = None) -> None:
        self.stack.append(Pending("", 0, token, call))
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise LimitError(f"brackets are nested more than {MAX_DEPTH:,} deep", self.text, token.start, token.end)
        if call is not None:
            self._keyword(call)

    def _keyword(self, call: Call) -> None:
        """Look whether the argument that begins after this token has a keyword."""
        name = self.tokens[self.position + 1]
        if name.kind != NAME or self.tokens[self.position + 2].text != "=":
            return
        if name.text in call.keywords:
            raise self.error(f"the argument {name.text} is given twice", name)
        call.keyword = name.text
        call.places[name.text] = name
        self.position += 2

    def _argument(self, call: Call) -> None:
        """The value just read is an argument of the innermost call."""
        value = self.values.pop()
        if call.keyword:
            call.keywords[call.keyword] = value
            call.keyword = ""
        elif call.keywords:
            raise self.error("an argument without a name follows one with a name", value)
        else:
            call.arguments.append(value)

    def _ends_call(self) -> bool:
        """Whether a call may end here, after `(` or a comma that nothing follows."""
        call, before = self.stack[-1].call if self.stack else None, self.tokens[self.position - 1].text
        return call is not None and not call.keyword and before in ("(", ",")

    def _close(self, token: Token) -> None:
        opened = self.stack[-1]
        call = opened.call
        if call is None:
            value = self.values[-1]
            self.values[-1] = replace(value, start=opened.token.start, end=token.end)
        else:
            if self.tokens[self.position - 1].text not in ("(", ","):
                self._argument(call)
            self.values.append(self._finished(call, opened.token, token))
        self.stack.pop()
        self.depth -= 1

    def _finished(self, call: Call, opened: Token, end: Token) -> Value:
        """The value of a list, of a layer that is yet to be called, or of a call."""
        if call.name is opened:
            return self._listed(call, end)
        if call.module == modules.LAYER:
            return layers.layer(self, call, end)
        return self.call(self, call, end)

    def _listed(self, call: Call, end: Token) -> Value:
        """A list: kept as it is where it is an argument as a whole, else the tensor of its elements."""
        for element in call.arguments:
            if element.content is None and self.graph.nodes[element.node].rule in COMPARISONS:
                raise self.error("this comparison is used as a number", element)
        value = Value(-1, call.name.start, end.end, call.arguments)
        outside = self.stack[-2].call if len(self.stack) > 1 else None
        if outside is not None and self.tokens[self.position + 1].text in (",", ")"):
            return value
        return Value(self.solid(value), value.start, value.end)

    def _method(self) -> bool:
        """`x.exp()`: the value is the first argument of the call that begins here. `x.T` is a value."""
        value = self.values.pop()
        name, following = self.tokens[self.position + 1 : self.position + 3]
        if name.text == "shape" and following.text == "[":
            self.values.append(indices.axis_of_shape(self, value))
            return False
        if value.pair and name.text in ("values", "indices"):
            self.values.append(indices.of_pair(self, value, name))
            self.position += 1
            return False
        node = self.solid(value)
        if following.text == "(":
            self.position += 2
            self._open(following, Call(name, [Value(node, value.start, value.end)], module=modules.METHOD))
            return True
        change = self.properties.get(name.text)
        if change is None:
            raise unknown_attribute(self.text, name)
        try:
            node = change(self.graph, node)
        except ShapeProblem as problem:
            raise self.problem(problem, value.start, name.end) from None
        self.graph.places.setdefault(node, (value.start, name.end))
        self.values.append(Value(node, value.start, name.end))
        self.position += 1
        return False

    def _reduce(self, precedence: int) -> None:
        """Apply the waiting operators that bind at least as tightly as `precedence`; brackets never do."""
        graph, values, stack = self.graph, self.values, self.stack
        nodes = graph.nodes
        while stack and stack[-1].precedence >= precedence:
            pending = stack.pop()
            rule, right = pending.rule, values.pop()
            if rule == "neg":
                start, end = pending.token.start, right.end
                of = self._number_of(right)
                negative = is_number(graph, of)
                node = graph.constant(-nodes[of].value) if negative else self.node(rule, (of,), start, end)  # type: ignore[operator]
            else:
                left = values.pop()
                start, end = left.start, right.end
                node = self.node(rule, (self._number_of(left), self._number_of(right)), start, end)
            values.append(Value(node, start, end))

    def _number_of(self, value: Value) -> int:
        """The node of what an operator takes: no comparison, and no list and no setting any more."""
        node = value.node if value.content is None else self.solid(value)
        if self.graph.nodes[node].rule in COMPARISONS:
            hint = "comparisons belong in the condition of where(…) and cannot be chained"
            raise self.error("this comparison is used as a number", value, hint)
        return node
