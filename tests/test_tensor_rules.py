"""Every rule of the table for tensors against autograd: values, every contribution, and the closed form read again."""

from __future__ import annotations

import pytest
import torch
from tensor_checks import POINTS, close, contributions_agree, evaluate, point, printed, read, run, shapes_of, tolerance

from gradexplain.language.graph import INPUT
from gradexplain.rules.table import RULES

SHAPES = "A=3x3,B=3x3,M=4x3,x=3,y=3,z=3,t=4"
# Inputs that have to be something else than any number.
OTHERWISE = {
    "sum(reshape(x, (2, 2)) @ A)": "x=4,A=2x2",
    "cross_entropy(A, y)": "A=3x3,y=3%3",
    "nll_loss(log_softmax(A, dim=1), y)": "A=3x3,y=3%3",
    "binary_cross_entropy(sigmoid(x), y)": "x=3,y=3%2",
    "binary_cross_entropy_with_logits(x, y)": "x=3,y=3%2",
}
EXAMPLES = [
    (rule.example, OTHERWISE.get(rule.example, SHAPES)) for rule in RULES.values() if rule.pullbacks and rule.example
]
T = "T=2x3x4"
VARIANTS = [
    # Sums over axes: one, several, negative, kept
    *[(f"sum({name}(T{comma}{dim}{keep})**2*W)", f"{T},W={shape}")
      for name in ("sum", "mean", "amax", "amin", "logsumexp", "norm", "var", "std")
      for comma, dim, keep, shape in (
          (", ", "dim=0", "", "3x4"), (", ", "dim=1", "", "2x4"), (", ", "dim=-1", "", "2x3"),
          (", ", "dim=-2", ", keepdim=True", "2x1x4"), (", ", "dim=(0, 2)", "", "3"),
          (", ", "dim=(-1, 0)", ", keepdim=True", "1x3x1"),
      )],
    *[(f"{name}(T)", T) for name in ("sum", "mean", "amax", "amin", "norm", "var", "std", "prod")],
    *[(f"sum(prod(T, dim={dim})**2)", T) for dim in (0, 1, -1)],
    *[(f"sum(norm(T, p={p}, dim=-1)**2)", T) for p in (1, 3, 1.5)],
    *[(f"sum({name}(T, dim={dim}, correction=0)**2)", T) for name in ("var", "std") for dim in (0, -1)],
    *[(f"sum({name}(T, dim={dim})*W)", f"{T},W=2x3x4") for name in ("softmax", "log_softmax", "cumsum")
    for dim in (0, 1, -1)],
    *[(f"sum(layer_norm(T, {shape})*W)", f"{T},W=2x3x4") for shape in ("4", "(4,)", "(3, 4)")],
    # Ties
    *[(f"{name}(stack([u, u, v]))", "") for name in ("amax", "amin")],
    ("sum(amax(stack([x, x, y]), dim=0)*z)", SHAPES), ("sum(amin(stack([x, y, x]), dim=0)*z)", SHAPES),
    ("sum(max(x, x)*y)", SHAPES), ("sum(relu(x - x)*y)", SHAPES),
    # Products of vectors, matrices and batches
    ("sum((T @ U)**2)", "T=2x3x4,U=2x4x5"), ("sum((T @ U)**2)", "T=2x3x4,U=4x5"), ("sum((T @ U)**2)", "T=3x4,U=2x4x5"),
    ("sum((T @ U)**2)", "T=1x3x4,U=2x4x5"), ("sum((T @ u)**2)", "T=2x3x4,u=4"), ("sum((u @ T)**2)", "T=2x3x4,u=3"),
    ("sum(T.mT @ T)", T), ("sum(linear(T, W, b)**2)", "T=2x3x4,W=5x4,b=5"),
    ("sum(linear(x, W, b)**2)", "x=4,W=5x4,b=5"),
    ("dot(A @ x, y)", SHAPES), ("x @ A @ y", SHAPES), ("sum(outer(x, t) @ M)", SHAPES),
    ("sum(kron(A, M)**2)", SHAPES), ("sum(kron(x, t)**2)", SHAPES),
    # Broadcasting
    ("sum((M + x)**2)", SHAPES), ("sum((M*x + c)**2)", SHAPES), ("sum((M + unsqueeze(t, 1))**2)", SHAPES),
    ("sum((u + v)**2)", "u=1x3,v=2x1"), ("sum((u*v)**3)", "u=1,v=2x3"), ("sum(u/v)", "u=2x1x3,v=4x1+"),
    ("sum(max(u, v)*u)", "u=1x3,v=2x1"),
    ("sum(where(u > v, u, v)**2)", "u=1x3,v=2x1"), ("sum(u**v)", "u=1x3+,v=2x1"), ("sum(clamp(M, x, 2)**2)", SHAPES),
    # What is centered along one axis is not along the other
    ("m = mean(M, dim=0); sum((M - m)*unsqueeze(t, 1))", SHAPES), ("m = mean(M, dim=0); sum((M - m)*x)", SHAPES),
    ("m = mean(M, dim=1, keepdim=True); sum((M - m)*unsqueeze(t, 1))", SHAPES),
    # Axes and parts
    ("sum(transpose(T, 0, 2)[1]*W)", f"{T},W=3x2"), ("sum(permute(T, (2, 0, 1))[0]*W)", f"{T},W=2x3"),
    ("sum(reshape(T, (6, -1))*W)", f"{T},W=6x4"), ("sum(flatten(T, start_dim=1)**3)", T),
    ("sum(squeeze(unsqueeze(T, 1), 1)**2)", T), ("sum(squeeze(u)**2)", "u=1x3x1"),
    ("sum(flip(T, (0, 2))*W)", f"{T},W=2x3x4"),
    *[(f"sum(cat([T, U], dim={dim})**3)", f"T=2x3,U={shape}") for dim, shape in ((0, "4x3"), (1, "2x5"), (-1, "2x1"))],
    *[(f"sum(stack([x, y], dim={dim})[0]**3)", SHAPES) for dim in (0, 1, -1)],
    ("T[0, 1, 2]*T[1, 0, 3]", T), ("sum(T[:, 1]**2)", T), ("A[0] @ A[1]", SHAPES),
    ("A[0, 1]*A[1, 0]", SHAPES), ("A[0] @ A[1] + A[2] @ x + A[0, 0]", SHAPES), ("x @ A @ A @ x", SHAPES),
    ("x @ diag(y) @ x", SHAPES), ("sum(T[:, -1, 1:]**2)", T), ("sum(T[1, ::2, :2]**2)", T), ("x[-1]*x[0]", SHAPES),
    ("sum(x[1:]*x[:-1])", SHAPES), ("sum((x[1:] - x[:-1])**2)", SHAPES),
    *[(f"sum({name}(A, diagonal={k})*B)", SHAPES) for name in ("tril", "triu") for k in (-1, 1)],
    ("sum(tril(T)**2)", T), ("sum(diag(M)**2)", SHAPES), ("sum(diag(diag(A)) @ B)", SHAPES),
    # Matrices
    ("sum(det(T))", "T=2x3x3"), ("sum(inverse(T)**2)", "T=2x3x3"), ("sum(logdet(T @ T.mT))", "T=2x3x3"),
    ("sum(trace(T)**2)", "T=2x3x3"), ("sum(solve(A, M.T)**2)", SHAPES), ("sum(solve(T, U)**2)", "T=2x3x3,U=2x3x4"),
    ("sum(cholesky(A @ A.T)*B)", SHAPES), ("sum(matrix_power(A, 3)**2)", SHAPES), ("sum(matrix_power(A, -2))", SHAPES),
    # Losses
    *[(f"sum({name}(M, U, reduction='{kind}')*2)", "M=4x3,U=4x3")
    for name in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss")
      for kind in ("none", "sum", "mean")],
    ("huber_loss(M, U, delta=0.3)", "M=4x3,U=4x3"), ("smooth_l1_loss(M, U, beta=0.3)", "M=4x3,U=4x3"),
    *[(f"sum(binary_cross_entropy(sigmoid(M), U, reduction='{kind}')*2)", "M=4x3,U=4x3%2") for kind in ("none", "sum")],
    *[(f"sum(cross_entropy(M, y, reduction='{kind}')*t)", "M=4x3,y=4%3,t=4") for kind in ("none", "sum")],
    *[(f"sum(cross_entropy(M, P, reduction='{kind}')*t)", "M=4x3,P=4x3+,t=4") for kind in ("none", "sum", "mean")],
    *[(f"sum(nll_loss(M, y, reduction='{kind}')*t)", "M=4x3,y=4%3,t=4") for kind in ("none", "sum", "mean")],
    ("cross_entropy(z, k)", "z=4,k=4+"), ("cross_entropy(T, y)", "T=2x3x4,y=2x4%3"),
    # The objective is no single number
    ("M @ x", SHAPES), ("A @ B", SHAPES), ("x**2", SHAPES), ("sum(M, dim=0)", SHAPES), ("M[1]", SHAPES),
]  # fmt: skip
# Every function of single numbers, on a matrix.
ELEMENTWISE = [
    (f"sum({rule.name}(P)*W)", "P=2x3+,W=2x3") for rule in RULES.values()
    if rule.partials and rule.required == 1 and not rule.symbol
    and rule.name not in ("identity", "asin", "acos", "atanh", "acosh")
]  # fmt: skip


