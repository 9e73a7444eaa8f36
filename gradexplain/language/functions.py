"""Calls by name: which rule a function name means, and whether its arguments fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from gradexplain.errors import FormulaError, nearest
from gradexplain.language.graph import CONSTANT, Graph
from gradexplain.language.tokens import Token
from gradexplain.rules.row import Rule
from gradexplain.rules.table import ALIASES, ELEMENTWISE, RULES

MODULES = frozenset(["torch", "F", "math", "np", "numpy", "nn", "functional", "special", "linalg"])
TENSOR_FUNCTIONS = frozenset(
    [
        "sum",
        "mean",
        "prod",
        "matmul",
        "dot",
        "outer",
        "norm",
        "softmax",
        "log_softmax",
        "logsumexp",
        "mse_loss",
        "l1_loss",
        "cross_entropy",
        "trace",
        "det",
        "inverse",
        "linear",
        "transpose",
        "reshape",
        "stack",
        "cat",
        "var",
        "std",
        "cumsum",
        "T",
        "amax",
        "amin",
        "einsum",
        "mm",
        "bmm",
        "conv1d",
        "conv2d",
        "layer_norm",
    ]
)
VARIADIC = {"max": "maximum", "min": "minimum", "maximum": "maximum", "minimum": "minimum"}
COMPARISONS = frozenset(rule.name for rule in RULES.values() if rule.boolean)


class Value(NamedTuple):
    """A node with the half-open range of the text that it was read from."""

    node: int
    start: int
    end: int


@dataclass(slots=True)
class Call:
    """A call whose bracket is open: its name, and the arguments read so far; `keyword` is that of the next one."""

    name: Token
    arguments: list[Value] = field(default_factory=list)
    keywords: dict[str, Value] = field(default_factory=dict)
    keyword: str = ""
    places: dict[str, Token] = field(default_factory=dict)


def rule_of(name: str) -> Rule | None:
    """The elementwise rule that a function name means, by its id or an alias.

    >>> rule_of("arctan2").name
    'atan2'
    """
    return ELEMENTWISE.get(ALIASES.get(name, name))


def function_names() -> list[str]:
    """Every name of an elementwise function, rule ids and aliases.

    >>> "swish" in function_names()
    True
    """
    return [*ELEMENTWISE, *(alias for rule in ELEMENTWISE.values() for alias in rule.aliases)]


def resolve_call(text: str, graph: Graph, call: Call) -> tuple[Rule, list[list[int]]]:
    """The rule that a call means and the inputs of each node to make, in order (more than one for `max(a, b, c)`).

    In a list of inputs, -1 stands for the node made before. Raises FormulaError for an unknown name, a wrong number of
    arguments, an unknown keyword, a condition that is no comparison and a setting that is no number.
    """
    name, values, keywords = call.name, call.arguments, call.keywords

    def error(message: str, hint: str = "", value: Value | None = None) -> FormulaError:
        place = value or Value(0, name.start, name.end)
        return FormulaError(message, text, place.start, place.end, hint)

    rule = _named_rule(name.text, error)
    for key, place in call.places.items():
        if _KEYWORD_SPELLINGS.get(key, key) not in rule.keywords:
            hint = nearest(key, rule.keywords)
            raise error(f"{name.text} has no argument {key}", hint, Value(0, place.start, place.end))
    keywords = {_KEYWORD_SPELLINGS.get(key, key): value for key, value in keywords.items()}
    if rule.name == "clamp" and len(values) + len(keywords) == 2:
        low = "min" in keywords or len(values) == 2
        rule = RULES["clamp_min" if low else "clamp_max"]
    if name.text in VARIADIC and len(values) > 2:
        _check_kinds(rule, graph, values, error)
        inputs = [[values[0].node, values[1].node], *([-1, value.node] for value in values[2:])]
        return rule, inputs
    if len(values) == len(rule.partials) and not keywords:
        _check_kinds(rule, graph, values, error)
        return rule, [[value.node for value in values]]
    return rule, [_fill(rule, name.text, graph, values, keywords, error)]


_KEYWORD_SPELLINGS = {"a_min": "min", "a_max": "max"}
_Error = Callable[..., FormulaError]


def _named_rule(name: str, error: _Error) -> Rule:
    rule = rule_of(name)
    if rule is not None:
        return rule
    if name in TENSOR_FUNCTIONS:
        raise error(f"{name} works on tensors, and this is a scalar formula", "write the sum out, a term each")
    hint = nearest(name, function_names())
    if not hint and len(name) <= 2:
        hint = f"to multiply, write {name}*(…)"
    raise error(f"unknown function {name}", hint or "gradexplain rules lists all functions")


def _fill(
    rule: Rule, name: str, graph: Graph, values: list[Value], keywords: dict[str, Value], error: _Error
) -> list[int]:
    """The inputs in the order of the rule, keywords and defaults put in their places."""
    count, given = len(rule.partials), len(values) + len(keywords)
    if not rule.required <= given <= count:
        needs = str(count) if rule.required == count else f"{rule.required} to {count}"
        plural = "argument" + "s" * (needs != "1")
        hint = "clamp(x, min, max), clamp(x, min=…) or clamp(x, max=…)" if rule.name == "clamp" else ""
        raise error(f"{name} takes {needs} {plural}, {given} given", hint)
    by_slot: dict[int, Value] = dict(enumerate(values))
    first_keyword = count - len(rule.keywords)
    for key, value in keywords.items():
        slot = first_keyword + rule.keywords.index(key)
        if slot in by_slot:
            raise error(f"the argument {key} of {name} is given twice", "", value)
        by_slot[slot] = value
    for slot in range(rule.required):
        if slot not in by_slot:
            raise error(f"an argument of {name} is missing")
    ordered: list[Value | None] = [by_slot.get(slot) for slot in range(count)]
    _check_kinds(rule, graph, ordered, error)
    filled = []
    for slot, entry in enumerate(ordered):
        default = rule.defaults[slot - rule.required] if entry is None else "0"
        filled.append(graph.constant(Fraction(default)) if entry is None else entry.node)
    return filled


def _check_kinds(rule: Rule, graph: Graph, values: Sequence[Value | None], error: _Error) -> None:
    for slot, value in enumerate(values):
        if value is None:
            continue
        boolean = is_boolean(graph, value.node)
        condition = rule.name == "where" and slot == 0
        if condition and not boolean and not graph.is_template:
            raise error("the condition of where must be a comparison, such as x > 0", "", value)
        if boolean and not condition:
            hint = "comparisons belong in the condition of where(…)"
            raise error("this comparison is used as a number", hint, value)
        setting = slot < len(rule.partials) and not rule.partials[slot] and not condition and not rule.boolean
        if setting and not graph.is_constant[value.node] and not graph.is_template:
            what = rule.keywords[slot - len(rule.partials) + len(rule.keywords)] if rule.keywords else "first argument"
            raise error(f"the {what} of {rule.name} must be a number, not a variable", "", value)


def is_boolean(graph: Graph, node: int) -> bool:
    """Whether the node is a comparison."""
    return node >= 0 and graph.nodes[node].rule in COMPARISONS


def is_number(graph: Graph, node: int) -> bool:
    """Whether the node is a number written out, such as `2` (and not `pi` or `1/3`)."""
    return graph.nodes[node].rule == CONSTANT and not isinstance(graph.nodes[node].value, str)
