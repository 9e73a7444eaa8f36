"""What makes values of a formula on tensors, be they formulas, PyTorch's tensors or numbers, and the forward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from gradexplain.language.graph import CONSTANT, INPUT, Graph
from gradexplain.rules.products import product_rule
from gradexplain.rules.shapes import Shape

T = TypeVar("T")


class Builder(Protocol[T]):
    """What makes values: `apply` a rule to values, with the settings of a tensor rule, and know their shapes."""

    def number(self, value: Any) -> T: ...
    def apply(self, rule: str, inputs: Sequence[T], settings: tuple[Any, ...] = ()) -> T: ...
    def shape(self, value: T) -> Shape: ...
    def size(self, size: int | str) -> T: ...


class Refused(RuntimeError):
    """A node could not be computed: which one, and what the builder says."""

    def __init__(self, node: int, message: str) -> None:
        super().__init__(message)
        self.node = node


def forward(builder: Builder[T], graph: Graph, given: Mapping[int, T], last: int) -> list[Any]:
    """The value of every node up to `last`; `given` has those of the inputs. Nodes that nobody needs are None.

    What has a name is needed: closed forms are written over it. Raises Refused where a node cannot be computed.
    """
    needed = graph.ancestors([last, *[i for i in graph.names if i < last]])
    values: list[Any] = []
    for i, node in enumerate(graph.nodes[: last + 1]):
        if not needed[i]:
            values.append(None)
        elif node.rule == INPUT:
            values.append(given[i])
        elif node.rule == CONSTANT:
            values.append(builder.number(node.value))
        else:
            try:
                values.append(builder.apply(node.rule, [values[j] for j in node.inputs], node.settings))
            except RuntimeError as error:
                raise Refused(i, str(error).splitlines()[0]) from None
    return values


def matmul(builder: Builder[T], one: T, other: T) -> T:
    """The product of vectors or matrices, by the rule for their numbers of axes."""
    return builder.apply(product_rule(len(builder.shape(one)), len(builder.shape(other))), (one, other))


def swapped(builder: Builder[T], value: T) -> T:
    """The last two axes swapped; a vector as it is."""
    rank = len(builder.shape(value))
    return value if rank < 2 else builder.apply("transpose", (value,), (rank - 2, rank - 1))
