"""A progress bar on standard error, for runs that take a while and a terminal that can show it."""

from __future__ import annotations

import contextlib
import sys
import time
from types import TracebackType
from typing import Any

# A run that ends before this many seconds needs no bar.
PATIENCE = 1.0


class Progress:
    """Shows how far a run of `total` steps is (None where nobody knows); nothing where standard error is no terminal.

    `unit` is what is counted.

    A context manager; `to` is called with the number of the last step.
    """

    def __init__(self, total: int | None, unit: str = "step") -> None:
        self.total, self.unit = total, unit
        self.started = time.monotonic()
        self.bar: Any = None
        self.task: Any = None

    def __enter__(self) -> Progress:
        return self

    def to(self, step: int) -> None:
        """The run has come to this step."""
        if self.bar is None:
            visible = sys.stderr is not None and sys.stderr.isatty()
            over = self.total is not None and step >= self.total
            if not visible or over or time.monotonic() - self.started < PATIENCE:
                return
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self.bar = Bar(
                TextColumn(self.unit), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn(),
                console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self.bar.start()
            self.task = self.bar.add_task("", total=self.total)
        self.bar.update(self.task, completed=step)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            with contextlib.suppress(Exception):
                self.bar.stop()
