"""PyTorch in a second process, so that it loads while SymPy and the exact arithmetic work in the first one.

Once it is there, that process is the place of both witnesses: SymPy's derivatives are found in it as well. The
process starts first, imports PyTorch with garbage collection off, then does tasks until its input ends. A task is the
name of a function of ours and what it is called with; it answers as often as it likes.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import marshal
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from importlib import import_module
from typing import IO, Any, NamedTuple

from gradexplain.readings.lean import import_torch
from gradexplain.readings.witness import Question, Witness

_START = "import sys; sys.path[:] = {path!r}; from gradexplain.readings.worker import serve; serve({lean})"


def send(stream: IO[bytes], message: Any) -> None:
    """Write a message of plain data to another process."""
    _write(stream, marshal.dumps(message))


def _write(stream: IO[bytes], data: bytes) -> None:
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """The next message from another process, None where it has ended."""
    size = stream.read(8)
    return marshal.loads(stream.read(int.from_bytes(size, "little"))) if len(size) == 8 else None


def run_task(task: str, payload: Any) -> Iterator[Any]:
    """The answers of a task, `module:function`, which is called with the payload and returns an iterable.

    >>> list(run_task("builtins:range", 3))
    [0, 1, 2]
    """
    module, _, function = task.partition(":")
    yield from getattr(import_module(module), function)(payload)


def _command(lean: bool) -> list[str]:
    """What starts the second process."""
    path = [entry for entry in sys.path if entry]
    return [sys.executable, "-I", "-S", "-c", _START.format(path=path, lean=lean)]


def end_with_parent() -> None:
    """End this process soon after the one that started it is gone, however long its task would still take."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def serve(lean: bool) -> None:
    """What the second process does: read tasks from standard input, write their answers to standard output.

    If PyTorch cannot be imported in the `lean` way, the process becomes one that imports it plainly.
    """
    import gc
    import signal
    import warnings

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    # Whatever a library prints must not get between the answers.
    output = os.dup(1)
    os.dup2(2, 1)
    gc.disable()
    warnings.simplefilter("ignore")
    # SymPy remembers a thousand results, which is fewer than one formula asks for: a tenth of its time.
    os.environ.setdefault("SYMPY_CACHE_SIZE", "20000")
    if lean:
        try:
            import_torch()
        except Exception:
            if os.name == "nt":
                # No process becomes another one there: it ends, and the first process imports PyTorch itself.
                raise
            os.dup2(output, 1)
            os.execv(sys.executable, _command(lean=False))
    import torch

    answers = os.fdopen(output, "wb")
    threads = torch.get_num_threads()
    gc.freeze()
    try:
        while (message := receive(sys.stdin.buffer)) is not None:
            ticket, task, payload, alone = message
            torch.set_num_threads(threads if alone else 1)
            for answer in run_task(task, payload):
                send(answers, (ticket, False, answer))
            send(answers, (ticket, True, None))
            gc.enable()
    except BrokenPipeError:
        pass
    # A hundred thousand tensors need not be freed one by one.
    os._exit(0)


