"""The expressions of the rule table as functions of exact numbers, each compiled once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache, partial
from operator import itemgetter
from typing import Any

from gradexplain.calculus.templates import template
from gradexplain.language.graph import CONSTANT
from gradexplain.readings.arithmetic import DEAD, ELEMENTARY, Number, constant, exactly, mp, solid
from gradexplain.rules.table import RULES


@cache
def function(rule: str) -> Callable[..., Number]:
    """The operation of a rule as a function of numbers, from its definition where it is not elementary."""
    definition = RULES[rule].definition
    return ELEMENTARY.get(rule) or (lambda *values: expression(definition, len(values))(values))


@cache
def alive(rule: str) -> Callable[..., Number]:
    """A rule for numbers that may be DEAD: so is any product with them, and a sum does not notice them."""
    call = function(rule)
    if rule in ("identity", "where"):
        return call
    if rule in ("mul", "neg"):
        return lambda *values: DEAD if any(value is DEAD for value in values) else call(*values)
    if rule == "div":
        return lambda a, b: DEAD if a is DEAD else call(a, solid(b))
    if rule == "add":
        return lambda a, b: b if a is DEAD else a if b is DEAD else call(a, b)
    if rule == "sub":
        return lambda a, b: a if b is DEAD else call(solid(a), b)
    if rule == "heaviside":
        return lambda a, b: call(solid(a), b) if a == 0 else mp.one if a > 0 else DEAD
    return lambda *values: call(*map(solid, values))


def _is_exact(value: Any) -> bool:
    """Whether a constant is a float, so that no digits are lost where there are few."""
    return isinstance(value, Fraction) and float(value) == value


@cache
def expression(text: str, inputs: int, live: bool = False) -> Callable[[Sequence[Number]], Number]:
    """An expression of the rule table as a function of the list of its inputs and, where it has one, the result.

    `inputs` is how many inputs the rule has. With None for an input the result is None where it depends on it. With
    `live`, a 0 that the row writes down is DEAD: it stands for a branch that was not taken.
    """
    made = alive if live else function
    graph, root, places = template(text)
    slots = {name: k for k, name in enumerate("abcdefgh"[:inputs])} | {"out": inputs}
    where = {place: slots[name] for name, place in places.items()}
    values: dict[int, Any] = {i: node.value for i, node in enumerate(graph.nodes) if node.rule == CONSTANT}
    constants = {i: value for i, value in values.items() if _is_exact(value)}
    where |= {i: inputs + 1 + k for k, i in enumerate(constants)}
    known = [exactly(float(value)) if value or not live else DEAD for value in constants.values()]
    steps: list[tuple[Callable[..., Number], Callable[[Sequence[Number]], Sequence[Number]]]] = []
    for i, node in enumerate(graph.nodes):
        if i not in where:
            # A number such as pi or 0.1 has the digits of the hour.
            call = partial(constant, values[i]) if i in values else made(node.rule)
            steps.append((call, _picker([where[j] for j in node.inputs])))
            where[i] = inputs + len(known) + len(steps)
    last = where[root]
    if not steps:
        return itemgetter(last) if last <= inputs else lambda values: known[last - inputs - 1]

    def run(values: Sequence[Number]) -> Number:
        registers = [*values, None, *known] if len(values) == inputs else [*values, *known]
        for value in values:
            if value is None:
                return _with_gaps(registers, steps)[last]
        for call, pick in steps:
            registers.append(call(*pick(registers)))
        return registers[last]

    return run


def _picker(places: Sequence[int]) -> Callable[[Sequence[Number]], Sequence[Number]]:
    """What takes some elements of a list."""
    if len(places) > 1:
        return itemgetter(*places)
    start, end = (places[0], places[0] + 1) if places else (0, 0)
    return lambda values: values[start:end]


def _with_gaps(registers: list[Number], steps: Sequence[tuple[Callable[..., Number], Any]]) -> list[Number]:
    """The registers with the results of all steps, None where one depends on what is missing."""
    for call, pick in steps:
        arguments = pick(registers)
        if all(argument is not None for argument in arguments):
            registers.append(call(*arguments))
        else:
            chosen = call is ELEMENTARY["where"] and arguments[0] is not None
            registers.append(arguments[1 if arguments[0] else 2] if chosen else None)
    return registers
