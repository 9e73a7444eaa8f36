"""A training run as a page of its own: the formulas typeset, the loss as a curve, the steps, and what there is to say.

The page needs no network and runs no script.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gradexplain.language.parse import parse
from gradexplain.output.formats import Look
from gradexplain.output.graph.picture import in_order
from gradexplain.output.page import pages
from gradexplain.output.training import svg
from gradexplain.output.training.batches import explain_batches
from gradexplain.output.training.comparison import compare
from gradexplain.output.training.steps import cells, headings
from gradexplain.output.training.updates import rule, single_rules, title
from gradexplain.output.training.words import after, conclusion, ends, over, setting
from gradexplain.training_records import Training

# How wide the tables of rows and runs may be, which stand as they are.
WIDTH = 100


def write(training: Training, look: Look) -> str:
    """The page, with some of many steps unless all are wanted; in ASCII alone where there are no other characters."""
    graph = parse(training.source, training.shapes, training.shapes)
    *numbers, update, verdict = headings(training)
    page = pages.render(
        "training.html", training.statements, training=training, formulas=pages.typeset(graph, training.statements),
        optimizer=title(training.optimizer), setting=setting(training, _code, escape), over=over(training),
        updates=single_rules(training), rule=rule(training.optimizer, "p", "g"),
        curve=svg.write(training, embedded=True) if len(training.curve) > 1 else "",
        headings=[*[f"{text}:" for text in numbers], update, verdict], rows=cells(training, look.every),
        batches=_block(explain_batches(training, WIDTH)), comparison=_block(compare(training, WIDTH)),
        ends=ends(training), after=after(training), conclusion=conclusion(training),
    )  # fmt: skip
    return pages.as_ascii(page) if look.ascii_only else page


def preload() -> None:
    """Import now what `write` needs."""
    pages.environment()
    svg.preload()


def _code(text: str) -> str:
    return f"<code>{escape(in_order(text))}</code>"


def _block(lines: Sequence[str]) -> str:
    return "\n".join(lines).strip("\n")
