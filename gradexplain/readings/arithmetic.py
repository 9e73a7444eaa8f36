"""Real arithmetic with mpmath that has an answer for everything: nan outside of a domain, an infinity at a pole.

Numbers are mpmath's, True or False; how many digits they have, `with digits(…)` says, and it counts how many leading
bits may have been lost to cancellation.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import mpmath

from gradexplain.readings.digits import LOST, context

Number = Any
HUGE = 5_000
# Polygamma functions of a higher order would take for ever.
MAX_ORDER = 100
LARGE = 40
LIMIT = 1 << 60
# A contribution that is 0 because its branch was not taken: it stays 0 whatever it is multiplied by.
DEAD = 0

mp = context()
INF, NAN = mp.inf, mp.nan
_Real = mp.mpf


def sane(value: Number) -> Number:
    """Complex results are no numbers here, and exponents beyond all use saturate."""
    if type(value) is not _Real:
        return NAN if isinstance(value, mp.mpc) else mp.mpf(value)
    exponent = value._mpf_[2]
    if -LIMIT < exponent < LIMIT:
        return value
    return INF * mp.sign(value) if exponent > 0 else mp.zero


def finite(value: Number) -> bool:
    """Whether an mpmath number is neither nan nor an infinity."""
    _, mantissa, exponent, _ = value._mpf_
    return bool(mantissa != 0 or exponent == 0)


def to_float(value: Any) -> float:
    """An exact number, or SymPy's, as the nearest float: an infinity where it is too large, nan where it is none.

    >>> to_float(mp.mpf(1) / 3), to_float(mp.mpf(-10) ** 999)
    (0.3333333333333333, -inf)
    """
    if type(value) is _Real:
        sign, mantissa, exponent, bits = value._mpf_
        if mantissa and bits < 1000 and -1000 < exponent + bits < 1000:
            # The integer is rounded correctly, and to move the point of a normal number is exact.
            return math.ldexp(-mantissa if sign else mantissa, exponent)
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def to_floats(values: Iterable[Number]) -> list[Any]:
    """Many numbers as the nearest floats; what is None, True or False stays what it is.

    >>> to_floats([mp.mpf(1) / 3, None, True])
    [0.3333333333333333, None, True]
    """
    return [value if value is None or type(value) is bool else to_float(value) for value in values]


def _magnitude(value: Number) -> int:
    """The binary exponent of the value; 0 for zero and for what is not finite."""
    _, mantissa, exponent, bits = value._mpf_
    return exponent + bits if mantissa else 0


def _guarded(function: Callable[..., Number], at_pole: Number = NAN, far: bool = False) -> Callable[..., Number]:
    """`function`, nan outside of its domain and `at_pole` at a pole, never called on absurdly large numbers.

    One that goes `far`, as logarithms and roots do, takes these as well, and enlarges no error there.
    """

    def call(*values: Number) -> Number:
        for value in values:
            if not finite(value) or (_magnitude(value) > HUGE and not far):
                return NAN
        try:
            result = sane(function(*values))
            # Near a zero of the function, and far out, the error of the argument is enlarged.
            size = _magnitude(values[-1])
            size = min(size, 1) if far else size
            enlarged = max(size, size - _magnitude(result)) if result else ALL_BITS * bool(values[0])
            if enlarged > UNSUSPICIOUS:
                LOST.bits += enlarged
            return result
        except (ValueError, ZeroDivisionError):
            return at_pole
        except (OverflowError, mpmath.libmp.NoConvergence, NotImplementedError):
            return NAN

    return call


# The loss that is counted where a difference is 0: it may be exact, or all digits may be gone.
ALL_BITS = 10_000
UNSUSPICIOUS = 8
# A difference that leaves no more than so many of the bits of what it is made of counts as 0, if there are many more.
GUARD = 20


def solid(value: Number) -> Number:
    """The number that a contribution counts as: 0 where its branch was not taken."""
    return mp.zero if value is DEAD else value


def count_lost(terms: Sequence[tuple[int, ...]], result: tuple[int, ...]) -> None:
    """Count the leading bits that may have been lost where terms cancel, all of them mpmath's tuples."""
    signs = {term[0] for term in terms if term[1]}
    is_finite = result[1] or not result[2]
    if len(signs) > 1 and is_finite:
        most = max(term[2] + term[3] for term in terms if term[1])
        lost = most - result[2] - result[3] if result[1] else ALL_BITS
        if lost > UNSUSPICIOUS:
            LOST.bits += lost


