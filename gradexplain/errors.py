"""What can be wrong with a formula, a point or an option: one exception, one message each.

A message has three parts: what is wrong, where (the text with a caret under the place) and what to do.
"""

from __future__ import annotations

import difflib
import sys
import unicodedata
from collections.abc import Iterable

EXCERPT_WIDTH = 72
LONGEST_LINE = 240
# What stands for our own symbols on a stream that knows ASCII only.
ASCII = str.maketrans({"∂": "d", "·": "*", "…": "...", "←": "<-", "‖": "|", "Δ": "delta ", "≠": "!="})


class GradexplainError(Exception):
    """Any refusal of gradexplain; `str()` of it is the whole message, on as many lines as it needs.

    Arguments: `message`, what is wrong in one line; `text`, the text it was found in, and `start` and `end`,
    the half-open range of characters in it to underline (no place is shown without a text); `hint`, what to do.

    >>> print(FormulaError("unknown function sine", "(y - sine(x))**2", 5, 9, "did you mean sin?"))
    unknown function sine
      (y - sine(x))**2
           ^^^^
      did you mean sin?
    """

    def __init__(self, message: str, text: str = "", start: int = 0, end: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.text, self.start, self.end, self.hint = message, text, start, end, hint

    def __str__(self) -> str:
        return self.shown("utf-8")

    def shown(self, encoding: str) -> str:
        """The message for a stream with this encoding; what it cannot show is an escape, and the carets know it."""
        lines = [_cut(printable(self.message, encoding))]
        if self.text:
            lines += excerpt(self.text, self.start, self.end, encoding)
        if self.hint:
            lines += ["  " + _cut(printable(line, encoding)) for line in self.hint.split("\n")]
        return "\n".join(lines)


class FormulaError(GradexplainError):
    """The formula is not one of the language."""


class ShapeError(FormulaError):
    """Shapes of vectors or matrices that do not fit together."""


class PointError(GradexplainError):
    """A value given for an input cannot be used."""


class OptionError(GradexplainError):
    """An option or argument is of no use here, such as a name in `--wrt` that the formula does not have."""


class LimitError(FormulaError):
    """The formula is larger than gradexplain takes on."""


def printable(text: str, encoding: str = "utf-8") -> str:
    """The text with every control, direction-changing, unpaired or unknown character made visible as an escape.

    >>> printable("a\\x00b"), printable("λ", "ascii")
    ('a\\\\x00b', '\\\\u03bb')
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    try:
        shown.encode(encoding)
    except UnicodeEncodeError:
        shown = shown.translate(ASCII).encode(encoding, "backslashreplace").decode(encoding)
    return shown


def _cut(line: str) -> str:
    """The line without its middle where it would fill the screen."""
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} … {line[-half:]}"


def excerpt(text: str, start: int, end: int, encoding: str = "utf-8") -> list[str]:
    """Two lines, indented by two: the line of `text` that holds `start`, cut around it when long, and carets.

    `start` and `end` count characters of `text`; the carets end with the line.
    """
    first = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    last = min((place for place in (text.find("\n", start), text.find("\r", start)) if place >= 0), default=len(text))
    end = max(min(end, last), start + 1)
    left = max(first, min(start - EXCERPT_WIDTH // 3, last - EXCERPT_WIDTH))
    right = min(last, left + EXCERPT_WIDTH)
    end = min(end, max(right, start + 1))
    dots = printable("…", encoding)
    before = (f"{dots} " if left > first else "") + printable(text[left:start], encoding)
    marked = printable(text[start:end], encoding) or " "
    after = printable(text[end:right], encoding) + (f" {dots}" if right < last else "")
    return ["  " + before + marked + after.rstrip(), "  " + " " * columns(before) + "^" * max(columns(marked), 1)]


def columns(text: str) -> int:
    """How many terminal columns `text` takes: none for combining marks, two for wide East Asian characters.

    >>> columns("ŷ"), columns("損失")
    (1, 4)
    """
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean …?` for the known name that is closest to `name`, or an empty text.

    >>> nearest("sine", ["sin", "cos"])
    'did you mean sin?'
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else ""


def broken_package(error: BaseException) -> GradexplainError | None:
    """What to say of a package that is not there, or that cannot be loaded; None for any other error.

    >>> print(broken_package(ModuleNotFoundError("No module named 'numpy'", name="numpy")))
    numpy is not installed
      python -m pip install numpy
    """
    package = _imported(error)
    if isinstance(error, ModuleNotFoundError) and package in ("", error.name):
        package = (error.name or "").partition(".")[0]
        if package in ("", __package__):
            return None
        return GradexplainError(f"{package} is not installed", hint=f"python -m pip install {package}")
    if not package:
        return None
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    hint = f"python -m pip install --force-reinstall {package}"
    return GradexplainError(f"{package} is installed, and cannot be loaded: {reason}", hint=hint)


def _imported(error: BaseException) -> str:
    """The package of others that was being imported where the error arose, empty where none was."""
    trace, ours = error.__traceback__, False
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        own = name == __package__
        # A module is being loaded where its outermost code runs.
        if ours and not own and trace.tb_frame.f_code.co_name == "<module>" and name not in sys.stdlib_module_names:
            return name
        ours = ours or own
        trace = trace.tb_next
    return ""
