"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from gradexplain.errors import OptionError

F = TypeVar("F", bound=StrEnum)


class DTypeName(StrEnum):
    """The floating-point formats of PyTorch."""

    float64 = "float64"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Color(StrEnum):
    """When to use colour."""

    auto = "auto"
    always = "always"
    never = "never"


def choose_format(
    format: F | None, json: bool, output: Path | None, suffixes: dict[str, F], json_format: F, default: F
) -> F:
    """The format that the options ask for. Raises OptionError where they contradict each other."""
    if json and format not in (None, json_format):
        raise OptionError(f"--json and --format {format.value} contradict each other" if format else "")
    if json or format is not None:
        return format or json_format
    if output is None:
        return default
    found = suffixes.get(output.suffix.lower())
    if found is None:
        known = ", ".join(list(suffixes)[:-1]) + f" or {list(suffixes)[-1]}"
        raise OptionError(f"no format has the suffix {output.suffix or '(none)'}", hint=f"use {known}, or --format")
    return found
