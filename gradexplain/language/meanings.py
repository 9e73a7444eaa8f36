"""What a name means, by its module: the places of its arguments, and what is made of them.

A name that is the same in a module and on its own has one row; NumPy's and linalg's own meanings have rows with theirs.
"""

from __future__ import annotations

from typing import NamedTuple

from gradexplain.language import functions as made
from gradexplain.language import reducing
from gradexplain.language.arguments import Function
from gradexplain.language.signatures import Argument, signature, signature_of
from gradexplain.rules.table import RULES


class Meaning(NamedTuple):
    """A function that is not elementwise: what makes its node, and its signature where that is not its rule's."""

    make: Function
    text: str = ""
    rule: str = ""

    def parameters(self) -> tuple[Argument, ...]:
        """The places of the arguments."""
        return signature(self.text) if self.text else signature_of(RULES[self.rule])


def _ruled(name: str, text: str) -> Meaning:
    """The meaning of a rule whose arguments have other places than in its row."""
    return Meaning(made.plainly(RULES[name]), text, name)


_OLD = "size_average:absent=None, reduce:absent=None, reduction:reduction='mean'"
_WEIGHED = f"input, other, weight:absent=None, {_OLD}"
_CLASSES = ("input, other, weight:absent=None, size_average:absent=None, ignore_index:absent=None,"
            " reduce:absent=None, reduction:reduction='mean'")  # fmt: skip
_TWO = "input, other"
_NORM = "input, p:order={}, dim:axes={}, keepdim:flag=False"
_BETWEEN = "dtype:absent=None, out:absent=None, "
_SPREAD = "input, dim:axes=None, unbiased:flag=None, keepdim:flag=False, *, correction:real=1"
_NUMPY_SPREAD = f"input, dim:axes=None, {_BETWEEN}correction:real=0, keepdim:flag=False"
_EXTREME = "input, dim:axis=None, keepdim:flag=False"
_LAYER_NORM = "input, normalized_shape:sizes=None, weight=None, bias=None, eps:from_0=1e-05"

