"""Functions that make one number of many, or go along axes: norms, extremes, variances, normalization."""

from __future__ import annotations

import math
from typing import Any

from gradexplain.language.arguments import Arguments, Function, is_number
from gradexplain.language.modules import METHOD, SPECIAL, TORCH
from gradexplain.language.reader import EITHER, PAIR, Word
from gradexplain.rules.shapes import ShapeProblem, axes

# Norms


def norm(arguments: Arguments) -> int:
    """PyTorch's `torch.norm`: with any number for its order, that of all elements along the axes."""
    p = arguments.setting("p")
    return _norm_of_elements(arguments, 2 if p in ("fro", None) else p)


def vector_norm(arguments: Arguments) -> int:
    """The norm of all elements along the axes."""
    return _norm_of_elements(arguments, arguments.setting("p"))


def linalg_norm(arguments: Arguments) -> int:
    """PyTorch's and NumPy's `linalg.norm`: an order means another norm for a matrix than for a vector."""
    rank = len(arguments.graph.shapes[arguments.tensor("input")])
    p, dim = arguments.setting("p"), arguments.setting("dim")
    if p is None:
        return _norm_of_elements(arguments, 2)
    if dim is None and not 1 <= rank <= 2:
        raise ShapeProblem("a norm of an order is that of a vector or a matrix", "name the axes, such as dim=(-2, -1)")
    along = axes(dim, rank)
    return _norm_of_elements(arguments, p) if len(along) == 1 else _norm_of_matrix(arguments, p, along)


def matrix_norm(arguments: Arguments) -> int:
    """The norm of a matrix along two axes."""
    rank = len(arguments.graph.shapes[arguments.tensor("input")])
    return _norm_of_matrix(arguments, arguments.setting("p"), axes(arguments.setting("dim"), rank))


def _norm_of_elements(arguments: Arguments, p: Any) -> int:
    x, dim, keepdim = arguments.tensor("input"), arguments.setting("dim"), arguments.setting("keepdim")
    if p == 2:
        return arguments.apply("norm", x, settings=(dim, keepdim))
    if p == math.inf:
        return arguments.apply("amax", arguments.apply("abs", x), settings=(dim, keepdim))
    if isinstance(p, str) or p <= 0:
        hint = "a norm of all elements has an order above 0, or inf for the largest of them"
        raise arguments.error(f"a norm of order {p} is not in the language", hint, arguments.given.get("p"))
    return arguments.apply("norm_of_order", x, settings=(p, dim, keepdim))


def _norm_of_matrix(arguments: Arguments, p: Any, along: tuple[int, ...]) -> int:
    """The norm of matrices along two axes: that of all elements, or the largest sum of a column or a row."""
    x, keepdim = arguments.tensor("input"), arguments.setting("keepdim")
    if len(along) != 2:
        raise ShapeProblem("the norm of a matrix goes along two axes", "such as dim=(-2, -1)")
    if p in ("fro", None):
        dim = arguments.setting("dim")
        return arguments.apply("norm", x, settings=(dim, keepdim))
    if p not in (1, math.inf):
        what = {2: "the largest singular value", -2: "the smallest singular value", "nuc": "the sum of singular values"}
        hint = "norm(A) is the root of the sum of all squares; the orders 1 and inf are sums of columns and rows"
        raise arguments.error(f"{what.get(p, f'a matrix norm of order {p}')} is not in the language", hint,
                              arguments.given.get("p"))  # fmt: skip
    first, then = along if p == 1 else along[::-1]
    # The axes are gone one after the other.
    later = then - (first < then and not keepdim)
    sums = arguments.apply("sum", arguments.apply("abs", x), settings=(first, keepdim))
    return arguments.apply("amax", sums, settings=(later, keepdim))


# Reductions


