"""The loss of a run over its steps as an SVG picture: self-contained, for light and dark pages, without scripts.

Each run is `<g class="run" data-run="LABEL">` with its line, and with a dot for each point where they are few.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

from gradexplain.output.formats import Look
from gradexplain.output.graph.lettering import FONT, fitted, text_width
from gradexplain.output.graph.picture import in_order, shortened
from gradexplain.output.numbers import show
from gradexplain.output.training.axes import COLORS, decades, number
from gradexplain.output.training.losses import Run, Scale, remarks, round_numbers, runs, scale
from gradexplain.training_records import Training

WIDTH, HEIGHT = 600.0, 260.0
TOP, BOTTOM, LEFT, RIGHT, LINE = 34.0, 44.0, 74.0, 24.0, 17.0
SIZE = 12
# With more points than these there is a line alone.
MARKED_POINTS = 40
# How far up the smallest positive loss is above an exact 0, where the axis is logarithmic.
GAP = 0.08
# How lines differ in print, besides their colours.
DASHES = ("", "7 4", "2 3", "8 3 2 3")
# Colours for a dark page, in the order of those for a light one.
DARK = ("#ff9a57", "#6cb6ff", "#4cd6a8", "#f0a5cf", "#9bdcff", "#ffc65c", "#e6edf3")


def write(training: Training, look: Look) -> str:
    """The picture as a document of its own; in ASCII alone where the place has no other characters."""
    picture = render(training)
    return picture.encode("ascii", "xmlcharrefreplace").decode() if look.ascii_only else picture


def render(training: Training, embedded: bool = False) -> str:
    """The picture. With `embedded` it is a part for a page, with the page's own background.

    The axis of the loss is logarithmic where `losses.scale` says so. A loss that is not finite is left out, and said.
    """
    everything = runs(training)
    notes = [line for run in everything if (line := remarks(run))]
    axis = scale(loss for run in everything for _, loss in run.points)
    steps = [step for run in everything for step, _ in run.points]
    ends = (min(steps, default=0), max(steps, default=0))
    heading = shortened("; ".join(training.statements))
    labels = [run.label for run in everything if run.label]
    height = HEIGHT + LINE * (len(labels) + len(notes)) + (6 if labels or notes else 0)
    below = HEIGHT + 6 + LINE * len(labels)
    parts = [
        *_opening(heading, axis, height, embedded),
        *(_grid(axis, ends) if axis else [_text(WIDTH / 2, HEIGHT / 2, "no loss is finite", "middle")]),
        *(_run(k, run, axis, ends) for k, run in enumerate(everything) if axis),
        *(part for k, label in enumerate(labels) for part in _legend(k, label)),
        *(_text(LEFT, below + LINE * k, line) for k, line in enumerate(notes)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _opening(heading: str, axis: Scale | None, height: float, embedded: bool) -> Iterable[str]:
    if not embedded:
        yield '<?xml version="1.0" encoding="UTF-8"?>'
    size = f'width="{WIDTH:.0f}" height="{height:.0f}" viewBox="0 0 {WIDTH:.0f} {height:.0f}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" class="gradexplain-curve" role="img" {size}>'
    yield f"<title>The loss over the steps of {escape(in_order(heading))}</title>"
    yield f"<style>{_style()}</style>"
    if not embedded:
        yield f'<rect class="ground" width="{WIDTH:.0f}" height="{height:.0f}"/>'
    yield _text(LEFT, 18, axis.title if axis else "loss", kind="name")


def _style() -> str:
    scope = ".gradexplain-curve"
    plain = (
        f"{scope} text{{font-family:{FONT};font-size:{SIZE}px}}{scope} .name{{font-weight:600}}"
        f"{scope} .line{{fill:none;stroke-width:2;stroke-linejoin:round}}{scope} .grid{{stroke-width:1}}"
    )

    def colors(ink: str, ground: str, grid: str, lines: Sequence[str]) -> str:
        own = (f"{scope} .run-{k} .line{{stroke:{c}}}{scope} .run-{k} circle{{fill:{c}}}" for k, c in enumerate(lines))
        return f"{scope} text{{fill:{ink}}}{scope} .ground{{fill:{ground}}}{scope} .grid{{stroke:{grid}}}{''.join(own)}"

    light, dark = colors("#1b1f24", "#ffffff", "#d0d7de", COLORS), colors("#e6edf3", "#0d1117", "#30363d", DARK)
    return f"{plain}{light}@media screen and (prefers-color-scheme:dark){{{dark}}}"


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    shown = escape(in_order(fitted(text, SIZE, WIDTH - LEFT)))
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{shown}</text>'


def _across(step: int, ends: tuple[int, int]) -> float:
    return LEFT + (step - ends[0]) / max(ends[1] - ends[0], 1) * (WIDTH - LEFT - RIGHT)


def _down(loss: float, axis: Scale) -> float:
    return HEIGHT - BOTTOM - axis.share(loss, GAP) * (HEIGHT - BOTTOM - TOP)


def _grid(axis: Scale, ends: tuple[int, int]) -> Iterable[str]:
    """Lines at round losses with their numbers, and the numbers of round steps below them."""
    right = WIDTH - RIGHT
    for loss in _losses(axis):
        y = _down(loss, axis)
        yield f'<path class="grid" d="M{LEFT:.1f} {y:.1f}H{right:.1f}"/>'
        yield _text(LEFT - 8, y + 4, number(loss), "end")
    for step in _steps(ends):
        yield _text(_across(step, ends), HEIGHT - BOTTOM + 18, show(step), "middle")
    yield _text(LEFT + (right - LEFT) / 2, HEIGHT - BOTTOM + 36, "steps made", "middle")


def _losses(axis: Scale) -> list[float]:
    """Round numbers on the axis of the loss; its ends where there are none."""
    if axis.logarithmic:
        found = [0.0] * axis.zero + decades(axis.low, axis.high)
    else:
        margin = (axis.high - axis.low) * 1e-6
        found = list(map(float, round_numbers(axis.low - margin, axis.high + margin, 5)))
    return found if len(found) > 1 else sorted({axis.low, axis.high})


def _steps(ends: tuple[int, int]) -> list[int]:
    """The first step, round ones, and the last; none that would touch the last one."""
    room = text_width(show(ends[1]), SIZE) + 16
    between = [round(step) for step in round_numbers(*ends, min(8, max(1, ends[1] - ends[0])))]
    free = [step for step in between if _across(ends[1], ends) - _across(step, ends) > room]
    return sorted({ends[0], *free, ends[1]})


def _run(place: int, run: Run, axis: Scale, ends: tuple[int, int]) -> str:
    """The line of a run, in pieces where losses between them are not finite."""
    pieces = []
    for finite, group in groupby(run.points, lambda point: math.isfinite(point[1])):
        if finite:
            pieces.append([(_across(step, ends), _down(loss, axis)) for step, loss in group])
    path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in piece) for piece in pieces)
    dots = [point for piece in pieces for point in piece if len(run.points) <= MARKED_POINTS or len(piece) == 1]
    marks = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in dots)
    dash = DASHES[place % len(DASHES)]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<g class="run run-{place % len(COLORS)}" data-run="{escape(run.label)}">'
        f'<path class="line"{dashed} d="{path}"/>{marks}</g>'
    )


def _legend(place: int, label: str) -> Iterable[str]:
    y = HEIGHT + 6 + LINE * place
    dash = DASHES[place % len(DASHES)]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    yield f'<g class="run-{place % len(COLORS)}"><path class="line"{dashed} d="M{LEFT:.1f} {y - 4:.1f}h28"/></g>'
    yield _text(LEFT + 36, y, label)
