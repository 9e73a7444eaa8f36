"""The reverse walk on PyTorch's tensors: every contribution by the rule tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradexplain.calculus.pullbacks import Pullback
from gradexplain.language.graph import Graph
from gradexplain.readings.torch_builder import TorchBuilder
from gradexplain.rules.tensor_rules import TENSOR_RULES

# Functions of matrices that give nan where they are not defined, and do not refuse.
PARTIAL = frozenset(("logdet",))


class TensorReading:
    """Tensors for the reverse walk: local derivatives (None where there are none elementwise) and contributions."""

    def __init__(self, builder: TorchBuilder, graph: Graph, values: Sequence[Any], seed: Any) -> None:
        self.builder, self.graph, self.values, self._seed = builder, graph, values, seed
        self.finite: dict[int, bool] = {}

    def seed(self) -> Any:
        return self._seed

    def contribution(self, i: int, slot: int, upstream: Any) -> tuple[Any, Any]:
        node, values, table = self.graph.nodes[i], self.values, self.builder.table
        inputs = [table.tensor(values[j]) for j in node.inputs]
        if node.rule in PARTIAL and not self._is_finite(i):
            # Outside of its domain a function has no derivative, whatever the formula says.
            return None, self.builder.torch.full_like(inputs[slot], math.nan)
        pullback = Pullback(self.builder, self.graph, node, slot, inputs, values[i], upstream)
        if node.rule in TENSOR_RULES:
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
            local = self.builder.torch.where(outside, math.nan, local)
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
