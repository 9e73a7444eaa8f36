"""Which steps of a run are shown, and which are looked at closely."""

from __future__ import annotations

import itertools

# A run of so many steps is shown whole.
SHORT = 20
MAX_CLOSELY = 200


def spaced(steps: int) -> list[int]:
    """The steps to show of a run: all of a short one, else 1, 2, 5, 10, 20, 50 … and the last.

    >>> spaced(3), spaced(100)
    ([1, 2, 3], [1, 2, 5, 10, 20, 50, 100])
    """
    if steps <= SHORT:
        return list(range(1, steps + 1))
    series = (digit * 10**power for power in itertools.count() for digit in (1, 2, 5))
    return [*itertools.takewhile(lambda step: step < steps, series), steps]


def wanted(step: int, every: int | None, shown: frozenset[int]) -> bool:
    """Whether a step is shown: the first and the multiples of `every`, or those in `shown`.

    >>> [step for step in range(1, 11) if wanted(step, 4, frozenset())]
    [1, 4, 8]
    """
    return step in shown if every is None else step % every == 0 or step == 1


def closely(steps: int, every: int | None) -> list[int]:
    """The steps to look at closely: those that are shown without being asked, and the first of those asked for.

    >>> closely(30, 10)
    [1, 2, 5, 10, 20, 30]
    """
    asked = itertools.islice(range(every, steps + 1, every), MAX_CLOSELY) if every and every > 1 else ()
    return sorted({*spaced(steps), *asked})
