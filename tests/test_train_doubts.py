"""What a training run must not call fine: errors behind other rows, sums, small numbers and half precision."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
from typing import Any

import pytest
import torch

import gradexplain
from gradexplain.errors import OptionError, PointError
from gradexplain.output.formats import Look
from gradexplain.output.training.table import write
from gradexplain.rules import table as rules
from gradexplain.training import optimizers
from gradexplain.training.optimizers import OPTIMIZERS, Line
from gradexplain.training_records import Training

COMMAND = [sys.executable, "-m", "gradexplain", "train"]


def wrong_rule(monkeypatch: pytest.MonkeyPatch, name: str, *partials: str) -> None:
    monkeypatch.setitem(rules.RULES, name, dataclasses.replace(rules.RULES[name], partials=partials))


def names(training: Training) -> set[str]:
    return {entry.name for entry in training.diagnosis}


def command(*arguments: str, status: int = 0, given: str = "") -> Any:
    """The JSON of the command, where PyTorch runs in a process of its own."""
    done = subprocess.run([*COMMAND, *arguments, "--json"], input=given.encode(), capture_output=True)
    assert (done.returncode, b"Traceback" in done.stderr) == (status, False), done.stderr.decode()
    return json.loads(done.stdout)


def test_a_kink_in_one_row_does_not_hide_a_wrong_derivative_in_another(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_rule(monkeypatch, "sin", "0.7*cos(a)")
    data = {"x": [1.0, 0.0], "z": [1.0, 0.0]}
    found = gradexplain.train("relu(w*z) + sin(w*x)", {"w": 1}, params="w", data=data, lr=0.1, steps=1)
    assert found.verdict == "disagrees"
    assert found.steps[0].began is not None
    assert "row 1" in found.steps[0].began.reason


@pytest.mark.parametrize(
    ("column", "dtype"), [([100.0] * 2000, "float16"), ([1e308, 1e308], "float64")], ids=["float16", "float64"]
)
def test_a_sum_of_rows_that_leaves_the_range_is_seen_though_every_row_is_fine(column: list[float], dtype: str) -> None:
    found = gradexplain.train("w*x", {"w": 0}, params="w", data={"x": column}, reduction="sum", dtype=dtype, lr=1e-6,
                              steps=1)  # fmt: skip
    assert found.steps[0].backward["w"] == float("inf")
    assert found.verdict == "nonfinite"
    assert "the sum over the rows" in write(found, Look()) + "".join(found.notes)


@pytest.mark.parametrize("turned", [False, True])
def test_nan_in_any_batch_of_a_step_is_seen(turned: bool) -> None:
    data = {"x": [1.0, 2.0, 3.0, 4.0], "z": [-1.0, 1.0, 1.0, 1.0]}
    data = {name: column[::-1] if turned else column for name, column in data.items()}
    found = gradexplain.train("w*x + where(z > 0, sqrt(z*w), 0*w)", {"w": 1}, params="w", data=data, lr=0.1,
                              batch_size=2, accumulate=2, steps=1)  # fmt: skip
    assert found.verdict == "nonfinite"


def test_the_same_parameters_with_other_rows_are_another_step() -> None:
    data = {"x": [0.0, 2.0, 6.0], "z": [1.0, 1.0, -1.0]}
    found = gradexplain.train("relu(w*x) + where(z > 0, sqrt(z*w), 0*w)", {"w": 1}, params="w", data=data,
                              batch_size=1, lr=0, steps=3)  # fmt: skip
    assert found.steps[2].verdict == "nonfinite"


def test_a_mean_in_half_precision_is_compared_without_its_overflow() -> None:
    data = {"x": [100.0] * 2000}
    found = gradexplain.train("w*x", {"w": 0}, params="w", data=data, dtype="float16", lr=1e-6, steps=1)
    assert found.steps[0].backward["w"] == pytest.approx(100, rel=1e-2)
    assert found.verdict == "agrees"


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_wrong_update_rule_is_caught_in_every_dtype(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = OPTIMIZERS[name]
    lines = tuple(
        Line(line.name, line.formula.replace(" - lr*", " + lr*"), line.when) if line.name == "p" else line
        for line in row.lines
    )
    options: dict[str, Any] = {"at": {"w": 1}, "optimizer": name, "lr": 0.1, "steps": 2, "dtype": dtype}
    assert gradexplain.train("(w - 3)**2", **options).verdict == "agrees"
    monkeypatch.setitem(optimizers.OPTIMIZERS, name, dataclasses.replace(row, lines=lines))
    assert gradexplain.train("(w - 3)**2", **options).verdict == "disagrees"


def test_a_wrong_line_before_the_last_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the optimizer keeps is PyTorch's own number, not the rule's."""
    row = OPTIMIZERS["adam"]
    lines = tuple(Line("v", "beta2*v + (1 - beta2)*g", "") if line.name == "v" else line for line in row.lines)
    right = gradexplain.train("(w - 3)**2", {"w": 1}, optimizer="adam", steps=1)
    monkeypatch.setitem(optimizers.OPTIMIZERS, "adam", dataclasses.replace(row, lines=lines))
    found = gradexplain.train("(w - 3)**2", {"w": 1}, optimizer="adam", steps=1)
    assert found.verdict == "disagrees"
    assert found.steps[0].update["w"].state["v"] == right.steps[0].update["w"].state["v"]


