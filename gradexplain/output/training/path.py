"""The right half of a picture: the path of two parameters in their plane, or each parameter over the steps."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from gradexplain.output.training.axes import (
    COLORS,
    LARGEST,
    STYLES,
    blank,
    cut,
    decades,
    drawable,
    heading,
    legend,
    number,
    steps_below,
    style,
    too_large,
)
from gradexplain.output.training.losses import Curve, curves, scale
from gradexplain.training_records import Contours, Training

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PARAMETERS = 14
# Parameters that grow by more than this get a scale that is logarithmic away from 0; a path in the plane ends before.
GROWTH = 1000.0
PATH_GROWTH = 30.0
LEVELS = 14
# On a log scale, contours end this far below the largest loss.
DEEPEST = 1e-8
GREY = "#555555"
SHADES = ("#ffffff", "#dfe5e8", "#b4c3cc", "#8a9fae")
Box = tuple[float, float, float, float]


def draw_parameters(axes: Axes, training: Training) -> None:
    """Each parameter over the steps: a colour for each of them, a line style for each run."""
    from matplotlib.lines import Line2D

    everything, names = _values(training), list(training.parameters)[:MAX_PARAMETERS]
    left_out = len(training.parameters) - len(names)
    unit = _unit(everything, GROWTH)
    steps_below(axes, everything)
    more = [f"{left_out:,} more are not drawn"] if left_out else []
    heading(axes, "parameters over the steps", everything, [*more, *too_large(everything)])
    handles, labels = [], []
    for k, entry in enumerate(_runs(training)):
        steps = [step for step, _, _ in entry.curve]
        for j, name in enumerate(names):
            heights = [_squeezed(drawable(values[j]), unit) for _, _, values in entry.curve]
            lines = axes.plot(steps, heights, **style(k, len(heights), COLORS[j % len(COLORS)]))
            if k == 0:
                handles.append(lines[0])
                labels.append(name)
    label = cut(names[0], 40) if len(names) == 1 else "value"
    if unit is not None:
        label += ", log scale away from 0"
        largest = max(abs(v) for run in everything for _, v in run.points if abs(v) <= LARGEST)
        low, high = (round(limit) for limit in axes.get_ylim())
        sizes = decades(unit, largest)[-4:]
        ticks = [
            tick for tick in (*(-size for size in sizes[::-1]), 0.0, *sizes) if low <= _squeezed(tick, unit) <= high
        ]
        axes.set_yticks([_squeezed(tick, unit) for tick in ticks], [number(tick) for tick in ticks])
    axes.set_ylabel(label)
    if len(everything) > 1:
        styles = [STYLES[k % len(STYLES)] for k in range(len(everything))]
        handles += [Line2D([], [], color=GREY, linestyle=linestyle) for linestyle in styles]
        labels += [run.label for run in everything]
    blank(axes)
    if len(handles) > 1:
        legend(axes, handles, labels)


def draw_path(figure: Figure, axes: Axes, training: Training, contours: Contours | None) -> None:
    """The path of two parameters in their plane, from start to end, on contours of the loss."""
    names, everything = list(training.parameters), _values(training)
    if contours is not None and sorted(contours.names) != sorted(names):
        contours = None
    across, up = [names.index(name) for name in contours.names] if contours else (0, 1)
    axes.set_xlabel(cut(names[across], 40))
    axes.set_ylabel(cut(names[up], 40))
    box: Box | None = None
    if contours is not None:
        _draw_contours(figure, axes, contours)
        box = (contours.x[0], contours.x[-1], contours.y[0], contours.y[-1])
    elif (unit := _unit(everything, PATH_GROWTH)) is not None:
        box = (-PATH_GROWTH * unit, PATH_GROWTH * unit) * 2
    lines, notes, drawn = [], [], set()
    for k, (run, entry) in enumerate(zip(everything, _runs(training), strict=True)):
        points = [(drawable(values[across]), drawable(values[up])) for _, _, values in entry.curve]
        places = [place for place, point in enumerate(points) if _leaves(point, box, 0.0)]
        if places:
            notes.append(f"{run.label}: " * bool(run.label) + f"leaves the picture at step {run.points[places[0]][0]}")
        near = [(math.nan, math.nan) if _leaves(point, box, 9.0 if contours else 0.0) else point for point in points]
        look = style(k, len(near))
        lines += axes.plot([point[0] for point in near], [point[1] for point in near], **look)
        if not math.isnan(sum(near[0])):
            axes.plot(*near[0], "o", color="black", markerfacecolor="white", markersize=8, zorder=4)
            drawn.add("start")
        if not math.isnan(sum(near[-1])):
            axes.plot(*near[-1], "s", color="black", markerfacecolor=look["color"], markersize=7, zorder=5)
            drawn.add("end")
    heading(axes, "path of the parameters", everything, notes or too_large(everything))
    if contours is not None and box is not None:
        axes.set_xlim(*box[:2])
        axes.set_ylim(*box[2:])
    blank(axes)
    _name_path(axes, lines, [run.label for run in everything] if len(everything) > 1 else [], drawn)


def _name_path(axes: Axes, lines: Sequence[Any], labels: Sequence[str], drawn: Collection[str]) -> None:
    """The legend of a path: the runs where there are several, and the signs for both ends that are drawn."""
    from matplotlib.lines import Line2D

    signs = {
        name: Line2D([], [], linestyle="", marker=marker, color="black", markerfacecolor=face, markersize=7)
        for name, marker, face in (("start", "o", "white"), ("end", "s", GREY if labels else COLORS[0]))
        if name in drawn
    }
    if labels or signs:
        legend(axes, [*(lines if labels else []), *signs.values()], [*labels, *signs])


def _draw_contours(figure: Figure, axes: Axes, contours: Contours) -> None:
    """The loss in shades, the lower the lighter, and what they mean."""
    import numpy
    from matplotlib.colors import LinearSegmentedColormap

    losses = numpy.array(contours.losses, dtype=float)
    axis = scale(losses[numpy.abs(losses) <= LARGEST].tolist())
    if axis is None or min(losses.shape) < 2 or axis.low == axis.high:
        return
    low, high = axis.low, axis.high
    if axis.logarithmic:
        low = max(low, high * DEEPEST)
        losses = numpy.log10(numpy.clip(losses, low, None))
        low, high = math.log10(low), math.log10(high)
    losses = numpy.ma.masked_invalid(numpy.where(numpy.abs(losses) <= LARGEST, losses, numpy.nan))
    colors = LinearSegmentedColormap.from_list("loss", SHADES)
    levels = numpy.linspace(low, high, LEVELS + 1)
    filled = axes.contourf(contours.x, contours.y, losses, levels=levels, cmap=colors)
    bar = figure.colorbar(filled, ax=axes, label="loss" + ", log scale" * axis.logarithmic)
    if axis.logarithmic:
        ticks = decades(10**low, 10**high)
        bar.set_ticks([math.log10(tick) for tick in ticks], labels=[number(tick) for tick in ticks])


def _runs(training: Training) -> list[Training]:
    return [entry for entry in (training, *training.comparison) if entry.curve]


def _values(training: Training) -> list[Curve]:
    """The parameters of each run in a number a step: the largest of them by size, or one that is not finite."""
    return [
        Curve(run.label, tuple(
            (step, next((v for v in values if not math.isfinite(v)), max(values, key=abs, default=0.0)))
            for step, _, values in entry.curve))
        for run, entry in zip(curves(training), _runs(training), strict=True)
    ]  # fmt: skip


def _unit(everything: Sequence[Curve], growth: float) -> float | None:
    """The size of the parameters at the start, at least 1, where they grow by more than `growth`; else None."""
    start = max((abs(run.points[0][1]) for run in everything if abs(run.points[0][1]) <= LARGEST), default=1.0)
    largest = max((abs(v) for run in everything for _, v in run.points if abs(v) <= LARGEST), default=0.0)
    return max(1.0, start) if largest > growth * max(1.0, start) else None


def _squeezed(value: float, unit: float | None) -> float:
    """The value, or where it is drawn on a scale that is logarithmic beyond `unit`.

    >>> _squeezed(-5.0, None), round(_squeezed(-99.0, 1.0), 6)
    (-5.0, -2.0)
    """
    return value if unit is None else math.copysign(math.log10(1 + abs(value) / unit), value)


def _leaves(point: tuple[float, float], box: Box | None, margin: float) -> bool:
    """Whether a point is outside of the box, by more than `margin` times its size; never where it is not finite."""
    if box is None or math.isnan(sum(point)):
        return False
    left, right, bottom, top = box
    across, up = margin * (right - left), margin * (top - bottom)
    return not (left - across <= point[0] <= right + across and bottom - up <= point[1] <= top + up)
