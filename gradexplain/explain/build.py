"""From a formula at a point to its record: one walk, read exactly, in symbols and by PyTorch, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable

from gradexplain.explain.forms import Form, write_forms
from gradexplain.explain.notes import KnownSides, began, closed_form_source, general_notes, kink_notes, remark, short
from gradexplain.explain.one_sided import settle, settled
from gradexplain.explain.problem import Problem
from gradexplain.explain.rounding import CloserLook
from gradexplain.explain.sympy_witness import ask_sympy
from gradexplain.explain.verdicts import Judgement, judge
from gradexplain.language.graph import INPUT
from gradexplain.readings import exact as exact_reading
from gradexplain.readings.arithmetic import Number, to_float
from gradexplain.readings.decimal import digits_of
from gradexplain.readings.digits import digits
from gradexplain.readings.exact import DEAD, Exact
from gradexplain.readings.exact_walk import is_finite
from gradexplain.readings.witness import Witness
from gradexplain.records import (
    FAILURES,
    VERDICTS,
    BackwardRow,
    Began,
    Contribution,
    Derivation,
    ForwardRow,
    Gradient,
    Input,
    Remark,
    Value,
    maker,
)
from gradexplain.rules.table import title_for

NO_WITNESS = Witness([], {})
MAX_NOTES = 12
_contribution, _forward_row = maker(Contribution), maker(ForwardRow)
_backward_row, _gradient, _input = maker(BackwardRow), maker(Gradient), maker(Input)


def prepare(problem: Problem) -> Prepared:
    """All that can be done without PyTorch's numbers, while it loads."""
    exact = exact_reading.run(problem.graph, problem.sources, problem.given, problem.held_seed)
    with digits(bits=exact.bits):
        second = ask_sympy(problem, exact)
        return Prepared(problem, exact, write_forms(problem, exact), second)


def finish(prepared: Prepared, witness: Witness | None) -> Derivation:
    """The record, with PyTorch's numbers; None where PyTorch does not take part."""
    with digits(bits=prepared.exact.bits):
        return _finished(prepared, witness)


def _finished(prepared: Prepared, witness: Witness | None) -> Derivation:
    problem, exact = prepared.problem, prepared.exact
    graph, names = problem.graph, problem.names
    prepared.own = prepared.second()
    found = witness or NO_WITNESS
    judgement = judge(graph, exact, found, problem.dtype, CloserLook(problem, exact))
    sides = settle(problem, exact, found, judgement)
    rows = _Rows(prepared, found, judgement, sides)
    gradient = {names.of[j]: rows.gradient(j) for j in problem.sources}
    backward = tuple(rows.backward.values())
    values = found.values
    remarks = (*problem.notes, *general_notes(problem, exact, found, witness is not None), *rows.notes())
    # A kink on the way matters where it reaches a gradient that was asked for; a failure matters anywhere.
    verdicts = {entry.verdict for entry in gradient.values()}
    verdicts |= {row.verdict for row in backward if row.verdict in FAILURES}
    return Derivation(
        source=problem.source,
        statements=prepared.statements,
        objective=names.of[graph.objective],
        dtype=problem.dtype,
        upstream=problem.held_seed,
        verdict=max(verdicts, key=VERDICTS.index),
        notes=tuple([entry.text for entry in remarks]),
        inputs={names.of[i]: _input(problem.given[i], ()) for i in graph.inputs},
        missing=tuple(problem.missing),
        point={names.of[i]: problem.point[names.of[i]].text for i in graph.inputs if names.of[i] in problem.point},
        nodes=tuple([_forward_row(*row, values[i] if values else None) for i, row in prepared.forward.items()]),
        backward=backward,
        gradient=gradient,
        remarks=remarks,
    )


def number(value: Number) -> Value:
    """An exact number as it goes into a record."""
    if value is None or type(value) is bool:
        return value
    return _shown(value, to_float(value))


def _shown(value: Number, found: Value) -> Value:
    """A number as it goes into a record, where the nearest float is `found`."""
    return digits_of(value, 20) if type(found) is float and math.isinf(found) and is_finite(value) else found


def error(value: Value, autograd: float | None) -> Value:
    """|autograd - value| / max(1, |value|); None where one is missing, nan where one is not finite.

    >>> error(4.0, 4.5)
    0.125
    """
    if value is None or autograd is None:
        return None
    if isinstance(value, str) or not math.isfinite(value) or not math.isfinite(autograd):
        return math.nan
    return abs(autograd - value) / max(1.0, abs(value))


