"""Whether a formula may have a shorter factored form: a quick look, so that few formulas are worked on in vain."""

from __future__ import annotations

from fractions import Fraction

from gradexplain.calculus.algebra import Algebra, TooLarge
from gradexplain.language.graph import CONSTANT, Graph

MIN_SIZE, MAX_SIZE = 7, 70
# Where a factor of a term can come from; every other operation is a part that stays as it is.
_OPEN = frozenset(("add", "sub", "mul", "div", "neg", "square", "reciprocal", "sqrt", "rsqrt", "identity"))
_DIVIDE = frozenset(("div", "reciprocal", "rsqrt"))
_NUMBER = frozenset((-1,))
_POWERS = frozenset(("pow", "exp", "exp2"))


def worth_factoring(algebra: Algebra, root: int) -> bool:
    """Whether a formula has a size at which SymPy factors it in a moment, and may become shorter."""
    try:
        return MIN_SIZE <= algebra.size(root) <= MAX_SIZE and may_be_shorter(algebra, root)
    except TooLarge:
        return False


def may_be_shorter(algebra: Algebra, root: int) -> bool:
    """Whether the terms of some sum share a part or a number, or have a denominator, or constants stand in a row.

    Where that is so nowhere, nothing cancels and nothing can be taken out; and what has no variable twice can only
    become shorter by its numbers.

    >>> from gradexplain.language.parse import parse
    >>> graphs = map(parse, ("x*(w*x + b)", "w/(1 + w/x)", "w*x + x", "2*x + 4"))
    >>> [may_be_shorter(Algebra(graph, graph.inputs), graph.objective) for graph in graphs]
    [False, True, True, True]
    """
    graph = algebra.graph
    repeats = _repeats(algebra, root)
    parts: dict[int, frozenset[int]] = {}
    divided: dict[int, bool] = {}
    constants = 0
    logarithm = exponential = False
    for i in graph.inputs_first(root, algebra.atoms):
        rule, inputs, value, _ = graph.nodes[i]
        own = [parts.get(j, frozenset((j,))) for j in inputs]
        below = any(divided.get(j, False) for j in inputs)
        logarithm, exponential = logarithm or rule.startswith("log"), exponential or rule == "exp"
        if rule in ("add", "sub"):
            # A number among the terms may meet another one.
            own = [part or _NUMBER for part in own]
            numbers = [abs(algebra.product(j)[0]) for j in inputs]
            if 1 not in numbers or (repeats and (below or own[0] & own[1])):
                return True
        # Such as pi, sqrt(2) and log(2); 1/2 is a number, and 6*pi has one of these.
        constants += isinstance(value, str) or (rule not in (CONSTANT, "neg", "div", "mul") and not any(own))
        if rule == CONSTANT:
            parts[i], divided[i] = frozenset(), False
        elif rule in _OPEN:
            parts[i] = frozenset().union(*own)
            divided[i] = below or (rule in _DIVIDE and bool(own[-1]))
        else:
            # A power of a sum, and e**-x, which is a division by e**x.
            base = own[0] if rule == "pow" else frozenset()
            parts[i] = base | {i}
            divided[i] = below or (rule in _POWERS and _has_minus(graph, inputs[-1]))
    return constants > 1 or (logarithm and exponential and repeats)


def _repeats(algebra: Algebra, root: int) -> bool:
    """Whether any part but a number stands twice in the text of a formula."""
    graph, seen = algebra.graph, set[int]()
    for i in graph.inputs_first(root, algebra.atoms):
        for j in graph.nodes[i].inputs:
            if j in seen and (graph.nodes[j].rule != CONSTANT or j in algebra.atoms):
                return True
            seen.add(j)
    return False


def _has_minus(graph: Graph, i: int) -> bool:
    """Whether an exponent is a sum, or begins with a minus."""
    while graph.nodes[i].rule in ("mul", "div"):
        i = graph.nodes[i].inputs[0]
    rule, _, value, _ = graph.nodes[i]
    return rule in ("neg", "sub", "add") or (isinstance(value, Fraction) and value < 0)
