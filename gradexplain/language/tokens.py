"""Text -> tokens, with their places, and a clear word about every character that does not belong."""

from __future__ import annotations

import itertools
import keyword
import re
import string
import unicodedata
from dataclasses import dataclass

from gradexplain.errors import FormulaError, LimitError

MAX_CHARACTERS = 5_000_000
MAX_TOKENS = 800_000
MAX_OPERATIONS = 120_000
MAX_NAME = 200
# The kinds of tokens; all but END are groups of the pattern. What is unknown never becomes a token.
NUMBER, NAME, SYMBOL, END, LINE_END = "number", "name", "symbol", "end", "end_of_line"
_UNKNOWN = "unknown"

# Blanks after a token belong to its match: whatever follows, they are read once. Any character has a match.
_PATTERN = re.compile(
    r"(?:[ \t\f]+|\#[^\r\n]*|\\\r?\n)"
    r"|(?:(?P<number>(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<end_of_line>\r\n|\n|\r)"
    r"|(?P<symbol>\*\*|//|==|!=|>=|<=|&&|\|\||[-+*/@%^&|~<>=(),;:.\[\]{}!?'\"$`])"
    r"|(?P<unknown>.))[ \t\f]*",
    re.DOTALL,
)
# What is a token of its own wherever it stands outside of a comment: no part of a number such as 1e-5.
# What is an operation is one as well.
_BINARY = re.compile(r"(?:[^\W_eE]|\))\s*[-+*/]")
_CERTAIN = re.compile(r"\*\*|[*/(),;=]|(?<![eE])[-+]|(?<![\w.])[^\W\d]\w*")

WRITE_INSTEAD = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "×": "*", "·": "*", "⋅": "*", "∙": "*", "∗": "*", "÷": "/", "∕": "/",
    "²": "**2", "³": "**3", "√": "sqrt(…)", "≤": "<=", "≥": ">=", "≠": "!=", "（": "(", "）": ")", "，": ",", "；": ";",
    "＝": "=", "＋": "+", "－": "-", "＊": "*", "／": "/", "\u00a0": "a plain space", "\u3000": "a plain space",
}  # fmt: skip

KEYWORD_HINTS = {
    "lambda": "call it lam or λ",
    "if": "write where(condition, value, other value)",
    "else": "write where(condition, value, other value)",
    "and": "nest where(…) instead",
    "or": "nest where(…) instead",
    "not": "swap the two values of where(…) instead",
    "return": "leave it out: the last line is the formula",
}

# Words of Python that are values of settings, such as keepdim=True.
WORDS: dict[str, bool | None] = {"None": None, "True": True, "False": False}
_KEYWORDS = frozenset(keyword.kwlist) - set(WORDS)

# Letters of other scripts that look the same as a Latin letter, by that letter.
_TWINS = str.maketrans("аеорсухіѕјһԁԛԝАВЕЅІЈКМНОРСТХУΑΒΕΖΗΙΚΜΝΟΡΤΥΧοѵ", "aeopcyxisjhdqwABESIJKMHOPCTXYABEZHIKMNOPTYXov")


@dataclass(slots=True)
class Token:
    """A piece of the text: its kind, the text itself (a name in its normal form), and its half-open range."""

    kind: str
    text: str
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """All tokens of `text`, ended by one of kind END. Raises FormulaError with the place of what is no token.

    >>> [token.text for token in tokenize("2.5*ŷ**2")]
    ['2.5', '*', 'ŷ', '**', '2', '']
    """
    _check_length(text)
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        position = _scan(text, position, tokens)
    tokens.append(Token(END, "", len(text), len(text)))
    if not text.isascii():
        _refuse_twins(text, tokens)
    return tokens


