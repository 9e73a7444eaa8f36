"""From what PyTorch found on tensors to the record: the rows, the closed forms and the verdicts, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradexplain.calculus.backward import NoNumbers, Walk, reverse
from gradexplain.explain import notes
from gradexplain.explain.chains import Chains
from gradexplain.explain.notes import closed_form_source
from gradexplain.explain.second_order import SecondForms
from gradexplain.explain.tensor_exact import Judged, value_of
from gradexplain.explain.tensor_matrices import Second
from gradexplain.explain.tensor_problem import TensorProblem, Texts
from gradexplain.language.graph import INPUT
from gradexplain.language.mathml import MATHML
from gradexplain.language.text import write
from gradexplain.readings.decimal import digits_of
from gradexplain.records import (
    FAILURES,
    VERDICTS,
    BackwardRow,
    Began,
    Contribution,
    Derivation,
    ForwardRow,
    Gradient,
    Input,
    MatrixDerivation,
    Value,
)
from gradexplain.rules.table import title_for
from gradexplain.tensor import Tensor, unpacked

MAX_TYPESET = 400
_REASONS = {
    "precision": "large_gradient_loses_digits", "nonfinite": "local_differs", "undefined": "local_undefined",
}  # fmt: skip


def build(
    problem: TensorProblem, texts: Texts, formulas: SecondForms, found: Mapping[str, Any], judged: Judged | None
) -> Derivation:
    """The record. `texts` are the closed forms by source, `formulas` those of Jacobians and Hessians; `found` is the
    answer of PyTorch, empty without it; `judged` are the verdicts where there are exact numbers."""
    return Build(problem, texts, formulas, found, judged).derivation()


class Build:
    """Puts PyTorch's numbers, the closed forms and the verdicts together, row by row."""

    def __init__(
        self, problem: TensorProblem, texts: Texts, formulas: SecondForms, found: Mapping[str, Any],
        judged: Judged | None,
    ) -> None:  # fmt: skip
        self.problem, self.texts, self.formulas, self.judged = problem, texts, formulas, judged
        self.graph, self.names = problem.graph, problem.names
        self.refused, self.refused_at = str(found.get("error", "")), found.get("node")
        self.found = {} if self.refused else found
        self.rows: Mapping[int, Any] = self.found.get("rows", {})
        self.kinks: Mapping[int, int] = self.found.get("kinks", {})
        self.walk: Walk[Any] = reverse(self.graph, problem.sources, NoNumbers())
        self.began: dict[int, Began | None] = {}
        self.verdicts: dict[int, str] = {}
        for j in self.walk.order:
            # What comes later looks at what stands above it.
            if judged is not None:
                self.verdicts[j], self.began[j] = judged.judgement.verdicts[j], judged.began(j)
            else:
                self.verdicts[j] = self._verdict(j)
        visible = set(self.graph.names) if problem.named else set(self.names.of)
        self.chains = Chains(self.walk, self.names.of, visible, problem.sources, self.graph.objective)

    def _verdict(self, j: int) -> str:
        """The verdict on node `j`, and where it began: the node nearest to the objective that has the same failure."""
        if j not in self.rows:
            self.began[j] = None
            if self.refused_at is None:
                return "unverified"
            name = self.names.of.get(self.refused_at, "a constant")
            self.began[j] = Began.at(name, "value_impossible", expression=self.names.expression(self.refused_at))
            return "undefined"
        verdict = str(self.rows[j][3])
        at_kink = [s.through for s in self.walk.steps[j] if s.through in self.kinks]
        above = [s.through for s in self.walk.steps[j] if self.began.get(s.through) is not None]
        if verdict == "agrees" and (at_kink or any(self.verdicts.get(i) == "convention" for i in above)):
            verdict = "convention"
        self.began[j] = None
        if verdict != "agrees":
            inherited = next((self.began[i] for i in above), None)
            self.began[j] = inherited or self._origin(j, verdict, at_kink)
        return verdict

    def _origin(self, j: int, verdict: str, at_kink: list[int]) -> Began:
        """Where a questionable verdict on node `j` began, and why."""
        expression = self.names.expression
        if at_kink:
            node = at_kink[0]
            return Began.at(self.names.of[node], "kinks", expression=expression(node),
                            at_kink=notes.at_kink(self.graph, node), count=self.kinks[node])  # fmt: skip
        for i, plain in self.found["witness"].items():
            if i in self.names.of and not _is_finite(plain):
                return Began.at(self.names.of[i], "large_not_finite", expression=expression(i))
        reason = _REASONS.get(verdict, "large_unexplained")
        return Began.at(self.names.of[j], reason, node=self.names.of[self.walk.steps[j][0].through])

    def derivation(self) -> Derivation:
        problem, graph, names = self.problem, self.graph, self.names
        gradient = {names.of[j]: self.gradient(j) for j in problem.sources}
        backward = tuple(self.backward(j) for j in self.walk.order)
        verdicts = {entry.verdict for entry in gradient.values()}
        verdicts |= {row.verdict for row in backward if row.verdict in FAILURES}
        values = self.found.get("values", {})
        matrices = self.matrices()
        remarks = (*problem.notes, *notes.tensor_notes(self))
        kind: Any = Derivation
        if matrices:
            kind = MatrixDerivation
            parts = [matrices["hessian"]] if matrices["hessian"] else (matrices["jacobian"] or {}).values()
            verdicts |= {part.verdict for part in parts}
        made: Derivation = kind(
            **matrices,
            source=problem.source,
            statements=closed_form_source(problem),
            objective=names.of[graph.objective],
            dtype=problem.dtype,
            upstream=self.upstream(),
            verdict=max(verdicts, key=VERDICTS.index),
            notes=tuple(entry.text for entry in remarks),
            inputs={names.of[i]: Input(unpacked(values.get(i)), self.graph.lengths(i)) for i in graph.inputs},
            missing=tuple(problem.missing),
            point={name: given.text for name, given in problem.point.items() if name in problem.shapes},
            nodes=tuple(self.forward(i) for i in range(problem.size) if i in names.of and graph.nodes[i].rule != INPUT),
            backward=backward,
            gradient=gradient,
            remarks=remarks,
            # Parts without a name as well: by them a formula may be on tensors although no input is one.
            _shapes={names.of.get(i, f"#{i}"): graph.shapes[i] for i in range(problem.size)},
        )
        return made

    def matrices(self) -> dict[str, Any]:
        """The Jacobians or the Hessian that were asked for, as fields of a record; empty where none was."""
        if not self.problem.want:
            return {}
        second = Second(self.problem, self.found, self.formulas)
        return {
            "jacobian": None,
            "hessian": None,
            self.problem.want: second.jacobians() if self.problem.want == "jacobian" else second.hessian(),
        }

    def upstream(self) -> Value | Tensor:
        if self.problem.upstream is None:
            shape = self.graph.lengths(self.graph.objective)
            return Tensor.filled(shape, 1.0) if shape else 1.0
        return self.problem.upstream

    def forward(self, i: int) -> ForwardRow:
        values, witness = self.found.get("values", {}), self.found.get("witness", {})
        return ForwardRow(
            self.names.of[i], self.names.expression(i), self.graph.nodes[i].rule, self.names.inputs(i),
            self.graph.lengths(i), unpacked(values.get(i)), unpacked(witness.get(i)),
        )  # fmt: skip

    def backward(self, j: int) -> BackwardRow:
        total, autograd, error, _, steps = self.rows.get(j, (None, None, None, "", ()))
        numbers = {(through, slot): rest for through, slot, *rest in steps}
        found = []
        for step in self.walk.steps[j]:
            upstream, local, value = numbers.get((step.through, step.slot), (None, None, None))
            rule = self.graph.nodes[step.through].rule
            title = title_for(rule, step.slot)
            found.append(
                Contribution(
                    self.names.of[step.through], rule, title, unpacked(upstream),
                    self.names.local(step.through, step.slot), unpacked(local), unpacked(value),
                )
            )  # fmt: skip
        return BackwardRow(
            self.names.of[j], self.problem.partial(j), tuple(found), unpacked(total), unpacked(autograd), error,
            self.verdicts[j], self.began[j],
        )  # fmt: skip

    def form(self, j: int) -> tuple[int | None, str | None]:
        """The closed form of a gradient that has the right numbers here, as node and text; None where there is none."""
        which = self.found.get("holds", {}).get(j, 0)
        roots, texts = self.texts.roots[j], self.texts.texts[j]
        return (roots[which], texts[which]) if texts and which >= 0 else (None, None)

    def gradient(self, j: int) -> Gradient:
        """The entry of source `j`; what nothing flows to has a gradient of 0."""
        problem, graph = self.problem, self.graph
        root, text = self.form(j)
        total, autograd, error, _, _ = self.rows.get(j, (None, None, None, "", ()))
        verdict = self.verdicts.get(
            j, "agrees" if self.rows else "undefined" if self.refused_at is not None else "unverified"
        )
        if j not in self.rows and self.rows:
            shape = self.graph.lengths(j)
            zeros = Tensor.filled(shape, 0.0) if shape else 0.0
            total, autograd, error = zeros, zeros, 0.0
        digits = None
        if self.judged is not None and j in self.rows:
            exact = self.judged.total(j)
            total, digits = value_of(exact), None if self.graph.shapes[j] else digits_of(exact)
        small = text is not None and len(text) <= MAX_TYPESET
        return Gradient(
            problem.partial(j), self.chains.text(j), (), text, None, digits,
            unpacked(total), unpacked(autograd), error, verdict,
            None, self.began.get(j), write(graph, root, problem.named, MATHML) if small and root is not None else None,
        )  # fmt: skip


def _is_finite(plain: Any) -> bool:
    if isinstance(plain, tuple):
        return math.isfinite(plain[2])
    return plain is None or isinstance(plain, bool) or math.isfinite(plain)
