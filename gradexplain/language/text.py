"""Graph -> text in the person's own order and names; a style is a table of rows, one for each way of writing."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from gradexplain.language.graph import CONSTANT, INPUT, Graph
from gradexplain.language.numerals import write_fraction
from gradexplain.language.rules import RULES

PRECEDENCE = {
    "gt": 1, "ge": 1, "lt": 1, "le": 1, "eq": 1, "ne": 1, "add": 2, "sub": 2, "mul": 3, "div": 3, "neg": 4, "pow": 5,
}  # fmt: skip
ATOM = 6


class Row(NamedTuple):
    """How one rule is written: the pattern, how tightly the whole binds, and how tightly each input must."""

    pattern: str
    precedence: int
    inputs: tuple[int, ...]


class _Part(NamedTuple):
    """A written subexpression: how tightly it binds, and whether a minus sign comes first."""

    text: str
    precedence: int
    minus: bool = False


@dataclass(frozen=True)
class Style:
    """One way of writing: rows for the rules that are not written as calls, and how the small parts look."""

    rows: Mapping[str, Row]
    name: Callable[[str], str]
    number: Callable[[str], str]
    group: str
    call: str
    comma: str


def _operators(patterns: Mapping[str, str]) -> dict[str, Row]:
    """Rows for the operators: a right side binds more tightly than its operator, for powers the left side does."""
    sides = {1: (2, 2), 2: (2, 3), 3: (3, 5), 4: (5,), 5: (ATOM, 5)}
    return {rule: Row(patterns[rule], own, sides[own]) for rule, own in PRECEDENCE.items()}


_PLAIN = {rule: f"{{0}} {RULES[rule].symbol} {{1}}" for rule in PRECEDENCE}
_PLAIN |= {"mul": "{0}*{1}", "div": "{0}/{1}", "pow": "{0}**{1}", "neg": "-{0}"}
PLAIN = Style({**_operators(_PLAIN), "identity": Row("{0}", 1, (1,))}, str, str, "({0})", "{0}({1})", ", ")

_OPERATOR_SIGNS = {
    "add": "+",
    "sub": "−",
    "mul": "⋅",
    "gt": "&gt;",
    "ge": "≥",
    "lt": "&lt;",
    "le": "≤",
    "eq": "=",
    "ne": "≠",
}
_MATHML = {rule: f"<mrow>{{0}}<mo>{sign}</mo>{{1}}</mrow>" for rule, sign in _OPERATOR_SIGNS.items()}
_MATHML |= {"neg": "<mrow><mo>−</mo>{0}</mrow>", "div": "", "pow": ""}


def mathml_name(name: str) -> str:
    """A name as MathML: what follows the first underscore becomes a subscript.

    >>> mathml_name("y_pred")
    '<msub><mi>y</mi><mtext>pred</mtext></msub>'
    """
    stem, _, index = name.partition("_")
    if stem and index:
        return f"<msub><mi>{html.escape(stem)}</mi><mtext>{html.escape(index)}</mtext></msub>"
    return f"<mi>{html.escape(name)}</mi>"


MATHML = Style(
    {
        **_operators(_MATHML),
        "div": Row("<mfrac>{0}{1}</mfrac>", 3, (1, 1)),
        "pow": Row("<msup>{0}{1}</msup>", 5, (ATOM, 1)),
        "sqrt": Row("<msqrt>{0}</msqrt>", ATOM, (1,)),
        "abs": Row("<mrow><mo>|</mo>{0}<mo>|</mo></mrow>", ATOM, (1,)),
        "exp": Row("<msup><mi>e</mi>{0}</msup>", 5, (1,)),
        "identity": Row("{0}", 1, (1,)),
    },
    mathml_name,
    lambda text: f"<mn>{html.escape(text)}</mn>",
    "<mrow><mo>(</mo>{0}<mo>)</mo></mrow>",
    "<mrow><mi>{0}</mi><mo>(</mo>{1}<mo>)</mo></mrow>",
    "<mo>,</mo>",
)


def write(graph: Graph, root: int, names: Mapping[int, str], style: Style = PLAIN, unfold: bool = True) -> str:
    """The node `root` as text; nodes in `names` are written by name, `root` itself only without `unfold`.

    >>> from gradexplain.language.parse import parse
    >>> graph = parse("(y - (w*x+b))**2")
    >>> write(graph, graph.objective, {})
    '(y - (w*x + b))**2'
    """
    nodes = graph.nodes
    done: dict[int, _Part] = {}
    stack = [root]
    while stack:
        i = stack[-1]
        if i in done:
            stack.pop()
            continue
        node = nodes[i]
        if i in names and (i != root or not unfold):
            done[i] = _Part(style.name(names[i]), ATOM)
        elif node.rule == INPUT:
            done[i] = _Part(style.name(str(node.value)), ATOM)
        elif node.rule == CONSTANT:
            done[i] = _constant(node.value, style)
        else:
            inputs = _written_inputs(graph, i)
            missing = [j for j in inputs if j not in done]
            if missing:
                stack.extend(missing)
                continue
            done[i] = _operation(graph, i, [done[j] for j in inputs], style)
        stack.pop()
    return done[root].text


def _constant(value: Fraction | str | None, style: Style) -> _Part:
    if not isinstance(value, Fraction):
        return _Part(style.name(str(value)), ATOM)
    text = write_fraction(value)
    precedence = PRECEDENCE["div"] if "/" in text else PRECEDENCE["neg"] if value < 0 else ATOM
    return _Part(style.number(text), precedence, value < 0)


def _written_inputs(graph: Graph, i: int) -> tuple[int, ...]:
    """The inputs of a node without those at the end that have their default value."""
    node = graph.nodes[i]
    inputs, defaults = node.inputs, RULES[node.rule].defaults
    for default in reversed(defaults):
        if graph.nodes[inputs[-1]].value != Fraction(default):
            break
        inputs = inputs[:-1]
    return inputs


def _operation(graph: Graph, i: int, inputs: list[_Part], style: Style) -> _Part:
    rule = graph.nodes[i].rule
    row = style.rows.get(rule)
    if row is None:
        name = graph.spelling.get(i, rule)
        return _Part(style.call.format(name, style.comma.join(part.text for part in inputs)), ATOM)
    parts = []
    for slot, (part, least) in enumerate(zip(inputs, row.inputs, strict=True)):
        minus_inside = part.minus and (slot > 0 or rule == "neg") and row.precedence < ATOM and least > 1
        parts.append(style.group.format(part.text) if part.precedence < least or minus_inside else part.text)
    precedence = inputs[0].precedence if rule == "identity" else row.precedence
    minus = rule == "neg" or (inputs[0].minus and inputs[0].precedence >= row.inputs[0] > 1)
    return _Part(row.pattern.format(*parts), precedence, minus)
