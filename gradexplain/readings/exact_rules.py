"""The rules for tensors on exact numbers, by name: NumPy's arrays of mpmath's numbers, a single number as itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from gradexplain.readings.arithmetic import NAN, Number, exactly, mp
from gradexplain.readings.compiled import expression, function
from gradexplain.readings.exact_matrices import cholesky, cofactors, determinant, dot, product, solution, total, unit
from gradexplain.rules.shapes import axes

Value = Any


def shape_of(value: Value) -> tuple[int, ...]:
    """The shape of an array, () for a single number."""
    return getattr(value, "shape", ())


def elements(value: Value) -> list[Number]:
    """The numbers in order, the last axis fastest."""
    return list(value.flat) if hasattr(value, "flat") else [value]


def array_of(numbers: Sequence[Number], shape: Sequence[int]) -> Value:
    """Numbers in order as an array of a shape; a single number as itself where that is ()."""
    if not shape:
        return numbers[0]
    import numpy as np

    flat = np.empty(len(numbers), dtype=object)
    flat[:] = numbers
    return flat.reshape(tuple(shape))


def each(call: Callable[..., Number], *values: Value) -> Value:
    """A function of numbers applied element by element, shapes broadcast."""
    if not any(hasattr(value, "shape") for value in values):
        return call(*values)
    import numpy as np

    return np.frompyfunc(call, len(values), 1)(*values)


def _array(np: Any, value: Value) -> Any:
    """A value as an array, that of a single number with the shape ()."""
    return value if hasattr(value, "shape") else array_of([value], (1,)).reshape(())


def _number(value: Value) -> Value:
    """An array of the shape () as the number in it."""
    return value[()] if value.shape == () else value


def _groups(np: Any, a: Value, dim: Any) -> tuple[Any, tuple[int, ...]]:
    """The axes that `dim` means moved behind the others, and joined; and which axes these are."""
    a = _array(np, a)
    gone = axes(dim, a.ndim)
    kept = [k for k in range(a.ndim) if k not in gone]
    moved = a.transpose([*kept, *gone])
    return moved.reshape(*moved.shape[: len(kept)], math.prod(moved.shape[len(kept) :])), gone


def _reduction(call: Callable[[list[Number]], Number]) -> Callable[..., Value]:
    """A function of a list, applied to the elements along some axes."""

    def run(np: Any, a: Value, dim: Any, keepdim: bool) -> Value:
        rows, gone = _groups(np, a, dim)
        found = np.empty(rows.shape[:-1], dtype=object)
        for index in np.ndindex(found.shape):
            found[index] = call(rows[index].tolist())
        return _number(np.expand_dims(found, gone) if keepdim else found)

    return run


def _along(call: Callable[..., list[Number]]) -> Callable[..., Value]:
    """A function from a list to a list, applied to the elements along some axes."""

    def run(np: Any, a: Value, dim: Any, *settings: Any) -> Value:
        rows, gone = _groups(np, a, dim)
        found = np.empty(rows.shape, dtype=object)
        for index in np.ndindex(found.shape[:-1]):
            found[index] = call(rows[index].tolist(), *settings)
        shape = shape_of(a)
        kept = [k for k in range(len(shape)) if k not in gone]
        order = [*kept, *gone]
        return _number(found.reshape([shape[k] for k in order]).transpose([order.index(k) for k in range(len(order))]))

    return run


def _largest(values: list[Number]) -> Number:
    return NAN if not values or any(value != value for value in values) else max(values)


def _smallest(values: list[Number]) -> Number:
    return -_largest([-value for value in values])


def _first_largest(values: list[Number]) -> list[Number]:
    first = values.index(max(values))
    return [mp.one if k == first else mp.zero for k in range(len(values))]


def _log_of_sum(values: list[Number]) -> Number:
    # Taking the largest off changes nothing, and keeps the terms within reach.
    most = _largest(values)
    return most + function("log")(total(function("exp")(value - most) for value in values))


def _softmax(values: list[Number]) -> list[Number]:
    most = _largest(values)
    terms = [function("exp")(value - most) for value in values]
    whole = total(terms)
    return [function("div")(term, whole) for term in terms]


def _log_softmax(values: list[Number]) -> list[Number]:
    whole = _log_of_sum(values)
    return [value - whole for value in values]


def _norm(p: float) -> Callable[[list[Number]], Number]:
    power = mp.mpf(p)
    if p == 2:
        return lambda values: function("sqrt")(total(value * value for value in values))
    return lambda values: function("pow")(total(function("pow")(abs(value), power) for value in values), 1 / power)


def _mean(values: list[Number]) -> Number:
    return total(values) / len(values) if values else NAN


def _variance(correction: int) -> Callable[[list[Number]], Number]:
    def call(values: list[Number]) -> Number:
        mean = _mean(values)
        return function("div")(total((value - mean) ** 2 for value in values), mp.mpf(len(values) - correction))

    return call


def _normalized(values: list[Number], eps: float) -> list[Number]:
    mean, width = _mean(values), mp.sqrt(_variance(0)(values) + exactly(float(eps)))
    return [(value - mean) / width for value in values]


def _running(values: list[Number]) -> list[Number]:
    found: list[Number] = []
    for value in values:
        found.append(value if not found else found[-1] + value)
    return found


def _others(values: list[Number]) -> list[Number]:
    return [product(values[:k] + values[k + 1 :]) for k in range(len(values))]


def _matmul(np: Any, a: Value, b: Value) -> Value:
    """The product of vectors, matrices or batches of them."""
    left, right = a if a.ndim > 1 else a[None, :], b if b.ndim > 1 else b[:, None]
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left = np.broadcast_to(left, batch + left.shape[-2:])
    right = np.broadcast_to(right, batch + right.shape[-2:])
    found = np.empty((*batch, left.shape[-2], right.shape[-1]), dtype=object)
    for index in np.ndindex(batch):
        rows, columns = left[index].tolist(), right[index].T.tolist()
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                found[(*index, i, j)] = dot(row, column)
    gone = [-2] * (a.ndim < 2) + [-1] * (b.ndim < 2)
    return _number(found.squeeze(tuple(gone)))


def _kron(np: Any, a: Value, b: Value) -> Value:
    one, other = _spread_out(np, a, 1), _spread_out(np, b, 0)
    return each(function("mul"), one, other).reshape([x * y for x, y in zip(a.shape, b.shape, strict=True)])


def _spread_out(np: Any, a: Value, place: int) -> Any:
    """The array with an axis of length 1 before (0) or behind (1) each of its axes."""
    return np.expand_dims(a, tuple(range(place, 2 * a.ndim, 2)))


def _kron_part(np: Any, g: Value, a: Value, b: Value, left: bool) -> Value:
    """What flows through a Kronecker product to its left or right side."""
    blocks = g.reshape([size for pair in zip(a.shape, b.shape, strict=True) for size in pair])
    other = _spread_out(np, b, 0) if left else _spread_out(np, a, 1)
    gone = tuple(range(1 if left else 0, 2 * a.ndim, 2))
    return _reduction(total)(np, each(function("mul"), blocks, other), gone, False)


def _matrices(call: Callable[..., Any], of_matrix: bool = True) -> Callable[..., Value]:
    """A function of matrices, applied to all of a batch; it gives a matrix, or (without `of_matrix`) a number."""

    def run(np: Any, *values: Value) -> Value:
        first = values[0]
        found = np.empty(values[-1].shape if of_matrix else first.shape[:-2], dtype=object)
        for index in np.ndindex(first.shape[:-2]):
            found[index] = call(*[value[index].tolist() for value in values])
        return _number(found)

    return run


def _solve(np: Any, a: Value, b: Value) -> Value:
    columns = b[:, None] if b.ndim == 1 else b
    return _matrices(solution)(np, a, columns).reshape(b.shape)


def _put(np: Any, a: Value, b: Value, dim: int, place: Any) -> Value:
    """The array with a part along an axis replaced by another one."""
    found = np.array(a)
    found[(*[slice(None)] * (dim % a.ndim), place)] = b
    return found


def _part(a: Value, dim: int, place: Any) -> Value:
    return a[(*[slice(None)] * (dim % a.ndim), place)]


def _triangle(np: Any, a: Value, keep: Any) -> Value:
    return np.where(keep, a, array_of([mp.zero], (1,)))


def _hot(np: Any, b: Value, count: int) -> Value:
    rows = [mp.one if int(value) == k else mp.zero for value in elements(b) for k in range(count)]
    return array_of(rows, (*shape_of(b), count))


def _filled(np: Any, shape: Sequence[int], value: Number) -> Value:
    return np.full(tuple(shape), value, dtype=object) if shape else value


def _averaged(call: Callable[..., Value]) -> Callable[..., Value]:
    """A loss, reduced as its setting says."""

    def run(np: Any, a: Value, b: Value, reduction: str, *settings: Any) -> Value:
        losses = call(np, a, b, *settings)
        if reduction == "none":
            return losses
        return (_mean if reduction == "mean" else total)(elements(losses))

    return run


def _written(text: str) -> Callable[..., Value]:
    """A loss written in the language of the rule table, with `c` for its setting."""

    def run(np: Any, a: Value, b: Value, *settings: Any) -> Value:
        extra = [exactly(float(value)) for value in settings]
        return each(lambda *values: expression(text, 2 + len(extra))([*values, *extra]), a, b)

    return run


def _nll(np: Any, scores: Value, b: Value) -> Value:
    place = 1 if scores.ndim > 1 else 0
    weights = b if shape_of(b) == scores.shape else np.moveaxis(_hot(np, b, scores.shape[place]), -1, place)
    return _reduction(lambda values: -total(values))(np, each(function("mul"), scores, weights), place, False)


def _cross_entropy(np: Any, a: Value, b: Value) -> Value:
    return _nll(np, _along(_log_softmax)(np, a, 1 if a.ndim > 1 else 0), b)


def _flattened(np: Any, a: Value, start: int, end: int) -> Value:
    a = _array(np, a)
    return a.reshape(-1) if not a.ndim else a.reshape(*a.shape[: start % a.ndim], -1, *a.shape[end % a.ndim + 1 :])


def _squeezed(np: Any, a: Value, dim: Any) -> Value:
    a = _array(np, a)
    return _number(a.squeeze(tuple(k for k in axes(dim, a.ndim) if a.shape[k] == 1)))


CALLS: dict[str, Callable[..., Value]] = {
    **dict.fromkeys(("matmul", "matvec", "vecmat", "dot"), _matmul),
    "outer": lambda np, a, b: each(function("mul"), a[:, None], b[None, :]),
    "kron": _kron,
    "kron_left": lambda np, g, a, b: _kron_part(np, g, a, b, True),
    "kron_right": lambda np, g, a, b: _kron_part(np, g, a, b, False),
    "transpose": lambda np, a, dim0, dim1: a.swapaxes(dim0, dim1),
    "permute": lambda np, a, dims: a.transpose(axes(dims, a.ndim)),
    "reshape": lambda np, a, shape: _number(_array(np, a).reshape(shape)),
    "reshape_as": lambda np, a, b: _number(_array(np, a).reshape(shape_of(b))),
    "expand_as": lambda np, a, b: _number(np.broadcast_to(_array(np, a), shape_of(b))),
    "flatten": _flattened,
    "unsqueeze": lambda np, a, dim: np.expand_dims(_array(np, a), dim),
    "squeeze": _squeezed,
    "flip": lambda np, a, dims: np.flip(a, axes(dims, a.ndim)),
    "cat": lambda np, *args: np.concatenate(args[:-1], args[-1]),
    "stack": lambda np, *args: np.stack([_array(np, a) for a in args[:-1]], args[-1]),
    "select": lambda np, a, dim, index: _part(a, dim, index),
    "slice": lambda np, a, dim, *bounds: _part(a, dim, slice(*bounds)),
    "select_scatter": lambda np, a, b, dim, index: _put(np, a, b, dim, index),
    "slice_scatter": lambda np, a, b, dim, *bounds: _put(np, a, b, dim, slice(*bounds)),
    "diag": lambda np, a: np.where(np.eye(len(a), dtype=bool), a, array_of([mp.zero], (1,))),
    "diagonal": lambda np, a: a.diagonal(axis1=-2, axis2=-1),
    "tril": lambda np, a, diagonal: _triangle(np, a, np.tri(*a.shape[-2:], diagonal, dtype=bool)),
    "triu": lambda np, a, diagonal: _triangle(np, a, ~np.tri(*a.shape[-2:], diagonal - 1, dtype=bool)),
    "sum": _reduction(total),
    "mean": _reduction(_mean),
    "prod": _reduction(product),
    "prod_of_others": _along(_others),
    "amax": _reduction(_largest),
    "amin": _reduction(_smallest),
    "max_along": _reduction(_largest),
    "min_along": _reduction(_smallest),
    "first_largest": _along(_first_largest),
    "logsumexp": _reduction(_log_of_sum),
    "softmax": _along(_softmax),
    "log_softmax": _along(_log_softmax),
    "norm": _reduction(_norm(2)),
    "norm_of_order": lambda np, a, p, dim, keepdim: _reduction(_norm(p))(np, a, dim, keepdim),
    "var": lambda np, a, dim, correction, keepdim: _reduction(_variance(correction))(np, a, dim, keepdim),
    "std": lambda np, a, dim, correction, keepdim: each(
        function("sqrt"), _reduction(_variance(correction))(np, a, dim, keepdim)
    ),
    "cumsum": _along(_running),
    "layer_norm": lambda np, a, shape, eps: _along(_normalized)(np, a, tuple(range(-len(shape), 0)), eps),
    "trace": lambda np, a: _reduction(total)(np, a.diagonal(axis1=-2, axis2=-1), -1, False),
    "det": _matrices(determinant, False),
    "cofactor": _matrices(cofactors),
    "logdet": lambda np, a: each(function("log"), _matrices(determinant, False)(np, a)),
    "inverse": _matrices(lambda matrix: solution(matrix, unit(len(matrix)))),
    "solve": _solve,
    "cholesky": _matrices(cholesky),
    "mse_loss": _averaged(_written("(a - b)**2")),
    "l1_loss": _averaged(_written("abs(a - b)")),
    "huber_loss": _averaged(_written("where(abs(a - b) <= c, (a - b)**2/2, c*(abs(a - b) - c/2))")),
    "smooth_l1_loss": _averaged(_written("where(abs(a - b) < c, (a - b)**2/(2*c), abs(a - b) - c/2)")),
    "binary_cross_entropy": _averaged(_written("-xlogy(b, a) - xlogy(1 - b, 1 - a)")),
    "binary_cross_entropy_with_logits": _averaged(_written("log(1 + exp(a)) - a*b")),
    "cross_entropy": _averaged(_cross_entropy),
    "nll_loss": _averaged(_nll),
    "one_hot": _hot,
    "ones_like": lambda np, a: _filled(np, shape_of(a), mp.one),
    "zeros_like": lambda np, a: _filled(np, shape_of(a), mp.zero),
    "eye": lambda np, n: array_of([value for row in unit(n) for value in row], (n, n)),
    "ones": lambda np, shape: _filled(np, shape, mp.one),
    "zeros": lambda np, shape: _filled(np, shape, mp.zero),
}
