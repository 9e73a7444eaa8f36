"""The graph of a formula on tensors: as for single numbers, with shapes for the nodes and settings among the inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradexplain.language.graph import CONSTANT, INPUT, Graph, Node
from gradexplain.rules.rules import RULES
from gradexplain.rules.shapes import Shape, Size, broadcast, lengths
from gradexplain.rules.tensor_rules import TENSOR_RULES


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of an argument that is no tensor: None, True, a whole number, a word, or several of them.

    >>> str(Setting((0, 1))), str(Setting("mean")), str(Setting(None))
    ('(0, 1)', "'mean'", 'None')
    """

    value: Any
    # True is 1 to Python, and would be found where 1 is meant.
    kind: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", type(self.value).__name__)

    def __str__(self) -> str:
        return repr(self.value)


class TensorGraph(Graph):
    """Nodes with shapes. `given` are the shapes of the inputs by name; any other input is a single number.

    >>> graph = TensorGraph({"A": (2, 3), "x": (3,)})
    >>> graph.shapes[graph.apply("matvec", graph.input("A"), graph.input("x"))]
    (2,)
    """

    def __init__(self, given: Mapping[str, Shape]) -> None:
        super().__init__()
        self.given = given
        self.shapes: list[Shape] = []
        # The number of every size with a name.
        self.sizes: dict[str, int] = {}

    def _add(self, node: Node, constant: bool) -> int:
        found = super()._add(node, constant)
        if found == len(self.shapes):
            try:
                self.shapes.append(self._shape(node))
            except BaseException:
                # Nobody may find a node without a shape.
                self.nodes.pop()
                self.is_constant.pop()
                del self._known[node]
                raise
        return found

    def _shape(self, node: Node) -> Shape:
        if node.rule == INPUT:
            return self.given.get(str(node.value), ())
        if node.rule == CONSTANT:
            return ()
        rule = TENSOR_RULES.get(node.rule)
        if rule is None:
            return broadcast([self.shapes[i] for i in node.inputs])
        count = len(node.inputs) - len(rule.settings)
        return rule.shape([self.shapes[i] for i in node.inputs[:count]], self.settings(node))

    def setting(self, value: Any) -> int:
        """The number of the node that holds a setting."""
        return self._add(Node(CONSTANT, (), Setting(value)), True)  # type: ignore[arg-type]

    def settings(self, node: Node) -> dict[str, Any]:
        """The settings of a node by name; empty for a scalar rule."""
        rule = TENSOR_RULES.get(node.rule)
        if rule is None or not rule.settings:
            return {}
        values = [self.nodes[i].value for i in node.inputs[len(node.inputs) - len(rule.settings) :]]
        return {name: value.value for (name, _), value in zip(rule.settings, values, strict=True)}  # type: ignore[union-attr]

    def tensors(self, node: Node) -> tuple[int, ...]:
        """The inputs of a node without its settings."""
        rule = TENSOR_RULES.get(node.rule)
        return node.inputs if rule is None else node.inputs[: len(node.inputs) - len(rule.settings)]

    def lengths(self, i: int) -> tuple[int, ...]:
        """The shape of a node in numbers."""
        return lengths(self.shapes[i], self.sizes)

    def flows(self, node: Node) -> Sequence[object]:
        """For each input whether a gradient can flow to it, as something true or false."""
        rule = TENSOR_RULES.get(node.rule)
        if rule is None:
            return RULES[node.rule].partials
        if rule.any_number:
            count = len(node.inputs) - len(rule.settings)
            return (True,) * count + (False,) * len(rule.settings)
        picked = self.picked(node)
        if picked is None:
            return rule.partials
        # Classes are no numbers that could be moved a little.
        return [flows and j != picked[0] for j, flows in zip(node.inputs, rule.partials, strict=True)]

    def picked(self, node: Node) -> tuple[int, Size] | None:
        """The input of a node that holds classes, and how many classes there are; None where none does."""
        if node.rule == "one_hot":
            return node.inputs[0], self.settings(node)["num_classes"]
        if node.rule in ("cross_entropy", "nll_loss"):
            scores = self.shapes[node.inputs[0]]
            if scores != self.shapes[node.inputs[1]]:
                return node.inputs[1], scores[1 if len(scores) > 1 else 0]
        return None

    def classes(self) -> dict[int, Size]:
        """The inputs whose numbers are classes and nothing else, each with how many classes there are."""
        counts: dict[int, Size] = {}
        others: set[int] = set()
        for node in self.nodes:
            picked = self.picked(node)
            if picked is not None:
                counts[picked[0]] = picked[1]
            others.update(j for j in self.tensors(node) if picked is None or j != picked[0])
        return {i: counts[i] for i in self.inputs if i in counts and i not in others}

    def name(self, node: int, name: str, before: int = 0) -> int:
        """As for single numbers."""
        named = super().name(node, name, before)
        if named == len(self.shapes):
            self.shapes.append(self.shapes[node])
        return named
