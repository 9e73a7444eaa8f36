"""The exact reading on vectors and matrices: values and gradients against mpmath, at points where digits are lost."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import mpmath
import pytest
import torch
from tensor_checks import close, point, read, shapes_of, tolerance
from tensor_checks import run as autograd
from test_tensor_rules import ELEMENTWISE, EXAMPLES, VARIANTS

from gradexplain import FormulaError, derive
from gradexplain.language.parse import parse
from gradexplain.language.text import write
from gradexplain.output import json as to_json
from gradexplain.output.derivation import table
from gradexplain.readings import exact as exact_reading
from gradexplain.readings.arithmetic import DEAD, ELEMENTARY, exactly, finite
from gradexplain.readings.digits import LOST, context, digits
from gradexplain.readings.exact import Exact, run
from gradexplain.readings.exact_arrays import array_of, elements, shape_of

SCHEMA = Path(__file__).parent.parent / "docs" / "derivation.schema.json"
mp = mpmath.MPContext()
mp.dps = 300
Point = dict[str, Any]


def exact(formula: str, at: Point) -> tuple[Exact, dict[str, list[Any]]]:
    """The exact reading, and the gradients by input as lists of numbers in order."""
    values: dict[str, tuple[tuple[int, ...], list[float]]] = {}
    for name, value in at.items():
        shape, flat = (), [value]
        while isinstance(flat[0], list):
            shape, flat = (*shape, len(flat[0])), [entry for part in flat for entry in part]
        values[name] = shape, flat
    graph = parse(formula, list(at), {name: shape for name, (shape, _) in values.items() if shape})
    given = {}
    for i in graph.inputs:
        shape, flat = values[str(graph.nodes[i].value)]
        given[i] = array_of([exactly(float(number)) for number in flat], shape)
    found = run(graph, graph.inputs, given, 1.0)
    names = {i: str(graph.nodes[i].value) for i in graph.inputs}
    return found, {names[i]: elements(total) for i, total in found.walk.totals.items() if i in names}


def gradient(function: Callable[..., Any], at: list[float]) -> list[Any]:
    """Difference quotients with many digits."""
    point, step = [mp.mpf(x) for x in at], mp.mpf(10) ** -90
    return [
        (function(*point[:k], x + step, *point[k + 1 :]) - function(*point[:k], x - step, *point[k + 1 :])) / (2 * step)
        for k, x in enumerate(point)
    ]


def softmax_entropy(*z: Any) -> Any:
    whole = mp.fsum(map(mp.exp, z))
    return -mp.fsum(mp.exp(x) / whole * mp.log(mp.exp(x) / whole) for x in z)


def deviation(*x: Any) -> Any:
    mean = mp.fsum(x) / len(x)
    return mp.sqrt(mp.fsum((a - mean) ** 2 for a in x) / (len(x) - 1))


CASES: list[tuple[str, list[float], Callable[..., Any]]] = [
    ("log(sum(exp(x)))", [1000, 1, -1000], lambda *x: mp.log(mp.fsum(map(mp.exp, x)))),
    ("logsumexp(x, dim=0)", [1e5, 99999, 3], lambda *x: mp.log(mp.fsum(map(mp.exp, x)))),
    ("p = softmax(x); -sum(p*log(p))", [700, 0.5, -700], softmax_entropy),
    ("std(x)", [1e15, 1e15 + 0.125, 1e15 - 0.25], deviation),
    ("sum((1 - cos(x))/x**2)", [1e-30, 1e-3], lambda *x: mp.fsum((1 - mp.cos(a)) / a**2 for a in x)),
    # Beyond what 80 digits show.
    ("sum(((1 + x) - 1)/x)", [1e-100, 1e-200], lambda *x: mp.mpf(2)),
    ("norm(x)/(x[0] + x[1])", [1e-200, 1e200], lambda a, b: mp.hypot(a, b) / (a + b)),
    ("prod(x)", [1e-200, 1e300, 0.5], lambda *x: mp.fprod(x)),
]


@pytest.mark.parametrize(("formula", "at", "function"), CASES, ids=lambda part: part if isinstance(part, str) else "")
def test_gradients_are_mpmaths(formula: str, at: list[float], function: Callable[..., Any]) -> None:
    _, found = exact(formula, {"x": at})
    for one, expected in zip(found["x"], gradient(function, at), strict=True):
        assert abs(mp.mpf(one) - expected) <= mp.mpf(10) ** -45 * abs(expected) + mp.mpf(10) ** -60, formula


@pytest.mark.parametrize("formula", ["sum(where(x > 0, sqrt(x), 0))", "sum(where(x > 0, log(x), 0))",
                                     "sum(where(x > 0, 1/x, 0)*x)"])  # fmt: skip
def test_a_branch_that_was_not_taken_is_dead_for_its_elements_alone(formula: str) -> None:
    _, found = exact(formula, {"x": [4.0, -1.0, 9.0]})
    assert found["x"][1] is DEAD or found["x"][1] == 0
    assert all(map(finite, (found["x"][0], found["x"][2])))


@pytest.mark.parametrize(("formula", "expected"), [
    # The part of the pole is not chosen, cut off, or filled with zeros.
    ("y = sqrt(x); y[1]", [0, 0.25]), ("y = sqrt(x); max(y)", [0, 0.25]), ("y = sqrt(x); sum(y[1:]**2)", [0, 1]),
    ("y = sqrt(x); sum(tril(outer(y, y))[1, 1:]**2)", [0, 8]), ("y = sqrt(x); trace(diag(y)[1:, 1:])", [0, 0.25]),
])  # fmt: skip
def test_where_nothing_flows_a_pole_does_not_matter(formula: str, expected: list[float]) -> None:
    _, found = exact(formula, {"x": [0.0, 4.0]})
    assert [float(number) for number in found["x"]] == expected


def test_zero_times_infinity_is_no_number_where_it_is_multiplied() -> None:
    _, found = exact("sum(sqrt(x)*c)", {"x": [0.0, 4.0], "c": [0.0, 1.0]})
    assert not finite(found["x"][0]) and float(found["x"][1]) == 0.25


@pytest.mark.parametrize(("formula", "shapes"), EXAMPLES + VARIANTS + ELEMENTWISE, ids=lambda text: text)
def test_values_and_gradients_are_autograds(formula: str, shapes: str) -> None:
    known = shapes_of(shapes)
    graph = read(formula, known)
    names = {i: str(graph.nodes[i].value) for i in graph.inputs}
    at = point([*names.values()], known, 0)
    given = {i: array_of([*map(exactly, at[name].flatten().tolist())], at[name].shape) for i, name in names.items()}
    shape = graph.lengths(graph.objective)
    seed = array_of([exactly(1.0)] * math.prod(shape), shape)
    found, expected = run(graph, graph.inputs, given, seed), autograd(graph, at)
    for i, value in enumerate(expected.values):
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            assert close(as_tensor(found.values[i]), value, 1e-9), write(graph, i, {})
    for i in graph.inputs:
        if i in found.walk.totals:
            gradient = expected.gradients.get(i, torch.zeros_like(at[names[i]]))
            assert close(as_tensor(found.walk.totals[i]), gradient, tolerance(formula)), names[i]


def as_tensor(value: Any) -> torch.Tensor:
    numbers = torch.tensor([float(number) for number in elements(value)], dtype=torch.float64)
    return numbers.reshape(shape_of(value))


SINGULAR = [[1.1, 2.2], [2.2, 4.4]]
RANK_DEFICIENT = [[1.0, 2.0, 3.0], [0.1, 0.7, 0.3]]


@pytest.mark.parametrize(("formula", "matrix"), [
    ("norm(inverse(A.T @ A))", RANK_DEFICIENT), ("sum(solve(A.T @ A, A[0]))", RANK_DEFICIENT),
    ("logdet(A.T @ A)", RANK_DEFICIENT),
])  # fmt: skip
def test_what_only_rounding_makes_invertible_has_no_value(formula: str, matrix: list[list[float]]) -> None:
    found, gradients = exact(formula, {"A": matrix})
    assert not finite(found.values[-1])
    assert not any(map(finite, gradients["A"]))


def test_the_determinant_of_a_singular_matrix_is_0() -> None:
    found, gradients = exact("det(A)", {"A": SINGULAR})
    assert found.values[-1] == 0
    assert [float(number) for number in gradients["A"]] == [4.4, -2.2, -2.2, 1.1]
    found, _ = exact("det(A.T @ A)", {"A": RANK_DEFICIENT})
    assert found.values[-1] == 0


def test_terms_that_cancel_leave_0_for_their_elements_alone() -> None:
    _, found = exact("sum(exp(x + y) - exp(x)*exp(y)) + y[1]", {"x": [0.3, 0.7], "y": [0.1, 0.2]})
    assert [float(number) for number in found["y"]] == [0, 1]
    _, found = exact("p = exp(x)/sum(exp(x)); sum(p)", {"x": [0.5, -1.2, 2.0]})
    assert found["x"] == [0, 0, 0]


def test_kinks_are_known_by_element() -> None:
    found, _ = exact("sum(abs(x)) + sum(relu(y)) + max(y) + norm(z)", {"x": [1.0, 0.0, -2.0], "y": [0.0, 3.0, 3.0],
                                                                        "z": [0.0, 0.0]})  # fmt: skip
    assert sorted(found.kinks.values()) == [(0,), (0,), (0,), (1,)]
    found, _ = exact("sum(where(x > 0, x, 2*x))", {"x": [1.0, 0.0, -2.0]})
    assert list(found.kinks.values()) == [(1,)]


def test_constants_are_held_as_the_dtype_holds_them() -> None:
    found = derive("sum(pi*x)", {"x": [1, 2]}, dtype="float16")
    assert list(found.gradient["x"].value.numbers) == [3.140625] * 2
    found = derive("sum(x*(1/3)*sqrt(2*pi))", {"x": [1, 2]})
    assert list(found.gradient["x"].value.numbers) == [float(mp.mpf(1 / 3) * mp.mpf(float(mp.sqrt(2 * mp.pi))))] * 2
    with pytest.raises(FormulaError, match="this constant is too large for float16"):
        derive("sum(x*100000)", {"x": [1, 2]}, dtype="float16")


def test_a_vector_that_is_dead_and_one_that_is_not_have_their_verdicts() -> None:
    found = derive("sum(where(x > 0, sqrt(x), 0))", {"x": [4, -1]})
    assert list(found.gradient["x"].value.numbers) == [0.25, 0]
    assert found.verdict == found.gradient["x"].verdict == "nonfinite"
    found = derive("norm(inverse(A.T @ A))", {"A": RANK_DEFICIENT})
    assert found.verdict in ("nonfinite", "undefined")


def test_elements_that_no_float_holds_are_shown_with_their_digits() -> None:
    found = derive("log(sum(exp(z)))", {"z": [1000, 1]})
    expected = mp.nstr(mp.exp(1000), 6).replace("e+", "e")
    assert found.nodes[0].value.nested()[0].startswith(expected[:5]) and found.nodes[2].value == 1000
    text = table.write(found)
    assert f"v1[0] = exp(z)[0] is {expected}, and float64 holds inf" in " ".join(text.split())
    jsonschema.validate(json.loads(to_json.write(found)), json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_digits_are_put_back_and_losses_counted() -> None:
    before = context().prec, LOST.bits
    with digits(50) as lost:
        with digits(bits=2000):
            assert context().prec == 2000
        assert context().dps == 50 and lost.bits == 0
    assert (context().prec, LOST.bits) == before


@pytest.mark.parametrize("order", [1, 2, 5])
def test_polygamma_functions_far_on_the_left_are_reflected(order: int) -> None:
    polygamma = ELEMENTARY["polygamma"]
    with digits(50):
        # Near 0 mpmath's own steps are few; far out they would be as many as the number is large.
        near, far = exactly(-7.25), exactly(-1e9 - 0.25)
        assert abs(polygamma(exactly(order), near) / mp.polygamma(order, near) - 1) < 1e-45
        # What 1e9 more makes is less than 1e-8, and the derivatives of the cotangent have a period.
        period = mp.polygamma(order, near) - (-1) ** order * mp.polygamma(order, 1 - near)
        assert abs(polygamma(exactly(order), far) - period) < 1e-8
        assert not finite(polygamma(exactly(order), exactly(-1e9)))


@pytest.mark.parametrize("formula", ["lgamma(x)", "elu(lgamma(x), alpha=2)", "floor(lgamma(x + 0.5))*x"])
def test_a_zero_of_a_gamma_function_takes_no_thousand_digits(formula: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    monkeypatch.setattr(exact_reading, "digits", lambda count: tried.append(count) or digits(count))
    derive(formula, {"x": 1})
    assert max(tried) <= 400


def test_a_whole_number_that_is_0_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    monkeypatch.setattr(exact_reading, "digits", lambda count: tried.append(count) or digits(count))
    derive("x*floor(sin(x))", {"x": 0.3})
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("formula", "x", "value", "gradient"),
    [
        ("logsigmoid(x)", -1e6, -1e6, 1), ("logsigmoid(x)", -1e300, -1e300, 1), ("logsigmoid(x)", 1e6, 0, 0),
        ("logaddexp(x, 2*x)", 1e6, 2e6, 2), ("logaddexp(x, 2*x)", -1e300, -1e300, 1), ("erfc(x)", 1e15, 0, 0),
        ("erfc(x)", -1e300, 2, 0), ("lgamma(x)", 1e15, 3.3538776394910668e16, 34.538776394910684),
        ("digamma(x)", 1e300, 690.775527898213705, 1e-300), ("logaddexp(x, x)", 0.5, 0.5 + math.log(2), 1),
    ],
)  # fmt: skip
def test_far_out_functions_have_their_values(formula: str, x: float, value: float, gradient: float) -> None:
    found = derive(formula, {"x": x})
    assert float(found.nodes[-1].value) == pytest.approx(value, rel=1e-12)
    assert float(found.gradient["x"].value) == pytest.approx(gradient, rel=1e-12, abs=1e-310)
    assert found.verdict == "agrees"


@pytest.mark.parametrize(
    ("formula", "at", "gradient"),
    [
        ("log(1 + exp(x))", {"x": 1e6}, 1), ("log(sum(exp(x)))", {"x": [1e6, 1e6]}, [0.5, 0.5]),
        ("log(exp(x))", {"x": 1e15}, 1), ("asinh(exp(x))", {"x": 1e5}, 1),
        ("log10(exp(x))", {"x": -1e15}, 1 / math.log(10)),
        ("log(sqrt(exp(x)))", {"x": 1e6}, 0.5), ("atan2(x, exp2(x))", {"x": 1e6}, 0),
    ],
)  # fmt: skip
def test_numbers_that_no_dtype_holds_are_numbers(formula: str, at: Point, gradient: object) -> None:
    found = derive(formula, at).gradient["x"].value
    assert (found.nested() if isinstance(gradient, list) else float(found)) == pytest.approx(gradient, rel=1e-12)
