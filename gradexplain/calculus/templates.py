"""The expressions in the rule table, each parsed once, the first time that it is needed."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from gradexplain.language.expression import ExpressionParser
from gradexplain.language.graph import Graph
from gradexplain.rules.table import RULES


class Template(NamedTuple):
    """An expression of a rule: its graph, its root, and for each of `a`, `b`, …, `out` the node that stands for it."""

    graph: Graph
    root: int
    places: dict[str, int]


@cache
def template(text: str) -> Template:
    """The template of an expression in `a`, `b`, `c` and `out`.

    >>> sorted(template("1 - out**2").places)
    ['out']
    """
    graph = Graph()
    graph.is_template = True
    root = ExpressionParser(text, graph).expression("").node
    return Template(graph, root, {str(graph.nodes[i].value): i for i in graph.inputs})


@cache
def partial(rule: str, slot: int) -> Template:
    """The local derivative of a rule with respect to its input `slot` (from 0)."""
    return template(RULES[rule].partials[slot])
