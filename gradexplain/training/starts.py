"""How a parameter may begin: random or constant numbers as `torch.nn.init` defines them, read from a short text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gradexplain.data.shapes import OUTSIDE, read_named
from gradexplain.errors import OptionError, PointError, nearest

_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*", re.DOTALL)
EXAMPLE = 'such as --init "W=normal(0, 0.1)"'
_MODES = ("fan_in", "fan_out")
_NONLINEARITIES = ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu")


class InitRow(NamedTuple):
    """A way to begin: its name, the function of `torch.nn.init`, its arguments with their defaults, the least number
    of axes of what it fills, and which of the numbers may not be negative."""

    name: str
    torch: str
    arguments: tuple[tuple[str, float | str], ...] = ()
    axes: int = 0
    positive: tuple[str, ...] = ()


_XAVIER = (("gain", 1.0),)
_KAIMING = (("a", 0.0), ("mode", "fan_in"), ("nonlinearity", "leaky_relu"))
_ROWS = (
    InitRow("normal", "normal_", (("mean", 0.0), ("std", 1.0)), positive=("std",)),
    InitRow("uniform", "uniform_", (("a", 0.0), ("b", 1.0))),
    InitRow("constant", "constant_", (("val", math.nan),)),
    InitRow("zeros", "zeros_"),
    InitRow("ones", "ones_"),
    InitRow("xavier_uniform", "xavier_uniform_", _XAVIER, 2),
    InitRow("xavier_normal", "xavier_normal_", _XAVIER, 2),
    InitRow("kaiming_uniform", "kaiming_uniform_", _KAIMING, 2),
    InitRow("kaiming_normal", "kaiming_normal_", _KAIMING, 2),
)
INITS: dict[str, InitRow] = {row.name: row for row in _ROWS}
# Arguments that are words, and the words they may be; what people call the arguments of uniform.
_WORDS = {"mode": _MODES, "nonlinearity": _NONLINEARITIES}
_ALIASES = {"low": "a", "high": "b", "value": "val"}


class Init(NamedTuple):
    """One start: the name of a row of INITS, its arguments by name, and the text as it was given."""

    name: str
    arguments: dict[str, float | str]
    text: str


def read_inits(init: str | Sequence[str] | Mapping[str, str] | None) -> dict[str, Init]:
    """The starts by parameter, from text such as `W=normal(0, 0.1), b=zeros` or a mapping. Raises OptionError.

    >>> read_inits("W=normal(0, std=1/10), b=zeros")["W"].arguments
    {'mean': 0.0, 'std': 0.1}
    """
    pairs = read_named(init, OUTSIDE, "a start is written name=how", "the start of {} is", EXAMPLE)
    return {name: _read(name, str(text)) for name, text in pairs.items()}


def _read(name: str, text: str) -> Init:
    call = _CALL.fullmatch(text)
    row = INITS.get(call[1].removesuffix("_")) if call else None
    if call is None or row is None:
        known = nearest(call[1], INITS) if call else ""
        hint = known or "it is one of " + ", ".join(INITS)
        raise OptionError(f"{text or 'nothing'} is no way to begin {name}", hint=hint)
    arguments: dict[str, float | str] = dict(row.arguments)
    given = [part.strip() for part in (call[2] or "").split(",") if part.strip()]
    names = list(arguments)
    takes = f"it takes {', '.join(names)}" if names else "it takes nothing in brackets"
    seen: set[str] = set()
    for place, part in enumerate(given):
        key, equals, value = part.partition("=")
        key = _ALIASES.get(key.strip(), key.strip()) if equals else (names[place] if place < len(names) else "")
        if key not in arguments:
            raise OptionError(f"{row.name} of {name} has no place for {part}", hint=takes)
        if key in seen:
            raise OptionError(f"{key} of {row.name} is given twice for {name}", hint="keep one of them")
        seen.add(key)
        arguments[key] = _argument(name, key, (value if equals else part).strip())
    for key, number in arguments.items():
        if isinstance(number, float) and math.isnan(number):
            raise OptionError(f"{row.name} of {name} needs a number", hint=f"such as {row.name}(0.5)")
        if key in row.positive and float(number) < 0:
            raise OptionError(f"{key} of {row.name} is {float(number):g} for {name}, and must not be negative")
    if row.name == "uniform" and float(arguments["a"]) > float(arguments["b"]):
        raise OptionError(f"uniform of {name} begins at {arguments['a']:g} and ends below it, at {arguments['b']:g}",
                          hint="give the smaller number first")  # fmt: skip
    return Init(row.name, arguments, text)


def _argument(name: str, key: str, text: str) -> float | str:
    """An argument: one of the words it may be, or a number as in a point, such as 1/3."""
    if key in _WORDS:
        word = text.strip("'\"")
        if word not in _WORDS[key]:
            raise OptionError(f"{key} of {name} cannot be {word}", hint="it is one of " + ", ".join(_WORDS[key]))
        return word
    from gradexplain.data.point import held_value, read_point

    try:
        given = read_point(f"{key}={text}")
        if set(given) != {key}:
            raise PointError("it is no number")
        return held_value(key, given[key], "float64")
    except PointError:
        raise OptionError(f"{key} of {name} is {text}, and must be a number", hint=EXAMPLE) from None


def check_axes(name: str, init: Init, shape: Sequence[int]) -> None:
    """Raise OptionError where a start counts the rows and columns of what has none."""
    if len(shape) < INITS[init.name].axes:
        raise OptionError(f"{init.name} needs a matrix, and {name} has the shape {list(shape)}",
                          hint=f"begin it with {name}=zeros or {name}=normal(0, 0.1)")  # fmt: skip
