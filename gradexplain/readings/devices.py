"""Which devices there are: a name is judged at once, and whether it is there by PyTorch, which may have to load."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from gradexplain.errors import OptionError
from gradexplain.readings.place import CPU
from gradexplain.readings.worker import WITNESSES

_NAME = re.compile(r"cpu|mps|cuda(:\d+)?")


def check_name(device: str, dtype: str) -> None:
    """Raise OptionError for a name that is that of no device, or where the device lacks the dtype.

    >>> check_name("gpu", "float64")
    Traceback (most recent call last):
        ...
    gradexplain.errors.OptionError: unknown device gpu
      it is cpu, mps, cuda or one of several, such as cuda:1
    """
    if not isinstance(device, str) or not _NAME.fullmatch(device):
        raise OptionError(f"unknown device {device}", hint="it is cpu, mps, cuda or one of several, such as cuda:1")
    if device == "mps" and dtype == "float64":
        raise OptionError("mps has no float64", hint="choose another dtype, such as float32")


def check_presence(device: str) -> None:
    """Raise OptionError where PyTorch finds no such device; for any but the CPU this waits until it has loaded."""
    if device == CPU:
        return
    there = _there()
    if device not in there:
        found = "PyTorch finds " + ", ".join(there) if there else "PyTorch is not installed"
        raise OptionError(f"there is no device {device} here", hint=found)


@cache
def _there() -> list[str]:
    """The names of all devices; none without PyTorch."""
    if not WITNESSES.installed():
        return []
    WITNESSES.start()
    (found,) = WITNESSES.answers(WITNESSES.ask("gradexplain.readings.devices:answers", ()))
    return list(found)


def answers(payload: tuple[()]) -> Iterable[list[str]]:
    """The task: one answer, the names of all devices that are there."""
    import torch

    found: list[Any] = [CPU]
    if torch.cuda.is_available():
        found += ["cuda", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        found.append("mps")
    yield found
