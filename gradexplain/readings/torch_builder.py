"""Both rule tables on PyTorch's tensors, for their vector-Jacobian products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradexplain.readings.many_points import Elementwise
from gradexplain.readings.place import Place
from gradexplain.readings.plan import number
from gradexplain.readings.torch_rules import call_of, elementwise
from gradexplain.rules.shapes import length, resolved
from gradexplain.rules.tensor_rules import TENSOR_RULES


class TorchBuilder:
    """Makes tensors at one place. `sizes` has the number for every size that has a name."""

    def __init__(self, place: Place, sizes: Mapping[str, int]) -> None:
        self.place, self.torch, self.sizes = place, place.torch, sizes
        self.table = Elementwise(place)

    def number(self, value: Any) -> float:
        """A number as Python has it."""
        return number(value, self.sizes)

    def size(self, size: int | str) -> float:
        """The number of a size."""
        return float(length(size, self.sizes))

    def shape(self, value: Any) -> tuple[int, ...]:
        """The shape of a tensor; () for a number."""
        return tuple(value.shape) if hasattr(value, "shape") else ()

    def apply(self, rule: str, inputs: Sequence[Any], settings: tuple[Any, ...] = ()) -> Any:
        """The result of a rule of either table."""
        place = self.place
        if rule in TENSOR_RULES:
            known = tuple([resolved(setting, self.sizes) for setting in settings])
            return call_of(place, rule, known)(*map(place.tensor, inputs))
        if not any(hasattr(value, "dtype") for value in inputs):
            inputs = [place.tensor(value) for value in inputs]
        return elementwise(place, rule)(*inputs)
