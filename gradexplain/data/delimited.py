"""Comma- and tab-separated files: the header, the fast reading by PyArrow, and the careful one row by row.

A file of columns begins with a line of names; one that is a vector or a matrix as a whole may do without.
"""

from __future__ import annotations

import csv
import math
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import dropwhile, islice
from typing import Any, BinaryIO, TextIO

from gradexplain.data.cells import ColumnReader, is_number
from gradexplain.data.sources import FileSource, is_decoded
from gradexplain.errors import OptionError

LONGEST_HEADER = 1_000_000
LONGEST_CELL = 10_000_000
SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
SPACES = " "
BLOCK = 1 << 20
ROWS_AT_ONCE = 4096

# The cells of a row, the line where it begins, and the one where it ends.
CellRow = tuple[list[str], int, int]
NamesAndValues = tuple[tuple[str, ...], dict[str, memoryview]]


def read(source: FileSource, separator: str, wanted: frozenset[str]) -> NamesAndValues:
    """The names of all columns, and the wanted ones as float64. Raises OptionError.

    Names and numbers may have spaces around them, cells may be quoted, and lines that are blank do not count.
    """
    names, header_end = _header(source, separator)
    _check_separator(source, separator, names, wanted)
    places = {name: place for place, name in enumerate(names) if name in wanted}
    for name in places:
        if names.count(name) > 1:
            raise OptionError(
                f"column {name} is {names.count(name)} times in {source.shown}", hint="rename all but one"
            )
    if not places:
        return names, {}
    # A header of several lines is rare enough to leave to the careful reading.
    values = _fast(source, separator, len(names), places) if header_end == 1 else None
    if values is None:
        columns = [(ColumnReader(name, source.shown), place) for name, place in places.items()]
        _careful(source, separator, len(names), header_end, columns)
        values = {column.name: column.view for column, _ in columns}
    return names, values


def read_matrix(source: FileSource, separator: str) -> tuple[tuple[int, ...], array[float]]:
    """The shape and the numbers, row by row, of a file of nothing but numbers, perhaps below a line of names.

    One column is a vector. A `separator` SPACES stands for any number of them. Raises OptionError.
    """
    with source.text() as text:
        names, end = _first_row(text, separator, source) or ((), 0)
    width, named = len(names), not any(map(is_number, names))
    columns = [(ColumnReader(name if named else f"{k:,}", source.shown), k - 1) for k, name in enumerate(names, 1)]
    if columns:
        _careful(source, separator, width, end if named else 0, columns, "header" if named else "first row")
    rows = len(columns[0][0].numbers) if columns else 0
    if not rows:
        raise OptionError(f"{source.shown} has no rows of numbers")
    numbers = array("d", bytes(8 * rows * width))
    for column, place in columns:
        numbers[place::width] = column.numbers
    return (rows, width) if width > 1 else (rows,), numbers


def _header(source: FileSource, separator: str) -> tuple[tuple[str, ...], int]:
    """The names of the columns, and the number of lines up to the end of the header."""
    with source.text() as text:
        found = _first_row(_bounded(text, source), separator, source)
    if found is None:
        raise OptionError(f"{source.shown} is empty", hint="its first line names the columns")
    return found


def _first_row(lines: Iterable[str], separator: str, source: FileSource) -> tuple[tuple[str, ...], int] | None:
    """The cells of the first row in the normal form of names in formulas, and the number of lines up to its end."""
    for cells, _, end in _rows(lines, separator, source):
        if not all(map(is_decoded, cells)) or any("\0" in cell for cell in cells):
            raise OptionError(f"{source.shown} is not UTF-8 text", hint="save it as UTF-8")
        return tuple(unicodedata.normalize("NFKC", cell.strip()) for cell in cells), end
    return None


def _bounded(text: TextIO, source: FileSource) -> Iterator[str]:
    while line := text.readline(LONGEST_HEADER):
        if len(line) == LONGEST_HEADER:
            message = f"the first line of {source.shown} has more than {LONGEST_HEADER:,} characters"
            raise OptionError(message, hint="it names the columns")
        yield line


def _check_separator(source: FileSource, separator: str, names: tuple[str, ...], wanted: frozenset[str]) -> None:
    """Raise OptionError where the header is one cell only because it is cut by something else."""
    if len(names) > 1:
        return
    for other, word in SEPARATORS.items():
        if other in names[0] and wanted.intersection(part.strip(' "') for part in names[0].split(other)):
            hint = f"separate them with {SEPARATORS[separator]}"
            if other == ";":
                hint += ", and write decimals with a point"
            elif {separator, other} == {",", "\t"}:
                hint += f", or let its name end with {'.tsv' if other == chr(9) else '.csv'}"
            raise OptionError(f"the columns of {source.shown} are separated by {word}", hint=hint)


