"""A training run as the table that a person reads: the formulas, the steps with their arithmetic, and how it went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradexplain.errors import columns
from gradexplain.output import curve
from gradexplain.output.batches import explain_batches
from gradexplain.output.cells import VERDICT_STYLES, text
from gradexplain.output.comparison import compare
from gradexplain.output.formats import Look
from gradexplain.output.grid import styled
from gradexplain.output.numbers import show
from gradexplain.output.steps import step_lines
from gradexplain.output.table import UNLIMITED, print_parts, terminal_width
from gradexplain.output.updates import rule, title
from gradexplain.training_records import Training

if TYPE_CHECKING:
    from rich.console import RenderableType

# A statement or a formula and what stands beside it.
INDENT, BESIDE = 1, 52
# With more rows than this in a batch, most steps are not compared, to save time.
MANY = 4_096


def render(
    training: Training, width: int | None = None, color: bool = False, ascii_only: bool = False, every: bool = False
) -> str:
    """The whole table as text. `width` is in columns; without it, that of the terminal, or no limit in a pipe.

    Of many steps some are shown, unless `every` one of the record is wanted. With `color` the text has ANSI escape
    sequences; `ascii_only` draws the curve with characters that any stream has.
    """
    width = terminal_width() if width is None else width
    inner = width - INDENT
    lines = step_lines(training, inner, every, ascii_only)
    parts: list[RenderableType] = [*_header(training, inner), text("")]
    parts += [styled(line, verdict, VERDICT_STYLES.get(verdict, "bold red")) for line, verdict in lines]
    parts += [text(line) for line in explain_batches(training, inner)]
    parts += [text(line) for line in compare(training, inner)]
    parts += [text(""), text(_final(training), "bold")]
    if len(training.curve) > 2:
        parts += [text(""), *[text(line) for line in curve.render(training, min(inner, 80), 8, ascii_only)]]
    parts += [text(""), *_conclusion(training)]
    return print_parts(parts, width, color)


def write(training: Training, look: Look) -> str:
    """The table, in the width and colours of the place where it goes."""
    return render(training, look.width, look.color, look.ascii_only, look.every)


def preload() -> None:
    """Import now what `render` needs."""
    print_parts([text("")], UNLIMITED, color=False)


def _header(training: Training, width: int) -> list[RenderableType]:
    """The formula with the settings beside it, then each partial in symbols with the rule by which it is used."""
    values = ", ".join(f"{name} = {show(value)}" for name, value in training.inputs.items())
    settings = title(training.optimizer) + (f";  {values}" if values else "")
    if training.dtype != "float64":
        settings += f"   {training.dtype}"
    statements = list(training.statements)
    lines = [*statements[:-1], *_beside([(statements[-1], settings)], width)]
    if training.data is not None:
        data = training.data
        lines.append(f"{training.objective} is the {data.reduction} over {_rows(training)} of {data.source} "
                     f"(columns {', '.join(data.columns)})")  # fmt: skip
        if data.batch_size < data.rows:
            lines.append(f"each backward() has {data.batch_size:,} of the {data.rows:,} rows, "
                         f"{'shuffled with seed ' + str(data.seed) if data.shuffle else 'in their order'}")  # fmt: skip
    lines += [line for line in [_calls(training)] if line]
    return [text(line) for line in [*lines, "", *_formulas(training, width)]]


def _rows(training: Training) -> str:
    count = training.data.rows if training.data else 1
    return f"{count:,} row" + "s" * (count != 1)


def _calls(training: Training) -> str:
    """Which calls make a step, where that is not the usual."""
    many = training.accumulate > 1
    if not many and training.zero_grad and training.order == "zero-backward-step":
        return ""
    share = ""
    if many and not training.data:
        share = f" of 1/{training.accumulate} of the loss"
    elif many and training.data and training.data.reduction == "mean":
        share = ", each batch weighted by its share of the rows"
    data = training.data
    up_to = "up to " if data and math.ceil(data.rows / data.batch_size) % training.accumulate else ""
    backward = f"{up_to}{training.accumulate} times backward(){share}" if many else "backward()"
    names = {"zero": "zero_grad()", "backward": backward, "step": "step()"}
    calls = [names[part] for part in training.order.split("-") if training.zero_grad or part != "zero"]
    return "each step: " + ", ".join(calls) + ("" if training.zero_grad else ", and no zero_grad()")


def _formulas(training: Training, width: int) -> list[str]:
    usual = training.zero_grad and training.accumulate == 1
    over = f"{training.data.reduction} over the rows of " if training.data else ""
    partials = [
        (f"{entry.partial} = {over}{entry.symbolic or '… (too long to write out)'}", name)
        for name, entry in training.gradient.items()
    ]
    one = rule(training.optimizer, "p", "g")
    if len(one) == 1:
        pairs = [
            (line, rule(training.optimizer, name, training.gradient[name].partial if usual else f"{name}.grad")[0])
            for line, name in partials
        ]
        return _beside(pairs, width)
    counted = ", and t the number of the step" if any("**t" in line for line in one) else ""
    return [*[line for line, _ in partials], "", f"step() for each parameter p, with g = p.grad{counted}:",
            *[f"  {line}" for line in one]]  # fmt: skip


def _beside(pairs: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Lines with a second column, or below each other where that does not fit."""
    start = max(BESIDE, max(columns(left) for left, _ in pairs) + 4) if pairs else 0
    if all(start + columns(right) <= width for _, right in pairs):
        return [f"{left}{' ' * (start - columns(left))}{right}".rstrip() for left, right in pairs]
    return [line for left, right in pairs for line in (left, f"  {right}")]


def _final(training: Training) -> str:
    values = [f"{name} = {show(value)}" for name, value in training.final.parameters.items()]
    final = training.final
    after = f"after {final.step:,} step" + "s" * (final.step != 1)
    return "   ".join([*values, f"{training.objective} = {show(final.loss)}", f"({after})"])


def _conclusion(training: Training) -> list[RenderableType]:
    found: list[RenderableType] = []
    if training.interrupted:
        found.append(text(f"interrupted after {training.final.step:,} of {training.planned:,} steps", "yellow"))
    found += [text(_sentence(entry.name, entry.text)) for entry in training.diagnosis]
    if not training.zero_grad:
        found.append(text("zero_grad() was not called, so every backward() added to what .grad already held."))
    if training.dtype != "float64":
        found.append(text(f"PyTorch rounds every number to {training.dtype}; the arithmetic shown holds up to that."))
    steps = training.steps[-1].step if training.steps else 0
    if not steps:
        return found
    count = f"all {steps:,} steps" if steps > 1 else "the step"
    if training.agreed == steps:
        found.append(text(f"backward() agreed with the chain rule at {count}."))
    elif training.agreed == training.checked:
        why = "there are many rows" if training.data and training.data.batch_size > MANY else "too many were in doubt"
        found.append(text(f"backward() agreed with the chain rule at all {training.checked:,} steps that were compared "
                          f"({steps - training.checked:,} were not: {why})."))  # fmt: skip
    else:
        found.append(text(f"backward() agreed with the chain rule at {training.agreed:,} of "
                          f"{training.checked:,} steps.", "yellow"))  # fmt: skip
    return found


# What a diagnosis is called where its own words do not say it.
_SHOWN_NAMES = frozenset(("converged", "diverging", "oscillating", "nan"))


def _sentence(name: str, words: str) -> str:
    return f"{name}: {words}." if name in _SHOWN_NAMES else f"{words}."
