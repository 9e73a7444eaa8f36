"""The records of Jacobians and of a Hessian: formulas, numbers, verdicts, and what eigenvalues say about the point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradexplain.explain.second_order import SecondForms
from gradexplain.explain.tensor_problem import TensorProblem
from gradexplain.records import Hessian, Jacobian
from gradexplain.tensor import Tensor, elements, unpacked

# Below this part of the largest eigenvalue, a gradient counts as 0.
NEGLIGIBLE = 1e-9
SMOOTH = ("agrees", "precision", "unverified")
NO_MEANING = "the function has a kink here, or no derivative: second derivatives do not tell what kind of point this is"


class Second:
    """What was asked for beside the gradient. `found` is the answer of PyTorch, empty without it."""

    def __init__(self, problem: TensorProblem, found: Mapping[str, Any], formulas: SecondForms) -> None:
        self.problem, self.found = problem, found
        confirmed = found.get("matrices_hold", {})
        self.matrices = {key: text for key, text in formulas.matrices.items() if confirmed.get(key, not found)}
        self.products = formulas.products

    def jacobians(self) -> dict[str, Jacobian]:
        """One Jacobian for each source, by name."""
        problem, graph = self.problem, self.problem.graph
        found = {}
        for j in problem.sources:
            own, other, error, verdict = self.found.get("jacobian", {}).get(j, (None, None, None, "unverified"))
            name = problem.names.of[j]
            found[name] = Jacobian(
                partial=problem.partial(j),
                shape=graph.lengths(graph.objective) + graph.lengths(j),
                symbolic=self.matrices.get(name),
                product=self.products.get(name),
                value=unpacked(own),
                autograd=unpacked(other),
                error=error,
                verdict=verdict,
            )
        return found

    def hessian(self) -> Hessian:
        """The Hessian over all sources together."""
        problem = self.problem
        own, other, error, verdict, eigenvalues = self.found.get("hessian", (None, None, None, "unverified", ()))
        shapes = {problem.names.of[j]: problem.graph.lengths(j) for j in problem.sources}
        return Hessian(
            elements=tuple(part for name, shape in shapes.items() for part in elements(name, shape)),
            symbolic=self.matrices,
            value=unpacked(own),
            autograd=unpacked(other),
            error=error,
            verdict=verdict,
            eigenvalues=tuple(eigenvalues),
            meaning=meaning(eigenvalues, self._gradient()) if self._smooth() else NO_MEANING * bool(eigenvalues),
        )

    def _smooth(self) -> bool:
        """Whether no gradient is at a kink, or without a value."""
        rows = self.found.get("rows", {})
        return not self.found.get("kinks") and all(rows[j][3] in SMOOTH for j in self.problem.sources if j in rows)

    def _gradient(self) -> float:
        """The largest element of all gradients, in absolute value."""
        rows = self.found.get("rows", {})
        sizes = [0.0]
        for j in self.problem.sources:
            plain = rows[j][0] if j in rows else 0.0
            total = unpacked(plain)
            ends = (total.low, total.high) if isinstance(total, Tensor) else (float(total or 0.0),)
            sizes.append(max(map(abs, ends)))
        return max(sizes)


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
