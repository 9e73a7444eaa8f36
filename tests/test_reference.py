"""The reference at edges: kinks, poles and what has no value, each with the right answer found by hand.

Where a limit is meant it was found by difference quotients of mpmath with 200 digits, or by hand as the comment says.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pytest

from gradexplain import derive
from gradexplain.records import Derivation
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


@pytest.mark.parametrize("right", [*NO_DERIVATIVE, *NO_VALUE, *DIFFERENTIABLE, *TIES], ids=lambda right: right.formula)
def test_gradients_at_edges(right: Right) -> None:
    check(right)
