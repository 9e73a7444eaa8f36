"""The columns of data files: every format read, and one clear message for everything that can be wrong in one."""

from __future__ import annotations

import gzip
import io
import json
import marshal
import math
import os
import sys
from array import array
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import pyarrow
import pyarrow.parquet
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradexplain import derive
from gradexplain.cli.streams import writable
from gradexplain.data import columns as data
from gradexplain.data import delimited, json_lines, memory, parquet
from gradexplain.data.columns import Columns, read_columns
from gradexplain.data.files import read_tensor
from gradexplain.data.point import held_numbers, held_value, read_point
from gradexplain.data.shapes import read_shapes
from gradexplain.errors import GradexplainError, OptionError, PointError
from gradexplain.tensor import Tensor

TABLE = {"x": [1.0, -2.5, 3e-7], "y": [0.1, 0.0, 1e22]}
NAMED = 'name,x,y\n"a, ""b""",1,0.1\n"c\nd",-2.5,0\ne,3e-7,1e22\n'


def parquet_of(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    return sink.getvalue()


def listed(columns: Columns) -> dict[str, list[float]]:
    assert all(view.nbytes == 8 * columns.rows and view.readonly for view in columns.values.values())
    assert all(marshal.loads(marshal.dumps(view)) == view for view in columns.values.values())
    return {name: view.cast("d").tolist() for name, view in columns.values.items()}


GOOD = {
    "csv": ("a.csv", "x,y\n1,0.1\n-2.5,0\n3e-7,1e22\n"),
    "no-last-newline": ("a.csv", "x,y\n1,0.1\n-2.5,0\n3e-7,1e22"),
    "crlf": ("a.csv", "x,y\r\n1,0.1\r\n-2.5,0\r\n3e-7,1e22\r\n"),
    "cr": ("a.csv", "x,y\r1,0.1\r-2.5,0\r3e-7,1e22\r"),
    "bom": ("a.csv", "\ufeffx,y\n1,0.1\n-2.5,0\n3e-7,1e22\n"),
    "blank-lines-at-the-end": ("a.csv", "x,y\n1,0.1\n-2.5,0\n3e-7,1e22\n\n\r\n  \n"),
    "blank-lines-elsewhere": ("a.csv", "\n\nx,y\n1,0.1\n\n-2.5,0\n3e-7,1e22\n"),
    "spaces": ("a.csv", " x , y\n1, 0.1\n -2.5 ,0\t\n3e-7,  1e22\n"),
    "quoted": ("a.csv", '"x","y"\n"1","0.1"\n"-2.5","0"\n"3e-7","1e22"\n'),
    "quoted-after-a-space": ("a.csv", 'x, "y"\n1, "0.1"\n-2.5, "0"\n3e-7, "1e22"\n'),
    "spellings": ("a.csv", "x,y\n+1.,.1\n-2.5E0,-0e5\n0.0000003,10000000000000000000000\n"),
    "other-columns": ("a.csv", NAMED),
    "lone-quote-in-a-cell": ("a.csv", 'x,y,size\n1,0.1,5" wide\n-2.5,0,\n3e-7,1e22,\n'),
    "header-on-two-lines": ("a.csv", 'x,"a\n1,2",y\n1,,0.1\n-2.5,,0\n3e-7,,1e22\n'),
    "other-column-twice": ("a.csv", "a,x,a,y\nq,1,,0.1\nq,-2.5,,0\nq,3e-7,,1e22\n"),
    "not-utf-8-elsewhere": ("a.csv", b"name,x,y\n\xff,1,0.1\n\xe9,-2.5,0\n,3e-7,1e22\n"),
    "suffix-in-capitals": ("a.CSV", "x,y\n1,0.1\n-2.5,0\n3e-7,1e22\n"),
    "gz": ("a.csv.gz", gzip.compress(NAMED.encode())),
    "tsv": ("a.tsv", "x\tname\ty\n1\ta,b\t0.1\n-2.5\t\t0\n3e-7\tc\t1e22\n"),
    "tab": ("a.tab", "x\ty\n1\t0.1\n-2.5\t0\n3e-7\t1e22\n"),
    "tsv-gz": ("a.tsv.gz", gzip.compress(b"x\ty\n1\t0.1\n-2.5\t0\n3e-7\t1e22\n")),
    "jsonl": ("a.jsonl", '{"x": 1, "y": 0.1, "n": "a"}\n{"n": [1, {}], "y": 0, "x": -2.5}\n{"x": 3e-7, "y": 1e22}\n'),
    "jsonl-crlf": ("a.ndjson", '\ufeff{"x":1,"y":0.1}\r\n\r\n{"x":-2.5,"y":0}\r\n{"x":3e-7,"y":1e22}'),
    "jsonl-gz": ("a.jsonl.gz", gzip.compress(b'{"x":1,"y":0.1}\n{"x":-2.5,"y":0}\n{"x":3e-7,"y":1e22}\n')),
    "parquet": ("a.parquet", parquet_of({"name": ["a", "b", None], **TABLE})),
    "pq": ("a.pq", parquet_of({"d": [date(2020, 1, 1)] * 3, **TABLE})),
    "mapping": ("data", TABLE | {"name": ["a", "b"]}),
    "array": ("data", {name: array("d", column) for name, column in TABLE.items()}),
    "tuple": ("data", {"x": (1, Fraction(-5, 2), 3e-7), "y": (0.1, False, 10**22)}),
    "tensor": ("data", {n: torch.tensor(c, dtype=torch.float64, requires_grad=True) for n, c in TABLE.items()}),
    "pyarrow": ("data", {name: pyarrow.array(column) for name, column in TABLE.items()}),
}


def put(folder: Path, name: str, content: Any) -> Any:
    """What `read_columns` is given: a file of this content, its relative name being `name`, or a mapping itself."""
    if not isinstance(content, str | bytes):
        return content
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("name", "content"), GOOD.values(), ids=GOOD)
def test_good_data(name: str, content: Any, tmp_path: Path) -> None:
    columns = read_columns(put(tmp_path, name, content), ["x", "y", "not_there"])
    assert listed(columns) == TABLE
    assert (columns.source, columns.rows) == (name, 3)
    assert [column for column in columns.names if column in TABLE] == ["x", "y"]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_truths_and_integers_become_numbers(name: str, tmp_path: Path) -> None:
    table = {"x": [True, False, True], "y": [2**53 + 1, 0, -7]}
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    content: dict[str, Any] = {
        "a.csv": "x,y\n" + "".join(f"{row['x']},{row['y']}\n" for row in rows),
        "a.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "a.parquet": parquet_of(table),
    }
    columns = read_columns(put(tmp_path, name, content[name]), {"x", "y"})
    assert listed(columns) == {"x": [1, 0, 1], "y": [2.0**53, 0, -7]}


