"""`python -m gradexplain` and the console script."""

from __future__ import annotations

import contextlib
import os
import sys


def main() -> None:
    """Run the command line and exit with its status."""
    from gradexplain.cli.early import start_early

    start_early(sys.argv[1:])
    from gradexplain.cli.app import run

    status = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, AttributeError):
            stream.flush()
    if worker := sys.modules.get("gradexplain.readings.worker"):
        # It may still be loading PyTorch for a command that was refused meanwhile.
        worker.WITNESSES.stop()
    # Taking SymPy apart object by object would cost more than the whole derivation of a small formula.
    os._exit(status)


if __name__ == "__main__":
    main()
