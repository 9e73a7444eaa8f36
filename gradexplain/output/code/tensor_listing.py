"""A derivation on tensors as lines of code: the operations, and for each contribution its vector-Jacobian product."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from gradexplain.calculus.algebra import TooLarge
from gradexplain.calculus.pullbacks import Pullback
from gradexplain.calculus.tensor_algebra import Formulas, TensorAlgebra
from gradexplain.errors import LimitError
from gradexplain.explain.tensor_names import TensorNames
from gradexplain.language.graph import INPUT, Graph
from gradexplain.language.parse import parse
from gradexplain.language.text import write
from gradexplain.output.code.listing import Line, naming
from gradexplain.output.derivation.lines import given_shapes
from gradexplain.records import Derivation
from gradexplain.rules.rules import title_for
from gradexplain.rules.tensor_rules import TENSOR_RULES

if TYPE_CHECKING:
    from gradexplain.output.code.tensor_spelling import TensorSpeller


class TensorListing:
    """A derivation on tensors as straight-line code for a target; without one, in the language of the formula.

    `shown` are the names of nodes in the record, `names` those in the code, `gradients` those of their gradients;
    `sources` are the nodes whose gradients are wanted.
    """

    def __init__(
        self, derivation: Derivation, reserved: Collection[str] = (), speller: TensorSpeller | None = None
    ) -> None:
        self.graph = parse(derivation.source, list(derivation.inputs), given_shapes(derivation), tensors=True)
        self.speller, self.derivation = speller, derivation
        self.shown = TensorNames(self.graph).of
        named = naming(self.graph, self.shown, derivation, reserved, self.graph.sizes)
        self.names, self.sources, self.walk, self.gradients = named

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs in the code, in the order of the formula."""
        return [self.names[i] for i in self.graph.inputs]

    def sizes(self) -> list[tuple[str, str, int, int]]:
        """Each size that has a name, with the input and the axis that has it, and its number in the derivation."""
        found: dict[str, tuple[str, str, int, int]] = {}
        for i in self.graph.inputs:
            shape = self.derivation.inputs[self.shown[i]].shape
            for axis, size in enumerate(self.graph.shapes[i]):
                if isinstance(size, str):
                    found.setdefault(size, (size, self.names[i], axis, shape[axis]))
        return list(found.values())

    def forward(self) -> list[Line]:
        """A line for each operation that the objective needs."""
        graph, needed = self.graph, self.graph.ancestors([self.graph.objective])
        wanted = [i for i in sorted(self.names) if needed[i] and graph.nodes[i].rule != INPUT]
        return [Line(self.names[i], "=", self._text(graph, i, self.names), i) for i in wanted]

    def backward(self) -> list[Line]:
        """A line for each contribution."""
        lines = []
        for j in self.walk.order:
            for k, step in enumerate(self.walk.steps[j]):
                rule = self.graph.nodes[step.through].rule
                title = TENSOR_RULES[rule].title if rule in TENSOR_RULES else title_for(rule, step.slot)
                code = self._product(step.through, step.slot)
                lines.append(Line(self.gradients[j], "+=" if k else "=", code, j, title, k))
        return lines

    def _product(self, i: int, slot: int) -> str:
        """The vector-Jacobian product of a node, with a rule's exceptions for single values."""
        graph, node = self.graph, self.graph.nodes[i]
        upstream = self.gradients[i]
        shapes = {self.names[j]: graph.shapes[j] for j in (*node.inputs, i) if j in self.names}
        scratch = Graph({**shapes, upstream: graph.shapes[i]})
        scratch.sizes = graph.sizes
        values = [self._known(scratch, j) for j in node.inputs]
        out, seed = scratch.input(self.names[i]), scratch.input(upstream)
        builder = Formulas(TensorAlgebra(scratch, generic=False))
        try:
            root = Pullback(builder, graph, node, slot, values, out, seed).value()
        except TooLarge:
            raise LimitError(f"the derivative of {self.shown[i]} is too long to be written as code") from None
        return self._text(scratch, root, {k: str(scratch.nodes[k].value) for k in scratch.inputs})

    def _known(self, scratch: Graph, root: int) -> int:
        """A tensor that a node reads, as an input of another graph, or a constant part made again there."""
        made: dict[int, int] = {}
        for i in [root] if root in self.names else [*self.graph.inputs_first(root, self.names)]:
            rule, inputs, value, settings = self.graph.nodes[i]
            for j in (i, *inputs):
                if j in self.names:
                    made[j] = scratch.input(self.names[j])
            if i not in made and value is None:
                made[i] = scratch.apply(rule, *[made[j] for j in inputs], settings=settings)
            elif i not in made:
                made[i] = scratch.constant(value)  # type: ignore[arg-type]
        return made[root]

    def _text(self, graph: Graph, i: int, names: dict[int, str]) -> str:
        return self.speller.spell(graph, i, names) if self.speller else write(graph, i, names)
