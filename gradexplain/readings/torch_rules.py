"""A rule as a call of PyTorch: what the row itself says (a name or a pattern), or code where it takes more.

A name stands for a function below `torch.`, called with the tensors and the settings. A pattern is a call as it is
written in Python over `a`, `b` and so on, `inputs` for all of them, the names of the settings, and `dtype`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from gradexplain.readings.place import Place
from gradexplain.rules.table import RULES

if TYPE_CHECKING:
    import ast

# What Python's operators do on tensors and numbers alike, so that `x**2` is what it is in anybody's code.
OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "pow": operator.pow,
    "neg": operator.neg, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le,
    "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip


def call_of(place: Place, rule: str, settings: tuple[Any, ...] = ()) -> Callable[..., Any]:
    """What runs a rule on tensors of a place, its settings put in.

    >>> import torch
    >>> call_of(Place(torch), "max_along", (0, False))(torch.tensor([[1.0, 4.0], [3.0, 2.0]])).tolist()
    [3.0, 4.0]
    """
    if rule in OPERATORS:
        return OPERATORS[rule]
    code = _CODE.get(rule)
    if code is not None:
        return lambda *tensors: code(place, *tensors, *settings)
    row = RULES[rule]
    text = row.torch or rule
    named = {} if row.partials else {name: value for (name, *_), value in zip(row.settings, settings, strict=True)}
    if "(" in text:
        pattern, fixed = _pattern(text), {"torch": place.torch, "dtype": place.dtype, **named}
        return lambda *tensors: pattern({**fixed, "inputs": tensors, **dict(zip("abcdefgh", tensors, strict=False))})
    found: Any = place.torch
    for part in text.split("."):
        found = getattr(found, part)
    if not row.partials:
        return partial(found, **named) if named else found
    return (lambda *tensors: found(*tensors, *settings)) if settings else found


@cache
def _pattern(text: str) -> Callable[[Mapping[str, Any]], Any]:
    """The value of a pattern as a function of what its names stand for."""
    import ast

    return _read(ast.parse(text, mode="eval").body)


def _read(part: ast.expr) -> Callable[[Mapping[str, Any]], Any]:
    import ast

    if isinstance(part, ast.Name):
        return operator.itemgetter(part.id)
    if isinstance(part, ast.Attribute):
        owner, name = _read(part.value), part.attr
        return lambda known: getattr(owner(known), name)
    if isinstance(part, ast.Call):
        function, arguments = _read(part.func), [_read(argument) for argument in part.args]
        keywords = [(str(keyword.arg), _read(keyword.value)) for keyword in part.keywords]
        return lambda known: function(known)(
            *[argument(known) for argument in arguments], **{name: value(known) for name, value in keywords}
        )
    value = ast.literal_eval(part)
    return lambda known: value


@cache
def plain_inputs(rule: str) -> Sequence[int]:
    """Which inputs of an elementwise rule are settings: numbers even where everything else is a tensor."""
    row = RULES[rule]
    return () if row.boolean or rule == "where" else [k for k, partial in enumerate(row.partials) if not partial]


def elementwise(place: Place, rule: str) -> Callable[..., Any]:
    """What runs an elementwise rule on all its inputs, be they tensors or numbers."""
    if rule in OPERATORS:
        return OPERATORS[rule]
    plain = plain_inputs(rule)
    if not plain:
        call = call_of(place, rule)
        return lambda *values: call(*map(place.tensor, values))

    def with_settings(*values: Any) -> Any:
        settings = tuple([float(values[k]) for k in plain])
        tensors = [place.tensor(value) for k, value in enumerate(values) if k not in plain]
        return call_of(place, rule, settings)(*tensors)

    return with_settings


def _step(place: Place, a: Any, at_zero: float) -> Any:
    """The unit step of a tensor.

    PyTorch has no derivative for it. That of the sign is 0, and lets the step take part in autograd.
    """
    own = a.detach()
    jump = place.torch.heaviside(own, place.torch.full_like(own, at_zero))
    return jump + 0 * place.torch.sign(a) if a.requires_grad else jump


def _choice(place: Place, condition: Any, first: Any, second: Any) -> Any:
    """PyTorch's choice. A condition without a variable is a constant, and held as a number."""
    return place.torch.where(condition if condition.dtype == place.torch.bool else condition != 0, first, second)


