"""Which inputs of a formula come from columns of data, and from which ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from gradexplain.data.shapes import read_named
from gradexplain.errors import OptionError
from gradexplain.rules.shapes import Shape, Size

# A name that is read: no function, no setting of one, and not what a statement defines.
_READ = re.compile(r"(?<![\w.])([^\W\d]\w*)\b(?!\s*(?:\(|=(?!=)))")
# What stands before the next name and its equals sign.
_BETWEEN = re.compile(r"[;\s,]+(?=[^\s,;=]+\s*=)")
EXAMPLE = "such as --columns X=x1,x2,x3"


def read_fed(columns: str | Sequence[str] | Mapping[str, str | Sequence[str]] | None) -> dict[str, str | list[str]]:
    """The columns that make a matrix, by the name of the matrix, from text such as `X=x1,x2`. Raises OptionError.

    >>> read_fed(["X=x1, x2", "Y=y"])
    {'X': ['x1', 'x2'], 'Y': ['y']}
    """
    found: dict[str, str | list[str]] = {}
    written = "columns are written name=column,column"
    for name, parts in read_named(columns, _BETWEEN, written, "the columns of {} are", EXAMPLE).items():
        cut = [part.strip() for part in (parts.split(",") if isinstance(parts, str) else parts)]
        if not name.isidentifier() or not all(cut) or not cut:
            raise OptionError(f"the columns of {name or 'a matrix'} have no name", hint=EXAMPLE)
        found[name] = cut
    return found


def listed(parts: str | list[str]) -> list[str]:
    """The columns of one input: the single one of a vector, or those of a matrix."""
    return [parts] if isinstance(parts, str) else parts


def wanted_columns(source: str, fed: Mapping[str, str | list[str]], given: Collection[str]) -> set[str]:
    """The columns to read: those of matrices, and whatever the formula reads and nobody has given.

    >>> sorted(wanted_columns("z = tanh(x @ W.T, dim=1); loss = mse_loss(z, y)", {}, {"W"}))
    ['x', 'y']
    """
    parts = {part for entry in fed.values() for part in listed(entry)}
    defined = set(re.findall(r"(?:^|[;\n])\s*([^\W\d]\w*)\s*=(?!=)", source))
    return parts | {name for name in _READ.findall(source) if name not in given and name not in fed} - defined


def fed_shapes(fed: Mapping[str, str | list[str]], rows: Size) -> dict[str, Shape]:
    """The shapes of what comes from columns: vectors over the rows, and matrices with a row for each of them."""
    return {name: (rows,) if isinstance(parts, str) else (rows, len(parts)) for name, parts in fed.items()}
