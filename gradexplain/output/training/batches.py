"""How the gradient of a batch comes about: the rows of a small one, a summary of a large one."""

from __future__ import annotations

from gradexplain.output.grid import layout
from gradexplain.output.numbers import show
from gradexplain.output.training.updates import bracketed
from gradexplain.output.training.words import BATCH
from gradexplain.training_records import NORM, Batch, Training, TrainingStep


def explain_batches(training: Training, width: int) -> list[str]:
    """The batches of the first step that has any, in lines; none without data."""
    data = training.data
    step = next((step for step in training.steps if step.batches), None)
    if data is None or step is None:
        return []
    lines = [""]
    for k, batch in enumerate(step.batches if data.reduction != BATCH else ()):
        lines += [*_batch(training, step, batch, k), ""]
    if len(step.batches) > 1:
        for name in training.parameters:
            if name.startswith(NORM):
                continue
            terms = " + ".join(bracketed(batch.gradient[name] or 0.0) for batch in step.batches[:6])
            more = " + …" if len(step.batches) > 6 else ""
            lines.append(f"{name}: backward() computed {terms}{more} = {show(step.backward[name]) or 'nothing'}")
        return lines
    return lines[:-1]


def _batch(training: Training, step: TrainingStep, batch: Batch, number: int) -> list[str]:
    assert training.data is not None
    reduction = training.data.reduction
    names = list(training.parameters)
    rows = f"{batch.count:,} row" + "s" * (batch.count != 1)
    which = f"batch {number + 1}, {rows}" if len(step.batches) > 1 else rows
    title = f"Step {step.step}, {which}: the gradient is the {reduction} of the gradients of the rows"
    if batch.weight != 1:
        title += f", times {show(batch.weight)}"
    symbols = [training.gradient[name].partial for name in names]
    share = batch.weight if reduction == "mean" else batch.weight * batch.count
    if batch.rows and batch.row_gradient is not None and batch.spread is not None:
        lines = [("row", training.objective, *symbols)]
        for k, row in enumerate(batch.rows):
            lines.append((f"{row}", show(batch.row_loss[k]), *[show(batch.row_gradient[name][k]) for name in names]))
        reduced = [show(batch.spread[name].mean * (1 if reduction == "mean" else batch.count)) for name in names]
        lines.append((reduction, show(batch.loss), *reduced))
        if batch.weight != 1:
            lines.append((f"· {show(batch.weight)}", "", *[show(batch.gradient[name]) for name in names]))
        return [title, *layout(lines)]
    found = [title]
    for name, symbol in zip(names, symbols, strict=True):
        spread = batch.spread[name] if batch.spread else None
        if spread is not None:
            times = "" if share == 1 else f", times {show(share)} = {show(batch.gradient[name])}"
            found.append(f"{symbol} of a row is between {show(spread.smallest)} and {show(spread.largest)}, "
                         f"mean {show(spread.mean)}{times}")  # fmt: skip
    return found
