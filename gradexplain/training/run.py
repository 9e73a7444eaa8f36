"""A training run in the making: the job goes to PyTorch, the steps come back, and at the end there is a record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from gradexplain.errors import OptionError, PointError
from gradexplain.language.text import write
from gradexplain.readings.devices import check_presence
from gradexplain.readings.digits import digits
from gradexplain.readings.worker import WITNESSES, Asked, WorkerStopped
from gradexplain.records import VERDICTS, Remark
from gradexplain.training.job import ORDERS, Chunk
from gradexplain.training.options import Request
from gradexplain.training.schedule import spaced, wanted
from gradexplain.training.setup import Setup, set_up
from gradexplain.training_records import (
    Contours,
    Data,
    Diagnosis,
    Final,
    Optimizer,
    Parameter,
    Partial,
    Training,
    TrainingStep,
    ended,
)

# What PyTorch is asked: the loop, the curvature of the loss, and the loss on a grid.
LOOP = "gradexplain.training.loop:run"
CURVATURE = "gradexplain.training.curvature:curvature"
GRID = "gradexplain.training.curvature:grid"
COMPARISONS = ("zero-grad", "order")


class Run:
    """A training run in the making: `steps` gives the steps as they come, `finish` the record.

    Everything that can be wrong with the request is said when it is made, before PyTorch has loaded. `progress` is
    called with the number of the last step as the run goes on.
    """

    def __init__(self, request: Request, compare: str | None = None) -> None:
        if compare is not None and compare not in COMPARISONS:
            raise OptionError(f"unknown comparison {compare}", hint="it is one of " + ", ".join(COMPARISONS))
        if compare == "order" and not request.zero_grad:
            raise OptionError("without zero_grad() there is no order to compare")
        self.request = request
        # Whoever chooses an order wants to know what it changes.
        self.compare = compare or ("order" if request.order != ORDERS[0] else None)
        with digits():
            self.setup: Setup = set_up(request)
        if not WITNESSES.installed():
            raise OptionError("training needs PyTorch, which is not installed", hint="pip install torch")
        check_presence(request.device)
        self.progress: Callable[[int], None] = lambda step: None
        self.kept: list[TrainingStep] = []
        self.interrupted = False
        self.compares = True
        WITNESSES.start()
        self.asked = self._ask(LOOP, tuple(self.setup.job))
        # The rest of the work is done while PyTorch loads.
        from gradexplain.training.course import Watch
        from gradexplain.training.history import History

        job = self.setup.job
        with digits():
            self.forms = self.setup.partials()
        self.history = History(self.setup)
        self.watch = Watch(len(self.setup.parameters), job.zero_grad, job.batch_size >= job.rows)
        self.tensors: dict[str, Parameter] = {}
        self.unconfirmed: list[str] = []
        self.start = self.after = self.setup.start
        self.final = Final(0, float("nan"), self.start)

    def _ask(self, task: str, payload: Any) -> Asked:
        return WITNESSES.ask(task, payload, alone=self.setup.job.rows > 10_000)

    def steps(self) -> Iterator[TrainingStep]:
        """The steps that are to be shown, as they come; what is left out still counts in the record.

        An interrupt ends them; the record then tells of the run so far.
        """
        every, shown = self.request.every, frozenset(spaced(self.setup.job.steps))
        last: TrainingStep | None = None
        ends: list[tuple[str, Any]] = []
        try:
            for kind, found in WITNESSES.answers(self.asked):
                if kind != "chunk":
                    # What is to be raised is raised when the task has ended, so that the process can go on.
                    ends.append((kind, found))
                    if kind == "begin":
                        self._begin(found)
                    continue
                chunk = Chunk(*found)
                verdicts = self.history.verdicts(chunk)
                self.watch.feed(chunk, verdicts)
                where = len(chunk.loss) - 1
                kept = wanted(self.watch.steps, every, shown)
                last = None if kept else self.history.step(chunk, where, verdicts[where])
                # Should the run be interrupted, this is the last moment at which both are known.
                before = [row[-1] for row in chunk.parameters]
                self.final = Final(self.watch.steps - 1, chunk.loss[-1], self._named(before))
                self.after = self._named(chunk.after)
                yield from self.history.steps(chunk, verdicts, lambda step: wanted(step, every, shown))
                self.progress(self.watch.steps)
        except KeyboardInterrupt:
            self.interrupted = True
        except WorkerStopped:
            raise OptionError("PyTorch's process ended in the middle of the run",
                              hint="was there too little memory?") from None  # fmt: skip
        for kind, found in ends:
            self._end(kind, found)
        if last is not None:
            # The last step is shown wherever the run ended.
            yield last

    def _begin(self, found: Any) -> None:
        """The loss at the start, and the start itself, which may be drawn at random."""
        loss, values, tensors, self.unconfirmed = found
        self.start = self.after = self._named(values)
        self.tensors = self.setup.started(tensors)
        self.watch.first_loss = loss
        self.final = Final(0, loss, self.start)

    def _named(self, values: Sequence[float]) -> dict[str, float]:
        """Values by parameter under their names."""
        return dict(zip(self.setup.parameters, values, strict=True))

    def _end(self, kind: str, found: Any) -> None:
        setup = self.setup
        objective = setup.names.of[setup.graph.objective]
        if kind == "begin":
            return
        if kind == "end":
            steps, loss, self.watch.small_enough, tensors = found
            self.tensors = ended(self.tensors, tensors)
            self.final = Final(steps, loss, self.after)
            self.watch.end(loss, list(self.after.values()))
        elif kind == "start":
            began = self.history.trouble(*found)
            out = f"the {setup.job.reduction} over the rows is out of the range of {setup.job.dtype}"
            reason = began.reason if began else out
            raise PointError(f"{objective} is not finite at the start: {reason}", hint="start elsewhere, with --at")
        elif kind == "nothing flows":
            raise OptionError(f"no gradient flows from {objective} to a parameter", hint="PyTorch would refuse, too")
        else:
            raise OptionError(f"PyTorch refused: {found}")

    def finish(self) -> Training:
        """The record, after all steps that have not been asked for yet."""
        self.kept += list(self.steps())
        training = self.record()
        if self.interrupted or not self.compares:
            return training
        return replace(training, comparison=tuple(self._others()))

    def record(self) -> Training:
        """The record of the steps so far."""
        setup, job, watch, graph = self.setup, self.setup.job, self.watch, self.setup.graph
        remarks = (*setup.notes, *self._remarks())
        return Training(
            source=setup.formula.source,
            statements=statements(setup),
            objective=setup.names.of[graph.objective],
            dtype=job.dtype,
            optimizer=Optimizer(job.optimizer, job.settings),
            order=job.order,
            zero_grad=job.zero_grad,
            accumulate=job.accumulate,
            inputs=setup.fixed,  # type: ignore[arg-type]
            data=self._data(),
            parameters=self.start,
            gradient=self._gradient(),
            steps=tuple(self.kept),
            planned=job.steps,
            agreed=watch.verdicts["agrees"],
            checked=sum(watch.verdicts.values()) - watch.verdicts["unverified"],
            verdict=self._verdict(),
            final=self.final,
            diagnosis=self._diagnosis(),
            notes=tuple(remark.text for remark in remarks),
            remarks=remarks,
            interrupted=self.interrupted,
            curve=tuple(watch.curve),
            label=self._label(),
            tensors=self.tensors if setup.formula.tensors else None,
            row_size=job.row_size,
            _device=job.device,
            _shapes={str(graph.nodes[i].value): graph.shapes[i] for i in graph.inputs},
        )

    def _diagnosis(self) -> tuple[Diagnosis, ...]:
        """What there is to say about a run that was not interrupted."""
        from gradexplain.training.diagnosis import diagnose

        return () if self.interrupted else tuple(diagnose(self.setup, self.watch, self.final.loss, self._curvature))

    def _gradient(self) -> dict[str, Partial]:
        """The gradients in symbols, but for those that were not confirmed."""
        objective = self.setup.names.of[self.setup.graph.objective]
        return {
            name: Partial(f"∂{objective}/∂{name}", form.symbolic, form.typeset)
            if name not in self.unconfirmed else Partial(f"∂{objective}/∂{name}", None)
            for name, form in self.forms.items()
        }  # fmt: skip

    def _verdict(self) -> str:
        """The worst verdict of all steps."""
        verdicts = [*self.watch.verdicts, *([self.history.differs[1][0]] if self.history.differs else [])]
        return max(verdicts, key=VERDICTS.index, default="unverified")

    def _label(self) -> str:
        """What tells this run from those that it is compared with."""
        if self.compare == "zero-grad":
            return "with zero_grad()" if self.request.zero_grad else "without zero_grad()"
        return self.request.order if self.compare == "order" else ""

    def _remarks(self) -> Iterator[Remark]:
        """Where a questionable verdict first came up, and why."""
        if self.history.differs:
            step, (verdict, began) = self.history.differs
            said = {"verdict": verdict, "step": step}
            yield Remark("not_moved_by_rule", {**said, "node": began.node, "reason": began.sentence})
        for verdict, (step, first) in self.watch.first_of.items():
            said = {"verdict": verdict, "count": self.watch.verdicts[verdict], "step": step}
            if verdict in ("agrees", "unverified"):
                continue
            if first is None:
                yield Remark("steps_in_doubt", said)
            else:
                yield Remark("steps_in_doubt_since", {**said, "node": first.node, "reason": first.sentence})

    def _data(self) -> Data | None:
        columns, job = self.setup.formula.columns, self.setup.job
        if columns is None:
            return None
        return Data(
            columns.source, job.rows, self.setup.used_columns, job.reduction, job.batch_size, job.shuffle, job.seed
        )

    def _curvature(self) -> float | None:
        (found,) = WITNESSES.answers(self._ask(CURVATURE, tuple(self.setup.job)))
        return None if found is None else float(found)

    def _others(self) -> Iterator[Training]:
        """The runs to compare with, from the same start: they differ in which calls are made, or in their order."""
        if self.compare == "zero-grad":
            changes: list[dict[str, Any]] = [{"zero_grad": not self.request.zero_grad, "order": ORDERS[0]}]
        elif self.compare == "order":
            changes = [{"order": order} for order in ORDERS if order != self.request.order]
        else:
            changes = []
        for change in changes:
            other = Run(replace(self.request, **change), self.compare)
            other.compares = False
            yield other.finish()

    def contours(self, xs: Sequence[float], ys: Sequence[float]) -> Contours | None:
        """The loss on a grid that holds the given values of the two parameters; None for another number of them."""
        if len(self.setup.parameters) != 2 or self.setup.formula.tensors:
            return None
        from gradexplain.training.curvature import around

        x, y = around(xs), around(ys)
        if not x or not y:
            return None
        (rows,) = WITNESSES.answers(self._ask(GRID, (tuple(self.setup.job), x, y)))
        first, second = self.setup.parameters
        return Contours((first, second), tuple(x), tuple(y), tuple(map(tuple, rows)))


def statements(setup: Setup) -> tuple[str, ...]:
    """The formula as gradexplain reads it, a statement each."""
    named = dict(setup.graph.names)
    return tuple(f"{name} = {write(setup.graph, i, named)}" for i, name in named.items())