@pytest.mark.parametrize("kind", ["float16", "float32", "int8", "uint64", "decimal128(9, 4)"])
def test_types_of_parquet(kind: str, tmp_path: Path) -> None:
    exact = pyarrow.decimal128(9, 4) if "decimal" in kind else pyarrow.type_for_alias(kind)
    column = pyarrow.array([1.0, 2.0]).cast(exact)
    assert listed(read_columns(put(tmp_path, "a.pq", parquet_of({"x": column})), ["x"])) == {"x": [1, 2]}


def test_names(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "y\u0302, x ,,x\n1,2,3,4\n")
    columns = read_columns(Path("a.csv"), {"ŷ", "w"})
    assert columns.names == ("ŷ", "x", "", "x")
    assert listed(columns) == {"ŷ": [1]}
    assert read_columns("a.csv", {"w"}) == Columns("a.csv", 0, columns.names, {})


def test_standard_input_is_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(NAMED.encode())))
    columns = read_columns("-", {"x", "y"})
    assert columns.source == "standard input"
    assert listed(columns) == TABLE


@pytest.mark.skipif(os.name == "nt", reason="a pipe with a name")
def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    if os.fork() == 0:
        (tmp_path / "a.csv").write_text(NAMED)
        os._exit(0)
    assert listed(read_columns("a.csv", {"x", "y"})) == TABLE
    os.wait()


LATE = "x,name,y\n" + '1,"two\nlines",2\n' * 70_000
HINT = "write a number there or leave the row out"
FILL = "fill it or leave the row out"
FINITE = "write a finite number there or leave the row out"
CELLS = "give every row as many cells as the header"
QUOTES = 'close every quote; inside of a quoted cell, write it twice: ""'
OBJECT = 'write one object on every line, such as {"x": 1, "y": 2}'
SEQUENCE = "give a sequence with one number for every row"


class Bad(NamedTuple):
    """A file, or a mapping, and the whole message; `hint` is without the line it names, and `line` is that line."""

    id: str
    name: str
    content: Any
    message: str
    hint: str = ""
    line: int = 0


