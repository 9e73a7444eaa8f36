"""Exact numbers in decimal digits, by way of the standard library's decimal arithmetic, which is fast."""

from __future__ import annotations

import decimal
from functools import cache, lru_cache

from gradexplain.readings.arithmetic import DEAD, Number, finite

_WIDE = decimal.Context(prec=70, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX)


@lru_cache(maxsize=4096)
def _power_of_two(exponent: int) -> decimal.Decimal:
    return _WIDE.power(2, exponent)


@cache
def _context(digits: int) -> decimal.Context:
    return decimal.Context(prec=digits, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX)


def digits_of(value: Number, count: int = 50) -> str:
    """The number in decimal with up to `count` significant digits, `nan`, `inf` or `-inf`.

    >>> from gradexplain.readings.arithmetic import mp
    >>> digits_of(mp.mpf(-8)), digits_of(mp.mpf("0.5"))
    ('-8', '0.5')
    """
    if type(value) is int:
        return str(value)
    if not finite(value):
        return "nan" if value != value else "inf" if value > 0 else "-inf"
    sign, mantissa, exponent, _ = value._mpf_
    number = _WIDE.multiply(decimal.Decimal(int(mantissa)), _power_of_two(int(exponent)))
    number = _context(count).normalize(number.copy_negate() if sign else number)
    power = number.adjusted()
    if -6 <= power <= 20:
        return format(number, "f")
    digits = "".join(map(str, number.as_tuple().digits))
    return f"{'-' * sign}{digits[0]}{'.' * (len(digits) > 1)}{digits[1:]}e{power}"


def short(value: Number | float | bool | str | None) -> str:
    """A number in a sentence."""
    if value is None:
        return "unknown"
    if isinstance(value, (bool, str)):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    return "0" if value is DEAD else digits_of(value, 6)
