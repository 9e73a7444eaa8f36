"""A record as one JSON object."""

from __future__ import annotations

import json

from gradexplain.records import Derivation


def render(derivation: Derivation, ascii_only: bool = False, indent: int | None = None) -> str:
    """The object of `docs/output.md` on one line, or indented; with `ascii_only`, other characters are escaped."""
    return json.dumps(derivation.to_dict(), ensure_ascii=ascii_only, indent=indent, allow_nan=False) + "\n"
