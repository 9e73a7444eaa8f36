"""Closed forms of the gradients: the reverse walk with formulas for numbers, tidied, and checked at numbers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction

from gradexplain.calculus.algebra import Algebra, Formulas, TooLarge
from gradexplain.calculus.backward import Edges, reverse
from gradexplain.calculus.templates import partial
from gradexplain.explain.dressed import dressed
from gradexplain.explain.shorter import shortened
from gradexplain.language.graph import CONSTANT, INPUT, Graph
from gradexplain.rules.table import ELEMENTWISE


class FormulaReading:
    """Formulas for the reverse walk, from the node of the upstream gradient; None stands for one that is too large."""

    def __init__(self, algebra: Algebra, seed: int) -> None:
        self.algebra, self._seed = algebra, seed

    def seed(self) -> int | None:
        return self._seed

    def contribution(self, i: int, slot: int, upstream: int | None) -> tuple[int | None, int | None]:
        if upstream is None:
            return None, None
        try:
            return self._contribution(i, slot, upstream)
        except TooLarge:
            return None, None

    def _contribution(self, i: int, slot: int, upstream: int) -> tuple[int | None, int]:
        graph, node = self.algebra.graph, self.algebra.graph.nodes[i]
        if not graph.has_axes and node.rule in ELEMENTWISE:
            bindings = {**dict(zip("abcd", node.inputs, strict=False)), "out": i}
            local = self.algebra.instantiate(partial(node.rule, slot), bindings)
            return local, self.algebra.apply("mul", upstream, local)
        # Single numbers need none of it.
        from gradexplain.calculus.pullbacks import Pullback

        return None, Pullback(Formulas(self.algebra), graph, node, slot, node.inputs, i, upstream).value()

    def add(self, first: int | None, second: int | None) -> int | None:
        if first is None or second is None:
            return None
        try:
            # The walk meets the last use of a node first; the person wrote it last.
            return self.algebra.sum(second, first)
        except TooLarge:
            return None


def closed_forms(
    graph: Graph, sources: Sequence[int], seed: int, generic: bool = True, edges: Edges | None = None,
    short: bool = True,
) -> tuple[Algebra, dict[int, int | None]]:  # fmt: skip
    """The closed form of the gradient by each source, as a node added to `graph`; None where it is too long.

    `seed` is the node of the upstream gradient. Named nodes stay symbols. Each form has the shape of its source. With
    `generic`, exceptions of a rule for single values, such as that of a norm for 0, are left out (see Algebra). `edges`
    are those of a walk to the same sources. With `short`, SymPy's forms are taken where they are much shorter.

    >>> from gradexplain.language.parse import parse
    >>> from gradexplain.language.text import write
    >>> graph = parse("x @ A @ x", ["x", "A"], {"x": (3,), "A": (3, 3)})
    >>> write(graph, closed_forms(graph, graph.inputs, graph.constant(1))[1][graph.inputs[0]], {})
    '(A + A.T) @ x'
    """
    count = len(graph.nodes)
    atoms = (set(graph.names) - {graph.objective}) | set(graph.inputs)
    reading = FormulaReading(Algebra(graph, atoms, generic), seed)
    walk = reverse(graph, sources, reading, edges=edges, keep=False)
    zero = graph.constant(0)
    forms = {j: walk.totals.get(j, zero) for j in sources}
    if short:
        forms = shortened(reading.algebra, forms, count)
    if graph.has_axes:
        forms = dressed(reading.algebra, forms)
    return reading.algebra, forms


def factors(graph: Graph, path: Sequence[int], known: dict[tuple[int, int], int | None]) -> tuple[int, ...]:
    """The closed forms of the partials along a path of named nodes, from the objective down; none where too long, or
    where one of them is no factor.

    `known` collects those of single links for the next call.
    """
    links = list(itertools.pairwise(path))
    for upper, lower in links:
        if (upper, lower) not in known:
            known[upper, lower] = _factor(graph, upper, lower, set(path))
    found = [known[link] for link in links]
    return tuple([node for node in found if node is not None]) if None not in found else ()


def _factor(graph: Graph, upper: int, lower: int, path: set[int]) -> int | None:
    """The partial of a named node by another one; by vectors it is a factor of a number, or element by element."""
    atoms, shape = (set(graph.names) - {graph.objective}) | set(graph.inputs), graph.shapes[upper]
    seed = graph.apply("ones", settings=(shape,)) if shape else graph.constant(1)
    algebra = Algebra(graph, atoms)
    walk = reverse(graph, [lower], FormulaReading(algebra, seed), upper, (atoms | path) - {upper}, keep=False)
    for i, leaving in enumerate(walk.edges.leaving if shape else ()):
        if leaving and (graph.nodes[i].rule not in ELEMENTWISE or any(graph.shapes[j] != shape for _, j in leaving)):
            return None
    total = walk.totals.get(lower)
    return dressed(algebra, {lower: total})[lower] if graph.has_axes else total


def substitute(algebra: Algebra, root: int, values: Mapping[int, Fraction]) -> int | None:
    """The closed form `root` with numbers put in for some of its atoms, simplified; None where it is too long."""
    graph = algebra.graph
    known = (set(algebra.atoms) - {root}) | set(values)
    made = {i: i for i in known} | {i: graph.constant(value) for i, value in values.items()}
    try:
        for i in graph.inputs_first(root, known):
            node = graph.nodes[i]
            leaf = node.rule in (INPUT, CONSTANT)
            made[i] = i if leaf else algebra.apply(node.rule, *[made[j] for j in node.inputs], settings=node.settings)
    except TooLarge:
        return None
    return made[root]
