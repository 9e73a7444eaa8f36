"""What is to be explained: a parsed formula at a point."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from gradexplain.data.point import Given
from gradexplain.explain.names import Names
from gradexplain.language.graph import Graph
from gradexplain.records import Remark


@dataclass(frozen=True, slots=True)
class Problem:
    """A formula at a point, ready to be differentiated.

    `given` has the value of every input (None for a missing one) and constant, as the dtype holds them, by node.
    `sources` are the nodes whose gradients are wanted; `seed` is the upstream gradient of the objective as it was
    given and `held_seed` as the dtype holds it; `notes` are remarks made so far. `size` is the number of nodes of the
    formula, since closed forms are added to the same graph.
    """

    source: str
    graph: Graph
    names: Names
    point: dict[str, Given]
    given: dict[int, float | None]
    sources: list[int]
    seed: Fraction
    held_seed: float
    dtype: str
    missing: list[str]
    notes: list[Remark]
    size: int

    def name(self, node: int) -> str:
        """The name under which a node is shown."""
        return self.names.of[node]

    def partial(self, node: int) -> str:
        """The partial derivative of the objective by a node, as a symbol."""
        return f"∂{self.names.of[self.graph.objective]}/∂{self.names.of[node]}"
