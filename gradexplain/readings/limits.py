"""The limit of what exact arithmetic gives as a step becomes small: of difference quotients on one side of a point."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from gradexplain.readings.arithmetic import Number, finite, mp

# With so many digits a step of any of these sizes, as powers of ten, leaves enough of them in a quotient.
DIGITS = 200
STEPS = (40, 50)
SMALLER = (60, 70, 80)
STEADY = 15


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
