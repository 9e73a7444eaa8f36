"""A derivation as a table with typeset formulas, for a notebook: HTML with MathML, escaped throughout."""

from __future__ import annotations

from html import escape

from gradexplain.output.numbers import show, show_pair
from gradexplain.records import BackwardRow, Derivation, Value
from gradexplain.tensor import Tensor

MAX_ROWS = 200


def render(derivation: Derivation) -> str:
    """The gradient with its closed forms, and the backward pass; long ones are cut after MAX_ROWS rows."""
    parts = [f"<p><code>{escape('; '.join(derivation.statements))}</code> {_point(derivation)}</p>"]
    parts.append(table(("gradient", "closed form", "exact", "autograd", "verdict"), [
        (code(entry.partial), formula(entry.typeset, entry.symbolic),
         *_pair(entry.value, entry.autograd, entry.verdict),
         escape(entry.verdict))
        for entry in list(derivation.gradient.values())[:MAX_ROWS]
    ]))  # fmt: skip
    parts.append(table(("partial", "contribution", "numbers", "exact", "autograd", "verdict"), [
        _backward(row) for row in derivation.backward[:MAX_ROWS]
    ]))  # fmt: skip
    parts += [f"<p>{escape(note)}</p>" for note in derivation.notes]
    return "<div>" + "\n".join(parts) + "</div>"


def _point(derivation: Derivation) -> str:
    values = ", ".join(f"{name} = {value}" for name, value in derivation.point.items())
    return escape(f"{'at ' + values if values else ''} {derivation.arithmetic}")


def _backward(row: BackwardRow) -> tuple[str, ...]:
    how = "<br>".join(
        f"{escape(entry.title)} through {code(entry.through)}: {code(entry.local)}" for entry in row.contributions
    )
    numbers = "<br>".join(
        f"{escape(show(entry.upstream) or '?')} · {escape(show(entry.local_value) or '?')}"
        for entry in row.contributions
        if not isinstance(entry.value, Tensor)
    )
    return code(row.partial), how, numbers, *_pair(row.value, row.autograd, row.verdict), escape(row.verdict)


def _pair(exact: Value, autograd: Value, verdict: str) -> tuple[str, str]:
    one, other = show_pair(exact, autograd, verdict)
    return escape(one), escape(other)


def formula(typeset: str | None, text: str | None) -> str:
    """MathML where there is some, the formula itself as its plain form for copying."""
    if typeset is None:
        return code(text or "")
    return f'<math display="inline" title="{escape(text or "", quote=True)}">{typeset}</math>'


def code(text: str) -> str:
    """Literal text in the letters of code."""
    return f"<code>{escape(text)}</code>"


def table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table; the headings are text, the cells are HTML."""
    head = "".join(f'<th style="text-align:left">{escape(heading)}</th>' for heading in headings)
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
