"""Shapes: what every operation on tensors makes of the shapes of its inputs, before anything runs.

A size is a whole number, or the name of one that stands for any number, such as `n` in `X=n x d`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Size = int | str
Shape = tuple[Size, ...]
Settings = Mapping[str, Any]


class ShapeProblem(Exception):
    """Shapes that do not fit. In `hint`, `{0}` and `{1}` stand for the text of the inputs."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def write_shape(shape: Shape) -> str:
    """A shape as a person writes it.

    >>> write_shape((2, "n")), write_shape((3,)), write_shape(())
    ('2 x n', '3', 'a single number')
    """
    if not shape:
        return "a single number"
    return ("x" if all(isinstance(size, int) for size in shape) else " x ").join(map(str, shape))


def times(sizes: Iterable[Size]) -> Size:
    """The product of sizes, names in order behind the number.

    >>> times((2, 3)), times(("n", 2, "d"))
    (6, '2*d*n')
    """
    number, names = 1, []
    for size in sizes:
        if isinstance(size, int):
            number *= size
        else:
            head, *rest = size.split("*")
            if head.isdigit():
                number *= int(head)
                names += rest
            else:
                names += [head, *rest]
    if not names:
        return number
    return "*".join(([str(number)] if number != 1 else []) + sorted(names))


def length(size: Size, sizes: Mapping[str, int]) -> int:
    """A size as a number, where `sizes` has those that have names. Raises KeyError for a name that it lacks.

    >>> length(4, {}), length("2*d*n", {"n": 4, "d": 3})
    (4, 24)
    """
    if isinstance(size, int):
        return size
    return math.prod(int(part) if part.isdigit() else sizes[part] for part in size.split("*"))


def lengths(shape: Shape, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """A shape in numbers; terms as in `length`."""
    return tuple(length(size, sizes) for size in shape)


def resolved(setting: Any, sizes: Mapping[str, int]) -> Any:
    """A setting with the number for every size with a name: alone, or one of several.

    >>> resolved(("n", -1), {"n": 4}), resolved("mean", {"n": 4})
    ((4, -1), 'mean')
    """
    if isinstance(setting, tuple):
        return tuple(length(part, sizes) if isinstance(part, str) else part for part in setting)
    return sizes[setting] if isinstance(setting, str) and setting in sizes else setting


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """The shape of an elementwise operation on inputs of the given shapes, as PyTorch has it. Raises ShapeProblem.

    >>> broadcast([(2, 1), (3,)])
    (2, 3)
    """
    result: list[Size] = []
    for place in range(1, max(map(len, shapes), default=0) + 1):
        found: Size = 1
        for shape in shapes:
            if len(shape) < place or shape[-place] == 1 or shape[-place] == found:
                continue
            if found != 1:
                one, other = [shape for shape in shapes if shape][:2]
                message = f"the shapes {write_shape(one)} and {write_shape(other)} do not fit together"
                hint = f"in axis {-place} there are {found} and {shape[-place]}; sizes must be equal, or one of them 1"
                raise ShapeProblem(message, _transposed(one, other) or hint)
            found = shape[-place]
        result.append(found)
    return tuple(result[::-1])


def _transposed(one: Shape, other: Shape) -> str:
    return "did you mean {1}.T?" if len(one) == len(other) == 2 and one == other[::-1] else ""


def axis(dim: int, rank: int) -> int:
    """An axis counted from 0, where negative ones count from the end. Raises ShapeProblem where there is none."""
    if not isinstance(dim, int) or isinstance(dim, bool):
        raise ShapeProblem(f"dim must be a whole number, not {dim}")
    if not -max(rank, 1) <= dim < max(rank, 1):
        axes = "a single number has no axes" if not rank else f"its axes are 0 to {rank - 1}"
        raise ShapeProblem(f"there is no axis {dim}", axes)
    return dim % max(rank, 1)


def axes(dim: Any, rank: int) -> tuple[int, ...]:
    """The axes that `dim` means: None for all, a whole number, or several."""
    if dim is None or dim == ():
        return tuple(range(rank))
    found = tuple(axis(one, rank) for one in (dim if isinstance(dim, tuple) else (dim,)))
    if len(set(found)) < len(found):
        raise ShapeProblem(f"an axis appears twice in dim={dim}")
    return found if rank else ()


def divided(one: Size, other: Size) -> Size:
    """A size divided by a part of it. Raises ShapeProblem where it is none."""
    if isinstance(one, int) and isinstance(other, int):
        if other and one % other == 0:
            return one // other
        raise ShapeProblem(f"{one} elements cannot be divided into rows of {other}")
    above, below = str(one).split("*"), str(other).split("*")
    for part in below:
        if part != "1":
            if part not in above:
                raise ShapeProblem(f"{one} elements cannot be divided into rows of {other}")
            above.remove(part)
    return times([int(part) if part.isdigit() else part for part in above])
