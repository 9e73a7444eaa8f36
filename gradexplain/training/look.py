"""The verdict on a step from exact numbers: the chain rule with 50 digits at that point, beside what PyTorch has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from gradexplain.explain.notes import at_kink, short
from gradexplain.explain.notes import began as began_at
from gradexplain.explain.one_sided import settle
from gradexplain.explain.problem import Problem
from gradexplain.explain.rounding import CloserLook
from gradexplain.explain.verdicts import NOISE, WRONG, Judgement, judge
from gradexplain.readings import exact as exact_reading
from gradexplain.readings.arithmetic import exactly
from gradexplain.readings.digits import digits
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.exact import Exact
from gradexplain.readings.exact_arrays import array_of, elements
from gradexplain.readings.exact_walk import is_finite
from gradexplain.readings.witness import Witness
from gradexplain.records import VERDICTS, Began
from gradexplain.tensor import Tensor, unpacked
from gradexplain.training.job import Close, Job, Point
from gradexplain.training.setup import Setup
from gradexplain.training_records import NORM, grad_of

Verdict = tuple[str, Began | None]
# Why a verdict on tensors is what it is: the sentence where it began at a single number, and at elements.
_IDS = {
    "kink": ("step_kink", "step_kinks"),
    "value": ("step_value", "step_values"),
    "flow": ("step_flow", "step_flows"),
}


def worse(first: Verdict, second: Verdict) -> Verdict:
    """The worse of two verdicts."""
    return max(first, second, key=lambda verdict: VERDICTS.index(verdict[0]))


def look(setup: Setup, close: Close, backward: Sequence[float | None]) -> Verdict:
    """The verdict on a step from its closer look, and where a questionable one began.

    `backward` is what the loop's own backward() computed, by parameter. Without data it is judged at the point itself.
    With data the points are single rows, for which PyTorch was asked anew, and the gradient of each batch is compared
    with the sum of its rows.
    """
    own = None if setup.job.rows else backward
    found: Verdict = ("agrees", None)
    for fields in close.points:
        found = worse(found, _at_point(setup, Point(*fields), own))
    return worse(found, _of_sums(setup, close))


def _at_point(setup: Setup, point: Point, backward: Sequence[float | None] | None) -> Verdict:
    job, graph, source = setup.job, setup.graph, setup.formula.source
    sources = setup.sources
    given: dict[int, float | None] = {**point.inputs, **job.constants}
    witness = Witness(*point.witness)
    if witness.error:
        return "unverified", None
    if backward is not None:
        witness = witness._replace(gradients=witness.gradients | dict(zip(sources, backward, strict=True)))
    exact = exact_reading.run(graph, sources, given, 1.0)
    problem = Problem(
        source, graph, setup.names, {}, given, sources, Fraction(1), 1.0, job.dtype, [], [], setup.formula.size
    )
    with digits(bits=exact.bits):
        verdict, origin = _judged(problem, exact, witness)
    if origin is not None and point.row:
        origin = Began.at(origin.node, "in_row", reason=origin.sentence, row=point.row)
    return verdict, origin


def _judged(problem: Problem, exact: Exact, witness: Witness) -> Verdict:
    sources, closer = problem.sources, CloserLook(problem, exact)
    judgement = judge(problem.graph, exact, witness, problem.dtype, closer)
    settle(problem, exact, witness, judgement)
    verdicts = {j: judgement.verdicts.get(j, "agrees") for j in sources}
    for j in sources:
        if verdicts[j] == "precision" and _is_rounding(exact, witness, judgement, closer, j):
            verdicts[j] = "agrees"
    worst = max(sources, key=lambda j: VERDICTS.index(verdicts[j]))
    if worst not in judgement.began or verdicts[worst] == "agrees":
        return verdicts[worst], None
    return verdicts[worst], began_at(problem, exact, witness, judgement, worst)


def _is_rounding(exact: Exact, witness: Witness, judgement: Judgement, closer: CloserLook, j: int) -> bool:
    """Whether what was lost is what a gradient loses on its way to 0, and no fault of autograd's.

    That is where contributions cancel, or where moving the point by some roundings changes the gradient as much: a
    parameter is itself the rounded result of the step before.
    """
    if judgement.began[j][1] == "sum":
        return True
    error = abs(exact.walk.totals[j] - (witness.gradients.get(j) or 0.0))
    return bool(error <= NOISE * closer.noise().get(j, 0))


def _of_sums(setup: Setup, close: Close) -> Verdict:
    """Whether each backward() added up its rows: the verdict on the gradients of the batches as a whole."""
    found: Verdict = ("agrees", None)
    for (_, _, _, gradient, *_), reference in zip(close.batches, close.reference, strict=False):
        for name, entry, value in zip(setup.parameters, reference, gradient, strict=True):
            found = worse(found, _of_sum(setup.job, name, entry, value or 0.0))
    return found


def _of_sum(job: Job, name: str, reference: tuple[float, float, bool], autograd: float) -> Verdict:
    (total, size, finite), dtype = reference, DTYPES[job.dtype]
    if not finite or (math.isinf(total) and math.isfinite(autograd)):
        return "agrees", None
    values = {"reduction": job.reduction, "total": short(total), "found": short(autograd)}
    if not math.isfinite(autograd):
        if abs(total) > dtype.largest or size > dtype.largest:
            return "nonfinite", Began.at(name, "rows_out_of_range", **values, dtype=job.dtype)
        return "nonfinite", Began.at(name, "rows_differ", **values)
    if abs(autograd - total) <= dtype.tolerance * size + dtype.smallest:
        return "agrees", None
    verdict = "precision" if abs(autograd - total) <= WRONG * size else "disagrees"
    return verdict, Began.at(name, "rows_differ", **values)


def trouble(setup: Setup, close: Close) -> Began | None:
    """The first value that is not finite at a point of a closer look; None where all are."""
    graph, names = setup.graph, setup.names
    for fields in close.points:
        point = Point(*fields)
        values = point.witness[0]
        for i, value in enumerate(values):
            if isinstance(value, float) and not math.isfinite(value):
                name = names.of.get(i, "a constant")
                inputs = ", ".join(
                    f"{names.of[j]} = {short(values[j])}" for j in dict.fromkeys(graph.nodes[i].inputs) if j in names.of
                )
                said = {"what": f"{name} = {names.expression(i)}", "found": str(value), "inputs": inputs}
                if point.row:
                    return Began.at(name, "start_not_finite_in_row", **said, row=point.row)
                return Began.at(name, "start_not_finite", **said)
    return None


def began(setup: Setup, verdict: str, node: int, why: str, count: int) -> Began:
    """Where a verdict on a step on tensors began; `count` elements are meant."""
    graph, names = setup.graph, setup.names
    name = names.of.get(node, "a constant")
    # Over the names that the person gave: nobody sees the others here.
    expression = names.written(node, {i: own for i, own in graph.names.items() if i != node})
    if why == "kink":
        values = {"expression": expression, "at_kink": at_kink(graph, node)}
    elif why in _IDS:
        values = {"what": name if expression == name else f"{name} = {expression}"}
    else:
        ids = {"precision": "step_loses_digits", "nonfinite": "step_not_finite"}
        return Began.at(name, ids.get(verdict, "step_differs"))
    single, several = _IDS[why]
    return Began.at(name, several, count=count, **values) if graph.shapes[node] else Began.at(name, single, **values)


def undefined(setup: Setup, verdict: Verdict, point: Point) -> Verdict:
    """A verdict on a step on tensors without a finite gradient, when exact numbers have said whether there is one.

    In floating point a branch that was not taken makes nan of 0.
    """
    graph, job, size = setup.graph, setup.job, setup.formula.size
    if exact_reading.work(graph, size) > exact_reading.MAX_WORK:
        return verdict
    sizes = dict(graph.sizes)
    if job.row_size:
        graph.sizes[job.row_size] = point.row
    try:
        given: dict[int, Any] = {node: _exact_numbers(value) for node, value in point.inputs.items()}
        totals = exact_reading.run(graph, setup.sources, {**given, **job.constants}, exactly(1.0), size).walk.totals
    finally:
        graph.sizes.update(sizes)
    for node, gradient in zip(setup.sources, point.witness, strict=True):
        if gradient is None or node not in totals:
            continue
        pairs = zip(elements(totals[node]), elements(_exact_numbers(gradient)), strict=True)
        if any(is_finite(own) and not is_finite(found) for own, found in pairs):
            return worse(verdict, ("nonfinite", verdict[1]))
    return verdict


def _exact_numbers(plain: Any) -> Any:
    """A packed tensor as an array of exact numbers, a single one as itself."""
    value = unpacked(plain)
    if not isinstance(value, Tensor):
        return exactly(float(value))
    return array_of(list(map(exactly, value.numbers or ())), value.shape)


def wrong_sum(name: str, found: float, total: float, partner: str) -> Began:
    """That `.grad` of what is called `name` is not the sum of what was put into it.

    `partner` is another parameter whose `.grad` has the same memory, empty where there is none.
    """
    values = {"grad": grad_of(name), "found": short(found), "total": short(total)}
    if not partner:
        return Began.at(name, "wrong_sum", **values)
    whole = name.strip(NORM).partition("[")[0]
    return Began.at(name, "shared_sum", **values, whole=grad_of(whole), partner=grad_of(partner))
