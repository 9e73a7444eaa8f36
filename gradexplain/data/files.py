"""Vectors and matrices from files: `X=@file.csv` in `--at`."""

from __future__ import annotations

import csv
import json
import math
import re
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradexplain.errors import OptionError, PointError
from gradexplain.tensor import Tensor

# A name, an equals sign and a file, up to the next comma.
ASSIGNMENT = re.compile(r"(?:^|(?<=[,;]))\s*([^\W\d]\w*)\s*=\s*@([^,;]+)\s*(?:[,;]|$)")
MAX_BYTES = 500_000_000


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
        found[name] = read_tensor(Path(match.group(2).strip()).expanduser())
    return ASSIGNMENT.sub("", text), found


def read_tensor(path: Path) -> Tensor:
    """The tensor in a file, by its suffix: .csv, .tsv or .txt (numbers, a heading or none), .json, .npy, .pt.

    A file of one column is a vector. Raises OptionError where it cannot be read, PointError for what is no number.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise OptionError(f"{path} has no suffix that says how to read it", hint=f"it is one of {', '.join(_READERS)}")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise OptionError(f"{path} has more than {MAX_BYTES:,} bytes")
        return reader(path)
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise OptionError(f"{path} is not UTF-8", hint="convert it, for example with iconv") from None


def _delimited(delimiter: str) -> Callable[[Path], Tensor]:
    def read(path: Path) -> Tensor:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [
                (k, row) for k, row in enumerate(csv.reader(file, delimiter=delimiter), 1) if any(map(str.strip, row))
            ]
        if rows and not any(_is_number(cell) for cell in rows[0][1]):
            rows = rows[1:]
        if not rows:
            raise PointError(f"{path} has no rows of numbers")
        width = len(rows[0][1])
        numbers = array("d")
        for line, row in rows:
            if len(row) != width:
                raise PointError(f"{path}, line {line}: {len(row)} numbers, and {width} in the lines before")
            for cell in row:
                if not _is_number(cell):
                    raise PointError(f"{path}, line {line}: {cell.strip() or 'nothing'} is not a number")
                numbers.append(float(cell))
        return _finite(path, Tensor.flat((len(rows), width) if width > 1 else (len(rows),), numbers))

    return read


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _finite(path: Path, tensor: Tensor) -> Tensor:
    if not math.isfinite(tensor.norm):
        raise PointError(
            f"{path} has an element that is not finite", hint="a gradient can be taken at finite numbers only"
        )
    return tensor


def _json(path: Path) -> Tensor:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise PointError(f"{path} is no JSON: {str(error).splitlines()[0]}") from None
    return _nested(path, found)


def _nested(path: Path, found: Any) -> Tensor:
    from gradexplain.data.tensor_point import tensor_of

    if not isinstance(found, list):
        raise PointError(f"{path} holds no list of numbers", hint="such as [[1, 2], [3, 4]]")
    return tensor_of(str(path), found)


def _numpy(path: Path) -> Tensor:
    try:
        import numpy
    except ImportError:
        raise OptionError(
            f"{path} needs NumPy", hint="install it with pip install numpy, or write the file as .csv"
        ) from None
    try:
        found = numpy.load(path, allow_pickle=False)
    except ValueError as error:
        raise PointError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    if found.dtype.kind not in "fiub":
        raise PointError(f"{path} holds {found.dtype}, not real numbers")
    return _finite(path, Tensor.flat(found.shape, array("d", found.astype("float64").tobytes())))


def _torch(path: Path) -> Tensor:
    from gradexplain.readings.worker import TORCH

    TORCH.start()
    (found,) = TORCH.answers(TORCH.ask("gradexplain.readings.torch_files:read", str(path)))
    if isinstance(found, str):
        raise PointError(f"{path} cannot be read: {found}")
    shape, data = found
    return _finite(path, Tensor.flat(shape, array("d", data)))


_READERS: dict[str, Callable[[Path], Tensor]] = {
    ".csv": _delimited(","), ".tsv": _delimited("\t"), ".txt": _delimited(" "), ".json": _json, ".npy": _numpy,
    ".pt": _torch, ".pth": _torch,
}  # fmt: skip
