"""A training run as Markdown: the formulas, the steps as a table, where it ended and what there is to say."""

from __future__ import annotations

from collections.abc import Sequence

from gradexplain.output.derivation.markdown import code, code_cell, escaped, items, statements, table
from gradexplain.output.formats import Look
from gradexplain.output.numbers import show
from gradexplain.output.training.batches import explain_batches
from gradexplain.output.training.comparison import compare
from gradexplain.output.training.steps import cells, headings
from gradexplain.output.training.updates import rule, single_rules, title
from gradexplain.output.training.words import after, conclusion, ends, over, setting
from gradexplain.training_records import Training

# How wide the tables of rows and runs may be, which stand as they are.
WIDTH = 100


def write(training: Training, look: Look) -> str:
    """The formulas and settings, the update rule, the steps, the end, the sentences and the notes."""
    values = [code(f"{name} = {show(value)}") for name, value in training.inputs.items()]
    lines = [
        *statements(training.statements), "",
        ", ".join([escaped(title(training.optimizer)), *values, training.arithmetic]),
        *[part for line in setting(training, code, escaped) for part in ("", line)], "",
        *_formulas(training), "", "### Steps", "", *_steps(training, look.every), "",
        *_block(explain_batches(training, WIDTH)), *_block(compare(training, WIDTH)), "### End", "",
        f"{', '.join(code(f'{name} = {show(value)}') for name, value in ends(training))} ({after(training)})",
        *items([*[line for line, _ in conclusion(training)], *training.notes]),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _formulas(training: Training) -> list[str]:
    """Each partial in symbols and the rule by which it is used; a rule of several lines below them."""
    updates = single_rules(training)
    count = 3 if updates else 2
    rows: list[Sequence[str]] = []
    for name, entry in training.gradient.items():
        form = code_cell(entry.symbolic) if entry.symbolic else "… (too long to write out)"
        rows.append((code_cell(entry.partial), over(training) + form, code_cell(updates.get(name, "")))[:count])
    lines = table(("partial", "in symbols", "update")[:count], "lll"[:count], rows)
    if updates:
        return lines
    heading = f"step() for each parameter {code('p')}, with {code('g = p.grad')}:"
    return [*lines, "", heading, "", *[f"- {code(line)}" for line in rule(training.optimizer, "p", "g")]]


def _steps(training: Training, every: bool) -> list[str]:
    heads = headings(training)
    rows: list[Sequence[str]] = []
    for row in cells(training, every):
        if isinstance(row, str):
            rows.append((" ".join(row.split()), *[""] * (len(heads) - 1)))
        else:
            *numbers, update, verdict = row
            rows.append((*map(escaped, numbers), code_cell(update), verdict))
    return table([*map(escaped, heads)], "r" * (len(heads) - 2) + "ll", rows)


def _block(lines: Sequence[str]) -> list[str]:
    """Lines that are laid out with spaces, as they are; nothing without any."""
    while lines and not lines[0]:
        lines = lines[1:]
    fence = "```"
    while any(fence in line for line in lines):
        fence += "`"
    return [f"{fence}text", *lines, fence, ""] if lines else []
