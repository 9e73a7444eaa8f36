"""The task of reading a tensor that PyTorch saved."""

from __future__ import annotations

import array
from collections.abc import Iterable
from typing import Any


def read(path: str) -> Iterable[Any]:
    """One answer: the shape and the bytes of float64 numbers, or a text that says why there are none.

    Nothing but tensors is unpickled, so that a file cannot run anything.
    """
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Whatever a broken file makes the reader raise.
        yield (str(error).splitlines() or [type(error).__name__])[0][:200]
        return
    if not isinstance(found, torch.Tensor) or found.is_complex():
        yield "it holds no tensor of real numbers"
        return
    yield tuple(found.shape), array.array("d", found.to(torch.float64).flatten().tolist()).tobytes()
