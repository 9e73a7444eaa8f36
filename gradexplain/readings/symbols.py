"""The symbolic reading, SymPy: the derivative of the whole formula as a second witness, and shorter closed forms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import sympy

from gradexplain.calculus.algebra import Algebra, TooLarge
from gradexplain.calculus.templates import template
from gradexplain.language.graph import CONSTANT, INPUT, Graph
from gradexplain.language.parse import parse
from gradexplain.rules.table import RULES

# Up to these sizes SymPy answers in milliseconds; beyond, it may take minutes.
MAX_SIZE = 150
MAX_EXPONENT = 6
MAX_GENERATORS = 8
MAX_NUMBER = 10**15
MAX_NUMBER_EXPONENT = 1_000
# So many results of SymPy are kept.
REMEMBERED = 256

_ELEMENTARY: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b,
    "neg": lambda a: -a, "pow": lambda a, b: _bounded_power(a, b), "identity": lambda a: a,
    "sqrt": sympy.sqrt, "abs": sympy.Abs,
    "sign": sympy.sign, "exp": sympy.exp, "log": sympy.log, "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan,
    "asin": sympy.asin, "acos": sympy.acos, "atan": sympy.atan, "atan2": sympy.atan2, "sinh": sympy.sinh,
    "cosh": sympy.cosh, "tanh": sympy.tanh, "asinh": sympy.asinh, "acosh": sympy.acosh, "atanh": sympy.atanh,
    "erf": sympy.erf, "erfc": sympy.erfc, "lgamma": sympy.loggamma, "digamma": sympy.digamma,
    "polygamma": sympy.polygamma, "maximum": sympy.Max, "minimum": sympy.Min, "floor": sympy.floor,
    "where": lambda a, b, c: sympy.Piecewise((b, a), (c, True)),
    "round": lambda a: sympy.floor(a + sympy.Rational(1, 2)),
    "gt": sympy.Gt, "ge": sympy.Ge, "lt": sympy.Lt, "le": sympy.Le, "eq": sympy.Eq, "ne": sympy.Ne,
}  # fmt: skip

_BACK = {
    sympy.exp: "exp", sympy.log: "log", sympy.sin: "sin", sympy.cos: "cos", sympy.tan: "tan", sympy.asin: "asin",
    sympy.acos: "acos", sympy.atan: "atan", sympy.atan2: "atan2", sympy.sinh: "sinh", sympy.cosh: "cosh",
    sympy.tanh: "tanh", sympy.asinh: "asinh", sympy.acosh: "acosh", sympy.atanh: "atanh", sympy.erf: "erf",
    sympy.erfc: "erfc", sympy.loggamma: "lgamma", sympy.digamma: "digamma", sympy.Abs: "abs", sympy.sign: "sign",
}  # fmt: skip


class Unwritable(Exception):
    """SymPy's result has a function that the language lacks, or SymPy would not end."""


def _bounded_power(base: Any, exponent: Any) -> Any:
    """SymPy works out a power of numbers, however many digits that takes."""
    if exponent.is_number and abs(exponent) > MAX_NUMBER_EXPONENT:
        raise Unwritable
    return sympy.Pow(base, exponent)


def to_sympy(graph: Graph, root: int, symbols: Mapping[int, Any]) -> Any:
    """The node `root` as a SymPy expression; the nodes in `symbols` are replaced by what they map to."""
    made: dict[int, Any] = dict(symbols)
    for i in graph.inputs_first(root, symbols):
        node = graph.nodes[i]
        if node.rule == CONSTANT:
            made[i] = constant(node.value)
        elif node.rule == INPUT:
            made[i] = sympy.Symbol(str(node.value), real=True)
        else:
            made[i] = apply_rule(node.rule, [made[j] for j in node.inputs])
    return made[root]


def constant(value: Any) -> Any:
    """A constant of the language in SymPy."""
    if isinstance(value, str):
        return sympy.pi if value == "pi" else sympy.E
    return sympy.Rational(value.numerator, value.denominator)


def apply_rule(rule: str, inputs: list[Any]) -> Any:
    """The rule on SymPy expressions, by its definition where SymPy does not have it."""
    if rule in _ELEMENTARY:
        return _ELEMENTARY[rule](*inputs)
    row = RULES[rule]
    inner = template(row.definition)
    bound = {
        inner.places[name]: value for name, value in zip(row.parameters, inputs, strict=True) if name in inner.places
    }
    return to_sympy(inner.graph, inner.root, bound)


class Question(NamedTuple):
    """What SymPy is asked: the partial derivatives of a formula at a point, as plain data.

    `given` are the names that have a value, `sources` the nodes of the parsed formula to differentiate by; `values` are
    those of all inputs, `constants` those of the constants as the dtype holds them, by node; `digits` are decimal ones.
    """

    source: str
    given: list[str]
    sources: list[int]
    values: dict[int, float]
    constants: dict[int, float]
    digits: int


def answers(question: Question) -> Iterator[dict[int, tuple[int, int, int, int]]]:
    """The partial derivative of the whole formula by each source, taken by SymPy alone and evaluated at the point.

    One dictionary by source, of numbers as the fields of an mpmath number: sign, mantissa, exponent, bits. A source is
    missing where SymPy cannot do it.
    """
    source, given, sources, values, constants, digits = question
    try:
        found = _derivatives(parse(source, given), sources, values, constants, digits)
    except TooLarge:
        found = {}
    yield {i: parts_of(value, digits) for i, value in found.items()}


