"""A derivation as a page of its own: what the table has, the graph, and sliders that recompute all of it.

The page needs no network, and its one script is named by its hash: whatever a formula contains, nothing else can run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from gradexplain.output.derivation import lines
from gradexplain.output.derivation.live import START, Live
from gradexplain.output.formats import PLAIN, Look
from gradexplain.output.graph import svg
from gradexplain.output.page import pages
from gradexplain.output.page.pages import as_ascii, asset
from gradexplain.output.words import conclusion
from gradexplain.records import FAILURES, BackwardRow, Contribution, Derivation, Gradient

MOVED = "The verdicts are those of the point at which this page was made, not of the one that the controls show."
MOVED_NUMBERS = "These numbers are those of the point at which this page was made."
DOUBTFUL = "here floating-point numbers, such as those of this page, are not the exact ones; see below."


def preload() -> None:
    """Import now what `write` needs."""
    pages.environment()


def write(derivation: Derivation, look: Look = PLAIN) -> str:
    """The page; in ASCII alone where the place has no other characters."""
    live = Live(derivation)
    doubts, sentences = conclusion(derivation)
    exact = next(column for column in lines.columns(derivation) if column.field == "value")
    page = pages.render(
        "derivation.html", derivation.statements, _json(live), asset("rules.js") + asset("page.js"),
        derivation=derivation, formulas=pages.typeset(live.graph, derivation.statements), point=lines.point(derivation),
        still=live.still, start=START, moved=MOVED, moved_numbers=MOVED_NUMBERS, doubtful=DOUBTFUL, failures=FAILURES,
        result=next((row.value for row in derivation.nodes if row.node == derivation.objective), None),
        inputs=lines.tensor_inputs(derivation), shapes=any(row.shape for row in derivation.nodes),
        graph=svg.write(derivation, embedded=True), backward=_backward(derivation),
        sections=list(lines.sections(derivation)), judgements=_judgements(derivation),
        exact=f"{exact.heading} ({exact.witness})" if exact.witness else exact.heading,
        said=[*doubts, *sentences, *derivation.notes],
    )  # fmt: skip
    return as_ascii(page) if look.ascii_only else page


def _json(live: Live) -> str:
    """The data such that no part of it can end the element that it stands in; other letters than ASCII are escaped."""
    text = json.dumps(live.data(), separators=(",", ":"), allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _backward(derivation: Derivation) -> dict[str, Any] | None:
    """What the table of the backward pass needs; the verdicts have a table of their own, since numbers can move."""
    found = lines.backward(derivation)
    if found is None:
        return None
    headings = {"numbers": "upstream · local:", "value": "contribution:"}
    shown = [column for column in found.columns if column.field not in ("autograd", "verdict")]
    products = lines.with_products(derivation)

    def contributions(row: BackwardRow) -> Iterator[tuple[lines.Line, Contribution | None]]:
        """The lines, each with the contribution that it is, or with None."""
        own = row.contributions[: lines.MAX_CONTRIBUTIONS]
        return zip_longest(lines.lines_of(derivation, row, products), own)

    return {
        "start": found.start,
        "legend": found.legend,
        "headings": [headings.get(column.field, column.heading) for column in shown],
        "fields": {column.field for column in shown},
        "lines": contributions,
    }


def _judgements(derivation: Derivation) -> list[tuple[str, BackwardRow | Gradient]]:
    """What has a verdict: all gradients of the backward pass, and those that nothing flows to."""
    found: list[tuple[str, BackwardRow | Gradient]] = [(row.node, row) for row in derivation.backward]
    reached = {row.node for row in derivation.backward}
    return [*found, *[(name, entry) for name, entry in derivation.gradient.items() if name not in reached]]
