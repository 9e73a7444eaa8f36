"""The loss curve for a terminal: what it shows, and that it fits whatever the losses and the width are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradexplain.errors import columns
from gradexplain.output.training.curve import MAX_WIDTH, draw
from gradexplain.output.training.losses import Curve, Scale, remarks, scale
from gradexplain.training_records import Final, Optimizer, Training

Points = list[tuple[int, float]]


def training(points: Points, label: str = "", comparison: tuple[Training, ...] = ()) -> Training:
    """A run of one parameter with this curve."""
    curve = tuple((step, loss, (1.0,)) for step, loss in points)
    step, loss, _ = curve[-1]
    return Training(
        source="w**2", statements=("L = w**2",), objective="L", dtype="float64",
        optimizer=Optimizer("sgd", {"lr": 0.1}), order="", zero_grad=True, accumulate=1, inputs={}, data=None,
        parameters={"w": 1.0}, gradient={}, steps=(), planned=step, agreed=0, checked=0, verdict="agrees",
        final=Final(step, loss, {"w": 1.0}), diagnosis=(), notes=(), interrupted=False, curve=curve, label=label,
        comparison=comparison,
    )  # fmt: skip


def points(losses: list[float]) -> Points:
    return list(enumerate(losses))


def sampled() -> st.SearchStrategy[Points]:
    """Curves with steps in order and any losses."""
    steps = st.lists(st.integers(0, 10**7), min_size=1, max_size=40, unique=True).map(sorted)
    return steps.flatmap(
        lambda found: st.lists(st.floats(), min_size=len(found), max_size=len(found)).map(
            lambda losses: list(zip(found, losses, strict=True))
        )
    )


@settings(max_examples=300, deadline=None)
@given(sampled(), st.integers(2, 200), st.integers(1, 20), st.booleans())
def test_any_curve_fits_and_names_its_first_and_last_step(curve: Points, width: int, height: int, plain: bool) -> None:
    lines = draw(training(curve), width, height, plain)
    assert all(columns(line) <= min(width, MAX_WIDTH) and line.isprintable() for line in lines)
    text = "".join(line.strip() for line in lines)
    assert str(curve[0][0]) in text
    assert str(curve[-1][0]) in text
    assert not plain or text.isascii()


@settings(max_examples=200, deadline=None)
@given(sampled(), sampled(), st.text(min_size=1), st.integers(2, 100), st.booleans())
def test_any_two_curves_fit(first: Points, second: Points, label: str, width: int, plain: bool) -> None:
    lines = draw(training(first, "SGD", (training(second, label),)), width, 8, plain)
    assert all(columns(line) <= width and line.isprintable() for line in lines)
    assert not plain or "".join(lines).isascii()


def test_a_curve_as_a_whole() -> None:
    losses = [10 ** (-k / 30) for k in range(151)]
    assert draw(training(points(losses)), 60, 6) == [
        "loss, log scale",
        "   1 ┤⠉⠑⠒⠢⠤⠤⣀⣀⡀",
        "     │        ⠉⠉⠙⠒⠒⠤⠤⢄⣀⡀",
        "0.01 ┤                 ⠈⠉⠉⠒⠒⠦⠤⢤⣀⣀",
        "     │                           ⠉⠉⠓⠒⠲⠤⠤⣀⣀⡀",
        "     │                                    ⠈⠉⠑⠒⠒⠤⠤⣄⣀⣀",
        "1e-5 ┤                                             ⠈⠉⠉⠒⠒⠢⠤⢄⣀",
        "     └┬─────────────────┬────────────────┬─────────────────┬",
        "step  0                50               100              150",
    ]
    assert draw(training(points(losses)), 60, 6, encoding_is_ascii=True) == [
        "loss, log scale",
        "   1 +''---,...",
        "     |        ''''--,...",
        "0.01 +                 ''''---...",
        "     |                           '''---,...",
        "     |                                    ''''--,...",
        "1e-5 +                                             ''''---..",
        "     ++-----------------+----------------+-----------------+",
        "step  0                50               100              150",
    ]


@pytest.mark.parametrize(("losses", "axis"), [
    ([4.0, 1.0], Scale(1.0, 4.0, False, False)),
    ([4.0, 0.01], Scale(0.01, 4.0, True, False)),
    ([4.0, 0.0, 0.0], Scale(0.0, 4.0, False, False)),
    ([4.0, 1e-30, 0.0], Scale(1e-30, 4.0, True, True)),
    ([4.0, -1e-30], Scale(-1e-30, 4.0, False, False)),
    ([5e-324, 1.7e308], Scale(5e-324, 1.7e308, True, False)),
    ([math.nan, 3.0, math.inf], Scale(3.0, 3.0, False, False)),
])  # fmt: skip
def test_the_axis_is_logarithmic_where_the_losses_span_a_factor_of_more_than_a_hundred(
    losses: list[float], axis: Scale
) -> None:
    assert scale(losses) == axis
    lines = draw(training(points(losses)), 80)
    assert lines[0] == axis.title
    assert ("log scale" in lines[0]) == axis.logarithmic


def test_the_ends_of_the_axis_are_the_smallest_and_the_largest_loss() -> None:
    lines = draw(training(points([4.0, 3.0, 1.5])), 60)
    assert lines[1].startswith("   4 ┤●")
    assert lines[8].startswith(" 1.5 ┤")
    assert lines[8].endswith("●")
    assert len(lines[8]) == len(lines[9]) == 60


def test_a_loss_of_0_is_drawn_below_the_smallest_positive_one() -> None:
    lines = draw(training(points([4.0, 1e-3, 1e-6, 0.0, 0.0])), 60)
    assert lines[0] == "loss, log scale, 0 at the bottom"
    assert lines[7].split(" ┤")[0].strip() == "1e-6"
    assert lines[8].split(" ┤")[0].strip() == "0"
    assert lines[8].count("●") == 2


def test_close_losses_have_labels_that_differ() -> None:
    lines = draw(training(points([1.0000002, 1.0000001])), 60)
    assert lines[1].startswith(" 1.0000002 ")
    assert "1.0000001 " in lines[8]


@pytest.mark.parametrize("losses", [[0.25], [0.25] * 50, [math.nan, 0.25, math.nan]])
def test_a_loss_that_stays_the_same_is_one_line_with_one_number(losses: list[float]) -> None:
    lines = draw(training(points(losses)), 60)
    assert [line for line in lines if "0.25" in line] == [lines[2]]
    assert len(lines) <= 7
    assert len(lines[2]) > len("0.25 ┤")


@pytest.mark.parametrize(("losses", "words"), [
    ([1.0, math.nan, math.nan], "nan from step 1 on"),
    ([1.0, math.inf, math.nan, math.nan], "inf at step 1, nan from step 2 on"),
    ([1.0, -math.inf, -math.inf, 2.0], "-inf at steps 1 to 2"),
    ([1.0, math.nan] * 9, "nan at step 1, nan at step 3, not finite at 7 more places"),
    ([1.0, 2.0], ""),
])  # fmt: skip
def test_what_is_left_out_is_said(losses: list[float], words: str) -> None:
    assert remarks(Curve("", tuple(points(losses)))) == words
    lines = draw(training(points(losses)), 80)
    assert lines[-1] == words or not words


def test_without_a_finite_loss_there_is_no_curve() -> None:
    assert draw(training(points([math.nan, math.nan])), 80) == [
        "loss: not finite, steps 0 to 1",
        "nan from step 0 on",
    ]


def test_runs_have_marks_of_their_own_and_a_legend() -> None:
    other = training(points([4.0, 2.0, 1.0, math.inf]), "Adam λ")
    lines = draw(training(points([4.0, 3.0, 2.5, 2.4]), "SGD", (other,)), 80)
    assert lines[-2:] == ["● SGD   × Adam λ", "Adam λ: inf at step 3"]
    assert "".join(lines[1:9]).count("×") == 3
    lines = draw(training(points([4.0, 3.0, 2.5, 2.4]), "SGD", (other,)), 80, encoding_is_ascii=True)
    assert lines[-2:] == ["* SGD   o Adam \\u03bb", "Adam \\u03bb: inf at step 3"]


def test_a_line_is_not_drawn_across_what_is_left_out() -> None:
    lines = draw(training(points([1.0] * 3 + [math.nan] * 3 + [1.0] * 3)), 60)
    assert "●     " in lines[2]


def test_round_steps_are_below_the_axis() -> None:
    lines = draw(training(points([float(k) for k in range(138)])), 60)
    assert lines[-1].split() == ["step", "0", "50", "100", "137"]
    ticks = [k for k, character in enumerate(lines[-2]) if character == "┬"]
    assert len(ticks) == 4
    assert ticks[-1] == 59


def test_too_little_room_is_told_in_words() -> None:
    assert draw(training(points([1.0, 1e-5])), 15) == ["loss between", "1e-5 and 1,", "steps 0 to 1"]
