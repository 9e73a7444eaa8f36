"""Training: bit for bit what a plain loop of PyTorch does, every step explained with the numbers that it really had."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gradexplain
from gradexplain.errors import OptionError, PointError
from gradexplain.output.formats import Look
from gradexplain.output.training.table import write
from gradexplain.training import optimizers
from gradexplain.training.curvature import largest_rate
from gradexplain.training.optimizers import OPTIMIZERS, OptimizerRow, evaluate
from gradexplain.training_records import Training

SCHEMA = json.loads((Path(__file__).parent.parent / "docs" / "training.schema.json").read_text(encoding="utf-8"))
LINE = "y_pred = w*x + b; loss = (y - y_pred)**2"
POINTS = {"x": [1.0, 2.0, 3.0, 4.0, 5.0], "y": [3.1, 4.9, 7.2, 9.1, 10.8]}
# Three parameters, and not quadratic.
HARD = "(w - 3)**2 + (u*w - 1)**4 + exp(q*u)"
START = {"w": 1.0, "u": 0.3, "q": 0.2}


def hard(w: Any, u: Any, q: Any) -> Any:
    return (w - 3) ** 2 + (u * w - 1) ** 4 + torch.exp(q * u)


OTHERS: list[tuple[str, dict[str, float], Callable[[list[Any]], Any]]] = [
    ("sgd", {"lr": 0.01}, lambda p: torch.optim.SGD(p, lr=0.01)),
    ("sgd", {"lr": 0.01, "weight_decay": 0.1}, lambda p: torch.optim.SGD(p, lr=0.01, weight_decay=0.1)),
    ("momentum", {"lr": 0.01}, lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9)),
    ("momentum", {"lr": 0.01, "momentum": 0.0}, lambda p: torch.optim.SGD(p, lr=0.01)),
    ("sgd", {"lr": 0.01, "momentum": 0.5}, lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.5)),
    ("nesterov", {"lr": 0.01}, lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True)),
    ("adam", {"lr": 0.01}, lambda p: torch.optim.Adam(p, lr=0.01)),
    ("adam", {"lr": 0.01, "weight_decay": 0.1}, lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1)),
    ("adamw", {}, lambda p: torch.optim.AdamW(p)),
    ("adamw", {"lr": 0.01, "weight_decay": 0.0}, lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0)),
    ("rmsprop", {}, lambda p: torch.optim.RMSprop(p)),
    ("rmsprop", {"momentum": 0.9}, lambda p: torch.optim.RMSprop(p, momentum=0.9)),
    ("adagrad", {}, lambda p: torch.optim.Adagrad(p)),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "options", "make"), OTHERS, ids=[f"{n}-{o}" for n, o, _ in OTHERS])
def test_200_steps_end_on_the_bits_of_torch_optim(
    name: str, options: dict[str, float], make: Callable[[list[Any]], Any], dtype: str
) -> None:
    parameters = [torch.tensor(v, dtype=getattr(torch, dtype), requires_grad=True) for v in START.values()]
    optimizer = make(parameters)
    for _ in range(200):
        optimizer.zero_grad()
        hard(*parameters).backward()
        optimizer.step()
    found = gradexplain.train(
        HARD,
        START,
        params="w,u,q",
        optimizer=name,
        steps=200,
        dtype=dtype,
        **options,  # type: ignore[arg-type]
    )
    assert list(found.final.parameters.values()) == [p.item() for p in parameters] and found.verdict == "agrees"
    assert found.final.loss == hard(*parameters).item()
    assert (found.verdict, found.agreed, len(found.steps)) == ("agrees", 200, 200)


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_end_on_the_bits_of_a_plain_loop(shuffle: bool) -> None:
    x, y = (torch.tensor(column, dtype=torch.float64) for column in POINTS.values())
    w, b = (torch.tensor(0.0, dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.SGD([w, b], lr=0.01)
    generator = torch.Generator().manual_seed(7)
    for _ in range(4):
        order = torch.randperm(5, generator=generator) if shuffle else torch.arange(5)
        for rows in order.split(2):
            optimizer.zero_grad()
            ((y[rows] - (w * x[rows] + b)) ** 2).mean().backward()
            optimizer.step()
    found = gradexplain.train(LINE, "w=0,b=0", data=POINTS, lr=0.01, epochs=4, batch_size=2, shuffle=shuffle, seed=7)
    assert list(found.final.parameters.values()) == [w.item(), b.item()]
    assert (found.final.step, found.agreed) == (12, 12)


def test_the_default_problem_reaches_its_minimum_in_one_step() -> None:
    for dtype in ("float64", "float32"):
        found = gradexplain.train(steps=100, dtype=dtype)
        assert found.final.step == 100
        assert found.final.loss == pytest.approx(0, abs=1e-12)
        assert found.final.parameters == pytest.approx({"w": 1.8, "b": 0.4}, rel=1e-6)
        assert (found.verdict, found.agreed, found.checked) == ("agrees", 100, 100)
        assert [entry.name for entry in found.diagnosis] == ["converged"]
        assert found.diagnosis[0].step == 2
    assert {name: entry.symbolic for name, entry in found.gradient.items()} == {
        "w": "-2*x*(y_true - y_pred)", "b": "-2*(y_true - y_pred)",
    }  # fmt: skip


def test_without_zero_grad_every_number_is_that_of_pencil_and_paper() -> None:
    found = gradexplain.train(steps=3, zero_grad=False)
    rows = [
        (s.parameters["w"], s.loss, s.backward["w"], s.held["w"], s.grad["w"], s.update["w"].after) for s in found.steps
    ]
    assert rows == [(1, 4, -8, None, -8, 1.8), (1.8, 0, 0, -8, -8, 2.6), (2.6, 4, 8, -8, 0, 2.6)]
    (stale,) = found.diagnosis
    assert (stale.name, stale.step) == ("stale gradient", 2)
    text = write(found, Look())
    for part in ("-8 + 8 = 0", "-4 + 4 = 0", "the loss was already 0, and the stale gradient of step 1 pushed"):
        assert part in text


def test_the_three_orders() -> None:
    found = gradexplain.train(steps=5, lr=0.03, order="backward-step-zero")
    ends = {run.label: run.final.parameters for run in (found, *found.comparison)}
    assert ends["zero-backward-step"] == ends["backward-step-zero"] != found.parameters
    assert ends["backward-zero-step"] == found.parameters
    third = next(run for run in found.comparison if run.label == "backward-zero-step")
    assert third.diagnosis[0].name == "no gradient"
    assert {value for step in third.steps for value in step.grad.values()} == {None}
    assert third.steps[0].backward == {"w": -8.0, "b": -4.0}
    text = write(found, Look())
    assert "backward-zero-step never moves the parameters: w = 1, b = 0" in text
    assert "end at the same parameters" in text


def test_compare_zero_grad_runs_both_from_the_same_start() -> None:
    found = gradexplain.train(steps=3, compare="zero-grad")
    (other,) = found.comparison
    assert (found.label, other.label) == ("with zero_grad()", "without zero_grad()")
    assert found.steps[0].parameters == other.steps[0].parameters
    assert found.final.parameters != other.final.parameters
    assert other.zero_grad is False


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_accumulation_is_the_gradient_of_the_large_batch(reduction: str) -> None:
    options: dict[str, Any] = {"data": POINTS, "lr": 0.001, "steps": 20, "reduction": reduction}
    whole = gradexplain.train(LINE, "w=0,b=0", **options)
    parts = gradexplain.train(LINE, "w=0,b=0", **options, batch_size=2, accumulate=3)
    assert parts.final.parameters == pytest.approx(whole.final.parameters, rel=1e-12)
    batches = parts.steps[0].batches
    assert [batch.count for batch in batches] == [2, 2, 1]
    assert sum(batch.gradient["w"] or 0.0 for batch in batches) == pytest.approx(whole.steps[0].grad["w"], rel=1e-12)
    assert "3 times backward()" in write(parts, Look())


def test_accumulation_without_data_shares_the_loss() -> None:
    found = gradexplain.train(steps=3, lr=0.02, accumulate=4)
    once = gradexplain.train(steps=3, lr=0.02)
    assert found.final.parameters == once.final.parameters
    assert [batch.gradient["w"] for batch in found.steps[0].batches] == [-2.0] * 4


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_gradient_of_a_batch_is_that_of_its_rows(reduction: str) -> None:
    found = gradexplain.train(LINE, "w=0,b=0", data=POINTS, lr=0.001, steps=2, reduction=reduction)
    (batch,) = found.steps[0].batches
    assert batch.rows == (1, 2, 3, 4, 5)
    assert batch.row_gradient is not None
    assert batch.row_gradient["w"] == pytest.approx(
        [-2 * x * y for x, y in zip(POINTS["x"], POINTS["y"], strict=True)], rel=1e-12
    )
    total = math.fsum(batch.row_gradient["w"]) / (5 if reduction == "mean" else 1)
    assert found.steps[0].grad["w"] == pytest.approx(total, rel=1e-12)


def test_a_large_file_is_summed_up_and_still_checked() -> None:
    data = {"x": [k / 3000 - 1 for k in range(6000)], "y": [3 * (k / 3000 - 1) + 1 for k in range(6000)]}
    found = gradexplain.train(LINE, "w=0,b=0", data=data, lr=0.3, steps=300, every=None)
    assert found.final.parameters == pytest.approx({"w": 3, "b": 1}, rel=1e-6)
    first = found.steps[0]
    assert first.batches[0].rows == ()
    assert first.batches[0].spread is not None
    assert first.batches[0].spread["b"].mean == pytest.approx(first.grad["b"])
    assert {step.verdict for step in found.steps} == {"agrees"}
    assert found.checked == len(found.steps) < 300
    assert "many rows" in write(found, Look())


VERDICTS = [
    ("relu(w*x)", "w=0,x=1", "convention"), ("w*exp(-exp(w*x))", "w=8,x=1", "agrees"),
    ("atan(sqrt(w))", "w=0", "undefined"),
    ("sqrt(w*w*x)", "w=1,x=1", "agrees"), ("(1 - cos(w*x))/(w*x)**2", "w=1e-8,x=1", "precision"),
    ("abs(w) + x", "w=0,x=1", "convention"), ("max(w, x)", "w=1,x=1", "convention"),
]  # fmt: skip


@pytest.mark.parametrize(("formula", "at", "verdict"), VERDICTS)
def test_a_step_has_the_verdict_of_a_derivation_at_its_point(formula: str, at: str, verdict: str) -> None:
    found = gradexplain.train(formula, at, params="w", steps=1)
    derivation = gradexplain.derive(formula, at, wrt="w")
    assert found.steps[0].verdict == derivation.gradient["w"].verdict == verdict


def test_a_doubtful_row_of_many_is_found_and_named() -> None:
    data = {"x": [1.0, 4.0, 2.0, 0.0], "y": [1.0, 1.0, 1.0, 1.0]}
    found = gradexplain.train("(relu(w - x) - y)**2", "w=2", data=data, lr=0.01, steps=2)
    assert found.verdict == "convention"
    assert found.steps[0].began is not None
    assert "row 3" in found.steps[0].began.reason


def test_where_nan_began_is_said() -> None:
    found = gradexplain.train("w*log(w)", "w=2", lr=3.0, steps=5)
    broken = next(entry for entry in found.diagnosis if entry.name == "nan")
    assert broken.step == 2
    assert "log(w)" in broken.text
    assert found.steps[-1].loss != found.steps[-1].loss


def test_a_parameter_that_nothing_reaches_is_named() -> None:
    found = gradexplain.train("(w - 1)**2 + where(u > 0, 1, 2)", "w=0,u=1", params="w,u", steps=2)
    assert found.steps[0].grad["u"] is None
    assert found.diagnosis[0].name == "no gradient"
    assert "u has no .grad" in found.diagnosis[0].text


def test_a_rule_that_does_not_describe_the_optimizer_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the update can fail: a wrong sign in the table is no longer what PyTorch does."""
    row = OPTIMIZERS["sgd"]
    wrong = dataclasses.replace(row, lines=(*row.lines[:-1], optimizers.Line("p", "p + lr*g")))
    monkeypatch.setitem(optimizers.OPTIMIZERS, "sgd", wrong)
    found = gradexplain.train(steps=1, params="w")
    assert found.verdict == found.steps[0].verdict == "disagrees"
    assert found.steps[0].began is not None
    assert "by the rule the new value is 0.2, and PyTorch has 1.8" in found.steps[0].began.reason
    assert "was not moved by its rule" in found.notes[0]


