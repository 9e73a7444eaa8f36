"""What all pages share: the document around them, which no network and no script of others gets into, and their parts.

Pages are made by the templates of this folder, which escape whatever they put in. A page has at most one script, named
by its hash: whatever a formula contains, nothing else can run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar

from gradexplain.language.graph import Graph
from gradexplain.language.mathml import MATHML
from gradexplain.language.text import write as write_formula
from gradexplain.output.cells import KEPT_ROWS, elided, more
from gradexplain.output.graph.lettering import tenths
from gradexplain.output.graph.picture import in_order, shortened, spoken
from gradexplain.output.numbers import bare, block, block_pair, show, sizes
from gradexplain.tensor import Tensor

if TYPE_CHECKING:
    from jinja2 import Environment

Item = TypeVar("Item")
# Longer formulas are shown as code, which can be broken into lines.
LONGEST_TYPESET = 400


@cache
def environment() -> Environment:
    """The templates of this folder. All that they put in is escaped but for what they mark as safe themselves.

    What belongs to formulas and numbers is a filter: `show`, `block`, `bare`, `sizes` and `in_order` as their functions
    are called, as is `spoken`; `n` is a length in a picture; `ends` has items with their numbers and a gap in many,
    `blocks` the two numbers of a judged entry.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("gradexplain", "output/page"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    made.filters |= {
        "show": show, "block": block, "bare": bare, "sizes": sizes, "in_order": in_order, "ends": ends,
        "n": tenths, "spoken": spoken,
        "blocks": lambda entry: block_pair(entry.value, entry.autograd, entry.verdict),
    }  # fmt: skip
    made.tests["tensor"] = lambda value: isinstance(value, Tensor)
    return made


def render(template: str, statements: Sequence[str], data: str = "", script: str = "", **values: Any) -> str:
    """The page about these statements that a template of this folder makes of `values`; it extends `base.html`.

    `data` is JSON without `<`, `>` and `&` for the script, which is the only one that the page lets run.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f" script-src 'sha256-{digest}';" if script else ""
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline';{allowed} img-src data:; base-uri 'none'; form-action 'none'"
    )
    title = shortened("; ".join(statements))
    page = environment().get_template(template)
    return page.render(values, policy=policy, title=title, style=asset("page.css"), data=data, script=script) + "\n"


def fragment(template: str, **values: Any) -> str:
    """What a template makes of `values` for a page of others, such as a notebook."""
    return environment().get_template(template).render(values)


def ends(items: Sequence[Item], every: bool = False) -> Iterator[tuple[int | None, Item | str]]:
    """Items with their numbers; of very many those at both ends, and between them a word in place of the others.

    With `every` one of them, however many.

    >>> list(ends("ab"))
    [(0, 'a'), (1, 'b')]
    """
    first, last = (range(len(items)), range(0)) if every else elided(len(items))
    yield from ((k, items[k]) for k in first)
    if last:
        yield None, more(len(items) - 2 * KEPT_ROWS)
        yield from ((k, items[k]) for k in last)


def typeset(graph: Graph, statements: Sequence[str]) -> list[tuple[str, str | None]]:
    """The statements of a formula with their MathML, None where they are too long for that.

    Of very many there are those at both ends, and in between what says so, with an empty text in place of MathML.
    """
    by_name = {name: i for i, name in graph.names.items()}
    found: list[tuple[str, str | None]] = []
    for k, statement in ends(statements):
        node = by_name.get(statement.partition(" = ")[0])
        if k is None:
            found.append((statement, ""))
        elif node is None or len(statement) > LONGEST_TYPESET:
            found.append((statement, None))
        else:
            formula = write_formula(graph, node, graph.names, MATHML)
            found.append((statement, f"{MATHML.name(graph.names[node])}<mo>=</mo>{formula}"))
    return found


def asset(name: str) -> str:
    """A file that pages are made of."""
    return files("gradexplain").joinpath("output", "page", name).read_text(encoding="utf-8")


def as_ascii(page: str) -> str:
    """The same page for a place that has no other characters."""
    return page.encode("ascii", "xmlcharrefreplace").decode()
