"""What comes in besides arguments: formulas from a file or standard input, points from a file."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradexplain.errors import OptionError, PointError

# What an argument begins with that names a file in place of its content.
FILE = "@"
_NO_FINITE_NUMBER = "a gradient can be taken at finite numbers only"


def read_formula(argument: str) -> str:
    """The formula that an argument is, or what it stands for: `-` for standard input, `@FILE` for a file's content."""
    stripped = argument.strip()
    if stripped == "-":
        return _decoded(_read_standard_input(), "standard input")
    if stripped.startswith(FILE):
        return read_text(stripped)
    return argument.removeprefix(" ")


def read_text(argument: str) -> str:
    """The content of the file in `@FILE`. Raises OptionError where it cannot be read, or is no UTF-8."""
    path = _path(argument)
    try:
        with path.open("rb") as file:
            data = file.read(_most() + 1)
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror or error}") from None
    return _decoded(data, str(path))


def read_points(at: Sequence[str] | None) -> list[str | dict[str, Any]] | None:
    """The values of `--at`: text as it is, for `@FILE` the object in the file, and for `X=@FILE` the tensor in it.

    Raises OptionError or PointError for a file that is no JSON object of names and numbers, with the line.
    """
    if at is None:
        return None
    found: list[str | dict[str, Any]] = []
    for text in at:
        if text.startswith(FILE):
            found.append(read_point_file(text))
        elif f"={FILE}" in text.replace(" ", ""):
            from gradexplain.data.files import read_files

            rest, tensors = read_files(text)
            found += [part for part in (rest, tensors) if part]
        else:
            found.append(text)
    return found


def read_point_file(argument: str) -> dict[str, Any]:
    """The JSON object of names and numbers (or text such as "1/3") in `@FILE`, every value checked."""
    from gradexplain.data.point import read_point

    path, text = _path(argument), read_text(argument)
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        message = f"{path}, line {error.lineno}: {error.msg[0].lower()}{error.msg[1:]}"
        raise PointError(message, text, error.pos, error.pos + 1, 'such as {"w": 1, "b": "1/3"}') from None
    except (RecursionError, ValueError):
        raise PointError(f"{path}: the brackets are nested too deeply, or a number is too long") from None
    except _NotTaken as error:
        raise PointError(f"{path}, line {_line(text, error.name)}: {error}", hint=error.hint) from None
    if not isinstance(found, dict):
        kind = "a list" if isinstance(found, list) else "a single value"
        raise PointError(f"{path} holds {kind}, not an object", hint='such as {"w": 1, "b": "1/3"}')
    for name, value in found.items():
        try:
            read_point({name: value})
        except PointError as error:
            message = f"{path}, line {_line(text, json.dumps(name))}: {error.message}"
            raise PointError(message, error.text, error.start, error.end, error.hint) from None
    return found


class _NotTaken(Exception):
    """What Python's reader of JSON takes and this one does not: `name` is the text to look for in the file."""

    def __init__(self, message: str, name: str, hint: str) -> None:
        super().__init__(message)
        self.name, self.hint = name, hint


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _NotTaken(f"{twice} is given twice", json.dumps(twice), "keep one of the values")
    return found


def _refuse(constant: str) -> None:
    raise _NotTaken(f"{constant} is not a number of JSON", constant, _NO_FINITE_NUMBER)


def _line(text: str, part: str) -> int:
    """The last line with a part, as it is written in JSON; the first line where it is written in another way."""
    places = [found.start() for found in re.finditer(re.escape(part), text)]
    return text.count("\n", 0, places[-1]) + 1 if places else 1


def _path(argument: str) -> Path:
    name = argument.strip().removeprefix(FILE)
    if not name:
        raise OptionError(f"{FILE} names no file", hint=f"write {FILE}FILE, such as {FILE}model.gx")
    from gradexplain.data.sources import expanded

    return expanded(name)


def _most() -> int:
    """How many bytes are read: those of the longest formula, whatever its characters are."""
    from gradexplain.language.tokens import MAX_CHARACTERS

    return 4 * MAX_CHARACTERS


def _read_standard_input() -> bytes:
    if sys.stdin is None:
        raise OptionError("standard input is closed")
    return sys.stdin.buffer.read(_most() + 1)


def _decoded(data: bytes, shown: str) -> str:
    """The bytes as text. Raises OptionError where they are no UTF-8; what is far too long may end in a character."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start > len(data) - 4 and len(data) > _most():
            return data[: error.start].decode()
        byte = f"byte 0x{data[error.start]:02x} at offset {error.start:,}"
        raise OptionError(f"{shown} is not UTF-8: {byte}", hint="convert it, for example with iconv") from None
