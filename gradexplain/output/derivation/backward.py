"""The backward pass as a table: each contribution, the sums, and what the witnesses say, in any width."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gradexplain.errors import columns
from gradexplain.output.cells import KEPT_ROWS, elided, more, table, text, verdict_cell
from gradexplain.output.numbers import show, show_pair
from gradexplain.records import BackwardRow, Contribution, Derivation

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

MAX_CONTRIBUTIONS = 30
Row = tuple[str, str, str, str, str, str, str, str]
HEADINGS = ("partial", "chain rule", "local derivative", "", "numbers", "exact", "autograd", "verdict")
WITNESSES = ("", "", "", "", "", "(50 digits)", "(PyTorch)", "")
RIGHT = frozenset((4, 5, 6))


def backward(derivation: Derivation, width: int) -> list[RenderableType]:
    """The backward pass in the widest of three layouts that fits: all columns, three of them in one, or stacked."""
    objective, rows = derivation.objective, derivation.backward
    if not rows:
        return []
    first, last = elided(len(rows))
    lines: list[Row] = [line for i in first for line in contribution_lines(derivation, rows[i])]
    if last:
        lines.append(("…", more(len(rows) - 2 * KEPT_ROWS), "", "", "", "", "", ""))
        lines += [line for i in last for line in contribution_lines(derivation, rows[i])]
    title = text(f"Backward, from ∂{objective}/∂{objective} = {show(derivation.upstream)}", "bold")
    everything = [HEADINGS, WITNESSES, *lines]
    needs = [max(columns(line[k]) for line in everything) for k in range(len(HEADINGS))]
    how = max(max(map(columns, _how(line).split("\n"))) for line in lines)
    if sum(needs) + 2 * len(needs) <= width:
        grid = _with_headings(range(len(HEADINGS)))
        for line in lines:
            grid.add_row(*map(text, line[:-1]), verdict_cell(line[-1]))
        return [title, grid, text("")]
    if needs[0] + how + sum(needs[5:]) + 10 <= width:
        grid = _with_headings((0, 1, 5, 6, 7))
        for line in lines:
            grid.add_row(text(line[0]), text(_how(line)), *map(text, line[5:-1]), verdict_cell(line[-1]))
        return [title, grid, text("")]
    return [title, *_stacked(lines), text("")]


def _with_headings(shown: Iterable[int]) -> Table:
    headings = [(f"{HEADINGS[k]}\n{WITNESSES[k]}".strip("\n"), "right" if k in RIGHT else "left") for k in shown]
    return table(*headings)


def _how(line: Row) -> str:
    """The chain rule, the rule with its local derivative, and the numbers, below each other."""
    rule = f"{line[2]}: {line[3]}" if line[3] else line[2]
    return "\n".join(part for part in (line[1], rule, line[4]) if part)


def _stacked(lines: list[Row]) -> list[RenderableType]:
    from rich.padding import Padding

    legend = "partial, chain rule, numbers, exact (50 digits), autograd (PyTorch), verdict"
    parts: list[RenderableType] = [text(legend, "dim")]
    for line in lines:
        if line[0]:
            parts.append(text(line[0], "bold"))
        parts.append(Padding(text(_how(line)), (0, 0, 0, 2)))
        if line[0] and line[-1]:
            result = text(f"  exact {line[5] or '?'}, autograd {line[6] or '?'}, ")
            result.append_text(verdict_cell(line[-1]))
            parts.append(result)
        elif line[5]:
            parts.append(text(f"  = {line[5]}"))
    return parts


def contribution_lines(derivation: Derivation, row: BackwardRow) -> list[Row]:
    """One line for a single contribution, else one for each and one for their sum."""
    exact, autograd = show_pair(row.value, row.autograd, row.verdict)
    lines: list[Row] = []
    for contribution in row.contributions[:MAX_CONTRIBUTIONS]:
        chain = f"∂{derivation.objective}/∂{contribution.through} · ∂{contribution.through}/∂{row.node}"
        numbers = _product(derivation, contribution)
        lines.append(("", chain, contribution.title, contribution.local, numbers, show(contribution.value), "", ""))
    count = len(row.contributions)
    if count == 1:
        return [(row.partial, *lines[0][1:5], exact, autograd, row.verdict)]
    if count > MAX_CONTRIBUTIONS:
        lines.append(("", more(count - MAX_CONTRIBUTIONS), "", "", "", "", "", ""))
    terms = _sum([show(contribution.value) or "?" for contribution in row.contributions])
    return [*lines, (row.partial, "", f"sum of {count}", "", terms, exact, autograd, row.verdict)]


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
