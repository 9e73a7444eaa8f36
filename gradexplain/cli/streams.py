"""What goes out: results to standard output, all else to standard error, each in what the stream can show."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TextIO

from gradexplain.errors import ASCII, GradexplainError, OptionError, printable


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


def write_result(text: str) -> None:
    """The result, to standard output. Raises OptionError where that is closed or full, BrokenPipeError as it comes."""
    if sys.stdout is None:
        raise OptionError("standard output is closed")
    try:
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


def write_file(path: Path, text: str) -> None:
    """The result, to a file that is there as a whole or not at all. Raises OptionError where it cannot be written.

    A link keeps pointing where it does; what is no regular file, such as a pipe, is written to as it is.
    """
    try:
        target = path.resolve()
        if target.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8", newline="\n")
            return
        _write_whole(target, text)
    except OSError as error:
        raise OptionError(f"cannot write {path}: {error.strerror or error}") from None


def _write_whole(target: Path, text: str) -> None:
    temporary = target.with_name(f".{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(target)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def read_input() -> str:
    """All of standard input as text. Raises OptionError where it is no UTF-8, or far too long."""
    from gradexplain.language.tokens import MAX_CHARACTERS

    if sys.stdin is None:
        raise OptionError("standard input is closed")
    data = sys.stdin.buffer.read(4 * MAX_CHARACTERS + 1)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start > len(data) - 4 and len(data) > 4 * MAX_CHARACTERS:
            return data[: error.start].decode()
        byte = f"byte 0x{data[error.start]:02x} at offset {error.start:,}"
        raise OptionError(f"standard input is not UTF-8: {byte}", hint="convert it, for example with iconv") from None
