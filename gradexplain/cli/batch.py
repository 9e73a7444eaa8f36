"""`gradexplain batch`: read lines, and answer each as it comes."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated

import typer

from gradexplain.cli.inputs import read_points
from gradexplain.cli.options import INTERRUPTED, Device, DTypeName, at_option, look_for
from gradexplain.cli.progress import Progress
from gradexplain.cli.streams import Lines, write_note
from gradexplain.errors import OptionError

MAX_JOBS = 256
# The lines of a larger file are not counted for the progress bar.
_MOST_TO_COUNT = 1 << 28


def _complete_path(incomplete: str) -> list[str]:
    from gradexplain.batch import paths

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{path}" for path in paths() if path.startswith(last)]


def command(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A formula or a JSON object on each line; - for standard input."),
    ] = "-",
    at: Annotated[list[str] | None, at_option("Values of the inputs that a line gives none, or @FILE (JSON).")] = None,
    wrt: Annotated[
        str | None, typer.Option(metavar="NAME,…", help="The inputs to differentiate by, where a line names none.")
    ] = None,
    upstream: Annotated[
        str, typer.Option(metavar="VALUE", help="The gradient of the objective itself, where a line has none.")
    ] = "1",
    dtype: Annotated[
        DTypeName, typer.Option(help="The floating-point format, where a line names none.")
    ] = DTypeName.float64,
    device: Device = "cpu",
    select: Annotated[
        list[str] | None,
        typer.Option(
            "--select",
            metavar="PATH,…",
            help="Only these parts, such as gradient.w.autograd.",
            autocompletion=_complete_path,
        ),
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop after the first line that failed.")] = False,
    jobs: Annotated[int, typer.Option(metavar="N", help="How many processes work, each with its own PyTorch.")] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file in place of standard output.")
    ] = None,
) -> int:
    """Derive many formulas: a line of JSON for each line of input, in order, written as soon as it is done.

    A line is a formula, or an object with the keys id, expression, at, wrt, upstream, dtype, shape, jacobian and
    hessian. A bad line is
    answered with an error.

    Exit status: 0 if no line failed, 1 if one did (an error, or autograd lost precision, gave nan or inf, or
    disagrees), 2 for bad options, 130 for Ctrl-C.
    """  # fmt: skip
    from gradexplain.batch import Answerer, Settings, numbered_lines

    if not 1 <= jobs <= MAX_JOBS:
        raise OptionError(f"--jobs is {jobs}, and must be a whole number from 1 to {MAX_JOBS}")
    ascii_only = look_for("json", output, "never").ascii_only
    wanted = [path.strip() for text in select or () for path in text.split(",")]
    settings = Settings(read_points(at) or (), wrt, upstream, dtype.value, wanted, ascii_only, device)
    # What is wrong with the options is said before a line is read.
    Answerer(settings)
    failed = answered = 0
    unknown: set[str] = set()
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(_opened(file.removeprefix(" ")))
        lines = _reported(numbered_lines(stream), file)
        if jobs == 1:
            from gradexplain.batch import answers

            found = answers(lines, settings)
        else:
            from gradexplain.batch_jobs import Jobs

            found = stack.enter_context(Jobs(settings, jobs)).answers(lines)
        out = stack.enter_context(Lines(output))
        progress = stack.enter_context(Progress(_count(stream), "line"))
        try:
            for answer in found:
                out.write(answer.text)
                out.flush()
                answered += 1
                failed += answer.failed
                for path in set(answer.absent) - unknown:
                    unknown.add(path)
                    write_note(f"answer {answered:,} has no {path}, and null stands for it; this is said once")
                if failed and fail_fast:
                    break
                progress.to(answered)
        except KeyboardInterrupt:
            out.interrupted = True
            return INTERRUPTED
    if failed:
        stopped = "; the lines after it were not answered" if fail_fast else ""
        write_note(f"{failed:,} of {answered:,} lines failed{stopped}")
    return 1 if failed else 0


@contextlib.contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    """The bytes of a file or of standard input. Raises OptionError where there are none."""
    if file == "-":
        if sys.stdin is None:
            raise OptionError("standard input is closed")
        yield sys.stdin.buffer
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115
    except OSError as error:
        raise OptionError(f"cannot read {file}: {error.strerror or error}") from None
    with stream:
        yield stream


def _reported(lines: Iterator[tuple[int, bytes | None]], file: str) -> Iterator[tuple[int, bytes | None]]:
    """The same lines, and one line about what the system has against reading them."""
    try:
        yield from lines
    except OSError as error:
        shown = "standard input" if file == "-" else file
        raise OptionError(f"cannot read {shown}: {error.strerror or error}") from None


def _count(stream: IO[bytes]) -> int | None:
    """About how many lines there are, for the progress bar; None where they cannot be counted, or nobody sees it."""
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    status = os.fstat(stream.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_TO_COUNT:
        return None
    start, count = stream.tell(), 0
    while part := stream.read(1 << 20):
        count += part.count(b"\n")
    stream.seek(start)
    return count
