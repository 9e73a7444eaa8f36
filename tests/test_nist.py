"""Real regression problems with published answers: training reaches the parameters that NIST certifies, to 6 digits.

The problems are all those of lower difficulty in NIST's Statistical Reference Datasets; `nist/README.md` has the
sources. NIST certifies 11 digits of every parameter and of the residual sum of squares.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

import gradexplain

FOLDER = Path(__file__).with_name("nist")
# Half a unit of the sixth digit, for the digits where that is least: 999999.
SIX_DIGITS = 5e-7


class Problem(NamedTuple):
    """What NIST publishes of one problem: the model of `y`, the two starts, the certified values b1, b2, …"""

    model: str
    starts: tuple[tuple[float, ...], tuple[float, ...]]
    certified: tuple[float, ...]
    residual_sum: float


EXPONENTIAL = "b1*(1 - exp(-b2*x))"
ULTRASONIC = "exp(-b1*x)/(b2 + b3*x)"
TWO_GAUSSIANS = "b1*exp(-b2*x) + b3*exp(-(x - b4)**2/b5**2) + b6*exp(-(x - b7)**2/b8**2)"
THREE_EXPONENTIALS = "b1*exp(-b2*x) + b3*exp(-b4*x) + b5*exp(-b6*x)"

PROBLEMS = {
    "Misra1a": Problem(
        EXPONENTIAL,
        ((500, 0.0001), (250, 0.0005)),
        (2.3894212918e02, 5.5015643181e-04),
        1.2455138894e-01,
    ),
    "Misra1b": Problem(
        "b1*(1 - (1 + b2*x/2)**-2)",
        ((500, 0.0001), (300, 0.0002)),
        (3.3799746163e02, 3.9039091287e-04),
        7.5464681533e-02,
    ),
    "Chwirut1": Problem(
        ULTRASONIC,
        ((0.1, 0.01, 0.02), (0.15, 0.008, 0.010)),
        (1.9027818370e-01, 6.1314004477e-03, 1.0530908399e-02),
        2.3844771393e03,
    ),
    "Chwirut2": Problem(
        ULTRASONIC,
        ((0.1, 0.01, 0.02), (0.15, 0.008, 0.010)),
        (1.6657666537e-01, 5.1653291286e-03, 1.2150007096e-02),
        5.1304802941e02,
    ),
    "DanWood": Problem(
        "b1*x**b2",
        ((1, 5), (0.7, 4)),
        (7.6886226176e-01, 3.8604055871e00),
        4.3173084083e-03,
    ),
    "Gauss1": Problem(
        TWO_GAUSSIANS,
        ((97.0, 0.009, 100.0, 65.0, 20.0, 70.0, 178.0, 16.5), (94.0, 0.0105, 99.0, 63.0, 25.0, 71.0, 180.0, 20.0)),
        (9.8778210871e01, 1.0497276517e-02, 1.0048990633e02, 6.7481111276e01,
         2.3129773360e01, 7.1994503004e01, 1.7899805021e02, 1.8389389025e01),
        1.3158222432e03,
    ),
    "Gauss2": Problem(
        TWO_GAUSSIANS,
        ((96.0, 0.009, 103.0, 106.0, 18.0, 72.0, 151.0, 18.0), (98.0, 0.0105, 103.0, 105.0, 20.0, 73.0, 150.0, 20.0)),
        (9.9018328406e01, 1.0994945399e-02, 1.0188022528e02, 1.0703095519e02,
         2.3578584029e01, 7.2045589471e01, 1.5327010194e02, 1.9525972636e01),
        1.2475282092e03,
    ),
    "Lanczos3": Problem(
        THREE_EXPONENTIALS,
        ((1.2, 0.3, 5.6, 5.5, 6.5, 7.6), (0.5, 0.7, 3.6, 4.2, 4, 6.3)),
        (8.6816414977e-02, 9.5498101505e-01, 8.4400777463e-01, 2.9515951832e00, 1.5825685901e00, 4.9863565084e00),
        1.6117193594e-08,
    ),
}  # fmt: skip

# One learning rate serves all parameters of a run, and NIST's differ in size by up to 10**6. So the formula says
# b1 = 5*p1 and so on, and the p are what is trained, from NIST's start. The factors are such that a change of 1 in any
# p changes the predictions by about 1 (root mean square) at the answer. That leaves condition numbers of the curvature
# from 20 (Gauss1) to 1,800 (Misra1b), which decide the momentum and the number of steps.
SCALES = {
    "Misra1a": (5, 1e-5),
    "Misra1b": (7, 1e-5),
    "Chwirut1": (0.02, 3e-4, 5e-4),
    "Chwirut2": (0.02, 3e-4, 5e-4),
    "DanWood": (0.2, 0.5),
    "Gauss1": (3, 4e-4, 3, 0.7, 0.8, 3, 0.8, 1),
    "Gauss2": (3, 4e-4, 3, 0.7, 0.8, 3, 0.8, 1),
}


class Fit(NamedTuple):
    """One run: the problem, the number of NIST's start, the optimizer, its settings, how many steps."""

    problem: str
    start: int
    optimizer: str
    settings: Mapping[str, float]
    steps: int


