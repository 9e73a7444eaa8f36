"""Parquet files, read by PyArrow."""

from __future__ import annotations

import unicodedata
from typing import Any

from gradexplain.data.cells import ColumnReader
from gradexplain.data.delimited import NamesAndValues, float64_views
from gradexplain.data.sources import FileSource
from gradexplain.errors import OptionError


def read(source: FileSource, wanted: frozenset[str]) -> NamesAndValues:
    """The names of all columns, and the wanted ones as float64. Raises OptionError."""
    import pyarrow
    import pyarrow.parquet

    with source.open() as stream:
        try:
            return _read(pyarrow.parquet.ParquetFile(stream), source, wanted)
        except (pyarrow.ArrowException, OSError, LookupError, ValueError):
            raise OptionError(f"cannot read {source.shown}: it is not a Parquet file, or a broken one") from None


def _read(file: Any, source: FileSource, wanted: frozenset[str]) -> NamesAndValues:
    import pyarrow

    fields = {}
    names = tuple(unicodedata.normalize("NFKC", name) for name in file.schema_arrow.names)
    for name, field in zip(names, file.schema_arrow, strict=True):
        if name in wanted:
            if name in fields:
                raise OptionError(
                    f"column {name} is {names.count(name)} times in {source.shown}", hint="rename all but one"
                )
            fields[name] = field
            _check_type(name, field.type)
    table = file.read([field.name for field in fields.values()])
    columns = {}
    for name, field in fields.items():
        columns[name] = table[field.name]
        if field.type != pyarrow.float64():
            columns[name] = columns[name].cast(pyarrow.float64(), safe=False)
    del table
    values = float64_views(columns, {name: name for name in columns})
    return names, values if values is not None else _careful(columns)


def _check_type(name: str, kind: Any) -> None:
    """Raise OptionError for a column whose type is not one of numbers."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if any(
        fits(kind) for fits in (types.is_floating, types.is_integer, types.is_boolean, types.is_decimal, types.is_null)
    ):
        return
    what = str(kind)
    if types.is_temporal(kind):
        what = "dates or times"
    elif any(fits(kind) for fits in (types.is_string, types.is_large_string, types.is_string_view)):
        what = "text"
    raise OptionError(f"column {name} holds {what}, not numbers", hint="store it as numbers")


def _careful(columns: dict[str, Any]) -> dict[str, memoryview]:
    """The columns, read row by row. Raises OptionError for the first row that is wrong."""
    found = [(ColumnReader(name), column) for name, column in columns.items()]
    chunks = zip(*(_batches(column) for _, column in found), strict=True)
    for batch in chunks:
        for row in zip(*batch, strict=True):
            for (column, _), value in zip(found, row, strict=True):
                column.add(value)
    return {column.name: column.view for column, _ in found}


def _batches(column: Any) -> Any:
    """The values as lists of at most 65,536."""
    return (column[start : start + 65536].to_pylist() for start in range(0, len(column), 65536))
