"""Calls by name: which function a name means, whether its arguments fit, and its node."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache

from gradexplain.errors import nearest
from gradexplain.language.absent import why_absent
from gradexplain.language.arguments import HOW, Arguments, is_boolean, is_number, unknown_keyword
from gradexplain.language.functions import only_numbers
from gradexplain.language.layers import LAYERS
from gradexplain.language.meanings import MEANINGS, Meaning, meaning_of
from gradexplain.language.modules import METHOD, NAMES, NUMPY, TORCH, check_name
from gradexplain.language.reader import Call, Reader, Value, Word
from gradexplain.language.reducing import either
from gradexplain.language.signatures import ALSO, Argument
from gradexplain.language.tokens import Token
from gradexplain.rules.products import PRODUCTS
from gradexplain.rules.row import Rule
from gradexplain.rules.settings import APPROXIMATION
from gradexplain.rules.shapes import ShapeProblem
from gradexplain.rules.table import ALIASES, ELEMENTWISE, RULES

# With two arguments and more these compare element by element; those of them that take any number.
VARIADIC = {"max": "maximum", "min": "minimum", "maximum": "maximum", "minimum": "minimum"}
# Names of the first inputs of elementwise functions, where they are not `input` and `other`.
_FIRST = {"where": ("condition",), "polygamma": ("n", "input")}


def rule_of(name: str) -> Rule | None:
    """The rule that a function name means, by its id or an alias.

    >>> rule_of("arctan2").name, rule_of("mm").name
    ('atan2', 'matmul')
    """
    return RULES.get(ALIASES.get(name, name))


def takes_words(name: str) -> bool:
    """Whether a word in quotation marks may stand in a call: of what the language knows, or knows that it has not."""
    return rule_of(name) is not None or name in MEANINGS or name in LAYERS or why_absent(name) != ""


def called(parser: Reader, call: Call, end: Token) -> Value:
    """The value of a call that ends with `end`. Raises FormulaError."""
    name, graph, module = call.name.text, parser.graph, call.module
    # What a method is called on stands before its name.
    start = min([call.name.start, *[value.start for value in call.arguments]])
    if module:
        check_name(parser, module, call.name)
    if call.settings:
        _add_settings(parser, call)
    rule = ELEMENTWISE.get(name)
    if rule is not None and len(call.arguments) == len(rule.partials) and not call.keywords and all(rule.partials):
        # As most calls are.
        inputs = [value.node for value in call.arguments if value.content is None and not is_boolean(graph, value.node)]
        if len(inputs) == len(rule.partials) and module != "math":
            return Value(parser.node(name, inputs, start, end.end), start, end.end)
    meaning = meaning_of(module, name)
    given = [value.node for value in call.arguments if value.content is None]
    try:
        if meaning is None or (name in VARIADIC and _compares(parser, call)):
            return _elementwise(parser, call, start, end.end)
        return _of_tensors(parser, meaning, call, start, end.end)
    except ShapeProblem as problem:
        raise parser.problem(problem, start, end.end, given) from None


def _add_settings(parser: Reader, call: Call) -> None:
    """Put the settings of a layer behind the arguments that it is called with."""
    for key, value in call.settings.items():
        if key in call.keywords:
            raise parser.error(f"the argument {key} is given twice", call.keywords[key])
        call.keywords[key] = value


def _of_tensors(parser: Reader, meaning: Meaning, call: Call, start: int, end: int) -> Value:
    """A function that is not elementwise."""
    graph, name = parser.graph, call.name.text
    arguments = Arguments(parser, call, meaning.parameters(), start, end)
    node = meaning.make(arguments)
    row = RULES.get(graph.nodes[node].rule)
    own = MEANINGS.get(name) is meaning
    if own and row and ((name in RULES and row.name in PRODUCTS) or (name in row.aliases and name[0].islower())):
        graph.spelling.setdefault(node, name)
    return Value(node, start, end, None, arguments.pair)


def _compares(parser: Reader, call: Call) -> bool:
    """Whether `max` or `min` compares its arguments element by element, and does not go along an axis of the first.

    PyTorch takes a whole number behind a tensor for an axis, and so does NumPy with whatever comes second.
    """
    values, graph = call.arguments, parser.graph
    if call.name.text not in ("max", "min"):
        return True
    if "other" in call.keywords:
        values = [*values, call.keywords.pop("other")]
        call.arguments[:] = values
    if len(values) < 2 or call.module == NUMPY or any(isinstance(value.content, Word) for value in values[1:]):
        return False
    first, second = values[:2]
    if call.module not in (TORCH, METHOD) or second.content is not None or not is_number(graph, second.node):
        return not call.keywords
    whole = Fraction(graph.nodes[second.node].value or 0).denominator == 1
    if whole and first.content is None and not graph.shapes[first.node]:
        name = call.name.text
        hint = f"write {name}(a, b) for the {'larger' if name == 'max' else 'smaller'} of two numbers"
        raise ShapeProblem("PyTorch takes a whole number here for an axis, and a single number has none", hint)
    return not whole


# Elementwise functions


@cache
def _names(rule: str) -> tuple[str, ...]:
    """The names of the inputs of an elementwise rule in PyTorch, in the order of the rule."""
    row = ELEMENTWISE[rule]
    first = _FIRST.get(rule, ("input", "other"))
    return (*first[: len(row.partials) - len(row.keywords)], *row.keywords)


@cache
def _parameters(rule: str, module: str) -> tuple[Argument, ...]:
    """The places of the inputs of an elementwise rule; a method is called on `input`."""
    names = _names(rule)
    if module == METHOD:
        names = ("input", *[name for name in names if name != "input"])
    more = [Argument("approximate", "none", APPROXIMATION, by_name=True)] if rule == "gelu" else []
    return (*[Argument(name, None) for name in names], *more)


def _elementwise(parser: Reader, call: Call, start: int, end: int) -> Value:
    name = call.name.text
    rule, more = _named_rule(parser, call), call.arguments[2:] if name in VARIADIC else []
    _check_count(parser, call, rule, len(more))
    del call.arguments[len(call.arguments) - len(more) :]
    given = Arguments(parser, call, _parameters(rule.name, call.module), start, end)
    if rule.name == "gelu" and given.setting("approximate") == "tanh":
        rule = RULES["gelu_tanh"]
    only_numbers(given)
    if rule.name == "clamp":
        rule = _clamp(given)
    node = _made(rule, _filled(rule, given), given)
    for value in more:
        _check_kinds(rule, [Value(node, start, end), value], given)
        node = _made(rule, [node, parser.solid(value, "another function")], given)
    compares = name in ("max", "min") and not more and not call.module
    return Value(node, start, end, None, either(given) if compares else "")


def _made(rule: Rule, inputs: Sequence[int], given: Arguments) -> int:
    name, graph = given.name.text, given.graph
    node = given.apply(rule.name, *inputs)
    # With a number behind a tensor, max(x, 1) would look like a maximum along an axis.
    looks_else = name in ("max", "min") and graph.shapes[inputs[0]] and is_number(graph, inputs[1])
    if name != rule.name and not rule.symbol and not looks_else and rule_of(name) in (rule, RULES["clamp"]):
        graph.spelling.setdefault(node, name)
    return node


def _named_rule(parser: Reader, call: Call) -> Rule:
    name = call.name.text
    rule = rule_of(name)
    if rule is not None and rule.partials:
        return rule
    message, hint = f"unknown function {name}", why_absent(name)
    if hint:
        message = f"{name} is not in the language"
    elif call.module in NAMES:
        hint = nearest(name, NAMES[call.module])
    else:
        hint = nearest(name, [*RULES, *ALIASES, *MEANINGS])
    if not hint and len(name) <= 2:
        hint = f"to multiply, write {name}*(…)"
    raise parser.error(message, call.name, hint or "gradexplain rules lists all functions")


def _check_count(parser: Reader, call: Call, rule: Rule, more: int) -> None:
    """Refuse a number of arguments that an elementwise function never has."""
    names = _names(rule.name)
    keywords = [key for key in call.keywords if key not in HOW and (key != "approximate" or rule.name != "gelu")]
    for key in keywords:
        if key not in names and ALSO.get(key) not in names:
            raise unknown_keyword(parser, call.name.text, call.places[key], names)
    count, found = len(rule.partials), len(call.arguments) - more + len(keywords)
    least = 2 if rule.name == "clamp" else rule.required
    if least <= found <= count:
        return
    needs = str(count) if rule.required == count else f"{rule.required} to {count}"
    plural = "argument" + "s" * (needs != "1")
    hint = "clamp(x, min, max), clamp(x, min=…) or clamp(x, max=…)" if rule.name == "clamp" else ""
    raise parser.error(f"{call.name.text} takes {needs} {plural}, {found} given", call.name, hint)


def _clamp(given: Arguments) -> Rule:
    """The rule of a clamp with the bounds that it has; None is no bound."""
    for key in ("min", "max"):
        value = given.given.get(key)
        if value is not None and isinstance(value.content, Word) and value.content.value is None:
            del given.given[key]
    bounds = {"min", "max"} & {*given.given}
    if not bounds:
        raise given.error("clamp needs a bound", "clamp(x, min, max), clamp(x, min=…) or clamp(x, max=…)")
    return RULES["clamp" if len(bounds) == 2 else f"clamp_{bounds.pop()}"]


def _filled(rule: Rule, given: Arguments) -> list[int]:
    """The inputs in the order of the rule, defaults put in their places."""
    slots = [given.given.get(name) for name in _names(rule.name)]
    if None in slots[: rule.required]:
        raise given.error(f"an argument of {given.name.text} is missing")
    _check_kinds(rule, slots, given)
    defaults = [""] * rule.required + list(rule.defaults)
    return [
        given.graph.constant(Fraction(default)) if value is None else value.node
        for value, default in zip(slots, defaults, strict=True)
    ]


def _check_kinds(rule: Rule, values: Sequence[Value | None], given: Arguments) -> None:
    graph = given.graph
    for slot, value in enumerate(values):
        if value is None:
            continue
        value.node, value.content = given.parser.solid(value, "another function"), None
        boolean = is_boolean(graph, value.node)
        condition = rule.name == "where" and slot == 0
        if condition and not boolean and not graph.is_template:
            raise given.error("the condition of where must be a comparison, such as x > 0", "", value)
        if boolean and not condition:
            hint = "comparisons belong in the condition of where(…)"
            raise given.error("this comparison is used as a number", hint, value)
        setting = slot < len(rule.partials) and not rule.partials[slot] and not condition and not rule.boolean
        if setting and not graph.is_constant[value.node] and not graph.is_template:
            what = rule.keywords[slot - len(rule.partials) + len(rule.keywords)] if rule.keywords else "first argument"
            raise given.error(f"the {what} of {rule.name} must be a number, not a variable", "", value)
