"""One formula read twice, on numbers point by point and on vectors of all the points, and what then differs."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from test_formulas import read_point

from gradexplain import derive
from gradexplain.errors import GradexplainError
from gradexplain.records import VERDICTS, BackwardRow, Derivation, Gradient
from gradexplain.tensor import Tensor

# Values and gradients are equal up to this: PyTorch's loops over vectors round a little differently.
RIGHT = 1e-12
DTYPE_RIGHT = {"float64": RIGHT, "float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}


_FILLED = ((re.compile(r"\* ?ones_like\(\w+\)"), ""), (re.compile(r"\bones_like\(\w+\)"), "1"),
           (re.compile(r"\bzeros_like\(\w+\)"), "0"))  # fmt: skip

# torch.max(v, 0) goes along an axis, so beside a number the larger of two has its other name on vectors.
_LARGER = re.compile(r"\b(max|min)imum(\((?:[^()]|\([^()]*\))*, [\d.e-]+\))")
_BRACKETS = re.compile(r"= \((.+?)\)\[\d+\]")
_ELEMENT, _COUNTED = re.compile(r"\[\d+\]"), re.compile(r", the first of [\d,]+ elements that have one")


class Question(NamedTuple):
    """A formula, the points as numbers by input, the inputs that stay single numbers, and the dtype."""

    name: str
    formula: str
    points: Sequence[Mapping[str, float]]
    numbers: frozenset[str] = frozenset()
    dtype: str = "float64"


def on_vectors(question: Question) -> Derivation:
    """The formula summed over all points at once."""
    *statements, last = question.formula.split(";")
    name, equals, expression = last.rpartition(" = ")
    statements.append(f"{name}{equals}sum({expression.strip()})")
    at: dict[str, Any] = {
        name: value if name in question.numbers else [point[name] for point in question.points]
        for name, value in question.points[0].items()
    }
    return derive(";".join(statements), at, dtype=question.dtype)


def differences(question: Question) -> Iterator[tuple[str, str]]:
    """What differs between the two readings: the kind, and what both say."""
    alone = [derive(question.formula, dict(point), dtype=question.dtype) for point in question.points]
    try:
        together = on_vectors(question)
    except GradexplainError as error:
        yield "refused", str(error).splitlines()[0]
        return
    yield from _Compared(question, alone, together).all()


class _Compared:
    def __init__(self, question: Question, alone: Sequence[Derivation], together: Derivation) -> None:
        self.question, self.alone, self.together = question, alone, together
        # The sum that was put around the objective takes its name; what is summed has one of the next.
        self.summed, own = together.nodes[-1].inputs[0], alone[0].objective
        self.old = re.compile(rf"(?<![\w.]){re.escape(self.summed)}(?![\w(])")
        known = {*together.inputs, *(row.node for row in alone[0].nodes)}
        self.own = self.summed if self.summed in known else own
        self.tolerance = DTYPE_RIGHT[question.dtype]

    def named(self, text: str) -> str:
        """A text about vectors with the objective's name in the place of that of what is summed."""
        text = text.replace(f"∂{self.together.objective}/", f"∂{self.alone[0].objective}/")
        return self.old.sub(self.own, _LARGER.sub(r"\1\2", text))

    def said(self, text: str) -> str:
        """A reason or note as it is said of a single number: no element is named."""
        return _COUNTED.sub("", _ELEMENT.sub("", _BRACKETS.sub(r"= \1", self.named(text))))

    def all(self) -> Iterator[tuple[str, str]]:
        worst = max((found.verdict for found in self.alone), key=VERDICTS.index)
        if self.together.verdict != worst:
            yield "verdict", f"{worst} | {self.together.verdict}"
        yield from self.notes()
        values = [{row.node: row for row in found.nodes} for found in self.alone]
        for row in self.together.nodes[:-1]:
            name = self.named(row.node)
            if any(name not in known for known in values):
                yield "rows", name
                continue
            yield from self.numbers("value", name, [known[name].value for known in values], row.value)
            if self.named(row.expression) != values[0][name].expression:
                yield "expression", f"{values[0][name].expression} | {self.named(row.expression)}"
        yield from self.backward()
        for name, entry in self.together.gradient.items():
            if name not in self.question.numbers:
                yield from self.compared(name, [found.gradient[name] for found in self.alone], entry)
                yield from self.forms(name, entry)

    def backward(self) -> Iterator[tuple[str, str]]:
        rows = [{row.node: row for row in found.backward} for found in self.alone]
        for row in self.together.backward:
            name = self.named(row.node)
            if row.node == self.summed or name in self.question.numbers:
                continue
            if any(name not in known for known in rows):
                yield "rows", name
                continue
            yield from self.compared(name, [known[name] for known in rows], row)
            own = [(entry.through, entry.title, entry.local) for entry in rows[0][name].contributions]
            found = [(self.named(entry.through), entry.title, self.named(entry.local)) for entry in row.contributions]
            # Upstream times local is one formula where tensors are; what is shown is the local derivative.
            if own != found:
                yield "local", f"{own} | {found}"

    def compared(
        self, name: str, own: Sequence[BackwardRow | Gradient], found: BackwardRow | Gradient
    ) -> Iterator[tuple[str, str]]:
        yield from self.numbers("gradient", name, [entry.value for entry in own], found.value)
        worst = max(own, key=lambda entry: VERDICTS.index(entry.verdict))
        reasons = {entry.began.reason for entry in own if entry.began is not None and entry.verdict == worst.verdict}
        if worst.verdict != found.verdict:
            yield "row", f"{name}: {worst.verdict} | {found.verdict}"
        elif (worst.began is None) != (found.began is None):
            yield "began", f"{name}: {worst.began} | {found.began}"
        elif worst.began is not None and found.began is not None:
            nodes = {entry.began.node for entry in own if entry.began is not None and entry.verdict == worst.verdict}
            if self.named(found.began.node) not in nodes:
                yield "began", f"{name}: {worst.began} | {found.began}"
            elif self.said(found.began.reason) not in reasons:
                yield "reason", f"{name}: {reasons} | {self.said(found.began.reason)}"

    def notes(self) -> Iterator[tuple[str, str]]:
        own = {note for found in self.alone for note in found.notes}
        # Of many elements at kinks, the first ones are named, and how many more there are.
        more = {remark.text for remark in self.together.remarks if remark.id == "more_kinks"}
        found = {self.said(note) for note in self.together.notes if note not in more}
        if not found <= own or (own - found and not more):
            yield "notes", f"{own} | {found}"

    def numbers(self, kind: str, name: str, own: Sequence[Any], found: Any) -> Iterator[tuple[str, str]]:
        values = list(found.numbers or ()) if isinstance(found, Tensor) else [found] * len(own)
        for one, other in zip(own, values, strict=True):
            if not self._near(one, other):
                yield kind, f"{name}: {own} | {values}"
                return

    def _near(self, one: Any, other: Any) -> bool:
        if one is None or other is None:
            return one is other
        one, other = float(one), float(other)
        if not (math.isfinite(one) and math.isfinite(other)):
            return one == other or (one != one and other != other)
        return abs(one - other) <= self.tolerance * max(abs(one), abs(other))

    def forms(self, name: str, entry: Gradient) -> Iterator[tuple[str, str]]:
        # At a kink the form may have exceptions that it has nowhere else.
        own = [found.gradient[name].symbolic for found in self.alone]
        # A formula with the shape of a vector says so where no vector stands in it.
        found = None if entry.symbolic is None else self.named(entry.symbolic)
        for pattern, number in _FILLED:
            found = pattern.sub(number, found) if found else found
        if found not in own:
            yield "closed form", f"{name}: {own[0]} | {found}"


def read_formula(case: Any) -> Question:
    """A published formula at its own point and at two near it."""
    point = {name: float(value) for name, value in read_point(case.point).items()}
    points = [{name: value * factor for name, value in point.items()} for factor in (1, 1 + 2**-7, 1 - 2**-7)]
    return Question(case.name, case.formula, points)


def listed() -> set[tuple[str, str]]:
    """What is known to differ: the name of the question and the kind. The file says why."""
    with Path(__file__).with_name("one_house.tsv").open(encoding="utf-8", newline="") as file:
        return {(name, kind) for kind, name, _ in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}


def check(questions: Iterable[Question]) -> None:
    """Fail where the two readings of a question differ and the list does not say so, or the other way round."""
    known = listed()
    for question in questions:
        found = dict(differences(question))
        expected = {kind for name, kind in known if name == question.name}
        new = {kind: text for kind, text in found.items() if kind not in expected}
        assert not new, f"{question.name}: {question.formula}"
        gone = expected - found.keys()
        assert not gone, f"{question.name} does not differ any more: take it from one_house.tsv"
