"""The rules for tensors on exact numbers, by name: NumPy's arrays of mpmath's numbers, a single number as itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradexplain.calculus.pullbacks import Defined
from gradexplain.readings.arithmetic import DEAD, NAN, Number, constant, exactly, mp, solid
from gradexplain.readings.compiled import alive, function
from gradexplain.readings.exact_arrays import (
    Matrix,
    Value,
    along,
    array_of,
    as_array,
    as_value,
    cholesky,
    cofactors,
    determinant,
    dot,
    each,
    elements,
    lists_of,
    product,
    reduction,
    shape_of,
    solution,
    total,
    unit,
)
from gradexplain.rules.shapes import axes, length, resolved
from gradexplain.rules.table import ELEMENTWISE


class Builder:
    """Makes exact values: numbers, and the results of rules.

    `sizes` has the number for every size that has a name. For a vector-Jacobian product (`live`), a 0 that a row writes
    down or fills a place with is DEAD: nothing flows there, whatever it meets on its way.
    """

    def __init__(self, sizes: Mapping[str, int], live: bool = False) -> None:
        self.sizes = sizes
        self.zero = DEAD if live else mp.zero
        self.function = alive if live else function
        self.alive: Builder = self if live else Builder(sizes, live=True)

    @property
    def np(self) -> Any:
        """NumPy, which single numbers do not need."""
        import numpy

        return numpy

    def number(self, value: Any) -> Number:
        """A number, exact where it is a fraction."""
        if not value:
            return self.zero
        if isinstance(value, str) and value in self.sizes:
            return mp.mpf(self.sizes[value])
        return constant(value) if not isinstance(value, (int, float)) else exactly(float(value))

    def size(self, size: int | str) -> Number:
        """The number of a size."""
        return mp.mpf(length(size, self.sizes))

    def shape(self, value: Value) -> tuple[int, ...]:
        """The shape of a value."""
        return shape_of(value)

    def apply(self, rule: str, inputs: Sequence[Value], settings: tuple[Any, ...] = ()) -> Value:
        """The result of a rule."""
        if rule in ELEMENTWISE:
            return each(self.function(rule), *inputs)
        settings = tuple([resolved(setting, self.sizes) for setting in settings])
        if rule in CALLS:
            return CALLS[rule](self, *inputs, *settings)
        # In a definition as well, what is filled with 0 is not multiplied.
        found = Defined(self.alive, rule, inputs, settings).result()
        return found if self.zero is DEAD else each(solid, found)


def _largest(values: list[Number]) -> Number:
    return NAN if not values or any(value != value for value in values) else max(values)


def _first_largest(values: list[Number]) -> list[Number]:
    first = values.index(max(values))
    return [mp.one if k == first else mp.zero for k in range(len(values))]


def _running(values: list[Number]) -> list[Number]:
    found: list[Number] = []
    for value in values:
        found.append(value if not found else found[-1] + value)
    return found


def _others(values: list[Number]) -> list[Number]:
    return [product(values[:k] + values[k + 1 :]) for k in range(len(values))]


def _matmul(builder: Builder, a: Value, b: Value) -> Value:
    """The product of vectors, matrices or batches of them."""
    left, right = a if a.ndim > 1 else a[None, :], b if b.ndim > 1 else b[:, None]
    rows, columns = as_array(lists_of(left, 1)), as_array(lists_of(right.swapaxes(-1, -2), 1))
    found = each(dot, rows[..., :, None], columns[..., None, :])
    return as_value(found.squeeze(tuple([-2] * (a.ndim < 2) + [-1] * (b.ndim < 2))))


def _kron(builder: Builder, a: Value, b: Value) -> Value:
    one, other = _spread_out(builder, a, 1), _spread_out(builder, b, 0)
    return each(function("mul"), one, other).reshape([x * y for x, y in zip(a.shape, b.shape, strict=True)])


def _spread_out(builder: Builder, a: Value, place: int) -> Any:
    """The array with an axis of length 1 before (0) or behind (1) each of its axes."""
    return builder.np.expand_dims(a, tuple(range(place, 2 * a.ndim, 2)))


def _kron_part(builder: Builder, g: Value, a: Value, b: Value, left: bool) -> Value:
    """What flows through a Kronecker product to its left or right side."""
    blocks = g.reshape([size for pair in zip(a.shape, b.shape, strict=True) for size in pair])
    other = _spread_out(builder, b, 0) if left else _spread_out(builder, a, 1)
    gone = tuple(range(1 if left else 0, 2 * a.ndim, 2))
    return reduction(total)(builder, each(function("mul"), blocks, other), gone, False)


def _of_matrix(call: Callable[[Matrix], Number]) -> Callable[..., Value]:
    """A function of a matrix, applied to all of a batch."""
    return lambda builder, a: each(call, lists_of(a, 2))


def _matrices(call: Callable[..., Matrix]) -> Callable[..., Value]:
    """A function from matrices to a matrix, applied to all of a batch."""

    def run(builder: Builder, *values: Value) -> Value:
        found = each(call, *[as_array(lists_of(value, 2)) for value in values])
        shape = (*shape_of(found), *values[-1].shape[-2:])
        return array_of([number for matrix in elements(found) for row in matrix for number in row], shape)

    return run


def _solve(builder: Builder, a: Value, b: Value) -> Value:
    columns = b[:, None] if b.ndim == 1 else b
    found = _matrices(solution)(builder, a, columns)
    return found.reshape(b.shape) if b.ndim == 1 else found


def _put(builder: Builder, a: Value, b: Value, dim: int, place: Any) -> Value:
    """The array with a part along an axis replaced by another one."""
    found = builder.np.array(a)
    found[(*[slice(None)] * (dim % a.ndim), place)] = b
    return found


def _part(a: Value, dim: int, place: Any) -> Value:
    return a[(*[slice(None)] * (dim % a.ndim), place)]


def _triangle(builder: Builder, a: Value, keep: Any) -> Value:
    return builder.np.where(keep, a, array_of([builder.zero], (1,)))


def _hot(builder: Builder, b: Value, count: int) -> Value:
    rows = [mp.one if int(value) == k else builder.zero for value in elements(b) for k in range(count)]
    return array_of(rows, (*shape_of(b), count))


def _filled(builder: Builder, shape: Sequence[int], value: Number) -> Value:
    return builder.np.full(tuple(shape), value, dtype=object) if shape else value


def _flattened(builder: Builder, a: Value, start: int, end: int) -> Value:
    a = as_array(a)
    return a.reshape(-1) if not a.ndim else a.reshape(*a.shape[: start % a.ndim], -1, *a.shape[end % a.ndim + 1 :])


def _squeezed(builder: Builder, a: Value, dim: Any) -> Value:
    a = as_array(a)
    return as_value(a.squeeze(tuple(k for k in axes(dim, a.ndim) if a.shape[k] == 1)))


CALLS: dict[str, Callable[..., Value]] = {
    **dict.fromkeys(("matmul", "matvec", "vecmat", "dot"), _matmul),
    "kron": _kron,
    "kron_left": lambda builder, g, a, b: _kron_part(builder, g, a, b, True),
    "kron_right": lambda builder, g, a, b: _kron_part(builder, g, a, b, False),
    "transpose": lambda builder, a, dim0, dim1: a.swapaxes(dim0, dim1),
    "permute": lambda builder, a, dims: a.transpose(axes(dims, a.ndim)),
    "reshape": lambda builder, a, shape: as_value(as_array(a).reshape(shape)),
    "reshape_as": lambda builder, a, b: as_value(as_array(a).reshape(shape_of(b))),
    "expand_as": lambda builder, a, b: as_value(builder.np.broadcast_to(as_array(a), shape_of(b))),
    "flatten": _flattened,
    "unsqueeze": lambda builder, a, dim: builder.np.expand_dims(as_array(a), dim),
    "squeeze": _squeezed,
    "flip": lambda builder, a, dims: builder.np.flip(a, axes(dims, a.ndim)),
    "cat": lambda builder, *args: builder.np.concatenate(args[:-1], args[-1]),
    "stack": lambda builder, *args: builder.np.stack([as_array(a) for a in args[:-1]], args[-1]),
    "select": lambda builder, a, dim, index: _part(a, dim, index),
    "slice": lambda builder, a, dim, *bounds: _part(a, dim, slice(*bounds)),
    "select_scatter": lambda builder, a, b, dim, index: _put(builder, a, b, dim, index),
    "slice_scatter": lambda builder, a, b, dim, *bounds: _put(builder, a, b, dim, slice(*bounds)),
    "diag": lambda builder, a: builder.np.where(builder.np.eye(len(a), dtype=bool), a, array_of([builder.zero], (1,))),
    "diag_embed": lambda builder, a: _triangle(builder, a[..., None, :], builder.np.eye(a.shape[-1], dtype=bool)),
    **dict.fromkeys(("diagonal", "diagonals"), lambda builder, a: a.diagonal(axis1=-2, axis2=-1)),
    "tril": lambda builder, a, diagonal: _triangle(builder, a, builder.np.tri(*a.shape[-2:], diagonal, dtype=bool)),
    "triu": lambda builder, a, diagonal: _triangle(
        builder, a, ~builder.np.tri(*a.shape[-2:], diagonal - 1, dtype=bool)
    ),
    "sum": reduction(total),
    "prod": reduction(product),
    "prod_of_others": along(_others),
    "amax": reduction(_largest),
    "first_largest": along(_first_largest),
    "cumsum": along(_running),
    "trace": lambda builder, a: reduction(total)(builder, a.diagonal(axis1=-2, axis2=-1), -1, False),
    "det": _of_matrix(determinant),
    "cofactor": _matrices(cofactors),
    "inverse": _matrices(lambda matrix: solution(matrix, unit(len(matrix)))),
    "solve": _solve,
    "cholesky": _matrices(cholesky),
    "one_hot": _hot,
    "ones_like": lambda builder, a: _filled(builder, shape_of(a), mp.one),
    "zeros_like": lambda builder, a: _filled(builder, shape_of(a), builder.zero),
    "eye": lambda builder, n: _triangle(builder, _filled(builder, (n, n), mp.one), builder.np.eye(n, dtype=bool)),
    "ones": lambda builder, shape: _filled(builder, shape, mp.one),
    "zeros": lambda builder, shape: _filled(builder, shape, builder.zero),
}
