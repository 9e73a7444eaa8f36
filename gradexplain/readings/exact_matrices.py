"""Sums, products and linear algebra on lists of exact numbers; a matrix is the list of its rows."""

from __future__ import annotations

from collections.abc import Iterable

from gradexplain.readings.arithmetic import NAN, Number, finite, mp
from gradexplain.readings.compiled import function

Matrix = list[list[Number]]


def total(values: Iterable[Number]) -> Number:
    """The sum of numbers."""
    add, result = function("add"), mp.zero
    for value in values:
        result = add(result, value)
    return result


def product(values: Iterable[Number]) -> Number:
    """The product of numbers."""
    result = mp.one
    for value in values:
        result = function("mul")(result, value)
    return result


def dot(one: Iterable[Number], other: Iterable[Number]) -> Number:
    """The sum of the products of the numbers of two lists."""
    return total(map(function("mul"), one, other))


def _eliminated(matrix: Matrix, right: Matrix) -> tuple[Matrix, Number]:
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


def cholesky(matrix: Matrix) -> Matrix:
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