def test_adam_in_half_precision_that_divides_by_nothing_is_told() -> None:
    found = gradexplain.train("(w - 3)**2*1e-3", {"w": 2}, optimizer="adam", dtype="float16", steps=1)
    assert found.final.parameters["w"] == float("inf")
    assert found.verdict == "nonfinite"
    assert "float16 holds nothing between 0 and" in "".join(found.notes)


def test_subnormal_numbers_of_half_precision_are_no_disagreement() -> None:
    data = {"x": [1e-3, 2e-3], "y": [1e-3, 2e-3]}
    found = gradexplain.train("(w*x - y)**2", {"w": 0}, data=data, dtype="float16", steps=3, lr=0.1)
    assert "disagrees" not in {step.verdict for step in found.steps}


def test_passing_through_the_minimum_is_no_rest() -> None:
    found = gradexplain.train("(w - 3)**2", {"w": 0}, lr=0.5, optimizer="momentum", steps=2)
    assert "converged" not in names(found)
    stale = gradexplain.train("(w - 3)**2", {"w": 0}, lr=0.5, zero_grad=False, steps=2)
    assert "converged" not in names(stale)


def test_a_decay_moves_what_has_no_gradient() -> None:
    found = gradexplain.train("relu(w)", {"w": -1}, optimizer="adamw", steps=3)
    assert found.final.parameters["w"] != -1
    assert "no parameter moves" not in write(found, Look())


def test_losses_of_different_rows_are_not_compared() -> None:
    targets = [5.0 + (k % 7 - 3) / 3 for k in range(30)]
    found = gradexplain.train("(w - y)**2", {"w": 0}, data={"y": targets}, batch_size=1, reduction="sum", lr=0.01,
                              steps=60)  # fmt: skip
    assert names(found) == {"decreasing"}
    rows = {"y": [0.0, 2.0, 4.0, 6.0]}
    falling = gradexplain.train("(w - y)**2", {"w": 0}, data=rows, batch_size=1, lr=0.05, steps=8)
    assert names(falling) == {"decreasing"}
    assert "from 14" in falling.diagnosis[0].text
    early = gradexplain.train("(w - y)**2", {"w": 0}, data={"y": [0.0, 9.0, 9.0]}, batch_size=1, until=0.5)
    assert "in the first batch" in early.diagnosis[0].text
    stale = gradexplain.train("(w - y)**2", {"w": 0}, data={"y": [1.0, 5.0]}, batch_size=1, lr=1e-6, zero_grad=False,
                              steps=4)  # fmt: skip
    assert "stale gradient" not in names(stale)


@pytest.mark.parametrize(
    ("formula", "at", "options"),
    [
        ("(w - b)**4 + w**2 + b**2", "w=2,b=0", {"lr": 1.0, "steps": 4}),
        ("w**2 - b**2", "w=1,b=1e-9", {"lr": 1.5, "steps": 6}),
        ("w**2", "w=1", {"optimizer": "momentum", "momentum": 1.5, "steps": 40}),
    ],
    ids=["quartic", "saddle", "momentum above 1"],
)
def test_no_rate_is_promised_where_there_is_none(formula: str, at: str, options: dict[str, Any]) -> None:
    found = gradexplain.train(formula, at, params=",".join(part[0] for part in at.split(",")), **options)
    diverging = next(entry for entry in found.diagnosis if entry.name == "diverging")
    assert diverging.value is None
    assert "stable" not in diverging.text


