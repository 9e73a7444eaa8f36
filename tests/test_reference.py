"""The reference at edges: kinks, poles and what has no value, each with the right answer found by hand.

Where a limit is meant it was found by difference quotients of mpmath with 200 digits, or by hand as the comment says.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pytest

from gradexplain import derive
from gradexplain.records import Derivation, MatrixDerivation
from gradexplain.tensor import Tensor

NAN, INF = math.nan, math.inf


class Right(NamedTuple):
    """A formula at a point: the gradients by input, the verdict, and the id of the reason or note that says why."""

    formula: str
    at: dict[str, Any]
    gradient: dict[str, Any]
    verdict: str
    id: str = ""
    place: str = ""


def flat(value: Any) -> list[float]:
    """The numbers of a gradient in order."""
    if isinstance(value, Tensor):
        return list(value.numbers or ())
    if isinstance(value, list):
        return [number for part in value for number in flat(part)]
    return [float(value)]


def alike(own: float, right: float) -> bool:
    """Whether two numbers are the same: both nan, the same infinity, or equal up to 12 digits."""
    return (own != own and right != right) or own == right or math.isclose(own, right, rel_tol=1e-12, abs_tol=1e-15)


def ids(derivation: Derivation) -> set[str]:
    """The ids of all reasons and notes."""
    began = [entry.began.id for entry in derivation.gradient.values() if entry.began]
    return {*began, *(remark.id for remark in derivation.remarks)}


def check(right: Right) -> None:
    """The exact gradients, the verdict on the whole, the reason, and the node that it names."""
    found = derive(right.formula, right.at, wrt=list(right.gradient))
    for name, value in right.gradient.items():
        own = flat(found.gradient[name].value)
        assert len(own) == len(flat(value)) and all(map(alike, own, flat(value))), (name, own, value)
    assert found.verdict == right.verdict, found.verdict
    if right.id:
        assert right.id in ids(found), ids(found)
    if right.place:
        began = next(entry.began for entry in found.gradient.values() if entry.began)
        assert began.node == right.place, began


# A root of what is 0 in a way that has no slope: -1 from the left, 1 from the right.
NO_DERIVATIVE = [
    Right("sqrt(x**2)", {"x": 0}, {"x": NAN}, "undefined", "local_not_finite", "L"),
    Right("sqrt(sum(x**2))", {"x": [0, 0]}, {"x": [NAN, NAN]}, "undefined", "local_not_finite", "L"),
    Right("sum(x**2)**0.5", {"x": [0, 0]}, {"x": [NAN, NAN]}, "undefined", "local_not_finite", "L"),
    Right("sqrt(x**2 + y**2)", {"x": 0, "y": 0}, {"x": NAN, "y": NAN}, "undefined", "local_not_finite", "L"),
    Right("sqrt(mean((X @ w - y)**2))", {"X": [[1, 2], [3, 4]], "w": [1, 1], "y": [3, 7]}, {"w": [NAN, NAN]},
          "undefined", "local_not_finite", "L"),
    Right("sqrt(mse_loss(w, y))", {"w": [1, 2], "y": [1, 2]}, {"w": [NAN, NAN]}, "undefined", "", "L"),
    Right("abs(x)**0.5", {"x": 0}, {"x": NAN}, "undefined"),
    Right("x*log(x)", {"x": 0}, {"x": NAN}, "undefined", "value_not_finite"),
    # The root of a rectifier has the slope 0 on the left and none on the right; PyTorch takes the left one.
    Right("sqrt(relu(x))", {"x": 0}, {"x": NAN}, "convention", "kink_sides"),
]  # fmt: skip
NO_VALUE = [
    Right("log(x**2)", {"x": 0}, {"x": NAN}, "undefined", "value_not_finite", "L"),
    Right("1/x**2", {"x": 0}, {"x": NAN}, "undefined", "value_not_finite", "L"),
    Right("rsqrt(x**2)", {"x": 0}, {"x": NAN}, "undefined", "value_not_finite", "L"),
    Right("a**x", {"a": 0, "x": -1}, {"x": NAN}, "undefined", "value_not_finite", "L"),
    # The chain rule has a number here, but a sum with log(0) in it has no value that could have a gradient.
    Right("log(x) + y", {"x": 0, "y": 1}, {"y": 1}, "undefined", "value_not_finite"),
    Right("sum(log(x)) + y", {"x": [0, 1], "y": 1}, {"x": [INF, 1], "y": 1}, "undefined", "value_not_finite"),
]
# Quotients on both sides go to the same number, some of them as slowly as h**0.2.
DIFFERENTIABLE = [
    Right("abs(x)**1.2", {"x": 0}, {"x": 0}, "agrees"),
    Right("abs(x)**1.25", {"x": 0}, {"x": 0}, "agrees"),
    Right("abs(x)**1.05 + 3*x", {"x": 0}, {"x": 3}, "agrees"),
    Right("exp(-abs(x)**1.2)", {"x": 0}, {"x": 0}, "agrees"),
    Right("sum(abs(x)**1.2)", {"x": [0, 1]}, {"x": [0, 1.2]}, "agrees"),
    Right("sum(x*abs(x))", {"x": [0, 1]}, {"x": [0, 2]}, "agrees"),
    Right("sum(x**0)", {"x": [0, 1]}, {"x": [0, 0]}, "agrees"),
    Right("min(x, x)", {"x": 2}, {"x": 1}, "agrees"),
    Right("l1_loss(x, x)", {"x": [1, 2]}, {"x": [0, 0]}, "agrees"),
    # sum(s) times the length of s: both factors are 0 at 0, so the quotient is 0, and PyTorch's is 0 times infinity.
    Right("n2 = sum(s**2); sum(s*sqrt(n2)/(1 + n2))", {"s": [0, 0]}, {"s": [0, 0]}, "nonfinite", "local_not_finite",
          "v2"),
    # A 0 that is no branch: hardswish has the slope a/3 + 1/2, which is 0 at -1.5.
    Right("hardswish(x)*sqrt(y)", {"x": -1.5, "y": 4}, {"x": 0, "y": -0.09375}, "agrees"),
]  # fmt: skip
TIES = [
    # Of three that are equal PyTorch halves twice, and each slope is 0 on one side and 1 on the other.
    Right("max(max(a, b), c)", {"a": 1, "b": 1, "c": 1}, {"a": 0.25, "b": 0.25, "c": 0.5}, "convention",
          "kink_sides_because"),
    Right("amax(x)", {"x": [1, 1, 1]}, {"x": [1 / 3, 1 / 3, 1 / 3]}, "convention", "kink_sides_because"),
]  # fmt: skip


# What PyTorch does in a way of its own, and says so: no fault of it, but it is named.
DOCUMENTED = [
    # Above the threshold softplus is its argument: the slope is 1.
    Right("softplus(x, 1, 1)", {"x": 2}, {"x": 1}, "agrees", "followed"),
    Right("softplus(x)", {"x": 25}, {"x": 1}, "agrees", "followed"),
    Right("softplus(x)", {"x": 2}, {"x": 1 / (1 + math.exp(-2))}, "agrees"),
    Right("sum(softplus(x, threshold=0.5)**2)", {"x": [0.7, 0]}, {"x": [1.4, math.log(2)]}, "agrees", "followed"),
    # With y = 0 all that is left is -log(1 - p), whose slope at 0 is 1; PyTorch has (p - y)/max(p*(1 - p), 1e-12).
    Right("binary_cross_entropy(p, y)", {"p": 0, "y": 0}, {"p": 1}, "convention", "documented"),
    Right("binary_cross_entropy(p, y)", {"p": [0, 1, 0.5], "y": [0, 1, 1]}, {"p": [1 / 3, -1 / 3, -2 / 3]},
          "convention", "documented"),
    Right("binary_cross_entropy(p, y)", {"p": [1e-20], "y": [1]}, {"p": [-1e20]}, "convention", "documented"),
    # By y: the difference of both logarithms, of which one is held at -100.
    Right("binary_cross_entropy(p, y)", {"p": [1], "y": [0.88]}, {"y": [-100]}, "convention", "documented"),
    Right("binary_cross_entropy(p, y)", {"p": [0.2], "y": [0.88]}, {"p": [-4.25], "y": [math.log(4)]}, "agrees"),
    # With beta = 0 it is the mean of the distances.
    Right("smooth_l1_loss(x, y, beta=0)", {"x": [1, 2, 3], "y": [1, 0, 3]}, {"x": [0, 1 / 3, 0]}, "convention",
          "kink_sides"),
    Right("hardsigmoid(x)", {"x": 1}, {"x": 1 / 6}, "precision", "documented_at", "L"),
    # Large arguments of functions that contain softplus: x*tanh(x) up to e**-2000000.
    Right("mish(x)", {"x": 1e6}, {"x": 1}, "agrees"),
]  # fmt: skip


# What rounding makes of equal numbers, of singular matrices and of constants.
ROUNDED = [
    # Both are the root of 3, in no number of digits; PyTorch's second one is larger, and has the slope -1/(2*sqrt(3)).
    Right("max(sqrt(a), 3/sqrt(a))", {"a": 3}, {"a": 0}, "convention", "kink_beside", "L"),
    Right("relu(sqrt(x)*sqrt(x) - 2)", {"x": 2}, {"x": 0}, "convention", "kink_beside", "L"),
    Right("relu(sqrt(x)*sqrt(x) - 1.999)", {"x": 2}, {"x": 1}, "agrees"),
    # A matrix of 3 rows made of 2 has no inverse.
    Right("norm(inverse(A.T @ A))", {"A": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]}, {"A": [[NAN] * 3] * 2}, "precision",
          "value_by_rounding"),
    # Cofactors of singular matrices, by hand.
    Right("det(A)", {"A": [[1, 2], [2, 4]]}, {"A": [[4, -2], [-2, 1]]}, "disagrees", "documented_at", "L"),
    Right("det(A)", {"A": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]}, {"A": [[-3, 6, -3], [6, -12, 6], [-3, 6, -3]]},
          "disagrees", "documented_at", "L"),
    Right("det(A)", {"A": [[0]]}, {"A": [[1]]}, "agrees"),
    Right("det(A)", {"A": [[0, 0], [0, 0]]}, {"A": [[0, 0], [0, 0]]}, "agrees"),
    # Outside of the domain of the logarithm there is no value, whatever the derivative's formula says.
    Right("sum(log1p(x))", {"x": [-1.5, 0.5]}, {"x": [NAN, 1 / 1.5]}, "undefined", "value_not_finite"),
    # What is far beyond any float is a number all the same.
    Right("log(sum(exp(z)))", {"z": [1000, 1000]}, {"z": [0.5, 0.5]}, "nonfinite", "value_out_of_range"),
    Right("log(exp(x) + exp(x))", {"x": 1e6}, {"x": 1}, "nonfinite", "value_out_of_range"),
    Right("sqrt(exp(2*x))/exp(x)", {"x": 1e6}, {"x": 0}, "nonfinite", "value_out_of_range"),
    # xlogy is 0 at x = 0 for every y, and its slope there is log(y); SymPy is not asked where it is defined apart.
    Right("xlogy(x, y)", {"x": 0, "y": 2}, {"x": math.log(2), "y": 0}, "agrees"),
]  # fmt: skip


@pytest.mark.parametrize("right", ROUNDED, ids=lambda right: f"{right.formula}-{right.at}")
def test_what_rounding_makes(right: Right) -> None:
    check(right)


def test_numbers_beyond_all_floats_are_written() -> None:
    found = derive("2 - exp(x)", {"x": 1e8})
    # exp(1e8) is 10**(1e8*log10(e)).
    assert str(found.gradient["x"].value).startswith("-1.5499767466484265") and found.verdict == "nonfinite"
    assert str(found.gradient["x"].value).endswith("e43429448")


@pytest.mark.parametrize(("formula", "at"), [("log(1 + exp(x))", {"x": 1000}), ("log(sum(exp(x)))", {"x": [1000]})])
def test_a_factor_too_small_for_a_float_is_shown(formula: str, at: dict[str, Any]) -> None:
    # 1/(1 + exp(1000)) = 10**-434.294… = 5.0759588975e-435: 0 times 1.97e434 would not be 1.
    row = next(row for row in derive(formula, at).backward if row.node == "v1")
    value = row.value.entries[0] if isinstance(row.value, Tensor) else row.value  # type: ignore[index]
    assert str(value).startswith("5.07595889754945676") and str(value).endswith("e-435")
    assert (row.verdict, row.error) == ("agrees", 0)


def test_xlogy_has_no_contrary_sentence_about_sympy() -> None:
    assert "sympy_differs" not in ids(derive("xlogy(x, y)", {"x": 0, "y": 2}))


@pytest.mark.parametrize(("formula", "p"), [("log1p(-clamp(p, max=1 - 1e-6))", 1),
                                            ("sum(log1p(-clamp(p, max=1 - 1e-6)))", [1, 0.5])])  # fmt: skip
def test_a_constant_that_the_dtype_rounds_away_is_named(formula: str, p: Any) -> None:
    found = derive(formula, {"p": p}, dtype="bfloat16")
    assert found.verdict == "undefined"
    assert "1 - 1e-6 is 1 in bfloat16; with 0.999999 in its place the answer is another one" in found.notes
    assert "constant_rounded" not in ids(derive(formula, {"p": p}))


@pytest.mark.parametrize("options", [{"jacobian": True}, {"upstream": []}])
def test_an_empty_vector_has_an_empty_gradient(options: dict[str, Any]) -> None:
    found = derive("x*2", {"x": []}, **options)
    assert found.verdict == "agrees" and flat(found.gradient["x"].value) == []


@pytest.mark.parametrize(
    "right", [*NO_DERIVATIVE, *NO_VALUE, *DIFFERENTIABLE, *TIES, *DOCUMENTED], ids=lambda right: right.formula
)
def test_gradients_at_edges(right: Right) -> None:
    check(right)


class RightHessian(NamedTuple):
    """A formula at a point, the Hessian (nan where there is none), the verdict, and the id of a note."""

    formula: str
    at: dict[str, Any]
    hessian: list[list[float]]
    verdict: str
    id: str = ""


SINC = -(math.pi**2) / 3
HESSIANS = [
    # Squares of a length are sums of squares, and the cosine of |x| is that of x: the kink cancels.
    RightHessian("norm(x)**2", {"x": [0, 0]}, [[2, 0], [0, 2]], "disagrees", "second_at_kink"),
    RightHessian("log(1 + norm(x)**2)", {"x": [0, 0]}, [[2, 0], [0, 2]], "disagrees", "second_at_kink"),
    RightHessian("abs(x)**2", {"x": 0}, [[2]], "disagrees", "second_at_kink"),
    RightHessian("max(x, -x)**2", {"x": 0}, [[2]], "disagrees", "second_at_kink"),
    RightHessian("cos(abs(x))", {"x": 0}, [[-1]], "disagrees", "second_at_kink"),
    # The variance has the Hessian (1 - 1/n)*2/(n - 1) on the diagonal and -2/(n*(n - 1)) beside it.
    RightHessian("std(x)**2", {"x": [1, 1]}, [[1, -1], [-1, 1]], "disagrees", "second_at_kink"),
    # The product of the smaller and the larger one is x*y.
    RightHessian("min(x, y)*max(x, y)", {"x": 1, "y": 1}, [[0, 1], [1, 0]], "disagrees", "second_at_kink"),
    # sin(pi*x)/(pi*x) = 1 - pi**2*x**2/6 + …
    RightHessian("sum(sinc(x))", {"x": [0]}, [[SINC]], "disagrees", "second_differs"),
    RightHessian("hypot(x, y)**2", {"x": 0, "y": 0}, [[2, 0], [0, 2]], "nonfinite", "second_differs"),
    # Slopes of the first derivative that differ: 1 and exp(0)*0, and so on.
    RightHessian("sum(elu(x))", {"x": [0]}, [[NAN]], "convention", "second_sides"),
    RightHessian("relu(x)**2", {"x": 0}, [[NAN]], "convention", "second_sides"),
    RightHessian("relu(x)", {"x": 0}, [[NAN]], "convention", "second_of_kink"),
    # Homogeneous of degree 2, and no quadratic form: along the axes it is x**2, between them it is less.
    RightHessian("norm(x, p=3)**2", {"x": [0, 0]}, [[NAN, NAN], [NAN, NAN]], "convention", "second_by_direction"),
    RightHessian("abs(x*y)", {"x": 0, "y": 0}, [[NAN, NAN], [NAN, NAN]], "convention", "second_by_direction"),
    # Only the first element is at the corner of the Huber loss.
    RightHessian("huber_loss(x, y)", {"x": [1, 2], "y": [0, 2]}, [[NAN, 0], [0, 0.5]], "convention", "second_sides"),
    # Lines: what rounding leaves is no curvature.
    RightHessian("norm(x)", {"x": [3]}, [[0]], "agrees"),
    RightHessian("norm(x)", {"x": [0.1]}, [[0]], "agrees"),
    RightHessian("g/g", {"g": 3}, [[0]], "agrees"),
    RightHessian("abs(x)**2.2", {"x": 0}, [[0]], "agrees"),
    RightHessian("sum(softplus(x))", {"x": [25]}, [[0]], "agrees", "followed"),
    RightHessian("x**3*y", {"x": 2, "y": 3}, [[36, 12], [12, 0]], "agrees"),
    # The determinant of a 2x2 matrix is a*d - b*c; PyTorch divides by it.
    RightHessian("det(A)", {"A": [[0, 0], [0, 0]]}, [[0, 0, 0, 1], [0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0]],
                 "nonfinite"),
]  # fmt: skip


@pytest.mark.parametrize("right", HESSIANS, ids=lambda right: right.formula)
def test_hessians_at_edges(right: RightHessian) -> None:
    found = derive(right.formula, right.at, wrt="x" if "huber" in right.formula else None, hessian=True)
    assert isinstance(found, MatrixDerivation) and found.hessian is not None
    own, wanted = flat(found.hessian.value), flat(right.hessian)
    assert len(own) == len(wanted) and all(map(alike, own, wanted)), own
    assert found.verdict == right.verdict
    assert not right.id or right.id in ids(found), ids(found)


def test_the_hessian_of_a_loss_that_fits_exactly() -> None:
    at = {"X": [[1, 2], [3, 4]], "y": [3, 7], "w": [1, 1]}
    found = derive("norm(X @ w - y)**2", at, wrt="w", hessian=True)
    assert isinstance(found, MatrixDerivation) and found.hessian is not None
    # Twice X.T @ X.
    assert flat(found.hessian.value) == [20, 28, 28, 40] and "a minimum" in found.hessian.meaning
    assert (found.verdict, found.gradient["w"].verdict) == ("disagrees", "agrees")


@pytest.mark.parametrize("upstream", [1, 2, -0.5])
def test_a_hessian_is_that_of_the_objective_times_its_upstream_gradient(upstream: float) -> None:
    found = derive("sum(x**2)", {"x": [1, 2]}, upstream=upstream, hessian=True)
    assert isinstance(found, MatrixDerivation) and found.hessian is not None
    assert found.verdict == "agrees" and flat(found.hessian.value) == [2 * upstream, 0, 0, 2 * upstream]


class RightJacobian(NamedTuple):
    """A formula at a point, the Jacobian by x and the verdict on it."""

    formula: str
    x: Any
    jacobian: list[list[float]]
    verdict: str


JACOBIANS = [
    RightJacobian("g = x; g/g", [3, 0.1], [[0, 0], [0, 0]], "agrees"),
    RightJacobian("x*abs(x)", [0, 2], [[0, 0], [0, 4]], "agrees"),
    RightJacobian("relu(x)", [0, 1], [[0, 0], [0, 1]], "convention"),
    # One element knows nothing of the other: what it has none of is 0, and PyTorch's is 0 times infinity.
    RightJacobian("log(x)", [0, 2], [[INF, 0], [0, 0.5]], "nonfinite"),
    RightJacobian("exp(x)", [1, 2], [[math.e, 0], [0, math.e**2]], "agrees"),
]


@pytest.mark.parametrize("right", JACOBIANS, ids=lambda right: right.formula)
def test_jacobians_at_edges(right: RightJacobian) -> None:
    found = derive(right.formula, {"x": right.x}, jacobian=True)
    assert isinstance(found, MatrixDerivation) and found.jacobian is not None
    own, wanted = flat(found.jacobian["x"].value), flat(right.jacobian)
    assert len(own) == len(wanted) and all(map(alike, own, wanted)), own
    assert found.jacobian["x"].verdict == right.verdict
