"""Both rule tables on PyTorch's tensors: what a formula on tensors runs on, and its vector-Jacobian products."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradexplain.calculus.builder import forward
from gradexplain.language.graph import Graph
from gradexplain.readings.numbers import choice, step, torch_function
from gradexplain.readings.place import Place
from gradexplain.readings.tensors import OPERATORS, Elementwise, function
from gradexplain.rules.rules import RULES
from gradexplain.rules.shapes import length, resolved
from gradexplain.rules.tensor_rules import TENSOR_RULES
from gradexplain.tensor import CORNER, MAX_ELEMENTS

_CONSTANTS = {"pi": math.pi, "e": math.e}


class TorchBuilder:
    """Makes tensors at one place. `sizes` has the number for every size that has a name."""

    def __init__(self, place: Place, sizes: Mapping[str, int]) -> None:
        self.place, self.torch, self.sizes = place, place.torch, sizes
        self.table = Elementwise(place)
        self.calls = _calls(place)

    def number(self, value: Any) -> Any:
        """A number as Python has it."""
        if isinstance(value, str):
            return float(self.sizes[value]) if value in self.sizes else _CONSTANTS[value]
        return float(value)

    def size(self, size: int | str) -> float:
        """The number of a size."""
        return float(length(size, self.sizes))

    def shape(self, value: Any) -> tuple[int, ...]:
        """The shape of a tensor; () for a number."""
        return tuple(value.shape) if hasattr(value, "shape") else ()

    def apply(self, rule: str, inputs: Sequence[Any], settings: tuple[Any, ...] = ()) -> Any:
        """The result of a rule of either table."""
        if rule in TENSOR_RULES:
            row = TENSOR_RULES[rule]
            settings = tuple(resolved(setting, self.sizes) for setting in settings)
            tensors = [self.table.tensor(value) for value in inputs]
            call = self.calls.get(rule)
            if call is not None:
                return call(*tensors, *settings)
            named = {name: value for (name, _), value in zip(row.settings, settings, strict=True)}
            return torch_function(self.torch, row.torch or rule)(*tensors, **named)
        if not any(hasattr(value, "dtype") for value in inputs):
            inputs = [self.table.tensor(value) for value in inputs]
        if rule in OPERATORS:
            return OPERATORS[rule](*inputs)
        if rule in ("where", "heaviside", "polygamma"):
            return self.calls[rule](*inputs)
        partials = RULES[rule].partials
        plain = [k for k, partial in enumerate(partials) if not partial]
        arguments = [float(value) if k in plain else self.table.tensor(value) for k, value in enumerate(inputs)]
        return function(self.torch, rule)(*arguments)

    def forward(self, graph: Graph, given: Mapping[int, Any], last: int) -> list[Any]:
        """As in `builder.forward`. Raises Refused where PyTorch does."""
        return forward(self, graph, given, last)

    def pack(self, value: Any) -> Any:
        """A tensor as plain data that can go to another process; a single number as such."""
        if value is None or not hasattr(value, "shape"):
            return value
        if not value.dim():
            return value.item()
        flat = self.place.bring(value.detach())
        known = flat.numel() <= MAX_ELEMENTS
        flat = flat.contiguous() if known else flat
        corner = flat[tuple(slice(CORNER) for _ in flat.shape)]
        low = high = math.nan
        if flat.numel():
            low, high = (bound.item() for bound in self.torch.aminmax(flat))
        norm = self.torch.linalg.vector_norm(flat).item() if flat.numel() else 0.0
        data = self.place.to_bytes(flat) if known else None
        return tuple(value.shape), data, norm, low, high, tuple(corner.shape), tuple(corner.flatten().tolist())


def _dims(dim: Any, value: Any) -> Any:
    return tuple(range(value.dim())) if dim is None else dim


def _others(torch: Any, a: Any, dim: Any) -> Any:
    """For each element the product of all others along `dim`, without dividing by it."""
    moved = a.flatten() if dim is None else a.movedim(dim, -1)
    ones = torch.ones_like(moved[..., :1])
    before = torch.cumprod(torch.cat([ones, moved[..., :-1]], -1), -1)
    after = torch.cumprod(torch.cat([ones, moved.flip(-1)[..., :-1]], -1), -1).flip(-1)
    product = before * after
    return product.reshape(a.shape) if dim is None else product.movedim(-1, dim)


def _cofactor(torch: Any, a: Any) -> Any:
    """The matrix of cofactors, of singular matrices as well: from the singular values, each left out in turn."""
    left, values, right = torch.linalg.svd(a)
    sign = torch.linalg.det(left) * torch.linalg.det(right)
    rest = _others(torch, values, -1)
    return sign[..., None, None] * (left * rest.unsqueeze(-2)) @ right


def _kron_part(torch: Any, g: Any, a: Any, b: Any, left: bool) -> Any:
    """What flows through a Kronecker product to its left or right side."""
    sizes = [size for pair in zip(a.shape, b.shape, strict=True) for size in pair]
    blocks = g.reshape(sizes)
    other = b if left else a
    for k in range(a.dim()):
        other = other.unsqueeze(2 * k if left else 2 * k + 1)
    dims = tuple(range(1 if left else 0, 2 * a.dim(), 2))
    return (blocks * other).sum(dims)


def _classes(torch: Any, name: str) -> Callable[..., Any]:
    call = getattr(torch.nn.functional, name)
    return lambda a, b, reduction: call(a, b if a.shape == b.shape else b.detach().long(), reduction=reduction)


def _calls(place: Place) -> dict[str, Callable[..., Any]]:
    """The rules whose call in PyTorch is not the name with tensors and settings."""
    torch, dtype, tensor = place.torch, place.dtype, place.tensor
    functional = torch.nn.functional

    def norm(a: Any, dim: Any, keepdim: bool) -> Any:
        return torch.linalg.vector_norm(a, 2, dim, keepdim)

    def reduction(name: str) -> Callable[..., Any]:
        return lambda a, dim, keepdim: getattr(torch, name)(a, dim=_dims(dim, a) if a.dim() else 0, keepdim=keepdim)

    def product(a: Any, dim: Any, keepdim: bool) -> Any:
        if dim is None:
            return torch.prod(a).reshape([1] * a.dim() if keepdim else [])
        for k in sorted(dim if isinstance(dim, tuple) else (dim,), key=lambda k: k % a.dim(), reverse=True):
            a = torch.prod(a, dim=k, keepdim=keepdim)
        return a

    return {
        "where": lambda *values: choice(torch, *map(tensor, values)),
        "heaviside": lambda a, at_zero: step(torch, a, at_zero),
        "polygamma": lambda n, a: torch.polygamma(int(n), tensor(a)),
        "cat": lambda *args: torch.cat(args[:-1], dim=args[-1]),
        "stack": lambda *args: torch.stack(args[:-1], dim=args[-1]),
        "reshape_as": lambda a, b: a.reshape(b.shape),
        "expand_as": lambda a, b: a.expand_as(b),
        "slice": lambda a, dim, *bounds: a[(*[slice(None)] * (dim % a.dim()), slice(*bounds))],
        "flip": lambda a, dims: torch.flip(a, dims if isinstance(dims, tuple) else (dims,)),
        "prod": product,
        "prod_of_others": lambda a, dim: _others(torch, a, dim),
        "kron_left": lambda g, a, b: _kron_part(torch, g, a, b, True),
        "kron_right": lambda g, a, b: _kron_part(torch, g, a, b, False),
        "trace": lambda a: a.diagonal(dim1=-2, dim2=-1).sum(-1),
        "sum": lambda a, dim, keepdim: torch.sum(a.to(dtype), _dims(dim, a), keepdim),
        "mean": lambda a, dim, keepdim: torch.mean(a.to(dtype), _dims(dim, a), keepdim),
        "amax": reduction("amax"),
        "amin": reduction("amin"),
        "max_along": lambda a, dim, keepdim: torch.max(a, dim, keepdim).values,
        "min_along": lambda a, dim, keepdim: torch.min(a, dim, keepdim).values,
        "first_largest": lambda a, dim: torch.zeros_like(a).scatter(dim, a.max(dim, True).indices, 1.0),
        "logsumexp": reduction("logsumexp"),
        "norm": norm,
        "norm_of_order": lambda a, p, dim, keepdim: torch.linalg.vector_norm(a, p, dim, keepdim),
        "layer_norm": lambda a, shape, eps: functional.layer_norm(a, shape, eps=eps),
        "one_hot": lambda b, count: functional.one_hot(b.long(), count).to(dtype),
        "cross_entropy": _classes(torch, "cross_entropy"),
        "nll_loss": _classes(torch, "nll_loss"),
        "squeeze": lambda a, dim: torch.squeeze(a) if dim is None else torch.squeeze(a, dim),
        "diagonal": lambda a: torch.diagonal(a),
        "cofactor": lambda a: _cofactor(torch, a),
        "eye": place.eye,
        "ones": place.ones,
        "zeros": place.zeros,
    }
