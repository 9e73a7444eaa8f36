"""The columns of a data file, or of a mapping, that a formula names: as float64, ready for another process.

A file is read twice at most: straight to float64 by PyArrow, which is all that good data ever needs, and where that
fails row by row, to name the first row that is wrong or to read what PyArrow does not.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradexplain.data import delimited, json_lines, parquet
from gradexplain.data.sequences import numbers_of
from gradexplain.data.sources import FileSource, find_source
from gradexplain.errors import OptionError


@dataclass(frozen=True, slots=True)
class Columns:
    """The wanted columns of a data file.

    `source` is its name as the person wrote it; `names` are all the columns it has, in order; `values` are the wanted
    ones by name, each a read-only memoryview of `rows` * 8 bytes: float64 in the byte order of this machine. It
    shares the memory of what was read, `marshal.dumps` takes it, and `cast("d")` of it gives Python floats.
    `rows` is 0 where the file has none of the wanted columns, since nothing is read then.
    """

    source: str
    rows: int
    names: tuple[str, ...]
    values: Mapping[str, memoryview]


READERS = {
    ".csv": lambda source, wanted: delimited.read(source, ",", wanted),
    ".tsv": lambda source, wanted: delimited.read(source, "\t", wanted),
    ".tab": lambda source, wanted: delimited.read(source, "\t", wanted),
    ".jsonl": json_lines.read,
    ".ndjson": json_lines.read,
    ".parquet": parquet.read,
    ".pq": parquet.read,
}


def read_columns(source: str | Path | Mapping[str, Any], wanted: Collection[str]) -> Columns:
    """The columns of `source` that are in `wanted`; all others are left unread, whatever they hold.

    `source` is a file of comma-separated (`.csv`), tab-separated (`.tsv`, `.tab`) or JSON lines (`.jsonl`, `.ndjson`),
    each also with `.gz`, or of Parquet (`.parquet`, `.pq`); `-` for CSV from standard input, which is read to its end;
    or a mapping from names to sequences of numbers, such as lists, arrays or tensors of one dimension, or a DataFrame
    of pandas.
    Text files are UTF-8 and, but for JSON lines, begin with a line of column names. Integers become floats; a column
    of true and false becomes 1 and 0. Rows are counted from 1, without the header and blank lines.

    Raises OptionError for a source that cannot be read or has no rows, for a wanted column that is there twice, and
    for a value in one that is missing, not a number or not finite, with the row of the first.

    >>> columns = read_columns({"x": [1, 2], "y": (0.5, 0.25)}, {"y"})
    >>> columns.rows, columns.names, list(columns.values["y"].cast("d"))
    (2, ('x', 'y'), [0.5, 0.25])
    """
    if isinstance(source, str | os.PathLike):
        found = find_source(source, READERS)
        names, values = READERS[found.suffix](found, frozenset(wanted))
        return _checked(found, names, values)
    if isinstance(source, Mapping) or (hasattr(source, "keys") and hasattr(source, "__getitem__")):
        names = tuple(map(str, source.keys()))
        values = {str(name): numbers_of(str(name), source[name]) for name in source.keys() if str(name) in wanted}  # noqa: SIM118
        return _checked(None, names, values)
    hint = "give the name of a file, or a mapping from names to sequences of numbers"
    raise OptionError(f"no columns can be read from a {type(source).__name__}", hint=hint)


def _checked(source: FileSource | None, names: tuple[str, ...], values: Mapping[str, memoryview]) -> Columns:
    """The record of what was read. Raises OptionError for columns without rows, or of different lengths."""
    shown = source.shown if source else "data"
    lengths = {name: view.nbytes // 8 for name, view in values.items()}
    first = next(iter(lengths), "")
    for name, rows in lengths.items():
        if rows != lengths[first]:
            message = f"column {first} has {lengths[first]:,} rows and column {name} has {rows:,}"
            raise OptionError(message, hint="give every column the same number of rows")
    if values and not lengths[first]:
        raise OptionError(f"{shown} has no rows", hint="training takes at least one")
    return Columns(shown, lengths.get(first, 0), names, dict(values))
