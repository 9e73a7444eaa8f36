"""Shorter forms of the elementwise parts of closed forms, found by SymPy on single numbers and checked at numbers.

What holds for numbers holds for tensors element by element, whatever is broadcast to what.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Container, Iterator, Mapping

from gradexplain.calculus.algebra import Algebra, TooLarge
from gradexplain.calculus.factorable import worth_factoring
from gradexplain.language.graph import CONSTANT, INPUT, SYMBOLIC_CONSTANTS, Graph
from gradexplain.rules.table import ELEMENTWISE

_ARITHMETIC = frozenset(("add", "sub", "mul", "div", "neg", "pow", "identity"))
TRIALS = 6
# More gradients than this are not worth SymPy's time.
MAX_FACTORED = 16


def shortened(algebra: Algebra, forms: Mapping[int, int | None], since: int) -> dict[int, int | None]:
    """Closed forms by source, with their elementwise parts in a shorter form where there is one.

    Nodes before `since` are the person's own.
    """
    if algebra.graph.has_axes:
        improve = _parts_shortened
    elif len(forms) > MAX_FACTORED:
        return dict(forms)
    else:
        improve = _shortened
    return {j: None if root is None else improve(algebra, root, since) for j, root in forms.items()}


def _parts_shortened(algebra: Algebra, root: int, since: int) -> int:
    """A formula with everything between operations on tensors in a shorter form."""
    graph = algebra.graph
    needed = list(graph.inputs_first(root, algebra.atoms))
    inner = {j for i in needed if graph.nodes[i].rule in ELEMENTWISE for j in graph.nodes[i].inputs}
    inner -= {j for i in needed if graph.nodes[i].rule not in ELEMENTWISE for j in graph.nodes[i].inputs}
    made: dict[int, int] = {}
    try:
        for i in needed:
            rule, inputs, _, settings = graph.nodes[i]
            if (i < since and i != root) or rule in (CONSTANT, INPUT):
                continue
            parts = [made.get(j, j) for j in inputs]
            new = i if parts == list(inputs) else algebra.apply(rule, *parts, settings=settings)
            if rule in ELEMENTWISE and i not in inner:
                new = _shortened(algebra, new, since)
            if new != i:
                made[i] = algebra.spread(new, graph.shapes[i])
    except TooLarge:
        return root
    return made.get(root, root)


def _shortened(algebra: Algebra, root: int, since: int) -> int:
    """The same elementwise formula, shorter where SymPy finds that."""
    if root in algebra.atoms or algebra.graph.nodes[root].rule in (CONSTANT, INPUT):
        return root
    everything = frozenset(_leaves(algebra, root, ELEMENTWISE))
    found = _with_leaves(algebra, root, everything)
    arithmetic = frozenset(_leaves(algebra, root, _ARITHMETIC))
    if found != root and arithmetic != everything:
        # Functions that stay as they are may be better than what SymPy makes of them, as for a sigmoid.
        other = _with_leaves(algebra, root, arithmetic)
        return found if algebra.size(found) < algebra.size(other) else other
    return found


def _with_leaves(algebra: Algebra, root: int, leaves: Collection[int]) -> int:
    """The formula in a shorter form, over some parts that stay as they are.

    SymPy works on a copy with nothing else in it, so that a formula on vectors gets the form that it has on numbers.
    """
    graph, plain = algebra.graph, Graph()
    back = {plain.input(f"x{j}"): j for j in sorted(leaves)}
    start = graph.rebuilt(root, {j: i for i, j in back.items()}, plain.constant, plain.apply)
    copy = Algebra(plain, plain.inputs)
    # The quick look needs no SymPy, which takes long to load.
    if not worth_factoring(copy, start):
        return root
    from gradexplain.readings.symbols import shorter

    candidate = shorter(copy, start)
    if candidate is None or not _same(plain, candidate, start):
        return root
    try:
        found = plain.rebuilt(candidate, back, graph.constant, algebra.apply)
        return algebra.spread(found, graph.shapes[root])
    except TooLarge:
        return root


def _leaves(algebra: Algebra, root: int, rules: Container[str]) -> Iterator[int]:
    """The parts of a formula between which there are only `rules`."""
    graph, stack = algebra.graph, [root]
    seen: set[int] = set()
    while stack:
        i = stack.pop()
        if i in seen:
            continue
        seen.add(i)
        rule, inputs, value, _ = graph.nodes[i]
        named_size = rule == CONSTANT and isinstance(value, str) and value not in SYMBOLIC_CONSTANTS
        if i in algebra.atoms or named_size or (rule not in rules and rule != CONSTANT):
            yield i
        else:
            stack.extend(inputs)


def _same(graph: Graph, candidate: int, root: int) -> bool:
    """Whether two formulas on numbers have the same values at some points at random where the second has one."""
    from gradexplain.readings.arithmetic import finite
    from gradexplain.readings.digits import digits
    from gradexplain.readings.exact import DIGITS, evaluate, same

    generator = random.Random(20)
    confirmed = 0
    for trial in range(TRIALS):
        spread = 1.0 if trial % 2 else 3.0
        point = {i: generator.uniform(0.05, spread) * (1 - 2 * (trial > 3)) for i in graph.inputs}
        with digits(DIGITS[0]):
            values = evaluate(graph, point, max(candidate, root), constants=True)
        if not finite(values[root]):
            continue
        if not same(values[candidate], values[root]):
            return False
        confirmed += 1
    return confirmed >= 2
