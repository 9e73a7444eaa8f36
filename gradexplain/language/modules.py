"""What is before a name: `torch.linalg.norm(A, 2)`. Which modules there are, and which names each of them has.

What a name means depends on its module: `meanings.py` has the meanings by module and name. A name that stands alone is
PyTorch's, or one of the language's own.
"""

from __future__ import annotations

from gradexplain.errors import nearest
from gradexplain.language.absent import why_absent
from gradexplain.language.reader import Reader
from gradexplain.language.tokens import NAME, Token

TORCH, FUNCTIONAL, LINALG, SPECIAL, LAYER = "torch", "F", "torch.linalg", "torch.special", "nn"
NUMPY, NUMPY_LINALG, MATH, METHOD = "np", "np.linalg", "math", "a tensor"
# The ways in which people write each module.
_PATHS = {
    TORCH: "torch",
    FUNCTIONAL: "F functional nn.functional torch.nn.functional torch.functional",
    LINALG: "linalg torch.linalg LA",
    SPECIAL: "special torch.special",
    LAYER: "nn torch.nn",
    NUMPY: "np numpy jnp jax.numpy",
    NUMPY_LINALG: "np.linalg numpy.linalg jnp.linalg jax.numpy.linalg",
    MATH: "math",
}
MODULES: dict[tuple[str, ...], str] = {
    tuple(path.split(".")): module for module, paths in _PATHS.items() for path in paths.split()
}
# What may begin a path.
ROOTS = frozenset(path[0] for path in MODULES)

_ELEMENTWISE = (
    "abs absolute acos acosh add arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2 atanh ceil"
    " clip cos cosh divide exp exp2 expm1 floor heaviside hypot log log10 log1p log2 logaddexp maximum minimum multiply"
    " negative reciprocal round sign sin sinc sinh sqrt square subtract tan tanh true_divide where"
)
_ALONG = (
    "amax amin cumsum diag diagonal flip kron matmul max mean min nansum outer prod ravel reshape squeeze std"
    " sum swapaxes trace transpose tril triu var dot inner vdot"
)
_OWN_TENSORS = (
    "bmm cholesky clamp clamp_max clamp_min permute det diag_embed digamma div erf erfc flatten ger inverse le lgamma"
    " lt ge gt eq ne log_softmax logdet logsumexp matrix_power mm mul mv neg norm numel polygamma pow relu rsqrt select"
    " select_scatter sgn sigmoid slice_scatter softmax sub swapdims t unsqueeze xlogy"
)
# The names that the language has of each module.
NAMES: dict[str, frozenset[str]] = {
    module: frozenset(names.split())
    for module, names in {
        TORCH: f"{_ELEMENTWISE} {_ALONG} {_OWN_TENSORS} cat concat concatenate stack eye ones ones_like zeros"
               " zeros_like layer_norm selu tensor solve binary_cross_entropy_with_logits clone",
        METHOD: f"{_ELEMENTWISE} {_ALONG} {_OWN_TENSORS} expand_as reshape_as view view_as size clone",
        FUNCTIONAL: "binary_cross_entropy binary_cross_entropy_with_logits cross_entropy elu gelu hardsigmoid hardswish"
                    " hardtanh huber_loss l1_loss layer_norm leaky_relu linear log_softmax logsigmoid mish mse_loss"
                    " nll_loss one_hot relu relu6 selu sigmoid silu smooth_l1_loss softmax softplus softsign tanh"
                    " tanhshrink",
        LINALG: "cholesky det diagonal inv matmul matrix_norm matrix_power norm solve vector_norm",
        SPECIAL: "digamma erf erfc exp2 expit expm1 gammaln log1p log_softmax logsumexp polygamma psi round sinc"
                 " softmax xlogy",
        NUMPY: f"{_ELEMENTWISE} {_ALONG} array asarray concat concatenate expand_dims eye fabs ones ones_like pow power"
               " stack zeros zeros_like size",
        NUMPY_LINALG: "cholesky det diagonal inv matmul matrix_norm matrix_power norm outer solve trace vector_norm",
        MATH: "acos acosh asin asinh atan atan2 atanh ceil cos cosh erf erfc exp exp2 expm1 fabs floor hypot lgamma log"
              " log10 log1p log2 pow sin sinh sqrt tan tanh",
    }.items()
}  # fmt: skip
# Numbers that modules have.
_CONSTANTS = {TORCH: ("pi", "e", "inf", "nan"), NUMPY: ("pi", "e", "inf", "nan"), MATH: ("pi", "e", "inf", "nan")}


def path_at(parser: Reader) -> tuple[str, int] | None:
    """The module that the tokens at the position name, and the place of the name behind it, or None."""
    root, place, found, path = parser.tokens[parser.position].text, parser.position, None, list[str]()
    if root in parser.variables or root in parser.given or root in parser.graph.given:
        return None
    name, opening, closing = parser.tokens[place + 2 : place + 5]
    if (opening.text, closing.text) == ("(", ")") and not name.text[:1].isupper():
        # A variable with a method, as in `F.exp()`.
        return None
    while parser.tokens[place].kind == NAME and parser.tokens[place + 1].text == ".":
        path.append(parser.tokens[place].text)
        place += 2
        if tuple(path) in MODULES and parser.tokens[place].kind == NAME:
            found = MODULES[tuple(path)], place
    return found


def has_constant(module: str, name: str) -> bool:
    """Whether a name of a module is a number."""
    return name in _CONSTANTS.get(module, ())


def check_name(parser: Reader, module: str, name: Token) -> None:
    """Refuse a name that the language does not have of this module. Raises FormulaError.

    A method of a tensor may be any name that the language knows, and what it is called on is its first argument.
    """
    known = NAMES.get(module)
    if known is None or name.text in known:
        return
    why = why_absent(name.text)
    if why:
        raise parser.error(f"{name.text} is not in the language", name, why)
    hint = nearest(name.text, known)
    others = [other for other in NAMES if other not in (METHOD, module) and name.text in NAMES[other]]
    if others:
        hint = f"{'PyTorch' if module == METHOD else others[0]} has it as a function: {others[0]}.{name.text}(…)"
    whose = "method" if module == METHOD else "function"
    said = f"{name.text} is no {whose} of {module} in the language"
    raise parser.error(said, name, hint)
