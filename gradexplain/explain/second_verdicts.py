"""The verdict on a Hessian, entry by entry, by exact second derivatives: do they exist, and has PyTorch them?"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gradexplain.explain.decimal import short
from gradexplain.explain.problem import Problem
from gradexplain.explain.verdicts import NOISE, WRONG, Judgement, at, close, count_of, numbers_of, size_of
from gradexplain.readings.arithmetic import Number, mp, solid, to_float
from gradexplain.readings.compare import SPACINGS, error, uncancelled
from gradexplain.readings.differences import Curvature, Sides, curvature
from gradexplain.readings.digits import digits
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.exact import DEAD, Exact, same, work
from gradexplain.readings.exact_walk import is_finite
from gradexplain.readings.witness import Witness
from gradexplain.records import VERDICTS, Remark
from gradexplain.tensor import Tensor, elements

# So many numbers, in all the walks that a Hessian takes, are worth exact arithmetic.
MAX_WORK = 60_000
MAX_ELEMENTS = 40
MAX_NOTES = 4
# Eigenvalues below this part of the largest one are 0.
NEGLIGIBLE = 20


class SecondDerivative(NamedTuple):
    """One second derivative: exactly (None where there is none), as PyTorch has it, the verdict, and what to say."""

    exact: Number | None
    found: float
    verdict: str
    note: Remark | None


def exact_hessian(
    problem: Problem, exact: Exact, witness: Witness, judgement: Judgement,
    known_sides: Mapping[tuple[int, int], Sides],
) -> dict[str, Any]:  # fmt: skip
    """The exact Hessian, beside PyTorch's and the verdict on that, as fields of the witness's tables.

    It is empty where that is not affordable. `exists` says whether all second derivatives do.
    """
    counts = [count_of(exact.values[j]) for j in problem.sources]
    count = sum(counts)
    walks = 4 * count + 8
    if not 0 < count <= MAX_ELEMENTS or walks * work(problem.graph, problem.size) > MAX_WORK:
        return {}
    first = [
        _first(exact, judgement, known_sides.get((j, k)), j, k)
        for j, size in zip(problem.sources, counts, strict=True) for k in range(size)
    ]  # fmt: skip
    known = curvature(problem.graph, problem.sources, problem.given, problem.held_seed, first)
    with digits(bits=exact.bits):
        return _JudgedHessian(problem, exact, first, known, witness.tables["hessian"]).result()


def _first(exact: Exact, judgement: Judgement, sides: Sides | None, j: int, k: int) -> Number | None:
    """The first derivative by an element, None where there is none."""
    if sides is not None:
        return sides.derivative
    total = solid(at(exact.walk.totals.get(j, DEAD), k))
    own = judgement.elements.get(j, {}).get(k)
    verdict = own[0] if own else "agrees" if j in judgement.elements else judgement.verdicts.get(j)
    return total if is_finite(total) and verdict not in ("convention", "undefined") else None


class _JudgedHessian:
    """The entries of a Hessian, judged; `before` is what the tables and PyTorch say of it."""

    def __init__(
        self, problem: Problem, exact: Exact, first: Sequence[Number | None], known: Curvature, before: Sequence[Any]
    ) -> None:
        self.problem, self.exact, self.first, self.known = problem, exact, first, known
        self.dtype, self.before = DTYPES[problem.dtype], str(before[3])
        self.count = len(first)
        found = numbers_of(before[1], self.count**2)
        self.found = [found[k : k + self.count] for k in range(0, len(found), self.count)]
        shapes = [(problem.names.of[j], problem.graph.lengths(j)) for j in problem.sources]
        self.names = [name for own in shapes for name in elements(*own)]
        self.objective = problem.names.of[problem.graph.objective]
        self.scales = self._scales()

    def _scales(self) -> list[list[float]]:
        """How large the terms of a second derivative may be: those of the first one, divided by the element."""
        terms = uncancelled(self.exact.walk, size_of)
        problem, values = self.problem, self.exact.values
        sources = [(j, k) for j in problem.sources for k in range(count_of(values[j]))]
        sizes = [abs(to_float(at(values[j], k))) or 1.0 for j, k in sources]
        return [[terms.get(j, 0.0) / size for j, _ in sources] for size in sizes]

    def entry(self, i: int, j: int) -> SecondDerivative:
        """The second derivative by elements `i` and `j`."""
        found, sides = self.found[i][j] + 0.0, self.known.entries[i][j]
        partial = f"∂²{self.objective}/∂{self.names[i]}" + ("²" if i == j else f"∂{self.names[j]}")
        exact = self._derivative(i, j)
        if exact is None:
            if not math.isfinite(found):
                return SecondDerivative(None, found, "undefined", None)
            return SecondDerivative(None, found, "convention", self._missing(partial, i, j, sides, found))
        # A difference that rounding the terms makes as well is none.
        noise = SPACINGS * 2.0**-self.dtype.bits * max(self.scales[i][j], self.scales[j][i])
        if close(exact, found, self.dtype.tolerance) or (math.isfinite(found) and abs(exact - found) <= noise):
            return SecondDerivative(exact, found, "agrees", None)
        if not math.isfinite(found):
            return SecondDerivative(exact, found, "nonfinite", self._wrong(partial, exact, found))
        lost = abs(exact - found) <= max(WRONG * abs(exact), NOISE * noise)
        verdict = "precision" if lost or self.before == "precision" else "disagrees"
        return SecondDerivative(exact, found, verdict, self._wrong(partial, exact, found))

    def _derivative(self, i: int, j: int) -> Number | None:
        """The second derivative, None where there is none."""
        own, other = self.known.entries[i][j], self.known.entries[j][i]
        if self.first[i] is None or self.first[j] is None or None in (*own, *other):
            return None
        agree = same(own.left, own.right) and same(own.right, other.right) and same(other.left, other.right)
        return own.right if agree and not self.known.bent & {i, j} else None

    def _missing(self, partial: str, i: int, j: int, sides: Sides, found: float) -> Remark:
        chosen = short(found)
        if self.first[i] is None or self.first[j] is None:
            return Remark("second_of_kink", {"partial": partial, "found": chosen})
        if None not in sides and same(sides.left, sides.right):
            return Remark("second_by_direction", {"partial": partial, "found": chosen})
        left, right = [None if side is None else short(side) for side in sides]
        return Remark("second_sides", {"partial": partial, "left": left, "right": right, "found": chosen})

    def _wrong(self, partial: str, exact: Number, found: float) -> Remark:
        kinks = sorted(self.exact.kinks.items())
        values = {"partial": partial, "exact": short(exact), "found": short(found)}
        if kinks:
            node, places = kinks[0]
            return Remark("second_at_kink", values | {"what": self.problem.element(node, places[0])})
        return Remark("second_differs", values)

    def result(self) -> dict[str, Any]:
        """The same fields as those that PyTorch's process sends, and what is to be said."""
        rows = [[self.entry(i, j) for j in range(self.count)] for i in range(self.count)]
        flat = [entry for row in rows for entry in row]
        exists = all(entry.exact is not None for entry in flat)
        numbers = [math.nan if entry.exact is None else to_float(entry.exact) for entry in flat]
        verdict = max((entry.verdict for entry in flat), key=VERDICTS.index)
        notes = [row[j].note for i, row in enumerate(rows) for j in range(i, self.count)]
        own = Tensor.flat((self.count, self.count), array("d", numbers))
        autograd = Tensor.flat(own.shape, array("d", [entry.found for entry in flat]))
        eigenvalues = _eigenvalues([[entry.exact for entry in row] for row in rows]) if exists else []
        return {
            "hessian": (own, autograd, error(own, autograd), verdict, eigenvalues),
            "exists": exists,
            "notes": [note for note in notes if note is not None][:MAX_NOTES],
        }


def _eigenvalues(rows: Sequence[Sequence[Any]]) -> list[float]:
    """The eigenvalues of a symmetric matrix of exact numbers, in ascending order."""
    with digits(2 * NEGLIGIBLE):
        found = sorted(mp.eigsy(mp.matrix([list(row) for row in rows]), eigvals_only=True))
        least = max(map(abs, found)) * mp.mpf(10) ** -NEGLIGIBLE
        return [to_float(value) if abs(value) > least else 0.0 for value in found]
