"""The training loop itself, as PyTorch runs it: real tensors, a real backward(), PyTorch's own optimizer code.

It runs where PyTorch is, mostly in a second process, and sends what happened in chunks. It keeps nothing of a chunk
that was sent, so that a run may be endless.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gradexplain.language.parse import parse
from gradexplain.readings.place import Place
from gradexplain.training.batches import groups
from gradexplain.training.job import Chunk, Job
from gradexplain.training.judge import Examiner
from gradexplain.training.pace import chunks
from gradexplain.training.problem_tensors import Tensors
from gradexplain.training.stepping import Stepper


def run(payload: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """Run a job: pairs of a kind and what belongs to it, all of them plain data.

    `("begin", the loss at the start)`, `("chunk", fields of a Chunk)` as the run goes on, and `("end", (steps made, the
    loss after them, the loss that was small enough to stop at or None))`; losses are those over all rows, but for the
    last one. Instead of them, `("nothing flows", None)` where no gradient can reach a parameter, `("start", fields of
    a Close)` where the loss is not finite at the start, `("refused", message)` where PyTorch refuses.
    """
    import torch

    job = Job(*payload)
    if torch.is_inference_mode_enabled() or not torch.is_grad_enabled():
        yield "refused", "gradients are switched off here, by no_grad() or inference_mode()"
        return
    try:
        yield from _Run(torch, job).messages()
    except (RuntimeError, NotImplementedError, TypeError, ValueError, MemoryError) as error:
        yield "refused", str(error).splitlines()[0] if str(error) else type(error).__name__


class _Run:
    def __init__(self, torch: Any, job: Job) -> None:
        self.torch, self.job = torch, job
        graph = parse(job.source, job.given)
        place = Place(torch, job.dtype, job.device)
        self.tensors = Tensors(place, job, graph)
        self.examiner = Examiner(torch, job, self.tensors)
        self.parameters = [place.leaf(value) for _, value in job.parameters]
        self.stepper = Stepper(place, job.optimizer, job.settings, self.parameters)
        self.arrived: list[list[float]] = [[] for _ in self.parameters]
        self.now: list[float] = []
        self.small_enough: float | None = None
        self.collects = not job.zero_grad or job.accumulate > 1
        if self.collects:
            # What backward() computes, before it is added to what .grad holds.
            for arrived, parameter in zip(self.arrived, self.parameters, strict=True):
                parameter.register_hook(lambda gradient, arrived=arrived: arrived.append(gradient.item()))
        self._clear()

    def messages(self) -> Iterator[tuple[str, Any]]:
        job, torch = self.job, self.torch
        rows = groups(self.tensors.place, job.rows, job.batch_size, job.accumulate, job.shuffle, job.seed)
        loss = self._loss(None)
        if not torch.isfinite(loss):
            yield "start", tuple(self.examiner.start([value for _, value in job.parameters]))
            return
        if not loss.requires_grad:
            yield "nothing flows", None
            return
        yield "begin", loss.item()
        del loss
        done = yield from chunks(job.steps, lambda step: self._one(next(rows)), lambda: len(self.losses), self._flush)
        with torch.no_grad():
            final = self._loss(None).item()
        yield "end", (done, final, self.small_enough)

    def _loss(self, rows: Any) -> Any:
        """The loss over rows (None for all), reduced."""
        return self.tensors.reduce(self.tensors.forward(self.parameters, rows), rows)

    def _one(self, batches: list[Any]) -> bool:
        """One step, with its calls in the order that was asked for; False where the loss is small enough to stop."""
        job = self.job
        for arrived in self.arrived:
            arrived.clear()
        if job.order == "zero-backward-step":
            self._zero_grad()
        weights = self.tensors.weights(batches)
        losses = []
        for rows, weight in zip(batches, weights, strict=True):
            loss = self._loss(rows)
            losses.append(loss)
            (loss if weight == 1.0 else loss * weight).backward()
        values = [loss.item() for loss in losses]
        total = sum(value * weight for value, weight in zip(values, weights, strict=True))
        if job.until is not None and total <= job.until:
            self.small_enough = total
            return False
        backward = self._backward()
        if job.order == "backward-zero-step":
            self._zero_grad()
        grad = [None if p.grad is None else p.grad.item() for p in self.parameters]
        self.losses.append(total)
        self.batches.append((batches, weights, values, [list(arrived) for arrived in self.arrived]))
        for k, value in enumerate(self.now):
            self.starts[k].append(value)
            self.backwards[k].append(backward[k])
            self.grads[k].append(grad[k])
        self.stepper.step()
        self.now = [parameter.item() for parameter in self.parameters]
        for name, kept in self.states.items():
            for k, value in enumerate(self.stepper.values(name)):
                kept[k].append(value)
        if job.order == "backward-step-zero":
            self._zero_grad()
        return True

    def _backward(self) -> list[float | None]:
        """What the calls of backward() in this step computed, by parameter, added up."""
        if self.collects:
            return [sum(arrived) if arrived else None for arrived in self.arrived]
        return [None if p.grad is None else p.grad.item() for p in self.parameters]

    def _zero_grad(self) -> None:
        if self.job.zero_grad:
            for parameter in self.parameters:
                parameter.grad = None

    def _clear(self) -> None:
        count = range(len(self.parameters))
        self.losses: list[float] = []
        self.batches: list[tuple[Any, ...]] = []
        self.starts: list[list[float]] = [[] for _ in count]
        self.backwards: list[list[float | None]] = [[] for _ in count]
        self.grads: list[list[float | None]] = [[] for _ in count]
        self.states: dict[str, list[list[float]]] = {name: [[] for _ in count] for name in self.stepper.state}
        self.now = [parameter.item() for parameter in self.parameters]

    def _flush(self, last: int) -> tuple[Any, ...]:
        start = last - len(self.losses) + 1
        with self.torch.no_grad():
            checks, close = self.examiner.check(start, self.starts, self.backwards, self.batches)
        chunk = Chunk(
            start, self.losses, self.starts, self.backwards, self.grads, self.states, self.now, checks,
            {step: tuple(found) for step, found in close.items()},  # type: ignore[misc]
        )  # fmt: skip
        self._clear()
        return tuple(chunk)
