"""How large tensors may become on this machine: said before they are made, since running out of memory says nothing."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

# What an element of a formula's tensors takes: its value and its gradient by the tables and by autograd, and more.
BYTES_EACH = 48
# Where nobody says what is free.
UNKNOWN = 4 << 30
_LIMITS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


@cache
def most_elements() -> int:
    """How many elements the tensors of a formula may have together; looked up once."""
    return free() // BYTES_EACH


def free() -> int:
    """How many bytes of memory are free, for this machine and for this process."""
    return min(_free_bytes(), default=UNKNOWN)


def _free_bytes() -> Iterator[int]:
    """All that is known: what the system has left, a container's limit, and one set for the process."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) << 10
    for limit, used in _LIMITS:
        numbers = [_read(f"/sys/fs/cgroup/{name}").strip() for name in (limit, used)]
        if all(map(str.isdigit, numbers)):
            yield max(int(numbers[0]) - int(numbers[1]), 0)
    try:
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            yield soft
        yield math.prod(os.sysconf(name) for name in ("SC_PAGE_SIZE", "SC_PHYS_PAGES"))
    except (ImportError, AttributeError, ValueError, OSError):
        return


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def shown_bytes(count: int) -> str:
    """A number of bytes as one reads it.

    >>> shown_bytes(480_000_000_000), shown_bytes(64_000)
    ('480 GB', '0.064 MB')
    """
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"
