"""Where operations on tensors are just where their derivative may not exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradexplain.calculus.backward import Walk
from gradexplain.calculus.pullbacks import Pullback
from gradexplain.rules.rules import RULES
from gradexplain.rules.tensor_rules import TENSOR_RULES

if TYPE_CHECKING:
    from gradexplain.readings.tensor_witness import TensorRun


def kinks(run: TensorRun, values: Sequence[Any], walk: Walk[Any]) -> dict[int, int]:
    """By node, how many of its elements are just where the derivative may not exist and something flows."""
    found: dict[int, int] = {}
    through = {step.through for steps in walk.steps.values() for step in steps}
    for i in sorted(through):
        node = run.graph.nodes[i]
        judged = run.graph.nodes[node.inputs[0]] if node.rule == "where" else node
        rule = TENSOR_RULES.get(judged.rule) or RULES.get(judged.rule)
        if rule is None or not rule.kink:
            continue
        inputs = [run.exact.table.tensor(values[j]) for j in judged.inputs]
        if rule.kink == "ties":
            pullback = Pullback(run.exact, run.graph, node, 0, inputs, values[i], values[i])
            dim = run.graph.settings(node)["dim"]
            ties = (inputs[0] == pullback.restored(values[i])).sum() if dim is None else (
                (inputs[0] == pullback.restored(values[i])).sum(dim).max())  # fmt: skip
            count = int(ties) - 1
        elif rule.kink in ("out", "restored(out)"):
            count = int((run.exact.table.tensor(values[i]) == 0).sum())
        else:
            distance = run.exact.table.expression(rule.kink, inputs)
            count = int((run.exact.table.tensor(distance) == 0).sum())
        upstream = walk.totals.get(i)
        if count > 0 and upstream is not None and bool((run.exact.table.tensor(upstream) != 0).any()):
            found[i] = count
    return found
