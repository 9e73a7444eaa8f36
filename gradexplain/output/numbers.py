"""Numbers as a reader wants them: few digits where they are enough, all where two numbers would look the same."""

from __future__ import annotations

import math

from gradexplain.records import FAILURES, Value

DIGITS = 6


def show(value: Value, digits: int = DIGITS) -> str:
    """A number in up to `digits` significant digits, integers in full; empty for a missing one.

    >>> show(-8.0), show(0.1 + 0.2), show("1.9700711140170469939e434"), show(None)
    ('-8', '0.3', '1.97007e434', '')
    """
    if value is None:
        return ""
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


def bare(value: Value) -> str:
    """A number for a script: all its digits, no `.0` at the end of an integer.

    >>> bare(-8.0), bare(0.1)
    ('-8', '0.1')
    """
    if isinstance(value, float):
        return show(value) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else repr(value)
    return str(value)
