"""A training run as LaTeX: formulas and update rule typeset, the steps as a table, where it ended and what to say."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from gradexplain.language.latex import latex_name, latex_number, latex_text
from gradexplain.output import tex
from gradexplain.output.derivation.latex import aligned, display
from gradexplain.output.formats import Look
from gradexplain.output.numbers import show
from gradexplain.output.training.batches import explain_batches
from gradexplain.output.training.comparison import compare
from gradexplain.output.training.steps import cells, headings
from gradexplain.output.training.updates import rule, title
from gradexplain.output.training.words import after, conclusion, ends, over, setting
from gradexplain.training_records import Training

# How wide the tables of rows and runs may be, which stand as they are.
WIDTH = 90
# The width of the column with the updates, as a share of the page; less where there are many columns.
UPDATE, UPDATE_BESIDE_MANY, MANY = 0.34, 0.25, 9
_SIGNS = {"←": r"\leftarrow", "=": "="}
# The parameter where there are several lines, what is computed, how, the result, and a remark.
_NAME = r"[^\s\[]+\[[0-9, ]+\]|\S+"
_UPDATE_LINE = re.compile(rf"(?:({_NAME}): +)?({_NAME}) (←|=) (.+?)(?: = (\S+))?(?: (\(no \.grad\)))?")


def write(training: Training, look: Look) -> str:
    """The formulas and settings, the update rule, the steps, the end, the sentences and the notes."""
    names = [*training.parameters, *training.inputs, training.objective]
    names += [line.partition(" = ")[0] for line in training.statements]
    values = [f"${tex.statement(f'{name} = {show(value)}', names)}$" for name, value in training.inputs.items()]
    words = "".join(f"{line}\\par\n" for line in setting(training, latex_text, latex_text))
    fragment = "\n".join([
        tex.HEAD + tex.legend(names), aligned(training.statements, names),
        f"{', '.join([latex_text(title(training.optimizer)), *values, training.arithmetic])}\\par\n{words}",
        *_formulas(training, names), _steps(training, look.every, names),
        tex.verbatim(explain_batches(training, WIDTH)), tex.verbatim(compare(training, WIDTH)), _end(training),
        tex.sentences([*[line for line, _ in conclusion(training)], *training.notes, *tex.twins(names)]),
    ])  # fmt: skip
    return tex.document(fragment) if look.standalone else fragment


def _formulas(training: Training, names: Collection[str]) -> list[str]:
    """Each partial in symbols, then the rule by which it is used."""
    before = rf"\text{{{words}}} " if (words := over(training)) else ""
    symbols = [
        f"{tex.partials(entry.partial)} &= {before}"
        + (tex.fitting(entry.symbolic, names) if entry.symbolic else r"\cdots")
        for entry in training.gradient.values()
    ]
    usual = training.zero_grad and training.accumulate == 1
    general = rule(training.optimizer, "p", "g")
    if len(general) > 1:
        words = r"\texttt{step()} for each parameter $p$, with $g$ what its \texttt{.grad} holds:\par" + "\n"
        return [display(symbols), words + display([_update(line, (), align="&") for line in general])]
    # A name that stands for the gradient, and is none of the formula.
    mark = "g"
    while mark in names:
        mark += "g"
    updates = []
    for name, entry in training.gradient.items():
        gradient = tex.partials(entry.partial) if usual else rf"{latex_name(name)}\texttt{{.grad}}"
        line = rule(training.optimizer, name, mark)[0]
        updates.append(_update(line, [*names, mark], "&", {mark: gradient}))
    return [display(symbols), display(updates)]


def _update(line: str, names: Collection[str], align: str = "", typeset: Mapping[str, str] | None = None) -> str:
    """A line of arithmetic, such as `w ← 1 - 0.1·(-8) = 1.8` or `w: m = 0.1·4 = 0.4`, typeset."""
    found = _UPDATE_LINE.fullmatch(line.strip())
    if found is None:
        return rf"\text{{{latex_text(line.strip())}}}"
    label, name, sign, form, result, remark = found.groups()
    before = rf"{latex_name(label)}\colon\; " if label else ""
    formula = tex.formula(form.replace("·", "*"), names, lines=not align, typeset=typeset)
    after_it = (f" = {latex_number(result)}" if result else "") + (rf"\text{{ {latex_text(remark)}}}" if remark else "")
    return f"{before}{latex_name(name)} {align}{_SIGNS[sign]} {formula}{after_it}"


def _steps(training: Training, every: bool, names: Collection[str]) -> str:
    heads = headings(training)
    rows: list[Sequence[str]] = []
    for row in cells(training, every):
        if isinstance(row, str):
            rows.append([rf"\multicolumn{{{len(heads)}}}{{@{{}}l}}{{{latex_text(row.strip())}}}"])
            continue
        *numbers, update, verdict = row
        lines = [f"${_update(line, names)}$" for line in update.split("\n") if line]
        rows.append([*map(_cell, numbers), r"\newline ".join(lines), latex_text(verdict)])
    columns = "r" * (len(heads) - 2) + tex.wide(UPDATE if len(heads) < MANY else UPDATE_BESIDE_MANY) + "l"
    return tex.table([_heading(head) for head in heads], columns, rows)


def _heading(text: str) -> str:
    """A heading, on two lines where it has several words."""
    # The blanks in an index part no words.
    first, _, second = re.sub(r"(?<!,) ", "\n", text, count=1).partition("\n")
    return rf"\shortstack[r]{{{latex_text(first)}\\{latex_text(second)}}}" if second else latex_text(first)


def _cell(text: str) -> str:
    """Numbers, or a sum of numbers; a word such as none as it is."""
    return latex_text(text) if text.isalpha() else f"${tex.partials(text)}$" if text else ""


def _end(training: Training) -> str:
    values = ", ".join(f"${latex_name(name)} = {latex_number(show(value))}$" for name, value in ends(training))
    return f"{values} ({latex_text(after(training))})\\par\n"
