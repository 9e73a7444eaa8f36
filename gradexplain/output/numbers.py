"""Numbers as a reader wants them: few digits where they are enough, all where two numbers would look the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from gradexplain.errors import OptionError
from gradexplain.records import FAILURES, Value
from gradexplain.tensor_values import Tensor

DIGITS = 6
# Up to so many elements a tensor stands in a line, and in a block.
MAX_IN_A_LINE = 12
MAX_IN_BLOCK, MAX_ROWS, MAX_COLUMNS = 32, 8, 6


def show(value: Value | Tensor, digits: int = DIGITS) -> str:
    """A number in up to `digits` significant digits, integers in full; empty for a missing one.

    A small tensor is a nested list in one line, a larger one its shape, norm and range.

    >>> show(-8.0), show(0.1 + 0.2), show("1.9700711140170469939e434"), show(None)
    ('-8', '0.3', '1.97007e434', '')
    """
    if value is None:
        return ""
    if isinstance(value, Tensor):
        return _in_a_line(value, digits)
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        mantissa, _, exponent = value.partition("e")
        return f"{float(mantissa):.{digits}g}e{exponent}"
    if value == 0:
        return "0"
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    text = f"{value:.{digits}g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def show_pair(first: Value, second: Value, verdict: str) -> tuple[str, str]:
    """Two numbers, with as many digits as it takes to tell them apart where the verdict says that they differ.

    >>> show_pair(1.0000001, 1.0000002, "precision"), show_pair(1.0000001, 1.0000002, "agrees")
    (('1.0000001', '1.0000002'), ('1', '1'))
    """
    one, other = show(first), show(second)
    if verdict in FAILURES:
        for digits in (9, 12, 15, 17):
            if one != other or first == second:
                break
            one, other = show(first, digits), show(second, digits)
    return one, other


def _in_a_line(value: Tensor, digits: int) -> str:
    """A tensor in one line."""
    if value.count <= MAX_IN_A_LINE:
        return _nested(value.nested(), lambda number: show(number, digits))
    return f"{sizes(value.shape)}, norm {show(value.norm)}, {show(value.low)} to {show(value.high)}"


def _nested(entry: Any, write: Callable[[float], str]) -> str:
    return f"[{', '.join(_nested(part, write) for part in entry)}]" if isinstance(entry, list) else write(entry)


def sizes(shape: Sequence[int]) -> str:
    """A shape in a table; empty for a single number.

    >>> sizes((2, 1)), sizes((3,)), sizes(())
    ('2x1', '3', '')
    """
    return "x".join(map(str, shape))


def block(value: Value | Tensor, digits: int = DIGITS) -> str:
    """A number, or a tensor as rows of right-aligned columns; of a large one its shape, norm, range and a corner.

    >>> print(block(Tensor.of([[1, -2.5], [10, 3]])))
     1  -2.5
    10     3
    """
    if not isinstance(value, Tensor):
        return show(value, digits)
    rows, columns = (value.shape[-2] if len(value.shape) > 1 else 1), value.shape[-1]
    small = value.count <= MAX_IN_BLOCK and rows <= MAX_ROWS and columns <= MAX_COLUMNS and value.numbers is not None
    numbers, shape = (value.numbers, value.shape) if small else (value.corner, value.corner_shape)
    width = shape[-1] if shape else 1
    cells = [show(number, digits) for number in numbers or ()]
    grid = [cells[i : i + width] for i in range(0, len(cells), width)] if width else []
    if not small:
        grid = [[*row, "…"] if columns > width else row for row in grid]
        grid += [["⋮"]] if value.count > len(cells) and len(value.shape) > 1 else []
    widths = [max(len(row[k]) for row in grid if k < len(row)) for k in range(max(map(len, grid), default=0))]
    lines = ["  ".join(cell.rjust(space) for cell, space in zip(row, widths, strict=False)) for row in grid]
    if len(value.shape) > 2 and small:
        height = value.shape[-2]
        lines = [line for k, line in enumerate(lines) for line in ([""] if k and k % height == 0 else []) + [line]]
    if not small:
        lines = [f"norm {show(value.norm)}", f"{show(value.low)} to {show(value.high)}", *lines]
    return "\n".join(lines) if lines else "empty"


def bare(value: Value | Tensor) -> str:
    """A number for a script: all its digits, no `.0` at the end of an integer; a tensor as nested lists.

    >>> bare(-8.0), bare(0.1)
    ('-8', '0.1')
    """
    if isinstance(value, Tensor):
        if value.numbers is None:
            raise OptionError(f"a tensor of {value.count:,} elements is not written out", hint="use a smaller one")
        return _nested(value.nested(), bare)
    if isinstance(value, float):
        return show(value) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else repr(value)
    return str(value)
