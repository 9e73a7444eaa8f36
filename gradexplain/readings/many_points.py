"""The chain rule of the rule table on many points at once: whole tensors, elementwise.

One element is one row of data or one step of a run. It is the reverse walk over the rule table, in the arithmetic of
the forward pass that autograd differentiates, and knows nothing of autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from gradexplain.calculus.backward import reverse
from gradexplain.calculus.templates import template
from gradexplain.language.graph import CONSTANT, INPUT, Graph
from gradexplain.readings.place import Place
from gradexplain.readings.plan import NUMBERS
from gradexplain.readings.torch_rules import elementwise
from gradexplain.rules.table import RULES


class Elementwise:
    """The rule table on tensors: every expression of a row, evaluated at a place by PyTorch's own functions."""

    def __init__(self, place: Place) -> None:
        self.place, self.tensor = place, place.tensor
        self._steps = cache(self._compiled)

    def expression(self, text: str, inputs: Sequence[Any], out: Any = None) -> Any:
        """An expression of the rule table with `inputs` for a, b, c and `out` for the result."""
        named = dict(zip("abcdefgh", inputs, strict=False)) | {"out": out}
        values: list[Any] = []
        for call, name, constant, places in self._steps(text):
            if call is None:
                values.append(named[name] if name else constant)
            else:
                values.append(call(*[values[j] for j in places]))
        return values[-1]

    def _compiled(self, text: str) -> list[tuple[Callable[..., Any] | None, str, Any, tuple[int, ...]]]:
        graph, root, _ = template(text)
        steps: list[tuple[Callable[..., Any] | None, str, Any, tuple[int, ...]]] = []
        for node in graph.nodes[: root + 1]:
            if node.rule == INPUT:
                steps.append((None, str(node.value), None, ()))
            elif node.rule == CONSTANT:
                value = NUMBERS.get(str(node.value))
                steps.append((None, "", float(node.value) if value is None else value, ()))  # type: ignore[arg-type]
            else:
                steps.append((self._call(node.rule), "", None, node.inputs))
        return steps

    def _call(self, rule: str) -> Callable[..., Any]:
        """The operation of a rule on tensors and numbers."""
        return self._choice if rule == "where" else elementwise(self.place, rule)

    def _choice(self, condition: Any, first: Any, second: Any) -> Any:
        if not hasattr(condition, "dtype"):
            return first if condition else second
        return self.place.torch.where(condition, self.tensor(first), self.tensor(second))


class Sized(NamedTuple):
    """A gradient, with the sum of the absolute values of all the terms that it was added up from."""

    value: Any
    size: Any


class _Reading:
    """Tensors for the reverse walk; without `sized`, the sizes are left out."""

    def __init__(self, table: Elementwise, graph: Graph, values: Sequence[Any], sized: bool) -> None:
        self.table, self.graph, self.values, self.sized = table, graph, values, sized

    def seed(self) -> Sized:
        return Sized(1.0, 1.0)

    def contribution(self, i: int, slot: int, upstream: Sized) -> tuple[Sized, Sized]:
        node, values = self.graph.nodes[i], self.values
        local = self.table.expression(RULES[node.rule].partials[slot], [values[j] for j in node.inputs], values[i])
        size = abs(local) if self.sized else 0.0
        return Sized(local, size), Sized(upstream.value * local, upstream.size * size)

    @staticmethod
    def add(first: Sized, second: Sized) -> Sized:
        return Sized(first.value + second.value, first.size + second.size)


def chain_rule(
    table: Elementwise, graph: Graph, sources: Sequence[int], values: Sequence[Any], sized: bool = True
) -> dict[int, Sized]:
    """The gradient by each source, elementwise, by the reverse walk over the rule table; none where nothing flows.

    `values` are those of all nodes, tensors of one shape or numbers. Without `sized`, which takes about half of the
    time, the size of a gradient is its own absolute value.
    """
    totals = reverse(graph, sources, _Reading(table, graph, values, sized)).totals
    return totals if sized else {i: Sized(total.value, abs(total.value)) for i, total in totals.items()}


def at_kink(table: Elementwise, graph: Graph, sources: Sequence[int], values: Sequence[Any]) -> Any:
    """Where some operation between the objective and `sources` is just where its derivative may not exist.

    Booleans, elementwise (or one for all).
    """
    needed, reached = graph.ancestors([graph.objective]), _reached(graph, sources)
    found: Any = False
    for i, node in enumerate(graph.nodes):
        if not (needed[i] and reached[i]) or node.rule in (INPUT, CONSTANT):
            continue
        # A choice has its kink where its condition changes.
        judged = graph.nodes[node.inputs[0]] if node.rule == "where" else node
        if node.rule == "where" and graph.is_constant[node.inputs[0]]:
            continue
        rule = RULES.get(judged.rule)
        if rule is None or not rule.kink or (rule.boolean and judged is node):
            continue
        distance = table.expression(rule.kink, [values[j] for j in judged.inputs])
        found = found | (distance == 0)
    return found


def _reached(graph: Graph, sources: Sequence[int]) -> list[bool]:
    """For every node, whether it depends on one of `sources`, be it through a condition."""
    found = [False] * len(graph.nodes)
    for i in sources:
        found[i] = True
    for i, node in enumerate(graph.nodes):
        found[i] = found[i] or any(found[j] for j in node.inputs)
    return found
