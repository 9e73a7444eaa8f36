"""Which PyTorch is installed: read, not imported, since the rule table is needed long before PyTorch is."""

from __future__ import annotations

import importlib.util
import re
import sys
from functools import cache
from pathlib import Path

# The bounds of pyproject.toml: what the tests pass with.
OLDEST, NEWEST = "2.10", "2.15"
_VERSION = re.compile(r"""^__version__ = ['"]([^'"]+)""", re.MULTILINE)


def version_of(text: str) -> tuple[int, int]:
    """The first two numbers of a version.

    >>> version_of("2.13.0+cpu"), version_of("2.14")
    ((2, 13), (2, 14))
    """
    first, second, *_ = re.findall(r"\d+", text)
    return int(first), int(second)


@cache
def installed() -> str:
    """The version of PyTorch here, such as `2.13.0+cpu`; empty where there is none, or none that says so."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return str(getattr(torch, "__version__", ""))
    try:
        found = importlib.util.find_spec("torch")
        folder = Path(str(found.origin if found else "")).parent
        text = _VERSION.search((folder / "version.py").read_text())
    except (OSError, ValueError, ImportError, AttributeError):
        return ""
    return text[1] if text else ""


def known() -> tuple[int, int]:
    """The version whose rules hold: the installed one, or the newest where that is not known."""
    try:
        return version_of(installed())
    except ValueError:
        return version_of(NEWEST)


def outside() -> dict[str, str]:
    """The installed version and the bounds, where it is outside of them; else nothing."""
    own = installed()
    if not re.match(r"\d+\.\d", own) or version_of(OLDEST) <= version_of(own) <= version_of(NEWEST):
        return {}
    return {"version": own, "oldest": OLDEST, "newest": NEWEST}
