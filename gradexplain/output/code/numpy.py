"""A derivation as a module for NumPy: one function that returns the value and the gradients."""

from __future__ import annotations

import re

from gradexplain.calculus.templates import template
from gradexplain.output.code.listing import Line, Listing, added, code_of, is_large, literal, module, shapes_of
from gradexplain.output.code.numpy_helpers import HELPERS, SUM_TO
from gradexplain.output.code.spelling import Speller, Target, pattern_of
from gradexplain.output.formats import PLAIN, Look
from gradexplain.output.numbers import bare
from gradexplain.records import Derivation
from gradexplain.rules.table import ELEMENTWISE, RULES
from gradexplain.tensor import Tensor

# NumPy's functions by rule: those with the rule's own name, and others. A rule that has none is written into the
# module, from HELPERS or its own definition.
SAME = (
    "sqrt", "abs", "sign", "hypot", "square", "reciprocal", "exp", "expm1", "exp2", "log", "log2", "log10", "log1p",
    "logaddexp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sinc", "maximum", "minimum", "where", "floor", "ceil",
    "round", "heaviside", "matmul", "dot", "outer", "kron", "diag", "diagonal", "sum", "mean", "prod", "var", "std",
    "cumsum", "ones_like", "zeros_like",
)  # fmt: skip
OTHERS = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh", "acosh": "arccosh",
    "atanh": "arctanh", "clamp": "clip", "clamp_min": "maximum", "clamp_max": "minimum", "clamp_between": "clip",
    "clamp_from": "maximum", "clamp_to": "minimum", "matvec": "matmul", "vecmat": "matmul", "amax": "max",
    "amin": "min", "max_along": "max", "min_along": "min", "norm": "linalg.norm", "det": "linalg.det",
    "inverse": "linalg.inv", "solve": "linalg.solve", "cholesky": "linalg.cholesky",
}  # fmt: skip
# An index is written as one, and has no function.
FUNCTIONS = {name: f"np.{OTHERS.get(name, name)}" for name in (*SAME, *OTHERS)} | {"select": "", "slice": ""}
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


def _run(derivation: Derivation) -> list[str]:
    """What the module does when it is run: the value and the gradients at the point."""
    inputs = derivation.inputs.values()
    large = [name for name, entry in derivation.inputs.items() if is_large(entry.value)]
    if derivation.missing or large:
        missing = ", ".join([*derivation.missing, *large])
        return [f'raise SystemExit("there is no value for {missing}; call value_and_gradient with numbers")']
    values = ", ".join(literal(entry.value) for entry in inputs)
    return [
        f"value, gradient = value_and_gradient({values})",
        f'print("{derivation.objective} =", value)',
        "for name, number in gradient.items():",
        f'    print(f"d{derivation.objective}/d{{name}} =", number)',
    ]
