"""The Jacobians and the Hessian that were asked for beside the gradients: formulas, numbers, and what they say.

A formula is a vector-Jacobian product with a symbolic vector, and what stands before it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from gradexplain.calculus.algebra import TooLarge
from gradexplain.calculus.backward import influenced
from gradexplain.calculus.linear_maps import MAX_TEXT, matrix
from gradexplain.explain.closed_forms import closed_forms
from gradexplain.explain.problem import Problem
from gradexplain.language.graph import Graph
from gradexplain.language.text import write
from gradexplain.records import Gradient, Hessian, Jacobian
from gradexplain.rules.shapes import Shape
from gradexplain.tensor import Tensor, elements, unpacked

# Below this part of the largest eigenvalue, a gradient counts as 0.
NEGLIGIBLE = 1e-9
SMOOTH = ("agrees", "precision", "unverified")
NO_MEANING = "the function has a kink here, or no derivative: second derivatives do not tell what kind of point this is"


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

    def confirmed(self, tables: Mapping[str, Any]) -> dict[str, str]:
        """The matrices that have the right numbers, where there are numbers. `tables` are those of the witness."""
        confirmed = tables.get("matrices_hold", {})
        return {key: text for key, text in self.matrices.items() if confirmed.get(key, not tables)}


def second_forms(problem: Problem, forms: Mapping[int, int | None]) -> SecondForms:
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


def hessian_blocks(problem: Problem, forms: Mapping[int, int | None]) -> dict[str, str]:
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


def _block(problem: Problem, product: int, g: int) -> str | None:
    graph = problem.graph
    if not influenced(graph, [g], product)[product]:
        return "0" if graph.nodes[product].rule in ("constant", "zeros_like") else None
    return matrix(graph, product, g, problem.named)


def jacobians(problem: Problem, formulas: SecondForms, tables: Mapping[str, Any]) -> dict[str, Jacobian]:
    """One Jacobian for each source, by name. `tables` are those of the witness, empty without one."""
    graph, matrices, found = problem.graph, formulas.confirmed(tables), {}
    for j in problem.sources:
        own, other, error, verdict = tables.get("jacobian", {}).get(j, (None, None, None, "unverified"))
        name = problem.names.of[j]
        found[name] = Jacobian(
            partial=problem.partial(j),
            shape=graph.lengths(graph.objective) + graph.lengths(j),
            symbolic=matrices.get(name),
            product=formulas.products.get(name),
            value=unpacked(own),
            autograd=unpacked(other),
            error=error,
            verdict=verdict,
        )
    return found


def hessian(
    problem: Problem, formulas: SecondForms, tables: Mapping[str, Any], gradients: Collection[Gradient]
) -> Hessian:
    """The Hessian over all sources together, which have these gradients."""
    own, other, error, verdict, eigenvalues = tables.get("hessian", (None, None, None, "unverified", ()))
    shapes = {problem.names.of[j]: problem.graph.lengths(j) for j in problem.sources}
    smooth = not tables.get("kinks") and all(gradient.verdict in SMOOTH for gradient in gradients)
    smooth = tables.get("exists", smooth)
    largest = max([0.0, *[_largest(gradient.value) for gradient in gradients]])
    return Hessian(
        elements=tuple(part for name, shape in shapes.items() for part in elements(name, shape)),
        symbolic=formulas.confirmed(tables),
        value=unpacked(own),
        autograd=unpacked(other),
        error=error,
        verdict=verdict,
        eigenvalues=tuple(eigenvalues),
        meaning=meaning(eigenvalues, largest) if smooth else NO_MEANING * (own is not None),
    )


def _largest(value: Any) -> float:
    """The largest element of a gradient, in absolute value."""
    return max(abs(value.low), abs(value.high)) if isinstance(value, Tensor) else abs(float(value or 0.0))


def meaning(eigenvalues: Sequence[float], gradient: float) -> str:
    """What the eigenvalues say about the point, where the largest element of the gradient is `gradient`.

    >>> meaning([1.0, 2.0], 0.0)
    'all eigenvalues are positive and the gradient is 0: a minimum'
    >>> meaning([-1.0, 2.0], 3.0)
    'eigenvalues of both signs: the function curves upwards in some directions and downwards in others'
    """
    if not eigenvalues:
        return ""
    largest = max(map(abs, eigenvalues))
    critical = gradient <= NEGLIGIBLE * max(1.0, largest)
    if largest == 0:
        return f"all eigenvalues are 0: to second order the function is {'flat' if critical else 'linear'} here"
    negative, positive = sum(e < 0 for e in eigenvalues), sum(e > 0 for e in eigenvalues)
    zero = len(eigenvalues) - negative - positive
    if negative and positive:
        curves = "the function curves upwards in some directions and downwards in others"
        kind = "a saddle point" if critical else curves
        return "eigenvalues of both signs" + (" and the gradient is 0: " if critical else ": ") + kind
    sign, extreme, way = ("positive", "minimum", "upwards") if positive else ("negative", "maximum", "downwards")
    some = f"{zero} of {len(eigenvalues)} eigenvalues {'is' if zero == 1 else 'are'} 0, the others {sign}"
    which = some if zero else f"all eigenvalues are {sign}"
    if critical:
        return f"{which} and the gradient is 0: " + (
            f"a {extreme}, unless higher derivatives say otherwise" if zero else f"a {extreme}"
        )
    return f"{which}: the function curves {way} in " + ("all other directions" if zero else "every direction")
