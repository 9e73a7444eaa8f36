"""Whether backward() agreed with the chain rule: every step quickly, some of them closely.

Quickly: the rule table's chain rule on tensors, many steps at once, in the dtype of the run. What that cannot settle (a
difference, a kink, a number that is not finite) gets a closer look, at the rows that are most in doubt; exact numbers
decide about it elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.numbers import program
from gradexplain.readings.numbers import run as run_program
from gradexplain.readings.place import Place
from gradexplain.readings.tensors import Elementwise, at_kink, chain_rule
from gradexplain.training.job import AGREES, LOOK, SAME, UNCHECKED, Close, Job, Point
from gradexplain.training.problem_tensors import Tensors

# Steps with more rows than this are compared only where they are shown, and row by row only the first one.
MANY_ROWS = 4_096
# How many numbers a tensor of the comparison has at most, and how many doubtful steps get a closer look.
ELEMENTS = 200_000
LOOKS = 300
# Up to so many rows are listed one by one.
LISTED = 8


class Examiner:
    """Compares the steps of a run with the chain rule."""

    def __init__(self, torch: Any, job: Job, tensors: Tensors) -> None:
        self.torch, self.job, self.tensors, self.graph = torch, job, tensors, tensors.graph
        self.table, self.double = Elementwise(tensors.place), Place(torch)
        self.tolerance = DTYPES[job.dtype].tolerance
        self.closely = set(job.closely)
        self.looks_left = LOOKS
        self.looked_at: tuple[Any, ...] = ()

    def check(
        self, start: int, parameters: list[list[float]], backward: list[list[float | None]], batches: list[Any]
    ) -> tuple[list[int], dict[int, Close]]:
        """How each step came out, and a closer look at those that need it or were asked for.

        `parameters` and `backward` are by parameter, then by step from `start` on; `batches` are (row sets, weights,
        losses, gradients of each) by step.
        """
        doubts = self._quickly(start, parameters, backward, batches)
        checks, close = [], {}
        for k, entry in enumerate(batches):
            values, found = [starts[k] for starts in parameters], [row[k] for row in backward]
            asked = start + k in self.closely
            check = doubts[k] if doubts[k] != LOOK else self._budget(values, found, entry[0], asked)
            few = self._rows(entry[0]) <= MANY_ROWS or start + k == 1
            if check == LOOK or (asked and few):
                close[start + k] = self.close(values, entry, found)
            checks.append(check)
        return checks, close

    def _rows(self, batches: list[Any]) -> int:
        """How many rows the batches of a step have; 1 without data."""
        return sum(map(self.tensors.count, batches)) if self.job.rows else 1

    def _budget(self, values: list[float], backward: list[float | None], batches: list[Any], asked: bool) -> int:
        """LOOK, SAME where this very step was looked at just before, UNCHECKED where there were too many looks."""
        rows = () if batches[0] is None else tuple(tuple(part.tolist()) for part in batches)
        step = (repr(values), repr(backward), rows)
        if step == self.looked_at:
            return SAME
        if self.looks_left <= 0 and not asked:
            return UNCHECKED
        self.looks_left -= 1
        self.looked_at = step
        return LOOK

    def _quickly(
        self, start: int, parameters: list[list[float]], backward: list[list[float | None]], batches: list[Any]
    ) -> list[int]:
        """AGREES or LOOK for every step; UNCHECKED where there are many rows and it was not asked for."""
        found = [UNCHECKED] * len(batches)
        by_count: dict[int, list[int]] = {}
        for k, (rows, *_) in enumerate(batches):
            count = self._rows(rows)
            if count <= MANY_ROWS or start + k in self.closely:
                by_count.setdefault(count, []).append(k)
        for count, steps in by_count.items():
            at_once = max(1, ELEMENTS // count)
            for first in range(0, len(steps), at_once):
                part = steps[first : first + at_once]
                for k, agrees in zip(part, self._agree(part, parameters, backward, batches), strict=True):
                    # A loss that is not finite may have a gradient that is.
                    found[k] = AGREES if agrees and all(map(math.isfinite, batches[k][2])) else LOOK
        return found

    def _agree(
        self, steps: list[int], parameters: list[list[float]], backward: list[list[float | None]], batches: list[Any]
    ) -> list[bool]:
        """Whether autograd's gradient is that of the chain rule, for several steps with as many rows each."""
        torch, place = self.torch, self.tensors.place
        points = [place.tensor([starts[k] for k in steps])[:, None] for starts in parameters]
        rows = None
        if self.job.rows and batches[steps[0]][0][0] is not None:
            rows = torch.stack([torch.cat(list(batches[k][0])) for k in steps])
        values = self.tensors.plan.run(self.tensors.inputs(points, rows))
        shape = (len(steps), rows.shape[1] if rows is not None else max(self.job.rows, 1))
        totals = self._totals(values, shape, sized=shape[1] <= MANY_ROWS)
        kinks = self._kinks(values).expand(shape).any(1)
        agrees = ~kinks
        for (total, size), found in zip(totals, backward, strict=True):
            autograd = self.double.tensor([found[k] or 0.0 for k in steps])
            # Without data, or where the mean is taken, the weights of the rows add up to 1.
            share = 1.0 if self.job.rows and self.job.reduction == "sum" else 1.0 / shape[1]
            total, size = (total * share).sum(1), (size * share).sum(1)
            agrees &= torch.isfinite(size) & ((total - autograd).abs() <= self.tolerance * size)
        return agrees.tolist()  # type: ignore[no-any-return]

    def _totals(self, values: Sequence[Any], shape: tuple[int, ...], sized: bool = True) -> list[tuple[Any, Any]]:
        """By parameter the gradient by the chain rule and its size, elementwise, in float64."""
        plain = [value.detach() if hasattr(value, "detach") else value for value in values]
        found = chain_rule(self.table, self.graph, self.tensors.nodes, plain, sized)
        return [
            tuple(self.double.bring(part).expand(shape) for part in found.get(node, (0.0, 0.0)))
            for node in self.tensors.nodes
        ]

    def _kinks(self, values: Sequence[Any]) -> Any:
        """Where there is a kink on the way to a parameter, elementwise or for all."""
        found = at_kink(self.table, self.graph, self.tensors.nodes, values)
        return self.double.bring(found) != 0

    def start(self, values: list[float]) -> Close:
        """The point at which a run would begin, with the first row whose loss is not finite, if it is that of a row."""
        losses = self.tensors.forward([self.tensors.place.tensor(v) for v in values], None)
        broken = (~self.torch.isfinite(losses.detach().reshape(-1))).nonzero()
        if not len(broken):
            return Close([], [], [])
        return Close([], [self._point(values, int(broken[0]) if self.job.rows else -1)], [])

    def close(self, values: list[float], entry: Any, backward: list[float | None]) -> Close:
        """A closer look at one step with the parameters `values`; `entry` as in `check`."""
        rows, weights, losses, arrived = entry
        gradients = [
            [arrived[k][n] if arrived[k] else backward[k] for k in range(len(values))] for n in range(len(rows))
        ]
        job = self.job
        batches: list[tuple[Any, ...]] = []
        if not job.rows:
            if job.accumulate > 1:
                batches = [
                    (1, weight, loss, gradient, [], [], [], [])
                    for weight, loss, gradient in zip(weights, losses, gradients, strict=True)
                ]
            return Close(batches, [self._point(values, -1)], [])
        worst: tuple[float, int] = (-1.0, 0)
        at_a_kink = -1
        reference = [(0.0, 0.0, True)] * len(values)
        for n, part in enumerate(rows):
            numbers = self.tensors.place.rows(job.rows) if part is None else part
            row_losses, row_gradients, doubts, kinks, totals = self._by_row(values, part)
            most = int(doubts.argmax())
            worst = max(worst, (doubts[most].item(), int(numbers[most])))
            if bool(kinks.any()) and at_a_kink < 0:
                at_a_kink = int(numbers[int(kinks.to(self.torch.int8).argmax())])
            share = weights[n] if job.reduction == "sum" else weights[n] / len(numbers)
            reference = [
                (
                    total + share * own.sum().item(),
                    size + share * scale.sum().item(),
                    finite and bool(self.torch.isfinite(own).all()),
                )
                for (total, size, finite), (own, scale) in zip(reference, totals, strict=True)
            ]
            listed = len(numbers) <= LISTED
            spreads = [(g.min().item(), g.mean().item(), g.max().item()) for g in row_gradients]
            batches.append((
                len(numbers), weights[n], losses[n], gradients[n],
                [int(i) + 1 for i in numbers] if listed else [], row_losses.tolist() if listed else [],
                [gradient.tolist() for gradient in row_gradients] if listed else [], spreads,
            ))  # fmt: skip
        chosen = dict.fromkeys([worst[1], *([at_a_kink] if at_a_kink >= 0 else [])])
        return Close(batches, [self._point(values, row) for row in chosen], reference)

    def _by_row(self, values: list[float], rows: Any) -> tuple[Any, list[Any], Any, Any, list[tuple[Any, Any]]]:
        """By row: the loss, autograd's gradient by each parameter, how far it is from the chain rule (relative, and
        infinite where one is not finite), whether there is a kink, and the chain rule's gradients with their sizes."""
        torch, tensors = self.torch, self.tensors
        count = tensors.count(rows)
        with torch.enable_grad():
            points = [tensors.place.full((count,), value).requires_grad_() for value in values]
            results = tensors.plan.run(tensors.inputs(points, rows))
            losses = results[self.graph.objective]
            losses = losses if losses.dim() else losses.expand(count)
            gradients = torch.autograd.grad(losses.sum(), points, allow_unused=True)
        found = [torch.zeros_like(p) if g is None else g for p, g in zip(points, gradients, strict=True)]
        plain = [value.detach() if hasattr(value, "detach") else value for value in results]
        kinks = self._kinks(plain).expand(count)
        totals = self._totals(plain, (count,))
        doubts = self.double.zeros((count,))
        for (total, size), autograd in zip(totals, found, strict=True):
            difference = (total - self.double.bring(autograd)).abs()
            relative = torch.where(difference == 0, 0.0, difference / size)
            doubts = torch.maximum(doubts, relative.nan_to_num(nan=math.inf, posinf=math.inf))
        return losses.detach(), found, doubts, kinks, totals

    def _point(self, values: list[float], row: int) -> tuple[Any, ...]:
        """What PyTorch has at a single point: that of row `row`, or -1 without data."""
        tensors = self.tensors
        inputs = dict(zip(tensors.nodes, values, strict=True)) | self.job.inputs
        inputs |= {node: column[row].item() for node, column in tensors.columns.items()}
        given: dict[int, float | None] = {**inputs, **self.job.constants}
        wanted = [i for i in range(len(self.graph.nodes)) if i != self.graph.objective]
        witness = run_program(program(self.graph, given, tensors.nodes, wanted, 1.0, self.job.dtype, self.job.device))
        return tuple(Point(row + 1, inputs, tuple(witness)))
