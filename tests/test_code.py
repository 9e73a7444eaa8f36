"""Generated code, run as it stands: PyTorch's by gradcheck, NumPy's against exact values, programs by a tiny reader."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from test_formulas import CASES, FUNCTIONS, derivation, evaluate

import gradexplain
from gradexplain.errors import OptionError
from gradexplain.output.code import numpy as numpy_function
from gradexplain.output.code import program, pytorch
from gradexplain.output.code.listing import Listing
from gradexplain.rules.table import ELEMENTWISE

# A fixed seventh of the published formulas; gradcheck's steps of 1e-6 are fit for numbers of moderate size.
SLICE = [
    case for case in CASES[::7] if derivation(case).verdict == "agrees"
    and all(entry.value == 0 or 1e-2 < abs(entry.value) < 1e4 for entry in derivation(case).inputs.values())
]  # fmt: skip


@pytest.fixture
def load(tmp_path):
    """A function that imports the text of a module, with every warning an error."""
    modules = []

    def loaded(text):
        path = tmp_path / f"generated_{len(modules)}.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        modules.append(importlib.util.module_from_spec(spec))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            spec.loader.exec_module(modules[-1])
        return modules[-1]

    return loaded


def torch_gradients(module, found, check=True):
    """The value and the gradients of the function for PyTorch at the point; `gradcheck` must be content."""
    point = [
        torch.tensor(entry.value, dtype=torch.float64, requires_grad=name in found.gradient)
        for name, entry in found.inputs.items()
    ]
    value = module.loss(*point)
    value.backward(torch.tensor(found.upstream, dtype=torch.float64))
    if check:
        assert torch.autograd.gradcheck(module.loss, point)
    return value.item(), {name: t.grad.item() for name, t in zip(found.inputs, point, strict=True) if t.requires_grad}


def numpy_gradients(module, found):
    value, gradient = module.value_and_gradient(*[entry.value for entry in found.inputs.values()])
    return float(value), {name: float(number) for name, number in gradient.items()}


UTF8 = {**os.environ, "PYTHONUTF8": "1"}


def objective(found):
    return next(row.value for row in found.nodes if row.node == found.objective)


def relative(found, expected):
    return abs(found - expected) / max(abs(expected), 1e-300) if found != expected else 0.0


def test_there_are_more_than_a_hundred_formulas():
    assert len(SLICE) >= 120


@pytest.mark.parametrize("case", SLICE, ids=lambda case: case.name)
def test_a_published_formula_as_code(case, load):
    found = derivation(case)
    assert_both_are_right(load, found, 1e-12)


def assert_both_are_right(load, found, tolerance, check=True):
    expected = {name: entry.value for name, entry in found.gradient.items()}
    text = pytorch.write(found)
    # PyTorch's trigamma function has ten right digits, 4e-10 off at 0.7.
    own = 1e-7 if "torch.polygamma(1," in text else tolerance
    for (value, gradient), allowed in (
        (torch_gradients(load(text), found, check), own),
        (numpy_gradients(load(numpy_function.write(found)), found), tolerance),
    ):
        assert relative(value, objective(found)) <= allowed
        assert gradient.keys() == expected.keys()
        for name, number in gradient.items():
            # What is exactly 0 may keep what rounding leaves of its terms.
            assert relative(number, expected[name]) <= allowed or abs(number - expected[name]) < 1e-15, name


def example(rule):
    """A formula with the rule in it, and a point away from kinks."""
    arguments = ["w*x", "x + 1/4", "w"][: rule.required]
    formula = rule.example or (f"x*{rule.name}({', '.join(arguments)})")
    if rule.boolean:
        formula = f"where(w*x {rule.symbol} 2, x*w, w**3)"
    return formula, "w=0.3,x=0.7"


EVERY = [example(rule)[0] for rule in ELEMENTWISE.values()]


@pytest.mark.parametrize("rule", ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_every_rule_in_both_languages(rule, load):
    found = gradexplain.derive(*example(rule))
    # PyTorch has no derivative for the step, and the code needs none.
    assert_both_are_right(load, found, 1e-12)


@pytest.mark.parametrize("formula", [
    "x*elu(x, 0.5) + elu(y)", "softplus(x, 2) + softplus(y)", "hardtanh(x*y, -0.25, 1/3)", "leaky_relu(-x*y, 1/3)",
    "polygamma(4/2, x) + polygamma(1, y)", "clamp(x, 0.1, y) + clamp(0.5, y, x) + clamp(x, 0, 1)", "clip(x, y, 2)",
    "atan2(x, 2) + atan2(1/3, y)", "where(x > 0, 2, 3)*y", "exp(where(x > y, 1/10, 3))*x",
    "where(x > y, x, 2)**-1", "c = 2*pi; d = c + 1; maximum(x, c)*d*y", "(pi/2)**x",
    "c = sqrt(2*pi); L = c*x/(1 + c) - hypot(c, y) + c**y", "2**100*x", "2**1000*x", "x/3 + y*1e-200 + 1e200*x",
    "12345678901234567890*x", "9007199254740993*x", "lgamma(2.5)*x + erf(1/2)*y + sigmoid(1)*x", "max(x, y, 0.1)",
    "x**2**y - -x + (-2)**2*y", "-x**2/(y*x)/(x - (y - 1))", "e**x + pi*y", "a = x; b = a; a*b", "u = x*x; u*u + u",
    "heaviside(x - y, 0.5)*x", "sigmoid(40*x) + sigmoid(-40*y)", "x**x", "0*x + y",
    "elu(-x)*selu(-y)*gelu(-x)*logsigmoid(30*x)", "silu(x) + mish(y)", "x**1 + y**0 + x*y", "digamma(x)*lgamma(-y)",
])  # fmt: skip
def test_settings_constants_and_corners(formula, load):
    point = {name: value for name, value in (("x", 0.7), ("y", 0.3)) if name in gradexplain.derive(formula).inputs}
    small = not any(large in formula for large in ("2**100", "1e200", "890*", "993*"))
    assert_both_are_right(load, gradexplain.derive(formula, point), 1e-12, small)


@pytest.mark.parametrize(("formula", "point"), [
    ("relu(x)", "x=0"), ("abs(x)", "x=0"), ("max(x, y)", "x=1,y=1"), ("leaky_relu(x, 0.25)", "x=0"),
    ("x**y", "x=0,y=2"), ("clamp(x, 0, 1)", "x=1"), ("hardswish(x)", "x=3"), ("atan2(y, x)", "x=0,y=0"),
    ("sinc(x)", "x=0"), ("xlogy(x, y)", "x=0,y=2"), ("selu(x)", "x=0"), ("x**n", "x=-2,n=0"),
    ("hypot(x, y)", "x=3,y=4"),
])  # fmt: skip
def test_at_kinks_the_code_does_what_pytorch_does(formula, point, load):
    found = gradexplain.derive(formula, point)
    _, expected = torch_gradients(load(pytorch.write(found)), found, check=False)
    _, also = numpy_gradients(load(numpy_function.write(found)), found)
    for name, entry in found.gradient.items():
        assert expected[name] == pytest.approx(entry.autograd, nan_ok=True), name
        assert also[name] == pytest.approx(entry.autograd, nan_ok=True), name


HOSTILE = (
    "torch", "np", "math", "ctx", "grad_output", "dv1", "dL", "L", "loss", "Loss", "λ", "損失", "print", "float", "l",
    "I", "O", "sum_to", "value_and_gradient", "once_differentiable", "sigmoid", "__x", "__debug__", "match", "_",
    "gradient", "value", "point", "torch_", "self", "type", "dtorch", "ddv1", "number", "name", "class_",
)  # fmt: skip


def test_hostile_names(load):
    formula = " + ".join(f"sigmoid({name})*sqrt(2)*{k + 2}*{name}**2" for k, name in enumerate(HOSTILE))
    found = gradexplain.derive(formula, {name: 1 + k / 40 for k, name in enumerate(HOSTILE)})
    assert_both_are_right(load, found, 1e-12)
    # To Python's eval, __debug__ is True, whatever its value.
    expected = {name: entry.value for name, entry in found.gradient.items() if name != "__debug__"}
    assert {name: number for name, number in run_program(found).items() if name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("objective_name", ["torch", "np", "loss", "value", "x_", "dL", "v1"])
def test_hostile_names_of_results(objective_name, load):
    found = gradexplain.derive(f"dx = w*x; {objective_name} = exp(dx)*x", "w=0.5,x=0.7")
    assert_both_are_right(load, found, 1e-12)


def test_code_is_elementwise_and_sums_over_what_was_broadcast(load):
    found = gradexplain.derive("where(w*x > y, (w*x + b - y)**2, sin(b)*w)")
    module, other = load(pytorch.write(found)), load(numpy_function.write(found))
    generator = torch.Generator().manual_seed(0)
    shapes = {"w": (), "x": (5, 3), "y": (5, 1), "b": (3,)}
    point = [
        torch.rand(shapes[name], generator=generator, dtype=torch.float64, requires_grad=True) for name in found.inputs
    ]
    assert torch.autograd.gradcheck(module.loss, point)
    w, x, y, b = (dict(zip(found.inputs, point, strict=True))[name] for name in "wxyb")
    torch.where(w * x > y, (w * x + b - y) ** 2, torch.sin(b) * w).sum().backward()
    expected = [tensor.grad.clone() for tensor in point]
    for tensor in point:
        tensor.grad = None
    module.loss(*point).sum().backward()
    _, gradient = other.value_and_gradient(*[tensor.detach().numpy() for tensor in point])
    for tensor, right, also in zip(point, expected, gradient.values(), strict=True):
        assert torch.allclose(tensor.grad, right, rtol=1e-13, atol=0)
        assert np.allclose(also, right.numpy(), rtol=1e-13, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_dtype_of_the_inputs_is_kept(dtype, load):
    formula = "maximum(x, 0.1)*leaky_relu(-y, 1/3)/3 + where(x > y, 0.1, 0.2)*x"
    module = load(pytorch.write(gradexplain.derive(formula)))
    point = [torch.full((2,), number, dtype=dtype, requires_grad=True) for number in (0.7, 0.3)]
    value = module.loss(*point)
    value.sum().backward()
    assert {value.dtype, *[tensor.grad.dtype for tensor in point]} == {dtype}


def test_only_what_was_asked_for(load):
    found = gradexplain.derive("u = w*x; u**2 + sign(y)", "w=1,x=2,y=3", wrt="x,y", upstream=0.5)
    module = load(pytorch.write(found))
    tensors = [torch.tensor(entry.value, requires_grad=True) for entry in found.inputs.values()]
    module.loss(*tensors).backward()
    assert [None if tensor.grad is None else tensor.grad.item() for tensor in tensors] == [None, 4.0, 0.0]
    assert_both_are_right(load, found, 1e-12)
    by_node = gradexplain.derive("u = w*x; u**2", "w=1,x=2", wrt="u,w")
    assert numpy_gradients(load(numpy_function.write(by_node)), by_node)[1] == {"u": 4.0, "w": 8.0}
    with pytest.raises(OptionError, match="u is no input"):
        pytorch.write(by_node)


def test_a_second_derivative_is_refused_and_not_wrong(load):
    module = load(pytorch.write(gradexplain.derive("x**3")))
    x = torch.tensor(2.0, requires_grad=True)
    (first,) = torch.autograd.grad(module.loss(x), x, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        first.backward()


def test_the_gamma_functions_written_for_numpy(load):
    module = load(numpy_function.write(gradexplain.derive("digamma(x)*lgamma(x)*polygamma(3, x)")))
    for a in (-7.3, -2.5, -0.001, 1e-8, 0.1, 1.0, 1.4, 3.7, 11.9, 12.0, 150.0, 1e9):
        assert relative(float(module.digamma(a)), float(FUNCTIONS["digamma"](a))) < 1e-13, a
        for n in (0, 1, 2, 4, 9):
            assert relative(float(module.polygamma(n, a)), float(FUNCTIONS["polygamma"](n, a))) < 1e-13, (n, a)
    with np.errstate(all="ignore"):
        special = [f(a) for f in (module.lgamma, module.digamma) for a in (0.0, -3.0, math.inf, -math.inf, math.nan)]
    inf, nan = math.inf, math.nan
    assert np.array_equal(special, [inf, inf, inf, inf, nan, nan, nan, inf, nan, nan], equal_nan=True)


def run_program(found):
    """The gradients by a reader that knows `name = expression`, `name += expression` and comments, at 80 digits."""
    values = {}
    for line in program.write(found).splitlines():
        statement = line.partition("#")[0].strip()
        if statement:
            name, operator, expression = statement.split(" ", 2)
            number = evaluate(expression, values)
            values[name] = values[name] + number if operator == "+=" else number
    listing = Listing(found)
    return {listing.shown[i]: float(values[listing.gradients[i]]) for i in listing.sources}


def test_programs_reproduce_the_gradient():
    for case in SLICE:
        found = derivation(case)
        expected = {name: entry.value for name, entry in found.gradient.items()}
        # The numbers of the formula are rounded at other places: 1/3 is one constant for a derivation.
        assert run_program(found) == pytest.approx(expected, rel=1e-9, abs=1e-15), case.name


def test_a_program_reads_as_one_would_say_it():
    found = gradexplain.derive("a = x*x; L = a*sin(a)", "x=1.5")
    assert (
        program.write(found)
        == """\
