"""A training run as the table that a person reads: the formulas, the steps with their arithmetic, and how it went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradexplain.errors import columns
from gradexplain.output.cells import VERDICT_STYLES, text
from gradexplain.output.derivation.table import print_parts, terminal_width
from gradexplain.output.formats import PLAIN, Look
from gradexplain.output.grid import filled, styled
from gradexplain.output.numbers import UNLIMITED, show
from gradexplain.output.training import curve
from gradexplain.output.training.batches import explain_batches
from gradexplain.output.training.comparison import compare
from gradexplain.output.training.steps import step_lines
from gradexplain.output.training.updates import rule, single_rules, title
from gradexplain.output.training.words import after, conclusion, ends, final, over, setting
from gradexplain.training_records import Training

if TYPE_CHECKING:
    from rich.console import RenderableType

# A statement or a formula and what stands beside it.
INDENT, BESIDE = 1, 52


def write(training: Training, look: Look = PLAIN, plain_curve: bool = False) -> str:
    """The whole table as text, in the width and colours of the place where it goes.

    Without a width it is that of the terminal, or no limit in a pipe. Of many steps some are shown, unless `look.every`
    one of the record is wanted. `plain_curve` keeps to ASCII for the curve alone.
    """
    width = terminal_width() if look.width is None else look.width
    inner = width - INDENT
    lines = step_lines(training, inner, look.every, look.ascii_only)
    parts: list[RenderableType] = [*_header(training, inner), text("")]
    parts += [styled(line, verdict, VERDICT_STYLES.get(verdict, "bold red")) for line, verdict in lines]
    parts += [text(line) for line in explain_batches(training, inner)]
    parts += [text(line) for line in compare(training, inner)]
    end = [final(training)]
    if training.tensors is not None:
        values = [f"{name} = {show(value)}" for name, value in ends(training)]
        end = filled([*values, f"({after(training)})"], "   ", inner)
    parts += [text(""), *[text(line, "bold") for line in end]]
    if len(training.curve) > 2:
        drawn = curve.draw(training, min(inner, 80), 8, look.ascii_only or plain_curve)
        parts += [text(""), *map(text, drawn)]
    parts += [text(""), *_conclusion(training)]
    return print_parts(parts, width, look.color)


def preload() -> None:
    """Import now what `write` needs."""
    print_parts([text("")], UNLIMITED, color=False)


def _header(training: Training, width: int) -> list[RenderableType]:
    """The formula with the settings beside it, then each partial in symbols with the rule by which it is used."""
    values = ", ".join(f"{name} = {show(value)}" for name, value in training.inputs.items())
    settings = title(training.optimizer) + (f";  {values}" if values else "")
    if training.arithmetic != "float64":
        settings += f"   {training.arithmetic}"
    statements = list(training.statements)
    lines = [*statements[:-1], *_beside([(statements[-1], settings)], width)]
    lines += setting(training)
    return [text(line) for line in [*lines, "", *_formulas(training, width)]]


def _formulas(training: Training, width: int) -> list[str]:
    partials = {
        name: f"{entry.partial} = {over(training)}{entry.symbolic or '… (too long to write out)'}"
        for name, entry in training.gradient.items()
    }
    if updates := single_rules(training):
        return _beside([(line, updates[name]) for name, line in partials.items()], width)
    several = rule(training.optimizer, "p", "g")
    counted = ", and t the number of the step" if any("**t" in line for line in several) else ""
    return [*partials.values(), "", f"step() for each parameter p, with g = p.grad{counted}:",
            *[f"  {line}" for line in several]]  # fmt: skip


def _beside(pairs: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Lines with a second column, or below each other where that does not fit."""
    start = max(BESIDE, max(columns(left) for left, _ in pairs) + 4) if pairs else 0
    if all(start + columns(right) <= width for _, right in pairs):
        return [f"{left}{' ' * (start - columns(left))}{right}".rstrip() for left, right in pairs]
    return [line for left, right in pairs for line in (left, f"  {right}")]


def _conclusion(training: Training) -> list[RenderableType]:
    return [text(line, "yellow" if doubt else "") for line, doubt in conclusion(training)]
