"""From a formula at a point to its record: one walk, read exactly, in symbols and by PyTorch, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gradexplain.calculus.backward import active
from gradexplain.explain import floating
from gradexplain.explain.decimal import digits_of
from gradexplain.explain.forms import Closed, Form, candidates, closed, write_forms
from gradexplain.explain.judged import Judged, Numbers, exact_numbers, judged_exactly, value_of
from gradexplain.explain.notes import closed_form_source, general_notes, remark, short
from gradexplain.explain.problem import Problem
from gradexplain.explain.second_derivatives import SecondForms, hessian, jacobians, second_forms
from gradexplain.explain.sympy_witness import ask_sympy
from gradexplain.explain.verdicts import at
from gradexplain.language.graph import INPUT
from gradexplain.readings.arithmetic import exactly, to_float
from gradexplain.readings.compare import error
from gradexplain.readings.digits import digits
from gradexplain.readings.dtypes import round_to
from gradexplain.readings.exact import DEAD, MAX_WORK, Exact, run, work
from gradexplain.readings.exact_arrays import Value as Numeric
from gradexplain.readings.exact_arrays import array_of, elements
from gradexplain.readings.exact_walk import is_finite
from gradexplain.readings.plan import compiled, packed_graph
from gradexplain.readings.second_order import Checks
from gradexplain.readings.witness import Question, Witness
from gradexplain.readings.worker import WITNESSES
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
    MatrixDerivation,
    Remark,
    Value,
    maker,
)
from gradexplain.rules.table import title_for
from gradexplain.tensor import Tensor, shape_and_bytes, unpacked

NO_WITNESS = Witness([], {})
MAX_NOTES = 12
_contribution, _forward_row = maker(Contribution), maker(ForwardRow)
_backward_row, _gradient, _input = maker(BackwardRow), maker(Gradient), maker(Input)


def begin(problem: Problem, device: str) -> Callable[[], Derivation]:
    """Everything but PyTorch's numbers, while it loads.

    Returns a function that waits for these and gives the record.
    """
    is_exact = has_exact(problem)
    with_torch = WITNESSES.installed() and not (is_exact and problem.missing)
    question = _question(problem, device) if with_torch else None
    if not is_exact:
        return _begin_floating(problem, question)
    asked = WITNESSES.ask_witness(question) if question and not problem.want else None
    held = _exactly(problem)
    exact = run(held.graph, held.sources, held.given, held.held_seed, held.size)
    with digits(bits=exact.bits):
        own = ask_sympy(held, exact)
        found, chosen = closed(held, exact)
        formulas = second_forms(held, chosen)
        if question and problem.want:
            asked = WITNESSES.ask_witness(question._replace(tables=_checks(problem, found, formulas)))
        forms = write_forms(held, found, chosen, exact.walk, exact)
        prepared = Prepared(held, exact_numbers(exact), forms, formulas, exact)

    def rest() -> Derivation:
        witness = WITNESSES.witness(asked) if asked else None
        with digits(bits=exact.bits):
            judged = judged_exactly(held, exact, witness or NO_WITNESS)
            return _Rows(prepared, witness, judged, own()).derivation()

    return rest


def _begin_floating(problem: Problem, question: Question | None) -> Callable[[], Derivation]:
    """The same where nothing is exact: PyTorch runs the tables as well, and says which closed forms hold."""
    found = candidates(problem)
    formulas = second_forms(problem, found.first())
    asked = WITNESSES.ask_witness(question._replace(tables=_checks(problem, found, formulas))) if question else None

    def rest() -> Derivation:
        witness = WITNESSES.witness(asked) if asked else None
        tables = witness or NO_WITNESS
        numbers = floating.numbers(problem, tables)
        which = tables.tables.get("holds", {})
        chosen = {j: roots[which.get(j, 0)] if roots and which.get(j, 0) >= 0 else None
                  for j, roots in found.roots.items()}  # fmt: skip
        forms = write_forms(problem, found, chosen, numbers.walk)
        prepared = Prepared(problem, numbers, forms, formulas, None)
        return _Rows(prepared, witness, floating.judged(problem, numbers.walk, tables), {}).derivation()

    return rest


def has_exact(problem: Problem) -> bool:
    """Whether a problem has exact numbers: that of single numbers always has, others where they are few."""
    graph = problem.graph
    if problem.is_plain:
        return True
    # A mean over nothing has no exact value.
    empty = any(0 in graph.lengths(i) for i in range(problem.size))
    return not (problem.missing or empty or work(graph, problem.size) > MAX_WORK)


def _exactly(problem: Problem) -> Problem:
    """The same with an array of exact numbers for every vector and matrix."""

    def array(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return array_of([exactly(round_to(number, problem.dtype)) for number in value.numbers or ()], value.shape)

    given = {i: array(value) for i, value in problem.given.items()}
    return replace(problem, given=given, held_seed=array(problem.held_seed))


def _question(problem: Problem, device: str) -> Question:
    """What PyTorch is to run: the formula and autograd."""
    graph = problem.graph
    # What has a name is needed: closed forms are written over it.
    constants = {i: value for i, value in problem.given.items() if graph.nodes[i].rule != INPUT}
    plan = compiled(graph, constants, [i for i in graph.names if i < graph.objective])
    given = {i: _packed(problem.given[i]) for i in graph.inputs}
    seed = None if problem.seed == 1 else _packed(problem.held_seed)
    return Question(plan, given, list(given), active(graph, problem.sources), seed, problem.dtype, device)


def _packed(value: Any) -> Any:
    return shape_and_bytes(value) if isinstance(value, Tensor) else value


def _checks(problem: Problem, found: Closed, formulas: SecondForms) -> Checks:
    """What is asked of the tables."""
    texts = {j: entries for j, entries in found.texts(problem.named).items() if entries}
    statements = "\n".join(closed_form_source(problem))
    graph = packed_graph(problem.graph, problem.size)
    return Checks(graph, problem.sources, texts, problem.want, statements, formulas.matrices)


class Prepared:
    """A problem with everything but the witnesses' part: the numbers, the closed forms, and the rows so far."""

    def __init__(
        self, problem: Problem, numbers: Numbers, forms: dict[int, Form], formulas: SecondForms, exact: Exact | None
    ) -> None:
        self.problem, self.numbers, self.forms, self.formulas, self.exact = problem, numbers, forms, formulas, exact
        self.values = list(map(numbers.show, numbers.values))
        self.statements = closed_form_source(problem)
        nodes = problem.graph.nodes
        shown = [i for i in range(problem.size) if i in problem.names.of and nodes[i].rule != INPUT]
        self.forward = {i: self._forward(i) for i in shown}
        self.contributions = {j: self._contributions(j) for j in numbers.walk.order}

    def _forward(self, i: int) -> tuple[str, str, str, tuple[str, ...], tuple[int, ...], Any]:
        """The row of node `i` in the forward pass, but for PyTorch's value."""
        names, graph = self.problem.names, self.problem.graph
        shape = graph.lengths(i) if graph.shapes[i] else ()
        return names.of[i], names.expression(i), graph.nodes[i].rule, names.inputs(i), shape, self.values[i]

    def _contributions(self, j: int) -> tuple[Contribution, ...]:
        """All contributions to the gradient of node `j`."""
        names, nodes, show = self.problem.names, self.problem.graph.nodes, self.numbers.show
        rows = []
        for through, slot, upstream, local, value in self.numbers.walk.steps[j]:
            rule = nodes[through].rule
            rows.append(
                _contribution(
                    names.of[through], rule, title_for(rule, slot), show(upstream), names.local(through, slot),
                    show(local), show(value),
                )
            )  # fmt: skip
        return tuple(rows)