BAD = [
    Bad("text", "a.csv", "x,y\n1,2\n1,3\n1,abc\n1,def\n", 'column y has no number in row 3: "abc"', HINT, 4),
    Bad("first-row", "a.csv", "x,y\nb,a\n", 'column x has no number in row 1: "b"', HINT, 2),
    Bad("long", "a.csv", f"x\n{'a' * 99}\n", f'column x has no number in row 1: "{"a" * 40}…"', HINT, 2),
    Bad("control", "a.csv", "x\n\x1b[31m\n", r'column x has no number in row 1: "\x1b[31m"', HINT, 2),
    Bad("undecodable", "a.csv", b"x\n1\n\xff\n", r'column x has no number in row 2: "\udcff"', HINT, 3),
    Bad("unusual-digits", "a.csv", "x\n१\n", 'column x has no number in row 1: "१"', HINT, 2),
    Bad("underscore", "a.csv", "x\n1_000\n", 'column x has no number in row 1: "1_000"', HINT, 2),
    Bad("date", "a.csv", "x\n2020-01-01\n", 'column x has no number in row 1: "2020-01-01"', HINT, 2),
    Bad("after-blank", "a.csv", "x,y\n\n1,2\n\n1,a\n", 'column y has no number in row 2: "a"', HINT, 5),
    Bad("late", "a.csv", LATE + "1,2,a\n", 'column y has no number in row 70,001: "a"', HINT, 140_002),
    Bad("late-gap", "a.csv", LATE + "1,2,\n", "column y has a gap in row 70,001", FILL, 140_002),
    Bad("late-width", "a.csv", LATE + "1,2\n", "row 70,001 has 2 cells, the header has 3", CELLS, 140_002),
    Bad("gap", "a.csv", "x,y\n1,2\n1,\n", "column y has a gap in row 2", FILL, 3),
    Bad("gap-of-spaces", "a.csv", "x,y\n1,  \n", "column y has a gap in row 1", FILL, 2),
    Bad("gap-in-one-column", "a.csv", " \nx\n1\n \n2\n", "column x has a gap in row 2", FILL, 4),
    Bad("gap-quoted", "a.csv", 'x\n1\n""\n2\n', "column x has a gap in row 2", FILL, 3),
    *(Bad(w, "a.csv", f"x\n1\n{w}\n", "column x has a gap in row 2", FILL, 3) for w in ("NA", "NaN", "null", " n/a")),
    *(
        Bad(w, "a.csv", f"x\n1\n{w}\n", f'column x has no finite number in row 2: "{w}"', FINITE, 3)
        for w in ("inf", "-Infinity", "1e999", "-1e999")
    ),
    Bad("wide", "a.csv", "x,y\n1,2\n1,2,a\n", "row 2 has 3 cells, the header has 2", CELLS, 3),
    Bad("narrow", "a.csv", "x,y\n1\n1,2\n", "row 1 has 1 cell, the header has 2", CELLS, 2),
    Bad("width-later", "a.csv", "x,y\n1,a\n1\n", 'column y has no number in row 1: "a"', HINT, 2),
    Bad(
        "comma-quoted",
        "a.csv",
        'x\n"1,5"\n',
        'column x has no number in row 1: "1,5"',
        "write decimals with a point, and thousands without a comma",
        2,
    ),
    Bad(
        "comma",
        "a.csv",
        "x,y\n1,5,2,5\n",
        "row 1 has 4 cells, the header has 2",
        "write decimals with a point, 1.5 and not 1,5",
        2,
    ),
    Bad(
        "semicolons",
        "a.csv",
        "x;y\n1,5;2,5\n",
        "the columns of a.csv are separated by semicolons",
        "separate them with commas, and write decimals with a point",
    ),
    Bad(
        "tabs",
        "a.csv",
        "x\ty\n1\t2\n",
        "the columns of a.csv are separated by tabs",
        "separate them with commas, or let its name end with .tsv",
    ),
    Bad(
        "commas",
        "a.tsv",
        "x,y\n1,2\n",
        "the columns of a.tsv are separated by commas",
        "separate them with tabs, or let its name end with .csv",
    ),
    Bad("twice", "a.csv", "x,y, x\n1,2,3\n", "column x is 2 times in a.csv", "rename all but one"),
    Bad(
        "mixed",
        "a.csv",
        "x\ntrue\n1\n",
        'column x mixes true and false with numbers in row 2: "1"',
        "write 1 for true and 0 for false",
        3,
    ),
    Bad(
        "open-quote",
        "a.csv",
        'x,y\n1,2\n1,"2\n1,2\n',
        "the quotes do not match in the row that begins in line 3 of a.csv",
        QUOTES,
    ),
    Bad(
        "open-quote-elsewhere",
        "a.csv",
        'x,n\n1,"a\n2,b\n',
        "the quotes do not match in the row that begins in line 2 of a.csv",
        QUOTES,
    ),
    Bad(
        "open-quotes",
        "a.csv",
        'x,n\n1,"a\n2,"b\n3,\n',
        "the quotes do not match in the row that begins in line 2 of a.csv",
        QUOTES,
    ),
    Bad("before-an-open-quote", "a.csv", 'x,n\na,1\n1,"2\n', 'column x has no number in row 1: "a"', HINT, 2),
    Bad("empty", "a.csv", "", "a.csv is empty", "its first line names the columns"),
    Bad("blank", "a.csv", "\n \n", "a.csv is empty", "its first line names the columns"),
    Bad("no-rows", "a.csv", "x,y\n", "a.csv has no rows", "training takes at least one"),
    Bad("no-rows-no-newline", "a.csv", "x,y", "a.csv has no rows", "training takes at least one"),
    Bad("latin-1", "a.csv", "x,größe\n1,2\n".encode("latin-1"), "a.csv is not UTF-8 text", "save it as UTF-8"),
    Bad("utf-16", "a.csv", "x,y\n1,2\n".encode("utf-16"), "a.csv is not UTF-8 text", "save it as UTF-8"),
    Bad("utf-16-bare", "a.csv", "x,y\n1,2\n".encode("utf-16-le"), "a.csv is not UTF-8 text", "save it as UTF-8"),
    Bad(
        "endless-line",
        "a.csv",
        "x," * 600_000,
        "the first line of a.csv has more than 1,000,000 characters",
        "it names the columns",
    ),
    Bad("no-gzip", "a.csv.gz", "x,y\n1,2\n", "cannot read a.csv.gz: it is not a gzip file, or a broken one"),
    Bad(
        "half-gzip",
        "a.csv.gz",
        gzip.compress(LATE.encode())[:-30],
        "cannot read a.csv.gz: it is not a gzip file, or a broken one",
    ),
    Bad(
        "json", "a.jsonl", '{"x": 1}\n\n{"x": two}\n', 'line 3 of a.jsonl is not JSON\n  {"x": two}\n        ^', OBJECT
    ),
    Bad("json-array", "a.jsonl", '[{"x": 1}]', "line 1 of a.jsonl is not an object", OBJECT),
    Bad("json-later", "a.jsonl", '{"x": 1}\n3\n', "line 2 of a.jsonl is not an object", OBJECT),
    Bad("json-empty", "a.jsonl", "\n", "a.jsonl is empty", OBJECT),
    Bad("json-text", "a.jsonl", '{"x":1}\n{"x":"abc"}\n', 'column x has no number in row 2: "abc"', HINT, 2),
    Bad(
        "json-quoted",
        "a.jsonl",
        '{"x":1}\n{"x":"2"}\n',
        'column x has no number in row 2: "2"',
        "write the number without quotes",
        2,
    ),
    Bad(
        "json-list",
        "a.jsonl",
        '{"x":1}\n\n{"x":[1]}\n',
        "column x has a list in row 2, not a number",
        "give one number for every row",
        3,
    ),
    Bad(
        "json-object",
        "a.jsonl",
        '{"x":{"a":1}}',
        "column x has an object in row 1, not a number",
        "give one number for every row",
        1,
    ),
    Bad("json-null", "a.jsonl", '{"x":1}\n{"x":null}\n', "column x has a gap in row 2", FILL, 2),
    Bad("json-missing", "a.jsonl", '{"x":1}\n{"y":1}\n', "column x has a gap in row 2", FILL, 2),
    Bad("json-late-key", "a.jsonl", '{"x":1}\n{"x":1,"y":1}\n', "column y has a gap in row 1", FILL, 1),
    Bad("json-late-text", "a.jsonl", '{"x":1}\n{"x":1,"y":"a"}\n', "column y has a gap in row 1", FILL, 1),
    Bad("json-nan", "a.jsonl", '{"x":1}\n{"x":NaN}\n', "column x has no finite number in row 2: nan", FINITE, 2),
    Bad("json-huge", "a.jsonl", '{"x":-1e999}', "column x has no finite number in row 1: -inf", FINITE, 1),
    Bad("json-digits", "a.jsonl", f'{{"x":{"9" * 5000}}}', "column x has no finite number in row 1: inf", FINITE, 1),
    Bad(
        "json-deep",
        "a.jsonl",
        '{"x":1}\n{"x":' + "[" * 200_000 + "}",
        "line 2 of a.jsonl has too many brackets inside of each other",
    ),
    Bad(
        "json-twice", "a.jsonl", '{"x":1}\n{"x":1,"x":2}\n', "line 2 of a.jsonl has a key twice", "write every key once"
    ),
    Bad("json-latin-1", "a.jsonl", b'{"x":1,"\xff":2}', "line 1 of a.jsonl is not UTF-8", "save the file as UTF-8"),
    Bad(
        "json-mixed",
        "a.jsonl",
        '{"x":true}\n{"x":2}\n',
        'column x mixes true and false with numbers in row 2: "2.0"',
        "write 1 for true and 0 for false",
        2,
    ),
    Bad("parquet", "a.parquet", "abc", "cannot read a.parquet: it is not a Parquet file, or a broken one"),
    Bad("parquet-empty", "a.parquet", "", "cannot read a.parquet: it is not a Parquet file, or a broken one"),
    Bad(
        "parquet-broken",
        "a.pq",
        parquet_of(TABLE)[:-60] + bytes(52) + parquet_of(TABLE)[-8:],
        "cannot read a.pq: it is not a Parquet file, or a broken one",
    ),
    Bad("parquet-text", "a.pq", parquet_of({"x": ["1"]}), "column x holds text, not numbers", "store it as numbers"),
    Bad(
        "parquet-date",
        "a.pq",
        parquet_of({"x": [date(2020, 1, 1)]}),
        "column x holds dates or times, not numbers",
        "store it as numbers",
    ),
    Bad(
        "parquet-list",
        "a.pq",
        parquet_of({"x": [[1]]}),
        "column x holds list<element: int64>, not numbers",
        "store it as numbers",
    ),
    Bad("parquet-gap", "a.pq", parquet_of({"x": [1] * 70_000 + [None]}), "column x has a gap in row 70,001", FILL),
    Bad(
        "parquet-nan", "a.pq", parquet_of({"x": [1.0, math.nan]}), "column x has no finite number in row 2: nan", FINITE
    ),
    Bad("parquet-nulls", "a.pq", parquet_of({"x": [None]}), "column x has a gap in row 1", FILL),
    Bad(
        "parquet-no-rows",
        "a.pq",
        parquet_of({"x": pyarrow.array([], pyarrow.float64())}),
        "a.pq has no rows",
        "training takes at least one",
    ),
    Bad(
        "suffix",
        "a.xlsx",
        "",
        "the name of a.xlsx does not end with a known suffix",
        "use a file with one of .csv, .tsv, .tab, .jsonl, .ndjson, .parquet, .pq; or - for CSV from standard input",
    ),
    Bad("list-text", "data", {"x": [1, "abc"]}, 'column x has no number in row 2: "abc"', HINT),
    Bad("list-gap", "data", {"x": [1, None]}, "column x has a gap in row 2", FILL),
    Bad("list-nan", "data", {"x": [1, math.nan]}, "column x has no finite number in row 2: nan", FINITE),
    Bad("list-huge", "data", {"x": [1, 10**400]}, "column x has no finite number in row 2: inf", FINITE),
    Bad(
        "list-nested",
        "data",
        {"x": [[1], [2]]},
        "column x has a list in row 1, not a number",
        "give one number for every row",
    ),
    Bad("list-complex", "data", {"x": [1j]}, 'column x has no number in row 1: "1j"', HINT),
    Bad("list-empty", "data", {"x": []}, "data has no rows", "training takes at least one"),
    Bad(
        "lengths",
        "data",
        {"x": [1, 2], "y": [1]},
        "column x has 2 rows and column y has 1",
        "give every column the same number of rows",
    ),
    Bad("matrix", "data", {"x": torch.ones(2, 2)}, "column x has 2 dimensions", SEQUENCE),
    Bad("number", "data", {"x": 1.5}, "column x is a float", SEQUENCE),
    Bad("string", "data", {"x": "12"}, "column x is a str", SEQUENCE),
    Bad("sparse", "data", {"x": torch.ones(2).to_sparse()}, "column x is a Tensor that gives no list", SEQUENCE),
    Bad(
        "neither",
        "data",
        [1, 2],
        "no columns can be read from a list",
        "give the name of a file, or a mapping from names to sequences of numbers",
    ),
]


