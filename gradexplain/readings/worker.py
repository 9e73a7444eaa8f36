"""PyTorch in a second process, so that it loads while SymPy and the exact arithmetic work in the first one.

The process starts first, imports PyTorch with garbage collection off, then answers programs until its input ends.
"""

from __future__ import annotations

import atexit
import importlib.util
import marshal
import subprocess
import sys
import threading
from typing import IO, Any

from gradexplain.readings.numbers import Program, Witness, run

_START = "import sys; sys.path[:] = {path!r}; from gradexplain.readings.worker import serve; serve()"


def _send(stream: IO[bytes], message: Any) -> None:
    data = marshal.dumps(message)
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    size = stream.read(8)
    return marshal.loads(stream.read(int.from_bytes(size, "little"))) if len(size) == 8 else None


def serve() -> None:
    """What the second process does: read programs from standard input, write witnesses to standard output."""
    import gc
    import os
    import signal
    import warnings

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Whatever a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gc.disable()
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    gc.freeze()
    try:
        while (message := _receive(sys.stdin.buffer)) is not None:
            ticket, program = message
            _send(answers, (ticket, tuple(run(Program(*program)))))
            gc.enable()
    except BrokenPipeError:
        pass
    # A hundred thousand tensors need not be freed one by one.
    os._exit(0)


class Worker:
    """The second process, from this side. `ask` hands it a program, `answer` waits for the witness."""

    def __init__(self) -> None:
        start = _START.format(path=[entry for entry in sys.path if entry])
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", start],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.ticket = 0

    def ask(self, program: Program) -> None:
        """Send a program without waiting until the other side reads it."""
        self.ticket += 1
        message = (self.ticket, tuple(program))

        def send() -> None:
            try:
                assert self.process.stdin is not None
                _send(self.process.stdin, message)
            except (BrokenPipeError, ValueError):
                pass  # The process has ended; `answer` finds out.

        threading.Thread(target=send, daemon=True).start()

    def answer(self) -> Witness:
        """The witness for the program sent last. Raises WorkerStopped where the process ended without an answer.

        Answers to earlier programs, whose derivations were given up, are passed over.
        """
        assert self.process.stdout is not None
        while (message := _receive(self.process.stdout)) is not None:
            ticket, witness = message
            if ticket == self.ticket:
                return Witness(*witness)
        raise WorkerStopped

    def stop(self) -> None:
        """End the process without waiting for what it is doing."""
        self.process.kill()


class WorkerStopped(Exception):
    """The second process ended before it answered."""


class Torch:
    """PyTorch, wherever it runs: in this process where it is loaded already, else in a second one that is kept."""

    def __init__(self) -> None:
        self.worker: Worker | None = None
        self.pending: Program | None = None

    @staticmethod
    def installed() -> bool:
        """Whether PyTorch can be imported; it is not imported to find out."""
        return "torch" in sys.modules or importlib.util.find_spec("torch") is not None

    def start(self) -> None:
        """Begin to load PyTorch in a second process, unless it is there already."""
        if "torch" not in sys.modules and self.worker is None and sys.executable:
            self.worker = Worker()
            atexit.register(self.worker.stop)

    def ask(self, program: Program) -> None:
        """Hand over a program; `answer` returns its witness."""
        self.pending = program
        if self.worker:
            self.worker.ask(program)

    def answer(self) -> Witness:
        """The witness for the last program, from this process should the second one have failed."""
        assert self.pending is not None
        if self.worker:
            try:
                return self.worker.answer()
            except WorkerStopped:
                self.worker = None
            except BaseException:
                # Interrupted in the middle of an answer: what follows in the pipe could not be trusted.
                self.worker.stop()
                self.worker = None
                raise
        return run(self.pending)


TORCH = Torch()
