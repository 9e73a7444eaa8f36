"""Reasons and notes: every id that is used has a sentence, and every sentence can be said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import gradexplain
from gradexplain.wording import say
from gradexplain.words import en

PACKAGE = Path(gradexplain.__file__).parent


def test_every_sentence_is_used() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py") if path.parent.name != "words")
    unused = [id for id in en.SENTENCES if f'"{id}"' not in source and not id.endswith("_on_the_way")]
    assert unused == []


@pytest.mark.parametrize(
    ("formula", "at"),
    [
        ("abs(x)", "x=0"),
        ("abs(x) + w*y", "x=0,q=1"),
        ("log(1 + exp(x))", "x=1000"),
        ("sum(relu(x))", "x=[-1,0,1]"),
        ("x + 0*floor(y)", "x=1,y=1.5"),
        ("trace(inverse(A))", "A=[[1,2],[2,4]]"),
    ],
)
def test_reasons_and_notes_are_ids_with_values(formula: str, at: str) -> None:
    derivation = gradexplain.derive(formula, at)
    assert derivation.notes == tuple(say(remark.id, **remark.values) for remark in derivation.remarks)
    reasons = [row.began for row in derivation.backward if row.began is not None]
    assert derivation.notes or reasons
    for began in reasons:
        assert began.reason == say(began.id, **began.values)


@pytest.mark.parametrize(
    ("formula", "at", "asked"),
    [
        ("(w - 3)**2", "w=1,q=1", {"lr": 2.0}),
        ("(w - 3)**2", "w=1", {"lr": 0.3, "zero_grad": False}),
        ("log(w)", "w=0.5", {"lr": 1.0}),
        ("r = sqrt(x - w); loss = sum(r)", "x=[1,2],w=[0.5,0.5]", {"params": "w", "lr": 1.0}),
        ("sum(relu(w))", "w=[0,1]", {}),
        ("log(x - w)**2", "w=0", {"data": {"x": [1.0, 3.0]}, "lr": 0.9}),
        ("exp(w*x)", "w=1", {"data": {"x": [1.0, 10.0]}, "lr": 3.0, "dtype": "float16"}),
    ],
)
def test_what_is_said_of_a_run_is_ids_with_values(formula: str, at: str, asked: dict[str, Any]) -> None:
    training = gradexplain.train(formula, at, steps=8, **asked)
    assert training.notes == tuple(say(remark.id, **remark.values) for remark in training.remarks)
    assert training.diagnosis and all(entry.text == say(entry.id, **entry.values) for entry in training.diagnosis)
    for step in training.steps:
        assert step.began is None or step.began.reason == say(step.began.id, **step.began.values)


def test_a_sentence_counts_what_it_lists() -> None:
    values = {"objective": "L", "names": ["w"]}
    assert "w, which does not influence" in say("unreached", **values)
    values["names"] = ["w", "b"]
    assert "w and b, which do not influence" in say("unreached", **values)
    values["names"] = [f"x{i}" for i in range(20)]
    assert "x6 and 13 more, which do not influence" in say("unreached", **values)


def test_forms_of_a_sentence_name_the_same_values() -> None:
    for id, sentence in en.SENTENCES.items():
        if not isinstance(sentence, str):
            assert sentence.keys() == {"one", "other"}, id
            one, other = (set(re.findall(r"\{(\w+)", sentence[form])) for form in ("one", "other"))
            assert one <= other, id
