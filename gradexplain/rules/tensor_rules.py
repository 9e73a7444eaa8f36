"""THE RULE TABLE FOR TENSORS: what an elementwise derivative cannot say, as vector-Jacobian products.

In a row, `a`, `b` are the inputs, `out` is the result and `g` the upstream gradient, which has the shape of `out`. The
names of settings stand for their values. A few words are only for the rows: `restored(t)` puts the axes back that a
reduction took away, as axes of length 1; `averaged(t)` divides by the number of elements where the reduction is a mean;
`count` is the number of elements that were reduced to one; `swapped(t)` swaps the last two axes; `each(t)` puts two
axes behind a number for each matrix of a batch. Where an input was
broadcast, its gradient is summed over the added axes afterwards, for every rule alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradexplain.rules import shape_parts as parts
from gradexplain.rules import shape_rules as shapes
from gradexplain.rules.shape_rules import ShapeRule


@dataclass(frozen=True, slots=True)
class TensorRule:
    """How one operation on tensors is differentiated.

    `name` is the stable id and `title` the plain name of the rule. `pullbacks` has one expression for each tensor that
    goes in; an empty one means that nothing can flow to that input. `shape` gives the shape of the result. `settings`
    are the names of the arguments that are no tensors, with their defaults. `torch` is PyTorch's name below `torch.`,
    where it is not `name`, or the call as a pattern (see readings/torch_rules.py); `written` the name under which the
    operation is written. `kink` and `at_kink` are those of a scalar rule. `any_number` takes a list of tensors, with
    one pullback for all. `example` is a formula to show.

    >>> TENSOR_RULES["matmul"].pullbacks
    ('g @ swapped(b)', 'swapped(a) @ g')
    """

    name: str
    title: str
    pullbacks: tuple[str, ...]
    shape: ShapeRule
    settings: tuple[tuple[str, Any], ...] = ()
    torch: str = ""
    written: str = ""
    aliases: tuple[str, ...] = ()
    kink: str = ""
    at_kink: str = ""
    any_number: bool = False
    example: str = ""

    @property
    def partials(self) -> tuple[str, ...]:
        """For each input, settings included, whether a gradient flows to it: empty where it does not."""
        return self.pullbacks + ("",) * len(self.settings)

    @property
    def defaults(self) -> tuple[str, ...]:
        """No setting is left out when the inputs are listed."""
        return ()


_PRODUCTS = {(1, 1): "dot", (2, 1): "matvec", (1, 2): "vecmat"}
REDUCE = (("dim", None), ("keepdim", False))
ALONG = (("dim", -1),)
LOSS = (("reduction", "mean"),)
REQUIRED = object()
TIES = "where(a == restored(out), restored(g)/sum(where(a == restored(out), 1, 0), dim, True), 0)"
SHARED = "PyTorch shares the gradient among the ties"

_ROWS = (
    # Products
    TensorRule("matmul", "matrix product rule", ("g @ swapped(b)", "swapped(a) @ g"), shapes.matmul, aliases=("mm",
               "bmm"),
               example="sum(A @ B)"),
    TensorRule("matvec", "matrix-vector product rule", ("outer(g, b)", "a.T @ g"), shapes.matmul, torch="matmul",
               written="matmul", aliases=("mv",), example="sum((A @ x)**2)"),
    TensorRule("vecmat", "vector-matrix product rule", ("b @ g", "outer(a, g)"), shapes.matmul, torch="matmul",
               written="matmul", example="sum((x @ A)**2)"),
    TensorRule("dot", "dot product rule", ("g*b", "g*a"), shapes.matmul, written="dot", aliases=("inner", "vdot"),
               example="dot(x, y)"),
    TensorRule("outer", "outer product rule", ("g @ b", "g.T @ a"), shapes.outer, aliases=("ger",),
               example="sum(outer(x, y)**2)"),
    TensorRule("kron", "Kronecker product rule", ("kron_left(g, a, b)", "kron_right(g, a, b)"), shapes.kron,
               example="sum(kron(A, B)**2)"),
    TensorRule("kron_left", "left part of a Kronecker product", ("kron(g, c)", "", "kron_right(a, g, c)"),
               lambda s, _: s[1], torch="custom"),
    TensorRule("kron_right", "right part of a Kronecker product", ("kron(b, g)", "kron_left(a, b, g)", ""),
               lambda s, _: s[2], torch="custom"),
    # Axes and parts
    TensorRule("transpose", "transposition", ("transpose(g, dim0, dim1)",), parts.transpose,
               (("dim0", REQUIRED), ("dim1", REQUIRED)), aliases=("swapaxes", "swapdims"), example="sum(A @ A.T)"),
    TensorRule("permute", "permutation of axes", ("unpermuted(g, dims)",), parts.permute, (("dims", REQUIRED),)),
    TensorRule("reshape", "reshaping", ("reshape_as(g, a)",), parts.reshape, (("shape", REQUIRED),), aliases=("view",),
               example="sum(reshape(x, (2, 2)) @ A)"),
    TensorRule("reshape_as", "reshaping", ("reshape_as(g, a)", ""), parts.as_other, torch="torch.reshape(a, b.shape)",
               aliases=("view_as",)),
    TensorRule("expand_as", "expansion", ("g", ""), parts.as_other, torch="torch.broadcast_to(a, b.shape)"),
    TensorRule("flatten", "flattening", ("reshape_as(g, a)",), parts.flatten, (("start_dim", 0), ("end_dim", -1)),
               aliases=("ravel",), example="sum(flatten(A)**2)"),
    TensorRule("unsqueeze", "new axis", ("squeeze(g, dim)",), parts.unsqueeze, (("dim", REQUIRED),),
               example="sum(unsqueeze(x, 1)*A)"),
    TensorRule("squeeze", "removed axis", ("reshape_as(g, a)",), parts.squeeze, (("dim", None),)),
    TensorRule("flip", "reversal", ("flip(g, dims)",), lambda s, _: s[0], (("dims", REQUIRED),)),
    TensorRule("cat", "joining", ("part_of_cat(g, dim)",), parts.cat, (("dim", 0),), aliases=("concat", "concatenate"),
               any_number=True, torch="torch.cat(inputs, dim)", example="sum(cat([x, y])**2)"),
    TensorRule("stack", "stacking", ("part_of_stack(g, dim)",), parts.stack, (("dim", 0),), any_number=True,
               torch="torch.stack(inputs, dim)", example="sum(stack([x, y])**2)"),
    TensorRule("select", "element", ("select_scatter(zeros_like(a), g, dim, index)",), parts.select,
               (("dim", REQUIRED), ("index", REQUIRED)), example="x[0]*x[1]"),
    TensorRule("slice", "range of elements", ("slice_scatter(zeros_like(a), g, dim, start, end, step)",), parts.sliced,
               (("dim", REQUIRED), ("start", None), ("end", None), ("step", 1)), torch="custom",
               example="sum(x[1:]**2)"),
    TensorRule("select_scatter", "element put in", ("", "select(g, dim, index)"), lambda s, _: s[0],
               (("dim", REQUIRED), ("index", REQUIRED))),
    TensorRule("slice_scatter", "range put in", ("", "slice(g, dim, start, end, step)"), lambda s, _: s[0],
               (("dim", REQUIRED), ("start", None), ("end", None), ("step", 1))),
    TensorRule("diag", "diagonal matrix", ("diagonal(g)",), parts.diag, torch="diag_embed", written="diag",
               aliases=("diag_embed",), example="sum(diag(x) @ A)"),
    TensorRule("diagonal", "diagonal", ("diagonal_like(g, a)",), parts.diagonal, written="diag",
               example="sum(diag(A)**2)"),
    TensorRule("tril", "lower triangle", ("tril(g, diagonal)",), shapes.at_least_matrix, (("diagonal", 0),),
               example="sum(tril(A)**2)"),
    TensorRule("triu", "upper triangle", ("triu(g, diagonal)",), shapes.at_least_matrix, (("diagonal", 0),),
               example="sum(triu(A)**2)"),
    # Reductions
    TensorRule("sum", "sum", ("restored(g)*ones_like(a)",), shapes.reduced, REDUCE, aliases=("nansum",),
               example="sum(x**2)"),
    TensorRule("mean", "mean", ("restored(g)*ones_like(a)/count",), shapes.reduced, REDUCE, example="mean(x**2)"),
    TensorRule("prod", "product of all", ("restored(g)*prod_of_others(a, dim)",), shapes.reduced, REDUCE,
               example="prod(x)"),
    TensorRule("prod_of_others", "product of all but one", ("(sum(g*out, dim, True) - g*out)/a",), shapes.same,
               (("dim", None),), torch="custom"),
    TensorRule("amax", "largest element", (TIES,), shapes.reduced, REDUCE, at_kink=SHARED, kink="ties",
               aliases=("max",),
               example="amax(x)"),
    TensorRule("amin", "smallest element", (TIES,), shapes.reduced, REDUCE, at_kink=SHARED, kink="ties",
               aliases=("min",),
               example="amin(x)"),
    TensorRule("max_along", "largest along an axis", ("restored(g)*first_largest(a, dim)",), shapes.reduced,
               (("dim", REQUIRED), ("keepdim", False)),
               torch="torch.max(a, dim, keepdim).values", written="max", kink="ties",
               at_kink="PyTorch takes the first of the ties", example="sum(max(A, dim=1)**2)"),
    TensorRule("min_along", "smallest along an axis", ("restored(g)*first_largest(-a, dim)",), shapes.reduced,
               (("dim", REQUIRED), ("keepdim", False)),
               torch="torch.min(a, dim, keepdim).values", written="min", kink="ties",
               at_kink="PyTorch takes the first of the ties", example="sum(min(A, dim=1)**2)"),
    TensorRule("first_largest", "1 at the first largest element along an axis", ("",), shapes.same,
               (("dim", REQUIRED),),
               torch="torch.zeros_like(a).scatter(dim, torch.max(a, dim, True).indices, 1.0)",
               example="sum(first_largest(A, dim=1)*A)"),
    TensorRule("logsumexp", "log of a sum of exponentials", ("restored(g)*exp(a - restored(out))",), shapes.reduced,
               REDUCE, torch="custom", example="logsumexp(x, dim=0)"),
    TensorRule("softmax", "softmax", ("out*(g - sum(g*out, dim, True))",), shapes.same, ALONG,
               example="dot(softmax(x, dim=0), y)"),
    TensorRule("log_softmax", "log of softmax", ("g - exp(out)*sum(g, dim, True)",), shapes.same, ALONG,
               example="dot(log_softmax(x, dim=0), y)"),
    TensorRule("norm", "Euclidean norm", ("restored(g)*where(restored(out) == 0, 0, a/restored(out))",), shapes.reduced,
               REDUCE, torch="torch.linalg.vector_norm(a, 2, dim, keepdim)",
               kink="restored(out)", at_kink="PyTorch takes 0",
               aliases=("vector_norm", "matrix_norm"), example="norm(x)"),
    TensorRule("norm_of_order", "norm of order p",
               ("restored(g)*where(restored(out) == 0, 0, sign(a)*(abs(a)/restored(out))**(p - 1))",), shapes.reduced,
               (("p", REQUIRED), *REDUCE),
               torch="torch.linalg.vector_norm(a, p, dim, keepdim)", written="norm", kink="a",
               at_kink="PyTorch takes 0", example="norm(x, p=3)"),
    TensorRule("var", "variance", ("2*restored(g)*(a - mean(a, dim, True))/(count - correction)",), shapes.reduced,
               (("dim", None), ("correction", 1), ("keepdim", False)), example="var(x)"),
    TensorRule("std", "standard deviation",
               ("restored(g)/(count - correction)*where(restored(out) == 0, 0, (a - mean(a, dim, True))/restored(out))",
                ),
               shapes.reduced, (("dim", None), ("correction", 1), ("keepdim", False)), kink="restored(out)",
               at_kink="PyTorch takes 0", example="std(x)"),
    TensorRule("cumsum", "running sum", ("flip(cumsum(flip(g, dim), dim), dim)",), shapes.same, (("dim", REQUIRED),),
               example="sum(cumsum(x, dim=0)**2)"),
    TensorRule("layer_norm", "layer normalization",
               ("(g - mean(g, dim, True) - out*mean(g*out, dim, True))/sqrt(var(a, dim, 0, True) + eps)",), shapes.same,
               (("normalized_shape", REQUIRED), ("eps", 1e-05)),
               torch="torch.nn.functional.layer_norm(a, normalized_shape, eps=eps)",
               example="sum(layer_norm(x, 3)*y)"),
    # Matrices
    TensorRule("trace", "trace", ("each(g)*eye_like(a)",), shapes.of_square, example="trace(A @ A)"),
    TensorRule("det", "determinant", ("each(g)*cofactor(a)",), shapes.of_square, torch="linalg.det", kink="out",
               at_kink="PyTorch takes 0 for a singular matrix", example="det(A)"),
    TensorRule("cofactor", "matrix of cofactors", ("sum(g*out)*inverse(a).T - inverse(a).T @ g.T @ out",),
               shapes.square,
               torch="custom", example="sum(cofactor(A)**2)"),
    TensorRule("logdet", "log of the determinant", ("each(g)*inverse(a).T",), shapes.of_square, example="logdet(A)"),
    TensorRule("inverse", "inverse", ("-(swapped(out) @ g @ swapped(out))",), shapes.square, torch="linalg.inv",
               aliases=("inv",), example="trace(inverse(A))"),
    TensorRule("solve", "solution of a linear system",
               ("-product(solve(swapped(a), g), out)", "solve(swapped(a), g)"), shapes.solve,
               torch="linalg.solve", example="sum(solve(A, x))"),
    TensorRule("cholesky", "Cholesky factor",
               ("symmetric(inverse(out).T @ (tril(out.T @ g) - diag(diagonal(out.T @ g))/2) @ inverse(out))",),
               shapes.square, torch="linalg.cholesky", example="sum(cholesky(A @ A.T + 4*eye(3)))"),
    # Losses
    TensorRule("mse_loss", "mean squared error", ("2*(a - b)*averaged(g)", "-2*(a - b)*averaged(g)"), shapes.loss, LOSS,
               torch="nn.functional.mse_loss", example="mse_loss(x, y)"),
    TensorRule("l1_loss", "mean absolute error", ("sign(a - b)*averaged(g)", "-sign(a - b)*averaged(g)"), shapes.loss,
               LOSS, torch="nn.functional.l1_loss", kink="a - b", at_kink="PyTorch takes 0",
               example="l1_loss(x, y)"),
    TensorRule("huber_loss", "Huber loss",
               ("clamp(a - b, -delta, delta)*averaged(g)", "-clamp(a - b, -delta, delta)*averaged(g)"), shapes.loss,
               (*LOSS, ("delta", 1)), torch="nn.functional.huber_loss",
               example="huber_loss(x, y)"),
    TensorRule("smooth_l1_loss", "smooth absolute error",
               ("clamp((a - b)/beta, -1, 1)*averaged(g)", "-clamp((a - b)/beta, -1, 1)*averaged(g)"), shapes.loss,
               (*LOSS, ("beta", 1)), torch="nn.functional.smooth_l1_loss",
               example="smooth_l1_loss(x, y)"),
    TensorRule("binary_cross_entropy", "binary cross entropy",
               ("(a - b)/(a*(1 - a))*averaged(g)", "(log(1 - a) - log(a))*averaged(g)"), shapes.loss, LOSS,
               torch="nn.functional.binary_cross_entropy",
               example="binary_cross_entropy(sigmoid(x), y)"),
    TensorRule("binary_cross_entropy_with_logits", "binary cross entropy of the sigmoid",
               ("(sigmoid(a) - b)*averaged(g)", "-a*averaged(g)"), shapes.loss, LOSS,
               torch="nn.functional.binary_cross_entropy_with_logits",
               example="binary_cross_entropy_with_logits(x, y)"),
    TensorRule("cross_entropy", "cross entropy of softmax",
               ("(softmax(a, dim)*target_sum(b, dim) - target(b))*averaged(g)", "target_gradient(a, b)*averaged(g)"),
               shapes.classes, LOSS,
               torch="nn.functional.cross_entropy", example="cross_entropy(A, y)"),
    TensorRule("nll_loss", "negative log likelihood", ("-target(b)*averaged(g)", ""), shapes.classes, LOSS,
               torch="nn.functional.nll_loss", example="nll_loss(log_softmax(A, dim=1), y)"),
    TensorRule("one_hot", "one-hot rows", ("",), shapes.one_hot, (("num_classes", REQUIRED),),
               torch="torch.nn.functional.one_hot(a.long(), num_classes).to(dtype)"),
    # Tensors without a gradient
    TensorRule("ones_like", "ones", ("",), lambda s, _: s[0]),
    TensorRule("zeros_like", "zeros", ("",), lambda s, _: s[0]),
    TensorRule("eye", "unit matrix", (), lambda _, settings: (settings["n"], settings["n"]), (("n", REQUIRED),)),
    TensorRule("ones", "ones", (), shapes.filled, (("shape", REQUIRED),)),
    TensorRule("zeros", "zeros", (), shapes.filled, (("shape", REQUIRED),)),
)  # fmt: skip

TENSOR_RULES: dict[str, TensorRule] = {rule.name: rule for rule in _ROWS}
TENSOR_ALIASES: dict[str, str] = {alias: rule.name for rule in _ROWS for alias in rule.aliases}


def product_rule(one: int, other: int) -> str:
    """The rule for the product of two tensors with so many axes.

    >>> product_rule(2, 1), product_rule(3, 2)
    ('matvec', 'matmul')
    """
    return _PRODUCTS.get((one, other), "matmul")
