"""The expressions of the rule table and of the rewrites, each parsed once, the first time that it is needed.

In their graphs a setting that is a word stands for the setting of that name, and any other one for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple, TypeVar

from gradexplain.language import calls
from gradexplain.language.graph import CONSTANT, INPUT, Graph, Node
from gradexplain.language.parser import Parser
from gradexplain.language.reader import Call, Reader, Value, Word
from gradexplain.language.tokens import Token
from gradexplain.rules.table import ELEMENTWISE, RULES

T = TypeVar("T")
# How many tensors go into what only these expressions may say; what follows them are settings.
PHRASES = {
    "restored": 1, "averaged": 1, "reduced": 1, "target": 1, "target_sum": 1, "target_gradient": 2, "part_of_cat": 1,
    "part_of_stack": 1, "unpermuted": 1, "product": 2, "symmetric": 1, "eye_like": 1, "swapped": 1, "each": 1,
    "diagonal_like": 2,
}  # fmt: skip


class Template(NamedTuple):
    """An expression of a rule: its graph, its root, and for each of `a`, `b`, …, `out` the node that stands for it."""

    graph: Graph
    root: int
    places: dict[str, int]


@cache
def template(text: str) -> Template:
    """The template of an expression.

    >>> sorted(template("1 - out**2").places), sorted(template("g @ swapped(b)").places)
    (['out'], ['b', 'g'])
    """
    read, graph, made = Graph(), Graph(), dict[int, int]()
    read.is_template = graph.is_template = True
    root = Parser(text, read, call=_called, properties={"T": _swapped}).expression("").node
    # What was read as an input and turned out to be a setting is left behind.
    for i in sorted(read.inputs_first(root)):
        rule, inputs, value, settings = read.nodes[i]
        if rule == INPUT:
            made[i] = graph.input(str(value))
        elif rule == CONSTANT:
            made[i] = graph.constant(value)  # type: ignore[arg-type]
        else:
            made[i] = graph.apply(rule, *[made[j] for j in inputs], settings=settings)
    return Template(graph, made[root], {str(graph.nodes[i].value): i for i in graph.inputs})


def evaluated(
    text: str, named: Mapping[str, T], constant: Callable[[Any], T], apply: Callable[[str, Sequence[T]], T]
) -> T:
    """An expression with elementwise rules only, made by what makes a constant and applies a rule.

    >>> evaluated("2*a - out", {"a": "x", "out": "y"}, str, lambda rule, parts: f"{rule}({', '.join(parts)})")
    'sub(mul(2, x), y)'
    """
    graph, root, _ = template(text)
    made: list[T] = []
    for rule, inputs, value, _ in graph.nodes[: root + 1]:
        if rule == INPUT:
            made.append(named[str(value)])
        else:
            made.append(constant(value) if rule == CONSTANT else apply(rule, [made[j] for j in inputs]))
    return made[root]


@cache
def partial(rule: str, slot: int) -> Template:
    """The local derivative of a rule with respect to its input `slot` (from 0)."""
    return template(RULES[rule].partials[slot])


def is_exception(graph: Graph, node: Node) -> bool:
    """Whether a choice in a row is one that formulas in general leave out: a rule's own exception for one number, or
    what it does above a setting, such as the threshold of softplus."""
    if node.rule != "where":
        return False
    condition = graph.nodes[node.inputs[0]]
    last = graph.nodes[condition.inputs[-1]].rule if condition.inputs else ""
    return (condition.rule, last) in (("eq", CONSTANT), ("gt", INPUT))


def _swapped(graph: Graph, node: int) -> int:
    return graph.apply("swapped", node)


def _called(parser: Reader, call: Call, end: Token) -> Value:
    """A call of an elementwise function as in any formula; of any other one, a node of its name."""
    name, given = call.name.text, call.arguments
    rule = None if name in ELEMENTWISE else RULES.get(name)
    if rule is None and name not in PHRASES:
        return calls.called(parser, call, end)
    count = len(rule.pullbacks) if rule else PHRASES[name]
    settings = [_plain(parser.graph, value) for value in given[count:]]
    if rule:
        settings += [default for _, default, _ in rule.settings[len(settings) :]]
    node = parser.graph.apply(name, *[value.node for value in given[:count]], settings=tuple(settings))
    return Value(node, call.name.start, end.end)


def _plain(graph: Graph, given: Value) -> Any:
    """The word or the number in the place of a setting."""
    if isinstance(given.content, Word):
        return given.content.value
    value = graph.nodes[given.node].value
    return int(value) if isinstance(value, Fraction) else str(value)
