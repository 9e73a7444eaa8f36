"""Whether backward() agreed with the chain rule: every step quickly, some of them closely.

Quickly: the rule table's chain rule on tensors, many steps at once, in the dtype of the run. What that cannot settle (a
difference, a kink, a number that is not finite) gets a closer look, at the row that is most in doubt; exact numbers
decide about it elsewhere.
"""

from __future__ import annotations

import math
from typing import Any

from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.numbers import program
from gradexplain.readings.numbers import run as run_program
from gradexplain.readings.tensors import Elementwise, at_kink, chain_rule
from gradexplain.training.job import AGREES, LOOK, SAME, UNCHECKED, Close, Job
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
        self.table = Elementwise(torch, tensors.dtype)
        self.tolerance = DTYPES[job.dtype].tolerance
        self.closely = set(job.closely)
        self.looks_left = LOOKS
        self.looked_at = ""

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
            values = [starts[k] for starts in parameters]
            asked = start + k in self.closely
            check = doubts[k] if doubts[k] != LOOK else self._budget(values, asked)
            few = self._rows(entry[0]) <= MANY_ROWS or start + k == 1
            if check == LOOK or (asked and few):
                close[start + k] = self.close(values, entry[0], entry, [row[k] for row in backward])
            checks.append(check)
        return checks, close

    def _rows(self, batches: list[Any]) -> int:
        """How many rows the batches of a step have; 1 without data."""
        return sum(map(self.tensors.count, batches)) if self.job.rows else 1

    def _budget(self, values: list[float], asked: bool) -> int:
        """LOOK, SAME where this very point was looked at just before, UNCHECKED where there were too many looks."""
        point = repr(values)
        if point == self.looked_at:
            return SAME
        if self.looks_left <= 0 and not asked:
            return UNCHECKED
        self.looks_left -= 1
        self.looked_at = point
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
                for k, agrees in zip(part, self._agree(part, count, parameters, backward, batches), strict=True):
                    found[k] = AGREES if agrees else LOOK
        return found

    def _agree(
        self, steps: list[int], count: int, parameters: list[list[float]], backward: list[list[float | None]],
        batches: list[Any],
    ) -> list[bool]:  # fmt: skip
        """Whether autograd's gradient is that of the chain rule, for several steps with `count` rows each."""
        torch, dtype = self.torch, self.tensors.dtype
        points = [torch.tensor([starts[k] for k in steps], dtype=dtype)[:, None] for starts in parameters]
        rows = None
        if self.job.rows and batches[steps[0]][0][0] is not None:
            rows = torch.stack([torch.cat(list(batches[k][0])) for k in steps])
        values = self.tensors.plan.run(self.tensors.inputs(points, rows))
        totals = chain_rule(self.table, self.graph, self.tensors.nodes, values, sized=count <= MANY_ROWS)
        shape = (len(steps), count)
        agrees = ~torch.as_tensor(at_kink(self.table, self.graph, values)).expand(shape).any(1)
        share = 1.0 / count if self.job.rows and self.job.reduction == "mean" else 1.0
        for node, found in zip(self.tensors.nodes, backward, strict=True):
            autograd = torch.tensor([found[k] or 0.0 for k in steps], dtype=dtype)
            total, size = (
                torch.as_tensor(part, dtype=dtype).expand(shape).sum(1) * share for part in totals.get(node, (0.0, 0.0))
            )
            difference = (total - autograd).abs()
            agrees &= difference <= self.tolerance * size
        return agrees.tolist()  # type: ignore[no-any-return]

    def start(self, values: list[float]) -> Close:
        """The point at which a run would begin, with the row whose loss is not finite."""
        losses = self.tensors.forward([self.torch.tensor(v, dtype=self.tensors.dtype) for v in values], None)
        row = int((~self.torch.isfinite(losses.detach().reshape(-1))).nonzero()[0])
        return self._at_row([], values, row if self.job.rows else -1)

    def close(self, values: list[float], rows: list[Any], entry: Any, backward: list[float | None]) -> Close:
        """A closer look at one step with the parameters `values`, over its row sets; `entry` as in `check`."""
        torch, job = self.torch, self.job
        _, weights, losses, arrived = entry
        batches: list[tuple[Any, ...]] = []
        if not job.rows:
            gradients = [[arrived[k][n] if arrived[k] else backward[k] for k in range(len(values))]
                         for n in range(len(rows))]  # fmt: skip
            if job.accumulate > 1:
                batches = [(1, weight, loss, gradient, [], [], [], [])
                           for weight, loss, gradient in zip(weights, losses, gradients, strict=True)]  # fmt: skip
            return self._at_row(batches, values, -1)
        worst, doubt = 0, -1.0
        for n, part in enumerate(rows):
            numbers = torch.arange(job.rows) if part is None else part
            row_losses, row_gradients, doubts = self._by_row(values, part)
            most = doubts.max().item()
            if not most <= doubt:
                worst, doubt = int(numbers[int(doubts.nan_to_num(math.inf).argmax())]), most
            listed = len(numbers) <= LISTED
            spreads = [(g.min().item(), g.mean().item(), g.max().item()) for g in row_gradients]
            batches.append((
                len(numbers), weights[n], losses[n],
                [arrived[k][n] if arrived[k] else backward[k] for k in range(len(values))],
                [int(i) + 1 for i in numbers] if listed else [], row_losses.tolist() if listed else [],
                [gradient.tolist() for gradient in row_gradients] if listed else [], spreads,
            ))  # fmt: skip
        return self._at_row(batches, values, worst)

    def _by_row(self, values: list[float], rows: Any) -> tuple[Any, list[Any], Any]:
        """By row: the loss, autograd's gradient by each parameter, and how far it is from the chain rule, relative."""
        torch, tensors = self.torch, self.tensors
        count = tensors.count(rows)
        with torch.enable_grad():
            points = [torch.full((count,), value, dtype=tensors.dtype, requires_grad=True) for value in values]
            results = tensors.plan.run(tensors.inputs(points, rows))
            losses = results[self.graph.objective]
            gradients = torch.autograd.grad(losses.sum(), points, allow_unused=True)
        found = [torch.zeros_like(p) if g is None else g for p, g in zip(points, gradients, strict=True)]
        plain = [value.detach() if hasattr(value, "detach") else value for value in results]
        totals = chain_rule(self.table, self.graph, tensors.nodes, plain)
        doubts = torch.as_tensor(at_kink(self.table, self.graph, plain)).expand(count).to(tensors.dtype)
        for node, autograd in zip(tensors.nodes, found, strict=True):
            total, size = (torch.as_tensor(part, dtype=tensors.dtype).expand(count)
                           for part in totals.get(node, (0.0, 0.0)))  # fmt: skip
            difference = (total - autograd).abs()
            doubts = torch.maximum(doubts, torch.where(difference == 0, 0 * difference, difference / size))
        return losses.detach(), found, doubts

    def _at_row(self, batches: list[tuple[Any, ...]], values: list[float], row: int) -> Close:
        """The closer look, with what PyTorch has at a single point: that of row `row`, or -1 without data."""
        tensors, torch = self.tensors, self.torch
        point = dict(zip(tensors.nodes, values, strict=True)) | self.job.inputs
        point |= {node: column[row].item() for node, column in tensors.columns.items()}
        given: dict[int, float | None] = {**point, **self.job.constants}
        wanted = [i for i in range(len(self.graph.nodes)) if i != self.graph.objective]
        with torch.enable_grad():
            task = program(self.graph, given, tensors.nodes, wanted, 1.0, self.job.dtype)
            witness = run_program(task)
        return Close(batches, point, row + 1, tuple(witness))
