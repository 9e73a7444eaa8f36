"""A training run for a notebook: the formulas typeset, the steps as a table, the plot; escaped throughout."""

from __future__ import annotations

from html import escape

from gradexplain.output.derivation.notebook import code, formula, table
from gradexplain.output.numbers import show
from gradexplain.output.training.steps import held, shown
from gradexplain.output.training.updates import arithmetic, title
from gradexplain.training_records import Training, grad_of


def write(training: Training) -> str:
    """The partials in symbols, the steps at a sensible spacing, where the run ended, and what there is to say."""
    names = list(training.parameters)
    parts = [f"<p>{code('; '.join(training.statements))} {escape(title(training.optimizer))}</p>"]
    parts.append(table(("partial", "in symbols"), [
        (code(entry.partial), formula(entry.typeset, entry.symbolic)) for entry in training.gradient.values()
    ]))  # fmt: skip
    heads = ("step", *names, training.objective, *[grad_of(name) for name in names], "update", "verdict")
    rows = []
    for step in shown(training, every=False):
        updates = [arithmetic(training, name, update, step.grad[name], step.step)
                   for name, update in step.update.items()]  # fmt: skip
        rows.append((
            str(step.step), *[escape(show(value)) for value in step.parameters.values()], escape(show(step.loss)),
            *[escape(held(training, step, name)) for name in names],
            "<br>".join(escape(line) for lines in updates for line in lines), escape(step.verdict),
        ))  # fmt: skip
    parts.append(table(heads, rows))
    end = [f"{name} = {show(value)}" for name, value in training.final.parameters.items()]
    parts.append(f"<p>{escape(',  '.join([*end, f'{training.objective} = {show(training.final.loss)}']))}</p>")
    parts += [f"<p>{escape(entry.text)}</p>" for entry in training.diagnosis]
    parts += [f"<p>{escape(note)}</p>" for note in training.notes]
    if len(training.curve) > 2:
        parts.append(_plot(training))
    return "<div>" + "\n".join(parts) + "</div>"


def _plot(training: Training) -> str:
    """The plot as an image inside of the page, so that nothing in it can run."""
    from base64 import b64encode

    from gradexplain.output.training import plot

    data = b64encode(plot.render(training, None, ".png")).decode("ascii")
    return f'<img alt="loss and parameters over the steps" style="max-width:100%" src="data:image/png;base64,{data}"/>'
