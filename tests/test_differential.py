"""The same text read twice: by gradexplain, and by Python with PyTorch and NumPy; see tests/differential/.

Seeds are fixed. A kind of failure that is known is listed with what it is; the list may only shrink.
"""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch
from differential.compare import compared
from differential.grow import Case, Term, _patterns
from differential.hunt import Found, hunt, hunt_soup, shrunk
from differential.rows import INTERNAL

import gradexplain
from gradexplain.rules.table import ELEMENTWISE, RULES

# What is known to fail: the sort of problem, a pattern that its command line has, and what it is.
KNOWN: tuple[tuple[str, str, str], ...] = (
    ("false-convention", r"where|clamp|max|min|clip", "a kink with the same function on both sides, of many elements"),
    ("hessian-convention", r"where|clamp|max|min|clip", "the same for second derivatives"),
    ("exact-wrong", r"clamp|clip", "a clamp whose two bounds are the same variable"),
    ("exact-wrong", r"where", "where(sign(x) != x, x, sign(x)): the same function on both sides"),
    ("accepted", r"clamp", "bounds of which one is a number, or that have more axes than what is clamped"),
    ("code-", r"sgn|sign|ceil|floor|round|relu|clamp", "0 times infinity in a branch that is not taken"),
    ("code-numpy", r"--at \S+=-?[\d.]+\b", "an axis of a single number"),
    ("form", r"softplus|Softplus", "a closed form of softplus holds below its threshold"),
)  # fmt: skip
BUDGET = {"tensors": 250, "numbers": 120, "texts": 4000, "values": 1500}


def seeds(kind: str, count: int) -> list[str]:
    return [f"{kind}/0/{k}" for k in range(count)]


def unknown(found: Found) -> list[str]:
    """The problems that no row of KNOWN describes."""
    return [
        f"{key}\n{shown}\n{problem.said}\nright: {problem.right}"
        for key, (problem, shown) in found.examples.items()
        if not any(problem.check.startswith(check) and re.search(pattern, shown) for check, pattern, _ in KNOWN)
    ]


def case(text: str, **at: object) -> Case:
    return Case(Term((text,)), {name: torch.tensor(value, dtype=torch.float64) for name, value in at.items()})


def checks(one: Case) -> set[str]:
    return {problem.check for problem in compared(one)[0]}


@pytest.mark.parametrize("kind", ["tensors", "numbers"])
def test_formulas_mean_what_they_mean_in_python(kind: str) -> None:
    found = hunt(iter(seeds(kind, BUDGET[kind])), kind == "numbers", shrinks=8)
    assert found.cases == BUDGET[kind]
    assert not unknown(found), "\n\n".join(unknown(found))


@pytest.mark.parametrize("kind", ["texts", "values"])
def test_anything_at_all_is_read_or_refused(kind: str) -> None:
    found = hunt_soup(iter(seeds(kind, BUDGET[kind])), kind)
    assert not unknown(found), "\n\n".join(unknown(found))


def test_every_rule_of_the_table_grows() -> None:
    assert set(RULES) - INTERNAL <= {name for name, _ in _patterns(False)}
    assert {name for name, rule in RULES.items() if rule.partials} <= {name for name, _ in _patterns(True)}


def test_a_wrong_derivative_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    one = case("sum(tanhshrink(x)*y)", x=[0.5, -1.0], y=[1.0, 2.0])
    assert checks(one) == set()
    wrong = dataclasses.replace(RULES["tanhshrink"], partials=("tanh(a)**2 + a/100",))
    for table in (RULES, ELEMENTWISE):
        monkeypatch.setitem(table, "tanhshrink", wrong)
    assert "exact-wrong" in checks(one)


def test_what_is_misread_everywhere_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    one, derive = case("sum(amin(A, dim=1)*x)", A=[[1.0, 2.0], [0.5, 3.0]], x=[1.0, 2.0]), gradexplain.derive
    assert checks(one) == set()
    monkeypatch.setattr(gradexplain, "derive", lambda text, *more: derive(text.replace("min", "max"), *more))
    assert "value" in checks(one)


def test_an_exception_and_what_python_refuses_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    derive, one = gradexplain.derive, case("sum(x.sum(dim=1))", x=[1.0, 2.0])
    assert checks(one) == set()
    monkeypatch.setattr(gradexplain, "derive", lambda _, *more: derive("sum(x)", *more))
    assert checks(one) == {"accepted"}
    monkeypatch.setattr(gradexplain, "derive", lambda *_: {}["nothing"])
    assert checks(case("sum(x)", x=[1.0, 2.0])) == {"exception"}


def test_a_failure_is_shrunk_to_what_it_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    derive, inner = gradexplain.derive, Term(("amin(", Term(("x",)), ", dim=0)"), "amin")
    rest = Term(("sin(", inner, ")*exp(", Term(("x",)), ")"))
    big = Case(Term(("sum(", rest, ")")), {"x": torch.tensor([[1.0, 2.0], [0.0, 3.0]])})
    monkeypatch.setattr(gradexplain, "derive", lambda text, *more: derive(text.replace("min", "max"), *more))
    [problem] = [one for one in compared(big)[0] if one.check == "value"]
    small, _ = shrunk(big, problem, 20)
    assert small.text == "sum(amin(x, dim=0))"