@pytest.mark.parametrize(("formula", "shapes"), EXAMPLES + VARIANTS + ELEMENTWISE, ids=lambda text: text)
def test_contributions_and_closed_forms_are_autograds(formula: str, shapes: str) -> None:
    given = shapes_of(shapes)
    graph = read(formula, given)
    names = [str(graph.nodes[i].value) for i in graph.inputs]
    points = [point(names, given, seed) for seed in range(POINTS)]
    runs = [run(graph, at) for at in points]
    within = tolerance(formula)
    for at in points:
        assert not contributions_agree(graph, at, within)
    variables = dict(zip(names, graph.inputs, strict=True))
    for name, (text, symbols) in printed(graph).items():
        known = {symbol: graph.shapes[i] for symbol, i in symbols.items()}
        for at, found in zip(points, runs, strict=True):
            values = at | {symbol: found.values[i] for symbol, i in symbols.items() if graph.nodes[i].rule != INPUT}
            gradient = found.gradients.get(variables[name], torch.zeros_like(at[name]))
            assert close(evaluate(text, known, values), gradient, within), f"∂/∂{name} = {text}"


def test_every_rule_has_an_example_or_belongs_to_one() -> None:
    shown = " ".join(formula for formula, _ in EXAMPLES + VARIANTS)
    of_the_table = {"kron_left", "kron_right", "reshape_as", "expand_as", "slice", "select", "select_scatter",
                    "slice_scatter", "prod_of_others", "one_hot", "ones_like", "zeros_like", "eye", "ones", "zeros",
                    "diagonal", "norm_of_order", "matvec", "vecmat", "matmul", "transpose", "max_along", "min_along",
                    "first_largest", "layer_norm_scaled", "layer_norm_affine", "diagonals"}  # fmt: skip
    wanted = {name for name, rule in RULES.items() if not rule.partials} - of_the_table
    assert [name for name in wanted if f"{name}(" not in shown] == []


def test_the_checker_sees_what_is_wrong() -> None:
    given = shapes_of("x=3")
    graph = read("sum(x**3)", given)
    at = point(["x"], given, 0)
    rule = RULES["pow"]
    assert not contributions_agree(graph, at)
    assert not close(evaluate("3*x", {"x": (3,)}, at), run(graph, at).gradients[graph.inputs[0]])
    assert not close(torch.ones(3), torch.ones(1, 3)), rule
