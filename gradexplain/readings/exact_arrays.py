"""Arrays of exact numbers: NumPy's, of mpmath's numbers. A value is such an array, or a single number as itself.

What their elements along some axes become, functions of lists say; a matrix is the list of its rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from gradexplain.readings.arithmetic import DEAD, ELEMENTARY, NAN, Number, count_lost, finite, mp, sane, solid
from gradexplain.readings.digits import LOST
from gradexplain.rules.shapes import axes

Value = Any
Matrix = list[list[Number]]


def shape_of(value: Value) -> tuple[int, ...]:
    """The shape of an array, () for a single number."""
    return getattr(value, "shape", ())


def elements(value: Value) -> list[Number]:
    """The numbers in order, the last axis fastest."""
    return list(value.flat) if hasattr(value, "shape") else [value]


def array_of(numbers: Sequence[Any], shape: Sequence[int]) -> Value:
    """Numbers in order as an array of a shape; a single number as itself where that is ()."""
    if not shape:
        return numbers[0]
    import numpy as np

    flat = np.empty(len(numbers), dtype=object)
    for k, number in enumerate(numbers):
        flat[k] = number
    return flat.reshape(tuple(shape))


def each(call: Callable[..., Any], *values: Value) -> Value:
    """A function of numbers applied element by element, shapes broadcast.

    The bits that may have been lost are those of the worst element.
    """
    if not any(hasattr(value, "shape") for value in values):
        return call(*values)
    import numpy as np

    before, most = LOST.bits, 0

    def counted(*numbers: Number) -> Any:
        nonlocal most
        LOST.bits = 0
        result = call(*numbers)
        if LOST.bits > most:
            most = LOST.bits
        return result

    found = np.frompyfunc(counted, len(values), 1)(*values)
    LOST.bits = before + most
    return found


def as_array(value: Value) -> Any:
    """A value as an array, that of a single number with the shape ()."""
    return value if hasattr(value, "shape") else array_of([value], (1,)).reshape(())


def as_value(value: Value) -> Value:
    """An array of the shape () as the number in it."""
    return value[()] if value.shape == () else value


def lists_of(a: Any, rank: int) -> Any:
    """An array of lists: what stands along the last axis, or of the last two (`rank` 2), as a list of rows."""
    shape = a.shape[: a.ndim - rank]
    rows = a.reshape((math.prod(shape), *a.shape[a.ndim - rank :]))
    return array_of([row.tolist() for row in rows], shape)


def _groups(a: Value, dim: Any) -> tuple[Value, tuple[int, ...]]:
    """The elements along the axes of `dim`, as a list for each place on the others; and which axes these are."""
    a = as_array(a)
    gone = axes(dim, a.ndim)
    kept = [k for k in range(a.ndim) if k not in gone]
    moved = a.transpose([*kept, *gone])
    return lists_of(moved.reshape((*moved.shape[: len(kept)], math.prod(moved.shape[len(kept) :]))), 1), gone


def reduction(call: Callable[[list[Number]], Number]) -> Callable[..., Value]:
    """A function of a list, applied to the elements along some axes."""

    def run(builder: Any, a: Value, dim: Any, keepdim: bool) -> Value:
        lists, gone = _groups(a, dim)
        found = each(call, lists)
        return builder.np.expand_dims(as_array(found), gone) if keepdim and gone else found

    return run


def along(call: Callable[..., list[Number]]) -> Callable[..., Value]:
    """A function from a list to a list, applied to the elements along some axes."""

    def run(builder: Any, a: Value, dim: Any, *settings: Any) -> Value:
        lists, gone = _groups(a, dim)
        found = [number for row in elements(each(lambda row: call(row, *settings), lists)) for number in row]
        shape = shape_of(a)
        order = [*[k for k in range(len(shape)) if k not in gone], *gone]
        moved = as_array(array_of(found, [shape[k] for k in order]))
        return as_value(moved.transpose([order.index(k) for k in range(len(order))]))

    return run


def total(values: Sequence[Number]) -> Number:
    """The sum of numbers. What is not there (see DEAD) adds nothing; a sum of nothing else is not there either."""
    live = [value for value in values if value is not DEAD]
    if len(live) < 2:
        return live[0] if live else DEAD if values else mp.zero
    result = mp.fsum(live)
    count_lost([value._mpf_ for value in live], result._mpf_)
    return sane(result)


def dot(one: Sequence[Number], other: Sequence[Number]) -> Number:
    """The sum of the products of the numbers of two lists."""
    return total([DEAD if a is DEAD or b is DEAD else a * b for a, b in zip(one, other, strict=True)])


def product(values: Sequence[Number]) -> Number:
    """The product of numbers."""
    result = mp.one
    for value in values:
        result = sane(result * value)
    return result


def _eliminated(matrix: Matrix, right: Matrix) -> tuple[Matrix, Number]:
    """The solution x of matrix @ x = right by elimination with the largest pivots, and the determinant.

    Elements of the solution are nan where the matrix is singular.
    """
    size, minus = len(matrix), ELEMENTARY["sub"]
    rows = [[*a, *[solid(value) for value in b]] for a, b in zip(matrix, right, strict=True)]
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
                done = [mp.zero if j == k else rows[i][j] for j in range(k + 1)]
                rows[i] = done + [minus(a, factor * b) for a, b in zip(rows[i][k + 1 :], rows[k][k + 1 :], strict=True)]
    return [[value / rows[i][i] for value in rows[i][size:]] for i in range(size)], determinant


def cholesky(matrix: Matrix) -> Matrix:
    """The lower factor of a symmetric positive matrix; nan where it has none."""
    size = len(matrix)
    low = [[mp.zero] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            rest = ELEMENTARY["sub"](matrix[i][j], solid(dot(low[i][:j], low[j][:j])))
            if i == j:
                low[i][i] = mp.sqrt(rest) if rest > 0 else NAN
            else:
                low[i][j] = rest / low[j][j]
    return low


def unit(size: int) -> Matrix:
    """The unit matrix."""
    return [[mp.one if i == j else mp.zero for j in range(size)] for i in range(size)]


def solution(matrix: Matrix, right: Matrix) -> Matrix:
    """The solution x of matrix @ x = right; its elements are nan where the matrix is singular."""
    return _eliminated(matrix, right)[0]


def determinant(matrix: Matrix) -> Number:
    """The determinant of a square matrix."""
    return _eliminated(matrix, unit(len(matrix)))[1]


def cofactors(matrix: Matrix) -> Matrix:
    """The matrix of cofactors."""
    size = len(matrix)

    def minor(i: int, j: int) -> Number:
        rest = [[value for k, value in enumerate(row) if k != j] for m, row in enumerate(matrix) if m != i]
        return (-1) ** (i + j) * (determinant(rest) if rest else mp.one)

    return [[minor(i, j) for j in range(size)] for i in range(size)]