class Prepared:
    """A problem with everything but the witnesses' part: the exact walk, the closed forms, and the rows so far.

    `second` waits for SymPy's own derivatives by source.
    """

    def __init__(
        self, problem: Problem, exact: Exact, forms: dict[int, Form], second: Callable[[], dict[int, Number]]
    ) -> None:
        self.problem, self.exact, self.forms, self.second = problem, exact, forms, second
        self.own: dict[int, Number] = {}
        self.values = list(map(_shown, exact.values, exact.floats))
        totals = exact.walk.totals
        self.totals = dict(zip(totals, map(_shown, totals.values(), exact.gradients.values()), strict=True))
        self.statements = closed_form_source(problem)
        nodes = problem.graph.nodes
        shown = [i for i in range(problem.size) if i in problem.names.of and nodes[i].rule != INPUT]
        self.forward = {i: self._forward(i) for i in shown}
        self.contributions = self._contributions()
        wanted = {j: totals.get(j, DEAD) for j in problem.sources}
        self.digits = {j: None if total is None else digits_of(total) for j, total in wanted.items()}

    def _forward(self, i: int) -> tuple[str, str, str, tuple[str, ...], tuple[int, ...], Value]:
        """The row of node `i` in the forward pass, but for PyTorch's value."""
        names, rule = self.problem.names, self.problem.graph.nodes[i].rule
        return names.of[i], names.expression(i), rule, names.inputs(i), (), self.values[i]

    def _contributions(self) -> dict[int, tuple[Contribution, ...]]:
        """All contributions, by the node that they lead to."""
        names, nodes, totals, known = self.problem.names, self.problem.graph.nodes, self.exact.walk.totals, self.totals
        # Most local derivatives are the value of some node: the very same number, written once.
        written = dict(zip(map(id, self.exact.values), self.values, strict=True))
        found = {}
        for j in self.exact.walk.order:
            rows = []
            for through, slot, upstream, local, value in self.exact.walk.steps[j]:
                rule, of_local = nodes[through].rule, written.get(id(local))
                rows.append(
                    _contribution(
                        names.of[through],
                        rule,
                        title_for(rule, slot),
                        known[through] if upstream is totals[through] else number(upstream),
                        names.local(through, slot),
                        number(local) if of_local is None else of_local,
                        known[j] if value is totals[j] else number(value),
                    )
                )
            found[j] = tuple(rows)
        return found


class _Rows:
    """Puts PyTorch's numbers and the verdicts beside the prepared rows."""

    def __init__(self, prepared: Prepared, witness: Witness, judgement: Judgement, sides: KnownSides) -> None:
        self.prepared, self.witness, self.judgement, self.sides = prepared, witness, judgement, sides
        self.problem, self.exact = prepared.problem, prepared.exact
        self.backward = {j: self._backward(j) for j in self.exact.walk.order}

    def total(self, j: int) -> Number:
        """The gradient of a node: the sum of its contributions, 0 where there is none."""
        return self.exact.walk.totals.get(j, DEAD)

    def verdict(self, j: int) -> str:
        return self.judgement.verdicts.get(j, "agrees" if self.witness.values else "unverified")

    def _compared(self, j: int, value: Value) -> tuple[str, Value, Value, Value, str, Began | None]:
        """The partial of node `j`, the exact gradient, autograd's, the error, the verdict, and where that began."""
        # Autograd's gradient is 0 where PyTorch left it None.
        autograd = (self.witness.gradients.get(j) or 0.0) if self.witness.values else None
        origin = began(self.problem, self.exact, self.witness, self.judgement, j) if j in self.judgement.began else None
        return self.problem.partial(j), value, autograd, error(value, autograd), self.verdict(j), origin

    def _backward(self, j: int) -> BackwardRow:
        """The row of node `j` in the backward pass, with every contribution."""
        partial, *compared = self._compared(j, self.prepared.totals[j])
        return _backward_row(self.problem.name(j), partial, self.prepared.contributions[j], *compared)

    def gradient(self, j: int) -> Gradient:
        """The entry of source `j`."""
        form, total, own = self.prepared.forms[j], self.total(j), self.prepared.own.get(j)
        sides, digits = self.sides.get((j, 0)), self.prepared.digits[j]
        row = self.backward.get(j)
        exact = settled(total, sides)
        if exact is not total:
            total, row, digits = exact, None, digits_of(exact)
        partial, value, autograd, error, verdict, began = (
            self._compared(j, number(total)) if row is None
            else (row.partial, row.value, row.autograd, row.error, row.verdict, row.began)
        )  # fmt: skip
        return _gradient(
            partial, form.chain, form.factors, form.symbolic, form.filled, digits, value, autograd, error, verdict,
            None if own is None else to_float(own), began, form.typeset,
        )  # fmt: skip

    def notes(self) -> list[Remark]:
        """Remarks on single gradients."""
        notes = []
        for j in self.problem.sources:
            if self.verdict(j) == "convention":
                notes += kink_notes(self.problem, self.exact, self.witness, self.judgement, self.sides, j)
            total, sympy_value = self.total(j), self.prepared.own.get(j)
            if sympy_value is not None and is_finite(total):
                found = to_float(sympy_value)
                if abs(to_float(total) - found) > max(1e-9 * abs(found), 1e-30):
                    notes.append(remark("sympy_differs", partial=self.problem.partial(j), found=short(found)))
        long = [self.problem.partial(j) for j in self.problem.sources if self.prepared.forms[j].symbolic is None]
        if long:
            notes.append(remark("too_long", names=long))
        if len(notes) <= MAX_NOTES:
            return notes
        return [*notes[:MAX_NOTES], remark("more_notes", count=len(notes) - MAX_NOTES)]
