"""Comparing tensors where PyTorch is: gradients of the tables with autograd's, and formulas with numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from gradexplain.calculus.backward import Walk
from gradexplain.language.graph import Graph
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.place import Place
from gradexplain.records import Value
from gradexplain.rules.table import ELEMENTWISE, RULES
from gradexplain.tensor import Tensor

# From this relative error on a difference is no loss of digits but a disagreement.
WRONG = 1e-3
# Sums of many terms are rounded many times: so many spacings of the largest term are no loss of digits.
SPACINGS = 1_000
# What moves, copies or joins elements and computes nothing.
_COPIES = frozenset((
    "sum", "mean", "expand_as", "reshape", "reshape_as", "flatten", "transpose", "permute", "unsqueeze", "squeeze",
    "flip", "select", "slice", "cat", "stack", "diag", "diagonal", "tril", "triu", "amax", "amin", "ones_like",
    "zeros_like", "ones", "zeros", "eye",
))  # fmt: skip


def equal(torch: Any, value: Any, total: Any) -> bool:
    """Whether two tensors are equal up to rounding, wherever the second one is finite."""
    if value.shape != total.shape:
        return False
    finite = torch.isfinite(total)
    scale = total[finite].abs().max() if bool(finite.any()) else 0.0
    return bool(((value - total)[finite].abs() <= 1e-8 * scale + 1e-300).all())


def error(value: Value | Tensor, autograd: Value | Tensor) -> Value:
    """|autograd - value| / max(1, |value|), of all elements the largest; None where one is missing, nan where one is
    not finite.

    >>> error(4.0, 4.5), error(Tensor.of([1, 2]), Tensor.of([1, 4]))
    (0.125, 1.0)
    """
    if value is None or autograd is None:
        return None
    if isinstance(value, Tensor):
        assert isinstance(autograd, Tensor)
        found = [error(one, other) for one, other in zip(value.numbers or (), autograd.numbers or (), strict=True)]
        return math.nan if any(x != x for x in found) else max(found, default=0.0)  # type: ignore[type-var]
    # What no float holds is text, and as a float an infinity or 0.
    own, other = float(value), float(autograd)  # type: ignore[arg-type]
    if not math.isfinite(own) or not math.isfinite(other):
        return math.nan
    return abs(other - own) / max(1.0, abs(own))


def compare(place: Place, exact: Any, found: Any, dtype: str) -> tuple[float, str]:
    """The largest |autograd - value| / max(1, |value|) of all elements, and the verdict; none counts as 0."""
    torch = place.torch
    found = place.zeros(exact.shape) if found is None else place.bring(found)
    if found.shape != exact.shape:
        return math.nan, "disagrees"
    if not exact.numel():
        return 0.0, "agrees"
    # Few passes over the elements: of large tensors, each takes as long as PyTorch's own work on them.
    size, most = largest(torch, exact), largest(torch, found - exact)
    if math.isfinite(most) and math.isfinite(size):
        error = most if size <= 1 else ((found - exact).abs_() / exact.abs().clamp_(min=1)).max().item()
        relative = most / size if size else most
        if relative <= DTYPES[dtype].tolerance or most <= 5e-324:
            return error, "agrees"
        lost = relative < WRONG or most <= DTYPES[dtype].smallest
        return error, "precision" if lost else "disagrees"
    both = torch.isfinite(exact) == torch.isfinite(found)
    matches = bool((both & (torch.isnan(exact) == torch.isnan(found))).all())
    return math.nan, "undefined" if matches else "nonfinite"


def uncancelled(walk: Walk[Any], size: Callable[[Any], float]) -> dict[int, float]:
    """By node, how large what its gradient was added up from would be if nothing had cancelled on the way.

    `size` gives the largest absolute value of an array; that of a local derivative that is no array is 1.
    """
    sizes: dict[int, float] = {}
    for j in walk.order:
        sizes[j] = max(_size_of_term(step, sizes.get(step.through, 0.0), size) for step in walk.steps[j])
    return sizes


def _size_of_term(step: Any, above: float, size: Callable[[Any], float]) -> float:
    upstream = size(step.upstream)
    if step.local is not None and upstream and getattr(step.value, "shape", ()) == getattr(step.upstream, "shape", ()):
        # Element by element nothing is added up: the largest factors need not meet.
        return max(1.0, above / upstream) * size(step.value)
    return max(above, upstream) * size(step.local)


def largest(torch: Any, value: Any) -> float:
    """The largest absolute value; not finite where an element is not."""
    low, high = torch.aminmax(value)
    return max(abs(low.item()), abs(high.item())) if low.item() == low.item() else math.nan


def is_finite(value: Any) -> bool:
    """Whether all elements of a tensor, or a number, are finite."""
    return bool(value.isfinite().all()) if hasattr(value, "isfinite") else math.isfinite(value)


def random_tensor(place: Place, shape: Sequence[int], generator: Any, trial: int) -> Any:
    """Random numbers: of both signs, then positive ones, then matrices that can be inverted and factored."""
    value = place.normal(shape, generator)
    if trial % 3 == 1:
        value = 0.1 + 0.8 * place.uniform(shape, generator)
    if trial % 3 == 2 and len(shape) == 2 and shape[0] == shape[1]:
        value = value @ value.T + shape[0] * place.eye(shape[0])
    return value


def mixes(graph: Graph) -> bool:
    """Whether a formula adds up products of elements, so that rounding is relative to the largest of them.

    Where it does not, each element is computed as a single number is.
    """
    if not graph.has_axes:
        return False
    for i, node in enumerate(graph.nodes):
        if node.rule in RULES and node.rule not in ELEMENTWISE and node.rule not in _COPIES:
            return True
        if i == graph.objective:
            return False
        stretched = (j for j in node.inputs if not graph.is_constant[j] and graph.shapes[j] != graph.shapes[i])
        if node.rule in ("sum", "mean") or (node.rule in ELEMENTWISE and next(stretched, None) is not None):
            return True
    return False
