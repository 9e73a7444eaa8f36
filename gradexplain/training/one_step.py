"""Whether backward() agreed with the chain rule of the tables, at one step of a run on tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gradexplain.calculus.backward import Edges, Walk
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.place import Place
from gradexplain.readings.plan import Ready, compiled
from gradexplain.readings.tables import TableBuilder, Tables
from gradexplain.records import VERDICTS
from gradexplain.training.inputs import Inputs
from gradexplain.training.job import FINE, Close, Found, Point
from gradexplain.training.judge import Judge, Taken
from gradexplain.training.told import Teller

# So many times the rounding of every operation is forgiven, and so often it is tried.
NOISE, TRIALS = 16, 3
# So many steps without a finite gradient are looked at with exact numbers.
LOOKS = 20
# How far from the start closed forms are confirmed, the next where a gradient is not finite.
NEARBY = (0.1, 0.001, 0.0)


class _Rounding(TableBuilder):
    """Computes in float64 and changes every result at random by the rounding of a smaller format."""

    def __init__(self, torch: Any, sizes: Mapping[str, int], dtype: str) -> None:
        super().__init__(Place(torch), sizes)
        self.spacing = 2.0 ** -DTYPES[dtype].bits
        self.least = self.spacing * DTYPES[dtype].smallest
        self.generator = self.place.generator(0)

    def apply(self, rule: str, inputs: Sequence[Any], settings: tuple[Any, ...] = ()) -> Any:
        return self.rounded(super().apply(rule, inputs, settings))

    def rounded(self, value: Any) -> Any:
        """A result as the smaller format might round it."""
        if getattr(value, "dtype", None) != self.place.dtype:
            return value
        signs = 2.0 * self.place.whole(2, value.shape, self.generator) - 1
        return value + signs * (self.spacing * value.abs() + self.least)


class OneStep(Judge):
    """Compares gradients with the chain rule, which runs in float64 on the values as the dtype holds them."""

    def __init__(self, inputs: Inputs, teller: Teller) -> None:
        super().__init__(inputs, teller)
        self.graph, self.tables = inputs.graph, Tables(self.torch, inputs.graph, self.job.dtype)
        self.edges: Edges | None = None
        self.rounding = _Rounding(self.torch, self.graph.sizes, inputs.job.dtype)
        self.looks_left = LOOKS
        self.found: list[Found] = []
        self.looks: dict[int, Close] = {}

    def start(self, parameters: Sequence[Any]) -> tuple[Found, tuple[Any, ...]]:
        """As in Judge."""
        with self.torch.no_grad():
            return self._in_values(self.inputs.values(parameters, None)) or FINE, ()

    def step(self, parameters: Sequence[Any], taken: Taken) -> None:
        """As in Judge."""
        with self.torch.no_grad():
            found = self.check(parameters, taken)
            self.found.append(found)
            points = self._points(parameters, taken) if found[0] in ("undefined", "nonfinite") else []
        batches = self.batches(taken) if self.job.accumulate > 1 and taken.step in self.closely else []
        if batches or points:
            self.looks[taken.step] = Close(batches, points, [])

    def _points(self, parameters: Sequence[Any], taken: Taken) -> list[tuple[Any, ...]]:
        """The point of a step, for exact numbers to say whether there is a finite gradient; none where they cannot."""
        if len(taken.rows) > 1 or not self.looks_left or not all(bool(p.isfinite().all()) for p in parameters):
            return []
        self.looks_left -= 1
        place, rows = self.tables.place, taken.rows[0]

        inputs = {node: place.pack(value) for node, value in self._double(parameters, rows).items()}
        return [tuple(Point(self.inputs.count(rows), inputs, tuple(map(place.pack, taken.gradients))))]

    def chunk(
        self, start: int, parameters: list[list[float]], backward: list[list[float | None]]
    ) -> tuple[list[Found], dict[int, Close]]:
        """As in Judge."""
        found, looks = self.found, self.looks
        self.found, self.looks = [], {}
        return found, looks

    def unconfirmed(self, parameters: Sequence[Any]) -> list[str]:
        """The parameters whose closed forms do not have the numbers of the chain rule near this point.

        At the point itself a gradient may be 0 but for rounding, which no two ways of computing it share.
        """
        forms, place = self.job.forms, self.inputs.place
        generator = place.generator(0)
        for distance in NEARBY:
            steps = [place.normal(p.shape, generator) for p in parameters]
            moved = [p.detach() + distance * step for p, step in zip(parameters, steps, strict=True)]
            # Closed forms have the constants of the formula, not those that a smaller dtype holds.
            values = Ready(self.tables.place, compiled(self.graph, {})).run(self._double(moved, None))
            walk = self._walk(values)
            if all(bool(total.isfinite().all()) for total in walk.totals.values()):
                break
        return [
            name
            for node, (name, *_) in zip(self.inputs.nodes, self.job.parameters, strict=True)
            if name in forms and self.tables.holds(walk.totals.get(node, 0.0), [forms[name]], values) < 0
        ]

    def check(self, parameters: Sequence[Any], taken: Taken) -> Found:
        """The verdict on what backward() computed in a step."""
        nodes, exact = self.inputs.nodes, self.tables.place
        totals: list[Any] = [None] * len(nodes)
        kinks: dict[int, int] = {}
        walks = []
        known = taken.known if len(taken.rows) == 1 and self.inputs.place == exact else None
        for rows, weight in zip(taken.rows, taken.weights, strict=True):
            values = self._exact(parameters, rows) if known is None else known
            plain = [value.detach() if hasattr(value, "detach") else value for value in values]
            walk = self._walk(plain)
            kinks |= self.tables.kinks(plain, walk)
            walks.append((rows, plain, walk))
            totals = _added(totals, [walk.totals.get(node) for node in nodes], weight)
        compared = []
        for node, parameter, total, gradient in zip(nodes, parameters, totals, taken.gradients, strict=True):
            total = exact.zeros(parameter.shape) if total is None else total
            compared.append((node, total, gradient, self.tables.compare(total, gradient)[1]))
        broken: Found | None = None
        finite = all(map(math.isfinite, taken.losses))
        if not finite or any(verdict in ("nonfinite", "undefined") for *_, verdict in compared):
            broken = next(filter(None, (self._broken(parameters, *walk) for walk in walks)), None)
        return self._worst(parameters, taken, compared, broken, kinks)

    def _worst(
        self, parameters: Sequence[Any], taken: Taken, compared: Sequence[tuple[int, Any, Any, str]],
        broken: Found | None, kinks: Mapping[int, int],
    ) -> Found:  # fmt: skip
        """The worst verdict on (node, gradient by the chain rule, by autograd, verdict) of the parameters."""
        worst = FINE
        for node, total, gradient, verdict in compared:
            if verdict in ("precision", "disagrees"):
                rounding = self._is_rounding(parameters, taken, node, total, gradient)
                verdict = "agrees" if rounding else verdict
            found = (verdict, node, "differs", 0)
            if verdict in ("nonfinite", "undefined") and broken is not None:
                found = (verdict, *broken[1:])
            worst = max(worst, found, key=lambda entry: VERDICTS.index(entry[0]))
        if worst[0] == "agrees" and broken is not None:
            # A loss that is not finite may have a gradient that is.
            return ("undefined", *broken[1:])
        if worst[0] == "agrees" and kinks:
            node = min(kinks)
            return "convention", node, "kink", kinks[node]
        return FINE if worst[0] == "agrees" else worst

    def _exact(self, parameters: Sequence[Any], rows: Any) -> list[Any]:
        return self.inputs.ready(self.tables.place, rows).run(self._double(parameters, rows))

    def _double(self, parameters: Sequence[Any], rows: Any) -> dict[int, Any]:
        """The values of all inputs in float64."""
        given = self.inputs.at(parameters, rows)
        return {i: self.tables.place.bring(value.detach()) for i, value in given.items()}

    def _walk(self, values: Sequence[Any], builder: TableBuilder | None = None) -> Walk[Any]:
        walk = self.tables.walk(values, self.inputs.nodes, self.tables.place.ones(), self.edges, builder)
        self.edges = walk.edges
        return walk

    def _broken(self, parameters: Sequence[Any], rows: Any, values: Sequence[Any], walk: Walk[Any]) -> Found | None:
        """The first value that is not finite, in the dtype of the run, or else the first gradient."""
        last = values[self.graph.objective]
        finite = all(bool(total.isfinite().all()) for total in walk.totals.values())
        if self.inputs.place != self.tables.place:
            values = self.inputs.values([p.detach() for p in parameters], rows)
            last = values[self.graph.objective]
        if bool(self.inputs.place.tensor(last).isfinite().all()) and finite:
            return None
        found = self._in_values(values)
        if found is not None:
            return found
        for j in walk.order:
            for step in walk.steps[j]:
                bad = ~self.tables.place.tensor(step.value).isfinite()
                if bool(bad.any()):
                    return "undefined", step.through, "flow", int(bad.sum())
        return None

    def _in_values(self, values: Sequence[Any]) -> Found | None:
        for i, value in enumerate(values):
            if hasattr(value, "isfinite") and not bool(value.isfinite().all()):
                return "undefined", i, "value", int((~value.isfinite()).sum())
        return None

    def _is_rounding(self, parameters: Sequence[Any], taken: Taken, node: int, total: Any, gradient: Any) -> bool:
        """Whether the difference is no more than what rounding every operation once more would change."""
        exact = self.tables.place
        if gradient is None:
            return False
        noise = 0.0
        for _ in range(TRIALS):
            moved: list[Any] = [None]
            for rows, weight in zip(taken.rows, taken.weights, strict=True):
                given = {i: exact.bring(v.detach()) for i, v in self.inputs.at(parameters, rows).items()}
                plan = compiled(self.graph, self.job.constants)
                values = Ready(exact, plan, self.rounding.rounded).run(given)
                moved = _added(moved, [self._walk(values, self.rounding).totals.get(node)], weight)
            if moved[0] is not None:
                noise = max(noise, (moved[0] - total).abs().max().item())
        return bool((exact.bring(gradient) - total).abs().max().item() <= NOISE * noise)


def _added(totals: Sequence[Any], found: Sequence[Any], weight: float) -> list[Any]:
    """Gradients of one batch more, by parameter; None is nothing."""
    return [
        total if own is None else (own if weight == 1.0 else own * weight) + (0.0 if total is None else total)
        for total, own in zip(totals, found, strict=True)
    ]