def _add(a: Number, b: Number) -> Number:
    return _counted(a + b, a._mpf_, b._mpf_, 1)


def _subtract(a: Number, b: Number) -> Number:
    if a is b and finite(a):
        # The very same number: nothing is lost.
        return mp.zero
    return _counted(a - b, a._mpf_, b._mpf_, 0)


def _counted(result: Number, first: tuple[int, ...], second: tuple[int, ...], unlike: int) -> Number:
    """The sum or difference, its losses counted where the signs are such that digits can cancel."""
    if first[0] ^ second[0] == unlike and first[1] and second[1]:
        _, mantissa, exponent, bits = result._mpf_
        lost = max(first[2] + first[3], second[2] + second[3]) - exponent - bits if mantissa else ALL_BITS
        if lost > UNSUSPICIOUS:
            if lost > mp.prec - GUARD > GUARD:
                # All that is left may be what rounding made of equal numbers: only more digits tell.
                lost, result = ALL_BITS, mp.zero
            LOST.bits += lost
    return result


def _divide(a: Number, b: Number) -> Number:
    if not b:
        return INF * mp.sign(a) if a else NAN
    return sane(a / b)


def _multiply(a: Number, b: Number) -> Number:
    return sane(a * b)


def _exp(a: Number) -> Number:
    if (enlarged := _magnitude(a)) > UNSUSPICIOUS:
        if enlarged > 64:
            return INF if a > 0 else mp.zero
        LOST.bits += enlarged
    return sane(mp.exp(a))


def _power(a: Number, b: Number) -> Number:
    if not b:
        return mp.one
    if not a:
        return a if b > 0 else INF if b < 0 else NAN
    if not (finite(a) and finite(b)):
        return sane(a**b) if a > 0 else NAN
    if a._mpf_ == mp.one._mpf_:
        return a
    if _magnitude(b) > 20 and not (_magnitude(b) < 200 and abs(a - 1) < mp.mpf(2) ** (40 - _magnitude(b))):
        # Far out: the exponent of the result would have millions of digits, or the power is that of a negative number.
        far = _magnitude(b) + abs(_magnitude(a)).bit_length() > 62
        if far:
            return NAN if a < 0 else INF if (a > 1) == (b > 0) else mp.zero
    return sane(a**b)


_finite_erfc = _guarded(mp.erfc)


def _log(a: Number) -> Number:
    if not a or not finite(a) or a < 0:
        return -INF if a == 0 else NAN if a < 0 or a != a else a
    result = mp.log(a)
    # Only near 1 the error of the argument is enlarged.
    lost = -_magnitude(result) if result else ALL_BITS
    if lost > UNSUSPICIOUS:
        LOST.bits += lost
    return result


def _sqrt(a: Number) -> Number:
    return NAN if a < 0 or not finite(a) else mp.sqrt(a)


def _angle(a: Number, b: Number) -> Number:
    return sane(mp.atan2(a, b)) if finite(a) and finite(b) else NAN


def _moderate(function: Callable[..., Number]) -> Callable[..., Number]:
    """Gamma functions are not computed far out on the left, where every number that a dtype holds is a pole."""

    def call(*values: Number) -> Number:
        far = finite(values[-1]) and values[-1] < 0 and _magnitude(values[-1]) > LARGE
        return NAN if far else function(*values)

    return call


def _log_sigmoid(a: Number) -> Number:
    """The logarithm of a number that may be smaller than any that has digits."""
    return a if a != a else _add(min(a, mp.zero), -mp.log1p(_exp(-abs(a))))


def _log_add_exp(a: Number, b: Number) -> Number:
    if not (finite(a) and finite(b)):
        return a + b if a != a or b != b else max(a, b)
    return _add(max(a, b), mp.log1p(_exp(-abs(_subtract(a, b)))))


def _erfc(a: Number) -> Number:
    return (mp.zero if a > 0 else mp.mpf(2)) if _magnitude(a) > LARGE else _finite_erfc(a)


