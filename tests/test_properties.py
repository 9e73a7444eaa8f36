"""Properties that hold for every formula: generated ones, at generated points, and any text at all.

The second evaluator is Python itself: the language is a part of its grammar, so `eval` of the same text with mpmath's
numbers and functions gives the value, and difference quotients of it the derivative, without a line of gradexplain.
"""

from __future__ import annotations

import contextlib
import math
import re

import mpmath
import pytest
from hypothesis import Phase, assume, example, given, settings
from hypothesis import strategies as st

from gradexplain import FormulaError, GradexplainError, derive
from gradexplain.data.point import held_constants
from gradexplain.language.parse import parse
from gradexplain.readings.digits import digits
from gradexplain.readings.exact import evaluate

mp = mpmath.MPContext()
mp.dps = 320
# Shrinking would take minutes, and the formulas are short as they are.
moderate = settings(max_examples=100, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate))

ONE = {
    "exp": mp.exp, "log": mp.log, "sqrt": mp.sqrt, "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "tanh": mp.tanh,
    "sinh": mp.sinh, "atan": mp.atan, "asinh": mp.asinh, "asin": mp.asin, "erf": mp.erf, "log1p": mp.log1p,
    "expm1": mp.expm1, "abs": abs, "sign": mp.sign, "floor": mp.floor, "round": mp.nint, "sinc": mp.sincpi,
    "square": lambda a: a * a, "reciprocal": lambda a: 1 / a, "sigmoid": lambda a: 1 / (1 + mp.exp(-a)),
    "softplus": lambda a: mp.log1p(mp.exp(a)), "silu": lambda a: a / (1 + mp.exp(-a)), "gelu": lambda a: a * mp.ncdf(a),
    "softsign": lambda a: a / (1 + abs(a)), "relu": lambda a: max(a, mp.zero),
    "relu6": lambda a: min(max(a, mp.zero), mp.mpf(6)),
    "leaky_relu": lambda a: max(a, mp.zero) + mp.mpf(0.01) * min(a, mp.zero),
}  # fmt: skip
TWO = {
    "max": max, "min": min, "hypot": mp.hypot,
    # Where the angle is counted anew it jumps by 2*pi; it turns smoothly all the same.
    "atan2": lambda a, b: mp.atan2(a, b) if a or b > 0 else 1 / mp.zero,
    "logaddexp": lambda a, b: mp.log(mp.exp(a) + mp.exp(b)),
}  # fmt: skip
THREE = {"where": lambda a, b, c: b if a else c, "clamp": lambda a, low, high: min(max(a, low), high)}
# Numbers that every format holds exactly, so that a closed form and a value mean the same constant.
NUMBERS = ("0", "1", "2", "3", "0.5", "0.25", "1.5", "10")
NAMES = ("x", "y", "z")


def expressions(names):
    """Expressions as text, put together without brackets as often as with them, so that precedence is tried too."""

    def larger(inner):
        return st.one_of(
            st.builds("{} {} {}".format, inner, st.sampled_from("+-*/"), inner),
            st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
            st.builds("-{}".format, inner),
            st.builds("{}**2".format, inner),
            st.builds("({})**{}".format, inner, st.sampled_from(["3", "-1", "0.5", "-2", "y"])),
            st.builds("{}({})".format, st.sampled_from(sorted(ONE)), inner),
            st.builds("{}({}, {})".format, st.sampled_from(sorted(TWO)), inner, inner),
            st.builds("clamp({}, {}, {})".format, inner, inner, inner),
            st.builds("where({} {} {}, {}, {})".format, inner, st.sampled_from(["<", ">=", "=="]), inner, inner, inner),
        )

    return st.recursive(st.sampled_from([*names * 3, *NUMBERS]), larger, max_leaves=7)


@st.composite
def formulas(draw):
    """One to three statements; the later ones may use the names of the earlier ones."""
    named = draw(st.sampled_from([(), ("u",), ("u", "v")]))
    statements = [f"{name} = {draw(expressions((*NAMES, *named[:k])))}" for k, name in enumerate(named)]
    return "; ".join([*statements, f"L = {draw(expressions((*NAMES, *named)))}"])