def test_a_wrong_local_derivative_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradexplain.rules import table as rules

    monkeypatch.setitem(rules.RULES, "sub", dataclasses.replace(rules.RULES["sub"], partials=("1", "1")))
    found = gradexplain.train(steps=1)
    assert found.verdict == "disagrees"
    assert found.agreed == 0


@pytest.mark.parametrize("row", OPTIMIZERS.values(), ids=lambda row: row.name)
def test_every_line_of_a_rule_is_a_formula_of_its_names(row: OptimizerRow) -> None:
    known = {"p": 2.0, "g": -3.0, "t": 4.0, "lr": row.lr, **row.settings, **dict.fromkeys(row.state, 0.5)}
    for line in row.lines:
        known[line.name] = evaluate(line.formula, known)
        assert math.isfinite(known[line.name])


@settings(max_examples=15, deadline=None)
@given(
    name=st.sampled_from(["sgd", "momentum", "nesterov"]),
    curvature=st.floats(0.1, 50),
    momentum=st.floats(0.1, 0.8),
    below=st.booleans(),
)
def test_the_largest_rate_divides_what_converges_from_what_does_not(
    name: str, curvature: float, momentum: float, below: bool
) -> None:
    options = {} if name == "sgd" else {"momentum": momentum}
    limit = largest_rate(name, options, curvature)
    assert limit is not None
    rate = limit * (0.97 if below else 1.03)
    found = gradexplain.train("c*w**2/2", {"w": 1.0, "c": curvature}, params="w", optimizer=name, lr=rate, steps=1500,
                              every=None, **options)  # type: ignore[arg-type]  # fmt: skip
    assert (abs(found.final.parameters["w"]) < 1e-3) is below
    assert ("diverging" in {entry.name for entry in found.diagnosis}) is not below
    if not below:
        diverging = next(entry for entry in found.diagnosis if entry.name == "diverging")
        assert diverging.value == pytest.approx(limit, rel=1e-6)


