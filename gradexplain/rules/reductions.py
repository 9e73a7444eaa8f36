"""Rules of what reduces axes to one number each, or goes along an axis."""

from __future__ import annotations

from gradexplain.rules import result_shapes as shapes
from gradexplain.rules.row import ZERO, Rule
from gradexplain.rules.settings import AXES, AXIS, FLAG, NOT_NEGATIVE, POSITIVE, REAL, REQUIRED, SIZES, Setting

KEPT = Setting("keepdim", False, FLAG)
REDUCE = (Setting("dim", None, AXES), KEPT)
REDUCE_ONE = (Setting("dim", None, AXIS), KEPT)
ALONG = (Setting("dim", REQUIRED, AXIS),)
SPREAD = (Setting("dim", None, AXES), Setting("correction", 1, REAL), KEPT)
NORMAL = (Setting("normalized_shape", REQUIRED, SIZES), Setting("eps", 1e-05, NOT_NEGATIVE))
# Where more than one element is the largest.
TIED = "where(sum(where(a == restored(out), 1, 0), dim, True) > 1, 0, 1)"
TIES = "where(a == restored(out), restored(g)/sum(where(a == restored(out), 1, 0), dim, True), 0)"
# What flows to the input of a layer normalization whose result is multiplied with weights.
NORMED = ("(g*b - mean(g*b, dim, True)"
          " - layer_norm(a, normalized_shape, eps)*mean(g*b*layer_norm(a, normalized_shape, eps), dim, True))"
          "/sqrt(var(a, dim, 0, True) + eps)")  # fmt: skip
SHARED = "PyTorch shares the gradient among the ties"

