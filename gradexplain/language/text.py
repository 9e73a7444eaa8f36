"""Graph -> text in the person's own order and names; a style is a table of rows, one for each way of writing."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from gradexplain.language import tensor_text
from gradexplain.language.graph import CONSTANT, INPUT, Graph, Node
from gradexplain.language.numerals import write_fraction
from gradexplain.language.tensor_notation import MATHML_NOTATION, POSTFIX
from gradexplain.rules.table import RULES

PRECEDENCE = {
    "gt": 1, "ge": 1, "lt": 1, "le": 1, "eq": 1, "ne": 1, "add": 2, "sub": 2, "mul": 3, "div": 3, "neg": 4, "pow": 5,
}  # fmt: skip
ATOM = 6


class Row(NamedTuple):
    """How one rule is written: the pattern, how tightly the whole binds, and how tightly each input must."""

    pattern: str
    precedence: int
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Style:
    """One way of writing: rows for the rules that are not written as calls, and how the small parts look."""

    rows: Mapping[str, Row]
    name: Callable[[str], str]
    number: Callable[[str], str]
    group: str
    call: str
    comma: str
    function: Callable[[str], str] = str
    # How rules without a row are written that are no plain calls; those of `postfix` stand behind their input; and the
    # pattern of a product element by element, where it is not that of numbers.
    special: Callable[[Graph, int], list[tensor_text.Part] | None] = tensor_text.parts
    postfix: frozenset[str] = frozenset()
    elementwise: str = ""


def operators(patterns: Mapping[str, str]) -> dict[str, Row]:
    """Rows for the operators: a right side binds more tightly than its operator, for powers the left side does."""
    sides = {1: (2, 2), 2: (2, 3), 3: (3, 5), 4: (5,), 5: (ATOM, 5)}
    return {rule: Row(patterns[rule], own, sides[own]) for rule, own in PRECEDENCE.items()}


_PLAIN = {rule: f"{{0}} {RULES[rule].symbol} {{1}}" for rule in PRECEDENCE}
_PLAIN |= {"mul": "{0}*{1}", "div": "{0}/{1}", "pow": "{0}**{1}", "neg": "-{0}"}
PLAIN = Style({**operators(_PLAIN), "identity": Row("{0}", 1, (1,))}, str, str, "({0})", "{0}({1})", ", ")
# The same with a raised dot for products, as in `1 - 0.1·(-8)`.
TIMES = replace(PLAIN, rows={**PLAIN.rows, "mul": PLAIN.rows["mul"]._replace(pattern="{0}·{1}")})

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
        **operators(_MATHML),
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
    special=MATHML_NOTATION.parts,
    postfix=POSTFIX,
    elementwise="<mrow>{0}<mo>⊙</mo>{1}</mrow>",
)


def write(graph: Graph, root: int, names: Mapping[int, str], style: Style = PLAIN) -> str:
    """The node `root` as text; nodes in `names` are written by name, but for `root` itself.

    First how tightly each part binds, from the leaves up, then the pieces from left to right: the time is linear in the
    length of the text, however deep the formula is.

    >>> from gradexplain.language.parse import parse
    >>> graph = parse("(y - (w*x+b))**2")
    >>> write(graph, graph.objective, {})
    '(y - (w*x + b))**2'
    """
    bindings = _bindings(graph, root, names, style)
    before, after = style.group.split("{0}")
    pieces: list[str] = []
    stack: list[str | int] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            pieces.append(item)
        elif item in names and item != root:
            pieces.append(style.name(names[item]))
        elif graph.nodes[item].value is not None:
            pieces.append(_leaf(graph.nodes[item], style))
        else:
            for part in reversed(_parts(graph, item, style)):
                if isinstance(part, tuple):
                    slot, j = part
                    grouped = _needs_group(graph, item, slot, bindings, style)
                    stack.extend((after, j, before) if grouped else (j,))
                else:
                    stack.append(part)
    return "".join(pieces)


def write_part(graph: Graph, i: int) -> str:
    """The text of a node, in brackets where something could be written behind it."""
    text = write(graph, i, graph.names)
    if i in graph.names:
        return graph.names[i]
    bracketed = graph.nodes[i].inputs and not text.isidentifier() and not text.endswith((")", "]", ".T"))
    return f"({text})" if bracketed else text


class _Binding(NamedTuple):
    """How tightly a written part binds, and whether a minus sign comes first."""

    precedence: int
    minus: bool = False


def _bindings(graph: Graph, root: int, names: Mapping[int, str], style: Style) -> dict[int, _Binding]:
    done: dict[int, _Binding] = {}
    stack = [root]
    while stack:
        i = stack[-1]
        if i in done:
            stack.pop()
            continue
        node = graph.nodes[i]
        row = style.rows.get(node.rule)
        if (i in names and i != root) or node.rule == INPUT:
            done[i] = _Binding(ATOM)
        elif node.rule == CONSTANT:
            done[i] = _constant_binding(node.value)
        else:
            missing = [j for j in _written_inputs(graph, i) if j not in done]
            if missing:
                stack.extend(missing)
                continue
            if row is None:
                product = tensor_text.is_product(graph, i)
                done[i] = _Binding(PRECEDENCE["mul"], done[node.inputs[0]].minus) if product else _Binding(ATOM)
            else:
                first = done[node.inputs[0]]
                minus = node.rule == "neg" or (first.minus and first.precedence >= row.inputs[0] > 1)
                # The minus in `-A @ B` belongs to A as well as to the product.
                same = node.rule == "identity" or tensor_text.is_negative_product(graph, i)
                done[i] = _Binding(first.precedence if same else row.precedence, minus)
        stack.pop()
    return done


def _constant_binding(value: Fraction | str | None) -> _Binding:
    if not isinstance(value, Fraction):
        return _Binding(ATOM)
    precedence = PRECEDENCE["div"] if "/" in write_fraction(value) else PRECEDENCE["neg"] if value < 0 else ATOM
    return _Binding(precedence, value < 0)


def _leaf(node: Node, style: Style) -> str:
    if isinstance(node.value, Fraction):
        return style.number(write_fraction(node.value))
    return style.name(str(node.value))


def _written_inputs(graph: Graph, i: int) -> tuple[int, ...]:
    """The inputs of a node without those at the end that have their default value."""
    node = graph.nodes[i]
    inputs, defaults = node.inputs, RULES[node.rule].defaults
    for default in reversed(defaults):
        if graph.nodes[inputs[-1]].value != Fraction(default):
            break
        inputs = inputs[:-1]
    return inputs


def _parts(graph: Graph, i: int, style: Style) -> list[str | tuple[int, int]]:
    """The node as literal text and pairs (slot, input) in the order in which they are written."""
    rule, inputs = graph.nodes[i].rule, _written_inputs(graph, i)
    row = style.rows.get(rule)
    if row is None:
        special = style.special(graph, i)
        if special is not None:
            return special
        begin, end = style.call.format(style.function(graph.spelling.get(i, rule)), "{0}").split("{0}")
        parts: list[str | tuple[int, int]] = [begin]
        for slot, j in enumerate(inputs):
            parts += [style.comma, (slot, j)] if slot else [(slot, j)]
        return [*parts, end]
    # The pattern has the slots at odd places.
    split = _split(row.pattern)
    if rule == "mul" and row.pattern == "{0}*{1}" and tensor_text.is_scaled_product(graph, i):
        split = _split("{0} * {1}")
    elif rule == "mul" and style.elementwise and tensor_text.is_elementwise(graph, i):
        split = _split(style.elementwise)
    return [(int(part), inputs[int(part)]) if k % 2 else part for k, part in enumerate(split)]


@cache
def _split(pattern: str) -> list[str]:
    return re.split(r"\{(\d)\}", pattern)


def _needs_group(graph: Graph, i: int, slot: int, bindings: Mapping[int, _Binding], style: Style) -> bool:
    """Whether an input has to stand in brackets: it binds too loosely, or begins with a minus after an operator."""
    node = graph.nodes[i]
    row = style.rows.get(node.rule)
    product = bool(node.inputs) and tensor_text.is_product(graph, node.inputs[slot])
    if tensor_text.is_product(graph, i):
        # A product of matrices goes from left to right; other products inside of one stand in brackets.
        if slot == 0 and style.elementwise and tensor_text.is_scaled(graph, node.inputs[0]):
            return False
        return bindings[node.inputs[slot]].precedence < PRECEDENCE["neg"] and (slot > 0 or not product)
    if row is None:
        postfix = node.rule in style.postfix or tensor_text.is_postfix(graph, i)
        return postfix and bindings[node.inputs[slot]].precedence < ATOM
    if product and tensor_text.is_scaled_product(graph, i, slot):
        return node.rule == "neg" and bindings[node.inputs[slot]].minus
    product = product or (bool(node.inputs) and tensor_text.is_negative_product(graph, node.inputs[slot]))
    if product and node.rule in ("mul", "div") and bindings[node.inputs[slot]].precedence < ATOM:
        return True
    part, least = bindings[node.inputs[slot]], row.inputs[slot]
    minus_inside = part.minus and (slot > 0 or node.rule == "neg") and row.precedence < ATOM and least > 1
    return part.precedence < least or minus_inside
