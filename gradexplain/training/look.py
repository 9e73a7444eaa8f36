"""The verdict on a step from exact numbers: the chain rule with 50 digits at that point, beside what PyTorch has."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from gradexplain.explain.closer import CloserLook
from gradexplain.explain.limits import settle
from gradexplain.explain.notes import began
from gradexplain.explain.problem import Problem
from gradexplain.explain.verdicts import NOISE, Judgement, judge
from gradexplain.readings import exact as exact_reading
from gradexplain.readings.exact import Exact
from gradexplain.readings.numbers import Witness
from gradexplain.records import VERDICTS, Began
from gradexplain.training.job import Close
from gradexplain.training.setup import Setup

Verdict = tuple[str, Began | None]


def look(setup: Setup, close: Close, backward: Sequence[float | None] | None) -> Verdict:
    """The verdict at the point of a closer look, and where a questionable one began.

    `backward` are the gradients that the loop's own backward() computed by parameter; None where the point is a single
    row of many, whose gradient PyTorch was asked for anew.
    """
    job, graph = setup.job, setup.graph
    sources = [node for node, _ in job.parameters]
    given: dict[int, float | None] = {**close.point, **job.constants}
    witness = Witness(*close.witness) if close.witness is not None else Witness([], {})
    if witness.error:
        return "unverified", None
    if backward is not None:
        witness = witness._replace(gradients=witness.gradients | dict(zip(sources, backward, strict=True)))
    exact = exact_reading.run(graph, sources, given, 1.0)
    problem = Problem(
        job.source, graph, setup.names, {}, given, sources, Fraction(1), 1.0, job.dtype, [], [], len(graph.nodes)
    )
    closer = CloserLook(problem, exact)
    judgement = judge(graph, exact, witness, job.dtype, closer)
    settle(problem, exact, witness, judgement)
    verdicts = {j: judgement.verdicts.get(j, "agrees") for j in sources}
    for j in sources:
        if verdicts[j] == "precision" and _is_rounding(exact, witness, judgement, closer, j):
            verdicts[j] = "agrees"
    worst = max(sources, key=lambda j: VERDICTS.index(verdicts[j]))
    known = worst in judgement.began and verdicts[worst] != "agrees"
    return verdicts[worst], began(problem, exact, witness, judgement, worst) if known else None


def _is_rounding(exact: Exact, witness: Witness, judgement: Judgement, closer: CloserLook, j: int) -> bool:
    """Whether what was lost is what a gradient loses on its way to 0, and no fault of autograd's.

    That is where contributions cancel, or where moving the point by some roundings changes the gradient as much: a
    parameter is itself the rounded result of the step before.
    """
    if judgement.began[j][1] == "sum":
        return True
    error = abs(exact.walk.totals[j] - (witness.gradients.get(j) or 0.0))
    return bool(error <= NOISE * closer.noise().get(j, 0))


def trouble(setup: Setup, close: Close) -> str:
    """Why the loss at this point is not finite: the first value that is not, in words."""
    values = close.witness[0] if close.witness else []
    graph, names = setup.graph, setup.names
    for i, value in enumerate(values):
        if isinstance(value, float) and not abs(value) < float("inf"):
            what = names.of.get(i, "a constant")
            inputs = ", ".join(
                f"{names.of[j]} = {values[j]:.6g}" for j in dict.fromkeys(graph.nodes[i].inputs) if j in names.of
            )
            row = f" in row {close.row}" if close.row else ""
            return f"{what} = {names.expression(i)} is {value} at {inputs}{row}"
    return ""
