"""A formula as a list of calls: it crosses to another process, and computes what a person's own code does."""

from __future__ import annotations

import marshal
from typing import Any

import pytest
import torch
from test_devices import EXAMPLES, OTHERS, SHAPES

from gradexplain.language.parse import parse
from gradexplain.readings.place import Place
from gradexplain.readings.plan import Plan, Ready, Refused, compiled, packed_graph, unpacked_graph

PLACE = Place(torch)


def ready(text: str, shapes: Any = (), constants: Any = ()) -> tuple[Any, Ready]:
    """The graph of a formula and its calls, after both have crossed as plain data."""
    graph = parse(text, [], dict(shapes))
    there = unpacked_graph(marshal.loads(marshal.dumps(packed_graph(graph, len(graph.nodes)))))
    plan = Plan(*marshal.loads(marshal.dumps(tuple(compiled(graph, dict(constants))))))
    assert plan == compiled(there, dict(constants))
    return graph, Ready(PLACE, plan)


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_what_crosses_is_what_was_sent(name: str, example: str) -> None:
    graph, found = ready(example, SHAPES | OTHERS.get(name, {}))
    generator = PLACE.generator(0)
    point = {i: 0.1 + 0.8 * PLACE.uniform(graph.lengths(i), generator) for i in graph.inputs}
    values, result = found.run(point), found.result(point)
    assert torch.allclose(PLACE.tensor(values[graph.objective]), PLACE.tensor(result), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x**2 - 3*x + 1/x", lambda x: x**2 - 3 * x + 1 / x),
        ("2**x + x**-1", lambda x: 2**x + x**-1),
        ("max(x, 0.1)*leaky_relu(-x, 1/4)", lambda x: torch.max(x, torch.tensor(0.1, dtype=x.dtype))
         * torch.nn.functional.leaky_relu(-x, 0.25)),
        ("where(x > 1, x, 2)", lambda x: torch.where(x > 1, x, 2.0)),
    ],
)  # fmt: skip
def test_bits_are_those_of_code_written_by_hand(text: str, code: Any) -> None:
    graph, found = ready(text)
    for value in (0.3, 1.7):
        own, other = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for _ in range(2))
        result, expected = found.result({graph.inputs[0]: own}), code(other)
        result.backward()
        expected.backward()
        assert (result.item(), own.grad) == (expected.item(), other.grad)


def test_a_constant_with_a_value_is_not_computed() -> None:
    graph = parse("x*(1/3)")
    third = next(i for i, node in enumerate(graph.nodes) if node.rule == "div")
    _, found = ready("x*(1/3)", constants={third: 0.25})
    assert found.result({graph.inputs[0]: PLACE.tensor(2.0)}).item() == 0.5


def test_a_refusal_says_where() -> None:
    graph, found = ready("y = 2*A; L = sum(cholesky(y))", {"A": (2, 2)})
    with pytest.raises(Refused, match="cholesky") as refused:
        found.run({graph.inputs[0]: -PLACE.eye(2)})
    assert graph.nodes[refused.value.node].rule == "cholesky"


def test_an_input_behind_the_objective_is_read_by_nobody() -> None:
    graph = parse("L = x**2")
    behind = graph.input("z")
    values = Ready(PLACE, compiled(graph, {})).run({graph.inputs[0]: PLACE.tensor(3.0), behind: PLACE.tensor(1.0)})
    assert len(values) == graph.objective + 1
