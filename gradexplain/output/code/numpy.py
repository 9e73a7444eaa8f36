"""A derivation as a module for NumPy: one function that returns the value and the gradients."""

from __future__ import annotations

import re

from gradexplain.calculus.templates import template
from gradexplain.errors import OptionError
from gradexplain.output.code.listing import Line, Listing, code_of, module
from gradexplain.output.code.spelling import Speller, Target
from gradexplain.output.formats import Look
from gradexplain.records import Derivation
from gradexplain.rules.rules import RULES, SELU_ALPHA, SELU_SCALE

# NumPy's functions, by rule; a rule that has none is written into the module, from HELPERS or its own definition.
FUNCTIONS = {
    "sqrt": "np.sqrt", "abs": "np.abs", "sign": "np.sign", "hypot": "np.hypot", "square": "np.square",
    "reciprocal": "np.reciprocal", "exp": "np.exp", "expm1": "np.expm1", "exp2": "np.exp2", "log": "np.log",
    "log2": "np.log2", "log10": "np.log10", "log1p": "np.log1p", "logaddexp": "np.logaddexp", "sin": "np.sin",
    "cos": "np.cos", "tan": "np.tan", "asin": "np.arcsin", "acos": "np.arccos", "atan": "np.arctan",
    "atan2": "np.arctan2", "sinh": "np.sinh", "cosh": "np.cosh", "tanh": "np.tanh", "asinh": "np.arcsinh",
    "acosh": "np.arccosh", "atanh": "np.arctanh", "sinc": "np.sinc", "maximum": "np.maximum",
    "minimum": "np.minimum", "clamp": "np.clip", "clamp_min": "np.maximum", "clamp_max": "np.minimum",
    "where": "np.where", "floor": "np.floor", "ceil": "np.ceil", "round": "np.round", "heaviside": "np.heaviside",
}  # fmt: skip

# What the definition of a rule would lose digits for, or has no formula for. A helper may use those of other rules.
HELPERS = {
    "sigmoid": """\
def sigmoid(a):
    small = np.exp(-np.abs(a))
    return np.where(a < 0, small, 1.0) / (1 + small)
""",
    "logsigmoid": """\
def logsigmoid(a):
    return -np.logaddexp(0.0, -a)
""",
    "softplus": """\
def softplus(a, b=1, c=20):
    # The smooth function; PyTorch's becomes a straight line where b*a is above c.
    return np.logaddexp(0.0, b * a) / b
""",
    "elu": """\
def elu(a, b=1):
    return np.where(a > 0, a, b * np.expm1(a))
""",
    "selu": f"""\
def selu(a):
    return {SELU_SCALE} * np.where(a > 0, a, {SELU_ALPHA} * np.expm1(a))
""",
    "gelu": """\
def gelu(a):
    return a * erfc(-a / math.sqrt(2)) / 2
""",
    "erf": """\
erf = np.vectorize(math.erf, otypes=[float])
""",
    "erfc": """\
erfc = np.vectorize(math.erfc, otypes=[float])
""",
    "lgamma": """\
def lgamma(a):
    return math.inf if math.isinf(a) or (a <= 0 and not a % 1 > 0) else math.lgamma(a)


lgamma = np.vectorize(lgamma, otypes=[float])
""",
    "digamma": """\
def digamma(a):
    if a <= 0 and not a % 1 > 0:
        return math.nan
    if a < 0:
        return float(digamma(1 - a)) - math.pi / math.tan(math.pi * math.fmod(a, 1))
    # Up to where the asymptotic series is exact to the last digit.
    below = []
    while a < 12:
        below.append(-1 / a)
        a += 1
    series = 1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160
    terms = [-c / a ** (2 * k) for k, c in enumerate(series, 1)]
    return math.fsum([math.log(a), -1 / (2 * a), *terms, *below])


digamma = np.vectorize(digamma, otypes=[float])
""",
    "polygamma": """\
def polygamma(n, a):
    if n == 0:
        return float(digamma(a))
    if a <= 0 and not a % 1 > 0:
        return math.inf if n % 2 else math.nan
    # Up to where the asymptotic series is exact to the last digit; n! is in front of it all.
    below = []
    while a < 12 + 2 * n:
        below.append(a ** -(n + 1.0))
        a += 1
    bernoulli = 1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510
    terms = [1 / (n * a**n), 1 / (2 * a ** (n + 1.0))]
    for k, b in enumerate(bernoulli, 1):
        terms.append(b * math.comb(int(n) + 2 * k - 1, 2 * k) / (n * a ** (n + 2.0 * k)))
    return (-1) ** (n + 1) * math.factorial(int(n)) * math.fsum(terms + below)


polygamma = np.vectorize(polygamma, otypes=[float])
""",
}
SUM_TO = '''\
def sum_to(gradient, shape):
    """The gradient of an input of this shape: summed over the axes along which the input was repeated."""
    gradient = np.sum(gradient, axis=tuple(range(np.ndim(gradient) - len(shape))))
    return np.sum(gradient, axis=tuple(k for k, size in enumerate(shape) if size == 1), keepdims=True)
'''
_OWN = [name for name in RULES if name not in FUNCTIONS]
NUMPY = Target(
    functions=FUNCTIONS | {name: name for name in _OWN},
    reserved=frozenset(("np", "math", "float", "sum_to", "value_and_gradient", "__debug__", *_OWN)),
    identity="{0}",
    argument=lambda number, like: f"{number}.0" if re.fullmatch(r"-?\d+", number) else number,
)


