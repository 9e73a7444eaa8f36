"""A derivation as Markdown: tables as GitHub and GitLab show them, formulas in code spans, all else escaped."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from gradexplain.output.cells import KEPT_ROWS, elided, more
from gradexplain.output.derivation.backward import contribution_lines
from gradexplain.output.formats import Look
from gradexplain.output.numbers import show
from gradexplain.output.words import conclusion
from gradexplain.records import Derivation

# What has a meaning in a line of Markdown, the beginnings of links among it.
_SPECIAL = re.compile(r"[\\`*_\[\]<>#$|~&@]|:(?=//)|(?<=www)\.", re.IGNORECASE)


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
    """The formula, the point, both passes, the gradient, the verdict and the notes."""
    point = ", ".join(code(f"{name} = {value}") for name, value in derivation.point.items())
    if derivation.has_tensors:
        from gradexplain.output.derivation import tensor_markdown

        return tensor_markdown.render(derivation)
    doubts, sentences = conclusion(derivation)
    lines = [
        *statements(derivation.statements), "", (f"at {point}, " if point else "") + derivation.dtype, "",
        "### Forward", "", *_forward(derivation), "", *_backward(derivation), "### Gradient", "",
        *gradient(derivation), *items([*doubts, *sentences, *derivation.notes]),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def statements(formula: Sequence[str]) -> list[str]:
    """The statements of a formula, a line each."""
    shown = list(formula)
    first, last = elided(len(shown))
    lines = [code(shown[i]) for i in first]
    if last:
        lines += [more(len(shown) - 2 * KEPT_ROWS), *[code(shown[i]) for i in last]]
    # Two spaces would do as well, but many editors remove them.
    return [f"{line}\\" for line in lines[:-1]] + lines[-1:]


def _forward(derivation: Derivation) -> list[str]:
    nodes = derivation.nodes
    differs = any(show(row.value) != show(row.autograd) for row in nodes if row.autograd is not None)
    width = 3 + differs

    def row(i: int) -> list[Sequence[str]]:
        node = nodes[i]
        cells = (code_cell(node.node), code_cell(node.expression), show(node.value), show(node.autograd))
        return [cells[:width]]

    heads = ("node", "is", "value", "PyTorch has")
    return table(heads[:width], "llrr"[:width], with_gap(len(nodes), row, width))


def _backward(derivation: Derivation) -> list[str]:
    if not derivation.backward:
        return []

    def row(i: int) -> list[Sequence[str]]:
        lines = contribution_lines(derivation, derivation.backward[i])
        return [
            (
                code_cell(partial),
                code_cell(chain),
                title,
                code_cell(local),
                code_cell(numbers),
                exact,
                autograd,
                verdict,
            )
            for partial, chain, title, local, numbers, exact, autograd, verdict in lines
        ]

    seed = f"∂{derivation.objective}/∂{derivation.objective} = {show(derivation.upstream)}"
    heads = ("partial", "chain rule", "rule", "local derivative", "numbers", "exact", "autograd", "verdict")
    rows = with_gap(len(derivation.backward), row, len(heads))
    return [f"### Backward, from {code(seed)}", "", *table(heads, "lllllrrl", rows), ""]


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
