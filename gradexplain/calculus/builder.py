"""What makes values of a formula on tensors, be they formulas, PyTorch's tensors or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from gradexplain.rules.products import product_rule
from gradexplain.rules.shapes import Shape

T = TypeVar("T")


class Builder(Protocol[T]):
    """What makes values: `apply` a rule to values, with the settings of a tensor rule, and know their shapes."""

    def number(self, value: Any) -> T: ...
    def apply(self, rule: str, inputs: Sequence[T], settings: tuple[Any, ...] = ()) -> T: ...
    def shape(self, value: T) -> Shape: ...
    def size(self, size: int | str) -> T: ...


def matmul(builder: Builder[T], one: T, other: T) -> T:
    """The product of vectors or matrices, by the rule for their numbers of axes."""
    return builder.apply(product_rule(len(builder.shape(one)), len(builder.shape(other))), (one, other))


def swapped(builder: Builder[T], value: T) -> T:
    """The last two axes swapped; a vector as it is."""
    rank = len(builder.shape(value))
    return value if rank < 2 else builder.apply("transpose", (value,), (rank - 2, rank - 1))
