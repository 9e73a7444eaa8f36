"""The rule tables on PyTorch's tensors: values, and the chain rule along every edge, in float64.

They stand beside autograd where nothing is exact: where a formula is too large for exact numbers, where inputs have no
values, and at the steps of a training run on tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gradexplain.calculus.backward import Edges, Walk, reverse
from gradexplain.calculus.pullbacks import Pullback
from gradexplain.language.graph import Graph
from gradexplain.language.parse import parse
from gradexplain.readings.compare import compare, equal
from gradexplain.readings.place import Place
from gradexplain.readings.plan import Ready, compiled, number
from gradexplain.readings.torch_rules import call_of, elementwise
from gradexplain.rules.shapes import length, resolved
from gradexplain.rules.table import ELEMENTWISE, RULES

# Functions of matrices that give nan where they are not defined, and do not refuse.
PARTIAL = frozenset(("logdet",))


class TableBuilder:
    """Makes tensors at one place. `sizes` has the number for every size that has a name."""

    def __init__(self, place: Place, sizes: Mapping[str, int]) -> None:
        self.place, self.sizes = place, sizes

    def number(self, value: Any) -> float:
        """A number as Python has it."""
        return number(value, self.sizes)

    def size(self, size: int | str) -> float:
        """The number of a size."""
        return float(length(size, self.sizes))

    def shape(self, value: Any) -> tuple[int, ...]:
        """The shape of a tensor; () for a number."""
        return tuple(value.shape) if hasattr(value, "shape") else ()

    def apply(self, rule: str, inputs: Sequence[Any], settings: tuple[Any, ...] = ()) -> Any:
        """The result of a rule of either table."""
        place = self.place
        if rule not in ELEMENTWISE:
            known = tuple([resolved(setting, self.sizes) for setting in settings])
            return call_of(place, rule, known)(*map(place.tensor, inputs))
        if not any(hasattr(value, "dtype") for value in inputs):
            inputs = [place.tensor(value) for value in inputs]
        return elementwise(place, rule)(*inputs)


class TableReading:
    """Tensors for the reverse walk: local derivatives (None where there are none elementwise) and contributions."""

    def __init__(self, builder: TableBuilder, graph: Graph, values: Sequence[Any], seed: Any) -> None:
        self.builder, self.graph, self.values, self._seed = builder, graph, values, seed
        self.finite: dict[int, bool] = {}

    def seed(self) -> Any:
        return self._seed

    def contribution(self, i: int, slot: int, upstream: Any) -> tuple[Any, Any]:
        node, values = self.graph.nodes[i], self.values
        inputs = [self.builder.place.tensor(values[j]) for j in node.inputs]
        if node.rule in PARTIAL and not self._is_finite(i):
            # Outside of its domain a function has no derivative, whatever the formula says.
            return None, self.builder.place.torch.full_like(inputs[slot], math.nan)
        pullback = Pullback(self.builder, self.graph, node, slot, inputs, values[i], upstream)
        if node.rule not in ELEMENTWISE:
            return None, pullback.value()
        local = pullback.local()
        if type(local) is float:
            # What is left as it is need not be copied.
            value = upstream if local == 1.0 else upstream * local
            return local, pullback.fit(value, self.builder.shape(inputs[slot]))
        out = values[i]
        if hasattr(out, "isfinite") and hasattr(local, "isfinite") and not self._is_finite(i):
            outside = ~out.isfinite() & local.isfinite()
            for value in inputs:
                outside = outside & value.isfinite()
            local = self.builder.place.torch.where(outside, math.nan, local)
        return local, pullback.fit(upstream * local, self.builder.shape(inputs[slot]))

    def _is_finite(self, i: int) -> bool:
        """Whether all elements of node `i` are finite."""
        if i not in self.finite:
            # A sum is finite where all is, but for one that overflows, and it is the fastest look.
            out = self.values[i]
            self.finite[i] = bool(out.sum().isfinite()) or bool(out.isfinite().all())
        return self.finite[i]

    @staticmethod
    def add(first: Any, second: Any) -> Any:
        return first + second


def kink_distance(builder: TableBuilder, graph: Graph, i: int, values: Sequence[Any]) -> Any:
    """What is 0 where the derivative of node `i` may not exist, elementwise; None where it always exists.

    `values` are those of all nodes. A choice has its kink where its condition changes; one without a variable never
    does.
    """
    node = graph.nodes[i]
    if node.rule == "where" and graph.is_constant[node.inputs[0]]:
        return None
    judged = graph.nodes[node.inputs[0]] if node.rule == "where" else node
    rule = RULES.get(judged.rule)
    if rule is None or not rule.kink or (rule.boolean and judged is node):
        return None
    return Pullback(builder, graph, judged, 0, [values[j] for j in judged.inputs], values[i], values[i]).kink()


class Tables:
    """The tables on the tensors of one formula, in float64 on the CPU. `dtype` is what autograd computes in."""

    def __init__(self, torch: Any, graph: Graph, dtype: str) -> None:
        self.graph, self.dtype, self.place = graph, dtype, Place(torch)
        self.builder = TableBuilder(self.place, graph.sizes)
        self.names = {i: str(graph.nodes[i].value) for i in graph.inputs}

    def walk(
        self, values: Sequence[Any], sources: Sequence[int], seed: Any, edges: Edges | None = None,
        builder: TableBuilder | None = None,
    ) -> Walk[Any]:  # fmt: skip
        """The chain rule from the objective, whose upstream gradient is `seed`, back to the sources."""
        reading = TableReading(builder or self.builder, self.graph, values, seed)
        return reverse(self.graph, sources, reading, edges=edges)

    def compare(self, total: Any, gradient: Any) -> tuple[float, str]:
        """As in `compare`, in the dtype that autograd computes in."""
        return compare(self.place, self.place.tensor(total), gradient, self.dtype)

    def kinks(self, values: Sequence[Any], walk: Walk[Any]) -> dict[int, int]:
        """By node, how many of its elements are just where the derivative may not exist and something flows."""
        found: dict[int, int] = {}
        through = {step.through for steps in walk.steps.values() for step in steps}
        for i in sorted(through):
            upstream, distance = walk.totals.get(i), kink_distance(self.builder, self.graph, i, values)
            count = 0 if distance is None else int((self.place.tensor(distance) == 0).sum())
            if count > 0 and upstream is not None and bool((self.place.tensor(upstream) != 0).any()):
                found[i] = count
        return found

    def form(self, text: str, values: Sequence[Any]) -> Any:
        """The value of a formula over the inputs and the person's named nodes, as whoever reads its text has it."""
        graph, tensor = self.graph, self.place.tensor
        known = {**{i: name for i, name in graph.names.items() if i != graph.objective}, **self.names}
        shapes = {name: graph.shapes[i] for i, name in known.items()}
        # A form without a variable is a formula as well: one is named, and thrown away.
        first = spare = next(iter(self.names.values()))
        while spare in shapes or spare in text:
            spare += "_"
        form = parse(f"{spare} = {first}; {text}", list(known.values()), shapes)
        form.sizes.update(graph.sizes)
        by_name = {name: i for i, name in known.items()}
        given = {i: tensor(values[by_name[str(form.nodes[i].value)]]) for i in form.inputs}
        return tensor(Ready(self.place, compiled(form, {})).run(given)[form.objective])

    def holds(self, total: Any, texts: Sequence[str], values: Sequence[Any]) -> int:
        """Which of the closed forms of a gradient has the numbers of the chain rule, up to rounding; -1 for none."""
        for k, text in enumerate(texts):
            try:
                value = self.form(text, values)
            except RuntimeError:
                continue
            if equal(self.place.torch, value, self.place.tensor(total).expand_as(value)):
                return k
        return -1
