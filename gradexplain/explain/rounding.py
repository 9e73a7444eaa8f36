"""A closer look at a difference: what rounding alone does to the chain rule, and to the point."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import cached_property
from typing import Any

from gradexplain.explain.problem import Problem
from gradexplain.readings.arithmetic import Number, finite, mp, to_float
from gradexplain.readings.digits import digits
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.exact import DEAD, DIGITS, Exact, at_point
from gradexplain.readings.exact_arrays import Value, each, elements
from gradexplain.readings.exact_walk import known

MAX_TRIALS = 12


class CloserLook:
    """Walks that are made only where a verdict needs them, once for a derivation."""

    def __init__(self, problem: Problem, exact: Exact) -> None:
        self.problem, self.exact = problem, exact
        self.bits = DTYPES[problem.dtype].bits

    def rounded(self) -> Exact:
        """The exact walk once more, with no more digits than the dtype has."""
        return self._rounded

    def noise(self) -> dict[int, Value]:
        """By node, how much its gradient changes where each value that was rounded moves by the spacing."""
        return self._noise

    @cached_property
    def _rounded(self) -> Exact:
        problem = self.problem
        given = problem.given
        return at_point(problem.graph, problem.sources, given, problem.held_seed, problem.size, self.bits)

    @cached_property
    def _noise(self) -> dict[int, Value]:
        """One walk for each value moved, or, where there are many, some walks with all moved at random."""
        moved = [i for i, value in self.problem.given.items() if value is not None and self._is_rounded(i, value)]
        total: dict[int, Value] = {}
        if len(moved) <= MAX_TRIALS:
            for i in moved:
                self._add(total, {i: 1})
            return total
        generator = random.Random(len(moved))
        for _ in range(MAX_TRIALS // 2):
            self._add(total, {i: generator.choice((-1, 1)) for i in moved})
        return total

    def _is_rounded(self, i: int, held: Any) -> bool:
        """Whether the dtype holds a value that is not the one that was meant, as for 0.1 and pi."""
        if hasattr(held, "shape"):
            return any(_moves(number) for number in elements(held))
        graph = self.problem.graph
        if not held:
            return False
        if graph.is_constant[i]:
            meant = graph.nodes[i].value
        else:
            given = self.problem.point.get(self.problem.name(i))
            meant = given.fraction if given is not None else None
        return not isinstance(meant, Fraction) or meant != Fraction(to_float(held))

    def _add(self, total: dict[int, Value], directions: dict[int, int]) -> None:
        """Add to `total` how much every gradient changes where the values move in `directions`."""
        problem = self.problem
        # The precision at which the exact values are known; the point must not be rounded away.
        with digits(DIGITS[1]):
            spacing = mp.mpf(2) ** (1 - self.bits)
            given = {i: known(value) for i, value in problem.given.items()}
            for i, sign in directions.items():
                given[i] = _moved(given[i], 1 + sign * spacing)
            walk = at_point(problem.graph, problem.sources, given, problem.held_seed, problem.size, mp.prec).walk
            for j, value in walk.totals.items():
                total[j] = each(_change, total.get(j, mp.zero), value, self.exact.walk.totals[j])


def _moved(value: Value, factor: Number) -> Value:
    """A value times a factor; of a vector only the elements that were rounded."""
    if hasattr(value, "shape"):
        return each(lambda number: number * factor if _moves(number) else number, value)
    return value * factor


def _moves(number: Number) -> bool:
    """Whether an element is not the decimal that it prints as."""
    held = to_float(number)
    return bool(held) and Fraction(repr(held)) != Fraction(held)


def _change(known: Number, value: Number, before: Number) -> Number:
    if value is DEAD or before is DEAD or not (finite(value) and finite(before)):
        return known
    return known + abs(value - before)
