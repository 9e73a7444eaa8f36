"""A record as one JSON object on one line: a derivation, a training run, or a part of one."""

from __future__ import annotations

import json
import math
from typing import Any

from gradexplain.output.formats import PLAIN, Look
from gradexplain.records import SCHEMA, Derivation, fields_of

# The ends of the fields with a number. Where orjson has null for one, it may stand for a number that is not finite.
# Of a large tensor it would write the fields, the numbers that are not there among them.
_NO_NUMBER = (b'value":null', b'"autograd":null', b'"error":null', b'"upstream":null', b'"numbers":null')


def write(record: Any, look: Look = PLAIN) -> str:
    """The object of `docs/output.md` or `docs/training.md`; in ASCII alone, other characters are escaped."""
    fast = "" if look.ascii_only or not isinstance(record, Derivation) else _fast(record)
    return fast or line(record.to_dict(), look.ascii_only)


def line(plain: Any, ascii_only: bool = False) -> str:
    """Plain data as a line of JSON: by orjson, but for what it refuses, such as half a surrogate."""
    import orjson

    if not ascii_only:
        try:
            return visible(orjson.dumps(plain, option=orjson.OPT_APPEND_NEWLINE).decode())
        except orjson.JSONEncodeError:
            pass
    return visible(json.dumps(plain, ensure_ascii=ascii_only, allow_nan=False, separators=(",", ":"))) + "\n"


def _fast(derivation: Derivation) -> str:
    """The text by orjson, which writes records as they are; empty where it cannot say all that they hold.

    A derivation may have a million fields, and hardly ever one that is not finite.
    """
    import orjson

    own = (entry.sympy for entry in derivation.gradient.values())
    if any(isinstance(value, float) and not math.isfinite(value) for value in own):
        return ""
    try:
        data = orjson.dumps({"schema": SCHEMA, **fields_of(derivation)}, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        # Half of a surrogate pair, an integer of more than 64 bits, or the numbers of a tensor.
        return ""
    if any(end in data for end in _NO_NUMBER):
        return ""
    # All text of a record is made of these; to look at a million fields takes as long as to write them.
    texts = (derivation.source, *derivation.point.values(), *derivation.notes)
    return data.decode() if all(map(_is_visible, texts)) else visible(data.decode())


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
    """Load what `write` needs, in a moment when there is nothing else to do."""
    import orjson  # noqa: F401
