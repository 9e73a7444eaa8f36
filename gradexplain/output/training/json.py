"""A training run as one JSON object."""

from __future__ import annotations

import json

from gradexplain.output.derivation.json import visible
from gradexplain.output.formats import Look
from gradexplain.training_records import Training


def write(training: Training, look: Look) -> str:
    """The object of `docs/training.md` on one line."""
    found = training.to_dict()
    if not look.ascii_only and (text := fast(found)):
        return text
    return visible(json.dumps(found, ensure_ascii=look.ascii_only, allow_nan=False, separators=(",", ":")) + "\n")


def fast(plain: object) -> str:
    """Plain data as a line of JSON by orjson; empty where it holds what orjson refuses, such as half a surrogate."""
    import orjson

    try:
        return visible(orjson.dumps(plain, option=orjson.OPT_APPEND_NEWLINE).decode())
    except orjson.JSONEncodeError:
        return ""
