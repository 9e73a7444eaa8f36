"""A derivation as a page of its own: what the table has, the graph, and sliders that recompute all of it.

The page needs no network, and its one script is named by its hash: whatever a formula contains, nothing else can run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.resources import files

from gradexplain.language.text import MATHML
from gradexplain.language.text import write as write_formula
from gradexplain.output import svg
from gradexplain.output.backward import MAX_CONTRIBUTIONS
from gradexplain.output.cells import KEPT_ROWS, elided, more
from gradexplain.output.formats import Look
from gradexplain.output.live import MAX_LIVE_NODES, START, Live
from gradexplain.output.notebook import formula
from gradexplain.output.numbers import bare, show, show_pair
from gradexplain.output.picture import in_order, shortened
from gradexplain.output.words import conclusion
from gradexplain.records import FAILURES, BackwardRow, Derivation, Gradient

# Longer formulas are shown as code, which can be broken into lines.
LONGEST_TYPESET = 400
MOVED = "The verdicts are those of the point at which this page was made, not of the one that the controls show."

DOUBTFUL = "here floating-point numbers, such as those of this page, are not the exact ones; see below."


def write(derivation: Derivation, look: Look) -> str:
    """The page; in ASCII alone where the place has no other characters."""
    page = render(derivation)
    return page.encode("ascii", "xmlcharrefreplace").decode() if look.ascii_only else page


def render(derivation: Derivation) -> str:
    """The page."""
    live = Live(derivation)
    script = _asset("rules.js") + _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"
    title = escape(in_order(shortened("; ".join(derivation.statements))))
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}; base-uri 'none'; form-action 'none'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}: gradexplain</title>\n<style>{_asset('page.css')}</style>\n</head>\n<body>\n<main>",
        *_formula(live),
        *_controls(live),
        *_gradient(derivation),
        "<h2>Graph</h2>",
        _box("Graph", svg.render(derivation, embedded=True)),
        *_forward(derivation),
        *_backward(derivation),
        *_verdicts(derivation),
        "</main>",
        f'<script type="application/json" id="derivation">{_json(live)}</script>',
        f"<script>{script}</script>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _asset(name: str) -> str:
    return files("gradexplain").joinpath("output", "page", name).read_text(encoding="utf-8")


def _json(live: Live) -> str:
    """The data such that no part of it can end the element that it stands in; other letters than ASCII are escaped."""
    text = json.dumps(live.data(), separators=(",", ":"), allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _formula(live: Live) -> Iterable[str]:
    derivation, graph = live.derivation, live.graph
    yield f"<h1>The gradient of {_code(derivation.objective)}</h1>"
    by_name = {name: i for i, name in graph.names.items()}
    first, last = elided(len(derivation.statements))
    for k in [*first, *last]:
        if last and k == last[0]:
            yield f"<p>{escape(more(len(derivation.statements) - 2 * KEPT_ROWS))}</p>"
        statement = derivation.statements[k]
        node = by_name.get(statement.partition(" = ")[0])
        if node is None or len(statement) > LONGEST_TYPESET:
            yield f"<p>{_code(statement)}</p>"
        else:
            typeset = f"{MATHML.name(graph.names[node])}<mo>=</mo>{write_formula(graph, node, graph.names, MATHML)}"
            yield f'<p class="formula-line" tabindex="0">{formula(typeset, statement)}</p>'
    values = ", ".join(f"{name} = {value}" for name, value in derivation.point.items())
    point = f"at {_code(values)}, " if values else ""
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
    yield f'<p class="result">{_code(derivation.objective)} = '
    yield f'<output data-live="value" data-of="{objective}">{escape(show(result) or "?")}</output></p>'
    yield '<div class="controls">'
    for k, (name, entry) in enumerate(derivation.inputs.items()):
        value = bare(START if entry.value is None else entry.value)
        partial = ""
        if name in derivation.gradient:
            found = derivation.gradient[name]
            live_part = f'data-live="gradient" data-of="{escape(name)}"'
            number = escape(show(found.value) or "?")
            partial = f'<span>{_code(found.partial)} = <span class="gradient" {live_part}>{number}</span></span>'
        yield (
            f'<div class="control" data-of="{escape(name)}"><label for="field-{k}">{_code(name)}</label>'
            f'<input type="range" min="0" max="0" aria-label="{escape(name)}, slider" disabled>'
            f'<input type="number" id="field-{k}" step="any" value="{escape(value)}" disabled>{partial}</div>'
        )
    yield '</div><div class="buttons"><button type="button" id="back" disabled>Back to the point of this page</button>'
    yield '<a id="link" href="#">Link to these values</a></div>'
    yield f'<p class="only-moved soft">{MOVED}</p>'
    if derivation.missing:
        names = ", ".join(map(_code, derivation.missing))
        yield f'<p class="soft">Without a value: {names}; starting at {bare(START)} here, unverified.</p>'
    if derivation.verdict in FAILURES:
        yield f'<p class="only-still warning">Verdict {escape(derivation.verdict)}: {DOUBTFUL}</p>'
    if derivation.dtype != "float64":
        yield f'<p class="soft">The page computes in float64, not in {escape(derivation.dtype)}.</p>'
    yield '</section>\n<p id="differs" class="warning" role="status" hidden></p>'


def _gradient(derivation: Derivation) -> Iterable[str]:
    entries = list(derivation.gradient.items())

    def row(k: int) -> str:
        name, entry = entries[k]
        factors = " · ".join(entry.factors)
        chain = _code(entry.chain) + (f"<br>= {_code(factors)}" if factors not in ("", entry.symbolic) else "")
        form = formula(entry.typeset, entry.symbolic) + (f"<br>= {_code(entry.filled)}" if entry.filled else "")
        cells = f"<td>{_code(entry.partial)}</td><td>{chain}</td><td>{form}</td>"
        return f'<tr data-of="{escape(name)}">{cells}{_live("gradient", name, show(entry.value))}</tr>'

    yield "<h2>Gradient</h2>"
    yield _table("Gradient", ("partial", "chain", "closed form", "value:"), _rows(len(entries), 4, row))


def _forward(derivation: Derivation) -> Iterable[str]:
    nodes = derivation.nodes

    def row(k: int) -> str:
        node, name = nodes[k], escape(nodes[k].node)
        cells = f"<td>{_code(node.node)}</td><td>{_code(node.expression)}</td>"
        return f'<tr data-of="{name}" tabindex="0">{cells}{_live("value", node.node, show(node.value))}</tr>'

    yield "<h2>Forward</h2>"
    yield _table("Forward", ("node", "is", "value:"), _rows(len(nodes), 3, row))


def _backward(derivation: Derivation) -> Iterable[str]:
    objective, rows = derivation.objective, derivation.backward
    if not rows:
        return
    yield f"<h2>Backward, from {_code(f'∂{objective}/∂{objective} = {show(derivation.upstream)}')}</h2>"
    heads = ("partial", "chain rule", "rule", "local derivative", "upstream · local:", "contribution:")
    yield _table("Backward", heads, _rows(len(rows), 6, lambda k: _sum(derivation, rows[k], k)))


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
            f'<tr data-of="{name}"><td>{_code(row.partial) if count == 1 else ""}</td><td>{_code(chain)}</td>'
            f"<td>{escape(entry.title)}</td><td>{_code(entry.local)}</td>"
            f'<td class="number">{upstream} · {local}</td><td class="{kind}">{value}</td></tr>'
        )
    if count > MAX_CONTRIBUTIONS:
        lines.append(f'<tr><td></td><td colspan="5">{escape(more(count - MAX_CONTRIBUTIONS))}</td></tr>')
    if count > 1:
        lines.append(
            f'<tr class="sum" data-of="{name}"><td>{_code(row.partial)}</td><td></td><td>sum of {count}</td>'
            f"<td></td><td></td>{_live('gradient', row.node, show(row.value))}</tr>"
        )
    return "\n".join(lines)


def _verdicts(derivation: Derivation) -> Iterable[str]:
    """What the witnesses say of the point of the page, apart from the numbers that can move."""
    rows: list[tuple[str, BackwardRow | Gradient]] = [(row.node, row) for row in derivation.backward]
    reached = {row.node for row in derivation.backward}
    rows += [(name, entry) for name, entry in derivation.gradient.items() if name not in reached]

    def row(k: int) -> str:
        name, entry = rows[k]
        exact, autograd = show_pair(entry.value, entry.autograd, entry.verdict)
        numbers = "".join(f'<td class="number">{escape(number or "?")}</td>' for number in (exact, autograd))
        reason = f"began at {_code(entry.began.node)}: {escape(in_order(entry.began.reason))}" if entry.began else ""
        cells = f"<td>{_code(entry.partial)}</td>{numbers}<td>{escape(entry.verdict)}</td>"
        return f'<tr data-of="{escape(name)}">{cells}<td class="words">{reason}</td></tr>'

    doubts, sentences = conclusion(derivation)
    yield f'<section class="stored">\n<h2>Verdict: {escape(derivation.verdict)}</h2>'
    yield f'<p class="only-moved">{MOVED}</p>'
    yield from (f"<p>{escape(in_order(text))}</p>" for text in (*doubts, *sentences, *derivation.notes))
    heads = ("partial", "exact (50 digits):", "autograd (PyTorch):", "verdict", "")
    yield _table("Verdicts", heads, _rows(len(rows), 5, row))
    yield "</section>"


def _code(text: str) -> str:
    return f"<code>{escape(in_order(text))}</code>"


def _live(kind: str, name: str, text: str) -> str:
    """A cell with a number of a node, which the script keeps up to date."""
    return f'<td class="number {kind}" data-live="{kind}" data-of="{escape(name)}">{escape(text or "?")}</td>'


def _rows(count: int, columns: int, row: Callable[[int], str]) -> list[str]:
    """The rows of `count` things; of very many those at both ends, and one in between that says so."""
    first, last = elided(count)
    gap = [f'<tr><td colspan="{columns}">{escape(more(count - 2 * KEPT_ROWS))}</td></tr>'] if last else []
    return [*map(row, first), *gap, *map(row, last)]


def _table(label: str, headings: Sequence[str], rows: Sequence[str]) -> str:
    """A table in a box that scrolls; a heading that ends in a colon is that of numbers."""
    head = "".join(
        f'<th scope="col" class="number">{escape(text[:-1])}</th>'
        if text.endswith(":")
        else f'<th scope="col">{escape(text)}</th>'
        for text in headings
    )
    body = "\n".join(rows)
    return _box(label, f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>")


def _box(label: str, content: str) -> str:
    return f'<div class="box" role="region" tabindex="0" aria-label="{label}">\n{content}</div>'
