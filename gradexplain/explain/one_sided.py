"""Whether a derivative exists at a kink or where the chain rule meets 0 times infinity: quotients on both sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gradexplain.explain.problem import Problem
from gradexplain.explain.verdicts import Judgement, Origin, at, close, count_of, numbers_of
from gradexplain.readings.arithmetic import Number, finite, mp
from gradexplain.readings.digits import digits
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.exact import DEAD, Exact, evaluate, same, work
from gradexplain.readings.exact_arrays import Value, elements
from gradexplain.readings.exact_walk import is_finite
from gradexplain.readings.witness import Witness

DIGITS = 200
# Steps of two sizes: a quotient that changes between them has no limit.
STEPS = (40, 50)
MAX_NODES = 400
MAX_SOURCES = 12
MAX_WORK = 10_000
Found = tuple[str, Origin | None]
QUESTIONABLE = frozenset(("convention", "undefined", "nonfinite"))


class Sides(NamedTuple):
    """The derivative from the left and from the right; None where that side has no finite one."""

    left: Number
    right: Number

    @property
    def derivative(self) -> Number:
        """The derivative, or None where it does not exist."""
        both = self.left is not None and self.right is not None
        return self.right if both and same(self.left, self.right) else None


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
    return sum((a * b for a, b in zip(elements(value), elements(seed), strict=True)), mp.zero)


def _side(objective: Callable[[Number], Number], start: Number, middle: Number, sign: int) -> Number:
    """The derivative on the side of `sign`; None where there is no finite one."""
    quotients = []
    for place in STEPS:
        step = sign * mp.mpf(10) ** -place * max(1, abs(start))
        quotients.append((objective(start + step) - middle) / step)
    first, second = quotients
    steady = finite(first) and finite(second) and abs(first - second) <= mp.mpf(10) ** -15 * (1 + abs(second))
    return _tidy(second) if steady else None


def _tidy(quotient: Number) -> Number:
    """The quotient without the trace of its step."""
    rounded = mp.mpf(mp.nstr(quotient, 25))
    return rounded if abs(rounded) > mp.mpf(10) ** -25 else mp.zero


def settle(problem: Problem, exact: Exact, witness: Witness, judgement: Judgement) -> dict[tuple[int, int], Sides]:
    """Both sides of every element of a source with a questionable verdict, by source and place.

    The verdict is corrected where a derivative exists.
    """
    found: dict[tuple[int, int], Sides] = {}
    if problem.size > MAX_NODES or problem.missing:
        return found
    # A look at one element takes some ten passes over the whole formula.
    affordable = MAX_WORK // work(problem.graph, problem.size) if exact.has_axes else MAX_SOURCES
    for j in problem.sources[:MAX_SOURCES]:
        is_vector = hasattr(exact.values[j], "shape")
        for k in _questionable(problem, exact, judgement, j)[: min(MAX_SOURCES, affordable)]:
            sides = one_sided(problem, exact, j, k)
            if sides is None:
                continue
            found[j, k] = sides
            if not witness.values:
                continue
            count = count_of(exact.values[j])
            autograd = numbers_of(witness.gradients.get(j), count)[k]
            total = at(exact.walk.totals.get(j, DEAD), k)
            if is_vector:
                own = judgement.elements.setdefault(j, {})
                before: Found = own.get(k, ("agrees", None))
            else:
                before = judgement.verdicts.get(j, "agrees"), judgement.began.get(j)
            verdict, origin = _corrected(problem, exact, sides, total, autograd, before, k)
            if is_vector:
                own.pop(k, None)
                if origin is not None:
                    own[k] = verdict, origin
            else:
                judgement.verdicts[j] = verdict
                judgement.began.pop(j, None)
                if origin is not None:
                    judgement.began[j] = origin
        if is_vector and judgement.verdicts.get(j) != "unverified":
            judgement.decide(j)
    return found


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
    if derivative is None:
        return ("convention", crossed) if verdict == "agrees" else (verdict, origin)
    if close(derivative, autograd, DTYPES[problem.dtype].tolerance):
        return "agrees", None
    if total is not DEAD and not is_finite(total):
        return "nonfinite", origin
    return ("convention", crossed) if verdict == "agrees" else (verdict, origin)
