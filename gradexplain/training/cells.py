"""One column read value by value: what counts as a number, and the refusal of the first value that does not."""

from __future__ import annotations

import math
import re
from array import array

from gradexplain.errors import OptionError, printable

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
WORDS = {"true": True, "false": False, "inf": math.inf, "infinity": math.inf}
GAPS = {"", "na", "n/a", "nan", "null", "none", "#n/a", "#na", "<na>", "-nan"}
NESTED: dict[type, str] = {list: "a list", tuple: "a tuple", dict: "an object"}
LONGEST_CELL = 40


class Column:
    """The numbers of one column so far. Every refusal names the column and the row.

    >>> column = Column("x")
    >>> column.add_text(" +1.5 "), column.add(2), list(column.numbers)
    (None, None, [1.5, 2.0])
    >>> column.add_text("abc", "line 4 of points.csv")
    Traceback (most recent call last):
    gradexplain.errors.OptionError: column x has no number in row 3: "abc"
      line 4 of points.csv: write a number there or leave the row out
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.numbers = array("d")
        self.holds_truths: bool | None = None

    def add_text(self, cell: str, where: str = "") -> None:
        """Read the next row from the text of a cell; `where` tells its place. Raises OptionError."""
        text = cell.strip()
        if NUMBER.fullmatch(text):
            try:
                self.add(float(text), where, text)
            except ValueError:  # more digits than Python reads
                raise self.no_number(text, where) from None
            return
        word = text.lower()
        if word in GAPS:
            raise self.gap(where)
        known = WORDS.get(word if word[0].isalpha() else word[1:])
        if known is None:
            raise self.no_number(text, where)
        self.add(known, where, text)

    def add(self, value: object, where: str = "", text: str = "") -> None:
        """Take the next row as a Python value, which the person wrote as `text`. Raises OptionError."""
        if value is None:
            raise self.gap(where)
        if isinstance(value, str):
            raise self.no_number(value, where)
        if type(value) in NESTED:
            message = f"column {self.name} has {NESTED[type(value)]} in row {self.row:,}, not a number"
            raise OptionError(message, hint=_at(where, "give one number for every row"))
        try:
            number = float(value)  # type: ignore[arg-type]
        except OverflowError:
            number = math.inf
        except (TypeError, ValueError, RuntimeError):
            raise self.no_number(text or repr(value), where) from None
        if not math.isfinite(number):
            shown = quoted(text) if text else repr(number)
            message = f"column {self.name} has no finite number in row {self.row:,}: {shown}"
            raise OptionError(message, hint=_at(where, "write a finite number there or leave the row out"))
        truth = isinstance(value, bool)
        if self.holds_truths is not truth:
            if self.holds_truths is not None:
                shown = quoted(text or repr(value))
                message = f"column {self.name} mixes true and false with numbers in row {self.row:,}: {shown}"
                raise OptionError(message, hint=_at(where, "write 1 for true and 0 for false"))
            self.holds_truths = truth
        self.numbers.append(number)

    @property
    def row(self) -> int:
        """The row that comes next, counted from 1."""
        return len(self.numbers) + 1

    def gap(self, where: str) -> OptionError:
        """The refusal of a row without a value."""
        hint = _at(where, "fill it or leave the row out")
        return OptionError(f"column {self.name} has a gap in row {self.row:,}", hint=hint)

    def no_number(self, text: str, where: str) -> OptionError:
        """The refusal of what is no number."""
        hint = "write a number there or leave the row out"
        if DECIMAL_COMMA.fullmatch(text):
            hint = "write decimals with a point, and thousands without a comma"
        elif NUMBER.fullmatch(text.strip()):
            hint = "write the number without quotes"
        message = f"column {self.name} has no number in row {self.row:,}: {quoted(text)}"
        return OptionError(message, hint=_at(where, hint))

    @property
    def view(self) -> memoryview:
        """The numbers as read-only bytes, without a copy."""
        return memoryview(self.numbers).cast("B").toreadonly()


def quoted(text: str) -> str:
    """The text of a cell in quotes, on one line and not too long.

    >>> quoted("a\\nb"), quoted("7" * 100)
    ('"a\\\\nb"', '"7777777777777777777777777777777777777777…"')
    """
    shown = printable(text[: LONGEST_CELL + 1])
    return f'"{shown[:LONGEST_CELL]}…"' if len(shown) > LONGEST_CELL else f'"{shown}"'


def _at(where: str, hint: str) -> str:
    return f"{where}: {hint}" if where else hint
