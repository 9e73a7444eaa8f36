"""Derivations on tensors in every format: code that runs, documents that compile, the same numbers everywhere."""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensor_checks import point, shapes_of
from test_code import load as load
from test_documents import compiled, needs_tex, tables
from test_tensor_rules import EXAMPLES

import gradexplain
from gradexplain.language.text import PRECEDENCE
from gradexplain.output.code import numpy as numpy_function
from gradexplain.output.formats import DERIVATION, Look, writer
from gradexplain.records import Derivation
from gradexplain.rules.table import RULES

LINEAR = ("mean((X @ W.T + b - Y)**2)", "X=[[1,2],[3,4]],Y=[[3],[7]],W=[[0.5,-0.5]],b=[0]")
CLASSES = ("z = X @ W + b; loss = cross_entropy(z, y)", "X=[[1,2],[0,1]],W=[[1,-1,0],[0,1,2]],b=[0,1,0],y=[0,2]")
# A size with a name, both uses of a node, a broadcast number, a vector as the result.
MORE = [
    ("sum(prod(A, keepdim=True)*A)", {"at": "A=[[1,2],[3,4]]"}),
    ("y_pred = X @ w; loss = mse_loss(y_pred, y)", {"shape": "X=n x d,w=d,y=n"}),
    ("h = tanh(x); h*h + c*h", {"at": "x=[1,2],c=3", "upstream": "[1,-2]"}),
    ("sum(max(x, 0)*reshape(A, (n, 2))[:, 0])", {"shape": "x=n,A=n x 2"}),
    ("sum(gelu(x) + where(x > 0, 0.1, x**3)) + e*pi", {"at": "x=[1,-2,0.5],e=2,pi=1"}),
    ("sum(leaky_relu(A, 0.2) + sqrt(2*pi)*A)", {"at": "A=[[1,-2],[3,4]]"}),
    # Gradients that two nodes share are not changed for one of them.
    ("a = x + y; b = a + x; sum(b*z) + sum(a)", {"at": "x=[1,2],y=[3,4],z=[5,6]"}),
    ("g = x*2; sum(softmax(g, dim=0)*x)", {"at": "x=[1,2]"}),
    ("sum(torch_*ctx + grad_output)", {"at": "torch_=[1,2],ctx=[3,4],grad_output=[1,1]"}),
]  # fmt: skip


@functools.cache
def derived(formula: str, at: str) -> Derivation:
    return gradexplain.derive(formula, at)


def write(format: str, found: Derivation, **look: object) -> str:
    return writer(DERIVATION[format])(found, Look(**look))  # type: ignore[arg-type]


def checked(load: Callable[[str], Any], found: Derivation) -> None:
    """The module for PyTorch passes gradcheck, and its gradients are those of the record."""
    module = load(write("pytorch", found))
    inputs = {}
    for name, entry in found.inputs.items():
        value = entry.value.nested() if entry.shape else entry.value  # type: ignore[union-attr]
        inputs[name] = torch.tensor(value, dtype=torch.float64, requires_grad=name in found.gradient)
    value = module.loss(*inputs.values())
    upstream = found.upstream.nested() if hasattr(found.upstream, "nested") else found.upstream
    value.backward(torch.tensor(upstream, dtype=torch.float64))
    for name, gradient in found.gradient.items():
        own = gradient.value.nested() if hasattr(gradient.value, "nested") else gradient.value
        assert torch.allclose(inputs[name].grad, torch.tensor(own, dtype=torch.float64), rtol=1e-9, atol=1e-12), name
    assert torch.autograd.gradcheck(module.loss, tuple(inputs.values()))


@pytest.mark.parametrize(("formula", "shapes"), EXAMPLES, ids=lambda text: text)
def test_the_module_for_pytorch_passes_gradcheck(load: Callable[[str], Any], formula: str, shapes: str) -> None:
    given = shapes_of(shapes)
    at = {name: value.tolist() for name, value in point(list(given), given, 0).items()}
    used = {name: value for name, value in at.items() if name in formula.replace("(", " ").replace(",", " ")}
    # Probabilities must not be moved below 0.
    checked(load, gradexplain.derive(formula, used, wrt="x" if formula.startswith("binary_cross_entropy(") else None))


