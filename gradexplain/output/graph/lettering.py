"""Letters and colours of pictures in SVG: how wide a text gets at most, and the style sheet for light and dark."""

from __future__ import annotations

import unicodedata

FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
_SMALL = frozenset(("caption", "verdict"))
# Selector, property, and its value on a light and on a dark page.
_COLORS = (
    (".ground", "fill", "#ffffff", "#0d1117"),
    ("text", "fill", "#1b1f24", "#e6edf3"),
    (".shape", "fill", "#f6f8fa", "#161b22"),
    (".shape", "stroke", "#57606a", "#9da7b3"),
    (".input .shape", "fill", "#e7f3e9", "#12261a"),
    (".objective .shape", "fill", "#fff5d6", "#2b2411"),
    (".way", "stroke", "#6e7781", "#8b949e"),
    (".head", "fill", "#6e7781", "#8b949e"),
    (".caption", "fill", "#57606a", "#9da7b3"),
    (".backward", "fill", "#0a4fa3", "#79c0ff"),
    (".verdict", "fill", "#a40e26", "#ffa198"),
)
_PLAIN = (
    f"text{{font-family:{FONT};font-size:13px}}"
    "text.caption,text.verdict{font-size:11px}"
    "text.name,text.verdict{font-weight:600}"
    ".shape{stroke-width:1.3}"
    ".way{fill:none;stroke-width:1.4}"
    ".hidden .way{stroke-dasharray:5 4}"
    ".node:focus{outline:none}"
    ".node:focus .shape{stroke-width:3}"
)


def style() -> str:
    """The style sheet; every rule is meant for the picture alone, so that it leaves a page around it as it is."""
    rules = [rule for rule in _PLAIN.split("}") if rule]
    scoped = [f".gradexplain-graph {rule.replace(',text.', ',.gradexplain-graph text.')}}}" for rule in rules]
    light = [f".gradexplain-graph {selector}{{{what}:{value}}}" for selector, what, value, _ in _COLORS]
    dark = [f".gradexplain-graph {selector}{{{what}:{value}}}" for selector, what, _, value in _COLORS]
    return "".join(scoped + light) + f"@media screen and (prefers-color-scheme:dark){{{''.join(dark)}}}"


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
