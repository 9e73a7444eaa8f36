"""Letters of pictures in SVG: how wide a text gets at most."""

from __future__ import annotations

import unicodedata

_SMALL = frozenset(("caption", "verdict"))


def small(kind: str) -> float:
    """The size of the letters of a line."""
    return 11.0 if kind in _SMALL else 13.0


def text_width(text: str, size: float) -> float:
    """How wide a text gets at most, in letters of one width; other fonts step in where these have no letter.

    >>> text_width("v1", 10), text_width("損", 10)
    (12.4, 11.0)
    """
    if text.isascii():
        return len(text) * 0.62 * size
    return sum(map(_width, text)) * size


def _width(character: str) -> float:
    if character.isascii() or character in "∂·…":
        return 0.62
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.1
    if unicodedata.bidirectional(character) in ("R", "AL"):
        return 0.8
    return 0.8 if _is_common(character) else 1.3


def _is_common(character: str) -> bool:
    return ord(character) < 0x530 or 0x1E00 <= ord(character) < 0x2000


def widths(text: str, width: float) -> str:
    """An attribute that holds a text to its width, where it has letters of which nobody knows how wide they are.

    >>> widths("x", 8), widths("\\u0ba4", 8.5)
    ('', ' textLength="8.5" lengthAdjust="spacingAndGlyphs"')
    """
    if all(_width(character) < 1.2 for character in text):
        return ""
    return f' textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs"'


def fitted(text: str, size: float, width: float) -> str:
    """The text with its end left out where it would be wider than `width`.

    >>> fitted("w*x + b", 10, 40)
    'w*x +…'
    """
    if text_width(text, size) <= width:
        return text
    used, kept = text_width("…", size), 0
    for character in text:
        used += text_width(character, size)
        if used > width:
            break
        kept += 1
    return text[:kept].rstrip() + "…"


def tenths(number: float) -> str:
    """A length as it stands in a picture.

    >>> tenths(3.0), tenths(1 / 3)
    ('3', '0.3')
    """
    return f"{number:.1f}".removesuffix(".0")
