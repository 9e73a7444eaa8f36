"""A tensor as the outputs see it: its shape and its numbers, or of a large one a summary. It needs no PyTorch."""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

# Up to this many elements a tensor is handed on in full.
MAX_ELEMENTS = 65_536
CORNER = 3


@dataclass(frozen=True, slots=True)
class Tensor:
    """A vector, a matrix or more, of numbers in order, the last axis fastest.

    `shape` are its sizes; `numbers` all of its elements, None for a tensor of more than MAX_ELEMENTS; `norm` is the
    Euclidean norm, `low` and `high` are the smallest and the largest element; `corner` are the first elements of the
    first rows, flat, as many as `corner_shape` says. `large` are the digits of elements that no float holds, by place.

    >>> Tensor.of([[1, 2], [3, 4]]).shape, Tensor.of([[1, 2], [3, 4]]).nested()
    ((2, 2), [[1.0, 2.0], [3.0, 4.0]])
    """

    shape: tuple[int, ...]
    numbers: array[float] | None
    norm: float
    low: float
    high: float
    corner_shape: tuple[int, ...]
    corner: tuple[float, ...]
    large: tuple[tuple[int, str], ...] = ()

    @classmethod
    def of(cls, rows: Any) -> Tensor:
        """The tensor of nested lists of numbers. Raises ValueError where rows differ in length."""
        shape: list[int] = []
        level, probe = rows, rows
        while isinstance(probe, (list, tuple)):
            shape.append(len(probe))
            probe = probe[0] if probe else None
        flat: list[Any] = [level]
        for size in shape:
            if any(not isinstance(part, (list, tuple)) or len(part) != size for part in flat):
                raise ValueError("the rows have different lengths")
            flat = [entry for part in flat for entry in part]
        return cls.flat(tuple(shape), array("d", [float(entry) for entry in flat]))

    @classmethod
    def flat(cls, shape: Sequence[int], numbers: array[float], large: tuple[tuple[int, str], ...] = ()) -> Tensor:
        """The tensor of a shape with its elements in order, and the digits of those that are too large for a float."""
        finite = [x for x in numbers if x == x]
        own = tuple(min(size, CORNER) for size in shape)
        low, high = (min(finite), max(finite)) if finite else (math.nan, math.nan)
        norm = math.hypot(*numbers) if len(numbers) < 10_000 else math.sqrt(math.fsum(x * x for x in numbers))
        return cls(tuple(shape), numbers, norm, low, high, own, tuple(_corner(shape, own, numbers)), large)

    @classmethod
    def filled(cls, shape: Sequence[int], number: float) -> Tensor:
        """The tensor of a shape whose elements are all the same number."""
        return cls.flat(shape, array("d", [number]) * math.prod(shape))

    @classmethod
    def packed(cls, plain: tuple[Any, ...]) -> Tensor:
        """The tensor from the plain data that another process sent (see `pack` in readings/place.py)."""
        shape, data, norm, low, high, corner_shape, corner = plain
        return cls(
            tuple(shape),
            None if data is None else array("d", data),
            norm,
            low,
            high,
            tuple(corner_shape),
            tuple(corner),
        )

    @property
    def count(self) -> int:
        """How many elements there are."""
        return math.prod(self.shape)

    @property
    def entries(self) -> list[Any] | None:
        """The elements in order as they are shown: floats, or digits as text; None where there are too many."""
        if self.numbers is None:
            return None
        flat: list[Any] = self.numbers.tolist()
        for place, digits in self.large:
            flat[place] = digits
        return flat

    def nested(self) -> Any:
        """The elements as nested lists, as JSON has them; None where there are too many."""
        flat = self.entries
        if flat is None:
            return None
        for size in self.shape[:0:-1]:
            flat = (
                [flat[i : i + size] for i in range(0, len(flat), size)] if size else [[]] * math.prod(self.shape[:-1])
            )
        return flat

    def elements(self) -> Iterator[tuple[tuple[int, ...], float]]:
        """Each element that is known, with its index."""
        known, shape = (self.corner, self.corner_shape) if self.numbers is None else (self.numbers, self.shape)
        for place, value in enumerate(known):
            index: list[int] = []
            for size in reversed(shape):
                place, own = divmod(place, size)
                index.insert(0, own)
            yield tuple(index), value


def _corner(shape: Sequence[int], own: Sequence[int], numbers: Sequence[float]) -> Iterator[float]:
    for place in range(math.prod(own)):
        offset, stride = 0, 1
        for size, part in zip(reversed(shape), reversed(own), strict=True):
            place, index = divmod(place, part)
            offset, stride = offset + index * stride, stride * size
        yield numbers[offset]


def unpacked(plain: Any) -> Any:
    """What another process sent, as a Tensor where it is one; a single number, True, False or None as it is."""
    return Tensor.packed(plain) if isinstance(plain, tuple) else plain


def elements(name: str, shape: Sequence[int]) -> list[str]:
    """The elements of an input, as one writes them; a single number by its own name.

    >>> elements("W", (1, 2)), elements("w", ())
    (['W[0, 0]', 'W[0, 1]'], ['w'])
    """
    if not shape:
        return [name]
    return [f"{name}[{', '.join(map(str, index))}]" for index in itertools.product(*map(range, shape))]


def shape_and_bytes(value: Tensor | float) -> tuple[tuple[int, ...], bytes]:
    """The shape of a value and its numbers as `bytes_of` has them: what makes it again in another process."""
    return value.shape if isinstance(value, Tensor) else (), bytes_of(value)


def bytes_of(value: Tensor | float) -> bytes:
    """The numbers of a value as bytes of float64, in order, for another process.

    >>> len(bytes_of(1.0)), len(bytes_of(Tensor.of([1, 2])))
    (8, 16)
    """
    return ((value.numbers or array("d")) if isinstance(value, Tensor) else array("d", [value])).tobytes()
