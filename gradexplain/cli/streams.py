"""What goes out: results to standard output, all else to standard error, each in what the stream can show."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TextIO

from gradexplain.errors import ASCII, GradexplainError, OptionError, printable

UTF_8 = ("utf-8", "utf8")


def use_color(stream: TextIO, choice: str) -> bool:
    """Whether to colour what goes to `stream`: the option first, then NO_COLOR, FORCE_COLOR and the terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    force = os.environ.get("FORCE_COLOR")
    if force is not None and force not in ("", "0"):
        return True
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def encodes(stream: TextIO, text: str) -> bool:
    """Whether the stream can show every character of the text."""
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def shown_on(stream: TextIO, text: str) -> str:
    """The text in characters that the stream has; what has no ASCII twin becomes an escape."""
    if encodes(stream, text):
        return text
    encoding = stream.encoding or "ascii"
    return text.translate(ASCII).encode(encoding, "backslashreplace").decode(encoding)


def write_result(text: str | bytes) -> None:
    """The result, a text or its UTF-8, to standard output.

    Raises OptionError where that is closed or full, BrokenPipeError as it comes.
    """
    if sys.stdout is None:
        raise OptionError("standard output is closed")
    try:
        if isinstance(text, bytes) and (sys.stdout.encoding or "").lower() in UTF_8:
            sys.stdout.flush()
            sys.stdout.buffer.write(text)
        else:
            text = text if isinstance(text, str) else text.decode()
            sys.stdout.write(shown_on(sys.stdout, text))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # Nothing more can be written, not even when Python closes the stream.
        discard_output()
        raise OptionError(f"cannot write to standard output: {error.strerror or error}") from None


def discard_output() -> None:
    """Send what is still to be written to standard output nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_note(text: str) -> None:
    """A remark, to standard error."""
    if sys.stderr is not None:
        print(printable(f"note: {text}", sys.stderr.encoding), file=sys.stderr)


def write_error(error: GradexplainError | str) -> None:
    """An error, to standard error; it may have several lines."""
    if sys.stderr is None:
        return
    text = error if isinstance(error, str) else error.shown(sys.stderr.encoding)
    print(shown_on(sys.stderr, f"error: {text}"), file=sys.stderr)


def write_to(path: Path | None, text: str | bytes) -> None:
    """The result, a text or its UTF-8, to a file that is there as a whole or not at all, or to standard output.

    Raises OptionError where it cannot be written. A link keeps pointing where it does; what is no regular file, such as
    a pipe, is written to as it is.
    """
    if path is None:
        write_result(text)
        return
    data = text.encode() if isinstance(text, str) else text
    with _reported(path):
        target = _target(path)
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        temporary = _beside(target)
        with _removed_on_error(temporary):
            _begun(temporary, target)
            temporary.write_bytes(data)
            temporary.replace(target)


def writable(path: Path) -> None:
    """Raise OptionError where a file cannot be written, before work is put into what it is to hold."""
    with _reported(path):
        target = _target(path)
        if target.exists() and not target.is_file():
            return
        temporary = _beside(target)
        with _removed_on_error(temporary):
            temporary.touch()
            temporary.unlink()


class Lines:
    """Lines written one by one, to standard output or to a file, which takes its place when all of them are there.

    A context manager. What was written until an interrupt is kept, and what was answered until another process failed;
    where the file itself cannot be written, the old one stays and nothing is left beside it.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.target: Path | None = None
        self.temporary: Path | None = None
        self.waiting: list[str] = []
        self.flushed = time.monotonic()
        self.stream: TextIO | None = None
        self.written = self.broken = False
        # Whoever writes sets it; then a file that nothing was written to does not take the place of the old one.
        self.interrupted = False

    def __enter__(self) -> Lines:
        if self.path is not None:
            with _reported(self.path):
                self.target = _target(self.path)
                regular = not self.target.exists() or self.target.is_file()
                self.temporary = _beside(self.target) if regular else None
                if self.temporary is not None:
                    _begun(self.temporary, self.target)
                self.stream = (self.temporary or self.target).open("w", encoding="utf-8", newline="\n")
        return self

    def write(self, line: str) -> None:
        """Write a line; it is seen at once, or, where lines come in quick succession, with the next ones."""
        self.waiting.append(line)
        if len(self.waiting) >= 1_000 or time.monotonic() - self.flushed > 0.05:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        text, self.waiting = "".join(self.waiting), []
        self.written = self.written or bool(text)
        if self.stream is None:
            write_result(text)
        elif self.path is not None:
            try:
                with _reported(self.path):
                    self.stream.write(text)
                    self.stream.flush()
            except OptionError:
                self.broken = True
                raise
        self.flushed = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self.broken:
                self.flush()
            whole = self.written or (kind is None and not self.interrupted)
            if self.stream is not None and self.path is not None and whole:
                with _reported(self.path):
                    self.stream.close()
                    if self.temporary is not None and self.target is not None and not self.broken:
                        self.temporary.replace(self.target)
        finally:
            if self.stream is not None and self.temporary is not None:
                with contextlib.suppress(OSError):
                    self.stream.close()
                with contextlib.suppress(OSError):
                    self.temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Say in one line what the system has against writing a file."""
    try:
        yield
    except OSError as error:
        raise OptionError(f"cannot write {path}: {error.strerror or error}") from None


def _target(path: Path) -> Path:
    """The file that a path leads to."""
    try:
        target = path.resolve()
    except RuntimeError:
        # Until Python 3.13, what links lead to in a circle is not told as all other things are.
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
    if target.is_dir():
        raise IsADirectoryError(0, "it is a folder")
    return target


def _beside(target: Path) -> Path:
    """Where a file is made before it takes its place."""
    return target.with_name(f".{os.getpid()}.tmp")


def _begun(temporary: Path, target: Path) -> None:
    """Make the file that is to take the place of another one, with the mode of that, before anything is in it."""
    temporary.touch()
    with contextlib.suppress(OSError, AttributeError):
        status = target.stat()
        temporary.chmod(stat.S_IMODE(status.st_mode))
        os.chown(temporary, status.st_uid, status.st_gid)


@contextlib.contextmanager
def _removed_on_error(temporary: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
