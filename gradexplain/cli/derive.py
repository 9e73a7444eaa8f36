"""`gradexplain derive`: read the options, derive, render."""

from __future__ import annotations

from typing import Annotated

import typer

from gradexplain.cli.inputs import read_formula, read_points
from gradexplain.cli.options import (
    Color,
    Coloring,
    Device,
    DType,
    DTypeName,
    Json,
    Output,
    Standalone,
    Wrt,
    at_option,
    format_option,
    look_for,
    shape_option,
)
from gradexplain.cli.streams import write_note, write_to
from gradexplain.output.formats import DERIVATION, choose, preload, writer
from gradexplain.records import FAILURES


def command(
    expression: Annotated[
        str,
        typer.Argument(
            help='The formula, such as "(y - (w*x+b))**2", @FILE for the content of a file, or - for standard input.',
            show_default=False,
        ),
    ],
    at: Annotated[
        list[str] | None,
        at_option(
            "Values of the inputs, such as w=1,b=1/3 or X=[[1,2],[3,4]] or X=@X.csv, or @FILE (JSON); repeatable."
        ),
    ] = None,
    wrt: Wrt = None,
    upstream: Annotated[
        str, typer.Option(metavar="VALUE", help="The gradient of the objective itself, PyTorch's gradient=.")
    ] = "1",
    shape: Annotated[
        list[str] | None,
        shape_option(
            "Shapes of vectors and matrices, such as X=4x3 or X=n x d; without values, random ones check the result."
        ),
    ] = None,
    jacobian: Annotated[
        bool, typer.Option("--jacobian", help="Also the derivative of every element of the result by every input.")
    ] = False,
    hessian: Annotated[
        bool, typer.Option("--hessian", help="Also the second derivatives, their eigenvalues and what they say.")
    ] = False,
    dtype: DType = DTypeName.float64,
    device: Device = "cpu",
    format: Annotated[str | None, format_option(DERIVATION, "How to write the result: {}.")] = None,
    json: Json = False,
    output: Output = None,
    standalone: Standalone = False,
    color: Coloring = Color.auto,
) -> int:
    """Differentiate a formula by the chain rule and compare every step with PyTorch's autograd.

    Exit status: 0 if all verdicts are fine, 1 if autograd lost precision, gave nan or inf, or disagrees,
    2 for bad input.
    """
    chosen = choose(format, json, output, DERIVATION)
    import gc

    # Nothing that a derivation makes becomes garbage before the process ends.
    gc.disable()
    from gradexplain.derive import begin

    formula = read_formula(expression)
    finish = begin(
        formula,
        read_points(at),
        wrt=wrt,
        upstream=upstream,
        dtype=dtype.value,
        shape=shape,
        jacobian=jacobian,
        hessian=hessian,
        device=device,
    )
    # What the output needs loads while PyTorch does.
    preload(DERIVATION[chosen])
    derivation = finish()
    write_to(output, writer(DERIVATION[chosen])(derivation, look_for(chosen, output, color.value, standalone)))
    if chosen == "value":
        from gradexplain.output import words

        for origin in words.origins(derivation):
            write_note(origin)
    for note in derivation.notes:
        write_note(note)
    return 1 if derivation.verdict in FAILURES else 0
