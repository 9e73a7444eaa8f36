"""A training run for a notebook: the formulas typeset, the steps as a table, the plot; escaped throughout."""

from __future__ import annotations

from base64 import b64encode

from gradexplain.output.numbers import show
from gradexplain.output.page import pages
from gradexplain.output.training.steps import held, shown
from gradexplain.output.training.updates import arithmetic, title
from gradexplain.training_records import Training, grad_of


def write(training: Training) -> str:
    """The partials in symbols, the steps at a sensible spacing, where the run ended, and what there is to say."""
    names = list(training.parameters)
    rows = []
    for step in shown(training, every=False):
        updates = [arithmetic(training, name, update, step.grad[name], step.step)
                   for name, update in step.update.items()]  # fmt: skip
        rows.append((
            str(step.step), *map(show, step.parameters.values()), show(step.loss),
            *[held(training, step, name) for name in names],
            "\n".join(line for lines in updates for line in lines), step.verdict,
        ))  # fmt: skip
    end = [f"{name} = {show(value)}" for name, value in training.final.parameters.items()]
    return pages.fragment(
        "training_notebook.html", training=training, optimizer=title(training.optimizer), rows=rows,
        headings=("step", *names, training.objective, *map(grad_of, names), "update", "verdict"),
        end=",  ".join([*end, f"{training.objective} = {show(training.final.loss)}"]),
        said=[*(entry.text for entry in training.diagnosis), *training.notes], plot=_plot(training),
    )  # fmt: skip


def _plot(training: Training) -> str:
    """The plot as the data of an image inside of the page, so that nothing in it can run; empty for a short run."""
    from gradexplain.output.training import plot

    return b64encode(plot.draw(training, None, ".png")).decode("ascii") if len(training.curve) > 2 else ""
