"""What a line of a batch asks for: a formula, or an object with the formula and its options."""

from __future__ import annotations

import json
from typing import Any

from gradexplain.errors import FormulaError, LimitError, OptionError, PointError, nearest
from gradexplain.records import plain

# A longer line is passed over, so that an endless one does not fill the memory.
MAX_LINE = 5_000_000
KEYS = ("id", "expression", "at", "wrt", "upstream", "dtype", "shape", "jacobian", "hessian")


def request_of(line: bytes | None, known: dict[str, Any]) -> dict[str, Any]:
    """What a line asks for: the object that it is, or the formula. Its id joins what is known of the line."""
    if line is None:
        raise LimitError(f"the line has more than {MAX_LINE:,} bytes", hint="gradexplain derive reads longer formulas")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        byte = f"byte 0x{line[error.start]:02x} at offset {error.start:,}"
        raise FormulaError(f"the line is not UTF-8: {byte}", hint="convert it, for example with iconv") from None
    if not text.startswith("{"):
        return {"expression": text}
    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice.extend(name for name in found if names.count(name) > 1)
        return found

    try:
        found = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        message = f"the line is not JSON: {error.msg[0].lower()}{error.msg[1:]}"
        raise FormulaError(message, text, error.pos, error.pos + 1, "a line is a formula or a JSON object") from None
    except RecursionError:
        raise FormulaError("the line is not JSON that can be read: it is nested too deeply") from None
    except ValueError:
        raise FormulaError("the line is not JSON that can be read: a number has too many digits") from None
    assert isinstance(found, dict)
    if "id" in found:
        known["id"] = plain(found["id"])
    if twice:
        raise PointError(f"{twice[0]} is given twice", hint="keep one of the values")
    return found


def check_request(request: dict[str, Any]) -> None:
    """Raise OptionError or PointError for keys that are unknown, and values of the wrong kind."""
    for key in request:
        if key not in KEYS:
            hint = nearest(key, KEYS) or "the keys are " + ", ".join(KEYS)
            raise OptionError(f"the object has an unknown key {key}", hint=hint)
    if "expression" not in request:
        raise OptionError("the object has no expression", hint='such as {"expression": "w*x", "at": {"w": 1, "x": 2}}')
    if not isinstance(request.get("at", {}), (dict, str)):
        raise PointError("at is neither an object nor text", hint='such as {"w": 1, "b": "1/3"} or "w=1,b=1/3"')
    for key in ("expression", "dtype"):
        if not isinstance(request.get(key, ""), str):
            raise OptionError(f"{key} is not text")
    wrt = request.get("wrt", "")
    if not isinstance(wrt, str) and not (isinstance(wrt, list) and all(isinstance(name, str) for name in wrt)):
        raise OptionError("wrt is not a list of names", hint='such as ["w", "b"]')
    shape = request.get("shape", {})
    sizes = shape.values() if isinstance(shape, dict) else ()
    if not isinstance(shape, (dict, str)) or not all(isinstance(size, (int, str, list)) for size in sizes):
        raise OptionError("shape is neither an object nor text", hint='such as {"X": [4, 3]} or "X=n x d"')
    for key in ("jacobian", "hessian"):
        if not isinstance(request.get(key, False), bool):
            raise OptionError(f"{key} is neither true nor false")