@pytest.mark.parametrize("zero_grad", [True, False])
@pytest.mark.parametrize("order", ["zero-backward-step", "backward-step-zero", "backward-zero-step"])
def test_the_heading_names_the_calls_that_were_made(zero_grad: bool, order: str) -> None:
    if not zero_grad and order != "zero-backward-step":
        return
    text = write(gradexplain.train(accumulate=2, zero_grad=zero_grad, order=order, steps=2, lr=0.01), Look())
    line = next(line.strip() for line in text.splitlines() if line.strip().startswith("each step:"))
    calls = {"zero": "zero_grad()", "backward": "2 times backward() of 1/2 of the loss", "step": "step()"}
    expected = [calls[part] for part in order.split("-") if zero_grad or part != "zero"]
    assert line == "each step: " + ", ".join(expected) + ("" if zero_grad else ", and no zero_grad()")


def test_a_kink_that_no_parameter_reaches_is_no_doubt() -> None:
    found = gradexplain.train("relu(z) + (w - 3)**2", {"w": 1, "z": 0}, params="w", lr=0.001, steps=1000, every=None)
    assert (found.agreed, found.verdict) == (1000, "agrees")


def test_more_batches_than_there_are_cannot_be_accumulated() -> None:
    for shuffle in (False, True):
        with pytest.raises(OptionError, match="there are no 2 batches"):
            gradexplain.train("(w - y)**2", {"w": 0}, data={"y": [0, 2, 4]}, accumulate=2, shuffle=shuffle)


def test_a_sum_that_is_out_of_range_at_the_start() -> None:
    with pytest.raises(PointError, match="the sum over the rows is out of the range of float16"):
        gradexplain.train("(w - x)**2", {"w": 0}, data={"x": [10.0] * 3000}, reduction="sum", dtype="float16")


def test_gradients_switched_off_by_the_caller_are_named() -> None:
    with torch.no_grad(), pytest.raises(OptionError, match="gradients are switched off"):
        gradexplain.train(steps=1)
    with torch.inference_mode():
        assert gradexplain.derive("x**2", "x=3").gradient["x"].autograd == 6.0


WRONG_TYPES: list[dict[str, Any]] = [{"lr": "0.1"}, {"betas": (0.9,), "optimizer": "adam"}, {"lr": True}]


