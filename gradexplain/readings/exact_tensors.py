"""The exact reading of formulas on tensors: both rule tables with 50 digits and more, on arrays of mpmath's numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradexplain.calculus.backward import Walk, reverse
from gradexplain.calculus.builder import forward
from gradexplain.calculus.pullbacks import Pullback
from gradexplain.language.graph import Graph
from gradexplain.readings.arithmetic import NAN, Number, constant, exactly, finite, mp, to_float
from gradexplain.readings.compiled import function
from gradexplain.readings.digits import digits
from gradexplain.readings.exact_rules import CALLS, Value, each, elements, shape_of
from gradexplain.rules.shapes import length, resolved
from gradexplain.rules.table import ELEMENTWISE

DIGITS = 80
# So many elements and products are worth exact arithmetic: about a fifth of a second.
MAX_WORK = 20_000
_WITH_KINK = frozenset(rule.name for rule in ELEMENTWISE.values() if rule.kink) | {"where"}


def work(graph: Graph, count: int) -> int:
    """About how many numbers the forward and backward pass of the first `count` nodes compute."""
    result = 0
    for i, node in enumerate(graph.nodes[:count]):
        inner = graph.lengths(node.inputs[0])[-1:] if node.inputs and node.rule not in ELEMENTWISE else ()
        result += math.prod((*graph.lengths(i), *inner))
    return result


class ExactBuilder:
    """Makes arrays of exact numbers. `sizes` has the number for every size that has a name."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        import numpy

        self.sizes, self.numpy = sizes, numpy

    def number(self, value: Any) -> Number:
        """A number, exact where it is a fraction."""
        if isinstance(value, str) and value in self.sizes:
            return mp.mpf(self.sizes[value])
        return constant(value) if not isinstance(value, (int, float)) else exactly(float(value))

    def size(self, size: int | str) -> Number:
        """The number of a size."""
        return self.number(length(size, self.sizes))

    def shape(self, value: Value) -> tuple[int, ...]:
        """The shape of an array."""
        return shape_of(value)

    def apply(self, rule: str, inputs: Sequence[Value], settings: tuple[Any, ...] = ()) -> Value:
        """The result of a rule."""
        if rule not in ELEMENTWISE:
            return CALLS[rule](self.numpy, *inputs, *[resolved(setting, self.sizes) for setting in settings])
        return each(function(rule), *inputs)


class _Reading:
    """Exact arrays for the reverse walk."""

    def __init__(self, builder: ExactBuilder, graph: Graph, values: Sequence[Any], seed: Value) -> None:
        self.builder, self.graph, self.values, self._seed = builder, graph, values, seed

    def seed(self) -> Value:
        return self._seed

    def contribution(self, i: int, slot: int, upstream: Value) -> tuple[Value, Value]:
        node, out = self.graph.nodes[i], self.values[i]
        inputs = [self.values[j] for j in node.inputs]
        pullback = Pullback(self.builder, self.graph, node, slot, inputs, out, upstream)
        if node.rule not in ELEMENTWISE:
            if node.rule in ("logdet", "cholesky") and not all(map(finite, elements(out))):
                return None, each(lambda _: NAN, inputs[slot])
            return None, pullback.value()
        kink = node.rule in _WITH_KINK

        def own(local: Number, value: Number, *others: Number) -> Number:
            # Outside of its domain a function has no derivative, whatever the formula says.
            outside = not kink and type(value) is not bool and not finite(value) and finite(local)
            return NAN if outside and all(map(finite, others)) else local

        local = each(own, pullback.local(), out, *inputs)
        # A branch that was not taken lets nothing through, be it not a number.
        product = each(lambda g, a: mp.zero if kink and a == 0 else function("mul")(g, a), upstream, local)
        return local, pullback.fit(product, shape_of(inputs[slot]))

    @staticmethod
    def add(first: Value, second: Value) -> Value:
        return each(function("add"), first, second)


@dataclass(frozen=True, slots=True)
class ExactTensors:
    """The exact values of all nodes, and the walk with every contribution, as arrays of exact numbers."""

    values: list[Any]
    walk: Walk[Any]


def run(graph: Graph, sources: Sequence[int], given: Mapping[int, Value], seed: Value) -> ExactTensors:
    """The exact values and contributions, at DIGITS digits. `given` has the inputs, `seed` is the upstream gradient."""
    with digits(DIGITS):
        builder = ExactBuilder(graph.sizes)
        values = forward(builder, graph, given, graph.objective)
        return ExactTensors(values, reverse(graph, sources, _Reading(builder, graph, values, seed)))


def floats(value: Value) -> list[float]:
    """The elements as floats; a boolean is 0 or 1."""
    return [float(number) if type(number) is bool else to_float(number) for number in elements(value)]