@pytest.mark.parametrize(("formula", "options"), MORE, ids=lambda text: str(text))
def test_names_sizes_and_numbers_in_modules(
    load: Callable[[str], Any], formula: str, options: dict[str, object]
) -> None:
    checked(load, gradexplain.derive(formula, **options))  # type: ignore[arg-type]


def test_a_program_reads_like_the_mathematics() -> None:
    program = write("program", derived(*LINEAR))
    assert "dX = dv2 @ v1.T" in program
    assert "db = sum(dv3, dim=0)" in program
    assert "# [[-26, -37]]" not in program.split("dW = dv1.T")[0]
    assert "transposition, [[-26, -37]]" in program


@needs_tex
@pytest.mark.parametrize("formula", [LINEAR, CLASSES], ids=["linear", "classes"])
def test_latex_compiles(formula: tuple[str, str], tmp_path: Path) -> None:
    text = write("latex", derived(*formula), standalone=True)
    assert " @ " not in text
    compiled(text, tmp_path)


@needs_tex
@pytest.mark.parametrize("kind", ["jacobian", "hessian"])
def test_latex_of_matrices_compiles(kind: str, tmp_path: Path) -> None:
    formula = "A @ x" if kind == "jacobian" else "x @ A @ x"
    found = gradexplain.derive(formula, "x=[1,2],A=[[2,1],[0,3]]", wrt="x", **{kind: True})  # type: ignore[arg-type]
    text = write("latex", found, standalone=True)
    assert r"\begin{bmatrix}" in text
    compiled(text, tmp_path)


def test_latex_writes_mathematics() -> None:
    text = write("latex", derived(*LINEAR))
    assert r"\left(X\, {W^{\top}} + b - Y\right)\, W" in text
    assert r"\begin{bmatrix}-26 & -37\end{bmatrix}" in text
    assert r"\text{(" not in text


def test_csv_has_nested_lists_and_shapes() -> None:
    found = derived(*LINEAR)
    rows = list(csv.DictReader(io.StringIO(write("csv", found))))
    gradient = next(row for row in rows if row["line"] == "gradient" and row["node"] == "W")
    assert json.loads(gradient["value"]) == json.loads(gradient["autograd"]) == [[-26.0, -37.0]]
    assert gradient["shape"] == "1x2"


def test_csv_has_jacobians_and_the_hessian() -> None:
    at = "x=[1,2],A=[[2,1],[0,3]]"
    jacobian = gradexplain.derive("A @ x", at, wrt="x", jacobian=True)
    rows = list(csv.DictReader(io.StringIO(write("csv", jacobian))))
    assert json.loads(rows[-1]["value"]) == [[2.0, 1.0], [0.0, 3.0]]
    hessian = gradexplain.derive("x @ A @ x", at, wrt="x", hessian=True)
    rows = list(csv.DictReader(io.StringIO(write("csv", hessian))))
    assert rows[-1]["line"] == "hessian"
    assert json.loads(rows[-1]["autograd"]) == [[4.0, 1.0], [1.0, 6.0]]


SHOWN = {
    "table": ("∂L/∂x\n   ∂L/∂x = 2*x*w\n   12  and autograd too, agrees", "   6  4  and autograd too, agrees\n   4  0"),
    "markdown": ("| `∂L/∂x` |  | `∂L/∂x = 2*x*w` | agrees |", "```text\n6  4\n4  0\n```"),
    "latex": (r"$= 2 \cdot x \cdot w$", r"\begin{bmatrix}6 & 4 \\ 4 & 0\end{bmatrix}"),
    "html": (
        "<h2>Jacobian</h2>",
        "<td><code>∂²L</code></td><td>2x2</td><td><code>∂²L/∂x² = 2*w</code><br><code>∂²L/∂x ∂w = 2*x</code><br>"
        '<code>∂²L/∂w² = 0</code></td><td class="number"><pre>6  4\n4  0</pre></td>',
    ),
    "json": ('"jacobian":{"x":', '"value":[[6.0,4.0],[4.0,0.0]]'),
}


