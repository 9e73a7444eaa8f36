"""A derivation as a module for NumPy: one function that returns the value and the gradients."""

from __future__ import annotations

import re

from gradexplain.calculus.templates import template
from gradexplain.output.code.listing import Line, Listing, added, code_of, module, shapes_of
from gradexplain.output.code.numpy_helpers import HELPERS, SUM_TO
from gradexplain.output.code.spelling import Speller, Target, pattern_of
from gradexplain.output.formats import PLAIN, Look
from gradexplain.output.numbers import bare
from gradexplain.records import Derivation
from gradexplain.rules.table import ELEMENTWISE, RULES
from gradexplain.tensor import Tensor

# A larger tensor is not written into the module.
MAX_WRITTEN = 200
# NumPy's functions, by rule; a rule that has none is written into the module, from HELPERS or its own definition.
FUNCTIONS = {
    "sqrt": "np.sqrt", "abs": "np.abs", "sign": "np.sign", "hypot": "np.hypot", "square": "np.square",
    "reciprocal": "np.reciprocal", "exp": "np.exp", "expm1": "np.expm1", "exp2": "np.exp2", "log": "np.log",
    "log2": "np.log2", "log10": "np.log10", "log1p": "np.log1p", "logaddexp": "np.logaddexp", "sin": "np.sin",
    "cos": "np.cos", "tan": "np.tan", "asin": "np.arcsin", "acos": "np.arccos", "atan": "np.arctan",
    "atan2": "np.arctan2", "sinh": "np.sinh", "cosh": "np.cosh", "tanh": "np.tanh", "asinh": "np.arcsinh",
    "acosh": "np.arccosh", "atanh": "np.arctanh", "sinc": "np.sinc", "maximum": "np.maximum",
    "minimum": "np.minimum", "clamp": "np.clip", "clamp_min": "np.maximum", "clamp_max": "np.minimum",
    "clamp_between": "np.clip", "clamp_from": "np.maximum", "clamp_to": "np.minimum",
    "where": "np.where", "floor": "np.floor", "ceil": "np.ceil", "round": "np.round", "heaviside": "np.heaviside",
}  # fmt: skip

# The same of the rules on vectors and matrices.
TENSOR_FUNCTIONS = {
    "matmul": "np.matmul", "matvec": "np.matmul", "vecmat": "np.matmul", "dot": "np.dot", "outer": "np.outer",
    "kron": "np.kron", "flip": "np.flip", "cat": "np.concatenate", "stack": "np.stack", "diag": "np.diag",
    "diagonal": "np.diagonal", "tril": "np.tril", "triu": "np.triu", "sum": "np.sum", "mean": "np.mean",
    "prod": "np.prod", "amax": "np.max", "amin": "np.min", "max_along": "np.max", "min_along": "np.min",
    "norm": "np.linalg.norm", "var": "np.var", "std": "np.std", "cumsum": "np.cumsum", "trace": "np.trace",
    "det": "np.linalg.det", "inverse": "np.linalg.inv", "solve": "np.linalg.solve",
    "cholesky": "np.linalg.cholesky", "ones_like": "np.ones_like", "zeros_like": "np.zeros_like", "eye": "np.eye",
    "ones": "np.ones", "zeros": "np.zeros", "unsqueeze": "np.expand_dims", "permute": "np.transpose",
    "reshape": "np.reshape", "reshape_as": "np.reshape", "expand_as": "np.broadcast_to", "transpose": "np.swapaxes",
    "select": "", "slice": "",
}  # fmt: skip
# What is no call of its function with the settings by name.
ROWS = {
    "cat": "np.concatenate([⟨inputs⟩]⟨settings⟩)", "stack": "np.stack([⟨inputs⟩]⟨settings⟩)",
    "transpose": "np.swapaxes(⟨0⟩, ⟨dim0⟩, ⟨dim1⟩)", "permute": "np.transpose(⟨0⟩, ⟨dims⟩)",
    "reshape": "np.reshape(⟨0⟩, ⟨shape⟩)", "reshape_as": "np.reshape(⟨0⟩, np.shape(⟨1⟩))",
    "expand_as": "np.broadcast_to(⟨0⟩, np.shape(⟨1⟩))", "unsqueeze": "np.expand_dims(⟨0⟩, ⟨dim⟩)",
    "flip": "np.flip(⟨0⟩, ⟨dims⟩)", "tril": "np.tril(⟨0⟩, ⟨diagonal⟩)", "triu": "np.triu(⟨0⟩, ⟨diagonal⟩)",
    "trace": "np.trace(⟨0⟩, axis1=-2, axis2=-1)",
    "one_hot": "one_hot(⟨0⟩, ⟨num_classes⟩)",
    "eye": "np.eye(⟨n⟩)", "ones": "np.ones(⟨shape⟩)", "zeros": "np.zeros(⟨shape⟩)",
}  # fmt: skip
FUNCTIONS |= TENSOR_FUNCTIONS
OF_RULES = {name: pattern_of(rule.numpy, rule) for name, rule in RULES.items() if rule.numpy}
# What has a function in the module: elementwise rules from their definitions, others from helpers.
_OWN = [name for name in {**ELEMENTWISE, **HELPERS} if name not in FUNCTIONS and name not in OF_RULES]
NUMPY = Target(
    functions=FUNCTIONS | {name: name for name in _OWN},
    reserved=frozenset(("np", "math", "float", "sum_to", "value_and_gradient", "__debug__", *_OWN)),
    identity="⟨0⟩",
    argument=lambda number, like: f"{number}.0" if re.fullmatch(r"-?\d+", number) else number,
    rows=OF_RULES | ROWS,
    keywords={"dim": "axis", "keepdim": "keepdims", "correction": "ddof", "p": "order"},
    turns=(".T",),
)


