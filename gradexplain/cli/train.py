"""`gradexplain train`: read the options, run, and write the steps as they come or the table at the end."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradexplain.cli.inputs import read_formula, read_points
from gradexplain.cli.options import (
    INTERRUPTED,
    Color,
    Coloring,
    Device,
    DType,
    DTypeName,
    Json,
    Output,
    Standalone,
    at_option,
    format_option,
    look_for,
    shape_option,
)
from gradexplain.cli.progress import Progress
from gradexplain.cli.streams import Lines, writable, write_note, write_to
from gradexplain.errors import OptionError
from gradexplain.output.formats import TRAINING, Format, choose, preload, writer
from gradexplain.records import FAILURES

if TYPE_CHECKING:
    from gradexplain.training.run import Run
    from gradexplain.training_records import Training


class OptimizerName(StrEnum):
    """The optimizers."""

    sgd = "sgd"
    momentum = "momentum"
    nesterov = "nesterov"
    adam = "adam"
    adamw = "adamw"
    rmsprop = "rmsprop"
    adagrad = "adagrad"


class Reduction(StrEnum):
    """How the losses of rows become one."""

    mean = "mean"
    sum = "sum"


class Order(StrEnum):
    """The order of the three calls."""

    zero_backward_step = "zero-backward-step"
    backward_step_zero = "backward-step-zero"
    backward_zero_step = "backward-zero-step"


class Comparison(StrEnum):
    """What to run beside each other."""

    zero_grad = "zero-grad"
    order = "order"


# Written as the run goes on; all other formats when it is over.
STREAMED = {
    "ndjson": Format("training.lines", (".ndjson", ".jsonl"), "a JSON object for each step, as it is made", True),
    "csv": Format("training.lines", (".csv",), "a line for each step, as it is made", True),
}
FORMATS = {**TRAINING, **STREAMED}
PLOTS = (".svg", ".png")


def command(
    expression: Annotated[
        str | None,
        typer.Argument(
            help="The formula whose last statement is the loss, @FILE or - for standard input; "
            "without it, a line through one point.",
            show_default=False,
        ),
    ] = None,
    at: Annotated[
        list[str] | None, at_option("Where the parameters start, and the other inputs, or @FILE (JSON).")
    ] = None,
    params: Annotated[str | None, typer.Option(metavar="NAME,…", help="The inputs that are trained.")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Columns for the other inputs: CSV, TSV, JSON lines or Parquet; - for CSV on standard input.",
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--columns", metavar="NAME=COLUMN,…", help="Columns that make a matrix, such as X=x1,x2."),
    ] = None,
    init: Annotated[
        list[str] | None,
        typer.Option(
            "--init",
            metavar="NAME=HOW,…",
            help='How parameters begin, as torch.nn.init, such as "W=normal(0, 0.1), b=zeros"; --seed decides.',
        ),
    ] = None,
    shape: Annotated[list[str] | None, shape_option("The shapes of parameters with --init, such as W=8x2.")] = None,
    reduction: Annotated[Reduction, typer.Option(help="How the losses of the rows become one.")] = Reduction.mean,
    optimizer: Annotated[OptimizerName, typer.Option(help="The update rule.")] = OptimizerName.sgd,
    lr: Annotated[float | None, typer.Option(metavar="RATE", help="The learning rate, 0.1 for SGD.")] = None,
    momentum: Annotated[float | None, typer.Option(metavar="NUMBER", help="The momentum of SGD or RMSprop.")] = None,
    weight_decay: Annotated[float | None, typer.Option(metavar="NUMBER", help="The weight decay.")] = None,
    betas: Annotated[str | None, typer.Option(metavar="B1,B2", help="The betas of Adam.")] = None,
    alpha: Annotated[float | None, typer.Option(metavar="NUMBER", help="The smoothing of RMSprop.")] = None,
    eps: Annotated[float | None, typer.Option(metavar="NUMBER", help="What is added to a denominator.")] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="How many steps to make; 10 without it.")] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="How often to go through the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="How many rows each backward() has.")] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="A new order of the rows for every epoch.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="What decides the order, and --init.")] = 0,
    dtype: DType = DTypeName.float64,
    device: Device = "cpu",
    no_zero_grad: Annotated[bool, typer.Option("--no-zero-grad", help="Never call zero_grad().")] = False,
    accumulate: Annotated[int, typer.Option(metavar="K", help="How many backward() before each step().")] = 1,
    order: Annotated[Order, typer.Option(help="The order of the calls.")] = Order.zero_backward_step,
    compare: Annotated[
        Comparison | None, typer.Option(help="Run with and without zero_grad(), or in all three orders.")
    ] = None,
    until: Annotated[float | None, typer.Option(metavar="LOSS", help="Stop at this loss.")] = None,
    every: Annotated[int | None, typer.Option(metavar="K", help="Show every K-th step.")] = None,
    all_steps: Annotated[bool, typer.Option("--all", help="Show every step.")] = False,
    format: Annotated[
        str | None, format_option(FORMATS, "How to write the result: {}; the last two a line for each step.")
    ] = None,
    json: Json = False,
    output: Output = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the loss and the parameters, .svg or .png.")
    ] = None,
    standalone: Standalone = False,
    color: Coloring = Color.auto,
) -> int:
    """Train a formula as a loop of PyTorch does, and explain what backward(), zero_grad() and step() each did.

    Exit status: 0 if all verdicts are fine, 1 if autograd lost precision or disagrees with the chain rule at some step,
    or the loss or a gradient became nan or inf, 2 for bad input, 130 for Ctrl-C.
    """
    chosen = choose(format, json, output, FORMATS)
    if every is not None and all_steps:
        raise OptionError("--every and --all contradict each other", hint="keep one of them")
    if plot is not None and plot.suffix.lower() not in PLOTS:
        raise OptionError(f"no plot has the suffix {plot.suffix or '(none)'}", hint="use .svg or .png")
    if compare is not None and chosen in STREAMED:
        raise OptionError(f"--compare cannot be written as {chosen}", hint="use --format table or json")
    if data == "-" and expression is not None and expression.strip() == "-":
        raise OptionError("the formula and the data cannot both be standard input", hint="give one of them as a file")
    for path in (output, plot):
        if path is not None:
            writable(path)
    import gc

    # What a run makes in this process is kept, or is freed without a search for cycles.
    gc.disable()
    from gradexplain.training.options import Request
    from gradexplain.training.run import Run

    if all_steps or (every is None and FORMATS[chosen].every):
        every = 1
    first, second = _betas(betas)
    settings = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "beta1": first, "beta2": second,
                "alpha": alpha, "eps": eps}  # fmt: skip
    formula = expression if expression is None else read_formula(expression)
    request = Request(
        expression=formula, at=read_points(at), params=params, data=data, reduction=reduction.value,
        optimizer=optimizer.value, settings=settings, steps=steps, epochs=epochs, batch_size=batch_size,
        shuffle=shuffle, seed=seed, dtype=dtype.value, zero_grad=not no_zero_grad, accumulate=accumulate,
        order=order.value, until=until, every=every, shape=shape, init=init, columns=columns,
        device=device,
    )  # fmt: skip
    if plot is not None:
        # What cannot be drawn is said before the run.
        preload(TRAINING["svg"])
    run = Run(request, compare.value if compare is not None else None)
    with Progress(run.setup.job.steps) as progress:
        run.progress = progress.to
        training = _stream(run, chosen, output) if chosen in STREAMED else _whole(run, chosen)
    if chosen not in STREAMED:
        every_one = all_steps or request.every is not None
        look = look_for(chosen, output, color.value, standalone, every_one)
        write_to(output, writer(TRAINING[chosen])(training, look))
    if plot is not None:
        _plot(run, training, plot)
    return _told(training, chosen in STREAMED)


def _told(training: Training, streamed: bool) -> int:
    """Write what there is to say beside the result, and return the exit status."""
    from gradexplain.output.training.words import interruptions

    for note in training.notes:
        write_note(note)
    if streamed:
        for entry in training.diagnosis:
            write_note(f"{entry.name}: {entry.text}")
        for sentence in interruptions(training):
            write_note(sentence)
    if training.stopped:
        return INTERRUPTED
    broken = any(entry.name == "nan" for entry in training.diagnosis)
    return 1 if broken or training.verdict in FAILURES else 0


def _betas(betas: str | None) -> tuple[float | None, float | None]:
    if betas is None:
        return None, None
    try:
        first, second = map(float, betas.split(","))
    except ValueError:
        raise OptionError(f"the betas are {betas}, and must be two numbers", hint="such as --betas 0.9,0.999") from None
    return first, second


def _whole(run: Run, format: str) -> Training:
    # What the output needs loads while PyTorch does.
    preload(TRAINING[format])
    return run.finish()


def _stream(run: Run, format: str, output: Path | None) -> Training:
    """Write a line for each step as it comes; what was written stays where the run is interrupted."""
    from gradexplain.output.training import lines as training_lines

    start, line = training_lines.FORMATS[format]
    with Lines(output) as lines:
        for text in start(run.setup.parameters):
            lines.write(text)
        for step in run.steps():
            lines.write(line(step))
        record = run.record()
        lines.interrupted = record.interrupted
    return record


def _plot(run: Run, training: Training, path: Path) -> None:
    from gradexplain.output.training import plot

    contours = None
    if len(training.parameters) == 2 and not training.stopped:
        points = [values for part in (training, *training.comparison) for *_, values in part.curve]
        contours = run.contours([x for x, _ in points], [y for _, y in points])
    write_to(path, plot.draw(training, contours, path.suffix.lower()))
