"""Hundreds of well-known formulas: values, closed forms and autograd against difference quotients at 80 digits.

The oracle shares nothing with gradexplain: Python's own `eval` reads a formula, mpmath's functions give it a value, and
a central difference differentiates it. What both must agree on by design is that a literal is the float64 it rounds to.
"""

from __future__ import annotations

import ast
import csv
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import mpmath
import pytest

import gradexplain
from gradexplain.language.parse import parse
from gradexplain.rules.table import ELEMENTWISE

FILES = ("formulas_data.tsv", "formulas_science.tsv")
mp = mpmath.MPContext()
mp.dps = 80
# The quotient is then right to about 40 digits.
STEP = mp.mpf(10) ** -20
RIGHT = 1e-9


class Case(NamedTuple):
    """A row of a file: the formula in the language of gradexplain, and a point such as `w=1,b=0.5`."""

    name: str
    field: str
    formula: str
    point: str


def read_cases():
    """All rows of both files; a missing file or a row that is cut short is an error."""
    cases = []
    for name in FILES:
        with Path(__file__).with_name(name).open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        assert tuple(header) == Case._fields, name
        cases += [Case(*row) for row in rows]
    return cases


CASES = read_cases()


def clamp(a, min=None, max=None):
    a = a if min is None or a > min else min
    return a if max is None or a < max else max


def step(a, at_zero):
    return at_zero if a == 0 else mp.mpf(a > 0)


def sigmoid(a):
    return 1 / (1 + mp.exp(-a))


def softplus(a, beta=1, threshold=20):
    return mp.log1p(mp.exp(beta * a)) / beta


def elu(a, alpha=1):
    return a if a > 0 else alpha * mp.expm1(a)


def selu(a):
    return mp.mpf("1.0507009873554804934193349852946") * elu(a, mp.mpf("1.6732632423543772848170429916717"))


def xlogy(a, b):
    return a * mp.log(b) if a else mp.zero


# What every function means. `where` is not among them: it becomes Python's own `b if a else c`.
FUNCTIONS = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b,
    "neg": lambda a: -a, "pow": lambda a, b: a**b, "identity": lambda a: a, "square": lambda a: a * a,
    "reciprocal": lambda a: 1 / a, "sqrt": mp.sqrt, "rsqrt": lambda a: 1 / mp.sqrt(a), "abs": abs, "sign": mp.sign,
    "hypot": mp.hypot, "exp": mp.exp, "expm1": mp.expm1, "exp2": lambda a: mp.mpf(2) ** a, "log": mp.log,
    "log2": lambda a: mp.log(a, 2), "log10": mp.log10, "log1p": mp.log1p, "xlogy": xlogy,
    "logaddexp": lambda a, b: mp.log(mp.exp(a) + mp.exp(b)), "sin": mp.sin, "cos": mp.cos, "tan": mp.tan,
    "asin": mp.asin, "acos": mp.acos, "atan": mp.atan, "atan2": mp.atan2, "sinh": mp.sinh, "cosh": mp.cosh,
    "tanh": mp.tanh, "asinh": mp.asinh, "acosh": mp.acosh, "atanh": mp.atanh, "sinc": mp.sincpi, "sigmoid": sigmoid,
    "logsigmoid": lambda a: mp.log(sigmoid(a)), "softplus": softplus, "relu": lambda a: clamp(a, 0),
    "relu6": lambda a: clamp(a, 0, 6), "leaky_relu": lambda a, slope=0.01: a if a > 0 else slope * a, "elu": elu,
    "selu": selu, "gelu": lambda a: a * mp.ncdf(a), "silu": lambda a: a * sigmoid(a),
    "gelu_tanh": lambda a: a * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (a + mp.mpf("0.044715") * a**3))) / 2,
    "mish": lambda a: a * mp.tanh(softplus(a)), "softsign": lambda a: a / (1 + abs(a)),
    "tanhshrink": lambda a: a - mp.tanh(a), "hardtanh": lambda a, min_val=-1, max_val=1: clamp(a, min_val, max_val),
    "hardsigmoid": lambda a: clamp(a + 3, 0, 6) / 6, "hardswish": lambda a: a * clamp(a + 3, 0, 6) / 6, "erf": mp.erf,
    "erfc": mp.erfc, "lgamma": lambda a: mp.log(abs(mp.gamma(a))), "digamma": lambda a: mp.psi(0, a),
    "polygamma": lambda n, a: mp.psi(int(n), a), "maximum": max, "minimum": min, "clamp": clamp, "clamp_min": max,
    "clamp_max": min, "clamp_from": max, "clamp_to": min, "clamp_between": clamp,
    "floor": mp.floor, "ceil": mp.ceil, "round": mp.nint, "heaviside": step,
    "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b,
}  # fmt: skip
FUNCTIONS |= {alias: FUNCTIONS[rule.name] for rule in ELEMENTWISE.values() for alias in rule.aliases}


