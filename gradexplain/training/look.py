"""The verdict on a step from exact numbers: the chain rule with 50 digits at that point, beside what PyTorch has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from gradexplain.explain.notes import began as began_at
from gradexplain.explain.notes import short
from gradexplain.explain.one_sided import settle
from gradexplain.explain.problem import Problem
from gradexplain.explain.rounding import CloserLook
from gradexplain.explain.verdicts import NOISE, WRONG, Judgement, judge
from gradexplain.readings import exact as exact_reading
from gradexplain.readings.digits import digits
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.exact import Exact
from gradexplain.readings.witness import Witness
from gradexplain.records import VERDICTS, Began
from gradexplain.rules.rules import RULES
from gradexplain.rules.tensor_rules import TENSOR_RULES
from gradexplain.training.job import Close, Point
from gradexplain.training.setup import Setup
from gradexplain.training_records import NORM, grad_of

Verdict = tuple[str, Began | None]


def worse(first: Verdict, second: Verdict) -> Verdict:
    """The worse of two verdicts."""
    return max(first, second, key=lambda verdict: VERDICTS.index(verdict[0]))


def look(setup: Setup, close: Close, backward: Sequence[float | None]) -> Verdict:
    """The verdict on a step from its closer look, and where a questionable one began.

    `backward` is what the loop's own backward() computed, by parameter. Without data it is judged at the point itself.
    With data the points are single rows, for which PyTorch was asked anew, and `backward` is compared with the sum of
    all rows.
    """
    own = None if setup.job.rows else backward
    found: Verdict = ("agrees", None)
    for fields in close.points:
        found = worse(found, _at_point(setup, Point(*fields), own))
    return worse(found, _of_sum(setup, close, backward))


def _at_point(setup: Setup, point: Point, backward: Sequence[float | None] | None) -> Verdict:
    job, graph = setup.job, setup.graph
    sources = setup.sources
    given: dict[int, float | None] = {**point.inputs, **job.constants}
    witness = Witness(*point.witness)
    if witness.error:
        return "unverified", None
    if backward is not None:
        witness = witness._replace(gradients=witness.gradients | dict(zip(sources, backward, strict=True)))
    exact = exact_reading.run(graph, sources, given, 1.0)
    problem = Problem(
        job.source, graph, setup.names, {}, given, sources, Fraction(1), 1.0, job.dtype, [], [], len(graph.nodes)
    )
    with digits(bits=exact.bits):
        verdict, origin = _judged(problem, exact, witness)
    if origin is not None and point.row:
        origin = Began(origin.node, f"{origin.reason} (row {point.row})")
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


def _of_sum(setup: Setup, close: Close, backward: Sequence[float | None]) -> Verdict:
    """Whether backward() added up the rows: the verdict on the gradient of the batch as a whole."""
    job = setup.job
    found: Verdict = ("agrees", None)
    for name, (total, size, finite), value in zip(setup.parameters, close.reference, backward, strict=False):
        autograd = value or 0.0
        if not finite or (math.isinf(total) and math.isfinite(autograd)):
            continue
        reason = f"the {job.reduction} over the rows is {short(total)}, and PyTorch has {short(autograd)}"
        if not math.isfinite(autograd):
            out = abs(total) > DTYPES[job.dtype].largest or size > DTYPES[job.dtype].largest
            reason += f", out of the range of {job.dtype}" if out else ""
            found = worse(found, ("nonfinite", Began(name, reason)))
        elif abs(autograd - total) > DTYPES[job.dtype].tolerance * size + DTYPES[job.dtype].smallest:
            verdict = "precision" if abs(autograd - total) <= WRONG * size else "disagrees"
            found = worse(found, (verdict, Began(name, reason)))
    return found


def trouble(setup: Setup, close: Close) -> Began | None:
    """The first value that is not finite at a point of a closer look, in words; None where all are."""
    graph, names = setup.graph, setup.names
    for fields in close.points:
        point = Point(*fields)
        values = point.witness[0]
        for i, value in enumerate(values):
            if isinstance(value, float) and not math.isfinite(value):
                what = names.of.get(i, "a constant")
                inputs = ", ".join(
                    f"{names.of[j]} = {short(values[j])}" for j in dict.fromkeys(graph.nodes[i].inputs) if j in names.of
                )
                row = f" in row {point.row}" if point.row else ""
                return Began(what, f"{what} = {names.expression(i)} is {value} at {inputs}{row}")
    return None


def began(setup: Setup, verdict: str, node: int, why: str, count: int) -> Began:
    """Where a verdict on a step on tensors began, in words; `count` elements are meant."""
    graph, names = setup.graph, setup.names
    name = names.of.get(node, "a constant")
    single = not graph.shapes[node]
    elements = "it is" if single else "1 element is" if count == 1 else f"{count:,} elements are"
    # Over the names that the person gave: nobody sees the others here.
    formula = names.written(node, {i: own for i, own in graph.names.items() if i != node})
    rule = graph.nodes[node].rule
    if why == "kink":
        row = TENSOR_RULES.get(rule) or RULES[rule]
        reason = f"{elements} at a kink of {formula}"
        return Began(name, f"{reason}; {row.at_kink}" if row.at_kink else reason)
    if why == "value":
        what = name if formula == name else f"{name} = {formula}"
        return Began(name, f"{what}: {elements} not finite")
    if why == "gradient":
        return Began(name, f"{elements} not finite in the gradient by {name}")
    reasons = {"precision": "autograd lost digits", "nonfinite": "only one of the two is finite"}
    return Began(name, reasons.get(verdict, "autograd and the chain rule differ"))


def wrong_sum(name: str, found: float, total: float, partner: str) -> Began:
    """That `.grad` of what is called `name` is not the sum of what was put into it, in words.

    `partner` is another parameter whose `.grad` has the same memory, empty where there is none.
    """
    grad = grad_of(name)
    reason = f"{grad} is {short(found)}, and what backward() put into it adds up to {short(total)}"
    if partner:
        whole = name.strip(NORM).partition("[")[0]
        reason += (f": {whole}.grad and {partner}.grad are views of the same memory, "
                   "and PyTorch adds to both in place")  # fmt: skip
    return Began(name, reason)
