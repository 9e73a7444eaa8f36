"""From the chunks that PyTorch sends to the steps of a record: verdicts, updates, and what each call did."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from gradexplain.readings.dtypes import DTYPES
from gradexplain.records import Began
from gradexplain.training.job import AGREES, LOOK, SAME, Chunk, Close
from gradexplain.training.look import Verdict, look
from gradexplain.training.optimizers import OPTIMIZERS, evaluate, lines_of, state_of
from gradexplain.training.setup import Setup
from gradexplain.training_records import Batch, Spread, TrainingStep, Update


class History:
    """Makes the steps of a run, chunk by chunk; it keeps nothing but where the last chunk ended."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.job, self.names = setup, setup.job, setup.parameters
        self.row = OPTIMIZERS[self.job.optimizer]
        self.lines = lines_of(self.row, self.job.settings)
        self.kept = {name: [0.0] * len(self.names) for name in state_of(self.row, self.job.settings)}
        self.grads: list[float | None] = [None] * len(self.names)
        self.last: Verdict = ("agrees", None)
        self.last_exact: dict[str, Verdict] = {}
        # The first step at which PyTorch's optimizer did not do what the rule says, among those that were made here.
        self.differs: tuple[int, Began] | None = None

    def verdicts(self, chunk: Chunk) -> list[Verdict]:
        """The verdict of every step of a chunk."""
        found = []
        for k, check in enumerate(chunk.checks):
            close = chunk.close.get(chunk.start + k)
            verdict: Verdict = ("agrees" if check == AGREES else "unverified", None)
            if close is not None and (check in (AGREES, LOOK)):
                verdict = self._look(Close(*close), [row[k] for row in chunk.backward])
                self.last = verdict if check == LOOK else self.last
            elif check == SAME:
                verdict = self.last
            found.append(verdict)
        return found

    def _look(self, close: Close, backward: list[float | None]) -> Verdict:
        point = repr(close.point)
        if point not in self.last_exact:
            # Only the last point is remembered: a run that has come to rest stays there.
            own = backward if not self.job.rows and self.job.accumulate == 1 else None
            self.last_exact = {point: look(self.setup, close, own)}
        verdict, began = self.last_exact[point]
        if began is not None and close.row:
            began = Began(began.node, f"{began.reason} (row {close.row})")
        return verdict, began

    def steps(self, chunk: Chunk, verdicts: list[Verdict], wanted: Callable[[int], bool]) -> Iterator[TrainingStep]:
        """The wanted steps of a chunk, in order; each chunk is to be handed in once, one after the other."""
        count = len(chunk.loss)
        for k in range(count):
            if wanted(chunk.start + k):
                yield self.step(chunk, k, verdicts[k])
        self.kept = {name: [values[-1] for values in rows] for name, rows in chunk.state.items()}
        self.grads = [row[-1] for row in chunk.grad]

    def step(self, chunk: Chunk, k: int, verdict: Verdict) -> TrainingStep:
        """Step number `k` of a chunk, counted from 0."""
        names = self.names
        before = [row[k] for row in chunk.parameters]
        last = k + 1 == len(chunk.loss)
        after = chunk.after if last else [row[k + 1] for row in chunk.parameters]
        grad = [row[k] for row in chunk.grad]
        held: list[float | None] = [None] * len(names)
        if not self.job.zero_grad:
            held = self.grads if k == 0 else [row[k - 1] for row in chunk.grad]
        kept = {name: self.kept[name] if k == 0 else [values[k - 1] for values in rows]
                for name, rows in chunk.state.items()}  # fmt: skip
        updates: dict[str, Update] = {}
        for n, name in enumerate(names):
            own = {key: values[n] for key, values in kept.items()}
            updates[name], differs = self._update(before[n], after[n], grad[n], own, chunk.start + k)
            if differs:
                verdict = ("disagrees", Began(name, differs))
                self.differs = self.differs or (chunk.start + k, Began(name, differs))
        close = chunk.close.get(chunk.start + k)
        return TrainingStep(
            step=chunk.start + k,
            loss=chunk.loss[k],
            parameters=dict(zip(names, before, strict=True)),
            backward={name: row[k] for name, row in zip(names, chunk.backward, strict=True)},
            held=dict(zip(names, held, strict=True)),
            grad=dict(zip(names, grad, strict=True)),
            update=updates,
            verdict=verdict[0],
            began=verdict[1],
            batches=tuple(self._batch(entry) for entry in close[0]) if close is not None else (),
        )

    def _update(
        self, before: float, after: float, grad: float | None, kept: dict[str, float], step: int
    ) -> tuple[Update, str]:
        """What step() did to one parameter, and in words where PyTorch did not do what the rule says."""
        if grad is None:
            return Update(before, {}, {}, after), "" if _near(before, after, 0.0) else "it moved without a gradient"
        values = {**self.job.settings, **kept, "p": before, "g": grad, "t": float(step)}
        state = {}
        for line in self.lines:
            values[line.name] = evaluate(line.formula, values)
            if line.name != "p":
                state[line.name] = values[line.name]
        slack = DTYPES[self.job.dtype].tolerance * max(abs(before), abs(after), abs(values["p"] - before))
        differs = "" if _near(values["p"], after, slack) else f"the rule gives {values['p']:.9g}, PyTorch {after:.9g}"
        return Update(before, kept, state, after), differs

    def _batch(self, entry: tuple[Any, ...]) -> Batch:
        count, weight, loss, gradient, rows, row_loss, row_gradient, spreads = entry
        names = self.names
        return Batch(
            count=count,
            weight=weight,
            loss=loss,
            gradient=dict(zip(names, gradient, strict=True)),
            rows=tuple(rows),
            row_loss=tuple(row_loss),
            row_gradient={name: tuple(g) for name, g in zip(names, row_gradient, strict=True)} if rows else None,
            spread={name: Spread(*s) for name, s in zip(names, spreads, strict=True)} if spreads else None,
        )


def _near(rule: float, found: float, slack: float) -> bool:
    """Whether two numbers are the same up to `slack`; what is out of range for the one need not be for the other."""
    return not (math.isfinite(rule) and math.isfinite(found)) or abs(rule - found) <= slack
