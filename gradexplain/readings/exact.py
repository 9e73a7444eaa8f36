"""The exact reading: every value and every partial at 50 digits or more. It is the reference.

A value is a number of mpmath's, True or False, or for vectors and matrices an array of such numbers. Lost digits are
counted on the way; where too many are, the precision is raised until two of them agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gradexplain.calculus.backward import Step, Walk, reverse
from gradexplain.language.graph import CONSTANT, INPUT, Graph
from gradexplain.readings.arithmetic import ALL_BITS, NAN, Number, constant, exactly, finite, mp, solid, to_floats
from gradexplain.readings.arithmetic import DEAD as DEAD
from gradexplain.readings.compiled import function
from gradexplain.readings.digits import digits
from gradexplain.readings.exact_arrays import Value, each, elements, shape_of
from gradexplain.readings.exact_rules import Builder
from gradexplain.readings.exact_walk import ExactReading, known
from gradexplain.rules.table import ELEMENTWISE

DIGITS = (80, 180, 400, 900, 1700)
BITS_TO_LOSE = 90
LARGE_GRAPH = 3_000
# Gamma functions take seconds each at a thousand digits.
SLOW = frozenset(("lgamma", "digamma", "polygamma"))
# So many elements of vectors and matrices, and products of them, are worth exact arithmetic.
MAX_WORK = 20_000
SMALL_WORK = 100
# What is 0 but for rounding, or a root of it, gets smaller by more than this where the digits are doubled.
SHRINKING = 2.0**-16


@dataclass(frozen=True)
class Exact:
    """The exact values: `values` of every node (None where an input is missing), the walk, and the nodes at a kink.

    Numbers are mpmath's, True or False, or the int 0 for a contribution whose branch was not taken; what has axes is an
    array of them. `kinks` has by node the places, counted in order, of the elements that are at a kink: those of the
    result, or of what a reduction reads. `has_axes` says whether there are arrays. `bits` is the precision with which
    everything was found.
    """

    values: list[Value]
    walk: Walk[Value]
    kinks: Mapping[int, tuple[int, ...]]
    has_axes: bool
    bits: int

    @cached_property
    def floats(self) -> list[Any]:
        """The values as the nearest floats, an array as the list of its elements."""
        return self._floats(self.values)

    @cached_property
    def gradients(self) -> dict[int, Any]:
        """The totals of the walk as the nearest floats, by node."""
        totals = self.walk.totals
        return dict(zip(totals, self._floats(totals.values()), strict=True))

    def _floats(self, values: Iterable[Value]) -> list[Any]:
        if not self.has_axes:
            return to_floats(values)
        return [to_floats(elements(value)) if shape_of(value) else to_floats([value])[0] for value in values]


def work(graph: Graph, count: int) -> int:
    """About how many numbers the forward and backward pass of the first `count` nodes compute."""
    result = 0
    for i, node in enumerate(graph.nodes[:count]):
        inner = graph.lengths(node.inputs[0])[-1:] if node.inputs and node.rule not in ELEMENTWISE else ()
        result += math.prod((*graph.lengths(i), *inner))
    return result


def evaluate(graph: Graph, given: Mapping[int, Any], last: int | None = None, constants: bool = False) -> list[Value]:
    """The exact value of every node up to `last`, at the current precision.

    `given` has the values of the inputs, None for a missing one, and of the constants as the dtype holds them, and
    perhaps of other nodes: floats, mpmath's numbers, or arrays of these. With `constants`, and where there are axes,
    other constants are taken exactly.
    """
    if graph.needs_tensors():
        return _evaluate_arrays(graph, given, last)
    return _evaluate_numbers(graph, given, last, constants)


def _evaluate_numbers(graph: Graph, given: Mapping[int, Any], last: int | None, constants: bool) -> list[Value]:
    values: list[Value] = []
    at, is_constant = values.__getitem__, graph.is_constant
    complete = all(value is not None for value in given.values())
    for i, node in enumerate(graph.nodes[: None if last is None else last + 1]):
        rule = node.rule
        if i in given:
            value = given[i]
            values.append(exactly(value) if type(value) is float else known(value))
        elif rule == CONSTANT and constants:
            values.append(constant(node.value))  # type: ignore[arg-type]
        elif rule == INPUT or (is_constant[i] and not constants):
            values.append(None)
        else:
            arguments = [*map(at, node.inputs)]
            if complete or all(argument is not None for argument in arguments):
                values.append(function(rule)(*arguments))
            elif rule == "where" and arguments[0] is not None:
                values.append(arguments[1 if arguments[0] else 2])
            else:
                values.append(None)
    return values


def _evaluate_arrays(graph: Graph, given: Mapping[int, Any], last: int | None) -> list[Value]:
    values: list[Value] = []
    builder = Builder(graph.sizes)
    for i, node in enumerate(graph.nodes[: None if last is None else last + 1]):
        arguments = [values[j] for j in node.inputs]
        if i in given:
            values.append(known(given[i]))
        elif node.rule == CONSTANT:
            values.append(builder.number(node.value))
        elif node.rule == INPUT or any(argument is None for argument in arguments):
            values.append(None)
        else:
            values.append(builder.apply(node.rule, arguments, node.settings))
    return values


def run(
    graph: Graph, sources: Sequence[int], given: Mapping[int, Any], upstream: Any, size: int | None = None
) -> Exact:
    """The exact values and contributions; `upstream` is the gradient of the objective with respect to itself.

    Terms as in `evaluate`; `sources` are the nodes whose gradients are wanted. `size` is the number of nodes that
    belong to the formula, all of them where it is left out; closed forms may have been added to the graph since.
    """
    size = len(graph.nodes) if size is None else size
    previous = None
    choices = _choices(graph, size)
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
        return _Noise(graph, _with_precision(graph, sources, given, upstream, size), result).result


def _choices(graph: Graph, size: int) -> Sequence[int]:
    """The digits that are tried, one after the other: large formulas are worth fewer of them."""
    if size > LARGE_GRAPH:
        return DIGITS[:2]
    if any(graph.nodes[i].rule in SLOW for i in range(size)):
        return DIGITS[:3]
    count = work(graph, size) if graph.needs_tensors() else 0
    return DIGITS[:2] if count > LARGE_GRAPH else DIGITS[:3] if count > SMALL_WORK else DIGITS


def at_point(
    graph: Graph, sources: Sequence[int], given: Mapping[int, Any], upstream: Any, size: int, bits: int
) -> Exact:
    """The same as `run` at one precision, of `bits` bits, whatever it loses. Terms as there."""
    with digits(bits=bits):
        return _with_precision(graph, sources, given, upstream, size)


def _with_precision(graph: Graph, sources: Sequence[int], given: Mapping[int, Any], upstream: Any, size: int) -> Exact:
    wide = graph.needs_tensors()
    values = _evaluate_arrays(graph, given, size - 1) if wide else _evaluate_numbers(graph, given, size - 1, False)
    reading = ExactReading(graph, values, upstream, wide)
    walk = reverse(graph, sources, reading)
    return Exact(values, walk, reading.kinks, wide, mp.prec)


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


def _same(first: Value, second: Value) -> bool:
    if hasattr(first, "shape"):
        return all(map(same, elements(first), elements(second)))
    return same(first, second)


def _agree(first: Exact, second: Exact) -> bool:
    return (
        first.kinks == second.kinks
        and all(map(_same, first.values, second.values))
        and all(_same(first.walk.totals[i], total) for i, total in second.walk.totals.items())
    )


def _settle(one: Number, other: Number, tainted: bool = False) -> Number:
    """What shrinks as the digits grow is an exact 0 that rounding hides, and what grows is divided by such a 0.

    A number that was computed from what grows is `tainted`: it is nothing, unless two precisions agree on it.
    """
    if same(one, other) or type(other) is bool:
        return other
    one, other = solid(one), solid(other)
    if tainted or not finite(other):
        return NAN
    if finite(one):
        shrinks = not one or abs(other) <= abs(one) * SHRINKING
    else:
        # A root of what should be 0 may have been one of a negative number.
        shrinks = abs(other) < mp.mpf(2) ** -(mp.prec // 16)
    return mp.zero if shrinks else NAN


def _settled(one: Value, other: Value, tainted: Value = False) -> Value:
    return each(_settle, one, other, tainted) if hasattr(other, "shape") else _settle(one, other, tainted)


class _Noise:
    """Two precisions of one result, and what is left of it without what only rounding makes."""

    def __init__(self, graph: Graph, first: Exact, second: Exact) -> None:
        self.graph, self.before, self.after = graph, first.walk, second.walk
        # By node, for each element whether it grows with the digits: of the values, and of the gradients.
        self.grown: dict[int, Value] = {}
        self.steep: dict[int, Value] = {}
        values = []
        for i, (old, new) in enumerate(zip(first.values, second.values, strict=True)):
            grown = [self.grown[j] for j in graph.nodes[i].inputs if j in self.grown] if self.grown else ()
            value = _settled(old, new, self._together(i, grown) if grown else False)
            values.append(value)
            if value is not new:
                self._note(self.grown, i, value, new)
        totals = self.after.totals
        taints, settled = dict[int, Value](), dict[int, Value]()
        for j in (graph.objective, *self.after.order):
            taints[j] = self._taint(j) if self.grown or self.steep else False
            settled[j] = value = _settled(self.before.totals[j], totals[j], taints[j])
            if value is not totals[j]:
                self._note(self.steep, j, value, totals[j])
        steps = {
            j: [self._step(old, new, settled[new.through], taints[j])
                for old, new in zip(self.before.steps[j], rows, strict=True)]
            for j, rows in self.after.steps.items()
        }  # fmt: skip
        walk = Walk(steps, settled, self.after.order, self.after.edges)
        self.result = Exact(values, walk, second.kinks, second.has_axes, second.bits)

    def _together(self, i: int, flags: Sequence[Value]) -> Value:
        """Which elements of node `i` something spoils that these flags are about."""
        return each(lambda *entries: any(entries), *flags) if self.graph.nodes[i].rule in ELEMENTWISE else True

    def _note(self, grown: dict[int, Value], i: int, value: Value, new: Value) -> None:
        flags = each(lambda one, other: one is not other and one != one, value, new)
        if any(elements(flags)):
            grown[i] = flags

    def _taint(self, j: int) -> Value:
        """For each element of a gradient whether it was computed from what grows."""
        found: list[Value] = [False]
        for step in self.after.steps.get(j, ()):
            nodes = (step.through, *self.graph.nodes[step.through].inputs)
            flags = [self.grown[i] for i in nodes if i in self.grown]
            flags += [self.steep[step.through]] if step.through in self.steep else []
            taint = self._together(step.through, flags) if flags else False
            found.append(taint if shape_of(taint) in ((), shape_of(step.value)) else True)
        return each(lambda *entries: any(entries), *found)

    def _step(self, old: Step[Value], new: Step[Value], upstream: Value, tainted: Value) -> Step[Value]:
        local = _settled(old.local, new.local) if hasattr(new.local, "shape") else new.local
        return Step(new.through, new.slot, upstream, local, _settled(old.value, new.value, tainted))


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
