"""The backward pass of a derivation as CSV: a line for each contribution, and one for each gradient."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from gradexplain.output.formats import Look
from gradexplain.records import BackwardRow, Derivation, Value

# The first word of a line says what it is: one contribution to the gradient of a node, or the gradient, their sum.
HEADINGS = (
    "line", "node", "partial", "through", "rule", "upstream", "local", "local_value", "value", "autograd", "error",
    "verdict", "began", "reason",
)  # fmt: skip


def write(derivation: Derivation, look: Look) -> str:
    """All lines, with the headings first. Cells are quoted as in RFC 4180, numbers have all their digits."""
    stream = io.StringIO()
    lines = csv.DictWriter(stream, HEADINGS, restval="", lineterminator="\n")
    lines.writeheader()
    for row in derivation.backward:
        lines.writerows(_lines(row))
    return stream.getvalue()


def _lines(row: BackwardRow) -> Iterator[dict[str, str]]:
    """The contributions to a gradient, then the gradient itself."""
    own: dict[str, Any] = {"node": row.node, "partial": row.partial}
    for entry in row.contributions:
        yield {
            "line": "contribution", **own, "through": entry.through, "rule": entry.rule, "local": entry.local,
            "upstream": cell(entry.upstream), "local_value": cell(entry.local_value), "value": cell(entry.value),
        }  # fmt: skip
    began = {"began": row.began.node, "reason": row.began.reason} if row.began else {}
    yield {
        "line": "gradient", **own, "value": cell(row.value), "autograd": cell(row.autograd), "error": cell(row.error),
        "verdict": row.verdict, **began,
    }  # fmt: skip


def cell(value: Value) -> str:
    """A value with all its digits; empty for a missing one.

    >>> cell(0.1), cell(None), cell(float("inf"))
    ('0.1', '', 'inf')
    """
    return "" if value is None else value if isinstance(value, str) else repr(value)
