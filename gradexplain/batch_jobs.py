"""A batch in several processes, each with a PyTorch of its own; the answers come in the order of the lines."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import IO, Any, cast

from gradexplain.batch import Answer, Settings, answers
from gradexplain.errors import OptionError
from gradexplain.readings.worker import end_with_parent, receive, send

_START = "import sys; sys.path[:] = {path!r}; from gradexplain.batch_jobs import serve; serve()"
# How many lines each process may be ahead of what was written.
AHEAD = 8


def serve() -> None:
    """What each process does: read settings and then lines from standard input, and write their answers."""
    import os
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    # Whatever a library prints must not get between the answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    settings = Settings(*receive(sys.stdin.buffer))
    try:
        for answer in answers(iter(lambda: receive(sys.stdin.buffer), None), settings):
            send(out, tuple(answer))
    except BrokenPipeError:
        pass
    os._exit(0)


class Jobs:
    """The processes, as a context manager; leaving it ends them, whatever they are doing."""

    def __init__(self, settings: Settings, count: int) -> None:
        start = _START.format(path=[entry for entry in sys.path if entry])
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", start],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )
            for _ in range(count)
        ]  # fmt: skip
        self.room = threading.Semaphore(AHEAD * count)
        # Which process has the next line, None at the end of the lines, or what went wrong with reading them.
        self.order: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.settings = settings

    def __enter__(self) -> Jobs:
        return self

    def answers(self, lines: Iterable[tuple[int, bytes | None]]) -> Iterator[Answer]:
        """The answers to lines, in their order; no more lines are read ahead than the processes have room for."""
        threading.Thread(target=self._hand_out, args=(lines,), daemon=True).start()
        while (process := self.order.get()) is not None:
            if isinstance(process, BaseException):
                raise process
            answer = receive(process.stdout)
            if answer is None:
                raise OptionError("one of the processes was ended from outside", hint="try again with fewer --jobs")
            self.room.release()
            yield Answer(*answer)

    def _hand_out(self, lines: Iterable[tuple[int, bytes | None]]) -> None:
        """Give each line to the next process in turn."""
        try:
            pipes = [cast(IO[bytes], process.stdin) for process in self.processes]
            for pipe in pipes:
                send(pipe, tuple(self.settings))
            for k, line in enumerate(lines):
                self.room.acquire()
                turn = k % len(pipes)
                # The answer is awaited before the line is on its way, since a long one does not fit into a pipe.
                self.order.put(self.processes[turn])
                send(pipes[turn], line)
            self.order.put(None)
        except BaseException as error:
            self.order.put(error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.kill()