def _check_length(text: str) -> None:
    """Refuse what is far too long before the work of reading it: its tokens are counted in a tenth of the time.

    The count of single characters, in a tenth of that, often says already that there are not too many.
    """
    if len(text) > MAX_CHARACTERS:
        raise LimitError(f"the formula has {len(text):,} characters; gradexplain reads at most {MAX_CHARACTERS:,}")
    if len(text) > 2 * MAX_OPERATIONS and "#" not in text:
        if sum(map(text.count, "+-*/")) > MAX_OPERATIONS:
            check_operations(len(_BINARY.findall(text)))
        # Between two names or numbers stands a symbol or a blank, as a rule: there are hardly more tokens than this.
        symbols, blanks = sum(map(text.count, string.punctuation)), sum(map(text.count, string.whitespace))
        if 2 * symbols + blanks > MAX_TOKENS and len(_CERTAIN.findall(text)) > MAX_TOKENS:
            raise _too_many()


def check_operations(count: int) -> None:
    """Raises LimitError for more than MAX_OPERATIONS operations.

    >>> check_operations(1)
    """
    if count > MAX_OPERATIONS:
        raise LimitError(f"the formula has more than {MAX_OPERATIONS:,} operations")


def _scan(text: str, position: int, tokens: list[Token]) -> int:
    """Append the tokens from `position` on. Returns the end, or that of a name that the pattern does not see whole."""
    plain = text.isascii()
    for found in itertools.islice(_PATTERN.finditer(text, position), MAX_TOKENS):
        kind = found.lastgroup
        if kind is None:
            continue
        start, end = found.span(kind)
        piece = text[start:end]
        if kind == NAME:
            if not plain or end - start > MAX_NAME or piece in _KEYWORDS:
                seen = end
                while end < len(text) and text[end] > "\x7f" and text[start : end + 1].isidentifier():
                    end += 1
                piece = _checked_name(text, start, end)
                if end != seen:
                    tokens.append(Token(NAME, piece, start, end))
                    return end
        elif kind == _UNKNOWN:
            raise _unknown_character(text, start)
        tokens.append(Token(kind, piece, start, end))
    if len(tokens) > MAX_TOKENS:
        raise _too_many()
    return found.end()


def _too_many() -> LimitError:
    return LimitError(f"the formula has more than {MAX_TOKENS:,} names, numbers and symbols")


def _checked_name(text: str, start: int, end: int) -> str:
    """The name in the normal form in which Python would compare it, so that two spellings are one name."""
    name = text[start:end]
    if len(name) > MAX_NAME:
        raise FormulaError(f"this name has {len(name):,} letters; at most {MAX_NAME} are read", text, start, end)
    if not name.isascii():
        strange = next((i for i in range(start, end) if not text[start : i + 1].isidentifier()), None)
        if strange is not None:
            raise _unknown_character(text, strange)
        name = unicodedata.normalize("NFKC", name)
        if not name.isidentifier():
            raise _unknown_character(text, start)
    if name in _KEYWORDS:
        hint = KEYWORD_HINTS.get(name, f"call it {name}_")
        raise FormulaError(f"{name} is a word of Python and cannot be a name here", text, start, end, hint)
    return name


def _unknown_character(text: str, position: int) -> FormulaError:
    character = text[position]
    name = unicodedata.name(character, "a control character")
    shown = f"{character} ({name})" if character.isprintable() else f"U+{ord(character):04X} ({name})"
    hint = "remove it"
    if character in WRITE_INSTEAD:
        hint = f"write {WRITE_INSTEAD[character]}"
    elif unicodedata.category(character) == "Cf":
        hint = "it is invisible, or changes the direction of the text: remove it"
    return FormulaError(f"{shown} is not part of the language", text, position, position + 1, hint)


def _refuse_twins(text: str, tokens: list[Token]) -> None:
    """Two names that look the same and are not would make the whole explanation unreadable."""
    seen: dict[str, str] = {}
    for token in tokens:
        if token.kind == NAME:
            look = token.text.translate(_TWINS)
            other = seen.setdefault(look, token.text)
            if other != token.text:
                strange = next(c for c in token.text + other if c != c.translate(_TWINS))
                raise FormulaError(
                    f"two different names look the same: one has {unicodedata.name(strange)}",
                    text, token.start, token.end, "type both with the same letters",
                )  # fmt: skip
