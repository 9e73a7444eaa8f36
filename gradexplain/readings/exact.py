"""The exact reading: every value and every partial at 50 digits or more. It is the reference.

Lost digits are counted on the way; where too many are, the precision is raised until two of them agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gradexplain.calculus.backward import Step, Walk, reverse
from gradexplain.language.graph import CONSTANT, INPUT, Graph
from gradexplain.readings.arithmetic import ALL_BITS, NAN, Number, constant, exactly, finite, mp, to_floats
from gradexplain.readings.compiled import expression, function
from gradexplain.readings.digits import digits
from gradexplain.rules.table import ELEMENTWISE, RULES

DIGITS = (80, 180, 400, 900, 1700)
BITS_TO_LOSE = 90
LARGE_GRAPH = 3_000
# A contribution that is 0 because its branch was not taken: it stays 0 whatever it is multiplied by.
DEAD = 0
# A choice has the kinks of its condition.
_WITH_KINK = frozenset(rule.name for rule in ELEMENTWISE.values() if rule.kink and not rule.boolean) | {"where"}


@dataclass(frozen=True)
class Exact:
    """The exact values: `values` of every node (None where an input is missing), the walk, and the nodes at a kink.

    `bits` is the precision with which they were found.
    Numbers are mpmath's, True or False, or the int 0 for a contribution whose branch was not taken.
    """

    values: list[Number]
    walk: Walk[Number]
    kinks: frozenset[int]
    bits: int

    @cached_property
    def floats(self) -> list[Any]:
        """The values as the nearest floats."""
        return to_floats(self.values)

    @cached_property
    def gradients(self) -> dict[int, Any]:
        """The totals of the walk as the nearest floats, by node."""
        totals = self.walk.totals
        return dict(zip(totals, to_floats(totals.values()), strict=True))


def evaluate(graph: Graph, given: Mapping[int, Any], last: int | None = None, constants: bool = False) -> list[Number]:
    """The exact value of every node up to `last`, at the current precision.

    `given` has the values of the inputs, None for a missing one, and of the constants as the dtype holds them, and
    perhaps of other nodes, as floats or mpmath's numbers. With `constants`, other constants are taken exactly.
    """
    values: list[Number] = []
    is_constant = graph.is_constant
    complete = all(value is not None for value in given.values())
    for i, (rule, inputs, number, _) in enumerate(graph.nodes[: None if last is None else last + 1]):
        if i in given:
            value = given[i]
            values.append(exactly(value) if type(value) is float else None if value is None else mp.mpf(value))
        elif rule == CONSTANT and constants:
            values.append(constant(number))  # type: ignore[arg-type]
        elif rule == INPUT or (is_constant[i] and not constants):
            values.append(None)
        else:
            arguments = [values[j] for j in inputs]
            if complete or all(argument is not None for argument in arguments):
                values.append(function(rule)(*arguments))
            elif rule == "where" and arguments[0] is not None:
                values.append(arguments[1 if arguments[0] else 2])
            else:
                values.append(None)
    return values


def _is_nan(value: Number) -> bool:
    return value is not None and value != value


def _finite(value: Number) -> bool:
    return type(value) is bool or finite(value)


def _at_kink(graph: Graph, values: Sequence[Number], i: int) -> bool:
    """Whether node `i`, of a rule with kinks, is at one; for a choice, where its condition changes."""
    node = graph.nodes[i]
    if node.rule == "where":
        node = graph.nodes[node.inputs[0]]
    rule = RULES.get(node.rule)
    if rule is None or not rule.kink:
        return False
    distance = expression(rule.kink, len(node.inputs))([values[j] for j in node.inputs])
    return distance is not None and distance == 0


class _ExactReading:
    """Numbers for the reverse walk."""

    def __init__(self, graph: Graph, values: list[Number], upstream: float) -> None:
        self.graph, self.values, self.upstream = graph, values, upstream
        needed = graph.needed()
        places = [i for i, node in enumerate(graph.nodes[: len(values)]) if node.rule in _WITH_KINK and needed[i]]
        self.kinks = frozenset([i for i in places if _at_kink(graph, values, i)])
        # The nodes with values that are not finite: at a pole, or outside of a domain.
        self.poles = {i for i, value in enumerate(values) if value is not None and not _finite(value)}
        self.locals: dict[tuple[str, int], Callable[[Sequence[Number]], Number]] = {}

    def seed(self) -> Number:
        return mp.mpf(self.upstream)

    def contribution(self, i: int, slot: int, upstream: Number) -> tuple[Number, Number]:
        rule, inputs, _, _ = self.graph.nodes[i]
        call = self.locals.get((rule, slot))
        if call is None:
            partials = RULES[rule].partials
            call = self.locals[rule, slot] = expression(partials[slot], len(partials))
        values = self.values
        local = call([*[values[j] for j in inputs], values[i]])
        if rule in _WITH_KINK or i in self.poles:
            local = self._special(i, local)
        if upstream is DEAD or local is DEAD:
            return local, DEAD
        if upstream is None or local is None:
            return local, None
        return local, upstream * local

    def _special(self, i: int, local: Number) -> Number:
        """The local derivative where the rule has kinks, or the value is not finite."""
        values, (rule, inputs, _, _) = self.values, self.graph.nodes[i]
        if rule in _WITH_KINK:
            if RULES[rule].kink and any(_is_nan(values[j]) for j in inputs):
                return NAN
            if i not in self.kinks and local is not None and local == 0:
                return DEAD
        elif local is not None and finite(local):
            # At a pole of its own, or outside of its domain, a function has no derivative, whatever the formula says.
            here = all(values[j] is not None and finite(values[j]) for j in inputs)
            return NAN if here else local
        return local

    @staticmethod
    def add(first: Number, second: Number) -> Number:
        if first is DEAD:
            return second
        if second is DEAD:
            return first
        if first is None or second is None:
            return None
        return first + second


def run(graph: Graph, sources: Sequence[int], given: Mapping[int, float | None], upstream: float) -> Exact:
    """The exact values and contributions; `upstream` is the gradient of the objective with respect to itself.

    Terms as in `evaluate`; `sources` are the nodes whose gradients are wanted.
    """
    size, choices = len(graph.nodes), DIGITS[:2] if len(graph.nodes) > LARGE_GRAPH else DIGITS
    previous = None
    for count in choices:
        with digits(count) as lost:
            result = _with_precision(graph, sources, given, upstream, size)
            if previous is None and lost.bits < BITS_TO_LOSE:
                return result
            # A difference of 0 may still hide what only more digits can show.
            if previous is not None and lost.bits < ALL_BITS and _agree(previous, result):
                return result
        previous = result
    with digits(choices[-1] // 2):
        return _without_noise(_with_precision(graph, sources, given, upstream, size), result)


def at_point(
    graph: Graph, sources: Sequence[int], given: Mapping[int, Any], upstream: float, size: int, bits: int
) -> Exact:
    """The same as `run` at one precision, of `bits` bits, whatever it loses. Terms as there.

    `size` is the number of nodes that belong to the formula; closed forms may have been added to the graph since.
    """
    with digits(bits=bits):
        return _with_precision(graph, sources, given, upstream, size)


def _with_precision(
    graph: Graph, sources: Sequence[int], given: Mapping[int, Any], upstream: float, size: int
) -> Exact:
    values = evaluate(graph, given, size - 1)
    reading = _ExactReading(graph, values, upstream)
    walk = reverse(graph, sources, reading)
    return Exact(values, walk, reading.kinks, mp.prec)


def same(first: Any, second: Any) -> bool:
    """Whether two numbers are equal to about 15 digits, or both not finite, or both missing.

    >>> same(NAN, NAN)
    True
    >>> same(mp.mpf(1), mp.mpf(1) + mp.mpf(10) ** -20)
    True
    """
    if first is second:
        return True
    if first is None or type(first) is bool or type(first) is int or type(second) is int:
        return bool(first == second)
    if first._mpf_ == second._mpf_:
        return True
    if not (finite(first) and finite(second)):
        return bool(first == second or (first != first and second != second))
    return bool(abs(first - second) <= abs(second) * 1e-15)


def _agree(first: Exact, second: Exact) -> bool:
    return (
        first.kinks == second.kinks
        and all(map(same, first.values, second.values))
        and all(same(first.walk.totals[i], total) for i, total in second.walk.totals.items())
    )


def _settle(one: Number, other: Number) -> Number:
    """What shrinks as the digits grow is an exact 0 that rounding hides, and what grows is divided by such a 0."""
    if same(one, other):
        return other
    grows = finite(one) and (not finite(other) or abs(other) > abs(one))
    return NAN if grows else mp.zero


def _without_noise(first: Exact, second: Exact) -> Exact:
    """The result of two precisions without what only rounding leaves."""
    values = list(map(_settle, first.values, second.values))
    totals = {i: _settle(first.walk.totals[i], total) for i, total in second.walk.totals.items()}
    steps = {
        i: [Step(new.through, new.slot, new.upstream, new.local, _settle(old.value, new.value))
            for old, new in zip(first.walk.steps[i], rows, strict=True)]
        for i, rows in second.walk.steps.items()
    }  # fmt: skip
    return Exact(values, Walk(steps, totals, second.walk.order, second.walk.edges), second.kinks, second.bits)


def constant_value(graph: Graph, node: int) -> Number:
    """The exact value of a constant node; nan or an infinity where it has none, 0 for what only rounding leaves."""
    with digits(DIGITS[0]):
        one = _constant(graph, node)
    with digits(DIGITS[1]):
        return _settle(one, _constant(graph, node))


def _constant(graph: Graph, node: int) -> Number:
    values: dict[int, Number] = {}
    # Only what the node is made of: other parts of the graph may be no numbers.
    for i in graph.inputs_first(node):
        row = graph.nodes[i]
        values[i] = (
            constant(row.value) if row.value is not None else function(row.rule)(*[values[j] for j in row.inputs])
        )
    return values[node]
