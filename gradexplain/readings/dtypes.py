"""The four floating-point formats: how each rounds a number, without PyTorch."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple


class DType(NamedTuple):
    """A format: its name in PyTorch, its largest finite and its smallest normal number, the bits of its mantissa, and
    the relative error up to which autograd agrees."""

    name: str
    largest: float
    smallest: float
    bits: int
    tolerance: float


# A tolerance leaves room for the rounding of some hundred operations: about the spacing to the power 0.6.
DTYPES = {
    row.name: row
    for row in (
        DType("float64", 1.7976931348623157e308, 2.0**-1022, 53, 1e-9),
        DType("float32", 3.4028234663852886e38, 2.0**-126, 24, 1e-4),
        DType("bfloat16", 3.3895313892515355e38, 2.0**-126, 8, 6e-2),
        DType("float16", 65504.0, 2.0**-14, 11, 2e-2),
    )
}


def round_to(value: float, dtype: str) -> float:
    """The number of the format nearest to `value`, an infinity where it is too large.

    >>> round_to(0.1, "float16"), round_to(1e6, "float16"), round_to(0.1, "bfloat16")
    (0.0999755859375, inf, 0.10009765625)
    """
    if dtype == "float64" or not math.isfinite(value):
        return value
    try:
        if dtype == "bfloat16":
            bits = struct.unpack("<I", struct.pack("<f", value))[0]
            bits += 0x7FFF + ((bits >> 16) & 1)
            return float(struct.unpack("<f", struct.pack("<I", bits & 0xFFFF0000))[0])
        code = "<f" if dtype == "float32" else "<e"
        return float(struct.unpack(code, struct.pack(code, value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)
