"""One column of a mapping: a list, an array, a tensor of one dimension, or a column of a DataFrame."""

from __future__ import annotations

import math
from array import array
from typing import Any

from gradexplain.data.cells import ColumnReader
from gradexplain.errors import OptionError

# What lists are called by NumPy, PyTorch, pandas and array; Polars; PyArrow.
TO_LIST = ("tolist", "to_list", "to_pylist")
DATES = ("m", "M")


def numbers_of(name: str, values: Any) -> memoryview:
    """The numbers of column `name` as float64: 8 bytes each. Raises OptionError for what is not finite numbers.

    >>> numbers_of("x", [1, True, 2.5]).cast("d").tolist()
    [1.0, 1.0, 2.5]
    """
    if isinstance(values, str | bytes | dict | set) or not hasattr(values, "__len__"):
        raise _not_numbers(name, f"is a {type(values).__name__}")
    dimensions = getattr(values, "ndim", 1)
    if dimensions != 1:
        shown = "no dimension" if dimensions == 0 else f"{dimensions} dimensions"
        raise _not_numbers(name, f"has {shown}")
    if getattr(getattr(values, "dtype", None), "kind", "") in DATES:
        raise _not_numbers(name, "holds dates")
    # The memory of a masked array of NumPy holds something where a value is missing; its list does not.
    found = None if hasattr(values, "mask") else _float64(values)
    if found is None:
        try:
            listed = _listed(values)
        except (TypeError, ValueError, RuntimeError):
            raise _not_numbers(name, f"is a {type(values).__name__} that gives no list") from None
        try:
            found = array("d", listed)
        except (TypeError, ValueError, OverflowError, RuntimeError):
            found = _one_by_one(name, listed)
    if not all(map(math.isfinite, found)):
        _one_by_one(name, found.tolist())
    return memoryview(found).cast("B").toreadonly()


def _not_numbers(name: str, what: str) -> OptionError:
    return OptionError(f"column {name} {what}", hint="give a sequence with one number for every row")


def _float64(values: Any) -> array[float] | None:
    """A copy of what is an array of float64 in memory already, such as one of NumPy."""
    try:
        view = memoryview(values)
        if view.format != "d":
            return None
        found = array("d")
        found.frombytes(view.tobytes())
    except (TypeError, ValueError, BufferError):
        return None
    return found


def _listed(values: Any) -> list[Any]:
    for name in TO_LIST:
        method = getattr(values, name, None)
        if callable(method):
            return list(method())
    return list(values)


def _one_by_one(name: str, values: list[Any]) -> array[float]:
    """The numbers again with care. Raises OptionError for the first that is none."""
    column = ColumnReader(name)
    for value in values:
        # True among numbers is 1, as everywhere in Python; NA of pandas calls itself a missing value.
        missing = value is None or type(value).__name__ in ("NAType", "NaTType")
        column.add(None if missing else int(value) if isinstance(value, bool) else value)
    return column.numbers
