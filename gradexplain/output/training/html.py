"""A training run as a page of its own: the formulas typeset, the loss as a curve, the steps, and what there is to say.

The page needs no network and runs no script.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from gradexplain.language.parse import parse
from gradexplain.output.derivation.notebook import formula
from gradexplain.output.formats import Look
from gradexplain.output.graph.picture import in_order
from gradexplain.output.numbers import show
from gradexplain.output.page.pages import as_ascii, box, code, document, statement_lines, table
from gradexplain.output.training import svg as training_svg
from gradexplain.output.training.batches import explain_batches
from gradexplain.output.training.comparison import compare
from gradexplain.output.training.steps import cells, headings
from gradexplain.output.training.updates import rule, title
from gradexplain.output.training.words import after, conclusion, ends, setting
from gradexplain.training_records import Training

# How wide the tables of rows and runs may be, which stand as they are.
WIDTH = 100


def write(training: Training, look: Look) -> str:
    """The page; in ASCII alone where the place has no other characters."""
    page = render(training, look.every)
    return as_ascii(page) if look.ascii_only else page


def render(training: Training, every: bool = False) -> str:
    """The page, with some of many steps unless `every` one is wanted."""
    parts = [
        *_setting(training),
        *_formulas(training),
        *_curve(training),
        "<h2>Steps</h2>",
        table("Steps", _heads(training), list(_steps(training, every))),
        *_block("Rows of a batch", explain_batches(training, WIDTH)),
        *_block("Runs side by side", compare(training, WIDTH)),
        *_end(training),
    ]
    return document(training.statements, parts)


def _setting(training: Training) -> Iterable[str]:
    yield f"<h1>Training by the gradient of {code(training.objective)}</h1>"
    names = [*training.inputs, *training.parameters, *(training.data.columns if training.data else ())]
    yield from statement_lines(parse(training.source, names), training.statements)
    values = [code(f"{name} = {show(value)}") for name, value in training.inputs.items()]
    yield f"<p>{', '.join([escape(title(training.optimizer)), *values, escape(training.dtype)])}</p>"
    yield from (f'<p class="soft">{line}</p>' for line in setting(training, code, escape))


def _formulas(training: Training) -> Iterable[str]:
    """Each partial in symbols and the rule by which it is used; a rule of several lines below them."""
    over = f"{training.data.reduction} over the rows of " if training.data else ""
    usual = training.zero_grad and training.accumulate == 1
    short = len(rule(training.optimizer, "p", "g")) == 1
    lines = []
    for name, entry in training.gradient.items():
        form = formula(entry.typeset, entry.symbolic) if entry.symbolic else "… (too long to write out)"
        row = [code(entry.partial), over + form]
        if short:
            row.append(code(rule(training.optimizer, name, entry.partial if usual else f"{name}.grad")[0]))
        lines.append(_row(row))
    yield "<h2>Gradient and update</h2>"
    yield table("Gradient and update", ("partial", "in symbols", "update")[: 2 + short], lines)
    if not short:
        yield f"<p>step() for each parameter {code('p')}, with {code('g = p.grad')}:</p>"
        yield f"<ul>{''.join(f'<li>{code(line)}</li>' for line in rule(training.optimizer, 'p', 'g'))}</ul>"


def _curve(training: Training) -> Iterable[str]:
    if len(training.curve) > 1:
        yield "<h2>Loss</h2>"
        yield box("Loss", training_svg.render(training, embedded=True))


def _heads(training: Training) -> Sequence[str]:
    """All columns but those of the update and the verdict are numbers."""
    *numbers, update, verdict = headings(training)
    return [*[f"{text}:" for text in numbers], update, verdict]


def _steps(training: Training, every: bool) -> Iterable[str]:
    count = len(headings(training))
    for row in cells(training, every):
        if isinstance(row, str):
            yield f'<tr><td colspan="{count}">{escape(" ".join(row.split()))}</td></tr>'
            continue
        *numbers, update, verdict = row
        shown = "".join(f'<td class="number">{escape(text)}</td>' for text in numbers)
        lines = "<br>".join(code(line) for line in update.split("\n") if line)
        yield f"<tr>{shown}<td>{lines}</td><td>{escape(verdict)}</td></tr>"


def _row(parts: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td>{part}</td>" for part in parts) + "</tr>"


def _block(label: str, lines: Sequence[str]) -> Iterable[str]:
    """Lines that are laid out with spaces, as they are; nothing without any."""
    text = "\n".join(lines).strip("\n")
    if text:
        yield f"<h2>{escape(label)}</h2>"
        yield box(label, f"<pre>{escape(in_order(text))}</pre>")


def _end(training: Training) -> Iterable[str]:
    yield "<h2>End</h2>"
    values = ", ".join(code(f"{name} = {show(value)}") for name, value in ends(training))
    yield f"<p>{values} ({after(training)})</p>"
    for line, doubt in conclusion(training):
        yield f'<p class="{"warning" if doubt else "said"}">{escape(in_order(line))}</p>'
    yield from (f"<p>{escape(in_order(note))}</p>" for note in training.notes)
