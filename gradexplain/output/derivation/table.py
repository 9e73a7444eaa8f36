"""A derivation as the table that a person reads, in a terminal of any width or in a pipe."""

from __future__ import annotations

import io
import shutil
import sys
from typing import TYPE_CHECKING

from gradexplain.errors import columns
from gradexplain.output.cells import KEPT_ROWS, MAX_ROWS, elided, more, table, text
from gradexplain.output.derivation import passes
from gradexplain.output.derivation.lines import point
from gradexplain.output.formats import PLAIN, Look
from gradexplain.output.numbers import UNLIMITED
from gradexplain.output.words import conclusion, steps
from gradexplain.records import Derivation

if TYPE_CHECKING:
    from rich.console import RenderableType

LONGEST_HALF = 1_000


def write(derivation: Derivation, look: Look = PLAIN) -> str:
    """The whole table as text, in the width and colours of the place where it goes; words say what colour says.

    Without a width it is that of the terminal, or no limit in a pipe.
    """
    width = terminal_width() if look.width is None else look.width
    parts: list[RenderableType] = [
        *_header(derivation, width),
        *passes.inputs(derivation, width),
        *passes.forward(derivation, width),
        *passes.backward_pass(derivation, width),
        *_gradient(derivation, width),
        *passes.matrices(derivation, width),
        *_conclusion(derivation),
    ]
    return print_parts(parts, width, look.color)


def preload() -> None:
    """Import now what `write` needs."""
    print_parts([table(("", "left"))], UNLIMITED, color=False)


def terminal_width() -> int:
    """The columns of the terminal on standard output, or no limit in a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout and sys.stdout.isatty() else UNLIMITED


def print_parts(parts: list[RenderableType], width: int, color: bool) -> str:
    """What rich makes of the parts, one below the other, indented by one column; lines do not end with spaces."""
    from rich.console import Console
    from rich.padding import Padding

    stream = io.StringIO()
    console = Console(
        file=stream, width=width, height=100, force_terminal=color, color_system="standard" if color else None,
        legacy_windows=False, markup=False, emoji=False, highlight=False, no_color=not color,
    )  # fmt: skip
    for part in parts:
        console.print(Padding(part, (0, 0, 0, 1)), soft_wrap=False, overflow="fold")
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _header(derivation: Derivation, width: int) -> list[RenderableType]:
    values = ", ".join(point(derivation))
    where = (f"at {values}   " if values else "") + derivation.arithmetic
    statements = list(derivation.statements)
    if len(statements) > MAX_ROWS:
        statements = [*statements[:KEPT_ROWS], more(len(statements) - 2 * KEPT_ROWS), *statements[-KEPT_ROWS:]]
    statements = [_shortened(statement) for statement in statements]
    if len(statements) == 1:
        gap = max(4, min(44, width - 4) - columns(statements[0]))
        if columns(statements[0]) + gap + columns(where) < width:
            return [text(statements[0] + " " * gap + where), text("")]
    return [*map(text, statements), text(where, "dim"), text("")]


def _shortened(statement: str) -> str:
    """A statement of very many characters with its middle left out."""
    left_out = len(statement) - 2 * LONGEST_HALF
    if left_out <= 0:
        return statement
    return f"{statement[:LONGEST_HALF]} {more(left_out).replace('more', 'more characters')} {statement[-LONGEST_HALF:]}"


def _gradient(derivation: Derivation, width: int) -> list[RenderableType]:
    entries = list(derivation.gradient.values())
    first, last = elided(len(entries))
    shown = [entries[i] for i in (*first, *last)]
    lines = [steps(entry) for entry in shown]
    count = max(len(line) for line in lines)
    widths = [max(columns(line[k]) if k < len(line) else 0 for line in lines) for k in range(count)]
    parts: list[RenderableType] = [text("Gradient", "bold")]
    if sum(widths) + 3 * count + 2 <= width:
        grid = table(*[("", "left")] * (2 * count), head=False)
        grid.padding = (0, 1, 0, 0)
        for line in lines:
            # The last step is the number, in a column of its own.
            padded = [*line[:-1], *[""] * (count - len(line)), line[-1]]
            cells = [padded[0]]
            for step in padded[1:]:
                cells += ["=" if step else "", step]
            grid.add_row(*map(text, cells))
        parts.append(grid)
    else:
        for line in lines:
            grid = table(("", "left"), ("", "left"), head=False)
            grid.padding = (0, 1, 0, 0)
            for k, step in enumerate(line[1:]):
                grid.add_row(text(line[0] if k == 0 else ""), text(f"= {step}"))
            parts.append(grid)
    if last:
        parts.append(text(more(len(entries) - len(shown))))
    return [*parts, text("")]


def _conclusion(derivation: Derivation) -> list[RenderableType]:
    doubts, sentences = conclusion(derivation)
    return [*[text(line, "yellow") for line in doubts], *map(text, sentences)]
