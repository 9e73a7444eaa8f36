"""The backward pass of a derivation as CSV: a line for each contribution, and one for each gradient."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from gradexplain.output.derivation.lines import sections
from gradexplain.output.formats import Look
from gradexplain.output.numbers import sizes
from gradexplain.records import BackwardRow, Derivation, Hessian, Jacobian, MatrixDerivation, Value, plain
from gradexplain.tensor import Tensor

# The first word of a line says what it is: one contribution to the gradient of a node, or the gradient, their sum.
HEADINGS = (
    "line", "node", "partial", "through", "rule", "upstream", "local", "local_value", "value", "autograd", "error",
    "verdict", "began", "reason",
)  # fmt: skip


def write(derivation: Derivation, look: Look) -> str:
    """All lines, with the headings first. Cells are quoted as in RFC 4180, numbers have all their digits.

    Where there are vectors or matrices, a column says the shapes; Jacobians or the Hessian have lines of their own.
    """
    shapes = {name: entry.shape for name, entry in derivation.inputs.items()}
    shapes |= {row.node: row.shape for row in derivation.nodes}
    found = [{**line, "shape": sizes(shapes[row.node])} for row in derivation.backward for line in _lines(row)]
    found += _matrices(derivation)
    stream = io.StringIO()
    headings = (*HEADINGS, *["shape"] * any(line["shape"] for line in found))
    lines = csv.DictWriter(stream, headings, restval="", extrasaction="ignore", lineterminator="\n")
    lines.writeheader()
    lines.writerows(found)
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
    yield {"line": "gradient", **own, **_judged(row), **began}


def _matrices(derivation: Derivation) -> Iterator[dict[str, str]]:
    """A line for each Jacobian, and one for the Hessian."""
    if not isinstance(derivation, MatrixDerivation):
        return
    for name, entry in (derivation.jacobian or {}).items():
        yield {
            "line": "jacobian", "node": name, "partial": entry.partial, "local": entry.symbolic or entry.product or "",
            **_judged(entry), "shape": sizes(entry.shape),
        }  # fmt: skip
    if derivation.hessian is not None:
        (made,) = next(section.entries for section in sections(derivation) if section.title == "Hessian")
        written = "; ".join(f"{symbol} = {formula}" for symbol, formula in made.formulas)
        own = {"node": ",".join(derivation.hessian.elements), "partial": made.partial, "local": written}
        yield {"line": "hessian", **own, **_judged(derivation.hessian), "shape": made.shape}


def _judged(entry: BackwardRow | Jacobian | Hessian) -> dict[str, str]:
    return {
        "value": cell(entry.value), "autograd": cell(entry.autograd), "error": cell(entry.error),
        "verdict": entry.verdict,
    }  # fmt: skip


def cell(value: Value | Tensor) -> str:
    """A value with all its digits, a tensor as nested lists; empty for a missing one.

    >>> cell(0.1), cell(None), cell(float("inf")), cell(Tensor.of([1, 0.5]))
    ('0.1', '', 'inf', '[1.0, 0.5]')
    """
    if isinstance(value, Tensor):
        return json.dumps(plain(value))
    return "" if value is None else value if isinstance(value, str) else repr(value)
