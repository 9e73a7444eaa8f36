"""What both halves of a picture share: matplotlib with our settings and without a word, styles, titles, legends."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from gradexplain.errors import columns, printable
from gradexplain.output.numbers import show
from gradexplain.output.training.losses import Curve, remarks, round_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that differ for colour-blind readers (Okabe and Ito), and line styles that differ in print.
COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
STYLES: tuple[Any, ...] = ("solid", "dashed", "dotted", "dashdot")
# Fonts for East Asian names, where one of them is installed.
WIDE_FONTS = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Source Han Sans", "Hiragino Sans", "PingFang SC", "Yu Gothic",
    "Microsoft YaHei", "Malgun Gothic", "WenQuanYi Zen Hei", "Arial Unicode MS",
)  # fmt: skip
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gradexplain",
    # A name is what it is: `$`, `_` and `^` in it are no markup.
    "text.parse_math": False,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
}
DPI = 150
LONGEST_LINE = 90
# Up to so many points each has a mark.
MARKED_POINTS = 40
# What is larger is left out: matplotlib computes with sums and multiples of what it draws.
LARGEST = 1e300


@contextmanager
def quiet(more: Mapping[str, Any] = MappingProxyType({})) -> Iterator[None]:
    """Matplotlib with our settings and `more` alone, whatever the user's are, and without a word on missing fonts."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import matplotlib

            with matplotlib.rc_context():
                matplotlib.rcdefaults()
                settings: Any = matplotlib.rcParams
                settings.update(SETTINGS)
                settings.update(more)
                settings["font.sans-serif"] = ["DejaVu Sans", *_wide_fonts(), "Arial", "Helvetica", "sans-serif"]
                yield
    finally:
        logger.setLevel(level)


def _wide_fonts() -> list[str]:
    from matplotlib import font_manager

    installed = set(font_manager.fontManager.get_font_names())
    return [name for name in WIDE_FONTS if name in installed]


def cut(text: str, longest: int = LONGEST_LINE) -> str:
    """The text without control characters, cut where it is long.

    >>> cut("a" * 9, 5)
    'aaa …'
    """
    text = printable(text)
    if columns(text) <= longest:
        return text
    return next(text[:k] for k in range(longest, -1, -1) if columns(text[:k]) <= longest - 2) + " …"


def number(value: float) -> str:
    """A round number on an axis.

    >>> number(1e9), number(0.001)
    ('1e9', '0.001')
    """
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return show(value) if value == 0 or 1e-4 < abs(value) < 1e5 else f"{show(float(mantissa))}e{int(exponent)}"


def decades(low: float, high: float) -> list[float]:
    """Some round numbers between the two on a log scale: powers of ten, with 2 and 5 times them where they are few.

    >>> decades(0.5, 20), decades(1e-5, 1e300)
    ([0.5, 1.0, 2.0, 5.0, 10.0, 20.0], [1.0, 1e+50, 1e+100, 1e+150, 1e+200, 1e+250])
    """
    first, last = math.log10(low), math.log10(high)
    powers = [round(power) for power in round_numbers(first, last, max(1, min(8, math.ceil(last - first))))]
    if last - first >= 3:
        return [float(f"1e{power}") for power in powers]
    candidates = [float(f"{m}e{power}") for power in range(math.floor(first), math.ceil(last) + 1) for m in (1, 2, 5)]
    return [candidate for candidate in candidates if low <= candidate <= high]


def steps_below(axes: Axes, everything: Sequence[Curve]) -> None:
    """The x axis: the steps, all of them, whether or not something is drawn there."""
    from matplotlib.ticker import MaxNLocator

    steps = [step for run in everything for step, _ in run.points]
    first, last = min(steps, default=0), max(steps, default=0)
    margin = (last - first) * 0.03 or 0.5
    axes.set_xlabel("steps made")
    axes.set_xlim(first - margin, last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))


def style(number: int, points: int, color: str = "") -> dict[str, Any]:
    """How the line of a run looks: a colour and a line style of its own, points marked where they are few."""
    return {
        "color": color or COLORS[number % len(COLORS)],
        "linestyle": STYLES[number % len(STYLES)],
        "linewidth": 1.6,
        "marker": "o" if points <= MARKED_POINTS else "",
        "markersize": 3.5,
    }


def heading(axes: Axes, title: str, everything: Sequence[Curve], more: Sequence[str] = ()) -> None:
    """The title of one half, and below it what is left out there."""
    axes.set_title("\n".join([title, *(cut(note, 64) for note in [*filter(None, map(remarks, everything)), *more])]))


def too_large(everything: Sequence[Curve]) -> list[str]:
    """A remark where there are numbers larger than what is drawn."""
    found = any(LARGEST < abs(value) < math.inf for run in everything for _, value in run.points)
    return [f"beyond {number(LARGEST)} nothing is drawn"] if found else []


def drawable(value: float) -> float:
    """The value, or nan where matplotlib cannot draw it."""
    return value if abs(value) <= LARGEST else math.nan


def blank(axes: Axes) -> None:
    """No numbers on axes without anything drawn."""
    lines: list[Any] = axes.get_lines()
    if not any(math.isfinite(y) for line in lines for y in line.get_ydata()):
        axes.set_xticks([])
        axes.set_yticks([])


def legend(axes: Axes, lines: Sequence[Any], labels: Sequence[str]) -> None:
    """A legend whose labels are literal: matplotlib would skip one that begins with `_`."""
    drawn: list[Any] = axes.get_lines()
    crowded = sum(len(line.get_xdata()) for line in drawn) > 1000
    made = axes.legend(lines, ["-"] * len(lines), loc="upper right" if crowded else "best", fontsize=9)
    for text, label in zip(made.get_texts(), labels, strict=True):
        text.set_text(cut(label, 28))
