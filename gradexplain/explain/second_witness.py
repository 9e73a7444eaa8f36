"""SymPy as a witness: its own derivative of the whole formula, where the formula is of a kind that it can do."""

from __future__ import annotations

from typing import Any

from gradexplain.explain.forms import SMALL_GRAPH
from gradexplain.explain.problem import Problem
from gradexplain.explain.verdicts import is_finite
from gradexplain.language.graph import INPUT
from gradexplain.language.products import TooLarge
from gradexplain.readings.arithmetic import Number, to_float
from gradexplain.readings.exact import Exact

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


def _near(total: Number, found: Any) -> bool:
    return not is_finite(total) or abs(to_float(total) - to_float(found)) <= 1e-12 * abs(to_float(total))


def sympy_values(problem: Problem, exact: Exact) -> dict[int, Any]:
    """SymPy's own derivatives at the point, where the formula is of a size that SymPy can do."""
    sources = [j for j in problem.sources if problem.graph.nodes[j].rule == INPUT]
    large = problem.size > SMALL_GRAPH or len(sources) > MAX_SOURCES
    if problem.missing or large or exact.kinks or not _tame(problem, exact):
        return {}
    from gradexplain.readings.symbols import derivatives

    inputs = {i: float(problem.given[i] or 0.0) for i in problem.graph.inputs}
    constants = {i: float(value or 0.0) for i, value in problem.given.items() if problem.graph.is_constant[i]}
    totals = exact.walk.totals
    found: dict[int, Any] = {}
    for digits in DIGITS:
        try:
            found |= derivatives(problem.graph, sources, inputs, constants, digits)
        except TooLarge:
            return {}
        # A difference may come from digits lost in SymPy's form of the derivative: ask again with more of them.
        sources = [j for j in sources if j in found and j in totals and not _near(totals[j], found[j])]
        if not sources:
            break
    return {j: value * problem.held_seed for j, value in found.items() if j in totals and is_finite(totals[j])}
