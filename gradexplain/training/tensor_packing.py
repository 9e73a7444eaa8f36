"""The inputs of a run on tensors as plain data, which can go to the process where PyTorch is."""

from __future__ import annotations

from gradexplain.tensor import Tensor, bytes_of
from gradexplain.training.starts import INITS, Init


def packed(value: Tensor | float) -> tuple[tuple[int, ...], bytes]:
    """The shape of a value, and its numbers as the bytes of float64."""
    return value.shape if isinstance(value, Tensor) else (), bytes_of(value)


def call_of(init: Init | None) -> tuple[str, dict[str, float | str]] | None:
    """The function of `torch.nn.init` and its arguments."""
    return None if init is None else (INITS[init.name].torch, init.arguments)