def _derivatives(
    graph: Graph, sources: Collection[int], values: Mapping[int, float], constants: Mapping[int, float], digits: int
) -> dict[int, Any]:
    """The answer as numbers of SymPy. Raises TooLarge."""
    Algebra(graph).size(graph.objective)
    symbols: dict[int, Any] = {i: sympy.Symbol(f"x{i}", real=True) for i in values}
    held = {
        i: sympy.Symbol(f"c{i}", real=True) for i in constants if graph.nodes[i].value is None or is_rounded(graph, i)
    }
    try:
        expression = to_sympy(graph, graph.objective, symbols | held)
    except Unwritable:
        return {}
    point = {symbols[i]: sympy.Float(value, digits) for i, value in values.items()}
    point |= {held[i]: sympy.Float(constants[i], digits) for i in held}
    found: dict[int, Any] = {}
    for i in sources:
        value = derivative(expression, symbols[i], point, digits)
        if value is not None:
            found[i] = value
    return found


def derivative(expression: Any, symbol: Any, point: Mapping[Any, Any], digits: int) -> Any:
    """The derivative of an expression by a symbol as a number at a point; None where SymPy cannot do it."""
    try:
        found = _differentiated(expression, symbol)
        if found.has(sympy.Derivative, sympy.Subs):
            return None
        value = found.xreplace(point).evalf(digits - 10)
    except (
        RecursionError,
        ValueError,
        TypeError,
        NotImplementedError,
        ZeroDivisionError,
        AttributeError,
        OverflowError,
        MemoryError,
    ):
        return None
    return value if value.is_Float or value.is_Integer or value.is_Rational else None


def parts_of(value: Any, digits: int) -> tuple[int, int, int, int]:
    """A number of SymPy as plain data: the fields of an mpmath number."""
    sign, mantissa, exponent, bits = map(int, sympy.Float(value, digits)._mpf_)
    return sign, mantissa, exponent, bits


# The same formula comes again at other points, and on vectors.
@lru_cache(REMEMBERED)
def _differentiated(expression: Any, symbol: Any) -> Any:
    return sympy.diff(expression, symbol)


@lru_cache(REMEMBERED)
def _factored(expression: Any) -> Any:
    return sympy.factor(expression)


def is_rounded(graph: Graph, i: int) -> bool:
    """Whether a dtype may hold another number than a constant node says."""
    value = graph.nodes[i].value
    return isinstance(value, str) or (value is not None and value.denominator & (value.denominator - 1) != 0)


def shorter(algebra: Algebra, root: int) -> int | None:
    """SymPy's factored form of a closed form, as a node of the same graph, where it is much shorter than `root`.

    The nodes in `algebra.atoms` stay symbols. None where SymPy has nothing better. The result is a candidate: SymPy
    cancels factors without asking whether they can be 0, so it has to be checked at numbers before it is shown.
    """
    graph, size = algebra.graph, algebra.size(root)
    # SymPy writes products in the order of these names.
    leaves = sorted({*algebra.atoms, *graph.inputs})
    symbols = {i: sympy.Symbol(f"x{place:07}", real=True) for place, i in enumerate(leaves)}
    try:
        expression = to_sympy(graph, root, symbols)
        if not _tame(expression):
            return None
        factored = _factored(expression)
        # Between two leaves there is an operation; some more are saved by what the algebra takes out.
        if _leaves(factored) > 0.6 * size:
            return None
        back = _to_graph(algebra, factored, {symbol: i for i, symbol in symbols.items()})
        return back if algebra.size(back) <= 0.75 * size else None
    except (
        Unwritable,
        TooLarge,
        RecursionError,
        sympy.PolynomialError,
        NotImplementedError,
        ValueError,
        TypeError,
        OverflowError,
        MemoryError,
    ):
        return None


def _leaves(expression: Any) -> int:
    """How many numbers and symbols an expression has at least when it is written out; signs are none."""
    signs = (sympy.S.One, sympy.S.NegativeOne)
    return sum(not part.args and part not in signs for part in sympy.preorder_traversal(expression))


def _tame(expression: Any) -> bool:
    """Whether factoring stays cheap: small whole exponents, few different parts."""
    if expression.has(sympy.Piecewise):
        return False
    generators = set()
    for part in sympy.preorder_traversal(expression):
        # SymPy puts x**0.687 over x**(1/1000) and factors a polynomial of degree 687.
        if part.is_Pow and part.exp.is_number and not _small(part.exp):
            return False
        if part.is_Rational and max(abs(part.p), part.q) > MAX_NUMBER:
            return False
        if part.is_Symbol or part.is_Function:
            generators.add(part)
    return len(generators) <= MAX_GENERATORS


def _small(exponent: Any) -> bool:
    return bool(exponent.is_Rational and exponent.q <= 2 and abs(exponent) <= MAX_EXPONENT)


def _to_graph(algebra: Algebra, expression: Any, nodes: Mapping[Any, int]) -> int:
    """A SymPy expression, of some dozens of parts at most, as a node; raises Unwritable."""
    if expression in nodes:
        return nodes[expression]
    if expression.is_Rational:
        from fractions import Fraction

        return algebra.graph.constant(Fraction(int(expression.p), int(expression.q)))
    if expression in (sympy.pi, sympy.E):
        return algebra.graph.constant("pi" if expression is sympy.pi else "e")
    parts = [_to_graph(algebra, part, nodes) for part in expression.args]
    if expression.is_Add:
        # Positive terms first, in the order in which the person named their parts.
        parts.sort(key=lambda i: (algebra.product(i)[0] < 0, min(algebra.product(i)[1], default=1 << 60)))
        result = parts[0]
        for part in parts[1:]:
            result = algebra.sum(result, part)
        return result
    if expression.is_Mul:
        return algebra.combine(tuple((part, algebra.product(algebra.graph.constant(1))[0]) for part in parts))
    if expression.is_Pow:
        return algebra.apply("pow", *parts)
    if expression.func in _BACK:
        return algebra.apply(_BACK[expression.func], *parts)
    raise Unwritable
