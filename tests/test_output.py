"""The JSON object against its schema, and the record in Python and in a notebook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

import gradexplain
from gradexplain.output import json as json_output
from gradexplain.output.derivation import value
from gradexplain.output.formats import Look
from gradexplain.readings.worker import WITNESSES

SCHEMA = json.loads((Path(__file__).parent.parent / "docs" / "derivation.schema.json").read_text(encoding="utf-8"))
CASES = {
    "readme": ("(y - (w*x+b))**2", "w=1,b=0,x=2,y=4"),
    "missing": ("(y - (w*x+b))**2", "w=1,b=0,x=2"),
    "named": ("y_pred = w*x + b; loss = (y_true - y_pred)**2", "w=1,b=0,x=2,y_true=4"),
    "shared": ("a = x*x; L = a*sin(a)", "x=1.5"),
    "kink": ("max(x, 0)", "x=0"),
    "nan": ("sqrt(x*x)", "x=0"),
    "huge": ("log(1 + exp(x))", "x=1000"),
    "condition": ("where(x > 0, x**2, -x)", "x=3"),
    "names": ("損失 = (λ - ŷ)**2", "λ=1,ŷ=2"),
}


@pytest.mark.parametrize(("formula", "point"), CASES.values(), ids=CASES)
def test_json_is_valid_and_complete(formula: str, point: str) -> None:
    derivation = gradexplain.derive(formula, point)
    text = json_output.write(derivation)
    assert text.count("\n") == 1
    parsed = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    jsonschema.validate(parsed, SCHEMA)
    assert parsed == derivation.to_dict()
    assert json.loads(json_output.write(derivation, Look(ascii_only=True))) == parsed


TENSORS = {
    "linear": ("mean((X @ W.T + b - Y)**2)", {"at": "X=[[1,2],[3,4]],Y=[[3],[7]],W=[[0.5,-0.5]],b=[0]"}),
    "jacobian": ("A @ x", {"at": "x=[1,2],A=[[2,1],[0,3]]", "jacobian": True}),
    "hessian": ("loss = mse_loss(X @ w, y)", {"shape": "X=n x d,w=d,y=n", "hessian": True, "wrt": "w"}),
    "upstream": ("2*x", {"at": "x=[1,2,3]", "upstream": "[1,0,2]"}),
    "large": ("sum(x**2)", {"shape": "x=300x300"}),
    "choice": ("sum(where(x > 0, log(x), 0))", {"at": "x=[-1,0,2]"}),
    "nan": ("sum(sqrt(x))", {"at": "x=[-1,0,4]"}),
}  # fmt: skip


@pytest.mark.parametrize(("formula", "options"), TENSORS.values(), ids=TENSORS)
def test_json_of_tensors_is_valid(formula: str, options: dict[str, Any]) -> None:
    derivation = gradexplain.derive(formula, **options)
    parsed = json.loads(json_output.write(derivation), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    jsonschema.validate(parsed, SCHEMA)
    assert parsed == derivation.to_dict()
    assert ("jacobian" in parsed) == ("hessian" in parsed) == ("jacobian" in options or "hessian" in options)


def test_what_cannot_be_seen_in_a_comment_is_an_escape_in_json() -> None:
    """A mark that turns the direction of what follows would show a terminal something else than is there."""
    source = "λ**2  # \u202e\x1b[31m"
    derivation = gradexplain.derive(source, "λ=1")
    for text in (json_output.write(derivation), json_output.line(derivation.to_dict())):
        assert r"\u202e" in text and "λ" in text and text.replace("\n", "").isprintable()
        assert json.loads(text)["source"] == source


def test_json_of_a_large_tensor_is_a_summary() -> None:
    value = gradexplain.derive("sum(x**2)", shape="x=300x300").to_dict()["gradient"]["x"]["value"]
    assert (value["shape"], value["corner_shape"], len(value["corner"])) == ([300, 300], [3, 3], 9)


def test_the_schema_refuses_what_it_should() -> None:
    good = gradexplain.derive("x**2", "x=3").to_dict()
    for change in ({"verdict": "fine"}, {"dtype": "float8"}, {"nodes": None}, {"upstream": "many"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(good | change, SCHEMA)


def test_json_of_the_readme_example_has_the_numbers_of_a_pencil_and_paper_derivation() -> None:
    found = gradexplain.derive("(y - (w*x+b))**2", at={"w": 1, "b": 0, "x": 2, "y": 4}).to_dict()
    assert found["schema"] == "gradexplain/derivation@1"
    assert found["nodes"][0] == {
        "node": "v1", "expression": "w*x", "rule": "mul", "inputs": ["w", "x"], "shape": [], "value": 2.0,
        "autograd": 2.0,
    }  # fmt: skip
    first = found["backward"][0]
    assert (first["node"], first["partial"], first["value"], first["autograd"]) == ("v3", "∂L/∂v3", 4.0, 4.0)
    assert first["contributions"] == [
        {"through": "L", "rule": "pow", "title": "power rule", "upstream": 1.0, "local": "2*v3", "local_value": 4.0,
         "value": 4.0}
    ]  # fmt: skip
    entry = found["gradient"]["w"]
    assert entry["chain"] == "∂L/∂v3 · ∂v3/∂v2 · ∂v2/∂v1 · ∂v1/∂w"
    assert entry["symbolic"] == "-2*x*(y - (w*x + b))"
    assert (entry["exact"], entry["value"], entry["autograd"], entry["error"]) == ("-8", -8.0, -8.0, 0.0)
    values = {name: row["value"] for name, row in found["gradient"].items()}
    assert values == {"y": 4.0, "w": -8.0, "x": -4.0, "b": -4.0}


def test_a_derivation_prints_as_its_table_and_shows_in_a_notebook() -> None:
    derivation = gradexplain.derive("sqrt(w*x/2)", "w=1,x=2")
    assert "∂L/∂w" in str(derivation)
    page = derivation._repr_html_()
    tree = ElementTree.fromstring(page.replace("<br>", "<br/>"))
    assert tree.find(".//math") is not None
    assert tree.find(".//mfrac") is not None
    assert len(tree.findall(".//table")) == 2


def test_a_notebook_shows_blocks_of_numbers_and_the_hessian() -> None:
    found = gradexplain.derive("sum((A @ x)**2)", "A=[[1,2],[3,4]],x=[1,-1]", wrt="x", hessian=True)
    page = found._repr_html_()
    tree = ElementTree.fromstring(page)
    assert len(tree.findall(".//table")) == 3
    assert "matrix-vector product rule through <code>v1</code>: <code>A.T @ g</code>" in page
    assert "<pre>20  28\n28  40</pre>" in page


def test_html_escapes_what_a_formula_contains() -> None:
    page = gradexplain.derive("where(x < 2, x, y)", "x=1,y=2")._repr_html_()
    assert "x < 2" not in page
    assert "x &lt; 2" in page


def test_values_are_bare_and_in_the_order_asked_for() -> None:
    derivation = gradexplain.derive("w*x + 0.1*b", "w=3,x=2,b=1", wrt="x,b,w")
    assert value.write(derivation) == "3\n0.1\n2\n"


def test_without_pytorch_the_symbolic_half_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(WITNESSES), "installed", staticmethod(lambda: False))
    derivation = gradexplain.derive("(y - (w*x+b))**2", "w=1,b=0,x=2,y=4")
    assert derivation.verdict == "unverified"
    assert derivation.gradient["w"].value == -8.0
    assert derivation.gradient["w"].autograd is None
    assert any("PyTorch is not installed" in note for note in derivation.notes)
    jsonschema.validate(derivation.to_dict(), SCHEMA)


@pytest.mark.parametrize("number", [3, 3.0, "3", "6/2"])
def test_values_can_be_numbers_or_text(number: object) -> None:
    assert gradexplain.derive("x**2", at={"x": number}).gradient["x"].value == 6.0


def test_tensors_and_numpy_scalars_of_one_number_are_values() -> None:
    import torch

    assert gradexplain.derive("x**2", at={"x": torch.tensor(3.0)}).gradient["x"].value == 6.0
    found = gradexplain.derive("sum(x**2)", at={"x": torch.tensor([1.0, 2.0])}).to_dict()
    assert found["gradient"]["x"]["value"] == [2, 4]