def write(derivation: Derivation, look: Look = PLAIN) -> str:
    """The module: `value_and_gradient` of the inputs, and the numbers at the point when it is run.

    Raises OptionError where an operation is not written for NumPy.
    """
    listing = Listing(derivation, NUMPY)
    graph, names, gradients, objective = listing.graph, listing.names, listing.gradients, listing.graph.objective
    forward, backward = listing.forward(), listing.backward()
    assert listing.speller is not None
    listing.reads.update([objective] if listing.speller.numbers[objective] else [])
    about = "elementwise for arrays whose shapes broadcast, and the gradient of its sum, by input"
    if not listing.is_elementwise:
        backward = added(backward)
        about = f"for arrays of the shapes {shapes_of(derivation)}, and the gradient, by input"
    lines = [*listing.constants(), *forward]
    inputs = [Line(names[i], "=", f"np.asarray({names[i]}, dtype=float)", i) for i in graph.inputs]
    upstream = derivation.upstream
    seed = f"np.full(np.shape({names[objective]}), {upstream!r})"
    if isinstance(upstream, Tensor):
        seed = f"np.array({bare(upstream)}, dtype=float)"
    start = [Line(gradients[objective], "=", seed, objective)] if backward else []
    body = [
        *_helpers(listing.used),
        *([*SUM_TO.splitlines(), "", ""] if listing.is_elementwise else []),
        '@np.errstate(all="ignore")',
        f"def value_and_gradient({', '.join(listing.inputs)}):",
        f'    """The value, {about}."""',
        *code_of([*inputs, *listing.sizes_in([*lines, *backward]), *lines], "    "),
        *code_of([*start, *backward], "    "),
        f"    return {names[objective]}, {{",
        *_results(listing),
        "    }",
        "",
        "",
        'if __name__ == "__main__":',
        *[f"    {line}" for line in _run(derivation)],
    ]
    return module(derivation, body, ["import numpy as np"])


def _results(listing: Listing) -> list[str]:
    """The gradients as entries of a dictionary, in the shapes of their inputs."""
    found = []
    for i in listing.sources:
        shape = f"np.shape({listing.names[i]})"
        if i not in listing.walk.totals:
            result = f"np.zeros({shape})"
        else:
            gradient = listing.gradients[i]
            result = f"sum_to({gradient}, {shape})" if listing.is_elementwise else gradient
        found.append(f'        "{listing.shown[i]}": {result},')
    return found


def _helpers(used: set[str]) -> list[str]:
    """The functions that NumPy lacks, each after those that it uses, two empty lines after each."""
    found: dict[str, str] = {}
    waiting = sorted(used & set(_OWN))
    while waiting:
        name = waiting[-1]
        text, others = _helper(name)
        missing = [other for other in others if other not in found]
        if not missing or name in found:
            found.setdefault(name, text)
            waiting.pop()
        waiting += missing
    return [line for text in found.values() for line in [*text.splitlines(), "", ""]]


def _helper(name: str) -> tuple[str, set[str]]:
    """The text of a helper, and the helpers that it uses."""
    if name in HELPERS:
        text = HELPERS[name]
        return text, {other for other in _OWN if other != name and re.search(rf"(?<![\w.]){other}\(", text)}
    rule = RULES[name]
    graph, root, _ = template(rule.definition)
    speller = Speller(graph, {}, NUMPY)
    code = speller.factor(graph, root, "")
    first = len(rule.parameters) - len(rule.defaults)
    parameters = [*rule.parameters[:first], *map("=".join, zip(rule.parameters[first:], rule.defaults, strict=True))]
    return f"def {name}({', '.join(parameters)}):\n    return {code}\n", speller.used & set(_OWN)


def _is_large(value: object) -> bool:
    return isinstance(value, Tensor) and value.count > MAX_WRITTEN


def _run(derivation: Derivation) -> list[str]:
    """What the module does when it is run: the value and the gradients at the point."""
    inputs = derivation.inputs.values()
    large = [name for name, entry in derivation.inputs.items() if _is_large(entry.value)]
    if derivation.missing or large:
        missing = ", ".join([*derivation.missing, *large])
        return [f'raise SystemExit("there is no value for {missing}; call value_and_gradient with numbers")']
    values = ", ".join(bare(v) if isinstance(v := entry.value, Tensor) else repr(v) for entry in inputs)
    return [
        f"value, gradient = value_and_gradient({values})",
        f'print("{derivation.objective} =", value)',
        "for name, number in gradient.items():",
        f'    print(f"d{derivation.objective}/d{{name}} =", number)',
    ]
