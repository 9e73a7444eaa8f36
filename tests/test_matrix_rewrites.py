"""Every row of the rewrites holds at numbers, for all settings with which its left side can be built."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from tensor_checks import BUILDER, close

from gradexplain.calculus.algebra import Algebra
from gradexplain.calculus.matrix_rewrites import ROWS, rewrite
from gradexplain.calculus.templates import template
from gradexplain.language.graph import INPUT, Graph
from gradexplain.readings.plan import Ready, compiled
from gradexplain.rules.shapes import ShapeProblem

SETTINGS = (0, 1, 2, 3, 9, True, False, None, (3,), (3, 3), (1, 3), (3, 1), (9, 9), (1,), (1, 0))
SHAPES = dict.fromkeys("ABCRS", (3, 3)) | dict.fromkeys("uvw", (3,)) | {"t": (3,)}
PRODUCTS = {(1, 1): "dot", (2, 1): "matvec", (1, 2): "vecmat"}
ANYTHING = ((3, 3), (3,), (2, 3, 3))
# Where there are many letters.
FEW = ((3,), 0, 1, 3)
# So many ways of building a left side are tried.
WAYS = 12


def _built(graph: Graph, text: str, bound: dict[str, Any]) -> int:
    """The left side as it stands. Raises ShapeProblem, or TypeError for settings of another kind."""
    pattern, made = template(text), dict[int, int]()
    for i, (rule, parts, value, words) in enumerate(pattern.graph.nodes[: pattern.root + 1]):
        inputs = [made[j] for j in parts]
        settings = tuple(bound[word] if isinstance(word, str) else word for word in words)
        if rule == INPUT:
            made[i] = bound[str(value)]
        elif rule == "swapped":
            rank = len(graph.shapes[inputs[0]])
            if rank < 2:
                raise ShapeProblem("no matrix")
            made[i] = graph.apply("transpose", inputs[0], settings=(rank - 2, rank - 1))
        elif rule == "matmul":
            one, other = (len(graph.shapes[j]) for j in inputs)
            made[i] = graph.apply(PRODUCTS.get((one, other), rule), *inputs)
        else:
            if rule == "matvec" and [len(graph.shapes[j]) for j in inputs] != [2, 1]:
                raise ShapeProblem("another product")
            made[i] = graph.apply(rule, *inputs, settings=settings)
    return made[pattern.root]


def _ways(text: str) -> Iterator[tuple[Graph, int]]:
    pattern, names = template(text).graph, list(template(text).places)
    settings = sorted({word for node in pattern.nodes for word in node.settings if isinstance(word, str)})
    anything = ANYTHING if "t" in names else ANYTHING[:1]
    for t, *values in itertools.product(anything, *[SETTINGS if len(settings) < 4 else FEW] * len(settings)):
        graph = Graph(SHAPES | {"t": t})
        bound: dict[str, Any] = {name: graph.input(name) for name in names}
        bound |= dict(zip(settings, values, strict=True))
        try:
            yield graph, _built(graph, text, bound)
        except (ShapeProblem, TypeError, AttributeError, AssertionError, ValueError):
            continue


def _value(graph: Graph, node: int, given: dict[int, torch.Tensor]) -> torch.Tensor:
    graph.objective = node
    return BUILDER.place.tensor(Ready(BUILDER.place, compiled(graph, {})).result(given))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("left", "right"), ROWS, ids=lambda text: text)
def test_both_sides_of_a_row_are_equal(left: str, right: str) -> None:
    torch.manual_seed(0)
    values = {name: torch.rand(shape, dtype=torch.float64) for name, shape in SHAPES.items()}
    values |= {name: values[name] + 3 * torch.eye(3) for name, shape in SHAPES.items() if len(shape) == 2}
    seen = 0
    for graph, node in _ways(left):
        algebra = Algebra(graph, graph.inputs)
        result = rewrite(algebra, node)
        if result is None:
            continue
        result = algebra.spread(result, graph.shapes[node])
        given = {i: values[str(graph.nodes[i].value)].expand(*map(int, graph.shapes[i])) for i in graph.inputs}
        try:
            before = _value(graph, node, given)
        except (RuntimeError, TypeError, IndexError):
            continue
        assert close(_value(graph, result, given), before), (left, right)
        seen += 1
        if seen == WAYS:
            break
    assert seen, "no settings fit"
