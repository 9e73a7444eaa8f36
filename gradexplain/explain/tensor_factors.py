"""Shorter forms of the elementwise parts of formulas on tensors, found on single numbers and checked at numbers.

What holds for numbers holds for tensors element by element, whatever is broadcast to what.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from gradexplain.calculus.algebra import Algebra, TooLarge
from gradexplain.calculus.tensor_algebra import TensorAlgebra
from gradexplain.language.graph import CONSTANT, INPUT, SYMBOLIC_CONSTANTS, Graph

# What is multiplied out and factored; everything else is a part that stays as it is.
ARITHMETIC = frozenset(("add", "sub", "mul", "div", "neg", "pow", "identity"))
# Fewer operations are not worth SymPy's time.
MIN_OPERATIONS = 3
TRIALS = 4


def factored(algebra: TensorAlgebra, root: int, since: int) -> int:
    """The formula with every elementwise part in a shorter form where there is one.

    Nodes before `since` are the person's own and are kept as they are.
    """
    graph = algebra.graph
    needed = list(graph.inputs_first(root, algebra.atoms))
    inner = {j for i in needed if graph.nodes[i].rule in ARITHMETIC for j in graph.nodes[i].inputs}
    inner -= {j for i in needed if graph.nodes[i].rule not in ARITHMETIC for j in graph.nodes[i].inputs}
    made: dict[int, int] = {}
    try:
        for i in needed:
            rule, inputs, _, settings = graph.nodes[i]
            if i < since or rule in (CONSTANT, INPUT):
                continue
            parts = [made.get(j, j) for j in inputs]
            new = i if parts == list(inputs) else algebra.apply(rule, *parts, settings=settings)
            if rule in ARITHMETIC and i not in inner:
                new = _shorter(algebra, new)
            if new != i:
                made[i] = algebra.spread(new, algebra.shape(i))
    except TooLarge:
        return root
    return made.get(root, root)


def _shorter(algebra: TensorAlgebra, root: int) -> int:
    """The same elementwise formula, shorter where SymPy finds that."""
    graph = algebra.graph
    leaves = set(_leaves(algebra, root))
    plain = Graph()
    inside = list(graph.inputs_first(root, leaves))
    uses = Counter(j for i in inside for j in graph.nodes[i].inputs if j in leaves)
    if len(inside) < MIN_OPERATIONS or max(uses.values(), default=0) < 2:
        return root
    back = {plain.input(f"x{j}"): j for j in sorted(leaves)}
    start = graph.rebuilt(root, {j: i for i, j in back.items()}, plain.constant, plain.apply)
    from gradexplain.readings.symbols import shorter

    candidate = shorter(Algebra(plain, plain.inputs), start)
    if candidate is None or not _same(plain, candidate, start):
        return root
    found = plain.rebuilt(candidate, back, graph.constant, algebra.apply)
    return algebra.spread(found, algebra.shape(root))


def _leaves(algebra: TensorAlgebra, root: int) -> Iterator[int]:
    graph, stack = algebra.graph, [root]
    while stack:
        i = stack.pop()
        rule, inputs, value, _ = graph.nodes[i]
        named_size = rule == CONSTANT and isinstance(value, str) and value not in SYMBOLIC_CONSTANTS
        if i in algebra.atoms or named_size or (rule not in ARITHMETIC and rule != CONSTANT):
            yield i
        else:
            stack.extend(inputs)


def _same(graph: Graph, candidate: int, root: int) -> bool:
    """Whether two formulas on numbers have the same values at some points at random."""
    from gradexplain.readings.arithmetic import finite
    from gradexplain.readings.digits import digits
    from gradexplain.readings.exact import DIGITS, evaluate, same

    generator = random.Random(20)
    confirmed = 0
    for _ in range(TRIALS):
        point = {i: generator.uniform(-2, 2) for i in graph.inputs}
        with digits(DIGITS[0]):
            values = evaluate(graph, point, max(candidate, root), constants=True)
        if not finite(values[root]):
            continue
        if not same(values[candidate], values[root]):
            return False
        confirmed += 1
    return confirmed > 1
