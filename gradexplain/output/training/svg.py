"""The loss of a run over its steps as an SVG picture: self-contained, for light and dark pages, without scripts.

Each run is `<g id="run-1" class="run" data-run="LABEL">` with its line, and a mark for each point where they are few.
"""

from __future__ import annotations

import re
from html import escape

from gradexplain.output.formats import PLAIN, Look
from gradexplain.output.graph.picture import in_order, shortened
from gradexplain.output.page.pages import as_ascii
from gradexplain.output.training.axes import COLORS, quiet
from gradexplain.output.training.losses import curves
from gradexplain.output.training.plot import draw_losses, saved
from gradexplain.training_records import Training

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
SIZE = (6.25, 3.0)
# How matplotlib writes the colours of a light page, and what they are on a dark one; those of lines in their order.
INK, GROUND, GRID = "#1b1f24", "#ffffff", "#d0d7de"
DARK = {INK: "#e6edf3", GROUND: "#0d1117", GRID: "#30363d"}
DARK_LINES = ("#ff9a57", "#6cb6ff", "#4cd6a8", "#f0a5cf", "#9bdcff", "#ffc65c", "#e6edf3")
SETTINGS = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    "axes.grid": True, "grid.color": GRID, "legend.facecolor": GROUND, "path.simplify": False,
}  # fmt: skip


def write(training: Training, look: Look = PLAIN, embedded: bool = False) -> str:
    """The picture as a document of its own, or `embedded` as a part of a page with the page's own background.

    It is in ASCII alone where the place has no other characters. What the axis of the loss is, `losses.scale` decides.
    A loss that is not finite is left out, and said.
    """
    everything = curves(training)
    with quiet(SETTINGS):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=SIZE, layout="constrained", facecolor="none" if embedded else GROUND)
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.set_facecolor("none")
        draw_losses(axes, everything)
        picture = saved(figure, ".svg").decode()
    heading = in_order(shortened("; ".join(training.statements)))
    for k, run in enumerate(everything, 1):
        picture = picture.replace(f'<g id="run-{k}">', f'<g id="run-{k}" class="run" data-run="{escape(run.label)}">')
    # What matplotlib says of all elements is to hold for those of the picture alone; a group a line is enough.
    picture = picture.replace("*{stroke-linejoin", ".gradexplain-curve *{stroke-linejoin", 1)
    opening, rest = re.sub(r"\n\s*(?!\s|<g )", "", picture[picture.index("<svg ") :]).split(">", 1)
    picture = (
        f'{"" if embedded else DECLARATION}{opening} class="gradexplain-curve" role="img">\n'
        f"<title>The loss over the steps of {escape(heading)}</title>\n<style>{_dark(rest)}</style>{rest}\n"
    )
    return as_ascii(picture) if look.ascii_only else picture


def preload() -> None:
    """Import now what `write` needs."""
    with quiet():
        import matplotlib.backends.backend_agg
        import matplotlib.figure  # noqa: F401


def _dark(picture: str) -> str:
    """What a dark page changes: each colour that matplotlib wrote into an element, in its place."""
    colors = DARK | dict(zip(map(str.lower, COLORS), DARK_LINES, strict=True))
    rules = "".join(
        f'.gradexplain-curve [style*="{kind}: {light}"]{{{kind}:{dark} !important}}'
        for light, dark in colors.items()
        for kind in ("fill", "stroke")
        if f"{kind}: {light}" in picture
    )
    return f"@media screen and (prefers-color-scheme:dark){{{rules}}}"
