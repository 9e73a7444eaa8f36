"""A derivation on tensors as Markdown: shapes and small tensors in full, as nested lists."""

from __future__ import annotations

from collections.abc import Sequence

from gradexplain.output.derivation.markdown import (
    code,
    code_cell,
    escaped,
    gradient,
    items,
    statements,
    table,
    with_gap,
)
from gradexplain.output.derivation.tensor_lines import HEADINGS, Entry, layout, lines_of, sections
from gradexplain.output.numbers import block_pair, show, show_pair, sizes
from gradexplain.output.words import conclusion
from gradexplain.records import Derivation

COMPARED = ("derivative", "shape", "formula", "verdict")


def render(derivation: Derivation) -> str:
    """The formula, the inputs, both passes, the gradient, Jacobians or the Hessian, the verdict and the notes."""
    doubts, sentences = conclusion(derivation)
    lines = [
        *statements(derivation.statements), "", derivation.dtype, "", "### Inputs", "", *_inputs(derivation), "",
        "### Forward", "", *_forward(derivation), "", *_backward(derivation), "### Gradient", "", *gradient(derivation),
        *_sections(derivation), *items([*doubts, *sentences, *derivation.notes]),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _inputs(derivation: Derivation) -> list[str]:
    rows = [(code_cell(name), sizes(entry.shape), show(entry.value)) for name, entry in derivation.inputs.items()]
    return table(("input", "shape", "value"), "llr", rows)


def _forward(derivation: Derivation) -> list[str]:
    nodes = derivation.nodes

    def row(i: int) -> list[Sequence[str]]:
        node = nodes[i]
        return [(code_cell(node.node), code_cell(node.expression), sizes(node.shape), show(node.value))]

    return table(("node", "is", "shape", "value"), "lllr", with_gap(len(nodes), row, 4))


def _backward(derivation: Derivation) -> list[str]:
    if not derivation.backward:
        return []

    def row(i: int) -> list[Sequence[str]]:
        found: list[Sequence[str]] = []
        for line in lines_of(derivation, derivation.backward[i]):
            numbers = show_pair(line.value, line.autograd, line.verdict)
            formulas = (code_cell(line.partial), line.shape, code_cell(line.chain), line.rule, code_cell(line.product))
            found.append((*formulas, *numbers, line.verdict))
        return found

    seed = f"∂{derivation.objective}/∂{derivation.objective} = {show(derivation.upstream)}"
    rows = with_gap(len(derivation.backward), row, len(HEADINGS))
    return [
        f"### Backward, from {code(seed)}",
        "",
        escaped(layout(derivation)),
        "",
        *table(HEADINGS, "lllllrrl", rows),
        "",
    ]


def _sections(derivation: Derivation) -> list[str]:
    found = []
    for section in sections(derivation):
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