class _Exact(ast.NodeTransformer):
    """Literals become the exact value of their float64; functions get a name that no variable can have."""

    def visit_Constant(self, node):
        return ast.Call(ast.Name("float64()", ast.Load()), [node], [])

    def visit_Call(self, node):
        if node.func.id == "where":
            return ast.IfExp(*map(self.visit, node.args))
        values = [ast.keyword(keyword.arg, self.visit(keyword.value)) for keyword in node.keywords]
        return ast.Call(ast.Name(node.func.id + "()", ast.Load()), list(map(self.visit, node.args)), values)


NAMESPACE = {f"{name}()": function for name, function in FUNCTIONS.items()}
NAMESPACE |= {"float64()": lambda number: mp.mpf(float(number)), "pi": +mp.pi, "e": +mp.e, "π": +mp.pi}


@cache
def compiled(text):
    tree = _Exact().visit(ast.parse(text.strip(), mode="eval"))
    return compile(ast.fix_missing_locations(tree), text, "eval")


def evaluate(text, variables):
    return eval(compiled(text), NAMESPACE, variables)


def run(formula, variables):
    """The objective, and the values of all names, the inputs among them."""
    values, result = dict(variables), None
    for statement in formula.split(";"):
        name, equals, expression = statement.partition(" = ")
        result = evaluate(expression if equals else statement, values)
        if equals:
            values[name.strip()] = result
    return result, values


def read_point(point):
    pairs = (assignment.split("=") for assignment in point.split(","))
    return {name.strip(): mp.mpf(float(evaluate(value, {}))) for name, value in pairs}


def quotient(formula, point, name):
    """The central difference; the step is relative, as Planck's constant and Avogadro's number are variables here."""
    step = STEP * abs(point[name]) or STEP
    high, low = (run(formula, point | {name: point[name] + sign * step})[0] for sign in (1, -1))
    return (high - low) / (2 * step)


@cache
def derivation(case):
    return gradexplain.derive(case.formula, case.point)


def right(found, expected, noise):
    """Whether a number is right to 1e-9; `noise` is what the two ways of computing leave of an exact 0."""
    return abs(mp.mpf(found) - expected) <= RIGHT * abs(expected) + noise


def test_the_oracle_knows_every_function():
    names = {name for rule in ELEMENTWISE.values() for name in (rule.name, *rule.aliases)}
    assert FUNCTIONS.keys() == names - {"where"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_gradients_of_a_well_known_formula(case):
    point = read_point(case.point)
    found = derivation(case)
    assert found.verdict != "disagrees"
    assert found.gradient.keys() == point.keys(), "the point has a value for every variable, and no other"
    objective, values = run(case.formula, point)
    for name, gradient in found.gradient.items():
        expected = quotient(case.formula, point, name)
        unit = abs(objective / (point[name] or 1))
        assert right(gradient.value, expected, 1e-30 * unit), name
        assert gradient.symbolic is not None, name
        # A closed form may be a number, and a formula may not: multiplied by the input it is always one.
        parse(f"({gradient.symbolic})*{name}", point)
        assert right(evaluate(gradient.symbolic, values), expected, 1e-30 * unit), f"{name}: {gradient.symbolic}"
        if gradient.verdict == "agrees":
            assert right(gradient.autograd, expected, 1e-15 * unit), name


def test_the_formulas_are_many_and_nearly_all_agree():
    assert len(CASES) >= 400
    # The same text is another formula where its `e` is a variable.
    times = Counter(("".join(case.formula.split()), *sorted(read_point(case.point))) for case in CASES)
    assert [formula for formula, count in times.items() if count > 1] == []
    names = {name for _, *variables in times for name in variables}
    assert names >= {"I", "S", "N", "E", "Q", "beta", "gamma", "zeta", "u", "lambda_"}
    parted = [case.name for case in CASES if derivation(case).verdict != "agrees"]
    assert len(parted) <= 0.03 * len(CASES), parted
