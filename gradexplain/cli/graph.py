"""`gradexplain graph`: read the options, derive, draw."""

from __future__ import annotations

from typing import Annotated

import typer

from gradexplain.cli.inputs import read_formula, read_points
from gradexplain.cli.options import DType, DTypeName, Output, Wrt, at_option, format_option, look_for, shape_option
from gradexplain.cli.streams import write_note, write_to
from gradexplain.output.formats import GRAPH, choose, preload, writer
from gradexplain.records import FAILURES


def command(
    expression: Annotated[
        str,
        typer.Argument(help='The formula, such as "(y - (w*x+b))**2", or - for standard input.', show_default=False),
    ],
    at: Annotated[list[str] | None, at_option("Values of the inputs, such as w=1,b=1/3; repeatable.")] = None,
    wrt: Wrt = None,
    shape: Annotated[list[str] | None, shape_option("Shapes of vectors and matrices, such as X=n x d.")] = None,
    dtype: DType = DTypeName.float64,
    format: Annotated[str | None, format_option(GRAPH, "How to draw: {}.")] = None,
    output: Output = None,
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
    write_to(output, writer(GRAPH[chosen])(derivation, look_for(chosen, output, "never")))
    for note in derivation.notes:
        write_note(note)
    return 1 if derivation.verdict in FAILURES else 0
