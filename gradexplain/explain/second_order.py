"""Jacobians and Hessians as formulas: a vector-Jacobian product with a symbolic vector, and what stands before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gradexplain.calculus.algebra import TooLarge
from gradexplain.calculus.backward import influenced
from gradexplain.calculus.linear_maps import MAX_TEXT, matrix
from gradexplain.explain.closed_forms import closed_forms
from gradexplain.explain.tensor_problem import TensorProblem
from gradexplain.language.graph import Graph
from gradexplain.language.text import write
from gradexplain.rules.shapes import Shape


def vector(graph: Graph, shape: Shape, taken: Sequence[str], name: str = "g") -> int:
    """An input of a shape, with a name that nothing else has."""
    while name in taken or name in graph.given:
        name += "_"
    graph.given = {**graph.given, name: shape}
    inputs = list(graph.inputs)
    node = graph.input(name)
    # It is no input of the person's formula.
    graph.inputs[:] = inputs
    return node


class SecondForms(NamedTuple):
    """Formulas by key: an input, or a pair of them such as "w,b". `products` are vector-Jacobian products with g."""

    matrices: dict[str, str]
    products: dict[str, str]


def second_forms(problem: TensorProblem, forms: Mapping[int, int | None]) -> SecondForms:
    """The formulas of what was asked for beside the gradients, each where it is short."""
    if problem.want == "hessian":
        return SecondForms(hessian_blocks(problem, forms), {})
    found = SecondForms({}, {})
    if problem.want == "jacobian":
        graph, names = problem.graph, problem.names.of
        g = vector(graph, graph.shapes[graph.objective], list(names.values()))
        named = {**problem.named, g: str(graph.nodes[g].value)}
        for j, product in closed_forms(graph, problem.sources, g)[1].items():
            text = matrix(graph, product, g, problem.named)
            if text is not None:
                found.matrices[names[j]] = text
            if product is not None and (short := _short(graph, product, named)) is not None:
                found.products[names[j]] = short
    return found


def _short(graph: Graph, node: int, names: Mapping[int, str]) -> str | None:
    text = write(graph, node, names)
    return text if len(text) <= MAX_TEXT else None


def hessian_blocks(problem: TensorProblem, forms: Mapping[int, int | None]) -> dict[str, str]:
    """The second derivatives as formulas, by pairs of inputs "a,b", each where it is short and as in `matrix`."""
    graph, names, found = problem.graph, problem.names, {}
    objective = graph.objective
    for k, i in enumerate(problem.sources):
        form = forms[i]
        if form is None:
            continue
        g = vector(graph, graph.shapes[i], list(names.of.values()))
        for j in problem.sources[k:]:
            rank = len(graph.shapes[i]), len(graph.shapes[j])
            if max(rank) > 1:
                continue
            try:
                top = graph.apply("dot", form, g) if rank[0] else graph.apply("mul", form, g)
                graph.objective = top
                product = closed_forms(graph, [j], graph.constant(1))[1][j]
            except TooLarge:
                product = None
            finally:
                graph.objective = objective
            text = None if product is None else _block(problem, product, g)
            if text is not None:
                found[f"{names.of[i]},{names.of[j]}"] = text
    return found


def _block(problem: TensorProblem, product: int, g: int) -> str | None:
    graph = problem.graph
    if not influenced(graph, [g], product)[product]:
        return "0" if graph.nodes[product].rule in ("constant", "zeros_like") else None
    return matrix(graph, product, g, problem.named)