ROWS = (
    Rule("sum", "sum", pullbacks=("restored(g)*ones_like(a)",), shape=shapes.reduced, settings=REDUCE,
         aliases=("nansum",), linear=1, example="sum(x**2)"),
    Rule("mean", "mean",
         definition="sum(a, dim, keepdim)/count",
         pullbacks=("restored(g)*ones_like(a)/count",), shape=shapes.reduced, settings=REDUCE,
         linear=1, example="mean(x**2)"),
    Rule("prod", "product of all", pullbacks=("restored(g)*prod_of_others(a, dim)",), shape=shapes.reduced,
         settings=REDUCE_ONE, example="prod(x)"),
    Rule("prod_of_others", "product of all but one", pullbacks=("(sum(g*out, dim, True) - g*out)/a",),
         shape=shapes.same, settings=(Setting("dim", None, AXIS),), torch=None),
    Rule("amax", "largest element", pullbacks=(TIES,), shape=shapes.extreme, settings=REDUCE, at_kink=SHARED,
         kink=TIED, aliases=("max",), example="amax(x)"),
    Rule("amin", "smallest element",
         definition="-amax(-a, dim, keepdim)",
         pullbacks=(TIES,), shape=shapes.extreme, settings=REDUCE, at_kink=SHARED,
         kink=TIED, aliases=("min",), example="amin(x)"),
    Rule("max_along", "largest along an axis",
         definition="amax(a, dim, keepdim)",
         pullbacks=("restored(g)*first_largest(a, dim)",), shape=shapes.extreme,
         settings=(*ALONG, KEPT), torch="torch.max(a, dim, keepdim).values", written="max",
         kink=TIED, at_kink="PyTorch takes the first of the ties",
         example="sum(max(A, dim=1)**2)"),
    Rule("min_along", "smallest along an axis",
         definition="amin(a, dim, keepdim)",
         pullbacks=("restored(g)*first_largest(-a, dim)",),
         shape=shapes.extreme, settings=(*ALONG, KEPT),
         torch="torch.min(a, dim, keepdim).values", written="min", kink=TIED,
         at_kink="PyTorch takes the first of the ties",
         example="sum(min(A, dim=1)**2)"),
    Rule("first_largest", "1 at the first largest element along an axis", pullbacks=("",), shape=shapes.first_of,
         settings=ALONG, torch="torch.zeros_like(a).scatter(dim, torch.max(a, dim, True).indices, 1.0)",
         example="sum(first_largest(A, dim=1)*A)"),
    Rule("logsumexp", "log of a sum of exponentials",
         definition="log(sum(exp(a - amax(a, dim, True)), dim, keepdim)) + amax(a, dim, keepdim)",
         pullbacks=("restored(g)*exp(a - restored(out))",),
         shape=shapes.reduced, settings=REDUCE, example="logsumexp(x, dim=0)"),
    Rule("softmax", "softmax",
         definition="exp(a - amax(a, dim, True))/sum(exp(a - amax(a, dim, True)), dim, True)",
         pullbacks=("out*(g - sum(g*out, dim, True))",), shape=shapes.same, settings=ALONG,
         example="dot(softmax(x, dim=0), y)"),
    Rule("log_softmax", "log of softmax",
         definition="a - logsumexp(a, dim, True)",
         pullbacks=("g - exp(out)*sum(g, dim, True)",), shape=shapes.same,
         settings=ALONG, example="dot(log_softmax(x, dim=0), y)"),
    Rule("norm", "Euclidean norm",
         definition="sqrt(sum(a**2, dim, keepdim))",
         pullbacks=("restored(g)*where(restored(out) == 0, 0, a/restored(out))",),
         shape=shapes.reduced, settings=REDUCE, torch="torch.linalg.vector_norm(a, 2, dim, keepdim)",
         kink="restored(out)", at_kink=ZERO, aliases=("vector_norm", "matrix_norm"), example="norm(x)"),
    Rule("norm_of_order", "norm of order p",
         definition="sum(abs(a)**p, dim, keepdim)**(1/p)",
         pullbacks=("restored(g)*where(restored(out) == 0, 0, sign(a)*(abs(a)/restored(out))**(p - 1))",),
         shape=shapes.reduced, settings=(Setting("p", REQUIRED, POSITIVE), *REDUCE),
         torch="torch.linalg.vector_norm(a, p, dim, keepdim)", written="norm", kink="a", at_kink=ZERO,
         example="norm(x, p=3)"),
    Rule("var", "variance",
         definition="sum((a - mean(a, dim, True))**2, dim, keepdim)/(count - correction)",
         pullbacks=("2*restored(g)*(a - mean(a, dim, True))/(count - correction)",),
         shape=shapes.spread, settings=SPREAD, example="var(x)"),
    Rule("std", "standard deviation",
         definition="sqrt(var(a, dim, correction, keepdim))",
         pullbacks=("restored(g)/(count - correction)"
                    "*where(restored(out) == 0, 0, (a - mean(a, dim, True))/restored(out))",),
         shape=shapes.spread, settings=SPREAD, kink="restored(out)",
         at_kink=ZERO, example="std(x)"),
    Rule("cumsum", "running sum", pullbacks=("flip(cumsum(flip(g, dim), dim), dim)",), shape=shapes.same,
         settings=ALONG, linear=1, example="sum(cumsum(x, dim=0)**2)"),
    Rule("layer_norm", "layer normalization",
         definition="(a - mean(a, dim, True))/sqrt(var(a, dim, 0, True) + eps)",
         pullbacks=("(g - mean(g, dim, True) - out*mean(g*out, dim, True))/sqrt(var(a, dim, 0, True) + eps)",),
         shape=shapes.normalized, settings=NORMAL,
         torch="torch.nn.functional.layer_norm(a, normalized_shape, eps=eps)", example="sum(layer_norm(x, 3)*y)"),
    Rule("layer_norm_scaled", "layer normalization with weights",
         definition="layer_norm(a, normalized_shape, eps)*b",
         pullbacks=(NORMED, "g*layer_norm(a, normalized_shape, eps)"), shape=shapes.normalized,
         settings=NORMAL,
         torch="torch.nn.functional.layer_norm(a, normalized_shape, b, None, eps)",
         written="layer_norm", example="sum(layer_norm(x, 3, y)**2)"),
    Rule("layer_norm_affine", "layer normalization with weights and a bias",
         definition="layer_norm(a, normalized_shape, eps)*b + c",
         pullbacks=(NORMED, "g*layer_norm(a, normalized_shape, eps)", "g"), shape=shapes.normalized,
         settings=NORMAL,
         torch="torch.nn.functional.layer_norm(a, normalized_shape, b, c, eps)",
         written="layer_norm", example="sum(layer_norm(x, 3, y, y)**2)"),
)  # fmt: skip