@pytest.mark.parametrize("options", WRONG_TYPES, ids=str)
def test_values_of_the_wrong_type_are_refused_in_words(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        gradexplain.train(**options)


def test_where_nothing_moves_any_more_that_is_said() -> None:
    decay = gradexplain.train("(w - 1)**2", {"w": 4}, weight_decay=0.5, steps=300)
    assert names(decay) == {"converged"}
    assert "the weight decay balances the gradient" in decay.diagnosis[0].text
    stuck = gradexplain.train("(w - 3)**2", {"w": 200}, dtype="float16", steps=100)
    assert names(stuck) == {"converged"}
    assert "lost in the rounding of float16" in stuck.diagnosis[0].text
    small = gradexplain.train("(w - 1)**2", {"w": 1}, weight_decay=0.1, steps=3)
    assert "diverging" not in names(small)


def test_a_condition_without_a_variable_chooses_once_for_all() -> None:
    for formula in ("where(1 > 0, w**2, 2*w)", "where(0 > 1, 2*w, w**2)"):
        assert gradexplain.derive(formula, "w=3").gradient["w"].autograd == 6.0
        found = gradexplain.train(formula, {"w": 3}, steps=2)
        assert (found.steps[0].grad["w"], found.verdict) == (6.0, "agrees")


def test_pieces_of_a_loss_have_no_common_curvature() -> None:
    found = gradexplain.train("where(w > 0, w**2, 100*w**2)", {"w": 1000}, lr=0.9, steps=40)
    assert all("stable" not in entry.text for entry in found.diagnosis)


@pytest.mark.parametrize(
    ("options", "step", "words"),
    [
        ({"lr": 1e300, "steps": 5}, 2, "loss = v2**2 is inf at v2 = "),
        ({"expression": "log(w)", "at": "w=1", "lr": 0.4, "steps": 5}, 3, "L = log(w) has no finite value here: nan"),
        ({"expression": "w*log(w)", "at": "w=0.5", "lr": 3.0, "steps": 3}, 2, "log(w)"),
    ],
)
def test_where_the_first_number_that_is_not_finite_began(options: dict[str, Any], step: int, words: str) -> None:
    found = gradexplain.train(**options)
    broken = next(entry for entry in found.diagnosis if entry.name == "nan")
    assert (broken.step, words in broken.text) == (step, True), broken.text


def test_a_loss_without_end_is_no_growth() -> None:
    found = gradexplain.train("w**3", {"w": -1}, lr=1.0, steps=30)
    assert any("without end" in entry.text for entry in found.diagnosis)


def test_until_says_that_it_was_reached_and_looks_for_long_enough() -> None:
    found = gradexplain.train(lr=0.005, until=1e-9, every=None)
    assert found.diagnosis[0].name == "done"
    assert 10 < found.final.step < 10_000
    assert found.final.loss <= 1e-9


def test_half_precision_says_that_its_arithmetic_is_rounded() -> None:
    assert "rounds every number to float16" in write(gradexplain.train(steps=2, dtype="float16"), Look())


# Through the real command, where PyTorch runs in a second process.


def test_a_loss_that_diverges_and_is_not_quadratic() -> None:
    found = command("w**4", "--at", "w=3", "--lr", "0.1", "--steps", "4")
    assert found["diagnosis"][0]["name"] == "diverging"


def test_nan_is_an_exit_status_of_its_own() -> None:
    done = subprocess.run([*COMMAND, "--lr", "1e300", "--steps", "5"], capture_output=True)
    assert done.returncode == 1


def test_parameters_may_have_the_names_of_columns() -> None:
    arguments = ["(loss*2 - step)**2", "--at", "loss=1.5,step=2", "--params", "loss,step", "--format", "csv"]
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True)
    head = done.stdout.splitlines()[0].split(",")
    assert len(head) == len(set(head)) == 11


def test_a_plot_of_a_run_that_leaves_every_range(tmp_path: Any) -> None:
    done = subprocess.run([*COMMAND, "--lr", "10", "--steps", "240", "--plot", str(tmp_path / "a.svg")],
                          capture_output=True)  # fmt: skip
    assert b"Traceback" not in done.stderr
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")


def test_an_infinite_sum_at_the_start_is_one_message(tmp_path: Any) -> None:
    (tmp_path / "a.csv").write_text("x\n" + "10\n" * 3000)
    arguments = ["(w - x)**2", "--at", "w=0", "--data", str(tmp_path / "a.csv"), "--reduction", "sum"]
    done = subprocess.run([*COMMAND, *arguments, "--dtype", "float16"], capture_output=True)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 2)


SEVERAL = """
import gradexplain
from gradexplain.readings.worker import WITNESSES
from gradexplain.training.options import Request
from gradexplain.training.run import Run
settings = dict.fromkeys(["lr", "momentum", "weight_decay", "beta1", "beta2", "alpha", "eps"])
def run(rate):
    return Run(Request(None, None, None, None, "mean", "sgd", {**settings, "lr": rate}, 3, None, None, False, 0,
                       "float64", True, 1, "zero-backward-step", None, 1))
first, second = run(0.01), run(0.03)
ends = [other.finish().steps[0].update["w"].after for other in (second, first)]
print(*ends)
process = WITNESSES.worker.process
for _ in range(3):
    try:
        gradexplain.train("log(w)", {"w": -1})
    except gradexplain.PointError:
        pass
print(gradexplain.derive("x**2", "x=3").gradient["x"].autograd, WITNESSES.worker.process is process)
"""


def test_two_runs_at_once_and_refused_ones_share_one_process() -> None:
    done = subprocess.run([sys.executable, "-c", SEVERAL], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["1.24 1.08", "6.0 True"], done.stderr


def test_threads_get_their_own_answers() -> None:
    """PyTorch is loaded here, so that each runs in its own thread."""
    found: dict[float, float | None] = {}

    def work(rate: float) -> None:
        found[rate] = gradexplain.train(lr=rate, steps=2).steps[0].update["w"].after

    threads = [threading.Thread(target=work, args=(rate,)) for rate in (0.01, 0.02)]
    for thread in threads:
        thread.start()
        thread.join()
    assert found == {0.01: 1.08, 0.02: 1.16}
