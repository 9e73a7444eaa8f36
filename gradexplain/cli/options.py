"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gradexplain.cli.streams import encodes, use_color
from gradexplain.output.formats import Look

# In a file nothing is folded or cut.
UNLIMITED = 100_000
# Some of the characters of tables and curves.
_SYMBOLS = "∂·←⣿●│…"


class DTypeName(StrEnum):
    """The floating-point formats of PyTorch."""

    float64 = "float64"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


Device = Annotated[
    str, typer.Option("--device", metavar="NAME", help="Where PyTorch computes: cpu, cuda, cuda:1 or mps.")
]


class Color(StrEnum):
    """When to use colour."""

    auto = "auto"
    always = "always"
    never = "never"


def look_for(name: str, output: Path | None, color: str, standalone: bool = False, every: bool = False) -> Look:
    """How a result is to look, by where it goes: to a file, or to what standard output is."""
    if output is not None:
        return Look(UNLIMITED, color == "always", False, standalone, every)
    ascii_only = sys.stdout is not None and not encodes(sys.stdout, _SYMBOLS)
    return Look(None, name == "table" and use_color(sys.stdout, color), ascii_only, standalone, every)


def complete_from(names: Iterable[str]) -> Callable[[str], list[str]]:
    """A completion for an option that takes one of some names."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]
