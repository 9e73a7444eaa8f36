"""PyTorch without the modules that no formula asks for, in a process of our own.

Half of what `import torch` takes goes into modules for compilers, exports, data loaders and quantization; none of them
computes a value or a gradient. Those in `LATER` become a name that loads the real module as soon as anything is asked
of it, so that nothing is missing and nothing stands in another's place: what is never asked for is never loaded. A name
that a version of PyTorch lacks is never looked for. NumPy is hidden from PyTorch, which does without where it is not.

Only `readings/worker.py` may import PyTorch in this way: it changes how modules load for a whole process.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# Found with `python -X importtime`: together with NumPy, four tenths of the processor time that the import takes. No
# module is here that registers how an operation computes on numbers (`_meta_registrations` is for tensors without any).
LATER = frozenset((
    "torch._meta_registrations", "torch.export", "torch.distributions", "torch.utils.data", "torch.masked",
    "torch.quantization", "torch.nn.intrinsic",
))  # fmt: skip


class Later(ModuleType):
    """A module that loads when anything is asked of it."""

    def __getattr__(self, name: str) -> Any:
        # The machinery of imports looks at these, and they are no reason to load.
        if name.startswith("__"):
            raise AttributeError(name)
        load(self)
        return getattr(self, name)


class _Loader:
    """Makes a module that loads later, and then lets the real loader fill it."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Later(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing yet."""


class _Finder:
    """Finds the modules that load later. Whoever imports a part of one loads it first."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        load(sys.modules.get(name.rpartition(".")[0]))
        spec = PathFinder.find_spec(name, path, target) if name in LATER else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
        return spec


def load(module: ModuleType | None) -> bool:
    """Load a module that was put off; says whether it was one."""
    if not isinstance(module, Later):
        return False
    spec = module.__spec__
    assert spec is not None
    assert isinstance(spec.loader, _Loader)
    module.__class__ = ModuleType
    module.__loader__ = spec.loader = spec.loader.real
    spec.loader.exec_module(module)
    return True


def complete() -> bool:
    """Load everything that was put off, but for NumPy; says whether there was anything.

    Where PyTorch refuses, this comes first, and then it is asked again: it is not to blame for what we left out.
    """
    return sum(load(sys.modules.get(name)) for name in sorted(LATER)) > 0


def import_torch() -> None:
    """Import PyTorch without those modules. What it raises is a reason to start a new process with a plain import."""
    sys.meta_path.insert(0, _Finder)
    sys.modules["numpy"] = None  # type: ignore[assignment]
    try:
        import torch
    finally:
        del sys.modules["numpy"]
    # Among what `_meta_registrations` loads, one module does this on the side, and without it there are no generators.
    if bind := getattr(torch._C, "_set_generator_metaclass", None):
        bind(import_module("torch._opaque_base").OpaqueBaseMeta)
