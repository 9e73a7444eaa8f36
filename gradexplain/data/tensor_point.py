"""Values that are vectors or matrices: nested lists from Python, and lists written in a point."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from gradexplain.errors import OptionError, PointError
from gradexplain.language.numerals import write_number
from gradexplain.language.parse import Assignment
from gradexplain.language.tensor_graph import Setting, TensorGraph
from gradexplain.readings.dtypes import DTYPES
from gradexplain.rules.shapes import Shape, Size, write_shape
from gradexplain.tensor import Tensor

# A tensor with more elements is shown by its shape.
MAX_SHOWN = 24
# A comma that is in no bracket.
OUTSIDE = re.compile(r"[,;](?![^(\[]*[)\]])")
_LARGEST = int(DTYPES["float64"].largest)
# The numbers that stand for sizes with names, in the order in which the names come.
NUMBERS = (4, 3, 5, 2, 6, 7, 8, 9)


def tensor_of(name: str, value: Any) -> Tensor:
    """A vector or matrix from Python: nested lists, or whatever has `tolist()`. Raises PointError for what is none."""
    if not isinstance(value, (list, tuple, Tensor)):
        value = value.tolist()
    try:
        tensor = value if isinstance(value, Tensor) else Tensor.of(value)
    except (TypeError, ValueError) as error:
        reason = str(error) if "lengths" in str(error) else "its elements must be numbers"
        raise PointError(f"the value of {name} is not a tensor: {reason}", hint="such as [[1, 2], [3, 4]]") from None
    if not math.isfinite(tensor.norm):
        raise PointError(f"the value of {name} has an element that is not finite",
                         hint="a gradient can be taken at finite numbers only")  # fmt: skip
    return tensor


def shown_tensor(tensor: Tensor) -> str:
    """A tensor in a line: its elements, or the shape of one that is large.

    >>> shown_tensor(Tensor.of([[1, 0.5]]))
    '[[1, 0.5]]'
    """
    return _written(tensor.nested()) if tensor.count <= MAX_SHOWN else f"({write_shape(tensor.shape)})"


def _written(entry: Any) -> str:
    return f"[{', '.join(map(_written, entry))}]" if isinstance(entry, list) else write_number(entry)


def constant_tensor(assignment: Assignment) -> Tensor:
    """The numbers of a value such as `[[1, 2], [1/3, sqrt(2)]]`, `eye(3)` or `zeros(2, 3)`. Raises PointError."""
    graph, place = assignment.graph, assignment.value
    assert isinstance(graph, TensorGraph)
    found: dict[int, list[float]] = {}

    def refuse(message: str, hint: str = "") -> PointError:
        return PointError(message, assignment.text, place.start, place.end, hint)

    for i in graph.inputs_first(place.node):
        node, shape = graph.nodes[i], graph.shapes[i]
        tensors = graph.tensors(node)
        if not shape:
            if i != place.node and not isinstance(node.value, Setting):
                found[i] = [_number(graph, i)]
        elif node.rule == "stack" and graph.settings(node)["dim"] == 0:
            found[i] = [entry for j in tensors for entry in found[j]]
        elif node.rule in ("zeros", "ones"):
            found[i] = [float(node.rule == "ones")] * math.prod(size for size in shape if isinstance(size, int))
        elif node.rule == "eye":
            count = shape[0]
            assert isinstance(count, int)
            found[i] = [float(k % (count + 1) == 0) for k in range(count * count)]
        elif node.rule == "mul" and len(found[tensors[0]]) == 1 and not graph.shapes[tensors[0]]:
            found[i] = [found[tensors[0]][0] * entry for entry in found[tensors[1]]]
        elif node.rule == "neg":
            found[i] = [-entry for entry in found[tensors[0]]]
        else:
            raise refuse(f"the value of {assignment.name.text} is no list of numbers", "such as [[1, 2], [3, 4]]")
    numbers = array("d", found[place.node])
    if not all(map(math.isfinite, numbers)):
        raise refuse(f"an element of {assignment.name.text} is not a finite number")
    return Tensor.flat(graph.shapes[place.node], numbers)  # type: ignore[arg-type]


def _number(graph: TensorGraph, i: int) -> float:
    value = graph.nodes[i].value
    if isinstance(value, Fraction) and abs(value) <= _LARGEST:
        return float(value)
    # What is no plain number takes exact arithmetic, which others need not load.
    from gradexplain.readings.arithmetic import to_float
    from gradexplain.readings.exact import constant_value

    return to_float(constant_value(graph, i))


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
        parts = [int(piece) if piece.isdigit() else piece for piece in pieces if piece]
    else:
        parts = list(given)
    for part in parts:
        if isinstance(part, bool) or not (isinstance(part, int) or (isinstance(part, str) and part.isidentifier())):
            raise OptionError(f"{part} in the shape of {name} is no size", hint="such as X=4x3 or X=n x d")
        if isinstance(part, int) and not 0 <= part <= 2**40:
            raise OptionError(f"{part} in the shape of {name} is too large or negative")
    return tuple(parts)


def _split(part: str) -> list[str]:
    pieces = part.split("x")
    numbers = [piece.isdigit() for piece in pieces]
    return (
        pieces
        if len(pieces) > 1
        and any(numbers)
        and all(number or piece.isidentifier() for number, piece in zip(numbers, pieces, strict=True))
        else [part]
    )


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
    names: list[Size] = [size for shape in shapes.values() for size in shape if isinstance(size, str)]
    free = iter(number for number in (*NUMBERS, *range(10, 10_000)) if number not in sizes.values())
    for size in names:
        if isinstance(size, str) and size not in sizes:
            sizes[size] = next(free)
    return sizes
