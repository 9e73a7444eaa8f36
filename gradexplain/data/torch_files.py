"""The task of reading a tensor that PyTorch saved."""

from __future__ import annotations

import array
from collections.abc import Iterable
from typing import Any


def read(asked: tuple[str, int]) -> Iterable[Any]:
    """One answer: the shape and the bytes of float64 numbers, or a text that says why there are none.

    Asked are the path and the most elements that are taken. Nothing but tensors is unpickled, so that a file cannot run
    anything.
    """
    import torch

    path, most = asked
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Whatever a broken file makes the reader raise.
        yield _reason(error)
        return
    if not isinstance(found, torch.Tensor) or found.is_complex():
        yield "it holds no tensor of real numbers"
        return
    try:
        if found.is_meta:
            yield "its tensor is on the device meta, and has no numbers"
            return
        if found.layout != torch.strided or found.is_nested:
            yield "its tensor is not dense: save x.to_dense() in its place"
            return
        # A file of a kilobyte may hold one number with a vast shape.
        if found.numel() > most:
            yield f"its tensor has {found.numel():,} elements, and {most:,} are taken"
            return
        numbers = found.dequantize() if found.is_quantized else found.detach()
        data = array.array("d", numbers.to(torch.float64).flatten().tolist()).tobytes()
    except Exception as error:
        yield _reason(error)
        return
    yield tuple(found.shape), data


def _reason(error: Exception) -> str:
    """The first sentence of what PyTorch says, or what kind of error it is."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].partition(". ")[0].rstrip(".")[:200]
