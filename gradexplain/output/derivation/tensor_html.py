"""A derivation on tensors as a page of its own: shapes, blocks of numbers, the graph, Jacobians and the Hessian."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape

from gradexplain.language.parse import parse
from gradexplain.output.derivation.html import gradient, verdicts
from gradexplain.output.derivation.lines import Line, given_shapes, layout, lines_of, sections
from gradexplain.output.graph import svg
from gradexplain.output.numbers import block, block_pair, show, sizes
from gradexplain.output.page.pages import asset, box, code, document, rows, statement_lines, table
from gradexplain.records import Derivation

STILL = "The page shows the numbers of one point: sliders that recompute them are for formulas of single numbers."
HEADINGS = ("partial", "shape", "chain rule", "rule", "vector-Jacobian product", "value", "autograd", "verdict")
NUMBERS = frozenset(("value", "autograd"))


def render(derivation: Derivation) -> str:
    """The page."""
    parts = [
        *_formula(derivation),
        *_inputs(derivation),
        *gradient(derivation),
        "<h2>Graph</h2>",
        box("Graph", svg.render(derivation, embedded=True)),
        *_forward(derivation),
        *_backward(derivation),
        *_sections(derivation),
        *verdicts(derivation),
    ]
    data = json.dumps({"live": False, "nodes": [], "backward": []})
    return document(derivation.statements, parts, data, asset("rules.js") + asset("page.js"))


def _formula(derivation: Derivation) -> Iterable[str]:
    graph = parse(derivation.source, list(derivation.inputs), given_shapes(derivation))
    yield f"<h1>The gradient of {code(derivation.objective)}</h1>"
    yield from statement_lines(graph, derivation.statements)
    yield f'<p class="soft">Made in {escape(derivation.dtype)}. {STILL}</p>'


def _inputs(derivation: Derivation) -> Iterable[str]:
    inputs = list(derivation.inputs.items())

    def row(k: int) -> str:
        name, entry = inputs[k]
        cells = f"<td>{code(name)}</td><td>{sizes(entry.shape)}</td>{_cell(block(entry.value))}"
        return f'<tr data-of="{escape(name)}">{cells}</tr>'

    yield "<h2>Inputs</h2>"
    yield table("Inputs", ("input", "shape", "value:"), rows(len(inputs), 3, row))


def _forward(derivation: Derivation) -> Iterable[str]:
    nodes = derivation.nodes

    def row(k: int) -> str:
        node = nodes[k]
        cells = f"<td>{code(node.node)}</td><td>{code(node.expression)}</td><td>{sizes(node.shape)}</td>"
        return f'<tr data-of="{escape(node.node)}" tabindex="0">{cells}{_cell(block(node.value), "value")}</tr>'

    yield "<h2>Forward</h2>"
    yield table("Forward", ("node", "is", "shape", "value:"), rows(len(nodes), 4, row))


def _backward(derivation: Derivation) -> Iterable[str]:
    sums, objective = derivation.backward, derivation.objective
    if not sums:
        return
    yield f"<h2>Backward, from {code(f'∂{objective}/∂{objective} = {show(derivation.upstream)}')}</h2>"
    yield f"<p>{escape(layout(derivation))}</p>"
    heads = [f"{heading}:" if heading in NUMBERS else heading for heading in HEADINGS]

    def row(k: int) -> str:
        return "\n".join(_line(sums[k].node, line) for line in lines_of(derivation, sums[k], True))

    yield table("Backward", heads, rows(len(sums), len(HEADINGS), row))


def _line(node: str, line: Line) -> str:
    value, autograd = block_pair(line.value, line.autograd, line.verdict)
    formulas = "".join(
        f"<td>{text}</td>"
        for text in (code(line.partial), line.shape, code(line.chain), escape(line.rule), code(line.local))
    )
    kind = ' class="sum"' if line.partial and not line.local else ""
    cells = f"{formulas}{_cell(value, 'gradient')}{_cell(autograd)}<td>{escape(line.verdict)}</td>"
    return f'<tr{kind} data-of="{escape(node)}">{cells}</tr>'


def _sections(derivation: Derivation) -> Iterable[str]:
    for section in sections(derivation):
        yield f"<h2>{escape(section.title)}</h2>"
        yield f"<p>{escape(section.remark)}</p>"
        lines = []
        for entry in section.entries:
            value, autograd = block_pair(entry.value, entry.autograd, entry.verdict)
            formulas = "<br>".join(code(f"{symbol} = {formula}") for symbol, formula in entry.formulas)
            cells = f"<td>{code(entry.partial)}</td><td>{entry.shape}</td><td>{formulas}</td>"
            lines.append(f"<tr>{cells}{_cell(value)}{_cell(autograd)}<td>{escape(entry.verdict)}</td></tr>")
        yield table(section.title, ("derivative", "shape", "formula", "value:", "autograd:", "verdict"), lines)
        yield from (f"<p>{escape(sentence)}</p>" for sentence in section.sentences)


def _cell(content: str, kind: str = "") -> str:
    """A cell with a number, or with the rows of a tensor."""
    inner = f"<pre>{escape(content)}</pre>" if "\n" in content or "  " in content else escape(content)
    return f'<td class="{f"number {kind}".strip()}">{inner}</td>'
