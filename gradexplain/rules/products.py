"""Rules of products of vectors and matrices."""

from __future__ import annotations

from gradexplain.rules import result_shapes as shapes
from gradexplain.rules.row import Rule

PRODUCTS = frozenset(("matmul", "matvec", "vecmat", "dot"))
_BY_AXES = {(1, 1): "dot", (2, 1): "matvec", (1, 2): "vecmat"}

ROWS = (
    Rule("matmul", "matrix product rule", pullbacks=("g @ swapped(b)", "swapped(a) @ g"), shape=shapes.matmul,
         aliases=("mm", "bmm"), linear=2, example="sum(A @ B)"),
    Rule("matvec", "matrix-vector product rule", pullbacks=("outer(g, b)", "a.T @ g"), shape=shapes.matmul,
         torch="matmul", written="matmul", aliases=("mv",), linear=2, example="sum((A @ x)**2)"),
    Rule("vecmat", "vector-matrix product rule", pullbacks=("b @ g", "outer(a, g)"), shape=shapes.matmul,
         torch="matmul", written="matmul", linear=2, example="sum((x @ A)**2)"),
    Rule("dot", "dot product rule", pullbacks=("g*b", "g*a"), shape=shapes.dot, written="dot",
         aliases=("inner", "vdot"), linear=2, example="dot(x, y)"),
    Rule("outer", "outer product rule",
         definition="unsqueeze(a, 1)*unsqueeze(b, 0)",
         pullbacks=("g @ b", "g.T @ a"), shape=shapes.outer, aliases=("ger",), linear=2,
         example="sum(outer(x, y)**2)"),
    Rule("kron", "Kronecker product rule", pullbacks=("kron_left(g, a, b)", "kron_right(g, a, b)"), shape=shapes.kron,
         linear=2, example="sum(kron(A, B)**2)"),
    Rule("kron_left", "left part of a Kronecker product", pullbacks=("kron(g, c)", "", "kron_right(a, g, c)"),
         shape=lambda s, _: s[1], torch=None, linear=1),
    Rule("kron_right", "right part of a Kronecker product", pullbacks=("kron(b, g)", "kron_left(a, b, g)", ""),
         shape=lambda s, _: s[2], torch=None, linear=1),
)  # fmt: skip


def product_rule(one: int, other: int) -> str:
    """The rule for the product of two tensors with so many axes.

    >>> product_rule(2, 1), product_rule(3, 2)
    ('matvec', 'matmul')
    """
    return _BY_AXES.get((one, other), "matmul")
