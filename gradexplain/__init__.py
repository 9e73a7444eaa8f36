"""gradexplain explains gradients: the chain rule step by step, beside what PyTorch's autograd computes.

>>> import gradexplain
>>> gradexplain.derive("x**2", at={"x": 3}).gradient["x"].autograd
6.0
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradexplain.derive import derive
    from gradexplain.errors import FormulaError, GradexplainError, OptionError, PointError
    from gradexplain.records import Derivation
    from gradexplain.rules.row import Rule
    from gradexplain.rules.table import RULES
    from gradexplain.train import train
    from gradexplain.training_records import Training

__version__ = "0.1.0"
__all__ = [
    "RULES", "Derivation", "FormulaError", "GradexplainError", "OptionError", "PointError", "Rule", "Training",
    "__version__", "derive", "train",
]  # fmt: skip

# Loaded on demand, so that `import gradexplain` costs nothing and no name here needs PyTorch or SymPy.
_HOMES = {
    "derive": "gradexplain.derive",
    "train": "gradexplain.train",
    "Training": "gradexplain.training_records",
    "Derivation": "gradexplain.records",
    "RULES": "gradexplain.rules.table",
    "Rule": "gradexplain.rules.row",
    "GradexplainError": "gradexplain.errors",
    "FormulaError": "gradexplain.errors",
    "PointError": "gradexplain.errors",
    "OptionError": "gradexplain.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


class _Package(ModuleType):
    """This package: a function keeps its name where a submodule of the same name is imported, by whomever."""

    def __setattr__(self, name: str, value: Any) -> None:
        shadowed = isinstance(value, ModuleType) and name in _HOMES
        super().__setattr__(name, getattr(value, name) if shadowed else value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return __all__
