"""The expressions of the table for tensors, and of the rewrites, each parsed once."""

from __future__ import annotations

from functools import cache

from gradexplain.calculus.templates import Template
from gradexplain.language.expression import ExpressionParser, Pending
from gradexplain.language.functions import Call, Value
from gradexplain.language.graph import Graph
from gradexplain.language.tokens import Token

_PRODUCT = 3


class _RowParser(ExpressionParser):
    """Reads the expressions of the tensor table: every name is an input, every call a node, whatever it is called."""

    def _operator(self, token: Token) -> bool:
        if token.text == "@":
            self._reduce(_PRODUCT)
            self.stack.append(Pending("matmul", _PRODUCT, token))
            return True
        return super()._operator(token)

    def _called(self, call: Call, end: Token) -> Value:
        node = self.graph.apply(call.name.text, *[value.node for value in call.arguments])
        return Value(node, call.name.start, end.end)

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
    graph = Graph()
    graph.is_template = True
    root = _RowParser(text, graph).expression("").node
    return Template(graph, root, {str(graph.nodes[i].value): i for i in graph.inputs})
