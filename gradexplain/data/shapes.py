"""The shapes of inputs, from `--shape` or a mapping, and the numbers of sizes that have names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gradexplain.errors import OptionError
from gradexplain.rules.shapes import Shape, write_shape
from gradexplain.tensor import Tensor

# A comma that is in no bracket.
OUTSIDE = re.compile(r"[,;](?![^(\[]*[)\]])")
# The numbers that stand for sizes with names, in the order in which the names come.
NUMBERS = (4, 3, 5, 2, 6, 7, 8, 9)
LARGEST_SIZE = 2**40
MOST_DIGITS = 13


def read_shapes(shape: str | Sequence[str] | Mapping[str, Any] | None) -> dict[str, Shape]:
    """The shapes of inputs by name, from text such as `X=n x d,y=n` or a mapping. Raises OptionError.

    >>> read_shapes("X=4x3, y=n x 1")
    {'X': (4, 3), 'y': ('n', 1)}
    """
    hint = "such as X=4x3 or X=n x d"
    pairs = read_named(shape, OUTSIDE, "a shape is written name=sizes", "the shape of {} is", hint)
    return {name: _sizes(name, sizes) for name, sizes in pairs.items()}


def read_named(
    given: str | Sequence[str] | Mapping[str, Any] | None, between: re.Pattern[str], written: str, twice: str, hint: str
) -> dict[str, Any]:
    """What is given by name, as a mapping or as text `name=value` with what `between` finds in between.

    `written` says how it is written, `twice` what is given, with `{}` for the name. Raises OptionError.

    >>> read_named("a=1, b=(2, 3)", OUTSIDE, "", "", "")
    {'a': '1', 'b': '(2, 3)'}
    """
    if isinstance(given, Mapping):
        return {str(name): value for name, value in given.items()}
    found: dict[str, Any] = {}
    for text in [given] if isinstance(given, str) else given or ():
        for part in filter(None, (piece.strip() for piece in between.split(text))):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or not name.isidentifier():
                raise OptionError(f"{written}, not {part}", hint=hint)
            if name in found:
                raise OptionError(f"{twice.format(name)} given twice", hint="keep one of them")
            found[name] = value
    return found


def _sizes(name: str, given: Any) -> Shape:
    """`4x3`, `n x d`, `(4, 3)`, 4 or a sequence of sizes as a shape."""
    if isinstance(given, int):
        parts: list[Any] = [given]
    elif isinstance(given, str):
        text = given.strip().strip("()[]")
        # An x between two numbers, or with blanks around it, is no name.
        for mark in (" x ", "×", "*"):
            text = text.replace(mark, ",")
        pieces = [piece for part in text.replace(" ", ",").split(",") for piece in _split(part)]
        parts = [int(piece) if _is_number(piece) else piece for piece in pieces if piece]
    else:
        parts = list(given) if isinstance(given, Iterable) else [given]
    for part in parts:
        if isinstance(part, bool) or not (isinstance(part, int) or (isinstance(part, str) and part.isidentifier())):
            raise OptionError(f"{part} in the shape of {name} is no size", hint="such as X=4x3 or X=n x d")
        if isinstance(part, int) and not 0 <= part <= LARGEST_SIZE:
            raise OptionError(f"{part} in the shape of {name} is too large or negative")
    return tuple(parts)


def _split(part: str) -> list[str]:
    """`4x3` or `nx3` cut at each x; a name such as `max` is one size."""
    pieces = part.split("x")
    numbers = [_is_number(piece) for piece in pieces]
    sizes = all(number or piece.isidentifier() for number, piece in zip(numbers, pieces, strict=True))
    return pieces if any(numbers) and sizes else [part]


def _is_number(piece: str) -> bool:
    return piece.isdecimal() and len(piece) <= MOST_DIGITS


def bind_sizes(shapes: Mapping[str, Shape], values: Mapping[str, Tensor | None]) -> dict[str, int]:
    """The number of every size with a name: that of the values where there are some, else one of its own.

    `values` are the tensors that were given, None for a single number. Raises OptionError where both differ.
    """
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        if name not in values:
            continue
        tensor = values[name]
        own = tensor.shape if tensor is not None else ()
        if len(own) != len(shape):
            raise OptionError(f"{name} has the shape {write_shape(own)}, not {write_shape(shape)}")
        for size, number in zip(shape, own, strict=True):
            known = sizes.setdefault(size, number) if isinstance(size, str) else size
            if known != number:
                raise OptionError(f"{name} has the shape {write_shape(own)}, not {write_shape(shape)}"
                                  + (f" with {size} = {known}" if isinstance(size, str) else ""))  # fmt: skip
    free = iter(number for number in (*NUMBERS, *range(10, 10_000)) if number not in sizes.values())
    for shape in shapes.values():
        for size in shape:
            if isinstance(size, str) and size not in sizes:
                sizes[size] = next(free)
    return sizes
