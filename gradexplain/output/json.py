"""A record as one JSON object."""

from __future__ import annotations

import json
from typing import Any

from gradexplain.records import SCHEMA, Derivation, fields_of


def render(derivation: Derivation, ascii_only: bool = False, indent: int | None = None) -> str:
    """The object of `docs/output.md` on one line, or indented; with `ascii_only`, other characters are escaped."""
    options: dict[str, Any] = {"ensure_ascii": ascii_only, "indent": indent, "allow_nan": False}
    try:
        # The records as they are: a derivation may have a million fields, and hardly ever one that is not finite.
        return json.dumps({"schema": SCHEMA, **fields_of(derivation)}, default=fields_of, **options) + "\n"
    except ValueError:
        return json.dumps(derivation.to_dict(), **options) + "\n"
