"""Where the bytes of a data file come from: a file, plain or compressed, or standard input."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from gradexplain.errors import OptionError

COMPRESSED = ".gz"
NOT_COMPRESSED = (".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class FileSource:
    """A data file that can be read again from its start.

    `shown` is its name in messages, `suffix` tells the format; `data` holds all of it where it can be read only once.
    Of a file that grows when it is decompressed, `most` bytes are read.
    """

    shown: str
    suffix: str
    path: Path
    data: bytes | None = None
    compressed: bool = False
    most: int = sys.maxsize

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes, decompressed. Raises OptionError where reading them fails, then or later inside of `with`."""
        with self.refusing(), contextlib.ExitStack() as stack:
            plain: BinaryIO = io.BytesIO(self.data) if self.data is not None else self.path.open("rb", buffering=0)
            stack.enter_context(plain)
            if self.compressed:
                unpacked = stack.enter_context(gzip.GzipFile(fileobj=plain))
                plain = cast(BinaryIO, _Bounded(unpacked, self.shown, self.most))
            yield plain

    @contextlib.contextmanager
    def text(self) -> Iterator[TextIO]:
        """The text without its byte-order mark; bytes that are no UTF-8 are lone surrogates, see `is_decoded`."""
        with self.open() as plain:
            buffered = cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, plain)))
            yield io.TextIOWrapper(buffered, "utf-8-sig", errors="surrogateescape", newline="")

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """OptionError for what goes wrong with the file itself."""
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise OptionError(f"cannot read {self.shown}: it is not a gzip file, or a broken one") from None
        except OSError as error:
            raise cannot_read(self.shown, error) from None


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more than so many bytes."""

    def __init__(self, stream: gzip.GzipFile, shown: str, most: int) -> None:
        self.stream, self.shown, self.most, self.left = stream, shown, most, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self.stream.readinto(buffer)
        self.left -= count
        if self.left < 0:
            raise too_large(self.shown, self.most)
        return count


def too_large(shown: str, most: int) -> OptionError:
    """The refusal of a file with too many bytes."""
    return OptionError(f"{shown} has more than {most:,} bytes")


def cannot_read(shown: str, error: Exception) -> OptionError:
    """The refusal of a file that the operating system does not give, in its words."""
    reason = getattr(error, "strerror", None) or str(error)
    return OptionError(f"cannot read {shown}: {reason}")


def expanded(name: str) -> Path:
    """The path of this name, `~` being a home folder. Raises OptionError where there is no such folder."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        user, _, _ = name.partition("/")
        raise OptionError(f"cannot read {name}: there is no home folder {user}") from None


def find_source(name: str | os.PathLike[str], known: Iterable[str]) -> FileSource:
    """The file of this name, or standard input for `-`. Raises OptionError unless its suffix is `known`.

    Standard input, and a file that can be read only once such as a pipe, are read to their ends.
    """
    shown = os.fspath(name)
    if not shown:
        raise OptionError("the name of the data file is empty")
    if shown == "-":
        if sys.stdin is None:
            raise OptionError("standard input is closed")
        with FileSource("standard input", "", Path()).refusing():
            return FileSource("standard input", ".csv", Path(), sys.stdin.buffer.read())
    path = Path(shown)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise OptionError(f"there is no file {shown}") from None
    except (OSError, ValueError) as error:
        raise cannot_read(shown, error) from None
    if stat.S_ISDIR(mode):
        raise OptionError(f"{shown} is a folder, not a file")
    *_, inner, last = ["", "", *(suffix.lower() for suffix in path.suffixes)]
    compressed = last == COMPRESSED and inner not in NOT_COMPRESSED
    suffix = inner if compressed else last
    if suffix not in known:
        hint = f"use a file with one of {', '.join(known)}; or - for CSV from standard input"
        raise OptionError(f"the name of {shown} does not end with a known suffix", hint=hint)
    if stat.S_ISREG(mode):
        return FileSource(shown, suffix, path, compressed=compressed)
    if not stat.S_ISFIFO(mode):
        raise OptionError(f"{shown} is neither a file nor a pipe")
    with FileSource(shown, suffix, path).open() as plain:
        return FileSource(shown, suffix, path, plain.read(), compressed)


def is_decoded(text: str) -> bool:
    """Whether every byte of this text, read by `FileSource.text`, was UTF-8.

    >>> is_decoded("ŷ"), is_decoded("\\udcff")
    (True, False)
    """
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)
