"""Texts, values, shapes and files that nobody would write: only a refusal of ours may come of them, and soon."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gradexplain.cli.inputs import read_points
from gradexplain.data.columns import read_columns
from gradexplain.data.files import read_files
from gradexplain.data.point import read_point
from gradexplain.data.shapes import bind_sizes, read_shapes
from gradexplain.language.parse import parse
from gradexplain.rules.table import ALIASES, RULES

from .compare import shapes_of
from .grow import grown
from .measure import Problem, attempt


def _split(text: str) -> list[str]:
    return text.split()


WORDS = (
    *_split("x y w b A B t e pi E I π λ ŷ n d torch F np nn math dim keepdim axis out g a None True False inf nan"),
    *_split("""+ - * / ** @ ( ) [ ] , . : ; = == != < > <= >= ... ' " # ~ ! | & % ^ { } \\ $ ` ? := -> += // <<"""),
    *_split("0 1 2 -1 3.5 1e3 1e400 .5 5. 0x10 1_000 1e-400 00 1j 10**10 9999999999999999999999 .T .mT .shape .sum"),
    *_split("lambda if else for in import not and or is def é × ÷ √ ² ½ ≤ ∞ 𝑥 ´ “ ” .values x.shape[0] x[ x[0] x[1:]"),
    *_split("sum( torch. nn.ReLU()( float('inf') dim= 'fro' size( len( tensor( [[1,2],[3]] x.T.T f( () [] **-"),
    *("\n", "\t", "\r", "\0", "\u202e", "\ufeff", "[1, 2]", "x[..., None]", "nn.Linear(2, 3)(", "x = ", " "),
    *(f"{name}(" for name in (*RULES, *ALIASES)),
)
SHAPES = ({}, {"x": (3,), "A": (3, 3)}, {"x": ("n",), "A": ("n", "d"), "y": ("n",)}, {"x": (0,), "A": (2, 3, 4)})


@cache
def _good(seed: int) -> tuple[tuple[str, dict[str, Any]], ...]:
    cases = [grown(f"texts/{seed}/{k}", k % 3 == 0) for k in range(200)]
    return tuple((case.text, shapes_of(case.used)) for case in cases)


def _soup(rng: random.Random, words: tuple[str, ...] = WORDS) -> str:
    return rng.choice(("", "", " ")).join(rng.choice(words) for _ in range(rng.randint(1, 14)))


