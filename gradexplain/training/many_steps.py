"""Whether backward() agreed with the chain rule: every step quickly, some of them closely.

Quickly: the rule table's chain rule on tensors, many steps at once, in the dtype of the run. What that cannot settle (a
difference, a kink, a number that is not finite) gets a closer look, at the rows that are most in doubt; exact numbers
decide about it elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from gradexplain.readings.many_points import at_kink, chain_rule
from gradexplain.readings.place import Place
from gradexplain.readings.plan import compiled
from gradexplain.readings.tables import TableBuilder
from gradexplain.readings.witness import Question
from gradexplain.readings.witness import run as run_witness
from gradexplain.training.inputs import Inputs
from gradexplain.training.job import FINE, LOOK, SAME, UNCHECKED, Close, Found, Point
from gradexplain.training.judge import Judge, Taken
from gradexplain.training.told import Teller

# Steps with more rows than this are compared only where they are shown, and row by row only the first one.
MANY_ROWS = 4_096
# How many numbers a tensor of the comparison has at most, and how many doubtful steps get a closer look.
ELEMENTS = 200_000
LOOKS = 300
# Up to so many rows are listed one by one.
LISTED = 8


class Waiting(NamedTuple):
    """A step that has not been judged yet: as in Taken, with numbers for the tensors."""

    rows: list[Any]
    weights: list[float]
    losses: list[float]
    arrived: list[list[float]]


class _Looked(NamedTuple):
    """A batch looked at closely: its fields in Close, its row most in doubt and by how much, the first row at a kink
    (-1 for none), and by parameter the entries of the reference."""

    fields: tuple[Any, ...]
    doubt: float
    worst: int
    kink: int
    reference: list[tuple[float, float, bool]]


class ManySteps(Judge):
    """Compares the steps of a run on single numbers with the chain rule."""

    def __init__(self, inputs: Inputs, teller: Teller) -> None:
        super().__init__(inputs, teller)
        self.graph = inputs.graph
        self.builder, self.double = TableBuilder(inputs.place, {}), Place(self.torch)
        self.looks_left = LOOKS
        self.looked_at: tuple[Any, ...] = ()
        self.waiting: list[Waiting] = []

    def start(self, parameters: Sequence[Any]) -> tuple[Found, tuple[Any, ...]]:
        """As in Judge: a point, with the first row whose loss is not finite, if it is that of a row."""
        losses, values = self.inputs.objective(parameters, None), [parameter.item() for parameter in parameters]
        broken = (~self.torch.isfinite(losses.detach().reshape(-1))).nonzero()
        points = [self._point(values, int(broken[0]) if self.job.rows else -1)] if len(broken) else []
        return FINE, tuple(Close([], points, []))

    def step(self, parameters: Sequence[Any], taken: Taken) -> None:
        """As in Judge."""
        arrived = [[gradient.item() for gradient in entry] for entry in taken.arrived]
        self.waiting.append(Waiting(taken.rows, taken.weights, taken.losses, arrived))

    def chunk(
        self, start: int, parameters: list[list[float]], backward: list[list[float | None]]
    ) -> tuple[list[Found], dict[int, Close]]:
        """As in Judge."""
        batches, self.waiting = self.waiting, []
        doubts = self._quickly(start, parameters, backward, batches)
        checks: list[Found] = []
        close = {}
        for k, entry in enumerate(batches):
            values, found = [starts[k] for starts in parameters], [row[k] for row in backward]
            asked = start + k in self.closely
            check = doubts[k] if doubts[k] != LOOK else self._budget(values, found, entry.rows, asked)
            few = self._rows(entry.rows) <= MANY_ROWS or start + k == 1
            if check == LOOK or (asked and few):
                close[start + k] = self.close(values, entry, found)
            checks.append(check)
        return checks, close

    def _rows(self, batches: list[Any]) -> int:
        """How many rows the batches of a step have; 1 without data."""
        return sum(map(self.inputs.count, batches)) if self.job.rows else 1

    def _budget(self, values: list[float], backward: list[float | None], batches: list[Any], asked: bool) -> Found:
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
        self, start: int, parameters: list[list[float]], backward: list[list[float | None]], batches: list[Waiting]
    ) -> list[Found]:
        """FINE or LOOK for every step; UNCHECKED where there are many rows and it was not asked for."""
        found = [UNCHECKED] * len(batches)
        by_count: dict[int, list[int]] = {}
        for k, entry in enumerate(batches):
            count = self._rows(entry.rows)
            if count <= MANY_ROWS or start + k in self.closely:
                by_count.setdefault(count, []).append(k)
        for count, steps in by_count.items():
            at_once = max(1, ELEMENTS // count)
            for first in range(0, len(steps), at_once):
                part = steps[first : first + at_once]
                for k, agrees in zip(part, self._agree(part, parameters, backward, batches), strict=True):
                    # A loss that is not finite may have a gradient that is.
                    found[k] = FINE if agrees and all(map(math.isfinite, batches[k].losses)) else LOOK
        return found

    def _agree(
        self, steps: list[int], parameters: list[list[float]], backward: list[list[float | None]],
        batches: list[Waiting],
    ) -> list[bool]:  # fmt: skip
        """Whether autograd's gradient is that of the chain rule, for several steps with as many rows each."""
        torch, place = self.torch, self.inputs.place
        points = [place.tensor([starts[k] for k in steps])[:, None] for starts in parameters]
        rows = None
        if self.job.rows and batches[steps[0]].rows[0] is not None:
            rows = torch.stack([torch.cat(batches[k].rows) for k in steps])
        values = self.inputs.values(points, rows)
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
        found = chain_rule(self.builder, self.graph, self.inputs.nodes, plain, sized)
        return [
            tuple(self.double.bring(part).expand(shape) for part in found.get(node, (0.0, 0.0)))
            for node in self.inputs.nodes
        ]

    def _kinks(self, values: Sequence[Any]) -> Any:
        """Where there is a kink on the way to a parameter, elementwise or for all."""
        return self.double.bring(at_kink(self.builder, self.graph, self.inputs.nodes, values)) != 0

    def close(self, values: list[float], entry: Waiting, backward: list[float | None]) -> Close:
        """A closer look at one step with the parameters `values`."""
        gradients = [backward]
        if entry.arrived:
            gradients = [[own[n] if own else None for own in entry.arrived] for n in range(len(entry.rows))]
        if not self.job.rows:
            parts = zip(entry.weights, entry.losses, gradients, strict=True) if len(entry.rows) > 1 else ()
            return Close([(1, *part, [], [], [], []) for part in parts], [self._point(values, -1)], [])
        found = [self._batch(values, entry, n, gradient) for n, gradient in enumerate(gradients)]
        worst = max(found, key=lambda batch: (batch.doubt, batch.worst)).worst
        at_a_kink = [batch.kink for batch in found if batch.kink >= 0][:1]
        points = [self._point(values, row) for row in dict.fromkeys([worst, *at_a_kink])]
        return Close([batch.fields for batch in found], points, [batch.reference for batch in found])

    def _batch(self, values: list[float], entry: Waiting, n: int, gradient: list[float | None]) -> _Looked:
        """Batch number `n` of a step, row by row."""
        job, torch, rows = self.job, self.torch, entry.rows[n]
        numbers = self.inputs.place.rows(job.rows) if rows is None else rows
        losses, gradients, doubts, kinks, totals = self._by_row(values, rows)
        most = int(doubts.argmax())
        kink = int(numbers[int(kinks.to(torch.int8).argmax())]) if bool(kinks.any()) else -1
        share = entry.weights[n] if job.reduction == "sum" else entry.weights[n] / len(numbers)
        reference = [
            (share * own.sum().item(), share * size.sum().item(), bool(torch.isfinite(own).all()))
            for own, size in totals
        ]
        listed = len(numbers) <= LISTED
        fields = (
            len(numbers), entry.weights[n], entry.losses[n], gradient,
            [int(i) + 1 for i in numbers] if listed else [], losses.tolist() if listed else [],
            [g.tolist() for g in gradients] if listed else [],
            [(g.min().item(), g.mean().item(), g.max().item()) for g in gradients],
        )  # fmt: skip
        return _Looked(fields, doubts[most].item(), int(numbers[most]), kink, reference)

    def _by_row(self, values: list[float], rows: Any) -> tuple[Any, list[Any], Any, Any, list[tuple[Any, Any]]]:
        """By row: the loss, autograd's gradient by each parameter, how far it is from the chain rule (relative, and
        infinite where one is not finite), whether there is a kink, and the chain rule's gradients with their sizes."""
        torch, inputs = self.torch, self.inputs
        count = inputs.count(rows)
        with torch.enable_grad():
            points = [inputs.place.full((count,), value).requires_grad_() for value in values]
            results = inputs.values(points, rows)
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
        inputs = dict(zip(self.inputs.nodes, values, strict=True))
        inputs |= {node: value.item() for node, value in self.inputs.fixed.items()}
        inputs |= {node: column[row].item() for node, column in self.inputs.fed.items()}
        wanted = [i for i in range(len(self.graph.nodes)) if i != self.graph.objective]
        job, plan = self.job, compiled(self.graph, self.job.constants)
        asked = Question(plan, inputs, self.inputs.nodes, wanted, None, job.dtype, job.device)
        return tuple(Point(row + 1, inputs, tuple(run_witness(asked))))
