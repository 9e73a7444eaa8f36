"""One column read value by value: what counts as a number, and the refusal of the first value that does not."""

from __future__ import annotations

import math
import re
from array import array

from gradexplain.errors import OptionError, printable

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
# A text of these alone that Python reads as a float is a NUMBER.
PLAIN_NUMBERS = re.compile(r"[-+.\deE \t\n]*", re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
SPELLED_NUMBERS = {"true": True, "false": False, "inf": math.inf, "infinity": math.inf}
GAPS = {"", "na", "n/a", "nan", "null", "none", "#n/a", "#na", "<na>", "-nan"}
NESTED: dict[type, str] = {list: "a list", tuple: "a tuple", dict: "an object"}
LONGEST_CELL = 40


class ColumnReader:
    """The numbers of one column so far. Every refusal names the column and the row.

    >>> column = ColumnReader("x", "points.csv")
    >>> column.add_text(" +1.5 "), column.add(2), list(column.numbers)
    (None, None, [1.5, 2.0])
    >>> column.add_text("abc", 4)
    Traceback (most recent call last):
    gradexplain.errors.OptionError: column x has no number in row 3: "abc"
      line 4 of points.csv: write a number there or leave the row out
    """

    def __init__(self, name: str, source: str = "") -> None:
        self.name, self.source = name, source
        self.numbers = array("d")
        self.holds_truths: bool | None = None

    def add_plain(self, cells: list[str]) -> bool:
        """Read the next rows all at once if each is a finite number, else none of them; whether they were read."""
        if self.holds_truths or not PLAIN_NUMBERS.fullmatch("\n".join(cells)):
            return False
        try:
            numbers = array("d", map(float, cells))
        except ValueError:
            return False
        if not math.isfinite(sum(numbers)):
            return False
        self.holds_truths = False
        self.numbers += numbers
        return True

    def add_text(self, cell: str, line: int = 0) -> None:
        """Read the next row from the text of a cell; `line` is where in the file. Raises OptionError."""
        text = cell.strip()
        if NUMBER.fullmatch(text):
            self.add(float(text), line, text)
            return
        word = text.lower()
        if word in GAPS:
            raise self.gap(line)
        known = SPELLED_NUMBERS.get(word if word[0].isalpha() else word[1:])
        if known is None:
            raise self.no_number(text, line)
        self.add(known, line, text)

    def add(self, value: object, line: int = 0, text: str = "") -> None:
        """Take the next row as a Python value, which the person wrote as `text`. Raises OptionError."""
        if value is None:
            raise self.gap(line)
        if isinstance(value, str):
            raise self.no_number(value, line)
        if type(value) in NESTED:
            message = f"column {self.name} has {NESTED[type(value)]} in row {self.row:,}, not a number"
            raise OptionError(message, hint=self._at(line, "give one number for every row"))
        try:
            number = float(value)  # type: ignore[arg-type]
        except OverflowError:
            number = math.inf
        except (TypeError, ValueError, RuntimeError):
            raise self.no_number(text or repr(value), line) from None
        if not math.isfinite(number):
            shown = quoted(text) if text else repr(number)
            message = f"column {self.name} has no finite number in row {self.row:,}: {shown}"
            raise OptionError(message, hint=self._at(line, "write a finite number there or leave the row out"))
        truth = isinstance(value, bool)
        if self.holds_truths is not truth:
            if self.holds_truths is not None:
                shown = quoted(text or repr(value))
                message = f"column {self.name} mixes true and false with numbers in row {self.row:,}: {shown}"
                raise OptionError(message, hint=self._at(line, "write 1 for true and 0 for false"))
            self.holds_truths = truth
        self.numbers.append(number)

    @property
    def row(self) -> int:
        """The row that comes next, counted from 1."""
        return len(self.numbers) + 1

    def gap(self, line: int) -> OptionError:
        """The refusal of a row without a value."""
        hint = self._at(line, "fill it or leave the row out")
        return OptionError(f"column {self.name} has a gap in row {self.row:,}", hint=hint)

    def no_number(self, text: str, line: int) -> OptionError:
        """The refusal of what is no number."""
        hint = "write a number there or leave the row out"
        if DECIMAL_COMMA.fullmatch(text):
            hint = "write decimals with a point, and thousands without a comma"
        elif NUMBER.fullmatch(text.strip()):
            hint = "write the number without quotes"
        message = f"column {self.name} has no number in row {self.row:,}: {quoted(text)}"
        return OptionError(message, hint=self._at(line, hint))

    def _at(self, line: int, hint: str) -> str:
        return f"line {line:,} of {self.source}: {hint}" if line else hint

    @property
    def view(self) -> memoryview:
        """The numbers as read-only bytes, without a copy."""
        return memoryview(self.numbers).cast("B").toreadonly()


def is_number(cell: str) -> bool:
    """Whether a cell at the top of a column stands for a number, true or false, and not for a name.

    >>> is_number(" 1e5"), is_number("true"), is_number("Na")
    (True, True, False)
    """
    if cell.strip().lower() in SPELLED_NUMBERS:
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return True


def quoted(text: str) -> str:
    """The text of a cell in quotes, on one line and not too long.

    >>> quoted("a\\nb"), quoted("7" * 100)
    ('"a\\\\nb"', '"7777777777777777777777777777777777777777…"')
    """
    shown = printable(text[: LONGEST_CELL + 1])
    return f'"{shown[:LONGEST_CELL]}…"' if len(shown) > LONGEST_CELL else f'"{shown}"'