def test_no_largest_rate_for_what_is_not_quadratic() -> None:
    found = gradexplain.train("w**4", "w=3", lr=0.1, steps=4)
    diverging = next(entry for entry in found.diagnosis if entry.name == "diverging")
    assert diverging.value is None
    assert "quadratic" not in diverging.text


def test_oscillation_and_rest_are_told_apart() -> None:
    names = {entry.name for entry in gradexplain.train(lr=0.19, steps=30).diagnosis}
    assert "oscillating" in names
    assert "diverging" not in names
    assert [entry.name for entry in gradexplain.train(lr=0.001, steps=5).diagnosis] == ["decreasing"]
    assert [entry.name for entry in gradexplain.train("floor(w)*w*0", "w=0.5", steps=3).diagnosis] == ["zero gradient"]


def test_until_stops_before_the_step_that_is_not_needed() -> None:
    found = gradexplain.train(lr=0.01, steps=10_000, until=1e-6, every=None)
    assert found.final.loss <= 1e-6 < found.steps[-1].loss
    assert found.steps[-1].step == found.final.step < 1000
    already = gradexplain.train(until=5.0)
    assert (already.final.step, already.steps) == (0, ())
    assert "small enough" in write(already, Look())


def test_thinned_steps_are_the_same_steps() -> None:
    every = gradexplain.train(lr=0.01, steps=100)
    some = gradexplain.train(lr=0.01, steps=100, every=30)
    assert [step.step for step in some.steps] == [1, 30, 60, 90, 100]
    assert all(dataclasses.replace(step, batches=()) == every.steps[step.step - 1] for step in some.steps)
    assert [step.step for step in gradexplain.train(lr=0.01, steps=100, every=None).steps] == [1, 2, 5, 10, 20, 50, 100]