class Worker:
    """The second process, from this side. `ask` hands it a task, `answers` waits for what that task says."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            _command(lean=True), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.ticket = 0
        self.lock = threading.Lock()
        # What was read while the answer to another task was looked for.
        self.waiting: dict[int, deque[tuple[bool, Any]]] = {}
        # Whether it has answered once.
        self.ready = False

    def ask(self, task: str, payload: Any, alone: bool) -> int:
        """Send a task without waiting until the other side reads it; returns its ticket. As in `Witnesses.ask`."""
        with self.lock:
            self.ticket += 1
            ticket = self.ticket
            self.waiting[ticket] = deque()
        # Here, where it can be seen that something is no plain data: nobody would answer what was never sent.
        data = marshal.dumps((ticket, task, payload, alone))

        def hand_over() -> None:
            try:
                assert self.process.stdin is not None
                _write(self.process.stdin, data)
            except (BrokenPipeError, ValueError):
                pass  # The process has ended; `answers` finds out.

        threading.Thread(target=hand_over, daemon=True).start()
        return ticket

    def answers(self, ticket: int) -> Iterator[Any]:
        """What the task with this ticket answers. Raises WorkerStopped where the process ended before the task did."""
        while True:
            is_end, answer = self._next(ticket)
            if is_end:
                del self.waiting[ticket]
                return
            yield answer

    def _next(self, ticket: int) -> tuple[bool, Any]:
        assert self.process.stdout is not None
        with self.lock:
            while not self.waiting[ticket]:
                # Another task may have found out before that the process has ended.
                message = None if self.process.stdout.closed else receive(self.process.stdout)
                if message is None:
                    raise WorkerStopped
                found, is_end, answer = message
                self.ready = True
                if found in self.waiting:
                    self.waiting[found].append((is_end, answer))
            return self.waiting[ticket].popleft()

    def stop(self) -> None:
        """End the process without waiting for what it is doing."""
        atexit.unregister(self.stop)
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


class WorkerStopped(Exception):
    """The second process ended before it answered."""


class Asked(NamedTuple):
    """A task that was handed over: to whom (None for this process), under which ticket, and the task itself."""

    worker: Worker | None
    ticket: int
    task: str
    payload: Any


class Witnesses:
    """PyTorch, and SymPy beside it, wherever they run: here where PyTorch is loaded, else in a second process."""

    def __init__(self) -> None:
        self.worker: Worker | None = None

    @staticmethod
    def installed() -> bool:
        """Whether PyTorch can be imported; it is not imported to find out."""
        return "torch" in sys.modules or importlib.util.find_spec("torch") is not None

    def start(self) -> None:
        """Begin to load PyTorch in a second process, unless it is there already."""
        if "torch" not in sys.modules and self.worker is None and sys.executable:
            self.worker = Worker()
            atexit.register(self.worker.stop)

    def ask(self, task: str, payload: Any, alone: bool = False) -> Asked:
        """Hand over a task, `module:function` and plain data to call it with; `answers` has what it says.

        With `alone`, this process will do nothing meanwhile, and PyTorch may use all processors.
        """
        worker = self.worker
        return Asked(worker, worker.ask(task, payload, alone) if worker else 0, task, payload)

    def ask_where_free(self, task: str, payload: Any) -> Asked:
        """The same, but for a process that still loads PyTorch: then the task is done here, when the answer is due."""
        ready = self.worker is not None and self.worker.ready
        return self.ask(task, payload) if ready else Asked(None, 0, task, payload)

    def answers(self, asked: Asked) -> Iterator[Any]:
        """What a task answers, from this process should the second one have failed before it said anything.

        Raises WorkerStopped where it ended in the middle. To stop reading is to stop the task.
        """
        silent = True
        if asked.worker:
            try:
                for answer in asked.worker.answers(asked.ticket):
                    silent = False
                    yield answer
                return
            except WorkerStopped:
                self._forget(asked.worker)
                if not silent:
                    raise
            except BaseException:
                # Interrupted in the middle of an answer: what follows in the pipe could not be trusted.
                self._forget(asked.worker)
                raise
        yield from run_task(asked.task, asked.payload)

    def ask_witness(self, question: Question) -> Asked:
        """Hand over a question; `witness` returns what PyTorch found."""
        # With the tables beside it there are large tensors, and this process has nothing else to do.
        where = "witness" if question.tables is None else "beside"
        return self.ask(f"gradexplain.readings.{where}:answers", question.payload(), alone=where == "beside")

    def witness(self, asked: Asked) -> Witness:
        """The witness for a question that was handed over."""
        (fields,) = self.answers(asked)
        return Witness(*fields)

    def stop(self) -> None:
        """End the second process, if there is one, whatever it is doing."""
        if self.worker:
            self._forget(self.worker)

    def _forget(self, worker: Worker) -> None:
        worker.stop()
        if self.worker is worker:
            self.worker = None


WITNESSES = Witnesses()
