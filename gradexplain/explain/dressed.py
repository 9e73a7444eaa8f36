"""Closed forms on tensors as one writes them: ones and zeros by the symbol that has their shape, axes that are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gradexplain.calculus.reductions import REDUCTIONS
from gradexplain.rules.shapes import Shape

if TYPE_CHECKING:
    from gradexplain.calculus.algebra import Algebra

_FILLED = {"ones": "ones_like", "zeros": "zeros_like"}


def dressed(algebra: Algebra, forms: Mapping[int, int | None]) -> dict[int, int | None]:
    """Closed forms by source, each with the shape of its source."""
    graph = algebra.graph
    # The first input or named part of a shape stands for it.
    models = {graph.shapes[j]: j for j in [*graph.inputs, *graph.names][::-1] if j in algebra.atoms}
    found: dict[int, int | None] = {}
    for j, root in forms.items():
        own = {**models, graph.shapes[j]: j} if j in algebra.atoms else models
        found[j] = None if root is None else _dressed(algebra, algebra.spread(root, graph.shapes[j]), own)
    return found


def _kept(algebra: Algebra, node: int, place: int) -> int | None:
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


def _dressed(algebra: Algebra, root: int, models: Mapping[Shape, int]) -> int:
    """The formula with `ones_like(x)` and `zeros_like(x)` for ones and zeros, where a symbol has the shape."""
    graph = algebra.graph
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
