"""A number is a tensor of shape (): a formula on vectors says, element by element, what it says on numbers.

What still differs is listed in `one_house.tsv`, which may only shrink. Here are the questions that gave two answers,
every elementwise rule at its kinks and poles, and some of the published formulas; test_one_house_whole.py has them all.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator

import pytest
from one_house import Question, check, listed, read_formula
from test_formulas import CASES

from gradexplain import derive
from gradexplain.rules.table import ELEMENTWISE

# A formula, the values of x, those of y, and the dtype where it is not float64.
SPECIAL = {
    "a constant below": ("x/(2*pi)", (1, 2, 3), ()),
    "a sum below": ("x/(1 + sqrt(2))", (1, 2, 3), ()),
    "a negative constant": ("(1 - pi)*x/(-sqrt(2))", (1, 2, 3), ()),
    "a constant exponent": ("x**(1/3)*(1 + sqrt(2))**x", (1, 2, 3), ()),
    "a branch that is not taken": ("where(x > 0, sqrt(x), 0)", (4, -1, 9), ()),
    "a logarithm not taken": ("where(x > 0, log(x), x)", (4, -1, 9), ()),
    "pi as the dtype holds it": ("pi*x", (1, 2, 3), (), "float16"),
    "a literal as the dtype holds it": ("0.1*x + y/3", (1, 2, 3), (0.3, 0.7, 7), "float16"),
    "a kink that is smoothed": ("abs(x)*x", (1, 0, -2), ()),
    "a kink that cancels": ("relu(x) - relu(-x)", (1, 0, -2), ()),
    "a kink": ("abs(x)", (1, 0, -2), ()),
    "a tie": ("max(x, y)", (1, 2, 3), (2, 2, 2)),
    "a jump": ("where(x > 0, x + 1, x)", (1, 0, -2), ()),
    "a staircase": ("floor(x)*x", (1.5, 2.5, -0.5), ()),
    "a kink below a zero": ("0*abs(x)", (1, 0, -2), ()),
    "an exponential too large": ("log(1 + exp(x))", (1, 1000, 2), ()),
    "an exponential too large for half": ("log(1 + exp(x))", (1, 20, 2), (), "float16"),
    "a square too large": ("sqrt(x**2 + 1)", (3, 1e200, 4), ()),
    "a square too small": ("sqrt(x**2)", (3, 1e-200, 4), ()),
    "a pole": ("1/x", (1, 0, 2), ()),
    "zero over zero": ("x/x", (1, 0, 2), ()),
    "sine over x": ("sin(x)/x", (1, 0, 2), ()),
    "outside of a domain": ("log(x)", (1, -1, 2), ()),
    "the edge of a domain": ("sqrt(x)", (1, 0, 4), ()),
    "terms that cancel": ("(1 - cos(x))/x**2", (1, 1e-8, 2), ()),
    "a difference of large numbers": ("(x + y) - x", (1, 1e17, 3), (1, 3, 5)),
    "a minimum": ("(x*y - 0.3)**2", (0.1, 0.5, 3), (3, 0.6, 0.1)),
    "half precision": ("exp(sin(x)*x)/x", (0.1, 1.7, 2.2), (), "bfloat16"),
    "too small for the dtype": ("exp(-x)", (1, 18, 2), (), "float16"),
    "digits that 80 do not show": ("exp(x + y) - exp(x)*exp(y)", (1, 2, 3), (4, 5, 6)),
    "nothing flows": ("x + 0*floor(y)", (1, 2, 3), (4.5, 5.5, 6.5)),
    "a power of itself": ("x**x", (1, 2, 3), ()),
    "named parts": ("u = x*y; v = tanh(u); z = v*exp(u)", (1, 0.5, -1), (1, 2, 0.3)),
    "used twice": ("u = x*y; u*sin(u) + x", (1, 0.5, -1), (1, 2, 0.3)),
}
# How rules are called that take more than x and y.
CALLS = {"polygamma": "polygamma(1, x)", "where": "where(x > y, x**2, y)", "clamp": "clamp(x, y, 2)",
         "clamp_between": "clamp(x, -1, 3)", "clamp_from": "clamp_min(x, 0)", "clamp_to": "clamp_max(x, 0)",
         "heaviside": "heaviside(x, 0.5)*y"}  # fmt: skip
XS, YS = (-6, -3, -1, -0.5, 0, 0.5, 1, 3, 6), (-1, 0, 1, 3)
SAMPLE = 60


def special() -> Iterator[Question]:
    """The questions of SPECIAL."""
    for name, (formula, xs, ys, *dtype) in SPECIAL.items():
        points = [{"x": x, "y": y} for x, y in zip(xs, ys, strict=True)] if ys else [{"x": x} for x in xs]
        yield Question(name, formula, points, dtype=dtype[0] if dtype else "float64")


def call(rule: str) -> str:
    """A formula with one rule in it."""
    row = ELEMENTWISE[rule]
    if rule in CALLS:
        return CALLS[rule]
    if row.boolean:
        return f"where(x {row.symbol} y, 2*x, y)"
    return f"{rule}(x, y)" if len([partial for partial in row.partials if partial]) > 1 else f"{rule}(x)"


def at_kinks(rule: str) -> Iterator[Question]:
    """A rule at the points of a grid that give the same verdict, as one question each; a good one comes first."""
    formula = call(rule)
    groups = defaultdict(list)
    for x, y in itertools.product(XS, YS) if "y" in formula else ((x, None) for x in XS):
        point = {"x": x} if y is None else {"x": x, "y": y}
        groups[derive(formula, point).verdict].append(point)
    smooth = groups.pop("agrees", [])
    yield Question(rule, formula, smooth)
    for verdict, points in groups.items():
        yield Question(f"{rule}, {verdict}", formula, smooth[:1] + points)


@pytest.mark.parametrize("question", [*special()], ids=lambda question: question.name)
def test_a_vector_is_explained_as_its_numbers(question: Question) -> None:
    check([question])


@pytest.mark.parametrize("rule", ["abs", "sqrt", "relu6", "maximum"])
def test_a_rule_at_its_kinks_and_poles(rule: str) -> None:
    check(at_kinks(rule))


def test_published_formulas_on_vectors() -> None:
    check(map(read_formula, CASES[::SAMPLE]))


def test_the_list_names_questions_that_there_are() -> None:
    there = {*SPECIAL, *ELEMENTWISE, *(case.name for case in CASES)}
    unknown = [name for name, _ in listed() if name not in there and name.rpartition(", ")[0] not in ELEMENTWISE]
    assert unknown == []
