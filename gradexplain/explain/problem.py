"""What is to be explained: a parsed formula at a point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from gradexplain.data.point import Given
from gradexplain.explain.names import Names
from gradexplain.language.graph import INPUT, Graph
from gradexplain.records import Remark
from gradexplain.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Problem:
    """A formula at a point, ready to be differentiated.

    `given` has the value of every input (None for a missing one) and constant, as the dtype holds them, by node: a
    vector or matrix is a Tensor, or for exact numbers an array of these. `sources` are the nodes whose gradients are
    wanted; `seed` is the upstream gradient of the objective as it was given, where 1 stands for ones, and `held_seed`
    as the dtype holds it; `notes` are remarks made so far. `size` is the number of nodes of the formula, since closed
    forms are added to the same graph. `want` is `jacobian` or `hessian` where one was asked for.
    """

    source: str
    graph: Graph
    names: Names
    point: Mapping[str, Given]
    given: Mapping[int, Any]
    sources: list[int]
    seed: Fraction | Tensor
    held_seed: Any
    dtype: str
    missing: list[str]
    notes: list[Remark]
    size: int
    want: str = ""

    @property
    def named(self) -> dict[int, str]:
        """The names that closed forms are written over: those of the person, but for the objective's."""
        return {i: name for i, name in self.graph.names.items() if i != self.graph.objective}

    @property
    def is_plain(self) -> bool:
        """Whether it is about operations on single numbers alone, and the gradients are all that is asked for."""
        return not (self.want or self.graph.needs_tensors())

    def seed_node(self) -> int:
        """The upstream gradient as a node: a number, the list of its elements, or ones."""
        graph, shape = self.graph, self.graph.shapes[self.graph.objective]
        if isinstance(self.seed, Tensor):
            if not self.seed.count:
                return graph.apply("ones", settings=(shape,))
            level = [graph.constant(Fraction(repr(number))) for number in self.seed.numbers or ()]
            for size in reversed(self.seed.shape):
                level = [graph.apply("stack", *level[i : i + size], settings=(0,)) for i in range(0, len(level), size)]
            return level[0]
        return graph.apply("ones", settings=(shape,)) if shape else graph.constant(self.seed)

    def name(self, node: int) -> str:
        """The name under which a node is shown."""
        return self.names.of[node]

    def partial(self, node: int, place: int | None = None) -> str:
        """The partial derivative of the objective by a node, or by one element of a vector, as a symbol."""
        index = "" if place is None else self._index(node, place)
        return f"∂{self.names.of[self.graph.objective]}/∂{self.names.of[node]}{index}"

    def element(self, node: int, place: int = 0) -> str:
        """A node, or one element of a vector, as an equation: `v1[1] = exp(x)[1]`; an input by its name alone."""
        name, index = self.names.of[node], self._index(node, place)
        if self.graph.nodes[node].rule == INPUT:
            return name + index
        written = self.names.expression(node)
        if index and not _is_closed(written):
            written = f"({written})"
        return f"{name}{index} = {written}{index}"

    def _index(self, node: int, place: int) -> str:
        # Most nodes are single numbers, and there may be a million of them.
        if not self.graph.shapes[node]:
            return ""
        index: list[str] = []
        for size in reversed(self.graph.lengths(node)):
            place, own = divmod(place, size)
            index.insert(0, str(own))
        return f"[{', '.join(index)}]"


def _is_closed(text: str) -> bool:
    """Whether a text is a name or a single call, so that an index may follow.

    >>> _is_closed("exp(x)"), _is_closed("f(x)*g(x)")
    (True, False)
    """
    if text.isidentifier():
        return True
    name, bracket, _ = text.partition("(")
    if not bracket or not name.isidentifier():
        return False
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == ")" and not depth:
            return place == len(text) - 1
    return False
