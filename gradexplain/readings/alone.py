"""The lock for exact arithmetic: its number of digits is one for the whole process, so one thread at a time uses it."""

from __future__ import annotations

import threading

ALONE = threading.RLock()
