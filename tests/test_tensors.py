"""The rule table on tensors: every row against autograd, in two dtypes, and what the comparison of a step rests on."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gradexplain import derive
from gradexplain.data.point import held_constants
from gradexplain.errors import FormulaError
from gradexplain.language.graph import Graph
from gradexplain.language.parse import parse
from gradexplain.language.text import write
from gradexplain.readings.many_points import at_kink, chain_rule
from gradexplain.readings.place import Place
from gradexplain.readings.plan import Ready, compiled
from gradexplain.readings.tables import TableBuilder
from gradexplain.rules.row import Rule
from gradexplain.rules.table import RULES

GRID = [0.3, 0.7, 1.6, 2.4]
DIFFERENTIABLE = [rule for rule in RULES.values() if rule.partials and not rule.boolean]
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4}


def formula(rule: Rule) -> str:
    """A formula that uses the rule in two variables, or its own example."""
    if rule.example:
        return rule.example
    if rule.symbol:
        return "-w*x" if rule.name == "neg" else f"w {rule.symbol} x"
    return f"{rule.name}(w*x)" if sum(map(bool, rule.partials)) == 1 else f"{rule.name}(w, x)"


def read(text: str, values: list[float], dtype: Any = torch.float64) -> tuple[Any, dict[int, Any], list[Any], Any]:
    """The graph of a formula, its inputs as leaves with these values, all values, and what makes tensors."""
    graph = parse(text)
    place = Place(torch, str(dtype).removeprefix("torch."))
    leaves = {i: place.leaf(values) for i in graph.inputs}
    steps = Ready(place, compiled(graph, held_constants(graph, text, str(dtype).removeprefix("torch."))))
    return graph, leaves, steps.run(leaves), TableBuilder(place, {})


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("rule", DIFFERENTIABLE, ids=lambda rule: rule.name)
def test_every_rule_on_tensors_is_what_autograd_has(rule: Rule, dtype: Any) -> None:
    graph, leaves, values, builder = read(formula(rule), GRID, dtype)
    objective = values[graph.objective]
    found = torch.autograd.grad(objective.sum(), list(leaves.values()), allow_unused=True)
    totals = chain_rule(builder, graph, graph.inputs, [v.detach() if hasattr(v, "detach") else v for v in values])
    for i, autograd in zip(leaves, found, strict=True):
        expected = torch.zeros(len(GRID), dtype=dtype) if autograd is None else autograd
        total = totals.get(i)
        ours = torch.zeros_like(expected) if total is None else torch.as_tensor(total.value).expand(len(GRID))
        # PyTorch holds the 1/6 of hardsigmoid as a float32.
        tolerance = 1e-4 if rule.name == "hardsigmoid" else TOLERANCES[dtype]
        assert torch.allclose(ours.to(dtype), expected, rtol=tolerance, atol=tolerance, equal_nan=True)
        if total is not None:
            value, size = (torch.as_tensor(part).detach().nan_to_num() for part in total)
            assert bool((size * (1 + tolerance) >= value.abs()).all())


def test_the_objective_alone_is_the_same_as_with_all_values() -> None:
    text = "a = w*x; L = a*sin(a) + relu(a) - 2**w"
    graph, leaves, values, _ = read(text, GRID)
    steps = Ready(Place(torch), compiled(graph, held_constants(graph, text, "float64")))
    assert torch.equal(steps.result(leaves), values[graph.objective])
    alone = parse("w")
    assert Ready(Place(torch), compiled(alone, {})).result({alone.inputs[0]: torch.ones(1)}) == 1.0


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("relu(w)", [0.0, 1.0, -1.0], [True, False, False]),
        ("max(w, 2)", [2.0, 1.0], [True, False]),
        ("where(w > 1, w**2, w)", [1.0, 2.0], [True, False]),
        ("abs(w - 3)*w", [3.0, 0.0], [True, False]),
        ("w**2", [0.0, 1.0], [False, False]),
    ],
)
def test_kinks_are_found_elementwise(text: str, values: list[float], expected: list[bool]) -> None:
    graph, _, found, builder = read(text, values)
    assert torch.as_tensor(at_kink(builder, graph, graph.inputs, found)).expand(len(values)).tolist() == expected


def test_sizes_see_what_cancels() -> None:
    """At the minimum of a sum of two terms the gradient is 0, and its size is that of the terms."""
    graph, _, values, builder = read("(w - 1)**2 + (w - 3)**2", [2.0])
    values = [value.detach() if hasattr(value, "detach") else value for value in values]
    total = chain_rule(builder, graph, graph.inputs, values)[graph.inputs[0]]
    assert (float(total.value), float(total.size)) == (0.0, 4.0)
    bare = chain_rule(builder, graph, graph.inputs, values, sized=False)[graph.inputs[0]]
    assert float(bare.size) == 0.0


def test_settings_that_python_takes_for_equal_are_different_nodes() -> None:
    graph = Graph({"A": (3, 4)})
    A = graph.input("A")
    sums = [graph.apply("sum", A, settings=settings) for settings in ((1, True), (1, 1), (1, 1.0), (1, True))]
    assert len(set(sums)) == 3 and sums[0] == sums[3]
    assert graph.settings(graph.nodes[sums[0]]) == {"dim": 1, "keepdim": True}


@pytest.mark.parametrize(
    ("formula", "message", "place"),
    [
        ("x.shape[", "an axis is a whole number", "shape"),
        ("sum(x, '", "a word in quotation marks is missing here", "'"),
        ("x[1:]", "a single number has no elements", "x[1:]"),
        ("x[..., 0]", "a single number has no elements", "x[..., 0]"),
        ("(x, y)*2", "a comma separates the arguments of a function only", ","),
        ("sum(x) + sin(True)", "True is a word of Python and cannot be a name here", "True"),
        ("summ(x)", "unknown function summ", "summ"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(formula: str, message: str, place: str) -> None:
    with pytest.raises(FormulaError) as raised:
        parse(formula)
    assert (raised.value.message, formula[raised.value.start : raised.value.end]) == (message, place)


@pytest.mark.parametrize(
    ("formula", "shapes", "text"),
    [
        ("sum(X)*F", {"X": (9, 2)}, "sum(X)*F"),
        ("sum(X)", {"X": (9, 2)}, "sum(X)"),
        ("sum([a, b, c]*x)", {"x": (3,)}, "sum([a, b, c]*x)"),
        ("nn.ReLU()(a)", {}, "relu(a)"),
        ("max((a, b))", {}, "max([a, b])"),
    ],
)
def test_one_parser_reads_numbers_and_tensors(formula: str, shapes: dict[str, tuple[int, ...]], text: str) -> None:
    graph = parse(formula, list(shapes), shapes)
    assert write(graph, graph.objective, {}) == text


@pytest.mark.parametrize(
    ("formula", "shapes", "message"),
    [
        ("sum(dot(X, w))", "X=3x2,w=2", "dot takes two vectors, not 3x2 and 2"),
        ("sum(flip(a, 1))", "a=2", "there is no axis 1"),
        ("sum(flip(A, (0, 0)))", "A=2x2", "an axis appears twice in dim=(0, 0)"),
        ("sum(a.reshape_as(b))", "a=3,b=2", "3 elements cannot have the shape 2, which has 2"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_at_their_place(formula: str, shapes: str, message: str) -> None:
    with pytest.raises(FormulaError) as caught:
        derive(formula, shape=shapes)
    assert caught.value.message == message
    assert f"sum({formula[caught.value.start : caught.value.end]})" == formula
