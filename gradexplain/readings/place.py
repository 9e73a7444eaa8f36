"""Where tensors live: a dtype and a device. Every tensor of the package that is not computed from others is made here.

Random numbers are drawn on the CPU and then moved, so that a seed means the same numbers on every device.
"""

from __future__ import annotations

import array
import math
import warnings
from collections.abc import Sequence
from typing import Any

from gradexplain.tensor import CORNER, MAX_ELEMENTS

CPU = "cpu"


class Place:
    """Makes tensors of one dtype on one device. `torch` is the module, which is loaded where a place is made.

    `dtype` is PyTorch's own object for the dtype that was named, `device` the name of the device.
    """

    def __init__(self, torch: Any, dtype: str = "float64", device: str = CPU) -> None:
        self.torch, self.dtype, self.device = torch, getattr(torch, dtype), device

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and (self.dtype, self.device) == (other.dtype, other.device)

    def __hash__(self) -> int:
        return hash((self.dtype, self.device))

    def tensor(self, value: Any) -> Any:
        """A number as a tensor, or nested lists of them; a tensor as it is."""
        return value if hasattr(value, "dtype") else self.torch.tensor(value, dtype=self.dtype, device=self.device)

    def leaf(self, value: Any) -> Any:
        """A new tensor of numbers that gradients are asked for."""
        return self.torch.tensor(value, dtype=self.dtype, device=self.device, requires_grad=True)

    def bring(self, value: Any) -> Any:
        """A tensor of any dtype and device, here; a number as a tensor."""
        if not hasattr(value, "dtype"):
            return self.tensor(value)
        # Not every device has every dtype: what leaves one is converted after it has left, what comes to one before.
        if self.device == CPU:
            return value.to(self.device).to(self.dtype)
        return value.to(self.dtype).to(self.device)

    def from_bytes(self, data: Any, shape: Sequence[int] = (-1,)) -> Any:
        """A new tensor of a shape whose numbers come as the bytes of float64, in this machine's order of bytes."""
        torch = self.torch
        if not len(data):
            return self.zeros([max(size, 0) for size in shape])
        with warnings.catch_warnings():
            # The bytes may be read-only, and are copied.
            warnings.simplefilter("ignore")
            found = torch.frombuffer(data, dtype=torch.float64)
        return found.to(self.dtype, copy=True).to(self.device).reshape(tuple(shape))

    def pack(self, value: Any) -> Any:
        """A tensor of any place as plain data that can go to another process; a single number as such.

        `gradexplain.tensor.unpacked` makes a Tensor of it: of a large one its size and a corner.
        """
        if value is None or not hasattr(value, "shape"):
            return value
        if not value.dim():
            return value.item()
        flat = self.bring(value.detach())
        known = flat.numel() <= MAX_ELEMENTS
        corner = flat[tuple(slice(CORNER) for _ in flat.shape)]
        low = high = math.nan
        norm, data = 0.0, b"" if known else None
        if flat.numel():
            low, high = (bound.item() for bound in self.torch.aminmax(flat))
            norm = self.torch.linalg.vector_norm(flat).item()
            # NumPy may not be there.
            data = array.array("d", flat.flatten().tolist()).tobytes() if known else None
        return tuple(value.shape), data, norm, low, high, tuple(corner.shape), tuple(corner.flatten().tolist())

    def zeros(self, shape: Sequence[int] = ()) -> Any:
        """A tensor of zeros."""
        return self.torch.zeros(tuple(shape), dtype=self.dtype, device=self.device)

    def ones(self, shape: Sequence[int] = ()) -> Any:
        """A tensor of ones."""
        return self.torch.ones(tuple(shape), dtype=self.dtype, device=self.device)

    def full(self, shape: Sequence[int], value: float) -> Any:
        """A tensor of one number."""
        return self.torch.full(tuple(shape), value, dtype=self.dtype, device=self.device)

    def eye(self, size: int) -> Any:
        """The unit matrix."""
        return self.torch.eye(size, dtype=self.dtype, device=self.device)

    def rows(self, count: int, step: int = 1) -> Any:
        """The numbers of rows from 0 on, every `step`-th."""
        return self.torch.arange(0, count, step, device=self.device)

    def generator(self, seed: int) -> Any:
        """A source of random numbers for the methods that draw."""
        return self.torch.Generator().manual_seed(seed)

    def shuffled(self, count: int, generator: Any) -> Any:
        """The numbers of `count` rows in random order."""
        return self.torch.randperm(count, generator=generator).to(self.device)

    def normal(self, shape: Sequence[int], generator: Any) -> Any:
        """Numbers of the normal distribution with mean 0 and deviation 1."""
        return self.torch.randn(tuple(shape), generator=generator, dtype=self.dtype).to(self.device)

    def uniform(self, shape: Sequence[int], generator: Any) -> Any:
        """Numbers between 0 and 1."""
        return self.torch.rand(tuple(shape), generator=generator, dtype=self.dtype).to(self.device)

    def whole(self, below: int, shape: Sequence[int], generator: Any) -> Any:
        """Whole numbers from 0 on."""
        return self.torch.randint(below, tuple(shape), generator=generator, dtype=self.dtype).to(self.device)

    def drawn(self, shape: Sequence[int], name: str, arguments: dict[str, Any], generator: Any) -> Any:
        """A tensor filled by the function of `torch.nn.init` of this name."""
        value = self.torch.empty(tuple(shape), dtype=self.dtype)
        random = {} if name in ("constant_", "zeros_", "ones_") else {"generator": generator}
        getattr(self.torch.nn.init, name)(value, **arguments, **random)
        return value.to(self.device)