def write(derivation: Derivation, look: Look) -> str:
    """The text of the module; it looks the same everywhere."""
    return render(derivation)


def render(derivation: Derivation) -> str:
    """The module: `value_and_gradient` of the inputs, and the numbers at the point when it is run."""
    if derivation.has_tensors:
        raise OptionError("the format numpy is for single numbers", hint="use --format pytorch")
    listing = Listing(derivation, NUMPY)
    graph, names, gradients = listing.graph, listing.names, listing.gradients
    forward, backward = listing.forward(), listing.backward()
    listing.reads.update([graph.objective] if graph.is_constant[graph.objective] else [])
    value = names[graph.objective]
    seed = f"np.full(np.shape({value}), {derivation.upstream!r})"
    lines = [
        *[Line(names[i], "=", f"np.asarray({names[i]}, dtype=float)", i) for i in graph.inputs],
        *listing.constants(),
        *forward,
    ]
    results = []
    for i in listing.sources:
        shape = f"np.shape({names[i]})"
        result = f"sum_to({gradients[i]}, {shape})" if i in listing.walk.totals else f"np.zeros({shape})"
        results.append(f'        "{listing.shown[i]}": {result},')
    start = [Line(gradients[graph.objective], "=", seed, graph.objective)] if backward else []
    inputs = ", ".join(listing.inputs)
    body = [
        *_helpers(listing.used),
        *[*SUM_TO.splitlines(), "", ""],
        '@np.errstate(all="ignore")',
        f"def value_and_gradient({inputs}):",
        '    """The value, elementwise for arrays whose shapes broadcast, and the gradient of its sum, by input."""',
        *code_of(lines, "    "),
        *code_of([*start, *backward], "    "),
        f"    return {value}, {{",
        *results,
        "    }",
        "",
        "",
        'if __name__ == "__main__":',
        *[f"    {line}" for line in _run(derivation)],
    ]
    return module(derivation, body, ["import numpy as np"])


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
        return text, {other for other in _OWN if other != name and f"{other}(" in text}
    rule = RULES[name]
    graph, root, _ = template(rule.definition)
    speller = Speller(graph, {}, NUMPY)
    code = speller.factor(graph, root, "")
    first = len(rule.parameters) - len(rule.defaults)
    parameters = [*rule.parameters[:first], *map("=".join, zip(rule.parameters[first:], rule.defaults, strict=True))]
    return f"def {name}({', '.join(parameters)}):\n    return {code}\n", speller.used & set(_OWN)


def _run(derivation: Derivation) -> list[str]:
    """What the module does when it is run: the value and the gradients at the point."""
    if derivation.missing:
        missing = ", ".join(derivation.missing)
        return [f'raise SystemExit("there is no value for {missing}; call value_and_gradient with numbers")']
    values = ", ".join(repr(entry.value) for entry in derivation.inputs.values())
    return [
        f"value, gradient = value_and_gradient({values})",
        f'print("{derivation.objective} =", value)',
        "for name, number in gradient.items():",
        f'    print(f"d{derivation.objective}/d{{name}} =", number)',
    ]
