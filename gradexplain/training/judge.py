"""Judging the steps of a run where PyTorch is: what both ways of doing so share, and what `.grad` holds.

Steps on single numbers are judged many at once (`many_steps.py`), those on tensors one by one (`one_step.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradexplain.readings.dtypes import DTYPES
from gradexplain.training.inputs import Inputs
from gradexplain.training.job import Close, Found
from gradexplain.training.told import Teller


class Taken(NamedTuple):
    """What the calls of backward() in one step did: the row sets, their weights, and the loss of each.

    By parameter, None for nothing: `gradients` are what they computed together, `held` what `.grad` held before, and
    `arrived` what each call computed, both empty where `.grad` is what one call computed. `known` are the values of all
    nodes for the last rows, where they were kept.
    """

    step: int
    rows: list[Any]
    weights: list[float]
    losses: list[float]
    gradients: list[Any]
    held: list[Any]
    arrived: list[list[Any]]
    known: Sequence[Any] | None


class Judge:
    """Compares the steps of a run with the chain rule. `step` gets each as it is taken, `chunk` asks how they were."""

    def __init__(self, inputs: Inputs, teller: Teller) -> None:
        self.inputs, self.torch, self.job, self.teller = inputs, inputs.torch, inputs.job, teller
        self.tolerance = DTYPES[self.job.dtype].tolerance
        self.closely = set(self.job.closely)

    def start(self, parameters: Sequence[Any]) -> tuple[Found, tuple[Any, ...]]:
        """Where a loss that is not finite at the start began: a node, or the fields of a closer look at it."""
        raise NotImplementedError

    def unconfirmed(self, parameters: Sequence[Any]) -> list[str]:
        """The parameters whose closed forms do not have the numbers of the chain rule."""
        return []

    def step(self, parameters: Sequence[Any], taken: Taken) -> None:
        """Take notice of one step, before the optimizer moves the parameters."""
        raise NotImplementedError

    def chunk(
        self, start: int, parameters: list[list[float]], backward: list[list[float | None]]
    ) -> tuple[list[Found], dict[int, Close]]:
        """How the steps since the last chunk came out, and a closer look at some of them.

        `parameters` and `backward` are told, by parameter, then by step from `start` on.
        """
        raise NotImplementedError

    def batches(self, taken: Taken) -> list[tuple[Any, ...]]:
        """What each backward() of a step added to `.grad`, as in Close, where there were several."""
        found: list[tuple[Any, ...]] = []
        for k, (rows, weight, loss) in enumerate(zip(taken.rows, taken.weights, taken.losses, strict=True)):
            gradients = [arrived[k] if arrived else None for arrived in taken.arrived]
            found.append((self.inputs.count(rows), weight, loss, self.teller(gradients), [], [], [], []))
        return found

    def sum(self, parameters: Sequence[Any], taken: Taken) -> Found | None:
        """Where `.grad` is not the sum of what it held and of what was put into it; None where all is well.

        The gradients of two parameters may be views of one tensor, and PyTorch adds to both in place.
        """
        for k, (parameter, held, arrived) in enumerate(zip(parameters, taken.held, taken.arrived, strict=True)):
            parts = [*([] if held is None else [held]), *arrived]
            total = sum(parts[1:], parts[0]) if parts else None
            if total is None or self.torch.equal(parameter.grad, total):
                continue
            size = sum(part.abs() for part in parts)
            off = total.isfinite() & ~((parameter.grad - total).abs() <= self.tolerance * size)
            if not bool(off.any()):
                continue
            first = int(off.flatten().byte().argmax()) if self.teller.counts[k] else 0
            place = self.teller.places[k] + first
            holds = self.teller([parameter.grad if n == k else None for n in range(len(parameters))])[place]
            put = self.teller([total if n == k else None for n in range(len(parameters))])[place]
            return "disagrees", place, "sum", (holds, put, self._partner(parameters, k))
        return None

    def _partner(self, parameters: Sequence[Any], k: int) -> str:
        """The name of another parameter whose `.grad` has the memory of that of number `k`; empty where none has."""
        memory = [None if p.grad is None else p.grad.untyped_storage().data_ptr() for p in parameters]
        same = [n for n, own in enumerate(memory) if n != k and own == memory[k]]
        return self.job.parameters[same[0]][0] if same else ""
