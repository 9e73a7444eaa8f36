"""Derivatives as limits of differences of exact numbers, on both sides of a point: first and second ones.

No formula of a derivative is used for the next one, so no choice that a rule makes for a single point is taken for a
value.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gradexplain.calculus.backward import Edges, reverse
from gradexplain.language.graph import Graph
from gradexplain.readings.arithmetic import Number, finite, mp, solid
from gradexplain.readings.digits import digits
from gradexplain.readings.exact import evaluate, same
from gradexplain.readings.exact_arrays import elements, shape_of
from gradexplain.readings.exact_walk import ExactReading, known

# With so many digits a step of any of these sizes, as powers of ten, leaves enough of them in a quotient.
DIGITS = 200
STEPS = (40, 50)
SMALLER = (60, 70, 80)
STEADY = 15
# Two directions between the axes: what changes along these as along the axes is taken for linear.
SLANTS = ((3, 2, 5, 4), (-1, 3, -2, 7))


class Sides(NamedTuple):
    """The derivative from the left and from the right; None where that side has no finite one."""

    left: Number
    right: Number

    @property
    def derivative(self) -> Number:
        """The derivative, or None where it does not exist."""
        both = self.left is not None and self.right is not None
        return self.right if both and same(self.left, self.right) else None


def limit(quotient: Callable[[int], Number]) -> Number | None:
    """The limit of `quotient(n)`, where 10**-n is the step; None where there is no finite one.

    What does not change between two steps has it. What approaches it like a power of the step, as the quotient
    `h**0.2` of `abs(x)**1.2` does, is followed to smaller ones.
    """
    found = [quotient(place) for place in STEPS]
    if not all(map(finite, found)):
        return None
    if _near(*found):
        return _tidy(found[-1])
    found += map(quotient, SMALLER)
    return _of_power(found) if all(map(finite, found)) else None


def _of_power(found: Sequence[Number]) -> Number | None:
    """Where numbers go to that approach it by the same factor each time; None where they do not."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(found)]
    if not all(gaps):
        return None
    ratios = [later / earlier for earlier, later in itertools.pairwise(gaps)]
    steady = all(abs(ratio - ratios[-1]) <= mp.mpf(10) ** -8 for ratio in ratios)
    if not steady or not 0 < ratios[-1] < 1 - mp.mpf(10) ** -6:
        return None
    ends = [value + gap * ratio / (1 - ratio) for value, gap, ratio in zip(found[2:], gaps[1:], ratios, strict=True)]
    if not _near(*ends[-2:]):
        return None
    end = mp.mpf(mp.nstr(ends[-1], STEADY))
    return end if abs(end) > mp.mpf(10) ** -STEADY * max(map(abs, found)) else mp.zero


def _near(first: Number, second: Number) -> bool:
    return bool(abs(first - second) <= mp.mpf(10) ** -STEADY * (1 + abs(second)))


def _tidy(quotient: Number) -> Number:
    """The quotient without the trace of its step."""
    rounded = mp.mpf(mp.nstr(quotient, 25))
    return rounded if abs(rounded) > mp.mpf(10) ** -25 else mp.zero


class Curvature(NamedTuple):
    """`entries[i][j]` tells how the gradient by element `j` changes along element `i`.

    `bent` has the elements by which the gradient changes along the axes alone as if it were linear.
    """

    entries: list[list[Sides]]
    bent: frozenset[int]


def curvature(
    graph: Graph, sources: Sequence[int], given: Mapping[int, Any], seed: Any, first: Sequence[Number | None]
) -> Curvature:
    """The second derivatives of the objective by all elements of the sources, in order.

    `given` are the values of all inputs and constants, `seed` is the upstream gradient, and `first` the first
    derivatives, None where there is none.
    """
    with digits(DIGITS):
        look = _Surroundings(graph, sources, given, seed, first)
        count = len(first)
        units = [[int(i == k) for i in range(count)] for k in range(count)]
        sides = [[look.along(unit, sign) for sign in (-1, 1)] for unit in units]
        entries = [list(map(Sides, *pair)) for pair in sides]
        bent = [look.bent(entries, slant) for slant in SLANTS] if count > 1 else []
        return Curvature(entries, frozenset[int]().union(*bent))


class _Surroundings:
    """Gradients around a point."""

    def __init__(
        self, graph: Graph, sources: Sequence[int], given: Mapping[int, Any], seed: Any, first: Sequence[Number | None]
    ) -> None:
        self.graph, self.sources, self.given, self.seed = graph, sources, dict(given), seed
        self.first = first
        self.edges: Edges | None = None
        self.start = [number for j in sources for number in elements(known(given[j]))]

    def gradient(self, direction: Sequence[int], step: Number) -> list[Number]:
        """The gradient at a point `step` away."""
        moved = [x + step * d if d else x for x, d in zip(self.start, direction, strict=True)]
        given, begin = dict(self.given), 0
        for j in self.sources:
            value = given[j]
            count = len(elements(value))
            if shape_of(value):
                given[j] = value.copy()
                given[j].flat[:] = moved[begin : begin + count]
            else:
                given[j] = moved[begin]
            begin += count
        return self._walk(given)

    def _walk(self, given: Mapping[int, Any]) -> list[Number]:
        graph = self.graph
        values = evaluate(graph, given, graph.objective)
        reading = ExactReading(graph, values, self.seed, graph.needs_tensors())
        walk = reverse(graph, self.sources, reading, edges=self.edges, keep=False)
        self.edges = walk.edges
        return [
            solid(number) for j in self.sources
            for number in elements(walk.totals[j] if j in walk.totals else self.given[j] * 0)
        ]  # fmt: skip

    def along(self, direction: Sequence[int], sign: int) -> list[Number | None]:
        """How each element of the gradient changes on one side; None where it has no finite derivative there."""
        size = max([abs(x) for x, d in zip(self.start, direction, strict=True) if d] + [mp.one])
        seen: dict[int, list[Number]] = {}

        def quotient(place: int, j: int) -> Number:
            step = sign * size * mp.mpf(10) ** -place
            if place not in seen:
                seen[place] = self.gradient(direction, step)
            return (seen[place][j] - self.first[j]) / step

        return [
            None if number is None else limit(lambda place, j=j: quotient(place, j))  # type: ignore[misc]
            for j, number in enumerate(self.first)
        ]

    def bent(self, entries: Sequence[Sequence[Sides]], slant: Sequence[int]) -> set[int]:
        """The elements by which the gradient changes along a slant by something else than along the axes together."""
        direction = [slant[i % len(slant)] for i in range(len(self.first))]
        found = [self.along(direction, sign) for sign in (-1, 1)]
        bent = set()
        for j in range(len(self.first)):
            if any(None in row[j] for row in entries):
                continue
            pairs = list(zip(direction, entries, strict=True))
            sides: list[list[Number]] = [[d * row[j][k] for d, row in pairs] for k in (0, 1)]
            scale = sum(map(abs, sides[0] + sides[1]), mp.one) * mp.mpf(10) ** -10
            smooth = all(abs(a - b) <= scale for a, b in zip(*sides, strict=True))
            slanted: list[Number] = [side[j] for side in found if side[j] is not None]
            if smooth and any(abs(own - sum(sides[0], mp.zero)) > scale for own in slanted):
                bent.add(j)
        return bent
