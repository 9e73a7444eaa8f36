"""The chain and the closed form of each gradient, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any, NamedTuple

from gradexplain.calculus.algebra import Algebra
from gradexplain.calculus.backward import Walk
from gradexplain.explain.chains import Chains
from gradexplain.explain.closed_forms import closed_forms, factors, substitute
from gradexplain.explain.problem import Problem
from gradexplain.explain.verdicts import at, count_of, size_of
from gradexplain.language.graph import CONSTANT, Graph
from gradexplain.language.mathml import MATHML
from gradexplain.language.text import PLAIN, Style, write
from gradexplain.readings.arithmetic import finite
from gradexplain.readings.compare import SPACINGS, uncancelled
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.exact import DEAD, Exact
from gradexplain.readings.exact_arrays import Value, elements
from gradexplain.readings.exact_rules import Builder
from gradexplain.readings.exact_walk import is_finite

# Above this many nodes no factors are written beside a chain, and nothing is given to SymPy.
SMALL_GRAPH = 400
# A chain with more links is not written out in closed forms.
MAX_FACTORS = 6


class Form(NamedTuple):
    """The chain of a gradient, the closed forms of its links, its own closed form as text and as MathML.

    `is_long` says that there is no closed form since it would be too long, and not since numbers spoke against it.
    """

    chain: str
    factors: tuple[str, ...]
    symbolic: str | None
    typeset: str | None
    filled: str | None
    is_long: bool = False


class Closed(NamedTuple):
    """Closed forms as nodes, by source: for each the general one, then one with exceptions; none where too long.

    `algebra` has made them.
    """

    algebra: Algebra
    roots: Mapping[int, Sequence[int]]

    def texts(self, named: Mapping[int, str]) -> dict[int, list[str]]:
        """The same as text."""
        return {j: [write(self.algebra.graph, root, named) for root in roots] for j, roots in self.roots.items()}

    def first(self) -> dict[int, int | None]:
        """The first one of each source."""
        return {j: roots[0] if roots else None for j, roots in self.roots.items()}


def candidates(problem: Problem) -> Closed:
    """The closed forms of all sources, where numbers that are not there yet will say which one holds."""
    algebra, general = closed_forms(problem.graph, problem.sources, problem.seed_node())
    _, special = closed_forms(problem.graph, problem.sources, problem.seed_node(), generic=False)
    found = {j: [root for root in (general[j], special[j]) if root is not None] for j in problem.sources}
    return Closed(algebra, {j: list(dict.fromkeys(roots)) for j, roots in found.items()})


def closed(problem: Problem, exact: Exact) -> tuple[Closed, dict[int, int | None]]:
    """The closed forms of all sources, and by source the one that has the exact numbers at this very point.

    A rule's exceptions are kept only where the general form has other numbers, or none.
    """
    graph, small = problem.graph, problem.size <= SMALL_GRAPH
    algebra, roots = closed_forms(graph, problem.sources, problem.seed_node(), edges=exact.walk.edges, short=small)
    found = Closed(algebra, {j: [] if root is None else [root] for j, root in roots.items()})
    if problem.missing or not (small or exact.has_axes):
        return found, roots
    confirm = _Confirmation(problem, exact)
    wrong = [j for j, root in roots.items() if root is not None and not confirm.holds(j, root)]
    if wrong:
        again = closed_forms(graph, wrong, problem.seed_node(), generic=False, short=exact.has_axes)[1]
        # What is written for a number says how it is computed, and need not have a value.
        roots |= {j: root if not exact.has_axes or (root and confirm.holds(j, root)) else None
                  for j, root in again.items()}  # fmt: skip
    return found, roots


class _Confirmation:
    """Whether a closed form has the exact gradient, wherever that is finite."""

    def __init__(self, problem: Problem, exact: Exact) -> None:
        self.problem, self.exact, self.row = problem, exact, DTYPES[problem.dtype]
        self.terms = uncancelled(exact.walk, size_of)

    def holds(self, j: int, root: int) -> bool:
        """Whether a closed form of the gradient of node `j` has its numbers, wherever these are finite."""
        total, value = self.exact.walk.totals.get(j, DEAD), self.value(root)
        if total is None or value is None:
            return total is None
        # A closed form has the constants that were meant, not as the dtype holds them.
        noise = SPACINGS * 2.0**-self.row.bits * self.terms.get(j, 0.0)
        own = [at(total, k) for k in range(count_of(value))]
        return all(
            not is_finite(b) or (is_finite(a) and abs(a - b) <= self.row.tolerance * abs(b) + noise)
            for a, b in zip(elements(value), own, strict=True)
        )

    def value(self, root: int) -> Value:
        """The exact value of a closed form: of the nodes that are behind those of the formula."""
        graph, builder = self.problem.graph, Builder(self.problem.graph.sizes)
        made: dict[int, Value] = {i: value for i, value in enumerate(self.exact.values) if value is not None}
        for i in graph.inputs_first(root, made):
            node = graph.nodes[i]
            made[i] = (
                builder.number(node.value) if node.rule == CONSTANT
                else builder.apply(node.rule, [made[j] for j in node.inputs], node.settings)
            )  # fmt: skip
        return made[root]


def write_forms(
    problem: Problem, found: Closed, chosen: Mapping[int, int | None], walk: Walk[Any], exact: Exact | None = None
) -> dict[int, Form]:
    """The forms of all sources, of which `chosen` are to be shown, over the nodes of `walk`."""
    graph, named, small = problem.graph, problem.named, problem.size <= SMALL_GRAPH
    named_on_the_way = [i for i in walk.order if i in named]
    chains = Chains(walk, problem.names.of, named_on_the_way or walk.order, problem.sources, graph.objective)
    known = _known(problem, exact.values) if problem.missing and exact else {}
    confirm = _Confirmation(problem, exact) if exact and exact.has_axes else None
    link_forms: dict[tuple[int, int], int | None] = {}
    result = {}
    for j in problem.sources:
        root = chosen[j]
        path = chains.path(j) if small and named_on_the_way and exact else []
        links = factors(graph, path, link_forms) if 2 < len(path) <= MAX_FACTORS + 1 else ()
        if links and confirm and not confirm.holds(j, reduce(lambda one, other: graph.apply("mul", one, other), links)):
            links = ()
        filled = None if root is None or not known else substitute(found.algebra, root, known)
        result[j] = Form(
            chain=chains.text(j),
            factors=tuple([_factor(graph, node, named) for node in links]),
            symbolic=None if root is None else _written(graph, root, named),
            typeset=None if root is None or not small else _written(graph, root, named, MATHML),
            filled=None if filled is None else _written(graph, filled, named),
            is_long=not found.roots[j],
        )
    return result


def _written(graph: Graph, root: int, named: Mapping[int, str], style: Style = PLAIN) -> str:
    """A formula over named nodes; one that is such a node by its name."""
    return style.name(named[root]) if root in named else write(graph, root, named, style)


def _factor(graph: Graph, node: int, named: Mapping[int, str]) -> str:
    text = _written(graph, node, named)
    return f"({text})" if graph.nodes[node].rule in ("add", "sub") and node not in named else text


def _known(problem: Problem, values: Sequence[Value]) -> dict[int, Fraction]:
    """The inputs that have a rational value and the named nodes whose value is a short number."""
    known = {}
    for i in problem.graph.inputs:
        given = problem.point.get(problem.name(i))
        if given is not None and given.fraction is not None:
            known[i] = given.fraction
    for i in problem.graph.names:
        value = values[i]
        if (
            value is not None
            and type(value) is not bool
            and finite(value)
            and abs(value) < 1e15
            and (value == round(float(value), 6))
        ):
            known[i] = Fraction(repr(float(value)))
    return known
