"""Where nothing is exact: the numbers of the tables, which PyTorch ran in float64, and the verdicts on them.

That is so where a formula is too large for exact numbers, and where inputs that are vectors have no values.
"""

from __future__ import annotations

import math
from typing import Any

from gradexplain.calculus.backward import NoNumbers, Step, Walk, reverse
from gradexplain.explain import notes
from gradexplain.explain.judged import Judged, Numbers, impossible
from gradexplain.explain.problem import Problem
from gradexplain.readings.conventions import changed
from gradexplain.readings.witness import Witness
from gradexplain.records import Began
from gradexplain.tensor import unpacked

_REASONS = {
    "precision": "large_gradient_loses_digits", "nonfinite": "local_differs", "undefined": "local_undefined",
}  # fmt: skip


def numbers(problem: Problem, witness: Witness) -> Numbers:
    """The values of all nodes and the walk by the tables; None in the place of each number without them."""
    walk, rows = reverse(problem.graph, problem.sources, NoNumbers()), witness.tables.get("rows", {})
    if rows:
        steps = {j: [Step(*step) for step in rows[j][-1]] for j in walk.order}
        walk = Walk(steps, {j: rows[j][0] for j in walk.order}, walk.order, walk.edges)
    return Numbers(witness.tables.get("values") or [None] * problem.size, walk, unpacked)


def judged(problem: Problem, walk: Walk[Any], witness: Witness) -> Judged:
    """The verdicts on the numbers of the tables, and the notes on kinks."""
    if witness.node >= 0:
        return impossible(problem, walk, witness)
    if not witness.values:
        return Judged(dict.fromkeys(walk.order, "unverified"), {}, other="unverified")
    found = _Verdicts(problem, walk, witness)
    told = []
    for j in problem.sources:
        began = found.began.get(j)
        if found.verdicts.get(j) == "convention" and began is not None:
            told.append(notes.remark(f"{began.id}_on_the_way", partial=problem.partial(j), **began.values))
    errors = {j: row[1] for j, row in witness.tables["rows"].items()}
    return Judged(found.verdicts, found.began, told, {}, errors)


class _Verdicts:
    """The verdict on every node, and where it began: the node nearest to the objective that has the same failure."""

    def __init__(self, problem: Problem, walk: Walk[Any], witness: Witness) -> None:
        self.problem, self.walk, self.witness = problem, walk, witness
        self.verdicts: dict[int, str] = {}
        self.began: dict[int, Began] = {}
        kinks, rows = witness.tables["kinks"], witness.tables["rows"]
        for j in walk.order:
            # What comes later looks at what stands above it.
            verdict, through = str(rows[j][2]), [step.through for step in walk.steps[j]]
            at_kink = [i for i in through if i in kinks]
            if verdict == "agrees" and (at_kink or any(self.verdicts.get(i) == "convention" for i in through)):
                verdict = "convention"
            if verdict in ("precision", "disagrees") and any(changed(self.problem.graph.nodes[i].rule) for i in kinks):
                verdict = "convention"
            self.verdicts[j] = verdict
            if verdict != "agrees":
                inherited = next((self.began[i] for i in through if i in self.began), None)
                self.began[j] = inherited or self._origin(j, verdict, at_kink)

    def _origin(self, j: int, verdict: str, at_kink: list[int]) -> Began:
        """Where a questionable verdict on node `j` began, and why."""
        names, kinks = self.problem.names, self.witness.tables["kinks"]
        if at_kink:
            node = at_kink[0]
            return Began.at(names.of[node], "kinks", expression=names.expression(node),
                            at_kink=notes.at_kink(self.problem.graph, node), count=kinks[node])  # fmt: skip
        for i, packed in enumerate(self.witness.values):
            if i in names.of and not _is_finite(packed):
                return Began.at(names.of[i], "large_not_finite", expression=names.expression(i))
        reason = _REASONS.get(verdict, "large_unexplained")
        return Began.at(names.of[j], reason, node=names.of[self.walk.steps[j][0].through])


def _is_finite(packed: Any) -> bool:
    if isinstance(packed, tuple):
        return math.isfinite(packed[2])
    return packed is None or isinstance(packed, bool) or math.isfinite(packed)