@pytest.mark.parametrize(("format", "expected"), SHOWN.items())
def test_jacobians_and_the_hessian_of_numbers_are_shown(format: str, expected: tuple[str, str]) -> None:
    for kind, part in zip(("jacobian", "hessian"), expected, strict=True):
        found = gradexplain.derive("x**2*w", "x=2,w=3", **{kind: True})  # type: ignore[arg-type]
        assert part in write(format, found), write(format, found)


def test_csv_of_numbers_has_the_hessian() -> None:
    found = gradexplain.derive("x**2*w", "x=2,w=3", hessian=True)
    rows = list(csv.DictReader(io.StringIO(write("csv", found))))
    assert json.loads(rows[-1]["value"]) == json.loads(rows[-1]["autograd"]) == [[6.0, 4.0], [4.0, 0.0]]
    assert (rows[-1]["line"], rows[-1]["shape"], rows[0]["shape"]) == ("hessian", "2x2", "")
    assert (rows[-1]["node"], rows[-1]["partial"]) == ("x,w", "∂²L")
    assert rows[-1]["local"] == "∂²L/∂x² = 2*w; ∂²L/∂x ∂w = 2*x; ∂²L/∂w² = 0"


@pytest.mark.parametrize("format", ["table", "markdown", "latex", "html"])
def test_a_sum_of_one_number_has_its_upstream_gradient(format: str) -> None:
    text = write(format, gradexplain.derive("sum(x)*w", "x=2,w=3"))
    assert "vector-Jacobian product" in text
    assert "g is the upstream gradient" in text


@pytest.mark.parametrize("format", ["svg", "dot"])
def test_pictures_of_a_sum_of_one_number_have_its_product(format: str) -> None:
    assert "g*w" in write(format, gradexplain.derive("sum(x)*w", "x=2,w=3"), width=200)


def test_an_empty_column_is_left_out() -> None:
    with_numbers = gradexplain.derive("c = a*3; loss = sum(x*c)*sqrt(a)", "x=[1,2,3],a=4")
    assert "72 · 0.25" in write("table", with_numbers)
    assert "numbers" in write("table", with_numbers)
    assert "numbers" not in write("table", derived(*LINEAR))


def test_markdown_has_the_matrices() -> None:
    inputs, forward, backward, gradient = tables(write("markdown", derived(*LINEAR)))
    assert inputs[2] == ["W", "1x2", "[[0.5, -0.5]]"]
    assert forward[2][:3] == ["v2", "X @ v1", "2x1"]
    assert backward[-1][:2] == ["∂L/∂W", "1x2"]
    assert gradient[2][2:] == ["(X @ W.T + b - Y).T @ X", "[[-26, -37]]"]


def test_values_are_nested_lists() -> None:
    lines = write("value", derived(*LINEAR)).splitlines()
    assert [json.loads(line) for line in lines] == [[[-1.75, 1.75], [-3.75, 3.75]], [[-26, -37]], [-11], [[3.5], [7.5]]]


def test_pictures_have_the_shapes() -> None:
    for format in ("drawing", "svg", "dot", "mermaid"):
        text = write(format, derived(*LINEAR), width=200)
        assert "2x1: " in text, format
        assert "local" not in text.replace("local derivative", ""), format


def test_a_page_has_typeset_formulas_and_no_sliders() -> None:
    text = write("html", derived(*LINEAR))
    assert "<msup><mi>W</mi><mi>T</mi></msup>" in text
    assert 'type="range"' not in text.split("<script")[0]
    assert "its sliders recompute operations on single numbers only" in text


