"""What exact arithmetic shares in a process: the number of digits, the count of lost bits, and a lock around both."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_ALONE = threading.RLock()


class Lost:
    """How many leading bits cancellation may have cost in the innermost `with digits(…)`."""

    bits = 0


LOST = Lost()


@cache
def context() -> Any:
    """The context of all exact numbers, mpmath's; it is loaded when the first of them is needed."""
    import mpmath

    return mpmath.MPContext()


@contextmanager
def digits(count: int = 0, bits: int = 0) -> Iterator[Lost]:
    """Exact arithmetic with `count` decimal digits, or with `bits`, and with no other thread's digits in between.

    Gives the count of lost bits, which begins at 0. Afterwards digits and count are what they were before. Without
    arguments the digits stay as they are.

    >>> with digits(20), digits(50):
    ...     print(context().mpf(1) / 3)
    0.33333333333333333333333333333333333333333333333333
    """
    with _ALONE:
        if not (count or bits):
            yield LOST
            return
        mp = context()
        before, LOST.bits = (mp.prec, LOST.bits), 0
        if count:
            mp.dps = count
        else:
            mp.prec = bits
        try:
            yield LOST
        finally:
            mp.prec, LOST.bits = before
