"""All that test_one_house.py asks a sample of: every published formula, and every elementwise rule."""

from __future__ import annotations

import pytest
from one_house import check, read_formula
from test_formulas import CASES
from test_one_house import at_kinks

from gradexplain.rules.table import ELEMENTWISE

PARTS = 12


@pytest.mark.parametrize("part", range(PARTS))
def test_published_formulas_on_vectors(part: int) -> None:
    check(map(read_formula, CASES[part::PARTS]))


@pytest.mark.parametrize("part", range(PARTS))
def test_every_rule_at_its_kinks_and_poles(part: int) -> None:
    check(question for rule in [*ELEMENTWISE][part::PARTS] for question in at_kinks(rule))
