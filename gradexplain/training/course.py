"""What happens in the course of a run, gathered chunk by chunk in bounded memory; `diagnosis.py` puts it into words."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from gradexplain.records import Began
from gradexplain.training.job import Chunk
from gradexplain.training.look import Verdict

# A gradient this much smaller than the largest one of its parameter counts as come to rest.
REST = 1e-6
RECENT = 20
CURVE_POINTS = 2_000


@dataclass(slots=True)
class Stale:
    """The first step at which what .grad still held from earlier steps did harm."""

    step: int
    loss: float
    after: float
    backward: tuple[float | None, ...]
    held: tuple[float | None, ...]


@dataclass(slots=True)
class Watch:
    """The state of watching; `feed` takes the chunks in order. Lists are by parameter.

    `whole` says that every step has all rows, so that the losses of two steps can be compared; `first_loss` is that of
    all rows at the start; `no_derivative` says that the loss at the first step which is not finite is so itself, and
    has no derivative. `rest_since` is the step since which no gradient and no change of a parameter was more than
    a millionth of its largest, `still_since` that since which this holds for the changes alone, `zero_since` that since
    which both are 0 (0 for never).
    """

    count: int
    zero_grad: bool
    whole: bool = True
    steps: int = 0
    first_loss: float = math.nan
    small_enough: float | None = None
    best_loss: float = math.inf
    best_step: int = 0
    broken_step: int = 0
    broken_began: Began | None = None
    no_derivative: bool = False
    zero_since: int = 0
    rest_since: int = 0
    still_since: int = 0
    flat: bool = True
    ever: list[bool] = field(default_factory=list)
    moved: bool = False
    stale: Stale | None = None
    verdicts: Counter[str] = field(default_factory=Counter)
    first_of: dict[str, tuple[int, Began | None]] = field(default_factory=dict)
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    flips: list[deque[bool]] = field(default_factory=list)
    curve: list[tuple[int, float, tuple[float, ...]]] = field(default_factory=list)
    _stride: int = 1
    _gradients: list[float] = field(default_factory=list)
    _changes: list[float] = field(default_factory=list)
    _last_changes: list[float] = field(default_factory=list)
    _waiting: Stale | None = None

    def __post_init__(self) -> None:
        self.ever = [False] * self.count
        self.flips = [deque(maxlen=RECENT) for _ in range(self.count)]
        self._gradients, self._changes, self._last_changes = ([0.0] * self.count for _ in range(3))

    def feed(self, chunk: Chunk, verdicts: Sequence[Verdict]) -> None:
        """Take the next chunk with the verdicts of its steps."""
        held: tuple[float | None, ...] = ()
        for k, loss in enumerate(chunk.loss):
            step = chunk.start + k
            before = [row[k] for row in chunk.parameters]
            after = chunk.after if k + 1 == len(chunk.loss) else [row[k + 1] for row in chunk.parameters]
            gradient = [row[k] for row in chunk.backward]
            grad = [row[k] for row in chunk.grad]
            self.recent.append(loss)
            if loss < self.best_loss:
                self.best_loss, self.best_step = loss, step
            verdict, began = verdicts[k]
            self.verdicts[verdict] += 1
            if verdict not in self.first_of:
                self.first_of[verdict] = step, began
            broken = not math.isfinite(loss) or any(g is not None and not math.isfinite(g) for g in gradient)
            if broken and not self.broken_step:
                self.broken_step, self.broken_began = step, began
                self.no_derivative = math.isfinite(loss) and verdict == "undefined"
            if not self.zero_grad and self.whole and self.stale is None:
                self._look_for_harm(step, loss, gradient, grad, held)
            held = tuple(grad)
            self._sample(step, loss, before)
            changes = [b - a for a, b in zip(before, after, strict=True)]
            for place, moved in chunk.change.items():
                # The norm of a large parameter may stay as it is while the parameter moves.
                changes[place] = moved[k]
            self._follow(step, gradient, grad, changes)
        self.steps = chunk.start + len(chunk.loss) - 1

    def end(self, loss: float, parameters: Sequence[float]) -> None:
        """The loss and the parameters after the last step."""
        if self._waiting is not None:
            self._judge_harm(loss)
        self.curve.append((self.steps, loss, tuple(parameters)))

    def _follow(
        self, step: int, backward: Sequence[float | None], grad: Sequence[float | None], changes: Sequence[float]
    ) -> None:
        """Whether the run has come to rest, and whether its parameters turn back."""
        zero = rest = still = True
        for n, change in enumerate(changes):
            size = abs(backward[n] or 0.0)
            self.ever[n] = self.ever[n] or grad[n] is not None
            self.flat = self.flat and size == 0
            self.moved = self.moved or change != 0
            self._gradients[n] = max(self._gradients[n], size)
            self._changes[n] = max(self._changes[n], abs(change))
            zero = zero and size == 0 and change == 0
            still = still and abs(change) <= REST * self._changes[n]
            rest = rest and still and size <= REST * self._gradients[n]
            self.flips[n].append(change * self._last_changes[n] < 0)
            self._last_changes[n] = change
        self.zero_since = (self.zero_since or step) if zero else 0
        self.rest_since = (self.rest_since or step) if rest else 0
        self.still_since = (self.still_since or step) if still else 0

    def _look_for_harm(
        self, step: int, loss: float, backward: Sequence[float | None], grad: Sequence[float | None],
        held: tuple[float | None, ...],
    ) -> None:  # fmt: skip
        if self._waiting is not None:
            self._judge_harm(loss)
        if self.stale is None and any(value for value in held):
            self._waiting = Stale(step, loss, math.nan, tuple(backward), held)

    def _judge_harm(self, after: float) -> None:
        """Whether the loss rose after the waiting step."""
        found, self._waiting = self._waiting, None
        if found is not None and after > found.loss:
            found.after = after
            self.stale = found

    def _sample(self, step: int, loss: float, parameters: Sequence[float]) -> None:
        """Keep some points of the curve, evenly spaced; with each doubling of the spacing half of them go."""
        made = step - 1
        if made % self._stride:
            return
        self.curve.append((made, loss, tuple(parameters)))
        if len(self.curve) > CURVE_POINTS:
            self.curve = self.curve[::2]
            self._stride *= 2
