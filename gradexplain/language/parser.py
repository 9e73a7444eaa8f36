"""One expression: precedence parsing with a stack of its own, so that no formula is too deep for it.

Python's `ast` reads the same grammar, but gives up at 200 brackets and at some thousand operators in a row, and its
messages differ between versions of Python; `docs/how-it-works.md` says more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradexplain.errors import FormulaError, LimitError, ShapeError
from gradexplain.language import calls, indices, layers
from gradexplain.language.arguments import COMPARISONS, is_number
from gradexplain.language.complaints import CLOSING, TENSORS, foreign, missing_operator, nothing_here, refuse_name
from gradexplain.language.graph import SYMBOLIC_CONSTANTS, Graph
from gradexplain.language.numerals import read_number
from gradexplain.language.reader import Call, Value, Word
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
MODULES = frozenset(["torch", "F", "math", "np", "numpy", "nn", "functional", "special", "linalg"])
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
    that have a value, so that `e` can be a variable. `first_use` keeps where each input was first named. `call` makes
    the value of a call, and `properties` are what may follow a value and a dot.
    """

    def __init__(
        self, text: str, graph: Graph, given: Collection[str] = (),
        call: Callable[[Parser, Call, Token], Value] = calls.called,
        properties: Mapping[str, Callable[[Graph, int], int]] = calls.PROPERTIES,
    ) -> None:  # fmt: skip
        self.text, self.given = text, frozenset(given)
        self.graph: Graph = graph
        self.call, self.properties = call, properties
        self.tokens = tokenize(text)
        self.tokens += self.tokens[-1:] * _AHEAD
        self.position = 0
        self.operations = 0
        self.variables: dict[str, int] = {}
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
        return Value(self.solid(value), value.start, value.end)

    def solid(self, value: Value, whose: str = "a function") -> int:
        """The node of a value; a list becomes the tensor of its elements. Raises FormulaError for a setting."""
        if value.content is None:
            return value.node
        if isinstance(value.content, Word):
            raise self.error(f"this is a setting of {whose}, not a number", value)
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
        return call is not None and call.name.text in calls.CALLS

    def _quoted(self, token: Token) -> None:
        word, end = self.tokens[self.position + 1 : self.position + 3]
        if word.kind != NAME or end.text != token.text:
            raise self.error("a word in quotation marks is missing here", token)
        self.position += 2
        self.values.append(Value(-1, token.start, end.end, Word(word.text)))

    def _name(self, token: Token) -> bool:
        while token.text in MODULES and (self._is_module(token) or layers.is_layer(self)):
            self.position += 2
            token = self.tokens[self.position]
            if token.text in SYMBOLIC_CONSTANTS and self.tokens[self.position + 1].text != "(":
                self.values.append(Value(self.graph.constant(token.text), token.start, token.end))
                return False
        following = self.tokens[self.position + 1]
        if following.text == "(":
            if token.text in layers.LAYERS:
                layers.call_as_function(self)
                token = self.tokens[self.position]
            self.position += 1
            self._open(following, Call(token))
            return True
        if token.text in self.variables:
            self.values.append(Value(self.variables[token.text], token.start, token.end))
        elif token.text in WORDS and self._may_be_setting():
            self.values.append(Value(-1, token.start, token.end, Word(WORDS[token.text])))
        else:
            self.values.append(Value(self._input(token), token.start, token.end))
        return False

    def _is_module(self, token: Token) -> bool:
        """Whether a name is the module in `torch.exp(x)`, and not a variable with a method, as in `F.exp()`."""
        dot, name, opening, closing = self.tokens[self.position + 1 : self.position + 5]
        if dot.text != "." or name.kind != NAME or token.text in self.variables or token.text in self.given:
            return False
        return (opening.text, closing.text) != ("(", ")")

    def _input(self, token: Token) -> int:
        """The node of a name that no statement has defined: a constant, a size, or an input."""
        name, graph = token.text, self.graph
        if name not in self.given and name not in graph.given:
            if name in graph.sizes:
                return graph.constant(name)
            if name in SYMBOLIC_CONSTANTS or name == "π":
                return graph.constant("pi" if name == "π" else name)
            refuse_name(self.text, graph, token)
        self.first_use.setdefault(name, token)
        return graph.input(name)

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
            raise self.error(f"there is no open bracket that this {text} belongs to", token)
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
            self.values[-1] = Value(value.node, opened.token.start, token.end, value.content)
        else:
            if self.tokens[self.position - 1].text not in ("(", ","):
                self._argument(call)
            listed = call.name is opened.token
            self.values.append(self._listed(call, token) if listed else self.call(self, call, token))
        self.stack.pop()
        self.depth -= 1

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
        change = self.properties.get(name.text)
        if name.text == "shape" and following.text == "[":
            self.values.append(indices.axis_of_shape(self, value))
            return False
        node = self.solid(value)
        if following.text == "(":
            self.position += 2
            self._open(following, Call(name, [Value(node, value.start, value.end)]))
            return True
        if change is None:
            raise self.error(f".{name.text} is not part of the language", name, TENSORS if name.text == "T" else "")
        try:
            node = change(self.graph, node)
        except ShapeProblem as problem:
            raise self.problem(problem, value.start, name.end) from None
        self.graph.places.setdefault(node, (value.start, name.end))
        self.values.append(Value(node, value.start, name.end))
        self.position += 1
        return False

    def closing(self, start: int) -> int:
        """The place of the bracket that closes the one at `start`. Raises FormulaError where there is none."""
        depth = 0
        for place in range(start, len(self.tokens)):
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(self.tokens[place].text, 0)
            if not depth:
                return place
        raise self.error("this bracket is never closed", self.tokens[start], "add a )")

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
