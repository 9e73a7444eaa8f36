"""Numbers as they go into a record, and the verdicts on them: where they are exact, and where PyTorch has none."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gradexplain.calculus.backward import Walk
from gradexplain.explain import notes
from gradexplain.explain.decimal import digits_of
from gradexplain.explain.one_sided import settle, settled
from gradexplain.explain.problem import Problem
from gradexplain.explain.rounding import CloserLook
from gradexplain.explain.verdicts import Judgement, at, judge
from gradexplain.readings.arithmetic import to_float, to_floats
from gradexplain.readings.exact import DEAD, Exact
from gradexplain.readings.exact_arrays import Value as Numeric
from gradexplain.readings.exact_arrays import elements, shape_of
from gradexplain.readings.exact_walk import is_finite
from gradexplain.readings.witness import Witness
from gradexplain.records import Began, Remark, Value
from gradexplain.tensor import Tensor


class Numbers(NamedTuple):
    """The values of all nodes and the walk, in whatever numbers, and what makes of these what a record has."""

    values: Sequence[Any]
    walk: Walk[Any]
    show: Callable[[Any], Value | Tensor]


class Judged(NamedTuple):
    """The verdicts by node, where each one that is not fine began, and notes on kinks.

    `totals` are gradients that are other ones than the walk has, `errors` those errors that are known already, and
    `other` is the verdict on what nothing flows to. `second` has the exact second order, as the witness has its own.
    """

    verdicts: Mapping[int, str]
    began: Mapping[int, Began]
    notes: Sequence[Remark] = ()
    totals: Mapping[int, Any] = {}
    errors: Mapping[int, float] = {}
    other: str = "agrees"
    second: Mapping[str, Any] = {}


def exact_numbers(exact: Exact) -> Numbers:
    """Exact numbers and what shows them: most are the value or the gradient of some node, and are made once."""
    totals = exact.walk.totals
    known = dict(zip(map(id, exact.values), map(_shown, exact.values, exact.floats), strict=True))
    known |= zip(map(id, totals.values()), map(_shown, totals.values(), exact.gradients.values()), strict=True)

    def show(value: Numeric) -> Value | Tensor:
        found = known.get(id(value))
        return value_of(value) if found is None else found

    return Numbers(exact.values, exact.walk, show)


def value_of(value: Numeric) -> Value | Tensor:
    """An exact number, or an array of them, as it goes into a record.

    >>> value_of(None), value_of(True)
    (None, True)
    """
    if value is None or isinstance(value, (bool, float, Tensor)):
        return value
    return _shown(value, to_floats(elements(value)) if shape_of(value) else to_float(value))


def _shown(value: Numeric, found: Any) -> Value | Tensor:
    """A number or an array as it goes into a record, where the nearest floats are `found`."""
    if type(found) is list:
        # What is too large for a float, or too small, is a number all the same.
        known = [(k, digits_of(value.flat[k], 20)) for k, x in enumerate(found) if _is_beyond(value.flat[k], x)]
        return Tensor.flat(shape_of(value), array("d", found), tuple(known))
    return digits_of(value, 20) if type(found) is float and _is_beyond(value, found) else found


def _is_beyond(value: Numeric, found: float) -> bool:
    """Whether a finite number is beyond what a float holds, as 1.97e434 and 5.08e-435 are."""
    return (not found or math.isinf(found)) and bool(value) and is_finite(value)


def judged_exactly(problem: Problem, exact: Exact, witness: Witness) -> Judged:
    """The verdicts on exact numbers, and the notes on kinks. It needs the precision with which they were found."""
    if witness.node >= 0 and not all(map(is_finite, elements(exact.values[witness.node]))):
        return impossible(problem, exact.walk, witness)
    judgement = judge(problem.graph, exact, witness, problem.dtype, CloserLook(problem, exact))
    sides = settle(problem, exact, witness, judgement)
    began = {j: found for j in judgement.began if (found := notes.began(problem, exact, witness, judgement, j))}
    kinks = [j for j in problem.sources if judgement.verdicts.get(j) == "convention"]
    told = [note for j in kinks for note in notes.kink_notes(problem, exact, witness, judgement, sides, j)]
    told += notes.documented_notes(problem, exact)
    if any(verdict not in ("agrees", "unverified") for verdict in judgement.verdicts.values()):
        told += notes.rounded_constants(problem, exact)
    totals: dict[int, Numeric] = {}
    for (j, k), side in sides.items():
        total = totals.get(j, exact.walk.totals.get(j, DEAD))
        own = at(total, k)
        # A derivative may exist where the chain rule meets 0 times infinity.
        if (number := settled(own, side)) is not own:
            totals[j] = _replaced(total, k, number)
    second = second_order(problem, exact, witness, judgement, sides) if problem.want and witness.tables else {}
    told += second.pop("notes", [])
    other = "agrees" if witness.values else "unverified"
    return Judged(judgement.verdicts, began, told, totals, {}, other, second)


def second_order(
    problem: Problem, exact: Exact, witness: Witness, judgement: Judgement, sides: notes.KnownSides
) -> dict[str, Any]:
    """The exact Jacobians or the exact Hessian, with the verdicts on PyTorch's; empty where they are not affordable."""
    from gradexplain.explain.jacobian_verdicts import exact_jacobians
    from gradexplain.explain.second_verdicts import exact_hessian

    if problem.want == "hessian":
        return exact_hessian(problem, exact, witness, judgement, sides)
    return exact_jacobians(problem, exact, witness)


def _replaced(total: Numeric, place: int, number: Numeric) -> Numeric:
    """A number, or an array with it at a place."""
    if not shape_of(total):
        return number
    found = total.copy()
    found.flat[place] = number
    return found


def impossible(problem: Problem, walk: Walk[Any], witness: Witness) -> Judged:
    """The verdicts where PyTorch refuses a node, since that has no value."""
    names = problem.names
    name, expression = names.of.get(witness.node, "a constant"), names.expression(witness.node)
    began = Began.at(name, "value_impossible", expression=expression)
    return Judged(dict.fromkeys(walk.order, "undefined"), dict.fromkeys(walk.order, began), other="undefined")
