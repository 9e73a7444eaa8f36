"""SymPy as a witness: its own derivative of the whole formula, where the formula is of a kind that it can do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from gradexplain.explain.forms import SMALL_GRAPH
from gradexplain.explain.problem import Problem
from gradexplain.language.graph import INPUT
from gradexplain.readings.arithmetic import NAN, mp, to_float
from gradexplain.readings.exact import Exact, work
from gradexplain.readings.exact_arrays import Value, array_of, each, elements
from gradexplain.readings.exact_walk import is_finite
from gradexplain.readings.plan import packed_graph
from gradexplain.readings.worker import WITNESSES
from gradexplain.rules.table import ELEMENTWISE

_NUMBERS, _ARRAYS = "gradexplain.readings.symbols:answers", "gradexplain.readings.symbol_arrays:answers"
# Elements of all inputs that it differentiates by, and how many numbers a formula on vectors may compute.
MAX_SOURCES, MAX_WORK = 24, 150
DIGITS = (60, 400, 1200)
_ARITHMETIC = frozenset(("add", "sub", "mul", "div", "neg", "sqrt", "square", "reciprocal", "identity", "abs"))

_APART = frozenset(rule.name for rule in ELEMENTWISE.values() if rule.definition.startswith("where(a == 0,"))


def _tame(problem: Problem, exact: Exact) -> bool:
    """Whether SymPy's functions get arguments of a size that they were made for; at others they may never end."""
    for node in problem.graph.nodes[: problem.size]:
        limit = 1e60 if node.rule in _ARITHMETIC or node.rule not in ELEMENTWISE else 1e5
        for j in node.inputs:
            value = exact.values[j] if j not in problem.given else problem.given[j]
            for number in elements(value):
                if number is not None and type(number) is not bool and not abs(number) <= limit:
                    return False
    return True


def _is_excepted(problem: Problem, exact: Exact) -> bool:
    """Whether a function has an argument for which it is defined apart, as xlogy for 0: SymPy differentiates that."""
    apart = [node.inputs[0] for node in problem.graph.nodes[: problem.size] if node.rule in _APART]
    return any(number is not None and not number for i in apart for number in elements(exact.values[i]))


def _near(total: Value, found: Value) -> bool:
    pairs = zip(elements(total), elements(found), strict=True)
    return all(not is_finite(a) or abs(to_float(a) - to_float(b)) <= 1e-12 * abs(to_float(b)) for a, b in pairs)


def ask_sympy(problem: Problem, exact: Exact) -> Callable[[], dict[int, Value]]:
    """Ask for SymPy's own derivatives at the point, where the formula is of a size that SymPy can do.

    Returns a function that waits for them. Where the process of the witnesses is there already, it works on them in
    the meantime; while PyTorch still loads in it, they are found here and now.
    """
    sources = [j for j in problem.sources if problem.graph.nodes[j].rule == INPUT]
    if problem.missing or exact.kinks or _is_large(problem, exact, sources):
        return dict
    if _is_excepted(problem, exact) or not _tame(problem, exact):
        return dict
    asking = _asking(problem, exact)
    first = WITNESSES.ask_where_free(*asking(sources, DIGITS[0]))

    def values() -> dict[int, Value]:
        totals, found, wanted = exact.walk.totals, dict[int, Value](), sources
        for digits in DIGITS:
            asked = first if digits == DIGITS[0] else WITNESSES.ask_where_free(*asking(wanted, digits))
            (answer,) = WITNESSES.answers(asked)
            found |= {j: _number(problem, j, parts) for j, parts in answer.items()}
            # A difference may come from digits lost in SymPy's form of the derivative: ask again with more of them.
            wanted = [j for j in wanted if j in found and j in totals and not _near(totals[j], found[j])]
            if not wanted:
                break
        return {j: _times(value, problem.held_seed) for j, value in found.items() if _has_any(totals.get(j, NAN))}

    if first.worker is None:
        own = values()
        return lambda: own
    return values


def _is_large(problem: Problem, exact: Exact, sources: Sequence[int]) -> bool:
    graph = problem.graph
    if problem.size > SMALL_GRAPH or sum(math.prod(graph.lengths(j)) for j in sources) > MAX_SOURCES:
        return True
    return exact.has_axes and (graph.shapes[graph.objective] != () or work(graph, problem.size) > MAX_WORK)


def _asking(problem: Problem, exact: Exact) -> Callable[[list[int], int], tuple[str, Any]]:
    """What makes the question for some sources and so many digits: the task and what it is called with."""
    graph, given = problem.graph, problem.given
    constants = {i: float(value or 0.0) for i, value in given.items() if graph.is_constant[i]}
    if exact.has_axes:
        numbers = {i: [to_float(number) for number in elements(given[i])] for i in graph.inputs}
        packed = packed_graph(graph, problem.size)
        return lambda wanted, digits: (_ARRAYS, (packed, wanted, numbers, constants, digits))
    inputs, names = {i: float(given[i] or 0.0) for i in graph.inputs}, list(problem.point)
    return lambda wanted, digits: (_NUMBERS, (problem.source, names, wanted, inputs, constants, digits))


def _number(problem: Problem, j: int, parts: Any) -> Value:
    """A number, or the elements of a vector or matrix, from the fields of mpmath's numbers."""
    if isinstance(parts, list):
        return array_of(list(map(mp.make_mpf, parts)), problem.graph.lengths(j))
    return mp.make_mpf(parts)


def _times(value: Value, seed: Any) -> Value:
    return each(lambda number: mp.fmul(number, seed, exact=True), value)


def _has_any(total: Value) -> bool:
    """Whether some element of a gradient is finite, so that there is something to compare."""
    return any(map(is_finite, elements(total)))