def _rows(lines: Iterable[str], separator: str, source: FileSource, width: int = 0) -> Iterator[CellRow]:
    """Every row that is not blank.

    In a file of one column, `width` 1, a cell that is empty is a gap; only a line without any character is blank.
    """
    if separator == SPACES:
        lines, separator = ("\t".join(line.split()) + "\n" for line in lines), "\t"
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    end = 0
    try:
        for cells in reader:
            begin, end = end + 1, reader.line_num
            if cells and (width == 1 or len(cells) > 1 or cells[0].strip()):
                yield cells, begin, end
    except csv.Error as error:
        row = f"the row that begins in line {end + 1:,} of {source.shown}"
        if "limit" in str(error):
            message, hint = f"a cell is too long in {row}", "is a quote not closed?"
        else:
            message = f"the quotes do not match in {row}"
            hint = 'close every quote; inside of a quoted cell, write it twice: ""'
        raise OptionError(message, hint=hint) from None


class _Noticing:
    """A stream that remembers whether it gave a quote."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.quotes, self.closed = stream, False, False

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(size)
        self.quotes = self.quotes or b'"' in data
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _fast(source: FileSource, separator: str, width: int, places: dict[str, int]) -> dict[str, memoryview] | None:
    """The columns as PyArrow reads them, or None where anything at all is unusual."""
    try:
        import pyarrow
        import pyarrow.csv
    except ImportError:
        # The careful reading needs nothing but time.
        return None

    # Columns go by their places, so that PyArrow need not agree about their names.
    read_options = pyarrow.csv.ReadOptions(column_names=list(map(str, range(width))), skip_rows_after_names=1)
    chosen = [str(place) for place in places.values()]
    convert = pyarrow.csv.ConvertOptions(include_columns=chosen, column_types=dict.fromkeys(chosen, pyarrow.float64()))
    parse = pyarrow.csv.ParseOptions(delimiter=separator)
    with source.open() as stream:
        noticing = _Noticing(stream)
        try:
            table = pyarrow.csv.read_csv(noticing, read_options, parse, convert)
        except pyarrow.ArrowException:
            return None
    # PyArrow takes what follows a quote that is not closed as one long cell. Then there are fewer rows than lines.
    if noticing.quotes and table.num_rows != _lines(source) - 1:
        return None
    return float64_views(table, {name: str(place) for name, place in places.items()})


def float64_views(table: Any, columns: dict[str, str]) -> dict[str, memoryview] | None:
    """The columns of a PyArrow table of float64, by our names; None where a value is missing or not finite."""
    values = {}
    for name, column in columns.items():
        if table[column].null_count:
            return None
        chunk = table[column].combine_chunks()
        start = chunk.offset * 8
        view = memoryview(chunk.buffers()[1])[start : start + len(chunk) * 8].cast("B").toreadonly()
        # A sum is finite only where all that was added is. One that overflows just takes the longer way.
        if not math.isfinite(sum(view.cast("d"))):
            return None
        values[name] = view
    return values


def _lines(source: FileSource) -> int:
    """The number of lines up to the last that is not blank."""
    lines, blank = 1, 0
    with source.open() as stream:
        while data := stream.read(BLOCK):
            written = data.rstrip(b"\r\n")
            if written:
                lines += blank + written.count(b"\n")
                blank = 0
            blank += data.count(b"\n", len(written))
    return lines


def _careful(
    source: FileSource, separator: str, width: int, header_end: int, columns: Sequence[tuple[ColumnReader, int]],
    first: str = "header",
) -> None:  # fmt: skip
    """Fill the columns, each with its place in a row, row by row; `first` is what says how many cells a row has.

    Raises OptionError for the first row that is wrong.
    """
    limit = csv.field_size_limit(LONGEST_CELL)
    try:
        with source.text() as text:
            rows = dropwhile(lambda row: row[2] <= header_end, _rows(text, separator, source, width))
            done, ended = 0, False
            while not ended:
                some: list[CellRow] = []
                try:
                    some.extend(islice(rows, ROWS_AT_ONCE))
                finally:
                    # What is wrong in these rows comes before what ended them.
                    _add(columns, some, done, width, source, first)
                done += len(some)
                ended = not some
    finally:
        csv.field_size_limit(limit)


def _add(
    columns: Sequence[tuple[ColumnReader, int]], rows: list[CellRow], done: int, width: int, source: FileSource,
    first: str,
) -> None:  # fmt: skip
    """Add rows, after `done` of them, to the columns: all at once, which is faster, or where that fails one by one."""
    if all(len(cells) == width for cells, _, _ in rows):
        columns = [
            (column, place) for column, place in columns if not column.add_plain([cells[place] for cells, _, _ in rows])
        ]
        if not columns:
            return
    for row, (cells, line, _) in enumerate(rows, done + 1):
        if len(cells) != width:
            raise _wrong_width(row, cells, width, f"line {line:,} of {source.shown}", first)
        for column, place in columns:
            column.add_text(cells[place], line)


def _wrong_width(row: int, cells: list[str], width: int, where: str, first: str) -> OptionError:
    count = f"{len(cells):,} {'cell' if len(cells) == 1 else 'cells'}"
    hint = f"give every row as many cells as the {first}"
    if len(cells) > width and all(map(str.isdecimal, map(str.strip, cells))):
        hint = "write decimals with a point, 1.5 and not 1,5"
    elif len(cells) == 1 and ";" in cells[0]:
        hint = "separate the cells with commas, and write decimals with a point"
    return OptionError(f"row {row:,} has {count}, the {first} has {width:,}", hint=f"{where}: {hint}")