class _Rows:
    """Puts PyTorch's numbers and the verdicts beside the prepared rows. `own` are SymPy's derivatives by source."""

    def __init__(self, prepared: Prepared, witness: Witness | None, judged: Judged, own: Mapping[int, Numeric]) -> None:
        self.prepared, self.witness, self.judged, self.own = prepared, witness or NO_WITNESS, judged, own
        self.with_torch = witness is not None
        self.problem, self.walk, self.show = prepared.problem, prepared.numbers.walk, prepared.numbers.show
        self.backward = {j: self._backward(j) for j in self.walk.order}

    def derivation(self) -> Derivation:
        """The record."""
        problem, prepared, values = self.problem, self.prepared, self.witness.values
        graph, names = problem.graph, problem.names
        gradient = {names.of[j]: self.gradient(j) for j in problem.sources}
        backward = tuple(self.backward.values())
        matrices = self._matrices(gradient)
        remarks = (*problem.notes, *self.notes())
        # A kink on the way matters where it reaches a gradient that was asked for; a failure matters anywhere.
        verdicts = {entry.verdict for entry in gradient.values()}
        verdicts |= {row.verdict for row in backward if row.verdict in FAILURES}
        verdicts |= {entry.verdict for entry in matrices.get("jacobian", {}).values()}
        verdicts |= {matrices["hessian"].verdict} if "hessian" in matrices else set()
        kind: Any = MatrixDerivation if matrices else Derivation
        made: Derivation = kind(
            **matrices,
            source=problem.source,
            statements=prepared.statements,
            objective=names.of[graph.objective],
            dtype=problem.dtype,
            upstream=value_of(problem.held_seed),
            verdict=max(verdicts, key=VERDICTS.index),
            notes=tuple([entry.text for entry in remarks]),
            inputs={names.of[i]: _input(prepared.values[i], graph.lengths(i)) for i in graph.inputs},
            missing=tuple(problem.missing),
            point={names.of[i]: problem.point[names.of[i]].text for i in graph.inputs if names.of[i] in problem.point},
            nodes=tuple([_forward_row(*row, unpacked(values[i]) if values else None)
                         for i, row in prepared.forward.items()]),
            backward=backward,
            gradient=gradient,
            remarks=remarks,
            # Parts without a name as well: by them a formula may be on tensors although no input is one.
            _shapes={} if problem.is_plain
            else {names.of.get(i, f"#{i}"): graph.shapes[i] for i in range(problem.size)},
        )  # fmt: skip
        return made

    def _matrices(self, gradient: Mapping[str, Gradient]) -> dict[str, Any]:
        """The Jacobians or the Hessian that were asked for, as fields of a record; empty where none was."""
        problem, formulas, tables = self.problem, self.prepared.formulas, {**self.witness.tables, **self.judged.second}
        if problem.want == "jacobian":
            return {"jacobian": jacobians(problem, formulas, tables)}
        return {"hessian": hessian(problem, formulas, tables, gradient.values())} if problem.want else {}

    def _zero(self, j: int) -> Value | Tensor:
        """The gradient of a node that nothing flows to."""
        shape = self.problem.graph.lengths(j)
        return Tensor.filled(shape, 0.0) if shape else 0.0

    def _compared(self, j: int, value: Value | Tensor) -> tuple[str, Any, Any, Value, str, Began | None]:
        """The partial of node `j`, the gradient, autograd's, the error, the verdict, and where that began."""
        found, judged = self.witness.gradients.get(j), self.judged
        # Autograd's gradient is 0 where PyTorch left it None.
        autograd = None if not self.witness.values else self._zero(j) if found is None else unpacked(found) or 0.0
        off = judged.errors[j] if j in judged.errors else error(value, autograd)
        return self.problem.partial(j), value, autograd, off, judged.verdicts.get(j, judged.other), judged.began.get(j)

    def _backward(self, j: int) -> BackwardRow:
        """The row of node `j` in the backward pass, with every contribution."""
        partial, *compared = self._compared(j, self.show(self.walk.totals[j]))
        return _backward_row(self.problem.name(j), partial, self.prepared.contributions[j], *compared)

    def gradient(self, j: int) -> Gradient:
        """The entry of source `j`."""
        form, total, own, row = self.prepared.forms[j], self.walk.totals.get(j), self.own.get(j), self.backward.get(j)
        if j in self.judged.totals:
            total, row = self.judged.totals[j], None
        partial, value, autograd, off, verdict, began = (
            self._compared(j, self.show(total) if j in self.walk.totals else self._zero(j)) if row is None
            else (row.partial, row.value, row.autograd, row.error, row.verdict, row.began)
        )  # fmt: skip
        return _gradient(
            partial, form.chain, form.factors, form.symbolic, form.filled, self._digits(j, total), value, autograd, off,
            verdict, self._sympy(own), began, form.typeset,
        )  # fmt: skip

    @staticmethod
    def _sympy(own: Any) -> Any:
        return None if own is None else value_of(own) if hasattr(own, "shape") else to_float(own)

    def _digits(self, j: int, total: Any) -> Any:
        """The exact gradient with up to 50 digits, of a vector or matrix as nested lists."""
        if self.prepared.exact is None or (total is None and j in self.walk.totals):
            return None
        shape = self.problem.graph.lengths(j)
        if not shape:
            return digits_of(total if j in self.walk.totals else DEAD)
        numbers = elements(total) if j in self.walk.totals else [DEAD] * math.prod(shape)
        return array_of(list(map(digits_of, numbers)), shape).tolist()

    def notes(self) -> list[Remark]:
        """Remarks on the derivation as a whole and on single gradients."""
        problem, judged = self.problem, self.judged
        is_exact = self.prepared.exact is not None
        general = general_notes(problem, self.walk, self.witness if self.with_torch else None, is_exact, judged.other)
        notes = [*judged.notes]
        for j, own in self.own.items():
            for k, number in enumerate(elements(own)):
                total, value = at(self.walk.totals.get(j, DEAD), k), to_float(number)
                if is_finite(total) and abs(to_float(total) - value) > max(1e-9 * abs(value), 1e-30):
                    notes.append(remark("sympy_differs", partial=problem.partial(j, k), found=short(value)))
                    break
        without = {j: form.is_long for j, form in self.prepared.forms.items() if form.symbolic is None}
        for id, is_long in (("too_long", True), ("unconfirmed", False)):
            names = [problem.partial(j) for j, long in without.items() if long == is_long]
            notes += [remark(id, names=names)] if names else []
        if len(notes) > MAX_NOTES:
            notes = [*notes[:MAX_NOTES], remark("more_notes", count=len(notes) - MAX_NOTES)]
        return general + notes
