"""Numbers as text: literals of the language read into exact fractions, and fractions written as literals."""

from __future__ import annotations

import re
from fractions import Fraction

MAX_EXPONENT = 400
MAX_DIGITS = 1100
_LITERAL = re.compile(r"(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?")


def read_number(text: str) -> Fraction | None:
    """The exact value of a literal such as `1_000`, `.5` or `2.5e-3`; None where no double could hold it.

    >>> read_number("2.5e-3")
    Fraction(1, 400)
    """
    match = _LITERAL.fullmatch(text.replace("_", ""))
    if match is None:
        return None
    whole, decimals, exponent = match.group(1).lstrip("0"), match.group(2), match.group(3) or "0"
    if len(whole) + len(decimals) > MAX_DIGITS or len(exponent) > 6:
        return None
    power = int(exponent)
    if abs(power) > MAX_EXPONENT + len(whole) + len(decimals):
        return None
    return Fraction(int(whole + decimals or "0")) * Fraction(10) ** (power - len(decimals))


def write_fraction(value: Fraction) -> str:
    """The shortest exact way to write `value`: an integer, a decimal, or `p/q`.

    >>> write_fraction(Fraction(1, 400)), write_fraction(Fraction(-2, 3)), write_fraction(Fraction(1, 10**30))
    ('0.0025', '-2/3', '1e-30')
    """
    sign, numerator, denominator = "-" * (value < 0), abs(value.numerator), value.denominator
    if denominator == 1:
        digits, places = str(numerator), 0
    else:
        places = _decimal_places(denominator)
        if places < 0:
            return f"{sign}{numerator}/{denominator}"
        digits = str(numerator * 10**places // denominator)
    stripped = digits.rstrip("0") or "0"
    power = len(digits) - len(stripped) - places
    point = len(stripped) + power
    if -5 < point <= 16:
        if power >= 0:
            return sign + stripped + "0" * power
        padded = stripped.rjust(-power + 1, "0")
        return f"{sign}{padded[:power]}.{padded[power:]}"
    mantissa = stripped[0] + ("." + stripped[1:] if len(stripped) > 1 else "")
    return f"{sign}{mantissa}e{point - 1}"


def write_number(value: Fraction | float) -> str:
    """The shortest exact way to write a fraction, or the decimal that a float prints as.

    >>> write_number(0.1), write_number(-2.0), write_number(1e-7)
    ('0.1', '-2', '1e-7')
    """
    if isinstance(value, float):
        text = repr(value)
        if "e" not in text and value:
            return text.removesuffix(".0")
        value = Fraction(text)
    return write_fraction(value)


def _decimal_places(denominator: int) -> int:
    """How many decimal places 1/denominator has, or -1 where they never end."""
    twos = fives = 0
    while denominator % 2 == 0:
        denominator, twos = denominator // 2, twos + 1
    while denominator % 5 == 0:
        denominator, fives = denominator // 5, fives + 1
    return max(twos, fives) if denominator == 1 else -1
