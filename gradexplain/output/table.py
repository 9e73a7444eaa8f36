"""A derivation as the table that a person reads, in a terminal of any width or in a pipe."""

from __future__ import annotations

import io
import shutil
import sys
from typing import TYPE_CHECKING

from gradexplain.output.numbers import show, show_pair
from gradexplain.records import BackwardRow, Contribution, Derivation, Gradient

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

# As wide as anything can get: in a pipe nothing is folded or cut.
UNLIMITED = 100_000
# Below this the columns of the backward table do not fit beside each other.
WIDE = 96
MAX_ROWS = 200
KEPT_ROWS = 20
MAX_CONTRIBUTIONS = 30
LONGEST_HALF = 1_000
VERDICT_STYLES = {"agrees": "green", "unverified": "dim", "convention": "yellow", "undefined": "yellow"}


def render(derivation: Derivation, width: int | None = None, color: bool = False) -> str:
    """The whole table as text. `width` is in columns; without it, that of the terminal, or no limit in a pipe.

    With `color` the text has ANSI escape sequences; what colour says is also said in words.
    """
    if width is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED
    parts: list[RenderableType] = [
        *_header(derivation, width),
        *_forward(derivation, width),
        *_backward(derivation, width),
        *_gradient(derivation, width),
        *_conclusion(derivation),
    ]
    return _print(parts, width, color)


def preload() -> None:
    """Import now what `render` needs."""
    _print([_table(("", "left"))], UNLIMITED, color=False)


