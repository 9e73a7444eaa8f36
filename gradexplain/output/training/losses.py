"""What the curve for a terminal and the plot share: the runs, the axis of the loss, and words for what is left out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from gradexplain.training_records import Training

# A log scale pays off where the largest loss is more than this times the smallest.
LOG_RATIO = 100.0
MAX_REMARKS = 3


class Curve(NamedTuple):
    """The loss of one run: its label (empty where there is only one), and its points as (step, loss)."""

    label: str
    points: tuple[tuple[int, float], ...]


class Scale(NamedTuple):
    """The axis of the loss: its ends, and whether it is logarithmic.

    Where some losses on a logarithmic axis are exactly 0, `zero` is true: `low` is the smallest positive loss, and 0 is
    drawn below it.
    """

    low: float
    high: float
    logarithmic: bool
    zero: bool

    @property
    def title(self) -> str:
        """What the axis is called."""
        return "loss" + ", log scale" * self.logarithmic + ", 0 at the bottom" * self.zero

    def share(self, loss: float, gap: float = 0.0) -> float:
        """How far up the axis a loss is, from 0 to 1; `gap` is how far up the smallest positive loss is above 0.

        >>> Scale(0.0, 8.0, False, False).share(2.0), Scale(0.01, 100.0, True, False).share(1.0)
        (0.25, 0.5)
        """
        if self.high == self.low:
            return 0.5
        if self.logarithmic:
            if loss <= 0:
                return 0.0
            low, high = math.log10(self.low), math.log10(self.high)
            share = (math.log10(loss) - low) / (high - low)
            return gap + (1 - gap) * share if self.zero else share
        # The difference of two huge numbers may be infinite; a quarter of each is not, but tiny ones lose digits by it.
        part = 0.25 if math.isinf(self.high - self.low) else 1.0
        return (loss * part - self.low * part) / (self.high * part - self.low * part)


def curves(training: Training) -> list[Curve]:
    """The run and those it is compared with; a run without points is left out."""
    everything = (training, *training.comparison)
    return [
        Curve(
            (entry.label or entry.optimizer.name) if len(everything) > 1 else "",
            tuple((step, loss) for step, loss, _ in entry.curve),
        )
        for entry in everything
        if entry.curve
    ]


def scale(losses: Iterable[float]) -> Scale | None:
    """The axis for these losses, None where none of them is finite.

    It is logarithmic where all are positive and the largest is more than LOG_RATIO times the smallest. It stays so
    where some are exactly 0, as they are once a run has arrived.

    >>> scale([4.0, 1.0, 0.0])
    Scale(low=0.0, high=4.0, logarithmic=False, zero=False)
    >>> scale([4.0, 1e-3, 0.0]).title
    'loss, log scale, 0 at the bottom'
    """
    finite = [loss for loss in losses if math.isfinite(loss)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    smallest = min((loss for loss in finite if loss > 0), default=high)
    if low >= 0 and high > LOG_RATIO * smallest:
        return Scale(smallest, high, True, low == 0)
    return Scale(low, high, False, False)


def remarks(run: Curve) -> str:
    """Where the loss is not finite, in words; empty where it is finite throughout.

    >>> remarks(Curve("", ((15, 1.0), (16, math.inf), (17, math.nan), (18, math.nan))))
    'inf at step 16, nan from step 17 on'
    """
    found = []
    for kind, group in groupby(run.points, lambda point: "" if math.isfinite(point[1]) else str(point[1])):
        steps = [step for step, _ in group]
        if kind and len(steps) > 1 and steps[-1] == run.points[-1][0]:
            found.append(f"{kind} from step {steps[0]} on")
        elif kind:
            found.append(
                f"{kind} at step {steps[0]}" if len(steps) == 1 else f"{kind} at steps {steps[0]} to {steps[-1]}"
            )
    if len(found) > MAX_REMARKS:
        found[MAX_REMARKS - 1 :] = [f"not finite at {len(found) - MAX_REMARKS + 1} more places"]
    text = ", ".join(found)
    return f"{run.label}: {text}" if text and run.label else text


def round_numbers(low: float, high: float, count: int) -> list[float]:
    """At most about `count` multiples of 1, 2 or 5 times a power of ten, strictly between the two.

    >>> round_numbers(0, 137, 3)
    [50, 100]
    """
    span = (high - low) / max(count, 1)
    if not 1e-300 < span < math.inf:
        return []
    power: float = 10 ** math.floor(math.log10(span))
    unit = next(power * k for k in (1, 2, 5, 10) if power * k >= span * 0.999)
    return [k * unit for k in range(math.floor(low / unit) + 1, math.ceil(high / unit))]
