"""Closed forms of gradients by vectors and matrices: the reverse walk over the rule tables, in formulas."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gradexplain.calculus.algebra import TooLarge
from gradexplain.calculus.backward import Edges, reverse
from gradexplain.calculus.pullbacks import Pullback
from gradexplain.calculus.tensor_algebra import Formulas, TensorAlgebra
from gradexplain.calculus.tensor_parts import REDUCTIONS
from gradexplain.explain.closed_forms import FormulaReading
from gradexplain.explain.tensor_factors import factored
from gradexplain.language.graph import Graph

_FILLED = {"ones": "ones_like", "zeros": "zeros_like"}


class _TensorReading(FormulaReading):
    """Formulas on tensors: vector-Jacobian products in place of products with local derivatives."""

    algebra: TensorAlgebra

    def contribution(self, i: int, slot: int, upstream: int | None) -> tuple[int | None, int | None]:
        if upstream is None:
            return None, None
        graph = self.algebra.graph
        node = graph.nodes[i]
        try:
            return None, Pullback(Formulas(self.algebra), graph, node, slot, node.inputs, i, upstream).value()
        except TooLarge:
            return None, None


def tensor_forms(
    graph: Graph, sources: Sequence[int], seed: int, generic: bool = True, edges: Edges | None = None
) -> dict[int, int | None]:
    """The closed form of the gradient by each source, as a node added to `graph`; None where it is too long.

    `seed` is the node of the upstream gradient. Named nodes stay symbols. Each form has the shape of its source. With
    `generic`, exceptions of a rule for single values, such as that of a norm for 0, are left out.

    >>> from gradexplain.language.parse import parse
    >>> from gradexplain.language.text import write
    >>> graph = parse("x @ A @ x", ["x", "A"], {"x": (3,), "A": (3, 3)})
    >>> write(graph, tensor_forms(graph, graph.inputs, graph.constant(1))[graph.inputs[0]], {})
    '(A + A.T) @ x'
    """
    count = len(graph.nodes)
    atoms = (set(graph.names) - {graph.objective}) | set(graph.inputs)
    algebra = TensorAlgebra(graph, atoms, generic)
    walk = reverse(graph, sources, _TensorReading(algebra, seed), edges=edges, keep=False)
    found: dict[int, int | None] = {}
    for j in sources:
        root = walk.totals.get(j, graph.constant(0))
        if root is not None:
            root = factored(algebra, root, count)
            root = _dressed(algebra, algebra.spread(root, graph.shapes[j]), [j, *graph.inputs, *graph.names])
        found[j] = root
    return found


def _kept(algebra: TensorAlgebra, node: int, place: int) -> int | None:
    """A reduction with its axis kept, instead of one that takes it away and puts it back."""
    graph = algebra.graph
    if not algebra.is_rule(node, *REDUCTIONS):
        return None
    settings, tensor = graph.settings(graph.nodes[node]), graph.nodes[node].inputs[0]
    if settings["keepdim"] or not isinstance(settings["dim"], int):
        return None
    if settings["dim"] % len(graph.shapes[tensor]) != place:
        return None
    return graph.apply(graph.nodes[node].rule, tensor, settings=tuple({**settings, "keepdim": True}.values()))


def _dressed(algebra: TensorAlgebra, root: int, known: Collection[int]) -> int:
    """The formula with `ones_like(x)` and `zeros_like(x)` for ones and zeros, where a symbol has the shape."""
    graph = algebra.graph
    models = {graph.shapes[j]: j for j in [*known][::-1] if j in algebra.atoms}
    made: dict[int, int] = {}
    for i in graph.inputs_first(root, algebra.atoms):
        rule, inputs, _, settings = graph.nodes[i]
        parts = [made.get(j, j) for j in inputs]
        if rule in _FILLED and graph.shapes[i] in models:
            made[i] = graph.apply(_FILLED[rule], models[graph.shapes[i]])
        elif rule == "unsqueeze" and (kept := _kept(algebra, *parts, *settings)) is not None:
            made[i] = kept
        elif parts != list(inputs):
            made[i] = graph.apply(rule, *parts, settings=settings)
            if i in graph.spelling:
                graph.spelling.setdefault(made[i], graph.spelling[i])
            elif i in graph.powers:
                base, count = graph.powers[i]
                graph.powers[made[i]] = made.get(base, base), count
    return made.get(root, root)
