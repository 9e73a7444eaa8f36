"""The rules for tensors on arrays of exact numbers, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from gradexplain.readings.arithmetic import NAN, exactly, mp
from gradexplain.readings.compiled import expression, function
from gradexplain.readings.exact_arrays import (
    Array,
    along,
    cholesky_of,
    elementwise,
    expand,
    matmul,
    permute,
    reduce,
    rows_of,
    solve_matrix,
    swap,
    total,
    unit,
)
from gradexplain.readings.exact_parts import (
    diagonal,
    diagonal_matrix,
    dims_of,
    flipped,
    joined,
    kron,
    kron_part,
    new_axis,
    placed,
    product_of,
    range_of,
    selected,
    shaped,
    sliced,
    squeezed,
)


def _largest(values: list[Any]) -> Any:
    return NAN if not values or any(value != value for value in values) else max(values)


def _first_largest(values: list[Any]) -> list[Any]:
    first = values.index(max(values))
    return [mp.one if k == first else mp.zero for k in range(len(values))]


def _reduction(call: Callable[[list[Any]], Any]) -> Callable[..., Array]:
    return lambda a, dim, keepdim: reduce(a, dims_of(a, dim), keepdim, call)


def _log_of_sum(values: list[Any]) -> Any:
    most = _largest(values)
    return most + function("log")(total(function("exp")(value - most) for value in values))


def _log_softmax(values: list[Any]) -> list[Any]:
    whole = _log_of_sum(values)
    return [value - whole for value in values]


def _norm(p: float) -> Callable[[list[Any]], Any]:
    power = mp.mpf(p)
    if p == 2:
        return lambda values: function("sqrt")(total(value * value for value in values))
    return lambda values: function("pow")(total(function("pow")(abs(value), power) for value in values), 1 / power)


def _variance(correction: int) -> Callable[[list[Any]], Any]:
    def call(values: list[Any]) -> Any:
        mean = total(values) / len(values)
        return function("div")(total((value - mean) ** 2 for value in values), mp.mpf(len(values) - correction))

    return call


def _softmax(values: list[Any]) -> list[Any]:
    # Taking the largest off changes nothing, and keeps the terms within reach.
    most = _largest(values)
    terms = [function("exp")(value - most) for value in values]
    whole = total(terms)
    return [function("div")(term, whole) for term in terms]


def _product(values: list[Any]) -> Any:
    result = mp.one
    for value in values:
        result = function("mul")(result, value)
    return result


def _running(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        found.append(value if not found else found[-1] + value)
    return found


def _triangle(keep: Callable[[int], bool]) -> Callable[[Array], Array]:
    def call(array: Array) -> Array:
        rows, columns = array.shape[-2:]
        return Array(
            array.shape,
            [value if keep(k % columns - k // columns % rows) else mp.zero for k, value in enumerate(array.data)],
        )

    return call


def _matrices(call: Callable[[list[list[Any]]], list[list[Any]]]) -> Callable[[Array], Array]:
    def run(array: Array) -> Array:
        return Array(array.shape, [value for matrix in rows_of(array) for row in call(matrix) for value in row])

    return run


def _determinants(array: Array) -> Array:
    return Array(array.shape[:-2], [solve_matrix(matrix, unit(len(matrix)))[1] for matrix in rows_of(array)])


def _cofactors(matrix: list[list[Any]]) -> list[list[Any]]:
    size = len(matrix)

    def minor(i: int, j: int) -> Any:
        rest = [[value for k, value in enumerate(row) if k != j] for m, row in enumerate(matrix) if m != i]
        return (-1) ** (i + j) * (solve_matrix(rest, unit(size - 1))[1] if rest else mp.one)

    return [[minor(i, j) for j in range(size)] for i in range(size)]


def _solved(a: Array, b: Array) -> Array:
    right = Array((*b.shape, 1), b.data) if len(b.shape) == 1 else b
    data = [
        value for m, r in zip(rows_of(a), rows_of(right), strict=True) for row in solve_matrix(m, r)[0] for value in row
    ]
    return Array(b.shape, data)


def _averaged(call: Callable[..., Array]) -> Callable[..., Array]:
    """A loss, reduced as its setting says."""

    def run(a: Array, b: Array, reduction: str, *settings: Any) -> Array:
        losses = call(a, b, *settings)
        if reduction == "none":
            return losses
        whole = total(losses.data)
        return Array((), [whole / len(losses.data) if reduction == "mean" else whole])

    return run


def _each(text: str) -> Callable[..., Array]:
    """A loss written in the language of the rule table, with `c` for its setting."""

    def run(a: Array, b: Array, *settings: Any) -> Array:
        extra = [exactly(float(value)) for value in settings]
        return elementwise(lambda *values: expression(text, 2 + len(extra))([*values, *extra]), a, b)

    return run


def _hot(b: Array, count: int) -> Array:
    return Array((*b.shape, count), [mp.one if int(value) == k else mp.zero for value in b.data for k in range(count)])


def _nll(scores: Array, b: Array) -> Array:
    place = 1 if len(scores.shape) > 1 else 0
    weights = b if b.shape == scores.shape else _hot(b, scores.shape[place])
    if b.shape != scores.shape and len(scores.shape) > 2:
        rank = len(scores.shape)
        weights = permute(weights, (0, rank - 1, *range(1, rank - 1)))
    return reduce(product_of(scores, weights), (place,), False, lambda values: -total(values))


def _cross_entropy(a: Array, b: Array) -> Array:
    return _nll(along(a, (1 if len(a.shape) > 1 else 0,), _log_softmax), b)


def _others(values: list[Any]) -> list[Any]:
    return [_product(values[:k] + values[k + 1 :]) for k in range(len(values))]


def _layer_norm(a: Array, shape: Sequence[int], eps: float) -> Array:
    small = exactly(float(eps))

    def call(values: list[Any]) -> list[Any]:
        mean = total(values) / len(values)
        width = mp.sqrt(_variance(0)(values) + small)
        return [(value - mean) / width for value in values]

    return along(a, tuple(range(len(a.shape) - len(shape), len(a.shape))), call)


CALLS: dict[str, Callable[..., Array]] = {
    **dict.fromkeys(("matmul", "matvec", "vecmat", "dot"), matmul),
    "outer": lambda a, b: matmul(new_axis(a, 1), new_axis(b, 0)),
    "kron": kron,
    "kron_left": lambda g, a, b: kron_part(g, a, b, True),
    "kron_right": lambda g, a, b: kron_part(g, a, b, False),
    "transpose": swap,
    "permute": lambda a, dims: permute(a, dims_of(a, dims)),
    "reshape": shaped,
    "reshape_as": lambda a, b: Array(b.shape, a.data),
    "expand_as": lambda a, b: expand(a, b.shape),
    "flatten": lambda a, start, end: shaped(
        a, (*a.shape[: start % len(a.shape)], -1, *a.shape[end % len(a.shape) + 1 :])
    ),
    "unsqueeze": new_axis,
    "squeeze": squeezed,
    "flip": flipped,
    "cat": joined,
    "stack": lambda *args: joined(*[new_axis(a, args[-1]) for a in args[:-1]], args[-1] % (len(args[0].shape) + 1)),
    "select": selected,
    "slice": sliced,
    "select_scatter": lambda a, b, dim, index: placed(a, b, dim, [index % a.shape[dim]], True),
    "slice_scatter": lambda a, b, dim, *bounds: placed(a, b, dim, range_of(a, dim, *bounds), False),
    "diag": diagonal_matrix,
    "diagonal": diagonal,
    "tril": lambda a, diagonal: _triangle(lambda offset: offset <= diagonal)(a),
    "triu": lambda a, diagonal: _triangle(lambda offset: offset >= diagonal)(a),
    "sum": _reduction(total),
    "mean": _reduction(lambda values: total(values) / len(values) if values else NAN),
    "prod": _reduction(_product),
    "prod_of_others": lambda a, dim: along(a, dims_of(a, dim), _others),
    "amax": _reduction(_largest),
    "amin": _reduction(lambda values: -_largest([-value for value in values])),
    "max_along": _reduction(_largest),
    "min_along": _reduction(lambda values: -_largest([-value for value in values])),
    "first_largest": lambda a, dim: along(a, dims_of(a, dim), _first_largest),
    "logsumexp": _reduction(_log_of_sum),
    "softmax": lambda a, dim: along(a, dims_of(a, dim), _softmax),
    "log_softmax": lambda a, dim: along(a, dims_of(a, dim), _log_softmax),
    "norm": _reduction(_norm(2)),
    "norm_of_order": lambda a, p, dim, keepdim: reduce(a, dims_of(a, dim), keepdim, _norm(p)),
    "var": lambda a, dim, correction, keepdim: reduce(a, dims_of(a, dim), keepdim, _variance(correction)),
    "std": lambda a, dim, correction, keepdim: reduce(a, dims_of(a, dim), keepdim, _variance(correction)).map(
        function("sqrt")
    ),
    "cumsum": lambda a, dim: along(a, dims_of(a, dim), _running),
    "layer_norm": _layer_norm,
    "trace": lambda a: reduce(diagonal(a), (len(a.shape) - 2,), False, total),
    "det": _determinants,
    "cofactor": _matrices(_cofactors),
    "logdet": lambda a: _determinants(a).map(function("log")),
    "inverse": _matrices(lambda matrix: solve_matrix(matrix, unit(len(matrix)))[0]),
    "solve": _solved,
    "cholesky": _matrices(cholesky_of),
    "mse_loss": _averaged(_each("(a - b)**2")),
    "l1_loss": _averaged(_each("abs(a - b)")),
    "huber_loss": _averaged(_each("where(abs(a - b) <= c, (a - b)**2/2, c*(abs(a - b) - c/2))")),
    "smooth_l1_loss": _averaged(_each("where(abs(a - b) < c, (a - b)**2/(2*c), abs(a - b) - c/2)")),
    "binary_cross_entropy": _averaged(_each("-xlogy(b, a) - xlogy(1 - b, 1 - a)")),
    "binary_cross_entropy_with_logits": _averaged(_each("log(1 + exp(a)) - a*b")),
    "cross_entropy": _averaged(_cross_entropy),
    "nll_loss": _averaged(_nll),
    "one_hot": _hot,
    "ones_like": lambda a: a.map(lambda _: mp.one),
    "zeros_like": lambda a: a.map(lambda _: mp.zero),
    "eye": lambda n: Array((n, n), [value for row in unit(n) for value in row]),
    "ones": lambda shape: Array(tuple(shape), [mp.one] * math.prod(shape)),
    "zeros": lambda shape: Array(tuple(shape), [mp.zero] * math.prod(shape)),
}
