"""What all pages share: the document around them, which no network and no script of others gets into, and their parts.

A page has at most one script, named by its hash: whatever a formula contains, nothing else can run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.resources import files

from gradexplain.language.graph import Graph
from gradexplain.language.text import MATHML
from gradexplain.language.text import write as write_formula
from gradexplain.output.cells import KEPT_ROWS, elided, more
from gradexplain.output.derivation.notebook import formula
from gradexplain.output.graph.picture import in_order, shortened

# Longer formulas are shown as code, which can be broken into lines.
LONGEST_TYPESET = 400


def document(statements: Sequence[str], parts: Iterable[str], data: str = "", script: str = "") -> str:
    """The page about these statements with `parts` as its content.

    `data` is JSON without `<`, `>` and `&` for the script, which is the only one that the page lets run.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f" script-src 'sha256-{digest}';" if script else ""
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline';{allowed} img-src data:; base-uri 'none'; form-action 'none'"
    )
    title = escape(in_order(shortened("; ".join(statements))))
    end = [f'<script type="application/json" id="derivation">{data}</script>', f"<script>{script}</script>"]
    lines = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}: gradexplain</title>\n<style>{asset('page.css')}</style>\n</head>\n<body>\n<main>",
        *parts,
        "</main>",
        *(end if script else ()),
    ]
    return "\n".join(lines) + "\n</body>\n</html>\n"


def asset(name: str) -> str:
    """A file that pages are made of."""
    return files("gradexplain").joinpath("output", "page", name).read_text(encoding="utf-8")


def as_ascii(page: str) -> str:
    """The same page for a place that has no other characters."""
    return page.encode("ascii", "xmlcharrefreplace").decode()


def statement_lines(graph: Graph, statements: Sequence[str]) -> Iterable[str]:
    """The statements of a formula, typeset where they are not too long; of very many those at both ends."""
    by_name = {name: i for i, name in graph.names.items()}
    first, last = elided(len(statements))
    for k in [*first, *last]:
        if last and k == last[0]:
            yield f"<p>{escape(more(len(statements) - 2 * KEPT_ROWS))}</p>"
        statement = statements[k]
        node = by_name.get(statement.partition(" = ")[0])
        if node is None or len(statement) > LONGEST_TYPESET:
            yield f"<p>{code(statement)}</p>"
        else:
            typeset = f"{MATHML.name(graph.names[node])}<mo>=</mo>{write_formula(graph, node, graph.names, MATHML)}"
            yield f'<p class="formula-line" tabindex="0">{formula(typeset, statement)}</p>'


def code(text: str) -> str:
    """Literal text in the letters of code, with names from right to left in their place.

    >>> code("a<b")
    '<code>a&lt;b</code>'
    """
    return f"<code>{escape(in_order(text))}</code>"


def rows(count: int, columns: int, row: Callable[[int], str]) -> list[str]:
    """The rows of `count` things; of very many those at both ends, and one in between that says so."""
    first, last = elided(count)
    gap = [f'<tr><td colspan="{columns}">{escape(more(count - 2 * KEPT_ROWS))}</td></tr>'] if last else []
    return [*map(row, first), *gap, *map(row, last)]


def table(label: str, headings: Sequence[str], lines: Sequence[str]) -> str:
    """A table in a box that scrolls; a heading that ends in a colon is that of numbers."""
    head = "".join(
        f'<th scope="col" class="number">{escape(in_order(text[:-1]))}</th>'
        if text.endswith(":")
        else f'<th scope="col">{escape(in_order(text))}</th>'
        for text in headings
    )
    body = "\n".join(lines)
    return box(label, f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>")


def box(label: str, content: str) -> str:
    """A part that is wider than a small screen, in a box that scrolls, by keys as well."""
    return f'<div class="box" role="region" tabindex="0" aria-label="{escape(label)}">\n{content}</div>'
