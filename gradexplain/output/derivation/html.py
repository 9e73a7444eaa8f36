"""A derivation as a page of its own: what the table has, the graph, and sliders that recompute all of it.

The page needs no network, and its one script is named by its hash: whatever a formula contains, nothing else can run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape

from gradexplain.output.cells import more
from gradexplain.output.derivation.lines import MAX_CONTRIBUTIONS
from gradexplain.output.derivation.live import MAX_LIVE_NODES, START, Live
from gradexplain.output.derivation.notebook import formula
from gradexplain.output.formats import Look
from gradexplain.output.graph import svg
from gradexplain.output.graph.picture import in_order
from gradexplain.output.numbers import bare, show, show_pair
from gradexplain.output.page.pages import as_ascii, asset, box, code, document, rows, statement_lines, table
from gradexplain.output.words import conclusion
from gradexplain.records import FAILURES, BackwardRow, Derivation, Gradient

MOVED = "The verdicts are those of the point at which this page was made, not of the one that the controls show."
DOUBTFUL = "here floating-point numbers, such as those of this page, are not the exact ones; see below."


def write(derivation: Derivation, look: Look) -> str:
    """The page; in ASCII alone where the place has no other characters."""
    page = render(derivation)
    return as_ascii(page) if look.ascii_only else page


def render(derivation: Derivation) -> str:
    """The page."""
    if derivation.has_tensors:
        from gradexplain.output.derivation import tensor_html

        return tensor_html.render(derivation)
    live = Live(derivation)
    parts = [
        *_formula(live),
        *_controls(live),
        *gradient(derivation),
        "<h2>Graph</h2>",
        box("Graph", svg.render(derivation, embedded=True)),
        *_forward(derivation),
        *_backward(derivation),
        *verdicts(derivation),
    ]
    return document(derivation.statements, parts, _json(live), asset("rules.js") + asset("page.js"))


def _json(live: Live) -> str:
    """The data such that no part of it can end the element that it stands in; other letters than ASCII are escaped."""
    text = json.dumps(live.data(), separators=(",", ":"), allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _formula(live: Live) -> Iterable[str]:
    derivation, graph = live.derivation, live.graph
    yield f"<h1>The gradient of {code(derivation.objective)}</h1>"
    yield from statement_lines(graph, derivation.statements)
    values = ", ".join(f"{name} = {value}" for name, value in derivation.point.items())
    point = f"at {code(values)}, " if values else ""
    yield f'<p class="soft">Made {point}{escape(derivation.dtype)}.</p>'
    yield '<p class="only-moved">Numbers now at <code id="now"></code></p>'


def _controls(live: Live) -> Iterable[str]:
    """A slider and a field for each input; the script sets their ranges, and switches them on."""
    derivation = live.derivation
    if not live.is_live:
        nodes = f"{len(live.graph.nodes):,} nodes"
        yield f"<p>With {nodes} (more than {MAX_LIVE_NODES}) the page shows numbers, but does not recompute them.</p>"
        return
    yield '<section class="panel" aria-label="Try other values">'
    objective = escape(derivation.objective)
    result = next((row.value for row in derivation.nodes if row.node == derivation.objective), None)
    yield f'<p class="result">{code(derivation.objective)} = '
    yield f'<output data-live="value" data-of="{objective}">{escape(show(result) or "?")}</output></p>'
    yield '<div class="controls">'
    for k, (name, entry) in enumerate(derivation.inputs.items()):
        value = bare(START if entry.value is None else entry.value)
        partial = ""
        if name in derivation.gradient:
            found = derivation.gradient[name]
            live_part = f'data-live="gradient" data-of="{escape(name)}"'
            number = escape(show(found.value) or "?")
            partial = f'<span>{code(found.partial)} = <span class="gradient" {live_part}>{number}</span></span>'
        yield (
            f'<div class="control" data-of="{escape(name)}"><label for="field-{k}">{code(name)}</label>'
            f'<input type="range" min="0" max="0" aria-label="{escape(name)}, slider" disabled>'
            f'<input type="number" id="field-{k}" step="any" value="{escape(value)}" disabled>{partial}</div>'
        )
    yield '</div><div class="buttons"><button type="button" id="back" disabled>Back to the point of this page</button>'
    yield '<a id="link" href="#">Link to these values</a></div>'
    yield f'<p class="only-moved soft">{MOVED}</p>'
    if derivation.missing:
        names = ", ".join(map(code, derivation.missing))
        yield f'<p class="soft">Without a value: {names}; starting at {bare(START)} here, unverified.</p>'
    if derivation.verdict in FAILURES:
        yield f'<p class="only-still warning">Verdict {escape(derivation.verdict)}: {DOUBTFUL}</p>'
    if derivation.dtype != "float64":
        yield f'<p class="soft">The page computes in float64, not in {escape(derivation.dtype)}.</p>'
    yield '</section>\n<p id="differs" class="warning" role="status" hidden></p>'


def gradient(derivation: Derivation) -> Iterable[str]:
    """The gradients, from the chain to the number."""
    entries = list(derivation.gradient.items())

    def row(k: int) -> str:
        name, entry = entries[k]
        factors = " · ".join(entry.factors)
        chain = code(entry.chain) + (f"<br>= {code(factors)}" if factors not in ("", entry.symbolic) else "")
        form = formula(entry.typeset, entry.symbolic) + (f"<br>= {code(entry.filled)}" if entry.filled else "")
        cells = f"<td>{code(entry.partial)}</td><td>{chain}</td><td>{form}</td>"
        return f'<tr data-of="{escape(name)}">{cells}{_live("gradient", name, show(entry.value))}</tr>'

    yield "<h2>Gradient</h2>"
    yield table("Gradient", ("partial", "chain", "closed form", "value:"), rows(len(entries), 4, row))


def _forward(derivation: Derivation) -> Iterable[str]:
    nodes = derivation.nodes

    def row(k: int) -> str:
        node, name = nodes[k], escape(nodes[k].node)
        cells = f"<td>{code(node.node)}</td><td>{code(node.expression)}</td>"
        return f'<tr data-of="{name}" tabindex="0">{cells}{_live("value", node.node, show(node.value))}</tr>'

    yield "<h2>Forward</h2>"
    yield table("Forward", ("node", "is", "value:"), rows(len(nodes), 3, row))


def _backward(derivation: Derivation) -> Iterable[str]:
    objective, sums = derivation.objective, derivation.backward
    if not sums:
        return
    yield f"<h2>Backward, from {code(f'∂{objective}/∂{objective} = {show(derivation.upstream)}')}</h2>"
    heads = ("partial", "chain rule", "rule", "local derivative", "upstream · local:", "contribution:")
    yield table("Backward", heads, rows(len(sums), 6, lambda k: _sum(derivation, sums[k], k)))


def _sum(derivation: Derivation, row: BackwardRow, number: int) -> str:
    """A line for each contribution, and one for their sum where there are more than one."""
    name, lines, count = escape(row.node), [], len(row.contributions)
    for k, entry in enumerate(row.contributions[:MAX_CONTRIBUTIONS]):
        place = f'data-row="{number}" data-step="{k}"'
        chain = f"∂{derivation.objective}/∂{entry.through} · ∂{entry.through}/∂{row.node}"
        upstream = f'<span data-live="upstream" {place}>{escape(show(entry.upstream) or "?")}</span>'
        local = f'<span data-live="local" {place}>{escape(show(entry.local_value) or "?")}</span>'
        value = f'<span data-live="contribution" {place}>{escape(show(entry.value) or "?")}</span>'
        kind = "number gradient" if count == 1 else "number"
        lines.append(
            f'<tr data-of="{name}"><td>{code(row.partial) if count == 1 else ""}</td><td>{code(chain)}</td>'
            f"<td>{escape(entry.title)}</td><td>{code(entry.local)}</td>"
            f'<td class="number">{upstream} · {local}</td><td class="{kind}">{value}</td></tr>'
        )
    if count > MAX_CONTRIBUTIONS:
        lines.append(f'<tr><td></td><td colspan="5">{escape(more(count - MAX_CONTRIBUTIONS))}</td></tr>')
    if count > 1:
        lines.append(
            f'<tr class="sum" data-of="{name}"><td>{code(row.partial)}</td><td></td><td>sum of {count}</td>'
            f"<td></td><td></td>{_live('gradient', row.node, show(row.value))}</tr>"
        )
    return "\n".join(lines)


def verdicts(derivation: Derivation) -> Iterable[str]:
    """What the witnesses say of the point of the page, apart from the numbers that can move."""
    judged: list[tuple[str, BackwardRow | Gradient]] = [(row.node, row) for row in derivation.backward]
    reached = {row.node for row in derivation.backward}
    judged += [(name, entry) for name, entry in derivation.gradient.items() if name not in reached]

    def row(k: int) -> str:
        name, entry = judged[k]
        exact, autograd = show_pair(entry.value, entry.autograd, entry.verdict)
        numbers = "".join(f'<td class="number">{escape(number or "?")}</td>' for number in (exact, autograd))
        reason = f"began at {code(entry.began.node)}: {escape(in_order(entry.began.reason))}" if entry.began else ""
        cells = f"<td>{code(entry.partial)}</td>{numbers}<td>{escape(entry.verdict)}</td>"
        return f'<tr data-of="{escape(name)}">{cells}<td class="words">{reason}</td></tr>'

    doubts, sentences = conclusion(derivation)
    yield f'<section class="stored">\n<h2>Verdict: {escape(derivation.verdict)}</h2>'
    yield f'<p class="only-moved">{MOVED}</p>'
    yield from (f"<p>{escape(in_order(text))}</p>" for text in (*doubts, *sentences, *derivation.notes))
    heads = ("partial", "exact (50 digits):", "autograd (PyTorch):", "verdict", "")
    yield table("Verdicts", heads, rows(len(judged), 5, row))
    yield "</section>"


def _live(kind: str, name: str, text: str) -> str:
    """A cell with a number of a node, which the script keeps up to date."""
    return f'<td class="number {kind}" data-live="{kind}" data-of="{escape(name)}">{escape(text or "?")}</td>'
