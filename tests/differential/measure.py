"""What every comparison needs: problems, limits of time, arrays that are the same, and difference quotients."""

from __future__ import annotations

import math
import re
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from gradexplain.errors import GradexplainError
from gradexplain.tensor import Tensor

from .python import REFUSED, Values

SECONDS = 5.0
# A step, and a part of it at which the same must come out.
STEP = 1e-3


@dataclass(frozen=True, slots=True)
class Problem:
    """A difference: `check` names its sort, `where` the place of ours that it comes from, `right` what is right."""

    check: str
    where: str
    said: str
    right: str

    @property
    def key(self) -> str:
        """What equal faults share."""
        return f"{self.check}: {self.where}"


class TooSlow(BaseException):
    """What the timer raises."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises TooSlow in what takes more CPU time."""

    def stop(*_: Any) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def place_of(error: BaseException) -> str:
    """The last line of ours that an exception went through, without its number."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/gradexplain/" in frame.filename]
    last = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename.rpartition('/gradexplain/')[2]} {last.name}"


def attempt(make: Callable[[], Any], what: str) -> tuple[Any, list[Problem]]:
    """What a call of ours returns; a GradexplainError is an answer as well, everything else is a problem."""
    start = time.process_time()
    try:
        with limited(4 * SECONDS):
            found = make()
    except GradexplainError as error:
        found = error
    except TooSlow as error:
        return None, [Problem("slow", place_of(error), f"more than {4 * SECONDS} s", "5 s of CPU at most")]
    except Exception as error:
        text = re.sub(r"\d+", "#", str(error).partition("\n")[0])[:60]
        where = f"{what}{place_of(error)}: {type(error).__name__} {text}"
        return None, [Problem("exception", where, str(error)[:200], "an answer or a refusal of ours")]
    spent = time.process_time() - start
    slow = [Problem("slow", what, f"{spent:.1f} s of CPU", f"{SECONDS} s at most")] if spent > SECONDS else []
    return found, slow


def numbers(value: Any) -> np.ndarray | None:
    """A value of a record as an array of float64; None where there is none."""
    if value is None:
        return None
    found = value.nested() if isinstance(value, Tensor) else value
    return np.array(found, dtype=float)


def same(one: Any, other: Any, tolerance: float, scale: float = 0.0) -> bool:
    """Whether two arrays have one shape and, relative to the largest element, the same numbers, nan and inf too."""
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    if one.shape != other.shape:
        return False
    finite = np.isfinite(one) & np.isfinite(other)
    strange = (one == other) | (np.isnan(one) & np.isnan(other))
    largest = max(np.max(np.abs(other[finite]), initial=0.0), scale)
    return bool(np.all(finite | strange) and np.all(np.abs(one[finite] - other[finite]) <= tolerance * largest + 1e-12))


class Slope(NamedTuple):
    """The derivative by one element: from both sides as they are, nan where a difference quotient says nothing."""

    left: float
    right: float
    both: float


def slope(value: Callable[[float], float], size: float) -> Slope:
    """Difference quotients of a function at 0, in two steps that must tell the same."""
    found = []
    for h in (STEP * size, STEP * size / 4.37):
        f = {k: value(k * h) for k in (-2, -1, 0, 1, 2)}
        one_sided = [s * (-3 * f[0] + 4 * f[s] - f[2 * s]) / (2 * h) for s in (-1, 1)]
        found.append((*one_sided, (8 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12 * h)))
    scale = max([1e-3, *(abs(x) for x in found[1] if x == x)])
    rough = (1e-3, 1e-3, 1e-6)
    told = Slope(*[b if abs(a - b) <= within * scale else math.nan
                   for a, b, within in zip(*found, rough, strict=True)])  # fmt: skip
    return told if abs(told.left - told.right) <= 1e-2 * scale else told._replace(both=math.nan)


def slopes(function: Callable[[Values], torch.Tensor], at: Values, name: str) -> list[Slope]:
    """The slopes of a function of the point by every element of an input."""
    flat = at[name].reshape(-1)

    def moved(place: int, by: float) -> float:
        other = flat.clone()
        other[place] += by
        try:
            return float(function({**at, name: other.reshape(at[name].shape)}))
        except REFUSED:
            return math.nan

    sizes = [min(max(1.0, abs(float(value))), 30.0) for value in flat]
    return [slope(lambda by, k=place: moved(k, by), size) for place, size in enumerate(sizes)]
