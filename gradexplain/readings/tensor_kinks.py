"""Where operations on tensors are just where their derivative may not exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradexplain.calculus.backward import Walk
from gradexplain.calculus.pullbacks import Pullback
from gradexplain.language.graph import Graph
from gradexplain.readings.torch_builder import TorchBuilder
from gradexplain.rules.rules import RULES
from gradexplain.rules.tensor_rules import TENSOR_RULES


def kinks(builder: TorchBuilder, graph: Graph, values: Sequence[Any], walk: Walk[Any]) -> dict[int, int]:
    """By node, how many of its elements are just where the derivative may not exist and something flows."""
    found: dict[int, int] = {}
    through = {step.through for steps in walk.steps.values() for step in steps}
    for i in sorted(through):
        node = graph.nodes[i]
        judged = graph.nodes[node.inputs[0]] if node.rule == "where" else node
        rule = TENSOR_RULES.get(judged.rule) or RULES.get(judged.rule)
        if rule is None or not rule.kink:
            continue
        inputs = [builder.table.tensor(values[j]) for j in judged.inputs]
        if rule.kink == "ties":
            pullback = Pullback(builder, graph, node, 0, inputs, values[i], values[i])
            dim = graph.settings(node)["dim"]
            ties = (inputs[0] == pullback.restored(values[i])).sum() if dim is None else (
                (inputs[0] == pullback.restored(values[i])).sum(dim).max())  # fmt: skip
            count = int(ties) - 1
        elif rule.kink in ("out", "restored(out)"):
            count = int((builder.table.tensor(values[i]) == 0).sum())
        else:
            distance = builder.table.expression(rule.kink, inputs)
            count = int((builder.table.tensor(distance) == 0).sum())
        upstream = walk.totals.get(i)
        if count > 0 and upstream is not None and bool((builder.table.tensor(upstream) != 0).any()):
            found[i] = count
    return found
