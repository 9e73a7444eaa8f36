"""Whether a derivative exists at a kink or where the chain rule meets 0 times infinity: quotients on both sides."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gradexplain.explain.problem import Problem
from gradexplain.explain.verdicts import Judgement, Origin, at, close, count_of, numbers_of
from gradexplain.readings.arithmetic import Number, finite, mp, solid
from gradexplain.readings.differences import DIGITS, Sides, limit
from gradexplain.readings.digits import digits
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.exact import DEAD, Exact, evaluate, work
from gradexplain.readings.exact_arrays import Value, dot, elements
from gradexplain.readings.exact_walk import is_finite
from gradexplain.readings.witness import Witness

MAX_NODES = 400
MAX_SOURCES = 12
MAX_WORK = 10_000
Found = tuple[str, Origin | None]
QUESTIONABLE = frozenset(("convention", "undefined", "nonfinite"))


def one_sided(problem: Problem, exact: Exact, source: int, place: int = 0) -> Sides | None:
    """The one-sided derivatives of the objective by an element of `source`; None where it has no finite value."""
    graph, start = problem.graph, exact.values[source]
    own = None if start is None else at(start, place)
    if own is None or not finite(own) or exact.values[graph.objective] is None:
        return None

    def objective(value: Number) -> Number:
        given = value if not hasattr(start, "shape") else start.copy()
        if hasattr(start, "shape"):
            given.flat[place] = value
        found = evaluate(graph, {**problem.given, source: given}, graph.objective)[graph.objective]
        return _weighted(found, problem.held_seed)

    if not finite(_weighted(exact.values[graph.objective], problem.held_seed)):
        return None
    with digits(DIGITS):
        middle = objective(own)
        if not finite(middle):
            return None
        # A small change of a large value takes digits of its own.
        count = min(DIGITS + int(mp.log10(abs(middle))), 4 * DIGITS) if abs(middle) > 1 else DIGITS
    with digits(count):
        middle = objective(own)
        return Sides(*[_side(objective, own, middle, sign) for sign in (-1, 1)])


def _weighted(value: Value, seed: Any) -> Number:
    """The objective times the upstream gradient, added up where these are vectors."""
    if not hasattr(value, "shape"):
        return value * seed
    return solid(dot(elements(value), elements(seed)))


def _side(objective: Callable[[Number], Number], start: Number, middle: Number, sign: int) -> Number:
    """The derivative on the side of `sign`; None where there is no finite one."""

    def quotient(place: int) -> Number:
        step = sign * mp.mpf(10) ** -place * max(1, abs(start))
        return (objective(start + step) - middle) / step

    return limit(quotient)


def settle(problem: Problem, exact: Exact, witness: Witness, judgement: Judgement) -> dict[tuple[int, int], Sides]:
    """Both sides of every element of a source with a questionable verdict, by source and place.

    The verdict is corrected where a derivative exists, and where it does not.
    """
    found: dict[tuple[int, int], Sides] = {}
    if problem.missing or _has_no_value(problem, exact, witness, judgement) or problem.size > MAX_NODES:
        return found
    # A look at one element takes some ten passes over the whole formula.
    affordable = MAX_WORK // work(problem.graph, problem.size) if exact.has_axes else MAX_SOURCES
    for j in problem.sources[:MAX_SOURCES]:
        count = count_of(exact.values[j])
        autograd = numbers_of(witness.gradients.get(j), count)
        for k in _questionable(problem, exact, judgement, j)[: min(MAX_SOURCES, affordable)]:
            sides = one_sided(problem, exact, j, k)
            if sides is None:
                continue
            found[j, k] = sides
            if witness.values:
                total = at(exact.walk.totals.get(j, DEAD), k)
                before = _known(exact, judgement, j, k)
                _set(exact, judgement, j, k, _corrected(problem, exact, sides, total, autograd[k], before, k))
        if hasattr(exact.values[j], "shape") and judgement.verdicts.get(j) != "unverified":
            judgement.decide(j)
    return found


def settled(total: Number, sides: Sides | None) -> Number:
    """The gradient of an element once both sides are known: what the chain rule cannot say, they do.

    >>> settled(mp.inf, Sides(mp.one, mp.one)), settled(mp.mpf(2), None)
    (mpf('1.0'), mpf('2.0'))
    """
    if sides is not None and sides.derivative is not None and not is_finite(total):
        return sides.derivative
    return total


def _has_no_value(problem: Problem, exact: Exact, witness: Witness, judgement: Judgement) -> bool:
    """Whether the objective is a number without a value, exactly and for PyTorch: then it has no gradient that agrees.

    A gradient by the chain rule alone may be finite all the same, as that of log(x) + y by y at x = 0.
    """
    top = problem.graph.objective
    value = exact.values[top]
    if value is None or hasattr(value, "shape") or is_finite(value) or not witness.values:
        return False
    origin = next(iter(judgement.forward.get(top, {}).values()), None)
    if origin is None or math.isfinite(numbers_of(witness.values[top], 1)[0]):
        return False
    for j in problem.sources:
        for k in range(count_of(exact.values[j])):
            verdict, own = _known(exact, judgement, j, k)
            if verdict in ("agrees", *QUESTIONABLE):
                _set(exact, judgement, j, k, ("undefined", origin if own is None or own.kind == "kink" else own))
        if hasattr(exact.values[j], "shape"):
            judgement.decide(j)
    return True


def _known(exact: Exact, judgement: Judgement, j: int, k: int) -> Found:
    """The verdict on an element so far, and where it began."""
    if hasattr(exact.values[j], "shape"):
        return judgement.elements.get(j, {}).get(k, ("agrees", None))
    return judgement.verdicts.get(j, "agrees"), judgement.began.get(j)


def _set(exact: Exact, judgement: Judgement, j: int, k: int, found: Found) -> None:
    verdict, origin = found
    if hasattr(exact.values[j], "shape"):
        own = judgement.elements.setdefault(j, {})
        own.pop(k, None)
        if origin is not None:
            own[k] = verdict, origin
        return
    judgement.verdicts[j] = verdict
    judgement.began.pop(j, None)
    if origin is not None:
        judgement.began[j] = origin


def _questionable(problem: Problem, exact: Exact, judgement: Judgement, j: int) -> list[int]:
    """The elements of a source whose derivative may be another one than the chain rule's."""
    # A jump may be crossed where nothing flows: the walk alone cannot tell.
    if not hasattr(exact.values[j], "shape"):
        verdict = judgement.verdicts.get(j, "agrees")
        return [0] if verdict in QUESTIONABLE or (exact.kinks and verdict == "agrees") else []
    count = count_of(exact.values[j])
    known = {k: verdict for k, (verdict, _) in judgement.elements.get(j, {}).items()}
    crossed: set[int] = set()
    for i, places in exact.kinks.items():
        crossed |= set(places) if count_of(exact.values[i]) == count else set(range(count))
    unjudged = judgement.verdicts.get(j) == "unverified"
    return [k for k in range(count) if (k in crossed and known.get(k, "agrees") == "agrees")
            or (known.get(k) in QUESTIONABLE and not unjudged)]  # fmt: skip


def _corrected(
    problem: Problem, exact: Exact, sides: Sides, total: Number, autograd: float, before: Found, k: int
) -> Found:
    """The verdict on an element once both sides are known, and where it began."""
    verdict, origin = before
    derivative = sides.derivative
    kink = min(exact.kinks, default=0)
    crossed = Origin(kink, "kink", k if k in exact.kinks.get(kink, ()) else next(iter(exact.kinks.get(kink, (0,)))))
    if derivative is not None and close(derivative, autograd, DTYPES[problem.dtype].tolerance):
        return "agrees", None
    if origin is not None and origin.kind == "documented":
        return before
    if verdict == "agrees":
        return "convention", crossed
    if not math.isfinite(autograd):
        # Nothing is no wrong answer where there is no derivative.
        return ("undefined" if derivative is None else "nonfinite"), origin
    if is_finite(total):
        return verdict, origin
    # PyTorch has a number where the chain rule has none: its choice at a kink, or what rounding left of a 0.
    if exact.kinks:
        return "convention", crossed
    return ("precision" if origin is not None and origin.kind in ("forward", "rounding") else "disagrees"), origin
