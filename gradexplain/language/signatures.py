"""The places of the arguments of a function: names in order, defaults and kinds, written as PyTorch writes them.

`"input, dim:axes=None, *, correction:real=1"` has a tensor, a setting of the kind `axes`, and a setting that only a
keyword can give. `+shape:sizes` takes all arguments that are left, or one list of them.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import Any, NamedTuple

from gradexplain.rules import settings as kinds
from gradexplain.rules.row import Rule
from gradexplain.rules.settings import REQUIRED, SettingKind

# Words for kinds in a signature. What has none is a tensor.
_KINDS: dict[str, SettingKind] = {
    "axis": kinds.AXIS, "axes": kinds.AXES, "whole": kinds.WHOLE, "flag": kinds.FLAG, "real": kinds.REAL,
    "from_0": kinds.NOT_NEGATIVE, "sizes": kinds.SIZES, "new_sizes": kinds.NEW_SIZES, "size": kinds.SIZE,
    "reduction": kinds.REDUCTION, "order": kinds.ORDER, "absent": kinds.ABSENT, "approximation": kinds.APPROXIMATION,
}  # fmt: skip
# Other words for a parameter, where a function has none of that name: NumPy's, and those of the first two tensors.
ALSO = {
    "axis": "dim", "keepdims": "keepdim", "axes": "dims", "ord": "p", "ddof": "correction", "axis0": "dim0",
    "axis1": "dim1", "a_min": "min", "a_max": "max", "size": "shape", "k": "diagonal", "newshape": "shape",
    **dict.fromkeys(("a", "x", "x1", "m", "v", "self", "A", "tensor", "arr", "data"), "input"),
    **dict.fromkeys(("b", "x2", "target", "B", "mat2", "vec", "vec2", "src"), "other"),
    **dict.fromkeys(("arrays", "inputs"), "tensors"),
}  # fmt: skip
_TENSORS = ("input", "other", "third")


class Argument(NamedTuple):
    """One parameter of a function; `kind` is None for a tensor. `rest` takes all arguments that are left."""

    name: str
    default: Any = REQUIRED
    kind: SettingKind | None = None
    by_name: bool = False
    rest: bool = False


@cache
def signature(text: str) -> tuple[Argument, ...]:
    """The parameters that a signature has.

    >>> [parameter.name for parameter in signature("input, dim:axes=None, *, keepdim:flag=False")]
    ['input', 'dim', 'keepdim']
    """
    found: list[Argument] = []
    by_name = False
    for part in text.split(", "):
        if part == "*":
            by_name = True
            continue
        head, _, default = part.partition("=")
        name, _, kind = head.removeprefix("+").partition(":")
        value = ast.literal_eval(default) if default else REQUIRED
        found.append(Argument(name, value, _KINDS[kind] if kind else None, by_name, head[0] == "+"))
    return tuple(found)


@cache
def signature_of(rule: Rule) -> tuple[Argument, ...]:
    """The parameters of a rule that is not elementwise: its tensors, then its settings."""
    names = ("tensors",) if rule.any_number else _TENSORS[: len(rule.pullbacks)]
    return (*map(Argument, names), *[Argument(*setting) for setting in rule.settings])
