"""A training run for programs, a line for each step as it is made: JSON or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gradexplain.output.json import line
from gradexplain.records import plain
from gradexplain.training_records import TrainingStep


def _object(step: TrainingStep) -> str:
    return line(plain(step))


def _heading(parameters: Sequence[str]) -> Iterable[str]:
    taken = {"step", "loss", "verdict"}
    own = [f"parameter:{name}" if name in taken else name for name in parameters]
    others = [f"{kind}:{name}" for kind in ("backward", "grad", "after") for name in parameters]
    yield _row(["step", "loss", *own, *others, "verdict"])


def _cells(step: TrainingStep) -> str:
    found: list[Any] = [step.step, step.loss, *step.parameters.values()]
    found += [*step.backward.values(), *step.grad.values(), *[update.after for update in step.update.values()]]
    return _row([*["" if cell is None else repr(cell) for cell in found], step.verdict])


def _row(cells: Sequence[str]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(cells)
    return stream.getvalue()


# For each format what comes first, and a step as a line.
FORMATS: dict[str, tuple[Callable[[Sequence[str]], Iterable[str]], Callable[[TrainingStep], str]]] = {
    "ndjson": (lambda parameters: (), _object),
    "csv": (_heading, _cells),
}