x = 1.5

a = x*x             # 2.25
v1 = sin(a)         # 0.778073
L = a*v1            # 1.75066

dL = 1              # the seed
dv1 = dL * a        # product rule, 2.25
da = dL * v1        # product rule, 0.778073
da += dv1 * cos(a)  # sine, -1.41339, -0.635317 in all
dx = da * x         # product rule, -0.952976
dx += da * x        # product rule, -0.952976, -1.90595 in all
"""
    )
    without = program.write(gradexplain.derive("dx = w*x; dx*sign(y)", "w=1"))
    assert "# x has no value" in without
    lines = [" ".join(line.split()) for line in without.splitlines()]
    # The name dx is taken.
    for line in ("ddx = dL * v1 # product rule", "dw = ddx * x # product rule", "dx_ = ddx * w # product rule, 1"):
        assert line.removesuffix(", 1") in lines, without


@pytest.mark.parametrize("write", [pytorch.write, numpy_function.write], ids=["pytorch", "numpy"])
def test_the_module_runs_as_it_stands(write, tmp_path):
    path = tmp_path / "explained.py"
    command = [sys.executable, "-W", "error", str(path)]
    path.write_text(write(gradexplain.derive("λ*exp(-λ*l)", "λ=0.5,l=2")), encoding="utf-8")
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True, env=UTF8)
    lines = [line.split(" = ") for line in result.stdout.splitlines() if " = " in line]
    names = ["L", "dL/dλ", "dL/dl"]
    assert [name for name, _ in lines] == names
    assert [float(number) for _, number in lines] == pytest.approx([0.5 / math.e, 0, -0.25 / math.e])
    assert ("gradcheck: True" in result.stdout) == (write is pytorch.write)
    path.write_text(write(gradexplain.derive("λ*exp(-λ*l)", "λ=0.5")), encoding="utf-8")
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, env=UTF8)
    assert result.returncode == 1
    assert result.stderr.startswith("there is no value for l;")


def test_linters_have_nothing_to_say(tmp_path):
    formulas = [
        "I*l + O**2",
        "c = 2*pi; d = c + 1; t = x > 1; where(t, x, y)*c",
        "gelu(x)*digamma(y)",
        "sign(x)",
        *EVERY,
    ]
    for k, formula in enumerate(formulas):
        found = gradexplain.derive(formula)
        for name, write in (("pytorch", pytorch.write), ("numpy", numpy_function.write)):
            (tmp_path / f"{name}_{k}.py").write_text(write(found), encoding="utf-8")
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or pytest.skip("ruff is not installed")
    result = subprocess.run(
        [ruff, "check", "--isolated", "."], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout
