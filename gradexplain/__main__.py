"""`python -m gradexplain` and the console script."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

INTERRUPTED, TERMINATED = 130, 143


class Terminated(BaseException):
    """The system asks the process to end: what is half done is taken back on the way out, as for Ctrl-C."""


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        _end_when_asked()
        status = _run(sys.argv[1:])
    except BaseException as error:
        asked = _asked_to_end(error)
        if asked is None:
            raise
        status = asked
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, AttributeError, ValueError):
            stream.flush()
    if worker := sys.modules.get("gradexplain.readings.worker"):
        # It may still be loading PyTorch for a command that was refused meanwhile.
        with contextlib.suppress(AttributeError):
            worker.WITNESSES.stop()
    # Taking SymPy apart object by object would cost more than the whole derivation of a small formula.
    os._exit(status)


def _run(arguments: list[str]) -> int:
    from gradexplain.errors import broken_package

    try:
        from gradexplain.cli.early import start_early

        start_early(arguments)
        from gradexplain.cli.app import run

        return run(arguments)
    except (ImportError, OSError) as error:
        message = broken_package(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        return 2


def _asked_to_end(error: BaseException | None) -> int | None:
    """The status where Ctrl-C or the system ended the process; Python may put another error around them."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return INTERRUPTED
        if isinstance(error, Terminated):
            return TERMINATED
        error = error.__cause__ or error.__context__
    return None


def _end_when_asked() -> None:
    import signal

    def end(number: int, frame: Any) -> None:
        # Once is enough.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)


if __name__ == "__main__":
    main()
