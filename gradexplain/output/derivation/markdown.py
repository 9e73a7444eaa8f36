"""A derivation as Markdown: tables as GitHub and GitLab show them, formulas in code spans, all else escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from gradexplain.output.cells import KEPT_ROWS, elided, more
from gradexplain.output.derivation import lines
from gradexplain.output.derivation.lines import Column, Entry, Line
from gradexplain.output.formats import Look
from gradexplain.output.numbers import block_pair, show, show_pair, sizes
from gradexplain.output.words import conclusion
from gradexplain.records import Derivation

# What has a meaning in a line of Markdown, the beginnings of links among it.
_SPECIAL = re.compile(r"[\\`*_\[\]<>#$|~&@]|:(?=//)|(?<=www)\.", re.IGNORECASE)

# The columns of Jacobians and of a Hessian.
COMPARED = ("derivative", "shape", "formula", "verdict")


def escaped(text: str) -> str:
    r"""Text with everything escaped that would be markup.

    >>> print(escaped("y_pred is <b>, 5|6"))
    y\_pred is \<b\>, 5\|6
    """
    return _SPECIAL.sub(lambda found: f"\\{found.group()}", " ".join(text.split()))


def code(text: str) -> str:
    """A formula or a name as a code span, which shows every character as it is; empty for an empty one.

    >>> print(code("x*y"), code("a`b"))
    `x*y` ``a`b``
    """
    line = " ".join(text.split("\n"))
    if not line.strip():
        return ""
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    space = " " * (line[0] in "` " or line[-1] in "` ")
    return f"{fence}{space}{line}{space}{fence}"


def code_cell(text: str) -> str:
    r"""The same for a table, where a bar would end the cell even in a code span; lines stay lines.

    >>> print(code_cell("x|y\nz"))
    `x\|y`<br>`z`
    """
    return "<br>".join(code(line) for line in text.split("\n")).replace("|", r"\|")


def table(headings: Sequence[str], alignment: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """A table: headings and cells are Markdown, `alignment` has an l or r for each column.

    >>> table(("a", "b"), "lr", [("`x`", "1")])
    ['| a | b |', '| :-- | --: |', '| `x` | 1 |']
    """
    rule = [{"l": ":--", "r": "--:"}[letter] for letter in alignment]
    return [f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows)]


def with_gap(count: int, row: Callable[[int], Sequence[Sequence[str]]], columns: int) -> list[Sequence[str]]:
    """The rows of `count` things; of very many those at both ends, and one in between that says so."""
    first, last = elided(count)
    gap = [("…", more(count - 2 * KEPT_ROWS), *[""] * (columns - 2))] if last else []
    return [*[cells for i in first for cells in row(i)], *gap, *[cells for i in last for cells in row(i)]]


def items(sentences: Sequence[str]) -> list[str]:
    """Sentences as the items of a list, with an empty line before; nothing without any."""
    return ["", *[f"- {escaped(sentence)}" for sentence in sentences]] if sentences else []


def write(derivation: Derivation, look: Look) -> str:
    """The formula, the point, both passes, the gradient, Jacobians or the Hessian, the verdict and the notes."""
    point = ", ".join(map(code, lines.point(derivation)))
    doubts, sentences = conclusion(derivation)
    written = [
        *statements(derivation.statements), "", (f"at {point}, " if point else "") + derivation.arithmetic, "",
        *_inputs(derivation), "### Forward", "", *_forward(derivation), "", *_backward(derivation),
        "### Gradient", "", *gradient(derivation), *_sections(derivation),
        *items([*doubts, *sentences, *derivation.notes]),
    ]  # fmt: skip
    return "\n".join(written) + "\n"


def statements(formula: Sequence[str]) -> list[str]:
    """The statements of a formula, a line each."""
    shown = list(formula)
    first, last = elided(len(shown))
    lines = [code(shown[i]) for i in first]
    if last:
        lines += [more(len(shown) - 2 * KEPT_ROWS), *[code(shown[i]) for i in last]]
    # Two spaces would do as well, but many editors remove them.
    return [f"{line}\\" for line in lines[:-1]] + lines[-1:]


def _inputs(derivation: Derivation) -> list[str]:
    entries = lines.tensor_inputs(derivation)
    if not entries:
        return []
    rows = [(code_cell(name), sizes(entry.shape), show(entry.value)) for name, entry in entries]
    return ["### Inputs", "", *table(("input", "shape", "value"), "llr", rows), ""]


def _forward(derivation: Derivation) -> list[str]:
    nodes = derivation.nodes
    shapes = any(node.shape for node in nodes)
    differs = any(show(row.value) != show(row.autograd) for row in nodes if row.autograd is not None)

    def row(i: int) -> list[Sequence[str]]:
        node = nodes[i]
        formulas = [code_cell(node.node), code_cell(node.expression), *[sizes(node.shape)] * shapes]
        return [[*formulas, show(node.value), *[show(node.autograd)] * differs]]

    heads = ["node", "is", *["shape"] * shapes, "value", *["PyTorch has"] * differs]
    return table(heads, "ll" + "l" * shapes + "r" + "r" * differs, with_gap(len(nodes), row, len(heads)))


def _backward(derivation: Derivation) -> list[str]:
    found = lines.backward(derivation)
    if found is None:
        return []
    alignment = "".join("r" if column.is_number else "l" for column in found.columns)
    rows = [_cells(line, found.columns) for line in found.lines]
    legend = [escaped(found.legend), ""] * bool(found.legend)
    heads = [column.heading for column in found.columns]
    return [f"### Backward, from {code(found.start)}", "", *legend, *table(heads, alignment, rows), ""]


def _cells(line: Line, columns: Sequence[Column]) -> Sequence[str]:
    """The cells of a line of the backward pass; what stands for lines that are left out is no formula."""
    value, autograd = show_pair(line.value, line.autograd, line.verdict)
    cells = {**line._asdict(), "value": value, "autograd": autograd}
    words = ("partial", "chain") if not line.chain.startswith("∂") and not line.verdict else ()
    for name in ("partial", "chain", "local", "numbers"):
        cells[name] = cells[name] if name in words else code_cell(cells[name])
    return [cells[column.field] for column in columns]


def gradient(derivation: Derivation) -> list[str]:
    """The table of the gradients, from the chain to the number."""
    entries = list(derivation.gradient.values())

    def row(i: int) -> list[Sequence[str]]:
        entry = entries[i]
        product = " · ".join(entry.factors)
        chain = entry.chain if product in ("", entry.symbolic) else f"{entry.chain}\n= {product}"
        form = "\n= ".join(part for part in (entry.symbolic, entry.filled) if part)
        return [(code_cell(entry.partial), code_cell(chain), code_cell(form), show(entry.value) or "?")]

    rows = with_gap(len(entries), row, 4)
    return table(("partial", "chain", "closed form", "value"), "lllr", rows)


def _sections(derivation: Derivation) -> list[str]:
    found = []
    for section in lines.sections(derivation):
        rows = []
        for entry in section.entries:
            formulas = "\n".join(f"{symbol} = {formula}" for symbol, formula in entry.formulas)
            rows.append((code_cell(entry.partial), entry.shape, code_cell(formulas), entry.verdict))
        found += ["", f"### {section.title}", "", escaped(section.remark), "", *table(COMPARED, "llll", rows)]
        found += [line for entry in section.entries for line in _numbers(entry)]
        found += [line for sentence in section.sentences for line in ("", escaped(sentence))]
    return found


def _numbers(entry: Entry) -> list[str]:
    """The numbers of a Jacobian or a Hessian in rows, and autograd's where they are others."""
    value, autograd = block_pair(entry.value, entry.autograd, entry.verdict)
    if not value:
        return []
    found = ["", f"{code(entry.partial)}:", "", "```text", *value.split("\n"), "```"]
    return found if value == autograd else [*found, "", "autograd has:", "", "```text", *autograd.split("\n"), "```"]
