"""Reasons and notes are ids with values; here they become sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradexplain.words import en

MAX_LISTED = 8


def say(id: str, /, **values: Any) -> str:
    """The sentence with this id: numbers and text as they are, lists of names as one says them, None as not finite.

    A value may be a sentence itself: an `id` and `values`.

    >>> say("unreached", objective="L", names=["w"])[:60]
    'nothing flows from L back to w, which does not influence it '
    """
    sentence = en.SENTENCES[id]
    if not isinstance(sentence, str):
        count = values["count"] if "count" in values else len(next(v for v in values.values() if _is_list(v)))
        sentence = sentence[en.form(count)]
    return sentence.format(**{name: _said(value) for name, value in values.items()})


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _said(value: Any) -> Any:
    if isinstance(value, Mapping):
        return say(value["id"], **value["values"])
    return listed(value) if _is_list(value) else en.NOT_FINITE if value is None else value


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, a long list cut short.

    >>> listed(["w", "x", "y"])
    'w, x and y'
    """
    if len(names) < 2:
        return en.BETWEEN.join(names)
    if len(names) > MAX_LISTED:
        shown = en.BETWEEN.join(names[: MAX_LISTED - 1])
        return en.MORE.format(names=shown, count=len(names) - MAX_LISTED + 1)
    return en.LAST.format(names=en.BETWEEN.join(names[:-1]), name=names[-1])
