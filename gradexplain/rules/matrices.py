"""Rules of functions of square matrices."""

from __future__ import annotations

from gradexplain.rules import result_shapes as shapes
from gradexplain.rules.row import Documented, Rule

ROWS = (
    Rule("trace", "trace", pullbacks=("each(g)*eye_like(a)",), shape=shapes.of_square, linear=1,
         example="trace(A @ A)"),
    Rule("det", "determinant", pullbacks=("each(g)*cofactor(a)",), shape=shapes.of_square, torch="linalg.det",
         example="det(A)",
         documented=Documented("each(out) == 0", "for a singular matrix PyTorch takes a derivative of 0, and it is the "
                               "matrix of cofactors", "disagrees")),
    Rule("cofactor", "matrix of cofactors", pullbacks=("sum(g*out)*inverse(a).T - inverse(a).T @ g.T @ out",),
         shape=shapes.square, torch=None, example="sum(cofactor(A)**2)"),
    Rule("logdet", "log of the determinant",
         definition="log(det(a))",
         pullbacks=("each(g)*inverse(a).T",), shape=shapes.of_square,
         example="logdet(A)"),
    Rule("inverse", "inverse", pullbacks=("-(swapped(out) @ g @ swapped(out))",), shape=shapes.square,
         torch="linalg.inv", aliases=("inv",), example="trace(inverse(A))"),
    Rule("solve", "solution of a linear system",
         pullbacks=("-product(solve(swapped(a), g), out)", "solve(swapped(a), g)"), shape=shapes.solve,
         torch="linalg.solve", example="sum(solve(A, x))"),
    Rule("cholesky", "Cholesky factor",
         pullbacks=("symmetric(inverse(out).T @ (tril(out.T @ g) - diag(diagonal(out.T @ g))/2) @ inverse(out))",),
         shape=shapes.square, torch="linalg.cholesky", example="sum(cholesky(A @ A.T + 4*eye(3)))",
         documented=Documented("a != swapped(a)", "PyTorch takes the matrix for symmetric, reads its lower triangle, "
                               "and shares the gradient between both triangles", "agrees")),
)  # fmt: skip