def mutated(rng: random.Random, text: str, words: tuple[str, ...] = WORDS) -> str:
    """A text with a few things left out, put in, doubled or put elsewhere."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice((0, 0, 1, 1, 2, 5)))
        part = text[start:end]
        put = rng.choice(("", rng.choice(words), rng.choice(words), part * 2, part * rng.choice((3, 40)), part[::-1]))
        text = text[:start] + put + text[end:]
    return text


def text_case(seed: str) -> tuple[list[Problem], str]:
    """A text, parsed; what was found, and the text."""
    rng = random.Random(seed)
    good, shapes = rng.choice(_good(int(seed.split("/")[1])))
    text = _soup(rng) if rng.random() < 0.4 else mutated(rng, good)
    shapes = shapes if rng.random() < 0.5 else rng.choice(SHAPES)
    return attempt(lambda: parse(text, list(shapes), shapes), "")[1], f"{text!r} {shapes}"


VALUES = (
    *_split("1 -2.5 1/3 sqrt(2) pi 1e400 [1,2] [[1,2],[3,4]] [[1],[2,3]] [] [[]] 1/0 x zeros(2,3) ones(3) eye(2) nan"),
    *_split("inf 10**400 1e-400 @ log(-1) [1,[2]] 0**0 True (1,2) [1,2]*2 zeros(100000,100000) eye(99999) 2**0.5"),
    *_split("[nan] 'a' 3x4 n 4,3 -1 0 1e3 99999999999999999999 4×3 2**64 n*d max [3] ½ 2.0"), "n x d", "(2, 3)", "",
)  # fmt: skip
NAMES = (*_split("x y X λ x1 1x pi e n X[0] _ x="), "", "x y")
MARKS = (*_split("= , ; [ ] ( ) @ x - . ' * 9 e # / \""), " ", "\n", "\0", "\u202e")
# What Python or JSON may hold, and cells of a table.
PLAIN = (0, 1, -2.5, 1e308, 10**400, True, None, "1/3", "x", "", "[1,2]", float("nan"), float("inf"), "ŷ", 2**64)
CELLS = (*_split("1 2.5 nan x y 1e400 \"1\" \" 1,5 - inf 1_0 0x1 é"), "", " 3 ", "9" * 500, "\0")


def _pairs(rng: random.Random) -> str:
    pairs = [f"{rng.choice(NAMES)}={rng.choice(VALUES)}" for _ in range(rng.randint(1, 3))]
    text = rng.choice((",", ", ", ";", " ")).join(pairs)
    return mutated(rng, text, MARKS) if rng.random() < 0.6 else text


def value_case(seed: str) -> tuple[list[Problem], str]:
    """Values, shapes or a file, read; what was found, and what it was."""
    rng = random.Random(seed)
    kind = rng.choice(("at", "shape", "both", "json", "csv", "npy", "tensor", "python"))
    if kind in ("at", "shape", "both"):
        at, shape = _pairs(rng), _pairs(rng)

        def read() -> Any:
            shapes = read_shapes(shape) if kind != "at" else {}
            point = read_point(at) if kind != "shape" else {}
            return bind_sizes(shapes, {name: given.tensor for name, given in point.items()})

        return attempt(read, "")[1], f"{kind} --at {at!r} --shape {shape!r}"
    if kind == "python":
        value = _object(rng, 3)
        return attempt(lambda: read_point({"x": value}), "")[1], repr({"x": value})[:300]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"data{rng.choice(SUFFIXES[kind])}"
        content = CONTENTS[kind](rng)
        path.write_bytes(content)
        readers: tuple[Callable[[], Any], ...] = (
            lambda: read_points([f"@{path}"]), lambda: read_columns(path, ["x", "y"]), lambda: read_files(f"X=@{path}"),
        )  # fmt: skip
        return attempt(rng.choice(readers if kind != "npy" else readers[2:]), "")[1], f"{path.name} {content[:200]!r}"


def _object(rng: random.Random, depth: int) -> Any:
    """Anything that Python or JSON may hold."""
    if depth and rng.random() < 0.5:
        parts = [_object(rng, depth - 1) for _ in range(rng.randint(0, 3))]
        return parts if rng.random() < 0.6 else {rng.choice(NAMES): part for part in parts}
    return rng.choice(PLAIN)


def _json(rng: random.Random) -> bytes:
    text = json.dumps(_object(rng, 3)) if rng.random() < 0.7 else "\n".join(
        json.dumps({"x": _object(rng, 1), "y": 1}) for _ in range(3))  # fmt: skip
    return _damaged(rng, text.encode())


def _csv(rng: random.Random) -> bytes:
    head = rng.choice(("x,y\n", "", "x;y\n", "x\n", "\ufeffx,y\n", "x,x\n", "y,x,\n"))
    between = rng.choice((",", ",", ",", ";", "\t", " "))
    end = rng.choice(("\n", "\r\n", "\r"))
    good = rng.random() < 0.5
    cells, widths = CELLS[:2] if good else CELLS, (2, 2, 2, 1, 3)
    rows = [between.join(rng.choice(cells) for _ in range(rng.choice(widths))) for _ in range(4)]
    return _damaged(rng, (head + end.join(rows)).encode())


def _npy(rng: random.Random) -> bytes:
    import io

    stream = io.BytesIO()
    kinds = _split("float64 float32 int8 bool complex64 U3 float16 uint64 datetime64[D] object V4")
    shape = tuple(rng.choice((0, 1, 2, 3)) for _ in range(rng.randint(0, 3)))
    np.save(stream, np.zeros(shape, dtype=rng.choice(kinds)), allow_pickle=True)
    return _damaged(rng, stream.getvalue())


def _damaged(rng: random.Random, content: bytes) -> bytes:
    """The bytes, half of them as they are, else cut, with other bytes in between or in place of them."""
    if rng.random() < 0.5 or not content:
        return content
    place, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    put = rng.choice((b"", b"\xff", b"\0\0", b"9" * 30, b"[" * 3000, b"'", b"(", b"{", rng.randbytes(4), b"1e999"))
    return rng.choice((content[:place], content[:place] + put + content[place:], content[:place] + put + content[end:]))


SUFFIXES = {"json": (".json", ".jsonl"), "csv": (".csv", ".tsv", ".txt", ".csv.gz"), "npy": (".npy",),
            "tensor": (".json", ".csv", ".npy", ".parquet", "")}  # fmt: skip
CONTENTS: dict[str, Callable[[random.Random], bytes]] = {
    "json": _json, "csv": _csv, "npy": _npy, "tensor": lambda rng: rng.choice((_json, _csv, _npy))(rng),
}  # fmt: skip
CASES = {"texts": text_case, "values": value_case}
