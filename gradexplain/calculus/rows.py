"""The expressions of the table for tensors, and of the rewrites, each parsed once.

In their graphs a setting that is a word stands for the setting of that name, and any other one for itself.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

from gradexplain.calculus.templates import Template
from gradexplain.language.expression import ExpressionParser, Pending
from gradexplain.language.functions import Call, Value
from gradexplain.language.graph import INPUT, Graph
from gradexplain.language.tokens import WORDS, Token
from gradexplain.rules.table import ELEMENTWISE, RULES

_PRODUCT = 3
# How many tensors go into what only the rows may say; what follows them are settings.
PHRASES = {
    "restored": 1, "averaged": 1, "reduced": 1, "target": 1, "target_sum": 1, "target_gradient": 2, "part_of_cat": 1,
    "part_of_stack": 1, "unpermuted": 1, "product": 2, "symmetric": 1, "eye_like": 1, "swapped": 1, "each": 1,
    "diagonal_like": 2,
}  # fmt: skip


class _RowParser(ExpressionParser):
    """Reads the expressions of the tensor table: every name is an input, every call a node, whatever it is called."""

    def _operator(self, token: Token) -> bool:
        if token.text == "@":
            self._reduce(_PRODUCT)
            self.stack.append(Pending("matmul", _PRODUCT, token))
            return True
        return super()._operator(token)

    def _called(self, call: Call, end: Token) -> Value:
        name, given = call.name.text, [value.node for value in call.arguments]
        rule = None if name in ELEMENTWISE else RULES.get(name)
        count = len(given) if rule is None or rule.any_number else len(rule.pullbacks)
        count = PHRASES.get(name, count)
        settings = [self._plain(node) for node in given[count:]]
        if rule is not None:
            settings += [default for _, default in rule.settings[len(settings) :]]
        node = self.graph.apply(name, *given[:count], settings=tuple(settings))
        return Value(node, call.name.start, end.end)

    def _plain(self, node: int) -> Any:
        """The word or the number in the place of a setting."""
        value = self.graph.nodes[node].value
        return int(value) if isinstance(value, Fraction) else WORDS.get(str(value), str(value))

    def _method(self) -> bool:
        value = self.values.pop()
        self.values.append(Value(self.graph.apply("swapped", value.node), value.start, value.end))
        self.position += 1
        return False


@cache
def row(text: str) -> Template:
    """An expression of the tensor table, parsed once.

    >>> sorted(row("g @ swapped(b)").places)
    ['b', 'g']
    """
    read, graph = Graph(), Graph()
    read.is_template = graph.is_template = True
    root = _RowParser(text, read).expression("").node
    # What was read as an input and turned out to be a setting is left behind.
    known = {i: graph.input(str(read.nodes[i].value)) for i in read.inputs_first(root) if read.nodes[i].rule == INPUT}
    root = read.rebuilt(root, known, graph.constant, graph.apply)
    return Template(graph, root, {str(graph.nodes[i].value): i for i in graph.inputs})
