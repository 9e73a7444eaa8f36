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
from differential.hunt import Found, hunt, hunt_soup
from differential.rows import INTERNAL

from gradexplain.language.calls import CALLS
from gradexplain.rules.table import ELEMENTWISE, RULES

# What is known to fail: the sort of problem, a pattern that its command line has, and what it is.
KNOWN = (
    ("value", r"\bnp\.(var|std)\b", "NumPy's variance divides by n"),
    ("value", r"\b(max|min)\(", "the largest along an axis is read as a row, or as a number to compare with"),
    ("value", r"smooth_l1_loss", "the third place of smooth_l1_loss is not the reduction"),
    ("exception", r"", "explain/verdicts.py at, and others"),
    ("value-exact", r"logaddexp|mish|softplus", "overflow, and the threshold of softplus"),
    ("exact-wrong", r"logaddexp|mish|softplus", "the same"),
    ("hessian-agrees-wrong", r"sinc", "the second derivative of sinc at 0"),
    ("hessian", r"polygamma", "0 times what is not finite"),
    ("jacobian", r"", "0 times what is not finite in another element"),
    ("false-convention", r"where|clamp|max|min", "kinks that are none"),
    ("slow", r"digamma|psi|gamma", "gamma functions"),
    ("form", r"", "closed forms that PyTorch does not read, or without a value here"),
    ("accepted", r"", "keepdim without dim, mv of vectors, classes of one row"),
    ("statements", r"clamp|norm", "what is written back is read in another way"),
    ("code", r"", "generated modules"),
    ("kink-agrees", r"atan2", "the jump of atan2 is not reported"),
)


BUDGET = {"tensors": 80, "numbers": 60, "texts": 4000, "values": 1500}


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
    one = case("sum(amin(A, dim=1)*x)", A=[[1.0, 2.0], [0.5, 3.0]], x=[1.0, 2.0])
    assert checks(one) == set()
    monkeypatch.setitem(CALLS, "amin", CALLS["amax"])
    assert "value" in checks(one)


def test_an_exception_and_a_refused_text_that_is_taken_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> int:
        raise KeyError("x")

    monkeypatch.setitem(CALLS, "amin", fails)
    assert checks(case("amin(x)", x=[1.0, 2.0])) == {"exception"}
    monkeypatch.setitem(CALLS, "amin", lambda arguments: arguments.tensor("input"))
    assert checks(case("sum(amin(x, 3, 4, 5))", x=[1.0, 2.0])) <= {"accepted"}
