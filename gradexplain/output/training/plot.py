"""A run as a picture: the loss over the steps, and the path of the parameters, as SVG or PNG, drawn by matplotlib."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gradexplain.output.training.axes import (
    DPI,
    blank,
    cut,
    decades,
    drawable,
    heading,
    legend,
    number,
    quiet,
    steps_below,
    style,
    too_large,
)
from gradexplain.output.training.losses import Curve, Scale, curves, scale
from gradexplain.output.training.path import draw_parameters, draw_path
from gradexplain.output.training.updates import title
from gradexplain.training_records import Contours, Training

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (10.0, 4.2)


def draw(training: Training, contours: Contours | None, suffix: str) -> bytes:
    """The picture in the format of the suffix, `.svg` or `.png`: the loss at the left, the parameters at the right.

    Two parameters are a path in their plane, on `contours` of the loss where there are some; any other number of them
    is drawn over the steps. Runs compared share both axes. What is not finite is left out, and said. The same record
    always gives the same bytes, on the same machine. Raises ValueError for another suffix.
    """
    if suffix not in (".svg", ".png"):
        raise ValueError(f"no picture format: {suffix}")
    with quiet():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=SIZE, layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        figure.suptitle(_title(training), fontsize=12)
        draw_losses(left, curves(training))
        if len(training.parameters) == 2:
            draw_path(figure, right, training, contours)
        else:
            draw_parameters(right, training)
        return saved(figure, suffix)


def saved(figure: Figure, suffix: str) -> bytes:
    """The picture as a file: without a date or the version of matplotlib, so that the same record is the same file."""
    stream = io.BytesIO()
    left_out = ("Date", "Creator", "Format", "Type") if suffix == ".svg" else ("Software",)
    metadata: dict[str, Any] = dict.fromkeys(left_out)
    figure.savefig(stream, format=suffix[1:], dpi=DPI, metadata=metadata)
    return stream.getvalue()


def _title(training: Training) -> str:
    """The objective's formula and, for a single run, the optimizer with its learning rate."""
    formula = cut(training.statements[-1] if training.statements else training.objective)
    if training.comparison:
        return formula
    return f"{formula}\n{cut(title(training.optimizer))}"


def draw_losses(axes: Axes, everything: Sequence[Curve]) -> None:
    """The loss of each run over its steps."""
    axis = scale(loss for run in everything for _, loss in run.points)
    steps_below(axes, everything)
    heading(axes, "loss over the steps", everything, [] if axis and axis.logarithmic else too_large(everything))
    axes.set_ylabel(axis.title if axis else "loss")
    lines = []
    for k, run in enumerate(everything):
        heights = [_height(loss, axis) for _, loss in run.points]
        look = style(k, len(heights))
        lines += axes.plot([step for step, _ in run.points], heights, gid=f"run-{k + 1}", **look)
    if axis and axis.logarithmic:
        ticks = ([0.0] if axis.zero else []) + decades(axis.low, axis.high)
        axes.set_yticks([_height(tick, axis) for tick in ticks], [number(tick) for tick in ticks])
    blank(axes)
    if len(everything) > 1:
        legend(axes, lines, [run.label for run in everything])


def _height(loss: float, axis: Scale | None) -> float:
    """Where a loss is drawn: itself, or its logarithm with 0 below all others; nan where it is left out.

    The logarithm is ours, as matplotlib's axes have no place for 0 and end before the largest numbers do.
    """
    if axis is None or not math.isfinite(loss):
        return math.nan
    if not axis.logarithmic:
        return drawable(loss)
    low, high = math.log10(axis.low), math.log10(axis.high)
    return math.log10(loss) if loss > 0 else low - max(0.3, (high - low) / 12)