def extreme(name: str) -> Function:
    """`max(x)` of all elements shares the gradient among ties, `max(x, dim=1)` takes the first, as in PyTorch."""

    def call(arguments: Arguments) -> int:
        x, dim, keepdim = arguments.tensor("input"), arguments.setting("dim"), arguments.setting("keepdim")
        if dim is None:
            if "keepdim" in arguments.given:
                given = arguments.given["keepdim"]
                raise arguments.error(f"{arguments.name.text} keeps no axis without dim", "", given)
            return arguments.apply(f"a{name}", x, settings=(None, False))
        arguments.pair = PAIR
        if not arguments.graph.shapes[x]:
            axes(dim, 0)
            return arguments.apply(f"a{name}", x, settings=(None, False))
        return arguments.apply(f"{name}_along", x, settings=(dim, keepdim))

    return call


def either(arguments: Arguments) -> str:
    """What `max(A, 1)` without a module is, which PyTorch reads as an axis: EITHER of two things."""
    values = list(arguments.given.values())
    shaped = len(values) == 2 and values[0].content is None and arguments.graph.shapes[values[0].node]
    return EITHER if shaped and is_number(arguments.graph, values[1].node) else ""


def spread(name: str) -> Function:
    """The variance, or its root. PyTorch takes `var(x, False)` and `var(x, 0, False)` for `unbiased`."""

    def call(arguments: Arguments) -> int:
        given = arguments.given
        second = given["dim"].content if "dim" in given and "unbiased" in arguments.parameters else None
        if isinstance(second, Word) and isinstance(second.value, bool):
            given["unbiased"] = given.pop("dim")
        x, dim, keepdim = arguments.tensor("input"), arguments.setting("dim"), arguments.setting("keepdim")
        correction = arguments.setting("correction")
        if "unbiased" in given and arguments.setting("unbiased") is not None:
            if "correction" in given:
                hint = "leave one of them out"
                raise arguments.error("unbiased and correction say the same", hint, given["unbiased"])
            correction = int(arguments.setting("unbiased"))
        return arguments.apply(name, x, settings=(dim, correction, keepdim))

    return call


def along_axis(rule: str) -> Function:
    """Softmax or its logarithm. Without `dim`, torch.nn takes an axis that depends on how many there are."""

    def call(arguments: Arguments) -> int:
        x, dim = arguments.tensor("input"), arguments.setting("dim")
        if dim is None and arguments.module in (TORCH, METHOD, SPECIAL):
            raise arguments.error(f"{arguments.name.text} needs dim", "such as dim=0")
        dim = int(len(arguments.graph.shapes[x]) not in (0, 1, 3)) if dim is None else dim
        return arguments.apply(rule, x, settings=(dim,))

    return call


def layer_norm(arguments: Arguments) -> int:
    """Layer normalization over the last axes, with weights and a bias where they are given."""
    x, wanted = arguments.tensor("input"), arguments.setting("normalized_shape")
    shape = arguments.graph.shapes[x]
    wanted = shape[-1:] if wanted is None else wanted
    weight, bias = arguments.optional_tensor("weight"), arguments.optional_tensor("bias")
    settings = (wanted, arguments.setting("eps"))
    if weight is not None and bias is not None:
        return arguments.apply("layer_norm_affine", x, weight, bias, settings=settings)
    if weight is not None:
        return arguments.apply("layer_norm_scaled", x, weight, settings=settings)
    node = arguments.apply("layer_norm", x, settings=settings)
    return node if bias is None else arguments.apply("add", node, bias)


def running_sum(arguments: Arguments) -> int:
    """NumPy's cumsum, which flattens where no axis is given."""
    x, dim = arguments.tensor("input"), arguments.setting("dim")
    if dim is None:
        x, dim = arguments.apply("flatten", x, settings=(0, -1)), 0
    return arguments.apply("cumsum", x, settings=(dim,))


def smooth_l1_loss(arguments: Arguments) -> int:
    """PyTorch's loss is the absolute error where `beta` is 0."""
    pair = arguments.tensor("input"), arguments.tensor("other")
    reduction, beta = arguments.setting("reduction"), arguments.setting("beta")
    if not beta:
        return arguments.apply("l1_loss", *pair, settings=(reduction,))
    return arguments.apply("smooth_l1_loss", *pair, settings=(reduction, beta))