# Rules whose operation is written under another name.
_WRITTEN_ELSE = frozenset(("layer_norm_scaled", "layer_norm_affine", "diagonals", "max_along", "min_along"))
MEANINGS: dict[str, Meaning] = {
    name: Meaning(made.plainly(rule), "", rule.name)
    for rule in RULES.values()
    if not rule.partials and rule.name not in _WRITTEN_ELSE
    for name in (rule.name, *rule.aliases)
}
MEANINGS |= {
    "matmul": Meaning(made.product, _TWO), "mm": Meaning(made.product_of(2, 2), _TWO),
    "mv": Meaning(made.product_of(2, 1), _TWO), "bmm": Meaning(made.product_of(3, 3), _TWO),
    "kron": Meaning(made.kron, _TWO),
    "inner": Meaning(made.inner, _TWO), "linear": Meaning(made.linear, "input, weight, bias=None"),
    "matrix_power": Meaning(made.matrix_power, "input, n:whole"), "solve": Meaning(made.solve, _TWO),
    "trace": Meaning(made.trace, "input"), "norm": Meaning(reducing.norm, _NORM.format(2, None)),
    "vector_norm": Meaning(reducing.vector_norm, _NORM.format(2, None)),
    "matrix_norm": Meaning(reducing.matrix_norm, _NORM.format("'fro'", "(-2,-1)")),
    "max": Meaning(reducing.extreme("max"), _EXTREME), "min": Meaning(reducing.extreme("min"), _EXTREME),
    "var": Meaning(reducing.spread("var"), _SPREAD),
    "std": Meaning(reducing.spread("std"), _SPREAD),
    "softmax": Meaning(reducing.along_axis("softmax"), "input, dim:axis=None"),
    "log_softmax": Meaning(reducing.along_axis("log_softmax"), "input, dim:axis=None"),
    "layer_norm": Meaning(reducing.layer_norm, _LAYER_NORM),
    "diag": Meaning(made.diag, "input, diagonal:absent=None"),
    "diag_embed": Meaning(made.diag_embed, "input, offset:absent=None"),
    "diagonal": Meaning(made.diagonal, "input, offset:absent=None, dim1:axis=0, dim2:axis=1"),
    "reshape": _ruled("reshape", "input, +shape:new_sizes"), "view": _ruled("reshape", "input, +shape:new_sizes"),
    "permute": _ruled("permute", "input, +dims:axes"), "flip": _ruled("flip", "input, +dims:axes"),
    "squeeze": Meaning(made.squeeze, "input, dim:axes=None"),
    "zeros": _ruled("zeros", "+shape:sizes"), "ones": _ruled("ones", "+shape:sizes"),
    "eye": _ruled("eye", "n:size, m:absent=None"),
    "mse_loss": _ruled("mse_loss", f"{_TWO}, {_OLD}"), "l1_loss": _ruled("l1_loss", f"{_TWO}, {_OLD}"),
    "smooth_l1_loss": Meaning(reducing.smooth_l1_loss, f"{_TWO}, {_OLD}, beta:from_0=1"),
    "binary_cross_entropy": _ruled("binary_cross_entropy", _WEIGHED),
    "binary_cross_entropy_with_logits": _ruled(
        "binary_cross_entropy_with_logits", f"{_WEIGHED}, pos_weight:absent=None"),
    "cross_entropy": _ruled("cross_entropy", f"{_CLASSES}, label_smoothing:absent=None"),
    "nll_loss": _ruled("nll_loss", _CLASSES),
    "numel": Meaning(made.numel, "input"), "size": Meaning(made.size, "input, dim:axis"),
    "len": Meaning(made.length, "input"),
    # Of one value, a copy is the value.
    "clone": Meaning(lambda arguments: arguments.tensor("input"), "input"),
    "tensor": Meaning(lambda arguments: arguments.tensor("data"), "data"),
    "t": Meaning(lambda arguments: made.turned_over(arguments.graph, arguments.tensor("input")), "input"),
}  # fmt: skip
# Those of a module.
_ALONG = "input, dim:axes=None, {}keepdim:flag=False"
MEANINGS |= {
    "torch.linalg.norm": Meaning(reducing.linalg_norm, _NORM.format(None, None)),
    "np.linalg.norm": Meaning(reducing.linalg_norm, _NORM.format(None, None)),
    "np.linalg.matrix_norm": Meaning(
        reducing.matrix_norm, "input, *, dim:axes=(-2,-1), keepdim:flag=False, p:order='fro'"),
    "np.linalg.vector_norm": Meaning(reducing.vector_norm, "input, *, dim:axes=None, keepdim:flag=False, p:order=2"),
    "torch.linalg.diagonal": Meaning(made.diagonal, "input, *, offset:absent=None, dim1:axis=-2, dim2:axis=-1"),
    "np.linalg.diagonal": Meaning(made.diagonal, "input, *, offset:absent=None, dim1:axis=-2, dim2:axis=-1"),
    "np.linalg.outer": Meaning(made.plainly(RULES["outer"]), _TWO),
    "np.sum": _ruled("sum", _ALONG.format(_BETWEEN)), "np.mean": _ruled("mean", _ALONG.format(_BETWEEN)),
    "np.nansum": _ruled("sum", _ALONG.format(_BETWEEN)),
    "np.prod": _ruled("prod", _ALONG.format(_BETWEEN).replace("axes", "axis")),
    **{f"np.{name}": _ruled(rule, _ALONG.format("out:absent=None, "))
       for name, rule in (("max", "amax"), ("amax", "amax"), ("min", "amin"), ("amin", "amin"))},
    "np.var": Meaning(reducing.spread("var"), _NUMPY_SPREAD),
    "np.std": Meaning(reducing.spread("std"), _NUMPY_SPREAD),
    "np.cumsum": Meaning(reducing.running_sum, "input, dim:axis=None"),
    "np.dot": Meaning(made.numpy_dot, _TWO), "np.outer": Meaning(made.flat("outer"), _TWO),
    "np.vdot": Meaning(made.flat("dot"), _TWO),
    "np.transpose": Meaning(made.turned, "input, +dims:axes=None"),
    "np.flip": Meaning(made.flipped, "input, dims:axes=None"),
    "np.expand_dims": Meaning(made.plainly(RULES["unsqueeze"]), "input, dim:axis"),
    "np.zeros": Meaning(made.filled("zeros"), "shape:sizes"), "np.ones": Meaning(made.filled("ones"), "shape:sizes"),
    "np.reshape": _ruled("reshape", "input, shape:new_sizes"),
    "np.array": MEANINGS["tensor"], "np.asarray": MEANINGS["tensor"],
    "np.size": MEANINGS["numel"],
}  # fmt: skip


def meaning_of(module: str, name: str) -> Meaning | None:
    """What a name means in a module; None where it is elementwise, or nothing.

    >>> meaning_of("np", "var").text == meaning_of("torch", "var").text, meaning_of("np", "exp")
    (False, None)
    """
    return MEANINGS.get(f"{module}.{name}") or MEANINGS.get(name)
