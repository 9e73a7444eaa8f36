"""From the chunks of a run on tensors to the steps of a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradexplain.records import Began
from gradexplain.rules.rules import RULES
from gradexplain.rules.tensor_rules import TENSOR_RULES
from gradexplain.training.history import History
from gradexplain.training.job import Chunk
from gradexplain.training.look import Verdict
from gradexplain.training_records import Update

if TYPE_CHECKING:
    from gradexplain.training.tensor_setup import TensorSetup

CHANGE = "change"


class TensorHistory(History):
    """Makes the steps of a run on tensors; the loop has judged them."""

    def __init__(self, setup: TensorSetup) -> None:
        super().__init__(setup)  # type: ignore[arg-type]
        self.kept[CHANGE] = [0.0] * len(self.names)

    def verdicts(self, chunk: Chunk) -> list[Verdict]:
        """The verdict of every step of a chunk."""
        return [(found[0], self.began(found)) for found in chunk.found]

    def began(self, found: tuple[str, int, str, int]) -> Began | None:
        """Where a verdict began, in words."""
        verdict, node, why, count = found
        if node < 0:
            return None
        graph, names = self.setup.graph, self.setup.names
        name = names.of.get(node, "a constant")
        single = not graph.shapes[node]
        elements = "it is" if single else "1 element is" if count == 1 else f"{count:,} elements are"
        # Over the names that the person gave: nobody sees the others here.
        formula = names.written(node, {i: own for i, own in graph.names.items() if i != node})
        rule = graph.nodes[node].rule
        if why == "kink":
            row = TENSOR_RULES.get(rule) or RULES[rule]
            reason = f"{elements} at a kink of {formula}"
            return Began(name, f"{reason}; {row.at_kink}" if row.at_kink else reason)
        if why == "value":
            what = name if formula == name else f"{name} = {formula}"
            return Began(name, f"{what}: {elements} not finite")
        if why == "gradient":
            return Began(name, f"{elements} not finite in the gradient by {name}")
        reasons = {"precision": "autograd lost digits", "nonfinite": "only one of the two is finite"}
        return Began(name, reasons.get(verdict, "autograd and the chain rule differ"))

    def _update(
        self, before: float, after: float, grad: float | None, kept: dict[str, Any], state: dict[str, Any], step: int
    ) -> tuple[Update, tuple[str, str]]:
        """As for single numbers; of a large parameter only the norm of its change is told."""
        kept.pop(CHANGE)
        change = state.pop(CHANGE)
        if change is None or grad is None:
            return super()._update(before, after, grad, kept, state, step)
        return Update(before, {}, {CHANGE: abs(change)}, after), ("", "")