numbers = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, -3.0]), st.floats(-4, 4).map(lambda v: round(v, 6)))
points = st.fixed_dictionaries(dict.fromkeys(NAMES, numbers))
general = st.fixed_dictionaries(dict.fromkeys(NAMES, st.floats(0.1, 4).map(lambda v: round(v, 6) + 1e-7)))


def derived(formula, at, **options):
    """The derivation; formulas without a variable or with a constant such as 1/0 are no examples."""
    try:
        return derive(formula, at, **options)
    except FormulaError as error:
        assert re.search("has no variable|this constant is|division by zero", error.message), error
    return assume(False)


def bounded(call):
    def guarded(*values):
        if any(abs(value) > 10_000 for value in values):
            raise OverflowError
        return call(*values)

    return guarded


CALLS = {name: bounded(call) for name, call in {**ONE, **TWO, **THREE}.items()}


def by_python(formula):
    """The formula as a function of the point, read by Python; None where it is not real or out of all bounds."""
    text = re.sub(r"(?<![\w.])[\d.]+", r"mpf('\g<0>')", formula)
    code = [(part.split(" = ", 1)[0], compile(part.split(" = ", 1)[1], "", "eval")) for part in text.split("; ")]

    def value(at):
        names = {name: mp.mpf(number) for name, number in at.items()}
        with contextlib.suppress(ValueError, ZeroDivisionError, TypeError, OverflowError):
            for name, body in code:
                names[name] = eval(body, {"__builtins__": {}, "mpf": mp.mpf, **CALLS}, names)
            return names["L"] if isinstance(names["L"], mp.mpf) and mp.isfinite(names["L"]) else None
        return None

    return value


def close(found, expected, tolerance=1e-9):
    return abs(mp.mpf(found) - mp.mpf(expected)) <= tolerance * abs(mp.mpf(expected)) + 1e-15


def exactly(statements, at):
    """The exact value of the last statement by gradexplain, at 200 digits; constants as a float64 holds them."""
    text = "\n".join(statements)
    graph = parse(text, at)
    given = {i: at[graph.nodes[i].value] for i in graph.inputs} | held_constants(graph, text, "float64")
    with digits(200):
        return evaluate(graph, given)[graph.objective]


@moderate
@given(formulas(), points)
def test_written_and_read_again_a_formula_is_the_same(formula, at):
    derivation = derived(formula, at)
    again = derive("\n".join(derivation.statements), at)
    assert again.statements == derivation.statements
    assert repr(again.nodes[-1].value) == repr(derivation.nodes[-1].value)
    expected = by_python(formula)(at)
    if expected is not None:
        assert close(derivation.nodes[-1].value, expected)


@moderate
@given(formulas(), points, st.sampled_from(["float64", "float32", "bfloat16", "float16"]))
def test_autograd_never_disagrees(formula, at, dtype):
    assert derived(formula, at, dtype=dtype).verdict != "disagrees"


@moderate
@given(formulas(), points)
def test_sympy_and_difference_quotients_confirm_the_chain_rule(formula, at):
    derivation, value = derived(formula, at), by_python(formula)
    for name, gradient in derivation.gradient.items():
        if gradient.sympy is not None:
            assert close(gradient.sympy, gradient.value), name
        if gradient.verdict == "agrees" and value(at) is not None:
            sides = [value({**at, name: at[name] + mp.mpf(10) ** -40 * sign}) for sign in (-1, 1)]
            if None not in sides:
                quotients = [(sides[0] - value(at)) * -(mp.mpf(10) ** 40), (sides[1] - value(at)) * mp.mpf(10) ** 40]
                assert close(quotients[0], gradient.value) and close(quotients[1], gradient.value), name


@moderate
@given(formulas(), points, general)
@example("u = 3**-2; L = (u - u)**y", {"x": 0.0, "y": 1.934209, "z": -1.0}, {"x": 0.76, "y": 0.39, "z": 3.6})
def test_closed_forms_have_the_value_of_the_gradient(formula, first, second):
    derivation = derived(formula, first)
    forms = {name: gradient.symbolic for name, gradient in derivation.gradient.items() if gradient.symbolic}
    for at in (first, second):
        there = derive(formula, at)
        rows = {row.node: row.value for row in there.backward}
        if not all(isinstance(row.value, bool) or math.isfinite(float(row.value)) for row in there.nodes):
            continue
        for name, form in forms.items():
            value = rows.get(name, 0.0)
            if isinstance(value, float) and math.isfinite(value):
                found = exactly([*derivation.statements[:-1], f"D = {form} + 0*x"], at)
                assert close(found, value), (name, form, at, value)


