"""Settings as text: which of them are written, with or without their names, and indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradexplain.language.graph import Node
from gradexplain.rules.settings import REQUIRED
from gradexplain.rules.table import RULES

# Settings that are written without their names.
POSITIONAL = frozenset(("shape", "dims", "n", "dim0", "dim1", "num_classes", "normalized_shape"))


def shown_settings(node: Node) -> list[tuple[str, Any]]:
    """The settings of a node that are written, in order: all but those with their default values."""
    rows = zip(RULES[node.rule].settings, node.settings, strict=True)
    return [(name, value) for (name, default, _), value in rows if default is REQUIRED or value != default]


def setting_text(name: str, value: Any, sizes: str) -> str:
    """A setting with its name, where that is written; `sizes` is what stands between those of a shape, if anything."""
    if sizes and name == "shape" and isinstance(value, tuple):
        return sizes.join(map(str, value))
    return shown(value, bare=True) if name in POSITIONAL else f"{name}={shown(value)}"


def shown(value: Any, bare: bool = False) -> str:
    """A setting as it is written; sizes may be names.

    >>> shown("sum"), shown("n", bare=True), shown((2, "n")), shown((3,))
    ("'sum'", 'n', '(2, n)', '(3,)')
    """
    if isinstance(value, str) and bare:
        return value
    if isinstance(value, tuple):
        return f"({', '.join(map(str, value))}{',' * (len(value) == 1)})"
    return repr(value)


def index_text(bounds: Sequence[Any]) -> str:
    """The index of an element, or a range of them, as it stands in square brackets.

    >>> index_text([1]), index_text([None, 3, 1]), index_text([1, None, 2])
    ('1', ':3', '1::2')
    """
    if len(bounds) == 1:
        return str(bounds[0])
    start, end, step = bounds
    text = f"{'' if start is None else start}:{'' if end is None else end}"
    return text if step == 1 else f"{text}:{step}"
