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
        _ask_no_more()
    except BaseException as error:
        _ask_no_more()
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
    """Let the system's request end the process as Ctrl-C does, wherever either comes."""
    import signal

    def end(number: int, frame: Any) -> None:
        raise Terminated

    def again(lost: Any) -> None:
        # Python drops what is raised while it cleans up behind something: then it is asked once more.
        if not issubclass(lost.exc_type, (KeyboardInterrupt, Terminated)):
            sys.__unraisablehook__(lost)
            return
        import threading

        number = signal.SIGTERM if lost.exc_type is Terminated else signal.SIGINT
        threading.Timer(0.02, lambda: os.kill(os.getpid(), number)).start()

    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)
    sys.unraisablehook = again


def _ask_no_more() -> None:
    """On the way out, being asked again changes nothing."""
    import signal

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
