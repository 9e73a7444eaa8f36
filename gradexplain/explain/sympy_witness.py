"""SymPy as a witness: its own derivative of the whole formula, where the formula is of a kind that it can do."""

from __future__ import annotations

from collections.abc import Callable

from gradexplain.explain.forms import SMALL_GRAPH
from gradexplain.explain.problem import Problem
from gradexplain.language.graph import INPUT
from gradexplain.readings.arithmetic import NAN, Number, mp, to_float
from gradexplain.readings.exact import Exact
from gradexplain.readings.exact_walk import is_finite
from gradexplain.readings.worker import WITNESSES, Asked

MAX_SOURCES = 24
DIGITS = (60, 400, 1200)
_ARITHMETIC = frozenset(("add", "sub", "mul", "div", "neg", "sqrt", "square", "reciprocal", "identity", "abs"))


def _tame(problem: Problem, exact: Exact) -> bool:
    """Whether SymPy's functions get arguments of a size that they were made for; at others they may never end."""
    for node in problem.graph.nodes[: problem.size]:
        limit = 1e60 if node.rule in _ARITHMETIC else 1e5
        for j in node.inputs:
            value = exact.values[j] if j not in problem.given else problem.given[j]
            if value is None or type(value) is bool:
                continue
            if not abs(value) <= limit:
                return False
    return True


def _near(total: Number, found: Number) -> bool:
    return not is_finite(total) or abs(to_float(total) - to_float(found)) <= 1e-12 * abs(to_float(total))


def ask_sympy(problem: Problem, exact: Exact) -> Callable[[], dict[int, Number]]:
    """Ask for SymPy's own derivatives at the point, where the formula is of a size that SymPy can do.

    Returns a function that waits for them. Where the process of the witnesses is there already, it works on them in
    the meantime; while PyTorch still loads in it, they are found here and now.
    """
    sources = [j for j in problem.sources if problem.graph.nodes[j].rule == INPUT]
    large = problem.size > SMALL_GRAPH or len(sources) > MAX_SOURCES
    if problem.missing or large or exact.has_axes or exact.kinks or not _tame(problem, exact):
        return dict
    inputs = {i: float(problem.given[i] or 0.0) for i in problem.graph.inputs}
    constants = {i: float(value or 0.0) for i, value in problem.given.items() if problem.graph.is_constant[i]}

    def ask(wanted: list[int], digits: int) -> Asked:
        question = (problem.source, list(problem.point), wanted, inputs, constants, digits)
        return WITNESSES.ask_where_free("gradexplain.readings.symbols:answers", question)

    first = ask(sources, DIGITS[0])

    def values() -> dict[int, Number]:
        totals, found, wanted = exact.walk.totals, dict[int, Number](), sources
        for digits in DIGITS:
            (answer,) = WITNESSES.answers(first if digits == DIGITS[0] else ask(wanted, digits))
            found |= {j: mp.make_mpf(parts) for j, parts in answer.items()}
            # A difference may come from digits lost in SymPy's form of the derivative: ask again with more of them.
            wanted = [j for j in wanted if j in found and j in totals and not _near(totals[j], found[j])]
            if not wanted:
                break
        seed = problem.held_seed
        return {j: mp.fmul(value, seed, exact=True) for j, value in found.items() if is_finite(totals.get(j, NAN))}

    if first.worker is None:
        own = values()
        return lambda: own
    return values
