"""The training loop on tensors, as PyTorch runs it: leaves with requires_grad, a real backward(), PyTorch's optimizers.

It runs where PyTorch is, and sends what happened in chunks, as `loop.py` does for single numbers. Small parameters are
told element by element, large ones by their norms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from gradexplain.readings.place import CPU
from gradexplain.training.batches import groups
from gradexplain.training.job import Chunk, TensorJob
from gradexplain.training.pace import chunks
from gradexplain.training.stepping import Stepper
from gradexplain.training.tensor_check import Checker, Found
from gradexplain.training.tensor_curvature import largest_eigenvalue
from gradexplain.training.tensor_inputs import Inputs

_REFUSALS = (RuntimeError, NotImplementedError, TypeError, ValueError, IndexError, MemoryError)


def run(payload: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """Run a job: pairs of a kind and what belongs to it, as the loop on single numbers has them.

    `begin` has the loss at the start, the start as the steps tell it and in full, and the parameters whose closed form
    was not confirmed; `end` has the final parameters in full behind the rest; `start` where a loss began that is not
    finite.
    """
    import torch

    job = TensorJob(*payload)
    if torch.is_inference_mode_enabled() or not torch.is_grad_enabled():
        yield "refused", "gradients are switched off here, by no_grad() or inference_mode()"
        return
    try:
        yield from _Run(torch, job).messages()
    except _REFUSALS as error:
        yield "refused", str(error).splitlines()[0] if str(error) else type(error).__name__


def curvature(payload: tuple[Any, ...]) -> Iterator[float | None]:
    """A task: the largest eigenvalue of the Hessian over all elements of the parameters, where the loss is a quadratic
    bowl in one piece; else None."""
    import torch

    inputs = Inputs(torch, TensorJob(*payload)._replace(dtype="float64", device=CPU))
    try:
        yield largest_eigenvalue(torch, inputs)
    except _REFUSALS:
        yield None


class _Run:
    def __init__(self, torch: Any, job: TensorJob) -> None:
        self.torch, self.job = torch, job
        self.inputs = Inputs(torch, job)
        self.checker = Checker(self.inputs)
        self.parameters = self.inputs.start()
        self.by_element = [name in job.by_element for name, *_ in job.parameters]
        self.stepper = Stepper(self.inputs.place, job.optimizer, job.settings, self.parameters)
        self.arrived: list[list[Any]] = [[] for _ in self.parameters]
        self.last_moves: list[Any] = [None] * len(self.parameters)
        self.last_signs = [1.0] * len(self.parameters)
        self.small_enough: float | None = None
        self.collects = not job.zero_grad or job.accumulate > 1
        if self.collects:
            # What backward() computes, before it is added to what .grad holds.
            for arrived, parameter in zip(self.arrived, self.parameters, strict=True):
                parameter.register_hook(lambda gradient, arrived=arrived: arrived.append(gradient.clone()))
        self.now = self._told(self.parameters)
        self._clear()

    def messages(self) -> Iterator[tuple[str, Any]]:
        job, torch = self.job, self.torch
        rows = groups(self.inputs.place, job.rows, job.batch_size, job.accumulate, job.shuffle, job.seed)
        loss = self.inputs.loss(self.parameters, None)
        if not torch.isfinite(loss):
            yield "start", self.checker.trouble(self.parameters)
            return
        if not loss.requires_grad:
            yield "nothing flows", None
            return
        with torch.no_grad():
            unconfirmed = self.checker.unconfirmed(self.parameters)
        yield "begin", (loss.item(), self.now, self._packed(), unconfirmed)
        del loss
        one, waiting = lambda step: self._one(step, next(rows)), lambda: len(self.losses)
        done = yield from chunks(job.steps, one, waiting, self._flush)
        with torch.no_grad():
            final = self.inputs.loss(self.parameters, None).item()
        yield "end", (done, final, self.small_enough, self._packed())

    def _one(self, step: int, batches: list[Any]) -> bool:
        """One step, with its calls in the order that was asked for; False where the loss is small enough to stop."""
        job, torch = self.job, self.torch
        for arrived in self.arrived:
            arrived.clear()
        if job.order == "zero-backward-step":
            self._zero_grad()
        weights = self.inputs.weights(batches)
        values: list[Any] = []
        losses = []
        for rows, weight in zip(batches, weights, strict=True):
            values = self.inputs.values(self.parameters, rows)
            loss = values[self.inputs.graph.objective]
            losses.append(loss.item())
            (loss if weight == 1.0 else loss * weight).backward()
        total = sum(value * weight for value, weight in zip(losses, weights, strict=True))
        if job.until is not None and total <= job.until:
            self.small_enough = total
            return False
        with torch.no_grad():
            backward = self._backward()
            known = values if len(batches) == 1 else None
            finite = all(map(math.isfinite, losses))
            self.found.append(self.checker.check(self.parameters, batches, weights, backward, known, finite))
            self._keep(self.backwards, backward)
            if job.accumulate > 1 and step in job.closely:
                self.close[step] = (self._batches(batches, weights, losses), [], [])
        if job.order == "backward-zero-step":
            self._zero_grad()
        self.losses.append(total)
        for k, value in enumerate(self.now):
            self.starts[k].append(value)
        self._keep(self.grads, [parameter.grad for parameter in self.parameters])
        before = [parameter.detach().clone() for parameter in self.parameters]
        self.stepper.step()
        self.now = self._told(self.parameters)
        self._moved(before)
        for name, kept in self.states.items():
            tensors = [
                torch.zeros_like(parameter) if tensor is None else tensor
                for parameter, tensor in zip(self.parameters, self.stepper.state[name], strict=True)
            ]
            self._keep(kept, tensors)
        if job.order == "backward-step-zero":
            self._zero_grad()
        return True

    def _backward(self) -> list[Any]:
        """What the calls of backward() in this step computed, by parameter, added up; None for nothing."""
        if self.collects:
            return [sum(arrived[1:], arrived[0]) if arrived else None for arrived in self.arrived]
        return [parameter.grad for parameter in self.parameters]

    def _batches(self, batches: list[Any], weights: list[float], losses: list[float]) -> list[tuple[Any, ...]]:
        """What each backward() of a step added to `.grad`."""
        found: list[tuple[Any, ...]] = []
        for k, (rows, weight, loss) in enumerate(zip(batches, weights, losses, strict=True)):
            gradients = [arrived[k] if arrived else None for arrived in self.arrived]
            found.append((self.inputs.count(rows), weight, loss, self._told(gradients), [], [], [], []))
        return found

    def _told(self, tensors: list[Any]) -> list[Any]:
        """By parameter a tensor as the steps tell it: its elements in order, or its norm; None for no tensor."""
        exact = self.inputs.run.exact.place
        found: list[Any] = []
        for parameter, tensor, single in zip(self.parameters, tensors, self.by_element, strict=True):
            if tensor is None:
                found += [None] * (parameter.numel() if single else 1)
            elif single:
                found += tensor.detach().flatten().tolist()
            else:
                found.append(self.torch.linalg.vector_norm(exact.bring(tensor.detach())).item())
        return found

    def _keep(self, where: list[list[Any]], tensors: list[Any]) -> None:
        for kept, value in zip(where, self._told(tensors), strict=True):
            kept.append(value)

    def _moved(self, before: list[Any]) -> None:
        """By how much each large parameter moved; the sign turns where it turned back."""
        place, exact = 0, self.inputs.run.exact.place
        for k, (old, new, single) in enumerate(zip(before, self.parameters, self.by_element, strict=True)):
            count = new.numel() if single else 1
            if single:
                for n in range(place, place + count):
                    self.change[n].append(None)
            else:
                move = exact.bring(new.detach() - old)
                if self.last_moves[k] is not None and (self.last_moves[k] * move).sum() < 0:
                    self.last_signs[k] = -self.last_signs[k]
                self.last_moves[k] = move
                self.change[place].append(self.last_signs[k] * self.torch.linalg.vector_norm(move).item())
            place += count

    def _zero_grad(self) -> None:
        if self.job.zero_grad:
            for parameter in self.parameters:
                parameter.grad = None

    def _packed(self) -> dict[str, Any]:
        """The parameters in full."""
        names = [name for name, *_ in self.job.parameters]
        return {name: self.inputs.run.exact.pack(p.detach()) for name, p in zip(names, self.parameters, strict=True)}

    def _clear(self) -> None:
        count = range(len(self.now))
        self.losses: list[float] = []
        self.starts: list[list[Any]] = [[] for _ in count]
        self.backwards: list[list[Any]] = [[] for _ in count]
        self.grads: list[list[Any]] = [[] for _ in count]
        self.change: list[list[Any]] = [[] for _ in count]
        self.states: dict[str, list[list[Any]]] = {name: [[] for _ in count] for name in self.stepper.state}
        self.found: list[Found] = []
        self.close: dict[int, Any] = {}

    def _flush(self, last: int) -> tuple[Any, ...]:
        start = last - len(self.losses) + 1
        states = {**self.states, "change": self.change}
        chunk = Chunk(
            start, self.losses, self.starts, self.backwards, self.grads, states, self.now, [], self.close, self.found
        )  # fmt: skip
        self._clear()
        return tuple(chunk)