def _print(parts: list[RenderableType], width: int, color: bool) -> str:
    from rich.console import Console
    from rich.padding import Padding

    stream = io.StringIO()
    console = Console(
        file=stream, width=width, force_terminal=color, color_system="standard" if color else None,
        legacy_windows=False, markup=False, emoji=False, highlight=False, no_color=not color,
    )  # fmt: skip
    for part in parts:
        console.print(Padding(part, (0, 0, 0, 1)), soft_wrap=False, overflow="fold")
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _text(content: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(content, style=style, overflow="fold")


def _table(*columns: tuple[str, str], head: bool = True) -> Table:
    """A table without lines; each column has a heading and an alignment."""
    from rich.table import Table

    table = Table(box=None, show_header=head, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading, justify in columns:
        table.add_column(_text(heading), justify=justify, overflow="fold", no_wrap=False)  # type: ignore[arg-type]
    return table


def _header(derivation: Derivation, width: int) -> list[RenderableType]:
    point = ", ".join(f"{name} = {value}" for name, value in derivation.point.items())
    where = (f"at {point}   " if point else "") + derivation.dtype
    statements = list(derivation.statements)
    if len(statements) > MAX_ROWS:
        statements = [*statements[:KEPT_ROWS], _more(len(statements) - 2 * KEPT_ROWS), *statements[-KEPT_ROWS:]]
    statements = [_shortened(statement) for statement in statements]
    longest = max(map(len, statements))
    if len(statements) == 1 and longest + len(where) + 6 < width:
        gap = max(4, min(44, width - 4) - longest)
        return [_text(statements[0] + " " * gap + where), _text("")]
    return [*map(_text, statements), _text(where, "dim"), _text("")]


def _shortened(statement: str) -> str:
    """A statement of very many characters with its middle left out."""
    left_out = len(statement) - 2 * LONGEST_HALF
    if left_out <= 0:
        return statement
    return (
        f"{statement[:LONGEST_HALF]} {_more(left_out).replace('more', 'more characters')} {statement[-LONGEST_HALF:]}"
    )


def _more(count: int) -> str:
    return f"… {count:,} more (--format json has all of them)"


def _elided(count: int) -> tuple[range, range]:
    """Which of `count` rows to show: all, or the first and the last of very many."""
    if count <= MAX_ROWS:
        return range(count), range(0)
    return range(KEPT_ROWS), range(count - KEPT_ROWS, count)


def _forward(derivation: Derivation, width: int) -> list[RenderableType]:
    rows = derivation.nodes
    differs = any(show(row.value) != show(row.autograd) for row in rows if row.autograd is not None)
    columns = [("node", "left"), ("is", "left"), ("value", "right")] + [("PyTorch has", "right")] * differs
    table = _table(*columns)
    first, last = _elided(len(rows))
    for i in [*first, None, *last] if last else first:
        if i is None:
            table.add_row(_text("…"), _text(_more(len(rows) - 2 * KEPT_ROWS)))
            continue
        row = rows[i]
        cells = [row.node, row.expression, show(row.value)]
        if differs:
            cells = [row.node, row.expression, show(row.value), show(row.autograd)]
        table.add_row(*map(_text, cells))
    return [_text("Forward", "bold"), table, _text("")]


def _backward(derivation: Derivation, width: int) -> list[RenderableType]:
    objective = derivation.objective
    title = f"Backward, from ∂{objective}/∂{objective} = {show(derivation.upstream)}"
    rows = derivation.backward
    if not rows:
        return []
    wide = width >= WIDE
    how = [("chain rule", "left"), ("local derivative", "left"), ("", "left"), ("numbers", "right")]
    numbers = [("exact\n(50 digits)", "right"), ("autograd\n(PyTorch)", "right"), ("verdict", "left")]
    table = _table(("partial", "left"), *(how if wide else [("chain rule", "left")]), *numbers)
    first, last = _elided(len(rows))
    for i in [*first, None, *last] if last else first:
        if i is None:
            table.add_row(_text("…"), _text(_more(len(rows) - 2 * KEPT_ROWS)))
        else:
            _add_backward(table, derivation, rows[i], wide)
    return [_text(title, "bold"), table, _text("")]


def _add_backward(table: Table, derivation: Derivation, row: BackwardRow, wide: bool) -> None:
    exact, autograd = show_pair(row.value, row.autograd, row.verdict)
    result = [_text(exact), _text(autograd), _verdict(row.verdict)]
    single = len(row.contributions) == 1
    shown = row.contributions
    left_out = len(shown) - MAX_CONTRIBUTIONS
    if left_out > 0:
        shown = shown[:MAX_CONTRIBUTIONS]
    for contribution in shown:
        chain = f"∂{derivation.objective}/∂{contribution.through} · ∂{contribution.through}/∂{row.node}"
        numbers = _product(derivation, contribution)
        how = [chain, contribution.title, contribution.local, numbers]
        cells = how if wide else [f"{chain}\n{contribution.title}: {contribution.local}\n{numbers}"]
        if single:
            table.add_row(_text(row.partial), *map(_text, cells), *result)
        else:
            table.add_row(_text(""), *map(_text, cells), _text(show(contribution.value)))
    if left_out > 0:
        table.add_row(_text(""), _text(_more(left_out)))
    if not single:
        terms = _sum([show(contribution.value) or "?" for contribution in row.contributions])
        count = len(row.contributions)
        cells = ["", f"sum of {count}", "", terms] if wide else [f"sum of {count}: {terms}"]
        table.add_row(_text(row.partial), *map(_text, cells), *result)


def _product(derivation: Derivation, contribution: Contribution) -> str:
    """Upstream gradient times local derivative in numbers, with the symbol for what is not known."""
    if contribution.upstream is None and contribution.local_value is None:
        return ""
    upstream = show(contribution.upstream) or f"∂{derivation.objective}/∂{contribution.through}"
    return f"{upstream} · {show(contribution.local_value) or contribution.local}"


def _sum(terms: list[str]) -> str:
    """Numbers added up, as one would write it.

    >>> _sum(["4", "-1"])
    '4 - 1'
    """
    if len(terms) > 6:
        terms = [*terms[:5], f"… ({len(terms) - 5:,} more)"]
    return terms[0] + "".join(f" - {term[1:]}" if term.startswith("-") else f" + {term}" for term in terms[1:])


def _verdict(verdict: str) -> Text:
    return _text(verdict, VERDICT_STYLES.get(verdict, "bold red"))


def _gradient(derivation: Derivation, width: int) -> list[RenderableType]:
    entries = list(derivation.gradient.values())
    first, last = _elided(len(entries))
    shown = [entries[i] for i in (*first, *last)]
    lines = [_steps(entry) for entry in shown]
    count = max(len(line) for line in lines)
    widths = [max(len(line[k]) if k < len(line) else 0 for line in lines) for k in range(count)]
    parts: list[RenderableType] = [_text("Gradient", "bold")]
    if sum(widths) + 3 * count + 2 <= width:
        table = _table(*[("", "left")] * (2 * count), head=False)
        table.padding = (0, 1, 0, 0)
        for line in lines:
            # The last step is the number, in a column of its own.
            steps = [*line[:-1], *[""] * (count - len(line)), line[-1]]
            cells = [steps[0]]
            for step in steps[1:]:
                cells += ["=" if step else "", step]
            table.add_row(*map(_text, cells))
        parts.append(table)
    else:
        for line in lines:
            table = _table(("", "left"), ("", "left"), head=False)
            table.padding = (0, 1, 0, 0)
            for k, step in enumerate(line[1:]):
                table.add_row(_text(line[0] if k == 0 else ""), _text(f"= {step}"))
            parts.append(table)
    if last:
        parts.append(_text(_more(len(entries) - len(shown))))
    return [*parts, _text("")]


def _steps(entry: Gradient) -> list[str]:
    """The partial, its chain, the factors, the closed form, and the number (or what is left of the closed form)."""
    steps = [entry.partial]
    if entry.chain != entry.partial:
        steps.append(entry.chain)
    product = " · ".join(entry.factors)
    if product and product != entry.symbolic:
        steps.append(product)
    if entry.symbolic is not None:
        steps.append(entry.symbolic)
    result = show(entry.value) or (entry.filled or "")
    if result != steps[-1] or entry.symbolic is None:
        steps.append(result or "?")
    return steps if len(steps) > 1 else [*steps, result or "?"]


def origins(derivation: Derivation) -> list[str]:
    """For each gradient with a questionable verdict, where that began and why; conventions have notes of their own."""
    return [
        f"{entry.partial}: {entry.verdict}, it began at {entry.began.node}: {entry.began.reason}"
        for entry in derivation.gradient.values()
        if entry.began is not None and entry.verdict != "convention"
    ]


def _conclusion(derivation: Derivation) -> list[RenderableType]:
    entries = derivation.gradient.values()
    parts: list[RenderableType] = []
    parts += [_text(line, "yellow") for line in origins(derivation)]
    if len(parts) > KEPT_ROWS:
        parts = [*parts[:KEPT_ROWS], _text(_more(len(parts) - KEPT_ROWS))]
    if derivation.verdict == "unverified":
        return parts
    count, total = sum(entry.verdict == "agrees" for entry in entries), len(entries)
    inputs = "input" if total == 1 else "inputs"
    if count == total:
        which = "the input" if total == 1 else f"all {total:,} inputs"
        parts.append(_text(f"PyTorch's .grad agrees with the chain rule at {which}."))
        if all(isinstance(entry.sympy, float) and entry.sympy == entry.sympy for entry in entries):
            parts.append(_text("SymPy's derivative of the whole formula has the same value."))
    else:
        parts.append(_text(f"PyTorch's .grad agrees with the chain rule at {count:,} of {total:,} {inputs}."))
    return parts
