"""What several commands share: options as named types, how a result is to look, and exit statuses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gradexplain.cli.streams import encodes, use_color
from gradexplain.output.formats import Look
from gradexplain.output.numbers import UNLIMITED

USAGE_ERROR, INTERRUPTED = 2, 130
# Some of the characters of tables and curves.
_SYMBOLS = "∂·←⣿●│…"


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


def at_option(help: str) -> Any:
    """`--at`, whose help says what the values are for."""
    return typer.Option("--at", metavar="NAME=VALUE,…", help=help)


def shape_option(help: str) -> Any:
    """`--shape`, whose help says of what."""
    return typer.Option("--shape", metavar="NAME=SIZES,…", help=help)


def format_option(names: Iterable[str], help: str) -> Any:
    """`--format`, one of some names, which stand in place of `{}` in the help."""
    names = list(names)
    shown = help.format(", ".join(names))
    return typer.Option(metavar="NAME", help=shown, autocompletion=_complete_from(names), show_default=False)


def _complete_from(names: Iterable[str]) -> Callable[[str], list[str]]:
    """A completion for an option that takes one of some names."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


Wrt = Annotated[
    str | None, typer.Option(metavar="NAME,…", help="The inputs to differentiate by (all, without this option).")
]
DType = Annotated[DTypeName, typer.Option(help="The floating-point format that PyTorch computes in.")]
Device = Annotated[
    str, typer.Option("--device", metavar="NAME", help="Where PyTorch computes: cpu, cuda, cuda:1 or mps.")
]
Json = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file; its suffix is the format.")
]
Standalone = Annotated[
    bool, typer.Option("--standalone", help="A whole document in place of a part of one, where a format has both.")
]
Coloring = Annotated[Color, typer.Option(help="When to use colour.")]


def look_for(name: str, output: Path | None, color: str, standalone: bool = False, every: bool = False) -> Look:
    """How a result is to look, by where it goes: to a file, or to what standard output is."""
    if output is not None:
        return Look(UNLIMITED, color == "always", False, standalone, every)
    ascii_only = sys.stdout is not None and not encodes(sys.stdout, _SYMBOLS)
    return Look(None, name == "table" and use_color(sys.stdout, color), ascii_only, standalone, every)
