"""From the chunks that PyTorch sends to the steps of a record: verdicts, updates, and what each call did."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from gradexplain.readings.digits import digits
from gradexplain.readings.dtypes import DTYPES
from gradexplain.records import Began
from gradexplain.training.job import FINE, LOOK, SAME, Chunk, Close, Found, Point
from gradexplain.training.look import Verdict, began, look, trouble, undefined, worse, wrong_sum
from gradexplain.training.optimizers import OPTIMIZERS, evaluate, lines_of, state_of
from gradexplain.training.setup import Setup
from gradexplain.training_records import Batch, Spread, TrainingStep, Update

CHANGE = "change"


class History:
    """Makes the steps of a run, chunk by chunk; it keeps nothing but where the last chunk ended."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.job, self.names = setup, setup.job, setup.parameters
        self.row = OPTIMIZERS[self.job.optimizer]
        self.lines = lines_of(self.row, self.job.settings)
        self.kept = {name: [0.0] * len(self.names) for name in state_of(self.row, self.job.settings)}
        self.grads: list[float | None] = [None] * len(self.names)
        self.last: Verdict = ("agrees", None)
        self.seen = ""
        self.seen_verdict: Verdict = ("agrees", None)
        # The first step at which PyTorch's optimizer did not do what the rule says, among those that were made here.
        self.differs: tuple[int, tuple[str, Began]] | None = None

    def verdicts(self, chunk: Chunk) -> list[Verdict]:
        """The verdict of every step of a chunk."""
        verdicts = []
        for k, found in enumerate(chunk.found):
            step = chunk.start + k
            close = chunk.close.get(step)
            if close is not None and close[1] and found in (FINE, LOOK):
                verdict = self._look(Close(*close), [row[k] for row in chunk.backward])
                if verdict[1] is None and not math.isfinite(chunk.loss[k]):
                    verdict = verdict[0], trouble(self.setup, Close(*close))
                self.last = verdict if found == LOOK else self.last
            else:
                verdict = self.last if found == SAME else self._verdict(found)
                if close is not None and close[1] and found[0] in ("undefined", "nonfinite"):
                    verdict = undefined(self.setup, verdict, Point(*close[1][0]))
            verdicts.append(worse(verdict, self._verdict(chunk.sums[step])) if step in chunk.sums else verdict)
        return verdicts

    def trouble(self, found: Found, close: tuple[Any, ...]) -> Began | None:
        """What is not finite at the start, from what the loop found there."""
        return trouble(self.setup, Close(*close)) if close else self._verdict(found)[1]

    def _verdict(self, found: Found) -> Verdict:
        """A verdict of the loop's, and in words where it began."""
        verdict, node, why, more = found
        if node < 0:
            return verdict, None
        if why == "sum":
            return verdict, wrong_sum(self.names[node], *more)
        return verdict, began(self.setup, verdict, node, why, more)

    def _look(self, close: Close, backward: list[float | None]) -> Verdict:
        """The verdict of a closer look; only the last one is remembered: a run that has come to rest stays there."""
        seen = repr((close.points, close.reference, [batch[3] for batch in close.batches], backward))
        if self.seen != seen:
            with digits():
                self.seen, self.seen_verdict = seen, look(self.setup, close, backward)
        return self.seen_verdict

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
            if n in chunk.change and grad[n] is not None:
                # Of a large tensor only the norm of its change is told.
                updates[name] = Update(before[n], {}, {CHANGE: abs(chunk.change[n][k])}, after[n])
                continue
            own = {key: values[n] for key, values in kept.items()}
            state = {key: values[n][k] for key, values in chunk.state.items()}
            updates[name], wrong = self._update(name, before[n], after[n], grad[n], own, state, chunk.start + k)
            if wrong is not None:
                verdict = worse(verdict, wrong)
                self.differs = self.differs or (chunk.start + k, wrong)
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
        self, name: str, before: float, after: float, grad: float | None, kept: dict[str, float],
        state: dict[str, float], step: int,
    ) -> tuple[Update, tuple[str, Began] | None]:  # fmt: skip
        """What step() did to one parameter, and a verdict with its reason where it is not what the rule says.

        `kept` and `state` are the numbers that PyTorch keeps, before and after. Each line of the rule is evaluated with
        PyTorch's own numbers and compared with what PyTorch has for it.
        """
        if grad is None:
            moved = before != after and not (math.isnan(before) and math.isnan(after))
            wrong = ("disagrees", Began.at(name, "moved_without_gradient")) if moved else None
            return Update(before, {}, {}, after), wrong
        values = {**self.job.settings, **kept, "p": before, "g": grad, "t": float(step)}
        shown: dict[str, float] = {}
        problem: tuple[str, Began] | None = None
        for line in self.lines:
            rule = evaluate(line.formula, values)
            found = after if line.name == "p" else state.get(line.name, rule)
            what = "the new value" if line.name == "p" else line.name
            problem = problem or self._compare(name, what, rule, found, values.get(line.name, 0.0))
            values[line.name] = found
            if line.name != "p":
                shown[line.name] = found
        return Update(before, kept, shown, after), problem

    def _compare(self, name: str, what: str, rule: float, found: float, before: float) -> tuple[str, Began] | None:
        """A verdict with its reason where PyTorch's number is not the rule's, up to rounding in the dtype."""
        if math.isnan(rule) or math.isnan(before) or (math.isinf(rule) and not math.isfinite(found)):
            return None
        dtype = DTYPES[self.job.dtype]
        spacing = 2.0 ** (1 - dtype.bits)
        least = spacing * dtype.smallest
        slack = 4 * spacing * max(abs(before), abs(rule)) + dtype.tolerance * abs(rule - before) + 8 * least
        if math.isfinite(rule) and abs(rule - found) <= slack:
            return None
        said = {"what": what, "rule": f"{rule:.9g}", "found": f"{found:.9g}"}
        if math.isfinite(found):
            return "disagrees", Began.at(name, "rule_differs", **said)
        held = {"dtype": dtype.name, "least": f"{least:.3g}", "largest": f"{dtype.largest:.6g}"}
        return "nonfinite", Began.at(name, "rule_out_of_range", **said, **held)

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
