"""Gradients by vectors and matrices against a handbook's and against autograd, in numbers and as formulas."""

from __future__ import annotations

import pytest
from tensor_checks import (
    POINTS,
    Case,
    cases,
    close,
    contributions_agree,
    evaluate,
    operations,
    point,
    printed,
    read,
    run,
    shapes_of,
    tolerance,
)  # fmt: skip

from gradexplain.language.graph import INPUT

IDENTITIES = cases("matrix_identities.tsv")
MODELS = cases("tensor_models.tsv")
# A printed gradient has at most so many times the operations of the book's.
LONGER = 2


@pytest.mark.parametrize("case", IDENTITIES + MODELS, ids=lambda case: case.id)
def test_a_gradient_is_the_handbooks_and_autograds(case: Case) -> None:
    shapes = shapes_of(case.shapes)
    graph = read(case.formula, shapes)
    names = [str(graph.nodes[i].value) for i in graph.inputs]
    variable = graph.inputs[names.index(case.variable)]
    within = tolerance(case.formula)
    points = [point(names, shapes, seed) for seed in range(POINTS)]
    runs = [run(graph, at) for at in points]
    for at in points:
        assert not contributions_agree(graph, at, within)
    text, symbols = printed(graph)[case.variable]
    known = {name: graph.shapes[i] for name, i in symbols.items()}
    for at, found in zip(points, runs, strict=True):
        values = at | {name: found.values[i] for name, i in symbols.items() if graph.nodes[i].rule != INPUT}
        gradient = found.gradients[variable]
        assert close(evaluate(text, known, values), gradient, within), f"printed: {text}"
        if case.gradient:
            assert close(evaluate(case.gradient, known, values), gradient, within), f"the book's: {case.gradient}"
    if case.gradient:
        ours, theirs = operations(text, known), operations(case.gradient, known)
        assert ours <= LONGER * theirs, f"{text} has {ours} operations, {case.gradient} {theirs}"


def test_there_are_enough_of_them() -> None:
    assert len(IDENTITIES) >= 100
    assert len({(case.formula, case.variable, case.shapes) for case in IDENTITIES}) == len(IDENTITIES)
