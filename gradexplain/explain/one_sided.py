"""Whether a derivative exists at a kink or where the chain rule meets 0 times infinity: quotients on both sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gradexplain.explain.problem import Problem
from gradexplain.explain.verdicts import Judgement, close, is_finite
from gradexplain.readings.arithmetic import Number, finite, mp
from gradexplain.readings.digits import digits
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.exact import DEAD, Exact, evaluate, same
from gradexplain.readings.witness import Witness

DIGITS = 200
# Steps of two sizes: a quotient that changes between them has no limit.
STEPS = (40, 50)
MAX_NODES = 400
MAX_SOURCES = 12
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


def one_sided(problem: Problem, exact: Exact, source: int) -> Sides | None:
    """The one-sided derivatives of the objective by `source`; None where the objective has no finite value."""
    graph, start = problem.graph, exact.values[source]
    known = exact.values[graph.objective]
    if start is None or not finite(start) or known is None or not finite(known):
        return None

    def objective(value: Number) -> Number:
        return evaluate(graph, {**problem.given, source: value}, graph.objective)[graph.objective]

    with digits(DIGITS):
        middle = objective(start)
        if not finite(middle):
            return None
        # A small change of a large value takes digits of its own.
        count = min(DIGITS + int(mp.log10(abs(middle))), 4 * DIGITS) if abs(middle) > 1 else DIGITS
    with digits(count):
        middle = objective(start)
        return Sides(*[_side(objective, start, middle, sign, problem.held_seed) for sign in (-1, 1)])


def _side(objective: Callable[[Number], Number], start: Number, middle: Number, sign: int, seed: float) -> Number:
    """The derivative on the side of `sign`, times `seed`; None where there is no finite one."""
    quotients = []
    for place in STEPS:
        step = sign * mp.mpf(10) ** -place * max(1, abs(start))
        quotients.append((objective(start + step) - middle) / step * seed)
    first, second = quotients
    steady = finite(first) and finite(second) and abs(first - second) <= mp.mpf(10) ** -15 * (1 + abs(second))
    return _tidy(second) if steady else None


def _tidy(quotient: Number) -> Number:
    """The quotient without the trace of its step."""
    rounded = mp.mpf(mp.nstr(quotient, 25))
    return rounded if abs(rounded) > mp.mpf(10) ** -25 else mp.zero


def settle(problem: Problem, exact: Exact, witness: Witness, judgement: Judgement) -> dict[int, Sides]:
    """Both sides of every source with a questionable verdict; the verdict is corrected where a derivative exists."""
    found: dict[int, Sides] = {}
    if problem.size > MAX_NODES or problem.missing:
        return found
    tolerance = DTYPES[problem.dtype].tolerance
    for j in problem.sources[:MAX_SOURCES]:
        verdict = judgement.verdicts.get(j, "agrees")
        # A jump may be crossed where nothing flows: the walk alone cannot tell.
        if verdict not in QUESTIONABLE and not (exact.kinks and verdict == "agrees"):
            continue
        sides = one_sided(problem, exact, j)
        if sides is None:
            continue
        found[j] = sides
        derivative, total = sides.derivative, exact.walk.totals.get(j, DEAD)
        autograd = witness.gradients.get(j) or 0.0
        if derivative is None:
            if verdict == "agrees" and witness.values:
                judgement.verdicts[j] = "convention"
                judgement.began[j] = min(exact.kinks), "kink"
            continue
        if not witness.values:
            continue
        if close(derivative, autograd, tolerance):
            judgement.verdicts[j] = "agrees"
            judgement.began.pop(j, None)
        elif total is not DEAD and not is_finite(total):
            judgement.verdicts[j] = "nonfinite"
        elif verdict == "agrees":
            judgement.verdicts[j] = "convention"
            judgement.began[j] = min(exact.kinks), "kink"
    return found
