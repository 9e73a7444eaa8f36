"""The expressions of the rule table as functions of exact numbers, compiled once for each precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradexplain.calculus.templates import template
from gradexplain.language.graph import CONSTANT, INPUT
from gradexplain.readings.arithmetic import ELEMENTARY, Number, constant, mp
from gradexplain.rules.rules import RULES

_functions: dict[str, Callable[..., Number]] = {}
_compiled: dict[tuple[str, int, int], Callable[[Sequence[Number]], Number]] = {}


def function(rule: str) -> Callable[..., Number]:
    """The operation of a rule as a function of numbers, from its definition where it is not elementary."""
    found = _functions.get(rule)
    if found is None:
        found = ELEMENTARY.get(rule)
        if found is None:
            row = RULES[rule]

            def found(*values: Number) -> Number:
                return expression(row.definition, len(values))(values)

        _functions[rule] = found
    return found


def expression(text: str, inputs: int) -> Callable[[Sequence[Number]], Number]:
    """An expression of the rule table as a function of the list of its inputs and, where it has one, the result.

    `inputs` is how many inputs the rule has; the constants are those of the current precision. With None for an input
    the result is None where it depends on it.
    """
    key = (text, inputs, mp.prec)
    if key not in _compiled:
        _compiled[key] = _compile(text, inputs)
    return _compiled[key]


def _compile(text: str, inputs: int) -> Callable[[Sequence[Number]], Number]:
    graph, root, places = template(text)
    slots = {name: k for k, name in enumerate("abcdefgh"[:inputs])} | {"out": inputs}
    where = {place: slots[name] for name, place in places.items()}
    constants: list[Number] = []
    steps: list[tuple[Callable[..., Number], tuple[int, ...]]] = []
    count = inputs + 1 + sum(node.rule == CONSTANT for node in graph.nodes)
    for i, node in enumerate(graph.nodes):
        if node.rule == CONSTANT:
            where[i] = inputs + 1 + len(constants)
            constants.append(constant(node.value))  # type: ignore[arg-type]
        elif node.rule != INPUT:
            where[i] = count + len(steps)
            steps.append((function(node.rule), tuple(where[j] for j in node.inputs)))
    last = where[root]
    if not steps:
        shift = last - inputs - 1
        return (lambda values: constants[shift]) if shift >= 0 else (lambda values: values[last])

    def run(values: Sequence[Number]) -> Number:
        registers = [*values, None] if len(values) == inputs else list(values)
        registers += constants
        complete = True
        for value in values:
            if value is None:
                complete = False
        for call, indices in steps:
            arguments = [registers[k] for k in indices]
            if not complete and any(argument is None for argument in arguments):
                chosen = call is ELEMENTARY["where"] and arguments[0] is not None
                registers.append(arguments[1 if arguments[0] else 2] if chosen else None)
            else:
                registers.append(call(*arguments))
        return registers[last]

    return run