@pytest.mark.parametrize("bad", BAD, ids=[bad.id for bad in BAD])
def test_bad_data(bad: Bad, tmp_path: Path) -> None:
    with pytest.raises(OptionError) as refused:
        read_columns(put(tmp_path, bad.name, bad.content), {"x", "y"})
    hint = f"line {bad.line:,} of {bad.name}: {bad.hint}" if bad.line else bad.hint
    assert str(refused.value) == bad.message + (f"\n  {hint}" if hint else "")


def test_bad_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.csv").mkdir()
    put(tmp_path, "secret.csv", "x\n1\n")
    monkeypatch.setattr(sys, "stdin", None)
    refused = {
        "no.csv": "there is no file no.csv",
        "folder.csv": "folder.csv is a folder, not a file",
        "": "the name of the data file is empty",
        "a\0.csv": "cannot read a\\x00.csv: ",
        "secret.csv/a.csv": "cannot read secret.csv/a.csv: Not a directory",
        "-": "standard input is closed",
    }
    for name, message in refused.items():
        with pytest.raises(OptionError) as error:
            read_columns(name, {"x"})
        assert str(error.value).startswith(message)
    (tmp_path / "secret.csv").chmod(0)
    if not os.access("secret.csv", os.R_OK):
        with pytest.raises(OptionError, match=r"cannot read secret\.csv: Permission denied"):
            read_columns("secret.csv", {"x"})