def test_every_rule_is_written_for_numpy() -> None:
    target = numpy_function.NUMPY
    known = {*target.functions, *target.rows, *numpy_function.HELPERS, *PRECEDENCE, "identity"}
    assert [rule.name for rule in RULES.values() if rule.name not in known and not rule.definition] == []


def checked_with_numpy(load: Callable[[str], Any], found: Derivation) -> None:
    """The module for NumPy has the value and the gradients of the record."""
    module = load(write("numpy", found))
    values = [entry.value.nested() if entry.shape else entry.value for entry in found.inputs.values()]  # type: ignore[union-attr]
    value, gradient = module.value_and_gradient(*values)
    expected = {row.node: row.value for row in found.nodes}[found.objective]
    for own, right in [(value, expected), *((gradient[name], entry.value) for name, entry in found.gradient.items())]:
        number = right.nested() if hasattr(right, "nested") else right
        assert np.shape(own) == np.shape(number)
        assert np.allclose(own, number, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("formula", "shapes"), EXAMPLES, ids=lambda text: text)
def test_the_module_for_numpy_has_the_same_numbers(load: Callable[[str], Any], formula: str, shapes: str) -> None:
    given = shapes_of(shapes)
    at = {name: value.tolist() for name, value in point(list(given), given, 0).items()}
    used = {name: value for name, value in at.items() if name in formula.replace("(", " ").replace(",", " ")}
    checked_with_numpy(load, gradexplain.derive(formula, used))


@pytest.mark.parametrize(("formula", "options"), MORE, ids=lambda text: str(text))
def test_names_sizes_and_numbers_in_numpy(load: Callable[[str], Any], formula: str, options: dict[str, object]) -> None:
    checked_with_numpy(load, gradexplain.derive(formula, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(("formula", "at"), [("sum(x)*w", "x=2,w=3"), ("norm(x) + mean(w)*2", "x=-2,w=3")])
def test_operations_on_tensors_of_one_number_become_code(load: Callable[[str], Any], formula: str, at: str) -> None:
    found = gradexplain.derive(formula, at)
    checked(load, found)
    checked_with_numpy(load, found)
    assert "sum" in write("program", found) or "norm" in write("program", found)


@pytest.mark.parametrize(("formula", "at"), [
    ("c = 2*3; L = c + 0*sum(x)", "x=[1,2]"), ("sum(floor(x))*w + n", "x=[1.5,2.5],w=3,n=1"), ("sum(x*0)", "x=[1,2]"),
    ("sum(x**0)", "x=[1,2]"), ("w + sum(ones(3))", "w=1"), ("dot(round(x), x)", "x=[1.2,2]"),
])  # fmt: skip
def test_a_module_never_returns_a_whole_number(load: Callable[[str], Any], formula: str, at: str) -> None:
    found = gradexplain.derive(formula, at)
    checked(load, found)
    checked_with_numpy(load, found)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_number_is_cut_or_folded(width: int) -> None:
    shapes = "X=64x10,W1=10x32,b1=32,W2=32x3,b2=3,Y=64x3"
    found = gradexplain.derive("h = relu(X @ W1 + b1); out = h @ W2 + b2; loss = mse_loss(out, Y)", shape=shapes)
    table = write("table", found, width=width)
    assert max(map(len, table.splitlines())) <= width
    for entry in (*found.nodes, *found.backward):
        for number in entry.value.corner[:2] if hasattr(entry.value, "corner") else ():
            assert f"{number:.6g}".replace("e-0", "e-") in table


def test_hostile_names_stay_text(load: Callable[[str], Any]) -> None:
    formula = "# </script>|_$%#{b}~^\\\nשלום_מ = X_1 @ λ; L_ = sum((שלום_מ - __y__)**2)"
    found = gradexplain.derive(formula, {"X_1": [[1, 2], [3, 4]], "λ": [1, 2], "__y__": [0, 1]})
    assert found.verdict == "agrees"
    for format in DERIVATION:
        assert "</script>|" not in write(format, found).replace(json.dumps(found.source), "") or format == "json"
    checked(load, found)
    checked_with_numpy(load, found)