@moderate
@given(formulas(), points)
def test_rows_add_up(formula, at):
    for row in derived(formula, at).backward:
        parts = [mp.mpf(entry.value) for entry in row.contributions]
        if all(map(mp.isfinite, parts)):
            assert abs(mp.fsum(parts) - mp.mpf(row.value)) <= 1e-14 * mp.fsum(map(abs, parts)), row
        for entry in row.contributions:
            upstream, local, value = (mp.mpf(number) for number in (entry.upstream, entry.local_value, entry.value))
            # What is below the range of a float64 is shown as 0.
            if mp.isfinite(upstream) and mp.isfinite(local) and upstream * local != 0:
                assert abs(upstream * local - value) <= 1e-14 * abs(value) + 1e-300, entry


@st.composite
def mutated(draw):
    """A formula with one character deleted, inserted or replaced."""
    formula, inserted = draw(formulas()), draw(st.sampled_from([*"xyzu0159.+-*/()=;,<> \n^e_%[", "", "**", "²"]))
    place = draw(st.integers(0, len(formula)))
    return formula[:place] + inserted + formula[place + draw(st.integers(0, 1)) :]


@settings(moderate, max_examples=300)
@given(st.one_of(st.text(max_size=40), st.text(alphabet="xy019.+-*/()=;,<> elog\n", max_size=30), mutated()))
def test_any_text_is_explained_or_refused(text):
    with contextlib.suppress(GradexplainError):
        derive(text, {"x": 0.5, "y": -1.5, "z": 2})


WRITTEN = test_written_and_read_again_a_formula_is_the_same
AGREES = test_autograd_never_disagrees
CONFIRMED = test_sympy_and_difference_quotients_confirm_the_chain_rule
ANSWERED = test_any_text_is_explained_or_refused


# Corners that generated formulas meet too seldom: the property, the formula, and the point.
@pytest.mark.parametrize(("checked", "formula", "point"), [
    (WRITTEN, "a = x*x + 1; b = x*x; L = a*b", {"x": 2.0}),
    (WRITTEN, "L = 1/log1p(x)", {"x": 1e-100}),
    (WRITTEN, "L = 1/softplus(x)", {"x": -300.0}),
    (AGREES, "L = x*where(x > 0, 1, 0)", {"x": 1.5}),
    (AGREES, "L = x*heaviside(x, 0)", {"x": 1.5}),
    (AGREES, "L = 3*sigmoid(x)", {"x": 50.0}),
    (AGREES, "L = expm1(x)", {"x": -20.0}),
    (AGREES, "L = softplus(x)", {"x": 20.25}),
    (AGREES, "u = abs(x) + 1; L = y*where(x > 0, 1, 2)", {"x": 0.0, "y": 1.0}),
    (CONFIRMED, "L = x*sign(x)", {"x": 0.0}),
    (CONFIRMED, "L = x*where(x > 0, 1, 0)", {"x": 0.0}),
    (CONFIRMED, "L = where(y >= y**2, x, 0.25)", {"x": 0.6, "y": 0.0}),
    (CONFIRMED, "L = x*clamp(x, y, z)", {"x": -4.0, "y": 1.0, "z": 1.0}),
    (CONFIRMED, "L = y*(1 - tanh(x))*10**260", {"x": 300.0, "y": 1.0}),
    (ANSWERED, "u = 1/(x - x); L = u*w", None),
])  # fmt: skip
def test_corners(checked, formula, point):
    checked.hypothesis.inner_test(formula, *[point] * (checked is not ANSWERED), *["float64"] * (checked is AGREES))


@pytest.mark.parametrize(("formula", "at"), [("min(x, sqrt(y))", "x=1,y=-1"), ("x/sinc(y)", "x=1,y=1")])
def test_without_a_value_there_is_no_gradient(formula, at):
    derivation = derive(formula, at)
    assert not math.isfinite(derivation.nodes[-1].value)
    assert not any(math.isfinite(gradient.value) for gradient in derivation.gradient.values())
