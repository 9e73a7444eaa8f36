"""How a run is sent on: in chunks of many steps, or of those of a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

CHUNK = 2_000
SECONDS = 0.15


def chunks(
    steps: int, one: Callable[[int], bool], waiting: Callable[[], int], flush: Callable[[int], Any]
) -> Generator[tuple[str, Any], None, int]:
    """Take the steps from 1 on, until `one` of them says False, with a message ("chunk", …) every now and then.

    `waiting` says how many steps have not been sent, and `flush` gives them up to a step. Returns the last step taken.

    >>> list(chunks(3, lambda step: step < 3, lambda: 1, lambda step: step))[-1]
    ('chunk', 2)
    """
    done, sent = 0, time.perf_counter()
    for step in range(1, steps + 1):
        if not one(step):
            break
        done = step
        if waiting() >= CHUNK or time.perf_counter() - sent > SECONDS:
            yield "chunk", flush(step)
            sent = time.perf_counter()
    if waiting():
        yield "chunk", flush(done)
    return done
