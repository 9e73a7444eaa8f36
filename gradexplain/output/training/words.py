"""What a training run says in words, for every format that a person reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from gradexplain.errors import printable
from gradexplain.output.numbers import show
from gradexplain.training_records import Data, Training

# With more rows than this in a batch, most steps are not compared, to save time.
MANY = 4_096
# How rows become one loss where the formula itself says so.
BATCH = "batch"
# What a diagnosis is called where its own words do not say it.
_SHOWN_NAMES = frozenset(("converged", "diverging", "oscillating", "nan"))


def setting(training: Training, mark: Callable[[str], str] = str, plain: Callable[[str], str] = str) -> list[str]:
    """Where the data come from, and which calls make a step where that is not the usual.

    `mark` writes the names in it (of the objective, of columns, of the file), `plain` the words around calls. In names
    of files and columns, what would not be seen is an escape.
    """
    return [*(_data(training, training.data, mark) if training.data else ()), *map(plain, _calls(training))]


def _data(training: Training, data: Data, mark: Callable[[str], str]) -> Iterator[str]:
    objective, source = mark(training.objective), mark(printable(data.source))
    columns = f"(columns {', '.join(mark(printable(name)) for name in data.columns)})"
    if data.reduction == BATCH:
        if training.row_size:
            columns += f"; {mark(training.row_size)} is the number of its rows"
        whole = f"all {_rows(data.rows)}" if data.batch_size >= data.rows else "a batch of rows"
        yield f"{objective} is that of {whole} of {source}, as it is written {columns}"
    else:
        yield f"{objective} is the {data.reduction} over {_rows(data.rows)} of {source} {columns}"
    if data.batch_size < data.rows:
        order = f"shuffled with seed {data.seed}" if data.shuffle else "in their order"
        yield f"each backward() has {data.batch_size:,} of the {data.rows:,} rows, {order}"


def over(training: Training) -> str:
    """What stands before a partial that is that of one row: `mean over the rows of `."""
    data = training.data
    return "" if data is None or data.reduction == BATCH else f"{data.reduction} over the rows of "


def _rows(count: int) -> str:
    return f"{count:,} row" + "s" * (count != 1)


def _calls(training: Training) -> list[str]:
    many, data = training.accumulate > 1, training.data
    if not many and training.zero_grad and training.order == "zero-backward-step":
        return []
    share = ""
    if many and data is None:
        share = f" of 1/{training.accumulate} of the loss"
    elif many and data is not None and data.reduction != "sum":
        share = ", each batch weighted by its share of the rows"
        share += ", as is right for a mean," if data.reduction == BATCH else ""
    up_to = "up to " if data and math.ceil(data.rows / data.batch_size) % training.accumulate else ""
    backward = f"{up_to}{training.accumulate} times backward(){share}" if many else "backward()"
    names = {"zero": "zero_grad()", "backward": backward, "step": "step()"}
    calls = [names[part] for part in training.order.split("-") if training.zero_grad or part != "zero"]
    return ["each step: " + ", ".join(calls) + ("" if training.zero_grad else ", and no zero_grad()")]


def ends(training: Training) -> list[tuple[str, float]]:
    """The parameters and the objective at the end, by name."""
    return [*training.final.parameters.items(), (training.objective, training.final.loss)]


def after(training: Training) -> str:
    """When the end was: `after 3 steps`."""
    return f"after {training.final.step:,} step" + "s" * (training.final.step != 1)


def final(training: Training) -> str:
    """Where the run ended, in a line."""
    return "   ".join([*[f"{name} = {show(value)}" for name, value in ends(training)], f"({after(training)})"])


def interruptions(training: Training) -> list[str]:
    """Where an interrupt ended a run, and those that it is compared with: the loss after the last step is unknown."""
    found = []
    for run in training.stopped:
        label, planned = f"{run.label}: " * bool(run.label), f"of {run.planned:,}"
        if run.steps:
            known = f"the last loss known is that {after(run)}"
            found.append(f"{label}interrupted at step {run.final.step + 1:,} {planned}; {known}")
        else:
            found.append(f"{label}interrupted before the first step {planned}")
    return found


def conclusion(training: Training) -> list[tuple[str, bool]]:
    """What there is to say about the run: sentences, each with whether it is a reason for doubt."""
    found = [(sentence, True) for sentence in interruptions(training)]
    found += [(_sentence(entry.name, entry.text), False) for entry in training.diagnosis]
    if not training.zero_grad:
        found.append(("zero_grad() was not called, so every backward() added to what .grad already held.", False))
    if training.dtype != "float64":
        words = f"PyTorch rounds every number to {training.dtype}; the arithmetic shown holds up to that."
        found.append((words, False))
    return [*found, *_agreement(training)]


def _agreement(training: Training) -> list[tuple[str, bool]]:
    steps = training.steps[-1].step if training.steps else 0
    if not steps:
        return []
    count = f"all {steps:,} steps" if steps > 1 else "the step"
    if training.agreed == steps:
        return [(f"backward() agreed with the chain rule at {count}.", False)]
    if training.agreed == training.checked:
        why = "there are many rows" if training.data and training.data.batch_size > MANY else "too many were in doubt"
        return [(f"backward() agreed with the chain rule at all {training.checked:,} steps that were compared "
                 f"({steps - training.checked:,} were not: {why}).", False)]  # fmt: skip
    return [(f"backward() agreed with the chain rule at {training.agreed:,} of {training.checked:,} steps.", True)]


def _sentence(name: str, words: str) -> str:
    return f"{name}: {words}." if name in _SHOWN_NAMES else f"{words}."