FITS = (
    Fit("Misra1a", 1, "momentum", {"lr": 0.2, "momentum": 0.95}, 2000),
    Fit("Misra1a", 2, "nesterov", {"lr": 0.2, "momentum": 0.95}, 2000),
    Fit("Misra1b", 1, "momentum", {"lr": 0.3, "momentum": 0.95}, 1500),
    Fit("Misra1b", 2, "momentum", {"lr": 0.3, "momentum": 0.95}, 1500),
    Fit("Chwirut1", 1, "momentum", {"lr": 0.2, "momentum": 0.9}, 600),
    Fit("Chwirut1", 2, "momentum", {"lr": 0.2, "momentum": 0.9}, 600),
    Fit("Chwirut2", 1, "nesterov", {"lr": 0.1, "momentum": 0.9}, 800),
    Fit("Chwirut2", 2, "nesterov", {"lr": 0.1, "momentum": 0.9}, 800),
    Fit("DanWood", 1, "momentum", {"lr": 0.1, "momentum": 0.9}, 1000),
    Fit("DanWood", 2, "momentum", {"lr": 0.3, "momentum": 0.9}, 500),
    Fit("DanWood", 2, "adam", {"lr": 0.02}, 1500),
    Fit("Gauss1", 1, "adam", {"lr": 0.1}, 800),
    Fit("Gauss1", 2, "sgd", {"lr": 0.2}, 500),
    Fit("Gauss2", 1, "nesterov", {"lr": 0.1, "momentum": 0.7}, 400),
    Fit("Gauss2", 2, "adagrad", {"lr": 1}, 1000),
)


def path_of(problem):
    return FOLDER / f"{problem}.csv"


def read_rows(problem):
    header, *lines = path_of(problem).read_text(encoding="utf-8").splitlines()
    assert header == "y,x"
    return [tuple(map(float, line.split(","))) for line in lines]


def scaled(problem):
    """The formula of a problem in its scaled parameters."""
    steps = [f"b{i} = {factor}*p{i}" for i, factor in enumerate(SCALES[problem], 1)]
    return "; ".join([*steps, f"y_pred = {PROBLEMS[problem].model}", "loss = (y - y_pred)**2"])


def start_of(fit):
    values = PROBLEMS[fit.problem].starts[fit.start - 1]
    return {f"p{i}": b / factor for i, (b, factor) in enumerate(zip(values, SCALES[fit.problem], strict=True), 1)}