RUNS: dict[str, dict[str, Any]] = {
    "default": {"steps": 100}, "adam": {"optimizer": "adam", "steps": 3}, "stale": {"steps": 3, "zero_grad": False},
    "orders": {"steps": 2, "order": "backward-zero-step"}, "zero-grad": {"steps": 3, "compare": "zero-grad"},
    "diverging": {"lr": 10.0, "steps": 200}, "accumulate": {"accumulate": 2, "steps": 2},
    "data": {"expression": LINE, "at": "w=0,b=0", "data": POINTS, "lr": 0.01, "batch_size": 2},
    "nan": {"expression": "w*log(w)", "at": "w=2", "lr": 3.0, "steps": 5}, "until": {"until": 5.0},
}  # fmt: skip


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_json_is_valid_and_complete(options: dict[str, Any]) -> None:
    found = gradexplain.train(**options)
    text = json.dumps(found.to_dict(), allow_nan=False)
    jsonschema.validate(json.loads(text), SCHEMA)
    for change in ({"verdict": "fine"}, {"steps": None}, {"final": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(found.to_dict() | change, SCHEMA)


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_every_width_shows_the_steps_and_their_arithmetic(options: dict[str, Any], width: int) -> None:
    found = gradexplain.train(**options)
    text = write(found, Look(width))
    from gradexplain.errors import columns

    assert max(map(columns, text.splitlines())) <= width
    whole = write(found, Look())
    arithmetic = [part.strip() for line in whole.splitlines() for part in line.split("  ") if "←" in part]
    squeezed = "".join(text.split())
    assert [part for part in arithmetic if "".join(part.rstrip(",").split()) not in squeezed] == []


def test_it_prints_as_its_table_and_shows_in_a_notebook_escaped() -> None:
    found = gradexplain.train("where(w < 2, (w - 3)**2, w)", "w=1", steps=3)
    assert str(found) == write(found, Look())
    page = found._repr_html_()
    assert "w < 2" not in page
    assert "w &lt; 2" in page
    assert "<script" not in page


def test_a_run_is_the_same_in_a_second_process() -> None:
    """Where PyTorch is loaded already, it runs here; the command runs it elsewhere, with the same numbers."""
    import subprocess
    import sys

    command = [sys.executable, "-m", "gradexplain", "train", HARD, "--at", "w=1,u=0.3,q=0.2", "--params", "w,u,q"]
    done = subprocess.run([*command, "--optimizer", "adam", "--steps", "20", "--json"], capture_output=True, check=True)
    here = gradexplain.train(HARD, START, params="w,u,q", optimizer="adam", steps=20)
    assert json.loads(done.stdout) == json.loads(json.dumps(here.to_dict()))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"expression": "w*x", "at": "w=1,x=2"}, "which inputs are the parameters"),
    ({"expression": "w*x", "at": "x=2", "params": "w"}, "no starting value"),
    ({"expression": "w*x", "at": "w=2", "params": "w"}, "x has no value"),
    ({"expression": "w*x", "at": "w=1,x=2", "params": "q"}, "no input of the formula"),
    ({"expression": "w*x", "at": "w=1,x=2", "params": ""}, "no parameter to train"),
    ({"expression": "w*x", "at": "w=1,x=2", "params": []}, "no parameter to train"),
    ({"expression": "w*x", "at": "w=1,x=2", "params": "w,w"}, "named twice"),
    ({"expression": "log(w)", "at": "w=-1"}, "not finite at the start: L = log\\(w\\) is nan at w = -1"),
    ({"expression": "where(w > 0, 1, 2)", "at": "w=1"}, "no gradient can flow"),
    ({"lr": -0.1}, "the learning rate is -0.1"),
    ({"lr": math.nan}, "the learning rate is nan"),
    ({"steps": 0}, "the number of steps"),
    ({"steps": 1.5}, "the number of steps"),
    ({"steps": True}, "the number of steps"),
    ({"steps": 10**10}, "at most"),
    ({"optimizer": "adamm"}, "unknown optimizer"),
    ({"optimizer": "adam", "momentum": 0.9}, "adam has no setting momentum"),
    ({"optimizer": "adam", "betas": (0.9, 1.0)}, "second beta"),
    ({"optimizer": "nesterov", "momentum": 0.0}, "nesterov needs a momentum"),
    ({"dtype": "float8"}, "unknown dtype"),
    ({"order": "step"}, "unknown order"),
    ({"reduction": "median"}, "unknown reduction"),
    ({"compare": "lr"}, "unknown comparison"),
    ({"zero_grad": False, "order": "backward-zero-step"}, "no order to choose"),
    ({"epochs": 2}, "epochs without data"),
    ({"batch_size": 2}, "a batch size without data"),
    ({"shuffle": True}, "nothing to shuffle"),
    ({"until": math.inf}, "the loss to stop at"),
    ({"seed": -1}, "the seed"),
    ({"accumulate": 0}, "batches to accumulate"),
    ({"data": POINTS}, "data needs a formula"),
    ({"expression": LINE, "at": "w=0,b=0", "data": POINTS, "params": "w,x"}, "x is a parameter and a column"),
    ({"expression": LINE, "at": "w=0,b=0,x=1", "data": POINTS}, "is a column of the data and has a value"),
    ({"expression": LINE, "at": "w=0,b=0", "data": {"x": [1.0]}}, "y has no value and is no column"),
    ({"expression": LINE, "at": "w=0,b=0,x=1,y=1", "data": {"z": [1.0]}}, "no input of the formula is a column"),
    ({"expression": LINE, "at": "w=0,b=0", "data": {"x": [1.0, 2.0], "y": [1.0]}}, "2 rows"),
    ({"expression": "log(w*x)", "at": "w=1", "data": {"x": [1.0, -2.0]}}, "v1 = -2 in row 2"),
    ({"expression": "x*y", "data": POINTS}, "every input is a column"),
    ({"expression": LINE, "at": "w=0,b=0", "data": POINTS, "steps": 3, "epochs": 2}, "both given"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=[str(k) for k in range(len(BAD))])
def test_what_makes_no_sense_is_refused_with_one_message(options: dict[str, Any], message: str) -> None:
    with pytest.raises((OptionError, PointError), match=message) as caught:
        gradexplain.train(**options)
    assert len(str(caught.value).splitlines()) <= 4


def test_functions_keep_their_names_whatever_is_imported() -> None:
    import gradexplain.derive
    import gradexplain.train

    assert callable(gradexplain.derive)
    assert callable(gradexplain.train)


def test_the_curve_of_a_long_run_is_thinned_and_complete() -> None:
    found: Training = gradexplain.train(lr=0.01, steps=5_000, every=None)
    steps = [step for step, *_ in found.curve]
    assert (steps[0], steps[-1]) == (0, 5_000)
    assert len(steps) <= 2_001
    assert steps == sorted(set(steps))