FINITE_FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(FINITE_FLOATS, st.text(max_size=8), FINITE_FLOATS), min_size=1, max_size=50))
def test_every_float_comes_back(tmp_path: Path, rows: list[tuple[float, str, float]]) -> None:
    """Bit for bit, from each format and beside any text, from the fast and from the careful reading."""
    rows = [(x, text.replace("\0", "").encode("utf-8", "ignore").decode(), y) for x, text, y in rows]
    cells = [(repr(x), '"' + text.replace('"', '""') + '"', repr(y)) for x, text, y in rows]
    content: dict[str, Any] = {
        "a.csv": "x,text,y\n" + "".join(",".join(row) + "\n" for row in cells),
        "a.tsv": "x\ttext\ty\r\n" + "".join("\t".join(row) + "\r\n" for row in cells),
        "a.jsonl": "".join(json.dumps({"x": x, "text": text, "y": y}) + "\n" for x, text, y in rows),
        "a.parquet": parquet_of(dict(zip(("x", "text", "y"), zip(*rows, strict=True), strict=True))),
    }
    content["data"] = {"x": [row[0] for row in rows], "y": [row[2] for row in rows]}
    expected = {name: array("d", column).tobytes() for name, column in content["data"].items()}
    for name in content:
        assert read_columns(put(tmp_path, name, content[name]), {"x", "y"}).values == expected, name


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_both_readings_agree(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content: dict[str, Any] = {
        "a.csv": "x,n,y\n1,a,0.1\n-2.5,b,0\n3e-7,c,1e22\n",
        "a.tsv": GOOD["tsv"][1],
        "a.jsonl": GOOD["jsonl"][1],
        "a.parquet": GOOD["parquet"][1],
    }
    put(tmp_path, name, content[name])
    module = {".csv": delimited, ".tsv": delimited, ".jsonl": json_lines, ".parquet": parquet}[Path(name).suffix]
    careful: list[Any] = []
    original: Callable[..., Any] = module._careful
    monkeypatch.setattr(module, "_careful", lambda *given: careful.append(given) or original(*given))
    fast = read_columns(name, {"x", "y"})
    assert not careful, "good data is read by PyArrow alone"
    monkeypatch.setattr(module, "float64_views" if module is parquet else "_fast", lambda *given: None)
    assert read_columns(name, {"x", "y"}) == fast
    assert careful


def test_a_wide_sum_is_no_infinity(tmp_path: Path) -> None:
    """The check for infinities adds the numbers up; where that alone overflows, they are read with care."""
    put(tmp_path, "a.csv", "x\n1e308\n1e308\n")
    assert listed(read_columns("a.csv", {"x"})) == {"x": [1e308, 1e308]}


@pytest.mark.parametrize("last", ["2", "+2", " 2 "])
def test_line_breaks_in_many_cells(last: str, tmp_path: Path) -> None:
    """What PyArrow does not read is read many rows at a time, and each row once."""
    put(tmp_path, "a.csv", LATE + f'1,"two\nlines",{last}\n')
    assert listed(read_columns("a.csv", {"x", "y"})) == {"x": [1] * 70_001, "y": [2] * 70_001}


def test_every_suffix_is_known() -> None:
    assert {Path(name).suffix for name, _ in GOOD.values()} >= data.READERS.keys()


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    numpy.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def saved(tensor: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(tensor, stream)
    return stream.getvalue()


MATRIX = numpy.array([[1.0, -2.5], [3e-7, 4.0], [0.0, 1e22]])
WRITTEN = "1,-2.5\n3e-7,4\n0,1e22\n"
TENSORS = {
    "csv": ("a.csv", WRITTEN),
    "csv-names": ("a.csv", '\ufeff"x"," y"\r\n\r\n' + WRITTEN.replace("\n", "\r\n\n")),
    "csv-names-twice": ("a.csv", "Na,Na\n" + WRITTEN),
    "csv-spaces": ("a.csv", WRITTEN.replace(",", " , ")),
    "csv-gz": ("a.csv.gz", gzip.compress(WRITTEN.encode())),
    "tsv": ("a.TSV", WRITTEN.replace(",", "\t")),
    "txt": ("a.txt", "  1  -2.5 \n3e-7 4\n\n0\t1e22"),
    "txt-names": ("a.txt", "x y\n1 -2.5\n3e-7 4\n0 1e22"),
    "json": ("a.json", json.dumps(MATRIX.tolist())),
    "npy": ("a.npy", npy(MATRIX)),
    "npy-fortran": ("a.npy", npy(numpy.asfortranarray(MATRIX))),
    "npy-big-endian": ("a.npy", npy(MATRIX.astype(">f8"))),
    "pt": ("a.pt", saved(torch.tensor(MATRIX))),
}


@pytest.mark.parametrize(("name", "content"), TENSORS.values(), ids=TENSORS)
def test_tensors_in_files(name: str, content: Any, tmp_path: Path) -> None:
    found = read_tensor(put(tmp_path, name, content))
    assert (found.shape, found.nested()) == ((3, 2), MATRIX.tolist())


def test_one_column_is_a_vector(tmp_path: Path) -> None:
    for name, content in {"a.csv": "x\n1\n\n2\n", "b.csv": "1\n2", "c.csv": "1\n" * 9_000}.items():
        found = read_tensor(put(tmp_path, name, content))
        assert found.shape == (9_000 if name == "c.csv" else 2,)
    assert read_tensor(put(tmp_path, "d.csv", "true,false\n")).nested() == [[1, 0]]


HEADER = npy(numpy.ones(2))
NO_TENSOR = {
    "empty-npy": ("a.npy", b"", "cannot read a.npy: it is not a .npy file of NumPy"),
    "zipped-npy": ("a.npy", b"PK\x03\x04" + HEADER, "cannot read a.npy: it is not a .npy file of NumPy"),
    "text-npy": ("a.npy", "1,2\n", "cannot read a.npy: it is not a .npy file of NumPy"),
    "short-npy": ("a.npy", HEADER[:-5], "cannot read a.npy: Failed to read all data"),
    "torn-npy": ("a.npy", HEADER.replace(b"'fortran_order'", b"('ortran_order'"), "cannot read a.npy: "),
    "lying-npy": ("a.npy", HEADER.replace(b"(2,)", b"(99999999999999,)"), "cannot read a.npy: "),
    "vast-npy": ("a.npy", HEADER.replace(b"(2,)", b"(9" + b"9" * 30 + b",)"), "cannot read a.npy: "),
    "objects-npy": ("a.npy", npy(numpy.array([10**400], dtype=object)), "cannot read a.npy: Object arrays"),
    "complex-npy": ("a.npy", npy(numpy.ones(2) * 1j), "a.npy holds complex128, not real numbers"),
    "nan-npy": ("a.npy", npy(numpy.array([math.nan])), "a.npy has an element that is not finite"),
    "empty-pt": ("a.pt", b"", "cannot read a.pt: "),
    "dict-pt": ("a.pt", saved({"x": 1}), "cannot read a.pt: it holds no tensor of real numbers"),
    "sparse-pt": ("a.pt", saved(torch.eye(3).to_sparse()), "cannot read a.pt: its tensor is not dense: save x"),
    "meta-pt": ("a.pt", saved(torch.zeros(3, device="meta")), "cannot read a.pt: its tensor is on the device meta"),
    "expanded-pt": ("a.pt", saved(torch.zeros(1).expand(10**6, 10**6)),
                    "cannot read a.pt: its tensor has 1,000,000,000,000 elements, and "),
    "module-pt": ("a.pt", saved(torch.nn.Linear(1, 1)), "cannot read a.pt: Weights only load failed"),
    "bomb-npy": ("a.npy.gz", gzip.compress(npy(numpy.zeros(10, "int8")).replace(b"(10,)", b"(9999999999,)"), 9),
                 "cannot read a.npy.gz: "),
    "pt-gz": ("a.pt.gz", b"", "cannot read a.pt.gz: PyTorch reads a file that is neither a pipe nor compressed"),
    "long-cell": ("a.csv", "1,2\n1," + "a" * 200_000, f'column 2 has no number in row 2: "{"a" * 40}…"\n  line 2 of a'),
    "digits": ("a.csv", "9" * 400, f'column 1 has no finite number in row 1: "{"9" * 40}…"'),
    "gap": ("a.csv", "1,2\n3,\n", "column 2 has a gap in row 2\n  line 2 of a.csv: fill it"),
    "width": ("a.csv", "1,2\n3\n", "row 2 has 1 cell, the first row has 2"),
    "width-of-names": ("a.csv", "x,y\n3\n", "row 1 has 1 cell, the header has 2"),
    "underscore": ("a.csv", "1_0\n", 'column 1 has no number in row 1: "1_0"'),
    "no-rows": ("a.csv", "x,y\n", "a.csv has no rows of numbers"),
    "nothing": ("a.csv", "", "a.csv has no rows of numbers"),
    "utf-16": ("a.csv", "1,2\n".encode("utf-16"), "a.csv is not UTF-8 text"),
    "json-digits": ("a.json", f"[1,{'9' * 5000}]", "the value of a.json has an element that is not finite"),
    "json-deep": ("a.json", "[" * 900 + "1" + "]" * 900, "the value of a.json has 900 axes"),
    "json-too-deep": ("a.json", "[" * 90_000, "a.json is no JSON: "),
    "json-object": ("a.json", "{}", "a.json holds no list of numbers"),
    "json-rows": ("a.json", "[[1,2],[3]]", "the value of a.json is not a tensor: the rows have different lengths"),
    "json-latin-1": ("a.json", b"\xff", "a.json is not UTF-8"),
    "suffix": ("a.xlsx", b"", "the name of a.xlsx does not end with a known suffix"),
}


@pytest.mark.parametrize(("name", "content", "message"), NO_TENSOR.values(), ids=NO_TENSOR)
def test_no_tensor_in_a_file(name: str, content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(GradexplainError) as refused:
        read_tensor(put(tmp_path, name, content))
    assert str(refused.value).startswith(message)


def test_what_is_too_large_for_the_memory_is_refused_before_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "most_elements", lambda: 1_000)
    with pytest.raises(PointError, match="the value of X has more than 1,000 elements"):
        read_point("X=zeros(40,40)")
    for name, content in {"a.csv": "1\n" * 5_000, "b.csv.gz": gzip.compress(b"1\n" * 5_000)}.items():
        with pytest.raises(OptionError, match=f"{name} has more than 8,000 bytes"):
            read_tensor(put(tmp_path, name, content))
    with pytest.raises(OptionError, match=r"c\.npy has 2,000 elements, and 1,000 are taken"):
        read_tensor(put(tmp_path, "c.npy", npy(numpy.zeros(2_000, "int8"))))
    with pytest.raises(OptionError, match=r"cannot read d\.pt: its tensor has 2,000 elements, and 1,000 are taken"):
        read_tensor(put(tmp_path, "d.pt", saved(torch.zeros(1).expand(2_000))))
    monkeypatch.setattr(memory, "most_elements", lambda: 2_000_000)
    message = "take about 216 MB of memory, and 96 MB are free\n  the largest has the shape 1500x1500"
    with pytest.raises(GradexplainError, match=message):
        derive("sum(X*X)", shape="X=1500x1500")


def test_the_memory_that_is_free() -> None:
    assert 1 << 20 < memory.free() < 1 << 45
    assert memory.most_elements() == memory.most_elements() > 1_000_000


@pytest.mark.skipif(os.name == "nt", reason="links and pipes with names")
def test_files_that_are_none(tmp_path: Path) -> None:
    for name in ("a.csv", "a.npy", "a.pt"):
        (tmp_path / name).symlink_to(name)
        with pytest.raises(OptionError, match=f"cannot read {name}: Too many levels of symbolic links"):
            read_tensor(name)
    with pytest.raises(OptionError, match=r"there is no home folder ~no_such_user"):
        read_tensor("~no_such_user/a.csv")
    with pytest.raises(OptionError, match=r"cannot write a\.csv: Too many levels of symbolic links"):
        writable(Path("a.csv"))


def test_numbers_beside_lists() -> None:
    """A number that takes exact arithmetic may stand behind a list, and in one."""
    point = read_point("X=[[1,2],[1/3,sqrt(2)]], w=sqrt(2), v=-2*[1, pi]")
    assert held_numbers("w", point["w"], "float64") == math.sqrt(2)
    assert point["X"].tensor == Tensor.of([[1, 2], [1 / 3, math.sqrt(2)]])
    assert point["v"].tensor == Tensor.of([-2, -2 * math.pi])
    with pytest.raises(PointError, match="the value of X has the shape 2x2, and is not a number"):
        held_value("X", point["X"], "float64")
    with pytest.raises(PointError, match="is too small for float64, which would hold 0"):
        held_value("w", read_point("w=exp(-1000)")["w"], "float64")
    with pytest.raises(PointError, match="the value of w is a division by zero"):
        held_value("w", read_point("X=[1,2],w=1/(1-1)")["w"], "float64")


@pytest.mark.parametrize("value", [[10**400], [[1], 2], ["a"], [None]])
def test_lists_that_are_no_tensor(value: Any) -> None:
    with pytest.raises(PointError, match="the value of x is not a tensor: "):
        read_point({"x": value})


@pytest.mark.parametrize("shape", ["X=4²", "X=" + "9" * 5000, {"X": None}, {"X": 1.5}, {"X": [True]}])
def test_shapes_that_are_none(shape: Any) -> None:
    with pytest.raises(OptionError, match="in the shape of X is no size"):
        read_shapes(shape)
