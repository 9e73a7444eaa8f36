"""A record as one JSON object."""

from __future__ import annotations

import json
import math

from gradexplain.output.formats import Look
from gradexplain.records import SCHEMA, Derivation, fields_of

# The ends of the fields with a number. Where orjson has null for one, it may stand for a number that is not finite.
# Of a large tensor it would write the fields, the numbers that are not there among them.
_NO_NUMBER = (b'value":null', b'"autograd":null', b'"error":null', b'"upstream":null', b'"numbers":null')


def render(derivation: Derivation, ascii_only: bool = False, indent: int | None = None) -> str:
    """The object of `docs/output.md` on one line, or indented; with `ascii_only`, other characters are escaped."""
    if not ascii_only and indent is None and (data := _fast(derivation)):
        return data.decode()
    separators = (",", ":") if indent is None else None
    return (
        visible(json.dumps(derivation.to_dict(), ensure_ascii=ascii_only, indent=indent, separators=separators)) + "\n"
    )


def write(derivation: Derivation, look: Look) -> str | bytes:
    """The object on one line; of a large derivation the bytes, which need not be made a text to be written."""
    return (not look.ascii_only and _fast(derivation)) or render(derivation, look.ascii_only)


def _fast(derivation: Derivation) -> bytes:
    """The text by orjson, which writes records as they are; empty where it cannot say all that they hold.

    A derivation may have a million fields, and hardly ever one that is not finite.
    """
    import orjson

    own = (entry.sympy for entry in derivation.gradient.values())
    if any(isinstance(value, float) and not math.isfinite(value) for value in own):
        return b""
    try:
        data = orjson.dumps({"schema": SCHEMA, **fields_of(derivation)}, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        # Half of a surrogate pair, an integer of more than 64 bits, or the numbers of a tensor.
        return b""
    if any(end in data for end in _NO_NUMBER):
        return b""
    # All text of a record is made of these; to look at a million fields takes as long as to write them.
    texts = (derivation.source, *derivation.point.values(), *derivation.notes)
    return data if all(map(_is_visible, texts)) else visible(data.decode()).encode()


def _is_visible(text: str) -> bool:
    return text.replace("\n", "").isprintable()


def visible(text: str) -> str:
    """The same JSON with an escape for every character that nobody sees, such as one that turns the direction.

    >>> visible('{"λ":"\\u202e"}')
    '{"λ":"\\\\u202e"}'
    """
    if _is_visible(text):
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def preload() -> None:
    """Load what `render` needs, in a moment when there is nothing else to do."""
    import orjson  # noqa: F401