def check(problem, parameters, loss):
    """The parameters b1, b2, … and the mean loss are those that NIST certifies."""
    row = PROBLEMS[problem]
    assert parameters == pytest.approx(row.certified, rel=SIX_DIGITS, abs=0)
    assert loss * len(read_rows(problem)) == pytest.approx(row.residual_sum, rel=SIX_DIGITS, abs=0)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_data_and_the_certified_values_belong_together(problem):
    """In Python's own arithmetic the certified parameters leave the certified residual sum, to all of its digits."""
    row = PROBLEMS[problem]
    names = {"exp": math.exp} | {f"b{i}": value for i, value in enumerate(row.certified, 1)}
    residual_sum = math.fsum((y - eval(row.model, {**names, "x": x})) ** 2 for y, x in read_rows(problem))
    assert f"{residual_sum:.10e}" == f"{row.residual_sum:.10e}"


@pytest.mark.parametrize("fit", FITS, ids=lambda fit: f"{fit.problem}-{fit.start}-{fit.optimizer}")
def test_training_reaches_the_certified_values(fit):
    training = gradexplain.train(
        scaled(fit.problem), at=start_of(fit), data=path_of(fit.problem), optimizer=fit.optimizer, steps=fit.steps,
        every=None, **fit.settings,
    )  # fmt: skip
    assert training.verdict == "agrees"
    parameters = [factor * training.final.parameters[f"p{i}"] for i, factor in enumerate(SCALES[fit.problem], 1)]
    check(fit.problem, parameters, training.final.loss)


def test_lanczos3_reaches_the_certified_values():
    """The hardest of these problems: three exponentials so alike that the curvature's condition number is 1e8.

    Trained are the amplitudes b1 and b3 and, in place of b5, the sum of all three, which is the value at x = 0 and so
    what the data determine best; by this the condition number is 2e7. Two runs from NIST's second start, one after the
    other: with a large momentum from the outset the exponents run away and two of the exponentials become one. So the
    first run goes down into the valley, and the second, with the momentum that the condition number asks for, along it.
    """
    formula = (
        "b1 = 1.5*p1; b2 = 10*p2; b3 = 4*p3; b4 = 5*p4; b5 = total - b1 - b3; b6 = 7.5*p6; "
        f"y_pred = {THREE_EXPONENTIALS}; loss = (y - y_pred)**2"
    )
    b1, b2, b3, b4, b5, b6 = PROBLEMS["Lanczos3"].starts[1]
    at = {"p1": b1 / 1.5, "p2": b2 / 10, "p3": b3 / 4, "p4": b4 / 5, "total": b1 + b3 + b5, "p6": b6 / 7.5}
    for settings, steps in (({"lr": 0.012, "momentum": 0.8}, 3_000), ({"lr": 1.2, "momentum": 0.9994}, 61_000)):
        training = gradexplain.train(
            formula, at=at, data=path_of("Lanczos3"), optimizer="momentum", steps=steps, every=None, **settings
        )
        assert training.verdict == "agrees"
        at = training.final.parameters
    b1, b3 = 1.5 * at["p1"], 4 * at["p3"]
    parameters = [b1, 10 * at["p2"], b3, 5 * at["p4"], at["total"] - b1 - b3, 7.5 * at["p6"]]
    check("Lanczos3", parameters, training.final.loss)


def test_the_command_line_reaches_the_certified_values():
    """The whole command: a data file, a start as constant expressions, JSON."""
    fit = Fit("DanWood", 2, "momentum", {"lr": 0.3, "momentum": 0.9}, 500)
    command = [
        sys.executable, "-m", "gradexplain", "train", scaled(fit.problem), "--data", str(path_of(fit.problem)),
        "--at", "p1=0.7/0.2,p2=4/0.5", "--optimizer", "momentum", "--lr", "0.3", "--momentum", "0.9",
        "--steps", "500", "--json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    final = json.loads(done.stdout)["final"]
    check(fit.problem, [0.2 * final["parameters"]["p1"], 0.5 * final["parameters"]["p2"]], final["loss"])
    in_python = gradexplain.train(
        scaled(fit.problem), at=start_of(fit), data=path_of(fit.problem), optimizer=fit.optimizer, steps=fit.steps,
        every=None, **fit.settings,
    )  # fmt: skip
    assert final == in_python.to_dict()["final"]
