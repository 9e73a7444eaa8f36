"""Where PyTorch computes: what is made is made there, what is not there is refused, and the record says so."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import torch
from docs_examples import ROOT
from test_shell import run

from gradexplain import OptionError, derive, train
from gradexplain.language.parse import parse
from gradexplain.readings import devices
from gradexplain.readings.place import Place
from gradexplain.readings.plan import Ready, compiled
from gradexplain.rules.table import RULES

SHAPES = dict.fromkeys("AB", (2, 2)) | dict.fromkeys("xyw", (2,))
OTHERS = {"reshape": {"x": (4,)}, "cholesky": {"A": (3, 3)}}
OTHERS |= {f"layer_norm{end}": {"x": (3,), "y": (3,)} for end in ("", "_scaled", "_affine")}
EXAMPLES = [(rule.name, rule.example) for rule in RULES.values() if rule.example]
POINT = {"w": 1.0, "x": [1.0, 2.0]}
FORMULA = "sum((w*x)**2)"


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_every_tensor_is_made_on_the_device(name: str, example: str) -> None:
    """On the device of shapes without numbers, whatever is made elsewhere cannot be combined with the rest."""
    place = Place(torch, "float32", "meta")
    graph: Any = parse(example, [], SHAPES | OTHERS.get(name, {}))
    leaves = {i: place.zeros(graph.lengths(i)).requires_grad_() for i in graph.inputs}
    values = Ready(place, compiled(graph, {})).run(leaves)
    made = [value for value in values if hasattr(value, "device")]
    found = torch.autograd.grad(values[graph.objective].sum(), list(leaves.values()), allow_unused=True)
    assert {value.device.type for value in [*made, *found] if value is not None} == {"meta"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["derive", "x**2", "--at", "x=3"],
        ["derive", "sum(x**2)", "--at", "x=[1,2]", "--json"],
        ["train", "--format", "csv"],
        ["batch", "-"],
    ],
    ids=" ".join,
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_refused(arguments: list[str]) -> None:
    status, out, err = run(*arguments, "--device", "cuda", given="x**2")
    assert (status, out) == (2, "")
    assert err == "error: there is no device cuda here\n  PyTorch finds cpu\n"


@pytest.mark.parametrize(
    ("device", "message"),
    [("gpu", "unknown device gpu"), ("cuda:", "unknown device cuda:"), ("mps", "mps has no float64")],
)
def test_a_name_is_judged_before_pytorch_loads(device: str, message: str) -> None:
    for ask in (lambda: derive("x**2", device=device), lambda: train(device=device)):
        with pytest.raises(OptionError, match=message):
            ask()


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is said to be there."""
    monkeypatch.setattr(devices, "_there", lambda: ["cpu", "mps"])


@pytest.mark.usefixtures("pretended")
@pytest.mark.skipif(torch.backends.mps.is_available(), reason="it is there")
@pytest.mark.parametrize(("formula", "point"), [("x**2", {"x": 3.0}), (FORMULA, POINT)])
def test_the_device_is_where_pytorch_computes_and_is_in_the_record(formula: str, point: dict[str, Any]) -> None:
    derivation = derive(formula, point, dtype="float32", device="mps")
    assert any("PyTorch refused" in note and "mps" in note.lower() for note in derivation.notes)
    found = derivation.to_dict()
    assert (derivation.device, found["device"]) == ("mps", "mps")
    assert "float32 on mps" in str(derivation)
    jsonschema.validate(found, json.loads((ROOT / "docs" / "derivation.schema.json").read_text(encoding="utf-8")))


@pytest.mark.usefixtures("pretended")
@pytest.mark.skipif(torch.backends.mps.is_available(), reason="it is there")
@pytest.mark.parametrize(("formula", "point"), [("(x - 1)**2", {"x": 3.0}), (FORMULA, POINT)])
def test_a_run_is_where_it_was_asked_to_be(formula: str, point: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=r"PyTorch refused.*(?i:mps)"):
        train(formula, point, params="x", dtype="float32", device="mps")


def test_the_cpu_is_not_mentioned() -> None:
    assert "device" not in derive("x**2", {"x": 3}, device="cpu").to_dict()
    assert "device" not in train(steps=1, device="cpu").to_dict()
