"""The chain and the closed form of each gradient, as text."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from gradexplain.explain.chains import Chains
from gradexplain.explain.closed_forms import closed_forms, factors, substitute
from gradexplain.explain.problem import Problem
from gradexplain.language.graph import Graph
from gradexplain.language.mathml import MATHML
from gradexplain.language.text import write
from gradexplain.readings import exact as exact_reading
from gradexplain.readings.arithmetic import finite
from gradexplain.readings.exact import DEAD, Exact

# Above this many nodes no factors are written beside a chain, and nothing is given to SymPy.
SMALL_GRAPH = 400
# A chain with more links is not written out in closed forms.
MAX_FACTORS = 6


class Form(NamedTuple):
    """The chain of a gradient, the closed forms of its links, its own closed form as text and as MathML."""

    chain: str
    factors: tuple[str, ...]
    symbolic: str | None
    typeset: str | None
    filled: str | None


def write_forms(problem: Problem, exact: Exact) -> dict[int, Form]:
    """The forms of all sources."""
    graph, small = problem.graph, problem.size <= SMALL_GRAPH
    seed = graph.constant(problem.seed)
    algebra, roots = closed_forms(graph, problem.sources, seed, edges=exact.walk.edges, short=small)
    if small:
        roots = _guard(problem, exact, roots)
    named = {i: name for i, name in graph.names.items() if i != graph.objective}
    named_on_the_way = [i for i in exact.walk.order if i in named]
    visible = named_on_the_way or exact.walk.order
    chains = Chains(exact.walk, problem.names.of, visible, problem.sources, graph.objective)
    known = _known(problem, exact) if problem.missing else {}
    link_forms: dict[tuple[int, int], int | None] = {}
    result = {}
    for j in problem.sources:
        root = roots[j]
        path = chains.path(j) if small and named_on_the_way else []
        links = factors(graph, path, link_forms) if 2 < len(path) <= MAX_FACTORS + 1 else ()
        filled = None if root is None or not known else substitute(algebra, root, known)
        result[j] = Form(
            chain=chains.text(j),
            factors=tuple([_factor(graph, node, named) for node in links]),
            symbolic=None if root is None else write(graph, root, named),
            typeset=None if root is None or not small else write(graph, root, named, MATHML),
            filled=None if filled is None else write(graph, filled, named),
        )
    return result


def _factor(graph: Graph, node: int, named: Mapping[int, str]) -> str:
    text = write(graph, node, named)
    return f"({text})" if graph.nodes[node].rule in ("add", "sub") and node not in named else text


def _known(problem: Problem, exact: Exact) -> dict[int, Fraction]:
    """The inputs that have a rational value and the named nodes whose value is a short number."""
    known = {}
    for i in problem.graph.inputs:
        given = problem.point.get(problem.name(i))
        if given is not None and given.fraction is not None:
            known[i] = given.fraction
    for i in problem.graph.names:
        value = exact.values[i]
        if (
            value is not None
            and type(value) is not bool
            and finite(value)
            and abs(value) < 1e15
            and (value == round(float(value), 6))
        ):
            known[i] = Fraction(repr(float(value)))
    return known


def _guard(problem: Problem, exact: Exact, roots: dict[int, int | None]) -> dict[int, int | None]:
    """Closed forms with a rule's exceptions kept, where the general form has no value at this very point."""
    if problem.missing:
        return roots
    graph, last = problem.graph, max((root for root in roots.values() if root is not None), default=-1)
    values = exact_reading.evaluate(graph, problem.given, last, constants=True) if last >= 0 else []
    wrong = []
    for j, root in roots.items():
        total = exact.walk.totals.get(j)
        if root is not None and total is not None and (total is DEAD or finite(total)) and not _finite(values[root]):
            wrong.append(j)
    if not wrong:
        return roots
    _, guarded = closed_forms(graph, wrong, graph.constant(problem.seed), generic=False, short=False)
    return roots | guarded


def _finite(value: object) -> bool:
    return value is not None and finite(value)
