"""Vectors and matrices from files: `X=@file.csv` in `--at`."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gradexplain.data import delimited, memory
from gradexplain.data.point import finite, tensor_of
from gradexplain.data.sources import FileSource, expanded, find_source, too_large
from gradexplain.errors import OptionError, PointError
from gradexplain.tensor import Tensor

# A name, an equals sign and a file, up to the next comma.
ASSIGNMENT = re.compile(r"(?:^|(?<=[,;]))\s*([^\W\d]\w*)\s*=\s*@([^,;]+)\s*(?:[,;]|$)")
MAX_BYTES = 500_000_000
NUMPY_FILE = b"\x93NUMPY"


def read_files(text: str) -> tuple[str, dict[str, Tensor]]:
    """The text of a point without its files, and the tensors in these, by name. Raises OptionError or PointError.

    >>> read_files("w=1,b=0")
    ('w=1,b=0', {})
    """
    found: dict[str, Tensor] = {}
    for match in ASSIGNMENT.finditer(text):
        name = match.group(1)
        if name in found:
            raise PointError(f"{name} is given twice", hint="keep one of the values")
        found[name] = read_tensor(match.group(2).strip())
    return ASSIGNMENT.sub("", text), found


def read_tensor(name: str) -> Tensor:
    """The tensor in a file, by its suffix: .csv, .tsv or .txt (numbers, a heading or none), .json, .npy, .pt.

    A file of one column is a vector. Raises OptionError where it cannot be read, PointError for what is no number.
    """
    # What a file says in few bytes, in memory takes one float for each element, and some copies of it.
    most = min(MAX_BYTES, 8 * memory.most_elements())
    source = replace(find_source(expanded(name), READERS), most=most)
    with source.refusing():
        if (len(source.data) if source.data is not None else source.path.stat().st_size) > most:
            raise too_large(source.shown, most)
    return finite(source.shown, READERS[source.suffix](source))


def _delimited(separator: str) -> Callable[[FileSource], Tensor]:
    return lambda source: Tensor.flat(*delimited.read_matrix(source, separator))


def _json(source: FileSource) -> Tensor:
    try:
        with source.open() as stream:
            # Integers of any length are floats soon.
            found = json.loads(stream.read().decode("utf-8-sig"), parse_int=float)
    except UnicodeDecodeError:
        raise OptionError(f"{source.shown} is not UTF-8", hint="convert it, for example with iconv") from None
    except (ValueError, RecursionError) as error:
        raise PointError(f"{source.shown} is no JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(found, list):
        raise PointError(f"{source.shown} holds no list of numbers", hint="such as [[1, 2], [3, 4]]")
    return tensor_of(source.shown, found)


def _numpy(source: FileSource) -> Tensor:
    try:
        from tokenize import TokenError

        from numpy.lib import format as numpy_format
    except ImportError:
        hint = "install it with pip install numpy, or write the file as .csv"
        raise OptionError(f"{source.shown} needs NumPy", hint=hint) from None
    with source.open() as stream:
        if stream.read(len(NUMPY_FILE)) != NUMPY_FILE:
            raise OptionError(f"cannot read {source.shown}: it is not a .npy file of NumPy")
    with source.open() as stream:
        try:
            found: Any = numpy_format.read_array(stream, allow_pickle=False)
        # A header is read with Python's own tokenizer, which has errors of its own.
        except (ValueError, TypeError, OverflowError, MemoryError, SyntaxError, TokenError) as error:
            raise OptionError(f"cannot read {source.shown}: {str(error).splitlines()[0]}") from None
    if found.dtype.kind not in "fiub":
        raise PointError(f"{source.shown} holds {found.dtype}, not real numbers")
    if found.size * 8 > source.most:
        raise OptionError(f"{source.shown} has {found.size:,} elements, and {source.most // 8:,} are taken")
    return Tensor.flat(found.shape, array("d", found.astype("float64").tobytes()))


def _torch(source: FileSource) -> Tensor:
    from gradexplain.readings.worker import WITNESSES

    if source.data is not None or source.compressed:
        raise OptionError(f"cannot read {source.shown}: PyTorch reads a file that is neither a pipe nor compressed")
    WITNESSES.start()
    asked = WITNESSES.ask("gradexplain.data.torch_files:read", (str(source.path), source.most // 8))
    (found,) = WITNESSES.answers(asked)
    if isinstance(found, str):
        raise OptionError(f"cannot read {source.shown}: {found}")
    shape, data = found
    return Tensor.flat(shape, array("d", data))


READERS: dict[str, Callable[[FileSource], Tensor]] = {
    ".csv": _delimited(","), ".tsv": _delimited("\t"), ".txt": _delimited(delimited.SPACES), ".json": _json,
    ".npy": _numpy, ".pt": _torch, ".pth": _torch,
}  # fmt: skip
