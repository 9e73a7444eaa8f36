"""`gradexplain graph`: read the options, derive, draw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gradexplain.cli.inputs import read_formula, read_points
from gradexplain.cli.options import DTypeName, complete_from, look_for
from gradexplain.cli.streams import write_file, write_note, write_result
from gradexplain.output.formats import GRAPH, choose, preload, writer
from gradexplain.records import FAILURES


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
    shape: Annotated[
        list[str] | None,
        typer.Option("--shape", metavar="NAME=SIZES,…", help="Shapes of vectors and matrices, such as X=n x d."),
    ] = None,
    dtype: Annotated[
        DTypeName, typer.Option(help="The floating-point format that PyTorch computes in.")
    ] = DTypeName.float64,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"How to draw: {', '.join(GRAPH)}.",
            autocompletion=complete_from(GRAPH),
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file; its suffix is the format.")
    ] = None,
) -> int:
    """Draw the computation graph of a formula, with the values and gradients of all nodes.

    Exit status: 0 if all verdicts are fine, 1 if autograd lost precision, gave nan or inf, or disagrees,
    2 for bad input.
    """
    chosen = choose(format, False, output, GRAPH, "drawing")
    import gc

    # Nothing that a derivation makes becomes garbage before the process ends.
    gc.disable()
    from gradexplain.derive import begin

    finish = begin(read_formula(expression), read_points(at), wrt=wrt, dtype=dtype.value, shape=shape)
    preload(GRAPH[chosen])
    derivation = finish()
    text = writer(GRAPH[chosen])(derivation, look_for(chosen, output, "never"))
    if output is not None:
        write_file(output, text)
    else:
        write_result(text)
    for note in derivation.notes:
        write_note(note)
    return 1 if derivation.verdict in FAILURES else 0
