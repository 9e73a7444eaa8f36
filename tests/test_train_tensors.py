"""`train` on formulas with vectors and matrices, beside plain loops of PyTorch."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_shell import bash, run
from torch.nn import functional

import gradexplain
from gradexplain.errors import ASCII, GradexplainError
from gradexplain.output.formats import TRAINING, Look, writer
from gradexplain.output.training import table
from gradexplain.rules.table import RULES
from gradexplain.tensor import Tensor
from gradexplain.training.starts import INITS
from gradexplain.training_records import Training

LAYER = "y_pred = X @ W.T + b; loss = mse_loss(y_pred, Y)"
X, Y, W, B = [[1.0, 2.0], [3.0, 4.0]], [[3.0], [7.0]], [[0.5, -0.5]], [0.0]
AT = {"X": X, "Y": Y, "W": W, "b": B}
NETWORK = "X = stack([x, x**2], dim=1); h = tanh(X @ W1.T + b1); y_pred = h @ W2 + b2; loss = mse_loss(y_pred, y)"
POINTS = Path(__file__).parent.parent / "docs" / "points.csv"
CLASSES = [[1.0, 2.0], [2.0, 1.0], [0.0, 3.0], [3.0, 0.0], [1.0, 1.0], [-1.0, 0.5]]
LABELS = [0, 1, 0, 1, 2, 2]
ROWS = {
    "x1": [float(i % 7) for i in range(20)],
    "x2": [float(i * 3 % 5) for i in range(20)],
    "y": [i % 7 - 2.0 * (i * 3 % 5) + 1 + 0.1 * (i % 3) for i in range(20)],
}
TORCH = {
    "sgd": lambda ps: torch.optim.SGD(ps, lr=0.02),
    "momentum": lambda ps: torch.optim.SGD(ps, lr=0.02, momentum=0.9),
    "nesterov": lambda ps: torch.optim.SGD(ps, lr=0.02, momentum=0.9, nesterov=True),
    "adam": lambda ps: torch.optim.Adam(ps, lr=0.02),
    "adamw": lambda ps: torch.optim.AdamW(ps, lr=0.02),
    "rmsprop": lambda ps: torch.optim.RMSprop(ps, lr=0.02),
    "adagrad": lambda ps: torch.optim.Adagrad(ps, lr=0.02),
}


def tensors(values: Sequence[Any], dtype: Any = torch.float64) -> list[Any]:
    """Leaves with these values."""
    return [torch.tensor(value, dtype=dtype, requires_grad=True) for value in values]


def loop(parameters: Sequence[Any], loss: Callable[..., Any], optimizer: Any, batches: Sequence[Any]) -> list[Any]:
    """A training loop as anybody writes it; returns the parameters as nested lists."""
    for batch in batches:
        optimizer.zero_grad()
        loss(*parameters, batch).backward()
        optimizer.step()
    return [parameter.detach().tolist() for parameter in parameters]


def ends(training: Training) -> list[Any]:
    """The final parameters in full."""
    assert training.tensors is not None
    finals = [entry.final for entry in training.tensors.values()]
    return [final.nested() if isinstance(final, Tensor) else final for final in finals]


def near(found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    """Nested lists of the same numbers."""
    for one, other in zip(found, expected, strict=True):
        dtype = torch.float64
        one, other = torch.tensor(one, dtype=dtype), torch.tensor(other, dtype=dtype)
        assert one.shape == other.shape and torch.allclose(one, other, rtol=tolerance, atol=tolerance)


def layer(x: Any, y: Any, dtype: Any = torch.float64) -> Callable[..., Any]:
    x, y = torch.tensor(x, dtype=dtype), torch.tensor(y, dtype=dtype)
    return lambda w, b, _: functional.mse_loss(x @ w.T + b, y)


def test_a_linear_layer_converges() -> None:
    training = gradexplain.train(LAYER, AT, params="W,b", lr=0.01, steps=100)
    assert training.agreed == training.checked == 100 and training.verdict == "agrees"
    assert list(training.parameters) == ["W[0, 0]", "W[0, 1]", "b[0]"]
    assert training.gradient["W"].symbolic and training.gradient["b"].symbolic
    first = training.steps[0]
    assert first.grad == {"W[0, 0]": -26.0, "W[0, 1]": -37.0, "b[0]": -11.0} and first.loss == 34.25
    parameters = tensors([W, B])
    expected = loop(parameters, layer(X, Y), torch.optim.SGD(parameters, lr=0.01), range(100))
    assert ends(training) == expected
    assert training.final.loss < 0.01


def test_it_diverges_and_the_largest_stable_rate_is_said() -> None:
    training = gradexplain.train(LAYER, AT, params="W,b", lr=0.1, steps=100)
    entry = next(entry for entry in training.diagnosis if entry.name == "diverging")
    # By hand: the rows of X with a 1 for the bias; the Hessian of a mean over two rows is A.T @ A.
    rows = torch.tensor([[1.0, 2.0, 1.0], [3.0, 4.0, 1.0]], dtype=torch.float64)
    largest = torch.linalg.eigvalsh(rows.T @ rows)[-1].item()
    assert entry.value == pytest.approx(2 / largest, rel=1e-9)
    assert "stable below lr = 0.06325" in entry.text
    stable = gradexplain.train(LAYER, AT, params="W,b", lr=0.0632, steps=2000, every=None)
    assert not [entry for entry in stable.diagnosis if entry.name == "diverging"]


def test_the_curvature_of_many_elements_is_found_by_products() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(12, 200, generator=generator, dtype=torch.float64)
    y = torch.randn(12, generator=generator, dtype=torch.float64)
    training = gradexplain.train("mse_loss(X @ w, y)", {"X": x, "y": y}, params="w", init="w=zeros", shape="w=200",
                                 lr=5.0, steps=20)  # fmt: skip
    (value,) = [entry.value for entry in training.diagnosis if entry.name == "diverging"]
    largest = torch.linalg.eigvalsh(2 * x.T @ x / 12)[-1].item()
    assert value == pytest.approx(2 / largest, rel=1e-6)
    assert list(training.parameters) == ["‖w‖"]


def test_what_is_not_quadratic_has_no_largest_rate() -> None:
    training = gradexplain.train("sum(abs(x*w)**2)", {"x": [1, 2], "w": [1, 1]}, params="w", lr=2, steps=5)
    entry = next(entry for entry in training.diagnosis if entry.name == "diverging")
    assert entry.value is None


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_optimizer_on_a_network(name: str, dtype: str) -> None:
    kind = getattr(torch, dtype)
    generator = torch.Generator().manual_seed(0)
    starts = [torch.empty(shape, dtype=kind) for shape in ((8, 2), (8,), (8,))]
    for start in starts:
        torch.nn.init.normal_(start, 0, 0.5, generator=generator)
    training = gradexplain.train(
        NETWORK, {"b2": 0}, data=POINTS, init="W1=normal(0, 0.5), b1=normal(0, 0.5), W2=normal(0, std=0.5)",
        shape="W1=8x2, b1=8, W2=8", params="W1,b1,W2,b2", optimizer=name, lr=0.02, steps=60, dtype=dtype,
    )  # fmt: skip
    x = torch.tensor([1, 2, 3, 4, 5], dtype=kind)
    y = torch.tensor([3.1, 4.9, 7.2, 9.1, 10.8], dtype=torch.float64).to(kind)

    def loss(w1: Any, b1: Any, w2: Any, b2: Any, _: Any) -> Any:
        rows = torch.stack([x, x**2], dim=1)
        return functional.mse_loss(torch.tanh(rows @ w1.T + b1) @ w2 + b2, y)

    parameters = [start.requires_grad_() for start in starts] + tensors([0.0], kind)
    expected = loop(parameters, loss, TORCH[name](parameters), range(60))
    near(ends(training), expected, 1e-12 if dtype == "float64" else 1e-5)
    assert training.agreed == 60, training.notes
    assert list(training.parameters) == ["‖W1‖", "‖b1‖", "‖W2‖", "b2"]


def test_softmax_regression_on_classes() -> None:
    start = [[0.0, 0.0], [0.1, 0.0], [0.0, -0.1]]
    at = {"X": CLASSES, "y": LABELS, "W": start, "b": [0, 0, 0]}
    training = gradexplain.train("z = X @ W.T + b; loss = cross_entropy(z, y)", at, params="W,b", lr=0.5, steps=50)
    x, y = torch.tensor(CLASSES, dtype=torch.float64), torch.tensor(LABELS)
    parameters = tensors([start, [0.0, 0.0, 0.0]])
    optimizer = torch.optim.SGD(parameters, lr=0.5)
    expected = loop(parameters, lambda w, b, _: functional.cross_entropy(x @ w.T + b, y), optimizer, range(50))
    near(ends(training), expected)
    assert training.agreed == 50 and "softmax" in str(training.gradient["W"].symbolic)
    data = {"a": [row[0] for row in CLASSES], "c": [row[1] for row in CLASSES], "y": LABELS}
    again = gradexplain.train("z = X @ W.T + b; loss = cross_entropy(z, y)", {"W": start, "b": [0, 0, 0]}, data=data,
                              columns="X=a,c", lr=0.5, steps=50)  # fmt: skip
    assert ends(again) == ends(training)


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_have_the_rows_of_every_column(shuffle: bool) -> None:
    training = gradexplain.train("loss = mse_loss(X @ w + b, y)", "w=[0,0],b=0", data=ROWS, columns="X=x1,x2",
                                 batch_size=6, shuffle=shuffle, seed=5, epochs=10, lr=0.02)  # fmt: skip
    x = torch.tensor([ROWS["x1"], ROWS["x2"]], dtype=torch.float64).T
    y = torch.tensor(ROWS["y"], dtype=torch.float64)
    generator = torch.Generator().manual_seed(5)
    batches: list[Any] = []
    for _ in range(10):
        order = torch.randperm(20, generator=generator) if shuffle else torch.arange(20)
        batches += [order[k : k + 6] for k in range(0, 20, 6)]
    parameters = tensors([[0.0, 0.0], 0.0])
    optimizer = torch.optim.SGD(parameters, lr=0.02)
    expected = loop(parameters, lambda w, b, rows: functional.mse_loss(x[rows] @ w + b, y[rows]), optimizer, batches)
    near(ends(training), expected)
    assert training.planned == training.agreed == 40
    assert training.data is not None and training.data.reduction == "batch"
    assert training.data.columns == ("x1", "x2", "y")


def test_accumulation_is_one_large_batch_for_a_mean() -> None:
    asked: dict[str, Any] = {"data": ROWS, "columns": "X=x1,x2", "lr": 0.02, "steps": 3}
    formula = "loss = mse_loss(X @ w + b, y)"
    whole = gradexplain.train(formula, "w=[0,0],b=0", **asked)
    parts = gradexplain.train(formula, "w=[0,0],b=0", batch_size=6, accumulate=4, **asked)
    near(ends(parts), ends(whole))
    assert [batch.count for batch in parts.steps[0].batches] == [6, 6, 6, 2] and parts.agreed == 3
    assert "as is right for a mean" in str(parts)


def test_a_formula_that_needs_the_number_of_rows() -> None:
    """A range of rows has a length only where the number of rows is known."""
    training = gradexplain.train("loss = mean((x1[1:]*w - y[:19])**2)", "w=0", data=ROWS, lr=0.01, steps=2)
    assert training.agreed == 2


def test_without_zero_grad_and_in_other_orders() -> None:
    training = gradexplain.train(LAYER, AT, params="W,b", lr=0.01, steps=3, zero_grad=False)
    parameters = tensors([W, B])
    optimizer, loss = torch.optim.SGD(parameters, lr=0.01), layer(X, Y)
    for _ in range(3):
        loss(*parameters, None).backward()
        optimizer.step()
    near(ends(training), [parameter.tolist() for parameter in parameters])
    second = training.steps[1]
    assert second.held["b[0]"] == -11.0 and second.grad["b[0]"] == pytest.approx(-11.0 + second.backward["b[0]"])
    assert training.agreed == 3
    still = gradexplain.train(LAYER, AT, params="W,b", lr=0.01, steps=2, order="backward-zero-step")
    assert ends(still) == [W, B] and len(still.comparison) == 2
    assert "step() found no .grad" in str(still)
    large = gradexplain.train("sum(w**2)", init="w=ones", shape="w=20", params="w", steps=3, zero_grad=False, lr=0.1)
    assert large.steps[2].grad["‖w‖"] == pytest.approx(math.sqrt(20) * (2 + 1.6 + 0.88))


@pytest.mark.parametrize(("asked", "place", "put", "found"),
                         [({"zero_grad": False}, 1, 4, 6), ({"accumulate": 2}, 0, 2, 3)])  # fmt: skip
@pytest.mark.parametrize("shape", [(2, 2), (5, 4)])
def test_gradients_that_share_memory_are_no_sum(
    asked: dict[str, Any], place: int, put: int, found: int, shape: tuple[int, int]
) -> None:
    """The gradients of both parameters are views of one tensor, and PyTorch adds to each of them in place."""
    at = {name: torch.ones(shape, dtype=torch.float64) for name in "AB"}
    training = gradexplain.train("sum((flatten(A) + flatten(B))**2)/2", at, params="A,B", lr=1e-9, steps=2, **asked)
    one, other = [value.clone().requires_grad_() for value in at.values()]
    for _ in range(2):
        (((one.flatten() + other.flatten()) ** 2).sum() / 2 * (put / 4)).backward()
    # By hand: each is put in twice, and between them what was put into the other one.
    assert one.grad.flatten()[0].item() == other.grad.flatten()[0].item() == found
    wrong, size = training.steps[place], 1.0 if shape == (2, 2) else math.sqrt(20)
    assert next(iter(wrong.grad.values())) == pytest.approx(found * size, rel=1e-6)
    assert training.verdict == wrong.verdict == "disagrees" and wrong.began is not None
    assert "adds up to" in wrong.began.reason and "A.grad and B.grad are views of the same memory" in wrong.began.reason
    text = str(training)
    assert f"= {found} " not in text and (f"{put // 2} + {put // 2} ≠ {found}" in text) == (size == 1.0)
    apart = gradexplain.train("sum((A + B)**2)/2", at, params="A,B", lr=1e-9, steps=2, **asked)
    assert apart.verdict == "agrees"
    assert next(iter(apart.steps[place].grad.values())) == pytest.approx(put * size, rel=1e-6)


@pytest.mark.parametrize("row", INITS.values(), ids=lambda row: row.name)
def test_every_start_is_that_of_torch(row: Any) -> None:
    texts = {"constant": "constant(0.25)", "normal": "normal(1, 1/2)", "uniform": "uniform(-1, high=2)",
            "kaiming_uniform": "kaiming_uniform(mode=fan_out, nonlinearity='relu')"}  # fmt: skip
    text = texts.get(row.name, row.name)
    training = gradexplain.train("sum(W**2)", init={"W": text}, shape={"W": (4, 3)}, params="W", seed=7, steps=1)
    torch.manual_seed(7)
    expected = torch.empty(4, 3, dtype=torch.float64)
    arguments: dict[str, tuple[Any, ...]] = {"constant": (0.25,), "normal": (1, 0.5), "uniform": (-1, 2)}
    named = {"mode": "fan_out", "nonlinearity": "relu"} if row.name == "kaiming_uniform" else {}
    getattr(torch.nn.init, row.torch)(expected, *arguments.get(row.name, ()), **named)
    assert training.tensors is not None
    start = training.tensors["W"].start
    assert isinstance(start, Tensor) and start.nested() == expected.tolist() and training.tensors["W"].init == text


def test_nan_names_the_step_and_the_node() -> None:
    training = gradexplain.train("r = sqrt(x - w); loss = sum(r)", "x=[1,2],w=[0.5,0.5]", params="w", lr=1, steps=3)
    entry = training.diagnosis[0]
    assert (entry.name, entry.step) == ("nan", 2) and "1 element of r = sqrt(x - w) is not finite" in entry.text
    assert training.verdict == "undefined" and training.agreed == 1


@pytest.mark.parametrize("formula", ["where(w > 0, sqrt(w), 0) + w", "sum(where(w > 0, sqrt(w), 0) + w)"])
def test_a_branch_that_was_not_taken_has_a_finite_gradient(formula: str) -> None:
    at: dict[str, Any] = {"w": [-1.0] if formula.startswith("sum") else -1.0}
    training = gradexplain.train(formula, at, params="w", steps=1)
    (found,) = training.steps[0].grad.values()
    # By hand: the derivative is 1, and autograd makes 0*nan of the other branch.
    assert found is not None and math.isnan(found) and training.verdict == "nonfinite"
    outside = gradexplain.train("sum(w + 0*sqrt(w))", {"w": [0.0]}, params="w", steps=1)
    assert outside.verdict == "undefined"


@pytest.mark.parametrize(
    ("formula", "at"),
    [
        ("sqrt((w - 1)**2)", {"w": 1.0}),
        ("(w - 1)**0.5", {"w": 1.0}),
        ("sum(sqrt(w))", {"w": [0.0, 1.0]}),
        ("sqrt(mse_loss(X @ w, y))", {"X": [[1.0, 0.0], [0.0, 1.0]], "y": [1.0, 1.0], "w": [1.0, 1.0]}),
    ],
)
def test_no_learning_rate_helps_where_the_first_gradient_is_not_finite(formula: str, at: dict[str, Any]) -> None:
    training = gradexplain.train(formula, at, params="w", lr=0.1, steps=3)
    # The loss did not grow: it is finite, and has no derivative there.
    assert [entry.name for entry in training.diagnosis] == ["nan"]
    assert "no learning rate can help, but a small number under the root does" in training.diagnosis[0].text
    assert "in the gradient by" not in training.diagnosis[0].text + "".join(training.notes)
    (elsewhere,) = gradexplain.train("xlogy(w, w)", {"w": 0.0}, params="w", lr=0.1, steps=3).diagnosis
    assert elsewhere.text.endswith("the loss has no derivative there, so no learning rate can help")
    later = gradexplain.train("w**4", {"w": 2.0}, lr=1.0, steps=9)
    assert "a learning rate below 1 may help" in later.diagnosis[-1].text


def test_a_choice_without_a_variable_is_no_kink() -> None:
    training = gradexplain.train("sum(where(1 > 0, w**2, 2*w))", {"w": [1.0, 2.0]}, params="w", lr=0.1, steps=1)
    assert training.verdict == "agrees" and list(training.steps[0].grad.values()) == [2.0, 4.0]


@pytest.mark.parametrize("formula", ["pi*w/3", "sum(pi*w/3)"])
def test_constants_are_held_by_the_dtype(formula: str) -> None:
    at: dict[str, Any] = {"w": [2.0] if formula.startswith("sum") else 2.0}
    training = gradexplain.train(formula, at, params="w", steps=1, dtype="float16")
    pi = torch.tensor(math.pi, dtype=torch.float16)
    assert list(training.steps[0].grad.values()) == [(1 / torch.tensor(3.0, dtype=torch.float16) * pi).item()]
    assert training.verdict == "agrees" and training.gradient["w"].symbolic is not None


def test_kinks_are_a_convention() -> None:
    training = gradexplain.train("loss = sum(relu(x*w) + w**2)", "x=[1,1],w=[0,1]", params="w", lr=0.1, steps=1)
    assert training.verdict == "convention" and training.steps[0].began is not None
    assert "PyTorch takes 0" in training.steps[0].began.reason


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_at_rest_rounding_is_no_disagreement(dtype: str) -> None:
    training = gradexplain.train(LAYER, AT, params="W,b", lr=0.03, steps=400, dtype=dtype, every=None)
    assert training.verdict == "agrees", training.notes


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_wrong_rule_is_found_at_every_step(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    rule = RULES["mse_loss"]
    wrong = replace(rule, pullbacks=("2.002*(a - b)*averaged(g)", rule.pullbacks[1]))
    monkeypatch.setitem(RULES, "mse_loss", wrong)
    training = gradexplain.train(LAYER, AT, params="W,b", lr=0.01, steps=5, dtype=dtype)
    # The error is below what counts as a bug of one of the two, and far above any rounding.
    assert training.agreed == 0 and training.checked == 5 and training.verdict == "precision"
    wrong = replace(rule, pullbacks=("3*(a - b)*averaged(g)", rule.pullbacks[1]))
    monkeypatch.setitem(RULES, "mse_loss", wrong)
    training = gradexplain.train(LAYER, AT, params="W,b", lr=0.01, steps=5, dtype=dtype)
    assert training.verdict == "disagrees" and "0 of 5 steps" in str(training)


def test_a_loss_is_a_single_number() -> None:
    with pytest.raises(GradexplainError, match="single number, and y_pred has the shape 2x1"):
        gradexplain.train("y_pred = X @ W.T", {"X": X, "W": W}, params="W")
    with pytest.raises(GradexplainError, match="a tensor of 0x3 has no elements"):
        gradexplain.train("sum(W)", init="W=zeros", shape="W=0x3", params="W")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"at": {"X": X, "Y": Y, "b": B}, "params": "W,b"}, "the parameter W has no starting value"),
    ({"init": "W=normal(0, 0.1)"}, "the shape of W is not known"),
    ({"init": "W=gauss(0, 0.1)", "shape": "W=1x2"}, r"gauss\(0, 0.1\) is no way to begin W"),
    ({"init": "W=normal(0, -1)", "shape": "W=1x2"}, "must not be negative"),
    ({"init": "W=normal(0, 1, 2)", "shape": "W=1x2"}, "no place for 2"),
    ({"init": "W=normal(__import__)", "shape": "W=1x2"}, "must be a number"),
    ({"init": "W=uniform(2, 1)", "shape": "W=1x2"}, "ends below it"),
    ({"init": "W=kaiming_normal(mode=in)", "shape": "W=1x2"}, "mode of W cannot be in"),
    ({"init": "W=constant", "shape": "W=1x2"}, "needs a number"),
    ({"init": "W", "shape": "W=1x2"}, "a start is written name=how"),
    ({"init": "W=zeros, W=ones", "shape": "W=1x2"}, "given twice"),
    ({"init": "W=zeros, V=ones", "shape": "W=1x2, V=2"}, "V has a start and is no parameter"),
    ({"init": "W=zeros", "shape": "W=2x1"}, "do not fit for @"),
    ({"init": "W=zeros", "shape": "W=k x d"}, "the size k in the shape of W has no number"),
    ({"init": "b=zeros", "shape": "b=1"}, "given twice, by --at and by --init"),
    ({"at": AT, "reduction": "sum"}, "--reduction does not apply"),
    ({"at": AT, "columns": "X=x1,x2"}, "columns without data"),
    ({"at": AT, "columns": "X=x1,x2", "data": ROWS}, "given twice, by --at and by --columns"),
]


@pytest.mark.parametrize(("asked", "message"), BAD, ids=lambda entry: entry if isinstance(entry, str) else "")
def test_bad_requests_have_one_clear_message(asked: dict[str, Any], message: str) -> None:
    point = {"at": {"X": X, "Y": Y, "b": B}, "params": "W,b"}
    with pytest.raises(GradexplainError, match=message):
        gradexplain.train(LAYER, **{**point, **asked})


@pytest.mark.parametrize(
    ("formula", "asked", "message"),
    [
        ("mse_loss(X @ w, y)", {"columns": "X=x1,x9"}, "no column x9 for X"),
        ("mse_loss(X @ w, y)", {"columns": ["X=x1,x2", "Z=x1"]}, "Z is no input of the formula"),
        ("mse_loss(x1*w[0], y)", {"init": "x1=zeros", "shape": "x1=2"}, "x1 is given twice, by the data and by --init"),
        ("mse_loss(X @ w, z)", {"columns": "X=x1,x2"}, "z has no value and is no column"),
        ("mse_loss(X @ w, y)", {"columns": "X=x1,x2", "params": "w,y"}, "y is a parameter and a column"),
        ("mse_loss(X @ w, y)", {"columns": "x1,x2"}, "columns are written name=column"),
        ("mse_loss(X @ w, y)", {"columns": "X=x1,x2", "shape": "X=20x2"}, "X comes from the data"),
        ("mse_loss(X @ w, y)", {"columns": "X=x1,x2", "accumulate": 2}, "no 2 batches to accumulate"),
    ],
)
def test_bad_columns(formula: str, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(GradexplainError, match=message):
        gradexplain.train(formula, "w=[0,0]", data=ROWS, **asked)


def test_json_has_the_parameters_in_full() -> None:
    at = {"w": [1, 2], "x": [[0.5], [1]]}
    training = gradexplain.train("sum(V**2) + sum(x*w**2)", at, init="V=ones", shape="V=4x5", params="V,w", steps=2)
    found = json.loads(json.dumps(training.to_dict()))
    assert found["tensors"]["V"]["shape"] == [4, 5] and found["tensors"]["V"]["init"] == "ones"
    assert len(found["tensors"]["V"]["final"]) == 4 and found["tensors"]["w"]["start"] == [1.0, 2.0]
    step = found["steps"][0]
    assert list(step["parameters"]) == ["‖V‖", "w[0]", "w[1]"] and found["inputs"] == {"x": [[0.5], [1.0]]}
    assert step["update"]["‖V‖"]["state"]["change"] == pytest.approx(0.2 * math.sqrt(20))
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((POINTS.parent / "training.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, schema)


@pytest.mark.parametrize("format", TRAINING)
def test_every_format_writes_a_run_with_matrices(format: str) -> None:
    """The formula is read again with the shapes of its inputs, those of columns and of sizes with names among them."""
    training = gradexplain.train("loss = mse_loss(X @ w + b, y)", {"b": [0], "w": [0, 1]}, data=ROWS,
                                 columns="X=x1,x2", steps=2)  # fmt: skip
    text = writer(TRAINING[format])(training, Look())
    assert "w" in text
    if format == "html":
        assert "<math" in text and "∂loss/∂w" in text and training.shapes["X"] == ("n", 2)


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_the_table_fits(width: int, ascii_only: bool) -> None:
    training = gradexplain.train(NETWORK, {"b2": 0}, data=POINTS, init="W1=ones, b1=zeros, W2=ones", lr=0.001, steps=30,
                                 shape="W1=8x2, b1=8, W2=8", every=None)  # fmt: skip
    text = table.write(training, Look(width, ascii_only=ascii_only))
    assert all(len(line) <= width for line in text.splitlines())
    assert text.translate(ASCII).isascii() or not ascii_only
    assert "n is the number of its rows" in " ".join(text.split())


POINT = ["--at", "X=[[1,2],[3,4]],Y=[[3],[7]],W=[[0.5,-0.5]],b=[0]", "--params", "W,b"]


def test_the_command_has_every_format(tmp_path: Path) -> None:
    arguments = ["train", LAYER, *POINT, "--lr", "0.01", "--steps", "3", "--plot", "p.svg"]
    script = " ".join(f"'{part}'" for part in arguments)
    suffixes = ("txt", "md", "tex", "json", "ndjson", "csv")
    status, out, err = bash(f"for s in {' '.join(suffixes)}; do gradexplain {script} -o a.$s || exit 9; done", tmp_path)
    assert (status, out) == (0, "")
    assert [line[:18] for line in err.splitlines()] == ["note: decreasing: "] * 2
    texts = {suffix: (tmp_path / f"a.{suffix}").read_text(encoding="utf-8") for suffix in suffixes}
    steps = [json.loads(line) for line in texts["ndjson"].splitlines()]
    assert steps == json.loads(texts["json"])["steps"] and len(steps) == 3
    heading, *rows = csv.reader(texts["csv"].splitlines())
    assert heading[:5] == ["step", "loss", "W[0, 0]", "W[0, 1]", "b[0]"]
    assert float(rows[1][2]) == steps[1]["parameters"]["W[0, 0]"]
    assert "W[0, 0] ← 0.5 - 0.01·(-26) = 0.76" in texts["md"] and "W[0, 0] ← 0.5 - 0.01·(-26) = 0.76" in texts["txt"]
    assert r"$W[0, 0] \leftarrow 0.5 - 0.01 \cdot (-26) = 0.76$" in texts["tex"]
    assert max(map(len, texts["txt"].splitlines())) <= 78
    assert (tmp_path / "p.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_the_command_says_how_it_went() -> None:
    status, out, err = run("train", LAYER, *POINT, "--lr", "0.1", "--steps", "100")
    assert (status, err) == (0, "") and "sgd is stable below lr = 0.0632501, and lr is 0.1" in out
    broken = ["train", "loss = sum(sqrt(x - w))", "--at", "x=[1,2],w=[0.5,0.5]", "--params", "w", "--lr", "1"]
    status, out, _ = run(*broken)
    assert status == 1 and "nan: the loss or a gradient is not finite from step 2 on" in out
    status, out, err = run("train", LAYER, *POINT, "--init", "W=zeros")
    assert (status, out) == (2, "") and "W is given twice" in err
    status, out, _ = run("train", "mse_loss(X @ w, kind)", "--data", str(POINTS.parent / "kinds.csv"), "--columns",
                         "X=height,width", "--init", "w=normal(0, 0.1)", "--shape", "w=2", "--steps", "2")  # fmt: skip
    assert status == 0 and "columns height, width, kind" in out


def test_a_notebook_shows_elements() -> None:
    training = gradexplain.train(LAYER, AT, params="W,b", lr=0.01, steps=2)
    assert "W.grad[0, 0]" in training._repr_html_()