def _dims(a: Any, dim: Any) -> Any:
    """The axes of a reduction; all of them are named, since not every function has a word for that."""
    return dim if dim is not None else tuple(range(a.dim())) or 0


def _added(name: str) -> Callable[..., Any]:
    # Conditions are added as numbers.
    return lambda place, a, dim, keepdim: getattr(place.torch, name)(
        a.to(place.dtype), tuple(range(a.dim())) if dim is None else dim, keepdim
    )


def _reduction(name: str) -> Callable[..., Any]:
    return lambda place, a, dim, keepdim: getattr(place.torch, name)(a, dim=_dims(a, dim), keepdim=keepdim)


def _product(place: Place, a: Any, dim: Any, keepdim: bool) -> Any:
    if dim is None:
        return place.torch.prod(a).reshape([1] * a.dim() if keepdim else [])
    for k in sorted(dim if isinstance(dim, tuple) else (dim,), key=lambda k: k % a.dim(), reverse=True):
        a = place.torch.prod(a, dim=k, keepdim=keepdim)
    return a


def _others(place: Place, a: Any, dim: Any) -> Any:
    """For each element the product of all others along `dim`, without dividing by it."""
    torch = place.torch
    moved = a.flatten() if dim is None else a.movedim(dim, -1)
    ones = torch.ones_like(moved[..., :1])
    before = torch.cumprod(torch.cat([ones, moved[..., :-1]], -1), -1)
    after = torch.cumprod(torch.cat([ones, moved.flip(-1)[..., :-1]], -1), -1).flip(-1)
    product = before * after
    return product.reshape(a.shape) if dim is None else product.movedim(-1, dim)


def _cofactor(place: Place, a: Any) -> Any:
    """The matrix of cofactors, of singular matrices as well: from the singular values, each left out in turn."""
    left, values, right = place.torch.linalg.svd(a)
    sign = place.torch.linalg.det(left) * place.torch.linalg.det(right)
    rest = _others(place, values, -1)
    return sign[..., None, None] * (left * rest.unsqueeze(-2)) @ right


def _kron_part(left: bool) -> Callable[..., Any]:
    """What flows through a Kronecker product to its left or right side."""

    def call(place: Place, g: Any, a: Any, b: Any) -> Any:
        blocks = g.reshape([size for pair in zip(a.shape, b.shape, strict=True) for size in pair])
        other = b if left else a
        for k in range(a.dim()):
            other = other.unsqueeze(2 * k if left else 2 * k + 1)
        return (blocks * other).sum(tuple(range(1 if left else 0, 2 * a.dim(), 2)))

    return call


def _classes(name: str) -> Callable[..., Any]:
    def call(place: Place, a: Any, b: Any, reduction: str) -> Any:
        target = b if a.shape == b.shape else b.detach().long()
        return getattr(place.torch.nn.functional, name)(a, target, reduction=reduction)

    return call


def _slice(place: Place, a: Any, dim: int, *bounds: Any) -> Any:
    return a[(*[slice(None)] * (dim % a.dim()), slice(*bounds))]


_CODE: dict[str, Callable[..., Any]] = {
    "where": _choice, "heaviside": _step, "polygamma": lambda place, a, n: place.torch.polygamma(int(n), a),
    "slice": _slice,
    "flip": lambda place, a, dims: place.torch.flip(a, dims if isinstance(dims, tuple) else (dims,)),
    "squeeze": lambda place, a, dim: place.torch.squeeze(a) if dim is None else place.torch.squeeze(a, dim),
    "sum": _added("sum"), "mean": _added("mean"), "prod": _product, "prod_of_others": _others,
    "amax": _reduction("amax"), "amin": _reduction("amin"), "logsumexp": _reduction("logsumexp"),
    "trace": lambda place, a: a.diagonal(dim1=-2, dim2=-1).sum(-1),
    "kron_left": _kron_part(True), "kron_right": _kron_part(False), "cofactor": _cofactor,
    "cross_entropy": _classes("cross_entropy"), "nll_loss": _classes("nll_loss"),
    "eye": Place.eye, "ones": Place.ones, "zeros": Place.zeros,
}  # fmt: skip
