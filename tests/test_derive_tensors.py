"""derive on vectors and matrices: one linear layer whole, values, verdicts at special points, second order."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import gradexplain
from gradexplain.tensor import MAX_ELEMENTS, Tensor

LAYER = "y_pred = X @ W.T + b; loss = mse_loss(y_pred, Y)"
POINT = {"X": [[1, 2], [3, 4]], "Y": [[3], [7]], "W": [[0.5, -0.5]], "b": [0]}


def nested(value: object) -> object:
    return value.nested() if isinstance(value, Tensor) else value


def test_a_linear_layer_has_the_gradients_of_pytorch_in_matrix_form() -> None:
    derivation = gradexplain.derive(LAYER, POINT)
    own = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in POINT.items()}
    torch.nn.functional.mse_loss(own["X"] @ own["W"].T + own["b"], own["Y"]).backward()
    assert derivation.verdict == "agrees"
    for name, entry in derivation.gradient.items():
        assert nested(entry.autograd) == own[name].grad.tolist() == nested(entry.value), name
    symbolic = {name: entry.symbolic for name, entry in derivation.gradient.items()}
    assert symbolic["W"] == "(y_pred - Y).T @ X"
    assert symbolic["b"] == "sum(y_pred - Y, dim=0)"
    shapes = {row.node: row.shape for row in derivation.nodes} | {n: i.shape for n, i in derivation.inputs.items()}
    contributions = {row.node: [nested(c.value) for c in row.contributions] for row in derivation.backward}
    assert shapes["y_pred"] == (2, 1) and shapes["W"] == (1, 2) and shapes["loss"] == ()
    assert contributions["W"] == [[[-26, -37]]] and contributions["b"] == [[-11]]
    broadcast = next(row for row in derivation.backward if row.node == "b").contributions[0]
    assert broadcast.local == "sum(g, dim=0)"


def test_sizes_with_names_stand_in_the_formulas() -> None:
    derivation = gradexplain.derive(LAYER, shape="X=n x d,W=1 x d,b=1,Y=n x 1")
    assert derivation.gradient["W"].symbolic == "2/n * (y_pred - Y).T @ X"
    assert derivation.verdict == "agrees" and derivation.missing == ("X", "W", "b", "Y")
    assert any("random numbers stand in" in note for note in derivation.notes)


def test_classes_without_values_are_drawn_from_those_that_there_are() -> None:
    derivation = gradexplain.derive("cross_entropy(X @ W.T, y)", shape="X=n x d,W=k x d,y=n", wrt="W")
    assert derivation.verdict == "agrees"
    assert derivation.gradient["W"].symbolic == "(softmax(X @ W.T, dim=1) - one_hot(y, k)).T @ X/n"


class Case(NamedTuple):
    """A formula at a special point: the verdict, and where it began (empty where it did not)."""

    formula: str
    at: str
    verdict: str
    began: str = ""
    symbolic: str | None = None


CASES = [
    Case("det(A)", "A=[[1,2],[3,4]]", "agrees", symbolic="det(A)*inverse(A).T"),
    Case("det(A)", "A=[[1,2],[2,4]]", "disagrees", "L", "cofactor(A)"),
    Case("trace(inverse(A))", "A=[[1,2],[2,4]]", "undefined", "v1"),
    Case("sum(solve(A, x))", "A=[[1,2],[2,4]],x=[1,1]", "undefined", "v1"),
    Case("sum(cholesky(A))", "A=[[1,2],[2,1]]", "undefined", "v1"),
    Case("logdet(A)", "A=[[0,1],[1,0]]", "undefined", "L"),
    Case("norm(x)", "x=[3,4]", "agrees", symbolic="x/norm(x)"),
    Case("norm(x)", "x=[0,0]", "convention", "L"),
    Case("std(x)", "x=[1,1,1]", "convention", "L"),
    Case("max(x)", "x=[1,2,3]", "agrees"),
    Case("max(x)", "x=[1,2,2]", "convention", "L"),
    Case("sum(relu(x))", "x=[-1,0,1]", "convention", "v1"),
    Case("log(sum(exp(x)))", "x=[1000,1]", "nonfinite", "v1"),
    Case("sum(exp(x))", "x=[1000,1]", "nonfinite", "v1"),
    Case("sum((1 - cos(x))/x**2)", "x=[1e-8,1]", "precision"),
    Case("sum(sqrt(x*x))", "x=[0,1]", "undefined"),
    Case("prod(x)", "x=[0,1,0]", "agrees"),
    Case("sum(softmax(x))", "x=[1,2,3]", "agrees"),
    Case("sum(layer_norm(x, 3))", "x=[1,2,4]", "agrees"),
    Case("A @ x", "A=[[1,2]],x=[1,2]", "agrees"),
    # Everything cancels: what is left is rounding, and no disagreement.
    Case("sum(exp(x)/sum(exp(x)))", "x=[0.5,-1.2,2]", "agrees"),
    Case("sum(softmax(-x))", "x=[0.5,-1.2,2]", "agrees"),
    Case("softmax(x)[0]", "x=[1e308,-1e308]", "agrees"),
    Case("cross_entropy(x, y)", "x=[[1000,-1000]],y=[0]", "agrees"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.formula}-{case.at}")
def test_special_points_have_their_verdict(case: Case) -> None:
    derivation = gradexplain.derive(case.formula, case.at)
    entry = next(iter(derivation.gradient.values()))
    assert entry.verdict == derivation.verdict == case.verdict
    if case.began:
        assert entry.began is not None and entry.began.node == case.began
    if case.symbolic is not None:
        assert entry.symbolic == case.symbolic


def test_what_is_no_single_number_is_refused_with_ways_out() -> None:
    with pytest.raises(gradexplain.FormulaError) as caught:
        gradexplain.derive("A @ x", {"A": [[1, 2], [3, 4]], "x": [1, 1]})
    text = str(caught.value)
    assert "grad can be implicitly created only for scalar outputs: L has the shape 2" in text
    assert "sum(L) instead: ∂sum(L)/∂x = sum(A, dim=0)" in text
    assert "mean(L) instead" in text and "--upstream" in text and "--jacobian" in text
    for upstream in ([1, 0.5], "[1, 1/2]", torch.tensor([1, 0.5])):
        derivation = gradexplain.derive("A @ x", {"A": [[1, 2], [3, 4]], "x": [1, 1]}, upstream=upstream)
        assert nested(derivation.gradient["x"].autograd) == [2.5, 4.0]


def test_products_of_sizes_with_names_are_numbers() -> None:
    at, shape = {"X": [[1, 2], [3, 4], [5, 6]]}, "X=n x d"
    derivation = gradexplain.derive("u = flatten(X); u*2", at, shape=shape, upstream=[1, 0, 0, 0, 0, 2])
    assert nested(derivation.gradient["X"].autograd) == [[2, 0], [0, 0], [0, 4]] and derivation.verdict == "agrees"
    assert gradexplain.derive("mean(flatten(X)**2)", at, shape=shape).gradient["X"].symbolic == "2*X/(d*n)"


def test_an_element_that_the_dtype_cannot_hold_is_refused() -> None:
    with pytest.raises(gradexplain.PointError, match="an element of x is too large for float16"):
        gradexplain.derive("sum(x)", {"x": [1, 1e6]}, dtype="float16")


FUNCTIONS = [
    ("A @ tanh(x)", {"A": (2, 3), "x": (3,)}, "A @ diag(1 - tanh(x)**2)"),
    ("x*y", {"x": (3,), "y": (3,)}, "diag(y)"),
    ("softmax(x)", {"x": (4,)}, "diag(softmax(x, dim=0)) - outer(softmax(x, dim=0), softmax(x, dim=0))"),
    ("log_softmax(x)", {"x": (4,)}, "eye(4) - softmax(x, dim=0)"),
    ("x/norm(x)", {"x": (3,)}, "(eye(3) - outer(x, x)/norm(x)**2)/norm(x)"),
    ("x - mean(x)", {"x": (3,)}, "eye(3) - 1/3"),
    ("x*sum(x)", {"x": (3,)}, "unsqueeze(x, dim=1) + eye(3)*sum(x)"),
    ("x*sum(A @ x)", {"x": (3,), "A": (2, 3)}, "outer(x, sum(A, dim=0)) + eye(3)*sum(A @ x)"),
    ("cumsum(x, dim=0)", {"x": (3,)}, None),
    ("A @ B", {"A": (2, 3), "B": (3, 2)}, None),
    ("sum(x**3)", {"x": (3,)}, "3*x**2"),
    ("g*sum(x)", {"g": (), "x": (2,)}, "sum(x)"),
]


@pytest.mark.parametrize(("formula", "shapes", "symbolic"), FUNCTIONS)
def test_jacobians_are_those_of_torch(formula: str, shapes: dict[str, tuple[int, ...]], symbolic: str | None) -> None:
    derivation = gradexplain.derive(formula, shape=shapes, jacobian=True)
    assert isinstance(derivation, gradexplain.records.MatrixDerivation) and derivation.jacobian is not None
    for entry in derivation.jacobian.values():
        assert entry.verdict == "agrees"
        assert (entry.value.shape if isinstance(entry.value, Tensor) else ()) == entry.shape
    name = next(iter(shapes)) if symbolic != "A @ diag(1 - tanh(x)**2)" else "x"
    assert derivation.jacobian[name].symbolic == symbolic


HESSIANS = [
    ("x @ A @ x", {"x": [1, 2], "A": [[2, 1], [0, 3]]}, "x", {"x,x": "A + A.T"}, "upwards in every direction"),
    ("(1 - x)**2 + 100*(y - x**2)**2", {"x": 1, "y": 1}, "x,y",
     {"x,x": "2 + 800*x**2 - 400*(y - x**2)", "x,y": "-400*x", "y,y": "200"}, "a minimum"),
    ("x**2 - y**2", {"x": 0, "y": 0}, "x,y", {"x,x": "2", "x,y": "0", "y,y": "-2"}, "a saddle point"),
    ("prod(x)", {"x": [1, 2, 3]}, "x", {"x,x": "outer(prod_of_others(x), 1/x) - diag(prod_of_others(x)) @ diag(1/x)"},
     "in some directions and downwards in others"),
    ("-sum(x**2)", {"x": [0, 0]}, "x", {"x,x": "-2*eye(2)"}, "a maximum"),
    ("p = sigmoid(X @ w); mean(-y*log(p) - (1 - y)*log(1 - p))", {"X": [[1, 2], [3, 5]], "w": [0.1, 0.2], "y": [0, 1]},
     "w", {"w,w": "X.T @ diag(p*(1 - p)) @ X/2"}, "upwards in every direction"),
    # Inputs of different shapes, a matrix before a vector.
    ("sum((A @ x - b)**2)", {"A": [[1, 2], [3, 4], [5, 6]], "x": [1, -1], "b": [1, 2, 3]}, "A,x,b",
     {"x,x": "2 * A.T @ A", "x,b": "-2*A.T", "b,b": "2*eye(3)"}, "in some directions and downwards in others"),
    ("sum(x**2)*sum(y**2)", {"x": [1, 2], "y": [1, 2, 3]}, "x,y",
     {"x,x": "2*eye(2)*sum(y**2)", "x,y": "4*outer(x, y)", "y,y": "2*eye(3)*sum(x**2)"},
     "in some directions and downwards in others"),
    ("sum((A @ x - b)**2) + lam*sum(x**2)", {"A": [[1, 2], [3, 4], [5, 6]], "x": [1, -1], "b": [1, 2, 3], "lam": 0.5},
     "x,lam", {"x,x": "2*(A.T @ A + eye(2)*lam)", "x,lam": "2*x", "lam,lam": "0"}, "in some directions"),
    ("logsumexp(z)", {"z": [1, 2, 3]}, "z",
     {"z,z": "diag(softmax(z, dim=0)) - outer(softmax(z, dim=0), softmax(z, dim=0))"}, "1 of 3 eigenvalues is 0"),
    ("norm(x)", {"x": [1, 2, 3]}, "x", {"x,x": "(eye(3) - outer(x, x)/norm(x)**2)/norm(x)"}, "1 of 3 eigenvalues is 0"),
    ("y @ A @ x", {"A": [[1, 2], [3, 4], [5, 6]], "x": [1, -1], "y": [1, 2, 3]}, "y,A,x", {"y,x": "A"},
     "in some directions and downwards in others"),
]  # fmt: skip


@pytest.mark.parametrize(("formula", "at", "wrt", "symbolic", "meaning"), HESSIANS)
def test_hessians_have_formulas_numbers_and_a_meaning(
    formula: str, at: dict[str, object], wrt: str, symbolic: dict[str, str], meaning: str
) -> None:
    derivation = gradexplain.derive(formula, at, wrt=wrt, hessian=True)
    assert isinstance(derivation, gradexplain.records.MatrixDerivation) and derivation.hessian is not None
    entry = derivation.hessian
    assert entry.verdict == "agrees" and meaning in entry.meaning
    assert {key: text.replace("(", "").replace(")", "") for key, text in entry.symbolic.items()} == {
        key: text.replace("(", "").replace(")", "") for key, text in symbolic.items()
    }
    eigenvalues = torch.linalg.eigvalsh(torch.tensor(nested(entry.value)))
    assert torch.allclose(eigenvalues, torch.tensor(entry.eigenvalues), atol=1e-5)


def test_an_eigenvalue_of_rounding_alone_is_0_and_a_small_one_is_not() -> None:
    matrix = [[1, 2], [2, 4]]
    found = gradexplain.derive("x @ A @ x/2", {"A": matrix, "x": [1, 1]}, wrt="x", hessian=True)
    assert found.hessian.eigenvalues == (0.0, pytest.approx(5))  # type: ignore[union-attr]
    found = gradexplain.derive("x[0]**2/2 + 1e-12*x[1]**2/2", {"x": [1, 1]}, hessian=True)
    assert found.hessian.eigenvalues == pytest.approx((1e-12, 1), rel=1e-9)  # type: ignore[union-attr]


def test_a_matrix_many_times_over_is_no_power_that_cannot_be_read() -> None:
    at = {"A": [[0.5, 1], [0, 0.5]], "x": [1, 2]}
    derivation = gradexplain.derive("A @ (" * 80 + "x" + ")" * 80, at, wrt="x", jacobian=True)
    assert derivation.verdict == "agrees"


@pytest.mark.parametrize("formula", ["sum(layer_norm(x, 4))", "sum(exp(x)/sum(exp(x)))", "mean(exp(x)/(1 + exp(x)))"])
@pytest.mark.parametrize("shape", ["x=4", "x=n"])
def test_named_sizes_and_random_numbers_agree(formula: str, shape: str) -> None:
    if "4" in formula and shape == "x=n":
        formula = formula.replace(", 4", ", n")
    assert gradexplain.derive(formula, shape=shape).verdict == "agrees"


SENTENCES = [
    ("x[0]**2 - 1e-12*x[1]**2", [0, 0], "a saddle point"),
    ("1e-8*x[0]**2 + 1e8*x[1]**2", [0, 0], "a minimum"),
    ("sum(x**4)", [0, 0], "to second order the function is flat"),
    ("sum(3*x)", [1, 2], "to second order the function is linear"),
    ("sum(where(x > 0, x**2, -x**2))", [0, 0], "a kink here"),
    ("sum(abs(x))", [0, 0], "a kink here"),
    ("sum(abs(x))", [1, -1], "to second order the function is linear"),
]


@pytest.mark.parametrize(("formula", "x", "sentence"), SENTENCES)
def test_what_eigenvalues_say_is_true(formula: str, x: list[float], sentence: str) -> None:
    derivation = gradexplain.derive(formula, {"x": x}, hessian=True)
    assert isinstance(derivation, gradexplain.records.MatrixDerivation) and derivation.hessian is not None
    assert sentence in derivation.hessian.meaning


@pytest.mark.parametrize("formula", ["sum(x)", "dot(x, x)", "prod(x)"])
def test_the_hessian_over_nothing_is_empty(formula: str) -> None:
    derivation = gradexplain.derive(formula, shape="x=0", hessian=True)
    assert isinstance(derivation, gradexplain.records.MatrixDerivation) and derivation.hessian is not None
    assert derivation.verdict == derivation.hessian.verdict == "agrees"
    assert nested(derivation.gradient["x"].value) == []


@pytest.mark.parametrize("formula", ["var(x)", "sum(layer_norm(x))", "mean(x)"])
def test_empty_values_end_without_a_mistake(formula: str) -> None:
    assert gradexplain.derive(formula, {"x": torch.zeros(0)}).verdict in ("agrees", "undefined", "unverified")


def test_large_tensors_are_summed_up() -> None:
    side = math.isqrt(MAX_ELEMENTS) + 1
    derivation = gradexplain.derive("mean(X**2)", {"X": torch.arange(side * side).reshape(side, side)})
    value = json.loads(json.dumps(derivation.to_dict()))["gradient"]["X"]["value"]
    assert value["shape"] == [side, side] and value["corner"][:2] == [0, 2 / side**2]
    assert value["low"] == 0 and derivation.verdict == "agrees"


def test_empty_tensors_have_empty_gradients() -> None:
    derivation = gradexplain.derive("sum(x**2)", shape="x=0")
    assert nested(derivation.gradient["x"].value) == [] and derivation.verdict == "agrees"


def command(*arguments: str, folder: Path) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-m", "gradexplain", "derive", *arguments], capture_output=True, text=True,
                          check=False, cwd=folder)  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_files_of_every_kind_have_the_same_numbers(tmp_path: Path) -> None:
    rows = [[1.0, 2.0], [3.0, 4.5]]
    (tmp_path / "X.csv").write_text("a,b\n1,2\n3,4.5\n")
    (tmp_path / "X.tsv").write_text("1\t2\n3\t4.5\n")
    (tmp_path / "X.json").write_text(json.dumps(rows))
    (tmp_path / "y.csv").write_text("5\n6\n")
    torch.save(torch.tensor(rows), tmp_path / "X.pt")
    for name in ("X.csv", "X.tsv", "X.json", "X.pt"):
        at = ["--at", f"X=@{name},w=[1,1]", "--at", "y=@y.csv"]
        found = command("sum((X @ w - y)**2)", *at, "--wrt", "w", "--format", "value", folder=tmp_path)
        assert found == (0, "[5, 5.5]\n", ""), name


def test_the_table_fits_and_says_it_all(tmp_path: Path) -> None:
    at = "X=[[1,2],[3,4]],Y=[[3],[7]],W=[[0.5,-0.5]],b=[0]"
    status, text, notes = command(LAYER, "--at", at, folder=tmp_path)
    assert (status, notes) == (0, "")
    for part in ("X      2x2", "matrix product rule", "g @ v1.T", "(y_pred - Y).T @ X", "[[-26, -37]]", "agrees"):
        assert part in text
    assert "PyTorch's .grad agrees with the chain rule at all 4 inputs." in text


@pytest.mark.parametrize(
    ("formula", "node", "local"),
    [
        ("sum(x/(2*pi))", "x", "1/(2*pi)"),
        ("sum(x/(1 + sqrt(2)))", "x", "1/(1 + sqrt(2))"),
        ("sum((-pi)*x)", "x", "-pi"),
        ("sum(x - (1 - pi))", "x", "1"),
        ("sum(hardtanh(x, 1 - pi, 1 + pi))", "x", "heaviside(x - (1 - pi), 0)*heaviside(1 + pi - x, 0)"),
        ("sum(x**(1/3))", "x", "1/(3*x**(2/3))"),
        ("mean(x)*(1 - sqrt(2))", "v1", "1 - sqrt(2)"),
        ("mean(x)/(1 + pi)", "v1", "1/(1 + pi)"),
        ("sum(leaky_relu(x, 1/(1 + pi)))", "x", "where(x > 0, 1, 1/(1 + pi))"),
    ],
)
def test_a_constant_part_keeps_its_brackets_in_a_local_derivative(formula: str, node: str, local: str) -> None:
    derivation = gradexplain.derive(formula, {"x": [1, 2, 3]})
    row = next(row for row in derivation.backward if row.node == node)
    assert [entry.local for entry in row.contributions] == [local]


def test_a_size_with_a_name_keeps_its_brackets_in_a_local_derivative() -> None:
    derivation = gradexplain.derive("sum(a @ x)/(2*n)", shape="a=n x d,x=d")
    assert derivation.backward[0].contributions[0].local == "1/(2*n)"


def test_parts_that_differ_in_their_settings_or_shapes_are_written_apart() -> None:
    at = {"x": [[1, 2], [3, 4]], "y": [1, 2], "s": 3}
    derivation = gradexplain.derive("u = sum(x, dim=0); v = sum(x, dim=1); w = s*x; z = y*x; sum(w*z) + dot(u, v)", at)
    written = {row.node: row.expression for row in derivation.nodes}
    assert (written["u"], written["v"], written["w"], written["z"]) == ("sum(x, dim=0)", "sum(x, dim=1)", "s*x", "y*x")
    local = {row.node: [entry.local for entry in row.contributions] for row in derivation.backward}
    assert local["y"] == ["sum(x*g, dim=0)"] and local["s"] == ["sum(x*g)"]


def test_each_element_of_a_gradient_has_50_digits_where_they_are_affordable() -> None:
    derivation = gradexplain.derive("sum(x @ W)/3", {"x": [1, 2], "W": [[1, 0], [0, 1]]})
    third, two_thirds = "0." + "3" * 50, "0." + "6" * 49 + "7"
    assert derivation.gradient["x"].exact == [third, third]
    assert derivation.gradient["W"].exact == [[third, third], [two_thirds, two_thirds]]
    assert gradexplain.derive("sum(x)", shape="x=3").gradient["x"].exact is None
    assert gradexplain.derive("sum(x)", {"x": [1] * 30_000}).gradient["x"].exact is None


def test_a_chain_over_vectors_has_factors_only_where_its_links_are_some() -> None:
    at = {"w": [1, 2], "x": [3, 5], "b": 1}
    gradient = gradexplain.derive("h = w*x + b; u = tanh(h); m = mean(u); loss = m**2", at).gradient
    assert gradient["w"].factors == ("2*m", "1/2*ones_like(u)", "(1 - u**2)", "x")
    # A sum over the elements is no factor.
    assert gradient["b"].factors == ()
    derivation = gradexplain.derive("h = A @ w; u = 2*h; loss = sum(u)", {"A": [[1, 2]], "w": [3, 4]})
    assert derivation.gradient["w"].factors == ()


def test_kinks_in_inputs_of_different_sizes_are_told_apart() -> None:
    gradient = gradexplain.derive("sum(abs(x)) + sum(relu(y))", {"x": [0] * 9, "y": [0, 1, 0]}).gradient
    assert [entry.verdict for entry in gradient.values()] == ["convention", "convention"]
    assert nested(gradient["y"].autograd) == [0, 1, 0]


@pytest.mark.parametrize(
    ("formula", "b"), [("sum(select_scatter(y, b, 0, 1)*y)", 5), ("sum(slice_scatter(y, b, 0, 1, 2)*y)", [5])]
)
def test_what_nothing_was_put_in_place_of_keeps_its_gradient(formula: str, b: object) -> None:
    found = gradexplain.derive(formula, {"y": [1, 2, 3], "b": b})
    assert nested(found.gradient["y"].value) == [2, 5, 6]
    assert nested(found.gradient["b"].value) == ([2] if isinstance(b, list) else 2)
    assert found.verdict == "agrees"


@pytest.mark.parametrize("options", [{}, {"jacobian": True}, {"hessian": True}])
@pytest.mark.parametrize("given", [{"at": {"A": [[1, 2], [3, 4]], "x": [1, 1]}}, {"shape": "A=n x n,x=n"}])
def test_without_pytorch_the_exact_half_is_whole(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, bool], given: dict[str, object]
) -> None:
    monkeypatch.setattr("gradexplain.readings.worker.Witnesses.installed", staticmethod(lambda: False))
    derivation = gradexplain.derive("x @ A @ x", wrt="x", **given, **options)  # type: ignore[arg-type]
    entry = derivation.gradient["x"]
    assert (derivation.verdict, entry.autograd, entry.symbolic) == ("unverified", None, "(A + A.T) @ x")
    assert nested(entry.value) == ([7, 13] if "at" in given else None)
    assert entry.exact == (["7", "13"] if "at" in given else None)
