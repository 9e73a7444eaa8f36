"""The training loop itself, as PyTorch runs it: real tensors, a real backward(), PyTorch's own optimizer code.

It runs where PyTorch is, mostly in a second process, and sends what happened in chunks. It keeps nothing of a chunk
that was sent, so that a run may be endless.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from gradexplain.readings.lean import complete
from gradexplain.training.batches import groups
from gradexplain.training.inputs import REFUSALS, Inputs
from gradexplain.training.job import Chunk, Found, Job
from gradexplain.training.judge import Judge, Taken
from gradexplain.training.pace import chunks
from gradexplain.training.stepping import Stepper
from gradexplain.training.told import Teller


def run(payload: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """Run a job: pairs of a kind and what belongs to it, all of them plain data.

    `("begin", (the loss at the start, the start as the steps tell it, the parameters in full by name, those whose
    closed form was not confirmed))`, `("chunk", fields of a Chunk)` as the run goes on, and `("end", (steps made, the
    loss after them, the loss that was small enough to stop at or None, the parameters in full))`; losses are those over
    all rows, but for the last one. Instead of them, `("nothing flows", None)` where no gradient can reach a parameter,
    `("start", (where it began, fields of a Close))` where the loss is not finite at the start, `("refused", message)`
    where PyTorch refuses.
    """
    import torch

    job = Job(*payload)
    if torch.is_inference_mode_enabled() or not torch.is_grad_enabled():
        yield "refused", "gradients are switched off here, by no_grad() or inference_mode()"
        return
    silent = True
    try:
        for message in _Loop(torch, job).messages():
            silent = False
            yield message
    except REFUSALS as error:
        if silent and complete():
            yield from run(payload)
        else:
            yield "refused", str(error).splitlines()[0] if str(error) else type(error).__name__


def _judge(inputs: Inputs, teller: Teller) -> Judge:
    """What judges the steps; of the two, only the one that is needed is loaded."""
    if inputs.job.reduction == "batch":
        from gradexplain.training.one_step import OneStep

        return OneStep(inputs, teller)
    from gradexplain.training.many_steps import ManySteps

    return ManySteps(inputs, teller)


class _Loop:
    def __init__(self, torch: Any, job: Job) -> None:
        self.torch, self.job = torch, job
        self.inputs = Inputs(torch, job)
        self.parameters = self.inputs.start()
        self.teller = Teller(torch, self.parameters, [name in job.by_element for name, *_ in job.parameters])
        self.judge = _judge(self.inputs, self.teller)
        self.stepper = Stepper(self.inputs.place, job.optimizer, job.settings, self.parameters)
        self.arrived: list[list[Any]] = [[] for _ in self.parameters]
        self.small_enough: float | None = None
        self.collects = not job.zero_grad or job.accumulate > 1
        if self.collects:
            # What backward() computes, before it is added to what .grad holds.
            for arrived, parameter in zip(self.arrived, self.parameters, strict=True):
                parameter.register_hook(lambda gradient, arrived=arrived: arrived.append(gradient.clone()))
        self.now: list[float] = self.teller(self.parameters)
        self._clear()

    def messages(self) -> Iterator[tuple[str, Any]]:
        job, torch = self.job, self.torch
        rows = groups(self.inputs.place, job.rows, job.batch_size, job.accumulate, job.shuffle, job.seed)
        loss = self.inputs.loss(self.parameters, None)
        if not torch.isfinite(loss):
            yield "start", self.judge.start(self.parameters)
            return
        if not loss.requires_grad:
            yield "nothing flows", None
            return
        with torch.no_grad():
            unconfirmed = self.judge.unconfirmed(self.parameters)
        yield "begin", (loss.item(), self.now, self._packed(), unconfirmed)
        del loss
        one, waiting = lambda step: self._one(step, next(rows)), lambda: len(self.losses)
        done = yield from chunks(job.steps, one, waiting, self._flush)
        with torch.no_grad():
            final = self.inputs.loss(self.parameters, None).item()
        yield "end", (done, final, self.small_enough, self._packed())

    def _one(self, step: int, batches: list[Any]) -> bool:
        """One step, with its calls in the order that was asked for; False where the loss is small enough to stop."""
        order = self.job.order
        if order == "zero-backward-step":
            self._zero_grad()
        taken = self._backward(step, batches)
        total = sum(map(operator.mul, taken.losses, taken.weights))
        if self.job.until is not None and total <= self.job.until:
            self.small_enough = total
            return False
        backward = self.teller(taken.gradients)
        self.judge.step(self.parameters, taken)
        if self.collects and (wrong := self.judge.sum(self.parameters, taken)) is not None:
            self.sums[step] = wrong
        if order == "backward-zero-step":
            self._zero_grad()
        changed = self.collects or order == "backward-zero-step"
        grad = self.teller([parameter.grad for parameter in self.parameters]) if changed else backward
        self.losses.append(total)
        for k, value in enumerate(self.now):
            self.starts[k].append(value)
            self.backwards[k].append(backward[k])
            self.grads[k].append(grad[k])
        self._step()
        if order == "backward-step-zero":
            self._zero_grad()
        return True

    def _backward(self, step: int, batches: list[Any]) -> Taken:
        """The calls of backward() of one step, and what they computed by parameter, None for nothing."""
        held, arrived = [], []
        if self.collects:
            held = [None if parameter.grad is None else parameter.grad.clone() for parameter in self.parameters]
            for entry in self.arrived:
                entry.clear()
        weights = self.inputs.weights(batches)
        known, losses = None, []
        for rows, weight in zip(batches, weights, strict=True):
            loss, known = self.inputs.forward(self.parameters, rows)
            losses.append(loss)
            (loss if weight == 1.0 else loss * weight).backward()
        if self.collects:
            arrived = [list(entry) for entry in self.arrived]
            gradients = [sum(entry) if entry else None for entry in arrived]
        else:
            gradients = [parameter.grad for parameter in self.parameters]
        return Taken(step, batches, weights, [loss.item() for loss in losses], gradients, held, arrived, known)

    def _step(self) -> None:
        """What step() does, and what is to be told of it."""
        before = self.teller.copies()
        self.stepper.step()
        self.now = self.teller(self.parameters)
        if before:
            for place, value in self.teller.moved(before).items():
                self.changes[place].append(value)
        for name, kept in self.states.items():
            for values, value in zip(kept, self.teller(self.stepper.state[name], 0.0), strict=True):
                values.append(value)

    def _zero_grad(self) -> None:
        if self.job.zero_grad:
            for parameter in self.parameters:
                parameter.grad = None

    def _packed(self) -> dict[str, Any]:
        """The parameters in full."""
        names = [name for name, *_ in self.job.parameters]
        return {name: self.inputs.pack(parameter) for name, parameter in zip(names, self.parameters, strict=True)}

    def _clear(self) -> None:
        count = range(len(self.now))
        self.losses: list[float] = []
        self.sums: dict[int, Found] = {}
        self.starts: list[list[float]] = [[] for _ in count]
        self.backwards: list[list[float | None]] = [[] for _ in count]
        self.grads: list[list[float | None]] = [[] for _ in count]
        self.states: dict[str, list[list[float]]] = {name: [[] for _ in count] for name in self.stepper.state}
        self.changes: dict[int, list[float]] = {self.teller.places[k]: [] for k in self.teller.large}

    def _flush(self, last: int) -> tuple[Any, ...]:
        start = last - len(self.losses) + 1
        with self.torch.no_grad():
            found, close = self.judge.chunk(start, self.starts, self.backwards)
        chunk = Chunk(
            start, self.losses, self.starts, self.backwards, self.grads, self.states, self.changes, self.now,
            found, self.sums, {step: tuple(entry) for step, entry in close.items()},  # type: ignore[misc]
        )  # fmt: skip
        self._clear()
        return tuple(chunk)
