"""Arrays of exact numbers: a shape and its elements in order, and what rules for tensors do to axes and matrices."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from gradexplain.readings.arithmetic import NAN, Number, finite, mp
from gradexplain.readings.compiled import function


class Array(NamedTuple):
    """Elements in order, the last axis fastest; `shape` is () for a single number."""

    shape: tuple[int, ...]
    data: list[Number]

    def map(self, call: Callable[[Number], Number]) -> Array:
        """The same with a function applied to every element."""
        return Array(self.shape, [call(value) for value in self.data])


def elementwise(call: Callable[..., Number], *arrays: Array) -> Array:
    """A function applied element by element, shapes broadcast."""
    rank = max(len(array.shape) for array in arrays)
    shape = tuple(
        next((array.shape[-k] for array in arrays if len(array.shape) >= k and array.shape[-k] != 1), 1)
        for k in range(rank, 0, -1)
    )
    spread = [expand(array, shape).data for array in arrays]
    return Array(shape, [call(*values) for values in zip(*spread, strict=True)])


def expand(array: Array, shape: tuple[int, ...]) -> Array:
    """The array broadcast to a shape."""
    if array.shape == shape:
        return array
    own = (1,) * (len(shape) - len(array.shape)) + array.shape
    strides = [0 if size == 1 else stride for size, stride in zip(own, _strides(own), strict=True)]
    return Array(shape, [array.data[sum(map(int.__mul__, index, strides))] for index in indices(shape)])


def indices(shape: Sequence[int]) -> Iterable[tuple[int, ...]]:
    """Every index of a shape, in order."""
    return itertools.product(*map(range, shape))


def _strides(shape: Sequence[int]) -> list[int]:
    return [math.prod(shape[k + 1 :]) for k in range(len(shape))]


def taken(array: Array, shape: tuple[int, ...], place: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Array:
    """An array of a shape whose element at an index is that of `array` at the index `place(index)`."""
    strides = _strides(array.shape)
    return Array(shape, [array.data[sum(map(int.__mul__, place(index), strides))] for index in indices(shape)])


def permute(array: Array, order: Sequence[int]) -> Array:
    """The axes in another order."""
    back = [order.index(k) for k in range(len(order))]
    return taken(array, tuple(array.shape[k] for k in order), lambda index: tuple(index[k] for k in back))


def swap(array: Array, one: int = -2, other: int = -1) -> Array:
    """Two axes swapped."""
    order = list(range(len(array.shape)))
    order[one], order[other] = order[other], order[one]
    return permute(array, order)


def reduce(array: Array, axes: Sequence[int], keepdim: bool, call: Callable[[list[Number]], Number]) -> Array:
    """The elements along some axes made one number by a function of their list."""
    kept = [k for k in range(len(array.shape)) if k not in axes]
    moved = permute(array, [*kept, *axes])
    count = math.prod(array.shape[k] for k in axes)
    groups = [moved.data[i * count : (i + 1) * count] for i in range(math.prod(array.shape[k] for k in kept))]
    shape = tuple(1 if k in axes else size for k, size in enumerate(array.shape) if keepdim or k not in axes)
    return Array(shape, [call(group) for group in groups])


def along(array: Array, axes: Sequence[int], call: Callable[[list[Number]], list[Number]]) -> Array:
    """The elements along some axes replaced by a function of their list."""
    kept = [k for k in range(len(array.shape)) if k not in axes]
    order = [*kept, *axes]
    moved = permute(array, order)
    count = math.prod(array.shape[k] for k in axes)
    data: list[Number] = []
    for i in range(0, len(moved.data), max(count, 1)):
        data += call(moved.data[i : i + count])
    back = [order.index(k) for k in range(len(order))]
    return permute(Array(moved.shape, data), back)


def matmul(one: Array, other: Array) -> Array:
    """The product of vectors, matrices or batches of them."""
    left = one if len(one.shape) > 1 else Array((1, *one.shape), one.data)
    right = other if len(other.shape) > 1 else Array((*other.shape, 1), other.data)
    rank = max(len(left.shape), len(right.shape))
    pads = [(1,) * (rank - len(array.shape)) + array.shape for array in (left, right)]
    batch = tuple(max(pair) if 0 not in pair else 0 for pair in zip(pads[0][:-2], pads[1][:-2], strict=True))
    left = expand(Array(pads[0], left.data), batch + pads[0][-2:])
    right = swap(expand(Array(pads[1], right.data), batch + pads[1][-2:]))
    (rows, inner), columns = left.shape[-2:], right.shape[-2]
    data = []
    for k in range(math.prod(batch)):
        a = [left.data[(k * rows + i) * inner : (k * rows + i + 1) * inner] for i in range(rows)]
        b = [right.data[(k * columns + j) * inner : (k * columns + j + 1) * inner] for j in range(columns)]
        data += [dot(row, column) for row in a for column in b]
    shape = batch + ((rows,) if len(one.shape) > 1 else ()) + ((columns,) if len(other.shape) > 1 else ())
    return Array(shape, data)


def dot(one: Sequence[Number], other: Sequence[Number]) -> Number:
    """The sum of the products of two lists."""
    return total([function("mul")(a, b) for a, b in zip(one, other, strict=True)])


def total(values: Iterable[Number]) -> Number:
    """The sum of a list."""
    result = mp.zero
    for value in values:
        result = function("add")(result, value)
    return result


def rows_of(array: Array) -> list[list[list[Number]]]:
    """The matrices of a batch as lists of rows."""
    rows, columns = array.shape[-2:]
    flat = [array.data[i : i + columns] for i in range(0, len(array.data), max(columns, 1))]
    return [flat[i : i + rows] for i in range(0, len(flat), max(rows, 1))]


def solve_matrix(matrix: list[list[Number]], right: list[list[Number]]) -> tuple[list[list[Number]], Number]:
    """The solution x of matrix @ x = right by elimination with the largest pivots, and the determinant.

    Elements of the solution are nan where the matrix is singular.
    """
    size = len(matrix)
    rows = [[*a, *b] for a, b in zip(matrix, right, strict=True)]
    determinant = mp.one
    for k in range(size):
        best = max(range(k, size), key=lambda i: abs(rows[i][k]) if finite(rows[i][k]) else mp.inf)
        if best != k:
            rows[k], rows[best], determinant = rows[best], rows[k], -determinant
        pivot = rows[k][k]
        determinant *= pivot
        if pivot == 0 or not finite(pivot):
            return [[NAN] * len(right[0]) for _ in range(size)], determinant if not finite(pivot) else mp.zero
        for i in range(size):
            if i != k and rows[i][k] != 0:
                factor = rows[i][k] / pivot
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [[value / rows[i][i] for value in rows[i][size:]] for i in range(size)], determinant


def cholesky_of(matrix: list[list[Number]]) -> list[list[Number]]:
    """The lower factor of a symmetric positive matrix; nan where it has none."""
    size = len(matrix)
    low = [[mp.zero] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i][j] - dot(low[i][:j], low[j][:j])
            if i == j:
                low[i][i] = mp.sqrt(rest) if rest > 0 else NAN
            else:
                low[i][j] = rest / low[j][j]
    return low


def unit(size: int) -> list[list[Any]]:
    """The rows of a unit matrix."""
    return [[mp.one if i == j else mp.zero for j in range(size)] for i in range(size)]