def _log_gamma(a: Number) -> Number:
    return mp.log(abs(mp.gamma(a))) if a < 0 else mp.loggamma(a)


def _polygamma(order: Number, a: Number) -> Number:
    if not 0 <= order <= MAX_ORDER or order != int(order):
        return NAN
    return _reflected(int(order), a) if a < 0 and order else mp.polygamma(int(order), a)


def _reflected(order: int, a: Number) -> Number:
    """A polygamma function on the left, where mpmath takes as many steps as `a` is large: from that of 1 - a.

    The derivatives of the cotangent are polynomials in it.
    """
    if a == mp.floor(a):
        raise ZeroDivisionError
    powers = [mp.zero, mp.one]
    for _ in range(order):
        slopes = [k * power for k, power in enumerate(powers)][1:]
        powers = [-first - second for first, second in zip([*slopes, 0, 0], [0, 0, *slopes], strict=True)]
    turned = mp.polyval(powers[::-1], mp.cospi(a) / mp.sinpi(a))
    return (-1) ** order * mp.polygamma(order, 1 - a) - mp.pi ** (order + 1) * turned


def _sign(a: Number) -> Number:
    return a if a != a else mp.sign(a)


def _bounded(function: Callable[..., Number], limit: Callable[[], Number], far: int) -> Callable[..., Number]:
    """A function that is `limit()` times the sign far out, where computing it would be a waste."""
    inner = _guarded(function)
    return lambda a: limit() * mp.sign(a) if _magnitude(a) > far or (not finite(a) and mp.isinf(a)) else inner(a)


def _whole(function: Callable[[Number], Number]) -> Callable[[Number], Number]:
    """A function whose results are whole numbers, exact even where they are 0."""
    return lambda a: function(a) if finite(a) else a


def _choose(a: Any, b: Number, c: Number) -> Number:
    return b if a else c


ELEMENTARY: dict[str, Callable[..., Any]] = {
    "add": _add, "sub": _subtract, "mul": _multiply, "div": _divide, "neg": operator.neg, "pow": _power,
    "identity": lambda a: a, "sqrt": _sqrt, "abs": abs, "sign": _sign, "exp": _exp, "log": _log,
    "sin": _guarded(mp.sin), "cos": _guarded(mp.cos), "tan": _guarded(mp.tan), "asin": _guarded(mp.asin),
    "acos": _guarded(mp.acos), "atan": _bounded(mp.atan, lambda: mp.pi / 2, HUGE), "atan2": _angle,
    "sinh": lambda a: _divide(_exp(a) - _exp(-a), mp.mpf(2)), "cosh": lambda a: _divide(_exp(a) + _exp(-a), mp.mpf(2)),
    "tanh": _bounded(mp.tanh, lambda: mp.one, LARGE), "asinh": _guarded(mp.asinh, far=True),
    "acosh": _guarded(mp.acosh, far=True), "atanh": lambda a: INF * a if abs(a) == 1 else _guarded(mp.atanh)(a),
    "erf": _bounded(mp.erf, lambda: mp.one, LARGE), "erfc": _erfc,
    "logsigmoid": _log_sigmoid, "logaddexp": _log_add_exp, "lgamma": _moderate(_guarded(_log_gamma, INF)),
    "digamma": _moderate(_guarded(mp.digamma)), "polygamma": _moderate(_guarded(_polygamma, INF)),
    "maximum": lambda a, b: NAN if a != a or b != b else max(a, b),
    "minimum": lambda a, b: NAN if a != a or b != b else min(a, b),
    "clamp": lambda a, b, c: NAN if a != a else min(max(a, b), c),
    "clamp_min": lambda a, b: NAN if a != a else max(a, b), "clamp_max": lambda a, b: NAN if a != a else min(a, b),
    "where": _choose, "floor": _whole(mp.floor), "round": _whole(mp.nint),
    "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le, "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip


def exactly(value: float) -> Number:
    """A float as an exact number, all of its bits whatever the precision."""
    return mp.make_mpf(mpmath.libmp.from_float(value))


def constant(value: Fraction | str) -> Number:
    """A number or symbolic constant of the language at the current precision."""
    if isinstance(value, str):
        return {"pi": mp.pi, "e": mp.e}[value] + 0
    return mp.mpf(value.numerator) / value.denominator
