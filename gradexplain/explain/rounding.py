"""A closer look at a difference: what rounding alone does to the chain rule, and to the point."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import cached_property

from gradexplain.explain.problem import Problem
from gradexplain.readings.arithmetic import Number, finite, mp
from gradexplain.readings.digits import digits
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.exact import DEAD, DIGITS, Exact, at_point

MAX_TRIALS = 12


class CloserLook:
    """Walks that are made only where a verdict needs them, once for a derivation."""

    def __init__(self, problem: Problem, exact: Exact) -> None:
        self.problem, self.exact = problem, exact
        self.bits = DTYPES[problem.dtype].bits

    def rounded(self) -> Exact:
        """The exact walk once more, with no more digits than the dtype has."""
        return self._rounded

    def noise(self) -> dict[int, Number]:
        """By node, how much its gradient changes where each value that was rounded moves by the spacing."""
        return self._noise

    @cached_property
    def _rounded(self) -> Exact:
        problem = self.problem
        given = problem.given
        return at_point(problem.graph, problem.sources, given, problem.held_seed, problem.size, self.bits)

    @cached_property
    def _noise(self) -> dict[int, Number]:
        """One walk for each value moved, or, where there are many, some walks with all moved at random."""
        moved = [i for i, value in self.problem.given.items() if value and self._is_rounded(i, value)]
        total: dict[int, Number] = {}
        if len(moved) <= MAX_TRIALS:
            for i in moved:
                self._add(total, {i: 1})
            return total
        generator = random.Random(len(moved))
        for _ in range(MAX_TRIALS // 2):
            self._add(total, {i: generator.choice((-1, 1)) for i in moved})
        return total

    def _is_rounded(self, i: int, held: float) -> bool:
        """Whether the dtype holds a value that is not the one that was meant, as for 0.1 and pi."""
        graph = self.problem.graph
        if graph.is_constant[i]:
            meant = graph.nodes[i].value
        else:
            given = self.problem.point.get(self.problem.name(i))
            meant = given.fraction if given is not None else None
        return not isinstance(meant, Fraction) or meant != Fraction(held)

    def _add(self, total: dict[int, Number], directions: dict[int, int]) -> None:
        """Add to `total` how much every gradient changes where the values move in `directions`."""
        problem = self.problem
        # The precision at which the exact values are known; the point must not be rounded away.
        with digits(DIGITS[1]):
            spacing = mp.mpf(2) ** (1 - self.bits)
            given = {i: value if value is None else mp.mpf(value) for i, value in problem.given.items()}
            given |= {i: given[i] * (1 + sign * spacing) for i, sign in directions.items()}
            walk = at_point(problem.graph, problem.sources, given, problem.held_seed, problem.size, mp.prec).walk
            for j, value in walk.totals.items():
                before = self.exact.walk.totals[j]
                if value is not DEAD and before is not DEAD and finite(value) and finite(before):
                    total[j] = total.get(j, 0) + abs(value - before)
