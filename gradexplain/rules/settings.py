"""Settings: the arguments of an operation that are no tensors, and what each kind of them may be.

A value is refused here before anything is made of it; whether an axis exists is a question of shapes (`shapes.py`).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

# The default of a setting that must be given.
REQUIRED = object()
# No whole number of PyTorch is larger.
MAX_WHOLE = 2**63 - 1


class SettingKind(NamedTuple):
    """What a setting may be: in words, with an example, and as a test of its value; None is no question of the kind."""

    words: str
    example: str
    allows: Callable[[Any], bool]


class Setting(NamedTuple):
    """A setting of an operation: its name, its default (REQUIRED where there is none), and its kind."""

    name: str
    default: Any
    kind: SettingKind


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, and not True or False.

    >>> is_whole(2), is_whole(True), is_whole(2.0)
    (True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_WHOLE


def _is_real(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_size(value: Any) -> bool:
    return isinstance(value, NamedSize) or (is_whole(value) and value >= 0)


def _several(one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: all(map(one, value)) if isinstance(value, tuple) else one(value)


class NamedSize(str):
    """The name of a size where a setting is expected, which is no word in quotation marks."""

    __slots__ = ()


WHOLE = SettingKind("a whole number", "2", is_whole)
AXIS = SettingKind("a whole number", "0", is_whole)
AXES = SettingKind("a whole number, or several", "(0, 1)", _several(is_whole))
SIZE = SettingKind("a whole number from 0 on", "3", _is_size)
CLASSES = SettingKind("a whole number from 1 on", "3", lambda value: _is_size(value) and value != 0)
SIZES = SettingKind("sizes, whole numbers from 0 on", "(2, 3)", _several(_is_size))
NEW_SIZES = SettingKind(
    "sizes, whole numbers with one -1 at most", "(2, -1)", _several(lambda value: _is_size(value) or value == -1)
)
REAL = SettingKind("a number", "0.5", _is_real)
POSITIVE = SettingKind("a number above 0", "0.5", lambda value: _is_real(value) and value > 0)
NOT_NEGATIVE = SettingKind("a number from 0 on", "0.5", lambda value: _is_real(value) and value >= 0)
FLAG = SettingKind("True or False", "True", lambda value: isinstance(value, bool))
REDUCTION = SettingKind("'mean', 'sum' or 'none'", "'sum'", lambda value: value in ("mean", "sum", "none"))
APPROXIMATION = SettingKind("'none' or 'tanh'", "'tanh'", lambda value: value in ("none", "tanh"))
# An order of a norm, which depends on what it is a norm of.
ORDER = SettingKind(
    "a number, inf, 'fro' or 'nuc'", "2", lambda value: value in ("fro", "nuc", math.inf, -math.inf) or _is_real(value)
)
# What PyTorch has and the language has not.
ABSENT = SettingKind("left out", "", lambda value: False)
