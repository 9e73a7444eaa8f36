"""The inputs of a run on tensors as plain data, which can go to the process where PyTorch is."""

from __future__ import annotations

from array import array

from gradexplain.errors import PointError
from gradexplain.language.shapes import Shape
from gradexplain.language.tensor_graph import TensorGraph
from gradexplain.point import Given, held_value
from gradexplain.readings.dtypes import DTYPES
from gradexplain.tensor_values import Tensor
from gradexplain.training.initial import INITS, Init


def held_of(name: str, given: Given, dtype: str) -> Tensor | float:
    """The numbers of an input, a single one as the dtype holds it. Raises PointError where one is too large."""
    if given.tensor is None:
        return held_value(name, given, dtype)
    if max(abs(given.tensor.low), abs(given.tensor.high)) > DTYPES[dtype].largest:
        raise PointError(f"an element of {name} is too large for {dtype}, which ends at {DTYPES[dtype].largest:.6g}")
    return given.tensor


def numbers_of(graph: TensorGraph, shape: Shape) -> tuple[int, ...]:
    """A shape in numbers."""
    return tuple(size if isinstance(size, int) else graph.sizes[size] for size in shape)


def packed(value: Tensor | float) -> tuple[tuple[int, ...], bytes]:
    """The shape of a value, and its numbers as the bytes of float64."""
    if isinstance(value, Tensor):
        return value.shape, (value.numbers or array("d")).tobytes()
    return (), array("d", [value]).tobytes()


def call_of(init: Init | None) -> tuple[str, dict[str, float | str]] | None:
    """The function of `torch.nn.init` and its arguments."""
    return None if init is None else (INITS[init.name].torch, init.arguments)
