"""`gradexplain derive`: read the options, derive, render."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gradexplain.cli.options import Color, DTypeName, choose_format
from gradexplain.cli.streams import encodes, read_input, use_color, write_file, write_note, write_result
from gradexplain.records import FAILURES, Derivation


class Format(StrEnum):
    """The ways of writing a derivation."""

    table = "table"
    json = "json"
    value = "value"


SUFFIXES = {".json": Format.json, ".txt": Format.table}


def command(
    expression: Annotated[
        str,
        typer.Argument(help='The formula, such as "(y - (w*x+b))**2", or - for standard input.', show_default=False),
    ],
    at: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="NAME=VALUE,…", help="Values of the inputs, such as w=1,b=1/3; repeatable."),
    ] = None,
    wrt: Annotated[
        str | None, typer.Option(metavar="NAME,…", help="The inputs to differentiate by (all, without this option).")
    ] = None,
    upstream: Annotated[
        str, typer.Option(metavar="VALUE", help="The gradient of the objective itself, PyTorch's gradient=.")
    ] = "1",
    dtype: Annotated[
        DTypeName, typer.Option(help="The floating-point format that PyTorch computes in.")
    ] = DTypeName.float64,
    format: Annotated[
        Format | None,
        typer.Option(help="How to write the result; table, unless -o has another suffix.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Short for --format json.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file, .json or .txt.")
    ] = None,
    color: Annotated[Color, typer.Option(help="When to use colour.")] = Color.auto,
) -> int:
    """Differentiate a formula by the chain rule and compare every step with PyTorch's autograd.

    Exit status: 0 if all verdicts are fine, 1 if autograd lost precision, gave nan or inf, or disagrees,
    2 for bad input.
    """
    chosen = choose_format(format, json, output, SUFFIXES, Format.json, Format.table)
    import gc

    # Nothing that a derivation makes becomes garbage before the process ends.
    gc.disable()
    from gradexplain.derive import begin

    formula = read_input() if expression.strip() == "-" else expression.removeprefix(" ")
    finish = begin(formula, at, wrt=wrt, upstream=upstream, dtype=dtype.value)
    # What the output needs loads while PyTorch does.
    if chosen is Format.table:
        from gradexplain.output import table

        table.preload()
    elif chosen is Format.json:
        from gradexplain.output import json as json_output

        json_output.preload()
    derivation = finish()
    text = _render(derivation, chosen, color.value, output)
    if output is not None:
        write_file(output, text)
    else:
        write_result(text)
    if chosen is Format.value:
        from gradexplain.output import table

        for origin in table.origins(derivation):
            write_note(origin)
    for note in derivation.notes:
        write_note(note)
    return 1 if derivation.verdict in FAILURES else 0


def _render(derivation: Derivation, format: Format, color: str, output: Path | None) -> str:
    if format is Format.json:
        from gradexplain.output import json

        text = json.render(derivation)
        plain = output is not None or sys.stdout is None or encodes(sys.stdout, text)
        return text if plain else json.render(derivation, ascii_only=True)
    if format is Format.value:
        from gradexplain.output import value

        return value.render(derivation)
    from gradexplain.output import table

    if output is not None:
        return table.render(derivation, table.UNLIMITED, color == "always")
    return table.render(derivation, None, use_color(sys.stdout, color))
