"""The quick look before factoring misses nothing: closed forms are the same without it."""

from __future__ import annotations

import random

import pytest
from test_formulas import CASES

import gradexplain
from gradexplain.calculus import factorable
from gradexplain.readings import symbols

CHOSEN = random.Random(5).sample(CASES, 40)


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.name)
def test_no_shorter_form_is_missed(case, monkeypatch) -> None:
    quick = {name: entry.symbolic for name, entry in gradexplain.derive(case.formula).gradient.items()}
    monkeypatch.setattr(factorable, "may_be_shorter", lambda algebra, root: True)
    monkeypatch.setattr(symbols, "_leaves", lambda expression: 0)
    assert quick == {name: entry.symbolic for name, entry in gradexplain.derive(case.formula).gradient.items()}
