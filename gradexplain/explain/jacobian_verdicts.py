"""The verdicts on Jacobians: each row is the gradient of one element of the objective, judged as any gradient is."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from gradexplain.explain.one_sided import settle, settled
from gradexplain.explain.problem import Problem
from gradexplain.explain.rounding import CloserLook
from gradexplain.explain.verdicts import at, count_of, judge, numbers_of
from gradexplain.readings.arithmetic import Number, mp, solid, to_float
from gradexplain.readings.compare import error
from gradexplain.readings.digits import digits
from gradexplain.readings.exact import DEAD, MAX_WORK, Exact, run, work
from gradexplain.readings.exact_arrays import array_of, elements, shape_of
from gradexplain.readings.witness import Witness
from gradexplain.records import VERDICTS
from gradexplain.tensor import Tensor, unpacked


class JudgedRow(NamedTuple):
    """The derivatives of one element of the objective by a source, exactly, and the verdict on them."""

    exact: list[Number]
    verdict: str


def exact_jacobians(problem: Problem, exact: Exact, witness: Witness) -> dict[str, Any]:
    """The exact Jacobians, beside PyTorch's and the verdicts on these, as a field of the witness's tables.

    It is empty where that is not affordable.
    """
    objective = exact.values[problem.graph.objective]
    rows = count_of(objective)
    if not rows or rows * work(problem.graph, problem.size) > MAX_WORK:
        return {}
    others = {j: unpacked(entry[1]) for j, entry in witness.tables["jacobian"].items()}
    if any(isinstance(other, Tensor) and other.numbers is None for other in others.values()):
        return {}
    by_source: dict[int, list[JudgedRow]] = {j: [] for j in problem.sources}
    for k, seed in enumerate(_units(objective)):
        gradients = {j: _row(other, k, rows) for j, other in others.items()}
        for j, row in _judged(replace(problem, held_seed=seed), witness, gradients):
            by_source[j].append(row)
    own = {j: _entry(by_source[j], others[j]) for j in problem.sources}
    return {"jacobian": own}


def _units(value: Any) -> Iterator[Any]:
    """Upstream gradients that are 1 for one element; nothing flows from the others, whatever it would meet."""
    count = count_of(value)
    for k in range(count):
        yield array_of([mp.one if i == k else DEAD for i in range(count)], shape_of(value))


def _row(other: Any, k: int, rows: int) -> Any:
    """Row `k` of a Jacobian, as a gradient is packed."""
    numbers = numbers_of(other, rows)
    size = len(numbers) // rows
    return Tensor.flat((size,), array("d", numbers[k * size : (k + 1) * size]))


def _judged(problem: Problem, witness: Witness, gradients: Mapping[int, Tensor]) -> Iterator[tuple[int, JudgedRow]]:
    """The row of each source."""
    exact = run(problem.graph, problem.sources, problem.given, problem.held_seed, problem.size)
    # PyTorch's Jacobian has nothing of what lies between: there the chain rule is judged by itself.
    known = {j: _shaped(map(to_float, elements(total)), total) for j, total in exact.walk.totals.items()}
    known |= {j: _shaped(row.numbers or (), exact.values[j]) for j, row in gradients.items()}
    with digits(bits=exact.bits):
        seen = witness._replace(gradients=known)
        judgement = judge(problem.graph, exact, seen, problem.dtype, CloserLook(problem, exact))
        sides = settle(problem, exact, seen, judgement)
        for j in problem.sources:
            count = count_of(exact.values[j])
            total = exact.walk.totals.get(j, DEAD)
            numbers = [solid(settled(at(total, k), sides.get((j, k)))) for k in range(count)]
            nothing = "agrees" if not any(numbers_of(known[j], count)) else "disagrees"
            yield j, JudgedRow(numbers, judgement.verdicts.get(j, nothing))


def _shaped(numbers: Iterable[float], like: Any) -> Any:
    """Numbers as a gradient is packed, in the shape of another value."""
    found = array("d", numbers)
    return Tensor.flat(shape_of(like), found) if shape_of(like) else found[0]


def _entry(rows: Sequence[JudgedRow], other: Any) -> tuple[Any, Any, Any, str]:
    """The same fields as those that PyTorch's process sends."""
    exact = [number for row in rows for number in row.exact]
    numbers = array("d", map(to_float, exact))
    verdict = max((row.verdict for row in rows), key=VERDICTS.index)
    own = Tensor.flat(other.shape, numbers) if isinstance(other, Tensor) else numbers[0]
    return own, other, error(own, other), verdict
