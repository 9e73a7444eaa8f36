"""Exact numbers beside PyTorch's on tensors: the rows with 50 digits behind them, and the verdicts on every element."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from gradexplain.explain import notes
from gradexplain.explain.notes import KnownSides
from gradexplain.explain.one_sided import settle, settled
from gradexplain.explain.problem import Problem
from gradexplain.explain.rounding import CloserLook
from gradexplain.explain.tensor_problem import TensorProblem
from gradexplain.explain.verdicts import Judgement, at, count_of, judge, numbers_of, size_of
from gradexplain.language.graph import CONSTANT
from gradexplain.readings.arithmetic import exactly as exact_number
from gradexplain.readings.arithmetic import to_float
from gradexplain.readings.compare import SPACINGS, uncancelled
from gradexplain.readings.decimal import digits_of
from gradexplain.readings.digits import digits
from gradexplain.readings.dtypes import DTYPES, round_to
from gradexplain.readings.exact import DEAD, MAX_WORK, Exact, run, work
from gradexplain.readings.exact_arrays import Value as Numbers
from gradexplain.readings.exact_arrays import array_of, elements, shape_of
from gradexplain.readings.exact_rules import Builder
from gradexplain.readings.exact_walk import is_finite
from gradexplain.readings.witness import Witness
from gradexplain.records import Began, Remark, Value
from gradexplain.tensor import Tensor


def is_small(problem: TensorProblem) -> bool:
    """Whether a problem has exact numbers."""
    graph = problem.graph
    # A mean over nothing has no exact value.
    empty = any(0 in graph.lengths(i) for i in range(problem.size))
    return not (problem.missing or empty or work(graph, problem.size) > MAX_WORK)


def exactly(problem: TensorProblem, constants: Mapping[int, float]) -> tuple[Problem, Exact]:
    """The exact walk of a small problem, and the problem as it has exact numbers.

    `constants` are the constant parts of the formula as the dtype holds them.
    """
    graph = problem.graph
    given: dict[int, Any] = dict(constants)
    for i in graph.inputs:
        value = problem.values[problem.names.of[i]]
        held = [exact_number(round_to(number, problem.dtype)) for number in _numbers(value, 1)]
        given[i] = array_of(held, value.shape if isinstance(value, Tensor) else ())
    upstream = problem.upstream
    shape = graph.lengths(graph.objective)
    numbers = [1.0] * math.prod(shape) if upstream is None else list(_numbers(upstream, 1))
    seed = array_of([exact_number(round_to(number, problem.dtype)) for number in numbers], shape)
    own = Problem(
        problem.source, graph, problem.names, dict(problem.point), given, problem.sources, Fraction(1), seed,
        problem.dtype, [], [], problem.size,
    )  # fmt: skip
    return own, run(graph, problem.sources, given, seed, problem.size)


def with_exact(found: Mapping[str, Any], exact: Exact | None) -> Mapping[str, Any]:
    """What PyTorch found, the exact numbers in place of those of the tables in floating point."""
    if exact is None:
        return found
    values = {i: value_of(value) for i, value in enumerate(exact.values) if value is not None}
    if "rows" not in found:
        # Without PyTorch there are numbers all the same.
        return {**found, "values": values, "exact": True}
    rows = {}
    for j, row in found["rows"].items():
        total = exact.walk.totals[j]
        steps = [
            (step.through, step.slot, value_of(step.upstream), value_of(step.local), value_of(step.value))
            for step in exact.walk.steps[j]
        ]
        rows[j] = (value_of(total), row[1], error(total, row[1]), row[3], steps)
    return {**found, "values": values, "rows": rows, "exact": True}


def holding(problem: Problem, exact: Exact, forms: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """Which of its closed forms has the exact gradient of a source, wherever that is finite; -1 for none of them."""
    found, terms, row = {}, uncancelled(exact.walk, size_of), DTYPES[problem.dtype]
    with digits(bits=exact.bits):
        for j, roots in forms.items():
            # A closed form has the constants that were meant, not as the dtype holds them.
            noise = SPACINGS * 2.0**-row.bits * terms.get(j, 0.0)
            total = exact.walk.totals.get(j, DEAD)
            values = ((k, _evaluated(problem, exact, root)) for k, root in enumerate(roots))
            equal = (k for k, value in values if _equal(value, total, row.tolerance, noise))
            found[j] = next(equal, -1)
    return found


def _evaluated(problem: Problem, exact: Exact, root: int) -> Numbers:
    """The exact value of a closed form: of the nodes that are behind those of the formula."""
    graph, builder = problem.graph, Builder(problem.graph.sizes)
    made: dict[int, Numbers] = {i: value for i, value in enumerate(exact.values) if value is not None}
    for i in graph.inputs_first(root, made):
        node = graph.nodes[i]
        made[i] = (
            builder.number(node.value) if node.rule == CONSTANT
            else builder.apply(node.rule, [made[j] for j in node.inputs], node.settings)
        )  # fmt: skip
    return made[root]


def _equal(value: Numbers, total: Numbers, tolerance: float, noise: float) -> bool:
    """Whether two exact values are equal up to rounding, wherever the second one is finite."""
    own = [at(total, k) for k in range(count_of(value))]
    return all(
        not is_finite(b) or (is_finite(a) and abs(a - b) <= tolerance * abs(b) + noise)
        for a, b in zip(elements(value), own, strict=True)
    )


class Judged(NamedTuple):
    """The verdicts on a small problem: what they are of, the verdicts, and the derivatives on both sides of kinks."""

    problem: Problem
    exact: Exact
    witness: Witness
    judgement: Judgement
    sides: KnownSides

    def began(self, j: int) -> Began | None:
        """Where the verdict on node `j` began."""
        return notes.began(self.problem, self.exact, self.witness, self.judgement, j)

    def notes(self) -> list[Remark]:
        """The notes on the kinks of gradients."""
        judgement = self.judgement
        kinks = [j for j in self.problem.sources if judgement.verdicts.get(j) == "convention"]
        return [
            note for j in kinks
            for note in notes.kink_notes(self.problem, self.exact, self.witness, judgement, self.sides, j)
        ]  # fmt: skip

    def total(self, j: int) -> Numbers:
        """The gradient by a source; a derivative that exists where the chain rule meets 0 times infinity is put in."""
        total = self.exact.walk.totals[j]
        for (source, k), sides in self.sides.items():
            if source != j:
                continue
            if not hasattr(total, "shape"):
                return settled(total, sides)
            own = settled(at(total, k), sides)
            if own is not at(total, k):
                total = total.copy()
                total.flat[k] = own
        return total


def judged_exactly(problem: Problem, exact: Exact, witness: Witness, found: Mapping[str, Any]) -> Judged:
    """The verdicts on a small problem, element by element."""
    floating = {j: row[3] for j, row in found["rows"].items()}
    with digits(bits=exact.bits):
        closer = CloserLook(problem, exact)
        judgement = judge(problem.graph, exact, witness, problem.dtype, closer, floating)
        return Judged(problem, exact, witness, judgement, settle(problem, exact, witness, judgement))


def value_of(value: Numbers) -> Value | Tensor:
    """An exact array as it goes into a record."""
    if value is None or type(value) is bool:
        return value
    numbers = floats(value)
    exact = zip(elements(value), numbers, strict=True)
    # What is too large for a float is a number all the same.
    large = tuple([(k, digits_of(own, 20)) for k, (own, x) in enumerate(exact) if math.isinf(x) and is_finite(own)])
    if not shape_of(value):
        return large[0][1] if large else numbers[0]
    return Tensor.flat(shape_of(value), array("d", numbers), large)


def floats(value: Numbers) -> list[float]:
    """The elements as floats; a boolean is 0 or 1."""
    return [float(number) if type(number) is bool else to_float(number) for number in elements(value)]


def _numbers(value: Value | Tensor, count: int) -> Sequence[float]:
    if value is None:
        return [0.0] * count
    return (value.numbers or ()) if isinstance(value, Tensor) else [float(value)]


def error(exact: Numbers, autograd: Any) -> float:
    """The largest |autograd - value| / max(1, |value|) of all elements; nan where one of them is not finite."""
    found = 0.0
    own = floats(exact)
    for x, y in zip(own, numbers_of(autograd, len(own)), strict=True):
        if not (math.isfinite(x) and math.isfinite(y)):
            return math.nan
        found = max(found, abs(y - x) / max(1.0, abs(x)))
    return found
