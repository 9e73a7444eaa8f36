"""Jacobians and Hessians as formulas: a vector-Jacobian product with a symbolic vector, and what stands before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gradexplain.explain.tensor_forms import tensor_forms
from gradexplain.explain.tensor_problem import TensorProblem
from gradexplain.language.algebra import TooLarge
from gradexplain.language.shapes import Shape
from gradexplain.language.tensor_algebra import TensorAlgebra
from gradexplain.language.tensor_graph import TensorGraph
from gradexplain.language.text import write

# What is longer is not readable any more; the numbers stand for it.
MAX_TEXT = 160
UNIT = -1


def vector(graph: TensorGraph, shape: Shape, taken: Sequence[str], name: str = "g") -> int:
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
        for j, product in tensor_forms(graph, problem.sources, g).items():
            text = matrix(graph, product, g, problem.named)
            if text is not None:
                found.matrices[names[j]] = text
            if product is not None and (short := _short(graph, product, named)) is not None:
                found.products[names[j]] = short
    return found


def matrix(graph: TensorGraph, product: int | None, g: int, names: Mapping[int, str]) -> str | None:
    """The matrix that a vector-Jacobian product `product` multiplies the vector `g` with, turned over, as text.

    None where it is not of such a form. M.T @ g belongs to the Jacobian M, g*d to diag(d), and a number times g to it.
    """
    if product is None:
        return None
    algebra = TensorAlgebra(graph, (set(names) | set(graph.inputs) | {g}) - {product})
    try:
        found = _factor(algebra, product, g)
        if found == UNIT:
            shape = graph.shapes[g]
            found = algebra.make("eye", (), (shape[0],)) if shape else graph.constant(1)
        if found is None:
            return None
        text = write(graph, _turned(algebra, found), names)
    except TooLarge:
        return None
    return text if len(text) <= MAX_TEXT else None


def _factor(algebra: TensorAlgebra, node: int, g: int) -> int | None:
    """The matrix M in `node` = M @ g (a number where both are), UNIT where it is g itself, None where there is none."""
    graph = algebra.graph
    if node == g:
        return UNIT
    rule, inputs, _ = graph.nodes[node]
    vector = len(graph.shapes[g]) == 1
    if rule in ("add", "sub") and node not in algebra.atoms:
        sides = [_factor(algebra, side, g) for side in inputs]
        if None in sides or (UNIT in sides and vector and any(len(graph.shapes[side]) != 1 for side in inputs)):
            return None
        one, other = (_solid(algebra, side, g) for side in sides)  # type: ignore[arg-type]
        return algebra.apply(rule, one, other)
    number, factors = algebra.product(node)
    depends = graph_depends(graph, g)
    within = [base for base, exponent in factors.items() if depends[base]]
    if len(within) != 1 or factors[within[0]] != 1 or len(graph.shapes[g]) > 1:
        return None
    (base,) = within
    rest = algebra.build(number, {other: power for other, power in factors.items() if other != base})
    inner: int | None = UNIT
    if base != g:
        rule, (left, right) = (
            graph.nodes[base].rule,
            graph.nodes[base].inputs[:2] if len(graph.nodes[base].inputs) > 1 else (base, base),
        )
        if rule == "vecmat":
            left, right = algebra.turned(right), left
        if rule not in ("matvec", "vecmat") or depends[left]:
            return _factor(algebra, base, g) if rule in ("add", "sub") and algebra.number(rest) == 1 else None
        inner = _factor(algebra, right, g)
        if inner is None:
            return None
        inner = left if inner == UNIT else _product(algebra, left, inner)
    if algebra.number(rest) == 1:
        return inner
    if not graph.shapes[rest]:
        return algebra.apply("mul", rest, _solid(algebra, inner, g))  # type: ignore[arg-type]
    if not vector or len(graph.shapes[rest]) != 1:
        return None
    scale = algebra.make("diag", (rest,))
    return scale if inner == UNIT else _product(algebra, scale, inner)  # type: ignore[arg-type]


def _product(algebra: TensorAlgebra, left: int, right: int) -> int:
    """A product of matrices; a diagonal one stays one, as in A @ diag(d) @ B."""
    nodes, stack = algebra.graph.nodes, [left, right]
    while stack:
        i = stack.pop()
        if i not in algebra.atoms and nodes[i].rule == "diag":
            return algebra.graph.apply("matmul", left, right)
        if i not in algebra.atoms and nodes[i].rule == "matmul":
            stack += nodes[i].inputs
    return algebra.product_of(left, right)


def _turned(algebra: TensorAlgebra, node: int) -> int:
    """The transpose, of a sum term by term."""
    rule, inputs, _ = algebra.graph.nodes[node]
    if rule in ("add", "sub") and node not in algebra.atoms:
        return algebra.apply(rule, *[_turned(algebra, side) for side in inputs])
    number, single, rest = algebra.taken_out(node)
    turned = algebra.turned(rest)
    if rest not in algebra.atoms and algebra.graph.nodes[rest].rule == "matmul":
        left, right = algebra.graph.nodes[rest].inputs
        turned = _product(algebra, _turned(algebra, right), _turned(algebra, left))
    return algebra.combine((*single.items(), (turned, 1)), number) if single or number != 1 else turned


def _solid(algebra: TensorAlgebra, found: int, g: int) -> int:
    """A factor as a node; the factor of g itself is a unit matrix, or 1."""
    if found != UNIT:
        return found
    shape = algebra.graph.shapes[g]
    return algebra.make("eye", (), (shape[0],)) if shape else algebra.graph.constant(1)


def graph_depends(graph: TensorGraph, source: int) -> list[bool]:
    """For every node, whether it depends on `source`."""
    found = [False] * len(graph.nodes)
    found[source] = True
    for i, node in enumerate(graph.nodes):
        found[i] = found[i] or any(found[j] for j in node.inputs)
    return found


def _short(graph: TensorGraph, node: int, names: Mapping[int, str]) -> str | None:
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
                product = tensor_forms(graph, [j], graph.constant(1))[j]
            except TooLarge:
                product = None
            finally:
                graph.objective = objective
            text = None if product is None else _block(problem, product, g, rank)
            if text is not None:
                found[f"{names.of[i]},{names.of[j]}"] = text
    return found


def _block(problem: TensorProblem, product: int, g: int, rank: tuple[int, int]) -> str | None:
    graph = problem.graph
    if not graph_depends(graph, g)[product]:
        return "0" if problem.graph.nodes[product].rule in ("constant", "zeros_like") else None
    if rank == (1, 0):
        # The vector stands in a dot product; what it is multiplied with is the block.
        node = graph.nodes[product]
        others = [i for i in node.inputs if i != g] if node.rule == "dot" else []
        return _short(graph, others[0], problem.named) if len(others) == 1 else None
    return matrix(graph, product, g, problem.named)
