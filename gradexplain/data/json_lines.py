"""JSON lines: an object on every line, read fast by PyArrow or with care line by line."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from typing import Any

from gradexplain.data.cells import ColumnReader
from gradexplain.data.delimited import NamesAndValues, float64_views
from gradexplain.data.sources import FileSource, is_decoded
from gradexplain.errors import OptionError

LONGEST_LINE = 10_000_000
EXAMPLE = 'write one object on every line, such as {"x": 1, "y": 2}'


def read(source: FileSource, wanted: frozenset[str]) -> NamesAndValues:
    """The keys of the first line, and the wanted columns as float64. Raises OptionError.

    A key that the first line does not have is a column with a gap where a later line has it, else no column.
    """
    first = next(_objects(source), None)
    if first is None:
        raise OptionError(f"{source.shown} is empty", hint=EXAMPLE)
    # The normal form is that of names in formulas.
    keys = {unicodedata.normalize("NFKC", key): key for key in first[1]}
    names = tuple(keys)
    present = {name: key for name, key in keys.items() if name in wanted}
    late = {name: name for name in sorted(wanted) if name not in keys}
    values = _fast(source, present, late)
    return names, values if values is not None else _careful(source, present, late)


def _fast(source: FileSource, present: dict[str, str], late: dict[str, str]) -> dict[str, memoryview] | None:
    """The columns as PyArrow reads them, or None where anything at all is unusual."""
    try:
        import pyarrow
        import pyarrow.json
    except ImportError:
        return None

    schema = pyarrow.schema([(key, pyarrow.float64()) for key in (*present.values(), *late.values())])
    parse = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    with source.open() as stream:
        try:
            table = pyarrow.json.read_json(stream, parse_options=parse)
        except (pyarrow.ArrowException, UnicodeEncodeError):
            return None
    if any(table[key].null_count < table.num_rows for key in late.values()):
        return None
    return float64_views(table, present)


def _careful(source: FileSource, present: dict[str, str], late: dict[str, str]) -> dict[str, memoryview]:
    """The columns, read line by line. Raises OptionError for the first row that is wrong."""
    columns = [(ColumnReader(name, source.shown), key) for name, key in present.items()]
    first_line = 0
    for line, found in _objects(source):
        first_line = first_line or line
        for column, key in columns:
            column.add(found.get(key), line)
        for name, key in late.items():
            if found.get(key) is not None:
                raise ColumnReader(name, source.shown).gap(first_line)
    return {column.name: column.view for column, _ in columns}


def _objects(source: FileSource) -> Iterator[tuple[int, dict[str, Any]]]:
    """The object of every line that is not blank, with the number of the line. Raises OptionError."""
    with source.text() as text:
        for line, content in enumerate(iter(lambda: text.readline(LONGEST_LINE), ""), 1):
            if len(content) == LONGEST_LINE:
                raise OptionError(f"line {line:,} of {source.shown} is too long", hint=EXAMPLE)
            if content.strip():
                yield line, _object(content.rstrip(), line, source.shown)


class _Ambiguous(dict[str, Any]):
    """An object with a key that is there twice."""


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Ambiguous(found)


# Made once, since making one takes longer than reading a line; integers of any length are floats soon.
DECODER = json.JSONDecoder(parse_int=float, object_pairs_hook=_unambiguous)


def _object(content: str, line: int, shown: str) -> dict[str, Any]:
    try:
        if not is_decoded(content):
            raise OptionError(f"{_line(line, shown)} is not UTF-8", hint="save the file as UTF-8")
        found = DECODER.decode(content)
    except json.JSONDecodeError as error:
        raise OptionError(f"{_line(line, shown)} is not JSON", content, error.pos, error.pos + 1, EXAMPLE) from None
    except RecursionError:
        raise OptionError(f"{_line(line, shown)} has too many brackets inside of each other") from None
    if not isinstance(found, dict):
        raise OptionError(f"{_line(line, shown)} is not an object", hint=EXAMPLE)
    if isinstance(found, _Ambiguous):
        raise OptionError(f"{_line(line, shown)} has a key twice", hint="write every key once")
    return found


def _line(line: int, shown: str) -> str:
    return f"line {line:,} of {shown}"
