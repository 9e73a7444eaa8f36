"""One expression: precedence parsing with a stack of its own, so that no formula is too deep for it.

Python's `ast` reads the same grammar, but gives up at 200 brackets and at some thousand operators in a row, and its
messages differ between versions of Python; `docs/how-it-works.md` says more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from gradexplain.errors import FormulaError, LimitError
from gradexplain.language.complaints import CLOSING, TENSORS, foreign, missing_operator, nothing_here, refuse_name
from gradexplain.language.functions import COMPARISONS, MODULES, Call, Value, is_number, resolve_call
from gradexplain.language.graph import SYMBOLIC_CONSTANTS, Graph
from gradexplain.language.numerals import read_number
from gradexplain.language.text import PRECEDENCE
from gradexplain.language.tokens import END, LINE_END, NAME, NUMBER, SYMBOL, Token, check_operations, tokenize
from gradexplain.rules.table import OPERATORS

MAX_DEPTH = 20_000
# How a tuple is made of another; the call of a named tuple does the same, but takes three times as long.
_make = tuple.__new__


class Pending(NamedTuple):
    """What waits on the stack: an operator for its right side, or (`rule` empty) a bracket for its end."""

    rule: str
    precedence: int
    token: Token
    call: Call | None = None


class ExpressionParser:
    """Reads expressions of one text into one graph.

    `variables` maps the names defined so far to their nodes; any other name becomes an input. `given` holds names
    that have a value, so that `e` can be a variable. `first_use` keeps where each input was first named.
    """

    def __init__(self, text: str, graph: Graph, given: Collection[str] = ()) -> None:
        self.text, self.graph, self.given = text, graph, frozenset(given)
        self.tokens = tokenize(text)
        self.position = 0
        self.operations = 0
        self.variables: dict[str, int] = {}
        self.first_use: dict[str, Token] = {}
        self.values: list[Value] = []
        self.stack: list[Pending] = []
        self.depth = 0

    def error(self, message: str, token: Token | Value, hint: str = "") -> FormulaError:
        """The error with its place in this text."""
        return FormulaError(message, self.text, token.start, max(token.end, token.start + 1), hint)

    def expression(self, separators: str) -> Value:
        """Read from the current position up to one of `separators` outside brackets, a line end or the end."""
        self.values, self.stack, self.depth = [], [], 0
        tokens, want_value = self.tokens, True
        while True:
            token = tokens[self.position]
            kind, text, _, _ = token
            if kind == SYMBOL:
                if not self.depth and text in separators:
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
        return self.values.pop()

    def solid_value(self, value: Value) -> Value:
        """A value that can have a name: of single numbers, each can."""
        return value

    def _operand(self, token: Token) -> bool:
        """Take a token, no name, where a value must begin; returns whether a value is still wanted after it."""
        if token.kind == NUMBER:
            self.values.append(Value(self._number(token), token.start, token.end))
            return False
        if token.text == "(":
            self._open(token)
        elif token.text == "-":
            self.stack.append(Pending("neg", PRECEDENCE["neg"], token))
            check_operations(len(self.stack))
        elif token.text == ")" and self.stack and self._ends_call():
            self._close(token)
            return False
        elif token.text != "+":
            raise nothing_here(self.text, self.tokens, self.position)
        return True

    def _operator(self, token: Token) -> bool:
        """Take a token where a value has just ended; returns whether a value is wanted after it."""
        text = token.text
        if token.kind in (NUMBER, NAME) or text == "(":
            raise missing_operator(self.text, self.tokens[self.position - 1], token)
        if text in OPERATORS:
            rule = OPERATORS[text]
            if self.stack:
                self._reduce(PRECEDENCE[rule] + (rule == "pow"))
            self.stack.append(_make(Pending, (rule, PRECEDENCE[rule], token, None)))
            return True
        if text == ")" or text == ",":
            self._reduce(1)
            if not self.stack:
                raise self.error(f"there is no open bracket that this {text} belongs to", token)
            if text == ")":
                self._close(token)
                return False
            call = self.stack[-1].call
            if call is None:
                raise self.error("a comma separates the arguments of a function only", token)
            self._argument(call)
            self._keyword(call)
            return True
        if text == "." and self.tokens[self.position + 1].kind == NAME:
            return self._method()
        raise foreign(self.text, token)

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
        call, before = self.stack[-1].call, self.tokens[self.position - 1].text
        return call is not None and not call.keyword and before in ("(", ",")

    def _close(self, token: Token) -> None:
        _, _, bracket, call = self.stack[-1]
        if call is None:
            self.values.append(Value(self.values.pop().node, bracket.start, token.end))
        else:
            if self.tokens[self.position - 1].text not in ("(", ","):
                self._argument(call)
            self.values.append(self._called(call, token))
        self.stack.pop()
        self.depth -= 1

    def _called(self, call: Call, end: Token) -> Value:
        """The value of a call that ends with `end`."""
        rule, calls = resolve_call(self.text, self.graph, call)
        # What a method is called on stands before its name.
        start = min([call.name.start, *[value.start for value in call.arguments]])
        node = -1
        for inputs in calls:
            node = self._apply(rule.name, [node if i < 0 else i for i in inputs], start, end.end)
            if call.name.text != rule.name and rule.name not in OPERATORS.values():
                self.graph.spelling.setdefault(node, call.name.text)
        return Value(node, start, end.end)

    def _method(self) -> bool:
        """`x.exp()`: the value is the first argument of the call that begins here."""
        value = self.values.pop()
        name, bracket = self.tokens[self.position + 1 : self.position + 3]
        if bracket.text != "(":
            raise self.error(f".{name.text} is not part of the language", name, TENSORS if name.text == "T" else "")
        self.position += 2
        self._open(bracket, Call(name, [value]))
        return True

    def _name(self, token: Token) -> bool:
        while token.text in MODULES and self._is_module(token):
            self.position += 2
            token = self.tokens[self.position]
            if token.text in SYMBOLIC_CONSTANTS and self.tokens[self.position + 1].text != "(":
                self.values.append(Value(self.graph.constant(token.text), token.start, token.end))
                return False
        following = self.tokens[self.position + 1]
        if following.text == "(":
            self.position += 1
            self._open(following, Call(token))
            return True
        node = self.variables[token.text] if token.text in self.variables else self._input(token)
        self.values.append(_make(Value, (node, token.start, token.end)))
        return False

    def _is_module(self, token: Token) -> bool:
        """Whether a name is the module in `torch.exp(x)`, and not a variable with a method, as in `F.exp()`."""
        dot, name, *call = (*self.tokens[self.position + 1 : self.position + 5], token, token)[:4]
        if dot.text != "." or name.kind != NAME or token.text in self.variables or token.text in self.given:
            return False
        return [part.text for part in call] != ["(", ")"]

    def _input(self, token: Token) -> int:
        """The node of a name that no statement has defined."""
        name = token.text
        if name not in self.given:
            if name in SYMBOLIC_CONSTANTS or name == "π":
                return self.graph.constant("pi" if name == "π" else name)
            refuse_name(self.text, self.graph, token)
        self.first_use.setdefault(name, token)
        return self.graph.input(name)

    def _number(self, token: Token) -> int:
        number = read_number(token.text)
        if number is None:
            raise self.error("this number is too large, too small or too long", token, "no dtype could hold it")
        node = self.graph.constant(number)
        self.graph.places.setdefault(node, (token.start, token.end))
        return node

    def _reduce(self, precedence: int) -> None:
        """Apply the waiting operators that bind at least as tightly as `precedence`; brackets never do."""
        graph, values, stack = self.graph, self.values, self.stack
        nodes = graph.nodes
        while stack and stack[-1].precedence >= precedence:
            rule, _, token, _ = stack.pop()
            right = values.pop()
            if rule == "neg":
                operands, start = [right], token.start
            else:
                left = values.pop()
                operands, start = [left, right], left.start
            for value in operands:
                if nodes[value.node].rule in COMPARISONS:
                    hint = "comparisons belong in the condition of where(…) and cannot be chained"
                    raise self.error("this comparison is used as a number", value, hint)
            if rule == "neg" and is_number(graph, right.node):
                node = graph.constant(-nodes[right.node].value)  # type: ignore[operator]
            else:
                node = self._apply(rule, [value.node for value in operands], start, right.end)
            values.append(_make(Value, (node, start, right.end)))

    def _apply(self, rule: str, inputs: Iterable[int], start: int, end: int, settings: tuple[Any, ...] = ()) -> int:
        node = self.graph.apply(rule, *inputs, settings=settings)
        self.graph.places.setdefault(node, (start, end))
        self.operations += 1
        check_operations(self.operations)
        return node
