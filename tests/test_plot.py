"""The picture of a run: formats, names as they are, the same bytes twice, and not a word on the streams."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from gradexplain.output.training.plot import draw
from gradexplain.training_records import Contours, Final, Optimizer, Training

NAMES = ("$w_1$", "b<&\"'>^2")
PNG = b"\x89PNG\r\n\x1a\n"


def training(losses: list[float], values: list[tuple[float, ...]], names: tuple[str, ...] = NAMES) -> Training:
    """A run with these losses and parameters."""
    curve = tuple((step, loss, point) for step, (loss, point) in enumerate(zip(losses, values, strict=True)))
    start, end = (dict(zip(names, point, strict=True)) for point in (values[0], values[-1]))
    return Training(
        source="", statements=("L = ($x$ - <λ>)**2 & 損失",), objective="L", dtype="float64",
        optimizer=Optimizer("sgd", {"lr": 0.1}), order="", zero_grad=True, accumulate=1, inputs={}, data=None,
        parameters=start, gradient={}, steps=(), planned=len(losses) - 1, agreed=0, checked=0, verdict="agrees",
        final=Final(len(losses) - 1, losses[-1], end), diagnosis=(), notes=(), interrupted=False, curve=curve,
    )  # fmt: skip


def spiral(count: int = 30) -> Training:
    """A run of two parameters that turns towards the origin."""
    values = [(0.9**k * math.cos(k), 0.9**k * math.sin(k)) for k in range(count)]
    return training([x * x + y * y for x, y in values], values)


def bowl(names: tuple[str, str] = NAMES, shift: float = 0.0) -> Contours:
    """The loss x² + y² + shift on a grid."""
    ticks = tuple(k / 4 - 1.5 for k in range(13))
    return Contours(names, ticks, ticks, tuple(tuple(x * x + y * y + shift for x in ticks) for y in ticks))


def texts(picture: bytes) -> list[str]:
    """All texts of an SVG."""
    found = ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(element.itertext()) for element in found]


@pytest.mark.parametrize("contours", [None, bowl(), bowl(NAMES[::-1])], ids=["without", "with", "turned"])
def test_an_svg_is_text_and_xml_and_always_the_same(contours: Contours | None) -> None:
    picture = draw(spiral(), contours, ".svg")
    assert picture == draw(spiral(), contours, ".svg")
    shown = texts(picture)
    assert {
        "SGD, lr = 0.1",
        "L = ($x$ - <λ>)**2 & 損失",
        "steps made",
        "loss, log scale",
        "start",
        "end",
        *NAMES,
    } <= set(shown)
    for unwanted in (b"<script", b"<dc:date", b"javascript", b"onload", b"mathdefault"):
        assert unwanted not in picture


def test_a_png_is_one() -> None:
    picture = draw(spiral(), bowl(), ".png")
    assert picture.startswith(PNG)
    assert picture == draw(spiral(), bowl(), ".png")
    assert int.from_bytes(picture[16:20]) == 1500


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="no picture format"):
        draw(spiral(), None, ".pdf")


@pytest.mark.parametrize("suffix", [".svg", ".png"])
@pytest.mark.parametrize(("losses", "values"), [
    ([4.0], [(1.0, 2.0)]),
    ([0.25] * 5, [(1.0, 2.0)] * 5),
    ([4.0, 1e-9, 0.0], [(1.0,), (0.1,), (0.0,)]),
    ([math.nan] * 3, [(math.nan, math.inf)] * 3),
    ([math.nan] * 3, [(math.nan,)] * 3),
    ([5e-324, 1.7e308, math.inf], [(1e300, -1e308), (-1e300, 5e-324), (math.inf, math.nan)]),
    ([-1e308, 1e308], [(1e308,), (-1e308,)]),
    ([4.0, 400.0], [(1.0, -1e9, 1e200), (0.0, 1e9, -1e250)]),
    ([1.0, 2.0], [(0.5,) * 20, (0.25,) * 20]),
    ([1.0, 1.0 + 1e-16], [(1.0, 1.0), (1.0, 1.0 + 2.3e-16)]),
    ([1.0], [()]),
])  # fmt: skip
def test_any_numbers_are_drawn_without_a_word(
    suffix: str,
    losses: list[float],
    values: list[tuple[float, ...]],
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    run = training(losses, values, tuple(f"損{k}" for k in range(len(values[0]))))
    assert len(draw(run, None, suffix)) > 1000
    assert capfd.readouterr() == ("", "")
    assert not list(recwarn)


@pytest.mark.parametrize("losses", [
    ((math.nan, 1.0), (math.inf, 2.0)),
    ((math.nan, math.nan), (math.nan, math.nan)),
    ((0.0, 0.0), (0.0, 0.0)),
    ((1e-300, 1e300), (5e-324, 1e308)),
    ((-1e308, 1e308), (0.0, 1.0)),
])  # fmt: skip
def test_any_contours_are_drawn(losses: tuple[tuple[float, ...], ...]) -> None:
    contours = Contours(NAMES, (-1.0, 1.0), (-1.0, 1.0), losses)
    assert draw(spiral(), contours, ".png").startswith(PNG)


def test_what_is_left_out_is_said() -> None:
    run = training([1.0, 2.0, math.inf, math.nan, math.nan], [(1.0, 1.0)] * 3 + [(math.nan, 1.0)] * 2)
    shown = texts(draw(run, None, ".svg"))
    assert "inf at step 2, nan from step 3 on" in shown
    assert "nan from step 3 on" in shown
    grown = training([1.0] * 9, [((-5.0) ** k, 0.0) for k in range(9)])
    for contours in (None, bowl()):
        shown = texts(draw(grown, contours, ".svg"))
        assert f"leaves the picture at step {1 if contours else 3}" in shown
        assert "end" not in shown


def test_runs_compared_share_the_axes_and_have_a_legend() -> None:
    other = replace(spiral(20), label="_lr $0.5$ <b>")
    both = replace(spiral(), label="lr 0.1", comparison=(other,))
    shown = texts(draw(both, bowl(), ".svg"))
    assert shown.count("lr 0.1") == shown.count("_lr $0.5$ <b>") == 2
    assert "SGD, lr = 0.1" not in shown
    values = [(1.0, 2.0, 3.0)] * 4
    run = training([4.0, 3.0, 2.0, 1.0], values, ("_a", "b", "c"))
    shown = texts(draw(replace(run, label="one", comparison=(replace(run, label="two"),)), None, ".svg"))
    assert {"_a", "b", "c", "one", "two"} <= set(shown)


def test_a_picture_leaves_no_trace() -> None:
    import matplotlib

    settings, level = dict(matplotlib.rcParams), logging.getLogger("matplotlib").level
    matplotlib.rcParams["lines.linewidth"] = 9.0
    try:
        changed = draw(spiral(), None, ".svg")
        assert matplotlib.rcParams["lines.linewidth"] == 9.0
    finally:
        matplotlib.rcParams["lines.linewidth"] = settings["lines.linewidth"]
    assert changed == draw(spiral(), None, ".svg")
    assert dict(matplotlib.rcParams) == settings
    assert logging.getLogger("matplotlib").level == level


def test_a_long_run_stays_a_small_file() -> None:
    values = [(math.cos(k / 9), math.sin(k / 7)) for k in range(2000)]
    run = training([2 + math.sin(k / 5) for k in range(2000)], values)
    assert len(draw(run, bowl(), ".svg")) < 500_000
