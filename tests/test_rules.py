"""Proves the rule table: every partial against SymPy, against difference quotients and against torch.autograd.

Nothing is taken from the table but what is under test: EXACT and TORCH say once more what each operation is. A new row
of RULES fails until it has its entry there, and needs no other line.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import operator
from pathlib import Path

import mpmath
import pytest
import sympy
import torch
import torch.nn.functional as F

from gradexplain import derive, train
from gradexplain.calculus import templates
from gradexplain.calculus.templates import template
from gradexplain.language.graph import Graph
from gradexplain.output import rules as rules_output
from gradexplain.readings import arithmetic, compiled, conventions
from gradexplain.readings.digits import digits
from gradexplain.readings.symbols import to_sympy
from gradexplain.rules import versions
from gradexplain.rules.table import ELEMENTWISE, ROWS, RULES
from gradexplain.rules.versions import version_of

mp = mpmath.MPContext()
mp.dps = 60

# What each operation is, with mpmath: it may fail or turn complex outside of the domain.
EXACT = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "neg": operator.neg,
    "pow": operator.pow, "abs": abs, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le,
    "eq": operator.eq, "ne": operator.ne, "sqrt": mp.sqrt, "sign": mp.sign, "hypot": mp.hypot, "exp": mp.exp,
    "expm1": mp.expm1, "log": mp.log, "log10": mp.log10, "log1p": mp.log1p, "erf": mp.erf, "erfc": mp.erfc,
    "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "asin": mp.asin, "acos": mp.acos, "atan": mp.atan, "atan2": mp.atan2,
    "sinh": mp.sinh, "cosh": mp.cosh, "tanh": mp.tanh, "asinh": mp.asinh, "acosh": mp.acosh, "atanh": mp.atanh,
    "digamma": mp.digamma, "polygamma": mp.psi, "lgamma": lambda a: mp.log(abs(mp.gamma(a))), "round": mp.nint,
    "floor": mp.floor, "ceil": mp.ceil, "heaviside": lambda a, b: b if a == 0 else mp.mpf(a > 0), "sinc": mp.sincpi,
    "identity": lambda a: a, "square": lambda a: a * a, "reciprocal": lambda a: 1 / a,
    "rsqrt": lambda a: 1 / mp.sqrt(a), "exp2": lambda a: mp.mpf(2) ** a, "log2": lambda a: mp.log(a, 2),
    "logaddexp": lambda a, b: mp.log(mp.exp(a) + mp.exp(b)), "xlogy": lambda a, b: a * mp.log(b) if a else mp.zero,
    "sigmoid": lambda a: 1 / (1 + mp.exp(-a)), "logsigmoid": lambda a: -mp.log1p(mp.exp(-a)),
    "softplus": lambda a, beta, threshold: a if beta * a > threshold else mp.log1p(mp.exp(beta * a)) / beta,
    "relu": lambda a: max(a, mp.zero), "relu6": lambda a: min(max(a, mp.zero), mp.mpf(6)),
    "leaky_relu": lambda a, slope: max(a, mp.zero) + slope * min(a, mp.zero),
    "elu": lambda a, alpha: max(a, mp.zero) + alpha * min(mp.expm1(a), mp.zero),
    "selu": lambda a: mp.mpf("1.0507009873554804934193349852946") * (
        max(a, mp.zero) + mp.mpf("1.6732632423543772848170429916717") * min(mp.expm1(a), mp.zero)),
    "hardtanh": lambda a, low, high: min(max(a, low), high),
    "hardsigmoid": lambda a: min(max(a + 3, mp.zero), mp.mpf(6)) / 6,
    "hardswish": lambda a: a * min(max(a + 3, mp.zero), mp.mpf(6)) / 6,
    "gelu": lambda a: a * mp.ncdf(a),
    "gelu_tanh": lambda a: a * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (a + mp.mpf("0.044715") * a**3))) / 2,
    "silu": lambda a: a / (1 + mp.exp(-a)), "softsign": lambda a: a / (1 + abs(a)),
    "mish": lambda a: a * mp.tanh(mp.log1p(mp.exp(a))), "tanhshrink": lambda a: a - mp.tanh(a),
    "maximum": max, "minimum": min, "clamp_min": max, "clamp_max": min,
    "clamp_from": max, "clamp_to": min, "clamp_between": lambda a, low, high: min(max(a, low), high),
    "clamp": lambda a, low, high: min(max(a, low), high), "where": lambda a, b, c: b if a else c,
}  # fmt: skip
# The same in PyTorch, where its name is not that of the rule, or it takes no plain numbers.
TORCH = {
    "identity": torch.clone, "clamp_between": torch.clamp, "clamp_from": torch.clamp_min, "clamp_to": torch.clamp_max,
    "xlogy": torch.special.xlogy, "where": lambda a, b, c: torch.where(torch.tensor(a), b, c),
    "heaviside": lambda a, b: torch.heaviside(a, a.new_tensor(b)),
    "gelu_tanh": lambda a: F.gelu(a, approximate="tanh"),
}  # fmt: skip

# The settings that come after the first input; every other input runs over a grid.
SETTINGS = {
    "softplus": [(1.0, 20.0), (2.5, 20.0), (0.5, 3.0)], "leaky_relu": [(0.01,), (0.25,), (1.5,)],
    "elu": [(1.0,), (0.25,), (2.0,)], "hardtanh": [(-1.0, 1.0), (-0.5, 3.0)], "clamp_from": [(0.0,), (0.5,)],
    "clamp_to": [(0.0,), (0.5,)], "clamp_between": [(-1.0, 1.0), (0.0, 0.0), (0.5, -0.5)],
    "heaviside": [(0.0,), (0.5,), (1.0,)],
}  # fmt: skip
FIRST = {"polygamma": [(0, 1, 2, 3)], "where": [(True, False)]}
# Away from every kink; 3 lets a power have a negative base.
SMOOTH = (-4.6, -1.83, -0.37, 0.29, 0.71, 2.41, 7.2), (-2.7, 0.62, 1.9, 3.0)
# 0, the kinks of every rule, ties between the two, small and large.
MAGNITUDES = (1e-3, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 6.0, 7.25, 20.25, 50.0)
GRID = (0.0, *MAGNITUDES, *[-a for a in MAGNITUDES]), (0.0, 1e-3, 0.5, 2.0, 3.0, 50.0, -0.5, -1.0, -3.0)


def outside(low, high=math.inf):
    return lambda a: not low <= a <= high, "PyTorch applies the formula of the derivative outside of the domain too"


NOISE = "PyTorch rounds sin(pi*a) at a whole a: no 0, and 1e31 where there is a pole"
# Where PyTorch and mathematics part: the slots (None for the value itself), the points, and the reason.
PARTINGS = {
    "log": ([0], *outside(0)), "log2": ([0], *outside(0)), "log10": ([0], *outside(0)), "log1p": ([0], *outside(-1)),
    "acosh": ([0], *outside(-1)), "atanh": ([0], *outside(-1, 1)),
    "xlogy": ([1], lambda a, b: a != 0 and b < 0, outside(0)[1]),
    "expm1": ([0], lambda a: a < -16, "PyTorch computes out + 1, which cancels"),
    "sigmoid": ([0], lambda a: a > 16, "PyTorch computes out*(1 - out), which cancels"),
    "tanh": ([0], lambda a: abs(a) > 7.5, "PyTorch computes 1 - out**2, which cancels"),
    "gelu": ([None, 0], lambda a: a < -5, "PyTorch computes 1 + erf(a/sqrt(2)), which cancels"),
    "gelu_tanh": ([None, 0], lambda a: a < -4, "PyTorch computes 1 + tanh(…), which cancels"),
    "hardsigmoid": ([0], lambda a: -3 < a < 3, "PyTorch holds 1/6 as a float32, 0.16666667163"),
    "sinc": ([None], lambda a: a != 0 and a % 1 == 0, NOISE), "digamma": ([0], lambda a: a < 0 and a % 1 == 0, NOISE),
    "polygamma": ([None, 1], lambda n, a: n < 2 and a < 0 and a % 1 == 0, NOISE),
    "heaviside": ([0], lambda a, b: True, "PyTorch refuses to differentiate it; gradexplain stops the gradient there"),
}  # fmt: skip


def points(name, first, others):
    """All points of a grid for a rule, `first` for the input that comes first but for orders and conditions."""
    if name in SETTINGS:
        return [(a, *rest) for a in first for rest in SETTINGS[name]]
    return list(itertools.product(*[*FIRST.get(name, ()), first, others, others][: len(RULES[name].partials)]))


def quotient(name, slot, point, direction=0):
    """The derivative of the operation by difference quotients at 60 digits; None where it leaves the domain."""
    exact = [mp.mpf(v) if isinstance(v, float) else v for v in point]
    try:
        found = mp.diff(lambda v: EXACT[name](*exact[:slot], v, *exact[slot + 1 :]), exact[slot], direction=direction)
    except (ValueError, ZeroDivisionError):
        return None
    return found if isinstance(found, mp.mpf) and mp.isfinite(found) else None


def symbolic(name, slot, point):
    """The partial of the table and SymPy's derivative of the operation, both evaluated to 40 digits."""
    rule, graph = RULES[name], Graph()
    inputs = [graph.input(letter) for letter in rule.parameters]
    numbers = [sympy.Float(v, 60) if isinstance(v, float) else sympy.sympify(v) for v in point]
    symbols = [sympy.Symbol(f"x{k}", real=True) if rule.partials[k] else v for k, v in enumerate(numbers)]
    operation = to_sympy(graph, graph.apply(name, *inputs), dict(zip(inputs, symbols, strict=True)))
    row, bound = template(rule.partials[slot]), dict(zip((*rule.parameters, "out"), (*symbols, operation), strict=True))
    partial = to_sympy(row.graph, row.root, {place: bound[letter] for letter, place in row.places.items()})
    derivative = sympy.diff(operation, symbols[slot])
    if derivative.has(sympy.Derivative):
        assert name in ("floor", "ceil", "round"), f"SymPy cannot differentiate {name}"
        derivative = sympy.Integer(0)
    here = dict(zip(symbols, numbers, strict=True))
    return [mp.mpf(str(expression.subs(here).evalf(40))) for expression in (partial, derivative)]


def exactly(name, point):
    """The value by gradexplain's exact reading (under None) and the partials by slot, nan where there is no value."""
    inputs = [v if isinstance(v, bool) else arithmetic.mp.mpf(v) for v in point]
    partials = dict(enumerate(RULES[name].partials))
    calls = {slot: compiled.expression(partial, len(point)) for slot, partial in partials.items() if partial}
    with digits(120):
        value = compiled.function(name)(*inputs)
        known = isinstance(value, bool) or arithmetic.finite(value)
        found = {slot: call([*inputs, value]) if known else arithmetic.NAN for slot, call in calls.items()}
    return {None: value} | found


PARTIALS = [(name, slot) for name, rule in ELEMENTWISE.items() for slot, partial in enumerate(rule.partials) if partial]


def test_every_rule_has_its_oracle():
    assert EXACT.keys() == ELEMENTWISE.keys()


@pytest.mark.parametrize(("name", "slot"), PARTIALS)
def test_a_partial_is_the_derivative(name, slot):
    checked = 0
    for point in points(name, *SMOOTH):
        expected = quotient(name, slot, point)
        if expected is not None and len(set(point)) == len(point):
            checked += 1
            for found in (*symbolic(name, slot, point), exactly(name, point)[slot]):
                assert mp.almosteq(found, expected, mp.mpf(10) ** -30), point
    assert checked >= 2


@pytest.mark.parametrize(("name", "slot"), PARTIALS)
def test_a_derivative_that_jumps_is_declared_as_a_kink(name, slot):
    """The kink of a rule is what the verdict `convention` rests on."""
    for point in points(name, *GRID):
        left, right = (quotient(name, slot, point, direction) for direction in (-1, 1))
        # The angle of atan2 jumps by 2*pi where it is counted anew; it turns smoothly all the same.
        if None in (left, right) or (name == "atan2" and point[0] == 0 and point[1] < 0):
            continue
        if abs(left - right) > 1e-9 * max(1, abs(right)):
            local = exactly(name, point)[slot]
            kink = compiled.expression(RULES[name].kink or "1", len(point))([arithmetic.mp.mpf(v) for v in point])
            assert kink == 0 or not arithmetic.finite(local), point


def witness(name, point):
    """What PyTorch has for the value (under None) and for each slot; nan where it refuses to differentiate."""
    call = TORCH.get(name) or next(getattr(home, name) for home in (torch, F) if hasattr(home, name))
    slots = [slot for slot, partial in enumerate(RULES[name].partials) if partial]
    inputs = list(point)
    for slot in range(len(point)) if RULES[name].boolean else slots:
        inputs[slot] = torch.tensor(point[slot], dtype=torch.float64, requires_grad=True)
    result = call(*inputs)
    found = {None: result.item()}
    for slot in slots:
        try:
            found[slot] = torch.autograd.grad(result, inputs[slot], retain_graph=True)[0].item()
        except RuntimeError:
            found[slot] = math.nan
    return found


def near(exact, found):
    """Whether PyTorch's number is right to 1e-9, or neither is finite."""
    if isinstance(exact, bool) or not arithmetic.finite(exact):
        return exact == found if isinstance(exact, bool) else not math.isfinite(found)
    return math.isfinite(found) and abs(found - exact) <= 1e-9 * abs(exact) + 1e-300


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_autograd_agrees_at_kinks_and_ties_too(name):
    slots, excused, reason = PARTINGS.get(name, ([], None, ""))
    parted = set()
    for point in points(name, *GRID):
        exact, found = exactly(name, point), witness(name, point)
        for slot in exact:
            if not near(exact[slot], found[slot]):
                assert slot in slots, f"{name}{point}, slot {slot}: exactly {exact[slot]}, PyTorch has {found[slot]}"
                assert excused(*point), f"{name}{point}, slot {slot}, is not explained by: {reason}"
                parted.add(slot)
    assert parted == set(slots), "PyTorch has caught up: drop the line from PARTINGS"


@pytest.mark.parametrize(("formula", "at", "dtype", "by", "autograd", "verdict", "began"), [
    ("relu(x)", "x=0", "float64", "x", 0, "convention", "L"),
    ("abs(x)", "x=0", "float64", "x", 0, "convention", "L"),
    ("max(x, 0)", "x=0", "float64", "x", 0.5, "convention", "L"),
    ("leaky_relu(x, 0.25)", "x=0", "float64", "x", 0.25, "convention", "L"),
    ("w*max(x, y)", "x=1,y=1,w=3", "float64", "x", 1.5, "convention", "v1"),
    ("w*min(x, y)", "x=1,y=1,w=3", "float64", "y", 1.5, "convention", "v1"),
    ("sqrt(x*x)", "x=0", "float64", "x", math.nan, "undefined", "L"),
    ("x*log(x)", "x=0", "float64", "x", math.nan, "undefined", "v1"),
    ("x**y", "x=-2,y=3", "float64", "y", math.nan, "undefined", "L"),
    ("where(x > 0, sqrt(x), 0)", "x=-1", "float64", "x", math.nan, "nonfinite", "v2"),
    ("log(1 + exp(x))", "x=1000", "float64", "x", math.nan, "nonfinite", "v1"),
    ("log(1 + exp(x))", "x=100", "float16", "x", math.nan, "nonfinite", "v1"),
    ("(1 - cos(x))/x**2", "x=1e-8", "float64", "x", 1e8, "precision", "v2"),
])  # fmt: skip
def test_measured_facts(formula, at, dtype, by, autograd, verdict, began):
    found = derive(formula, at, dtype=dtype).gradient[by]
    assert (found.verdict, found.began.node) == (verdict, began)
    assert found.autograd == pytest.approx(autograd, nan_ok=True)


@pytest.mark.parametrize("call", ["floor(x)", "ceil(x)", "round(x)", "sign(x)", "heaviside(x, 1)"])
def test_staircases_let_nothing_through_and_say_so(call):
    found = derive(call, "x=0.25")
    assert (found.gradient["x"].value, found.gradient["x"].autograd) == (0.0, 0.0)
    assert any(note.startswith(f"{call.split('(')[0]} is constant between its jumps") for note in found.notes)


def test_logistic_loss_has_its_famous_gradient():
    assert derive("p = sigmoid(w*x + b); loss = -(y*log(p) + (1-y)*log(1-p))").gradient["w"].symbolic == "x*(p - y)"


def test_a_node_used_twice_shows_both_contributions():
    row = next(row for row in derive("a = x*x; L = a*sin(a)", "x=1.5").backward if row.node == "a")
    both = {"L": math.sin(2.25), "v1": 2.25 * math.cos(2.25)}
    assert {entry.through: entry.value for entry in row.contributions} == pytest.approx(both)
    assert row.value == pytest.approx(sum(both.values()))


@pytest.mark.parametrize("name", [name for name in RULES if name not in {*ELEMENTWISE, *rules_output.HELPERS}])
def test_every_rule_on_tensors_has_an_example_that_agrees(name: str) -> None:
    rule = RULES[name]
    formula, point = rules_output.example(rule)
    assert formula
    text, _ = rules_output.render_one(rule)
    assert f'gradexplain derive "{formula}" --at "{point}"' in text
    assert "disagrees" not in text
    assert "agrees" in text


def test_rules_on_tensors_are_listed() -> None:
    text = rules_output.render_all()
    assert text.index("on vectors and matrices") < text.index("inside of formulas only")
    assert all(f"\n {name} " in text for name in RULES)
    helper, _ = rules_output.render_one(RULES["kron_left"])
    assert "A helper" in helper


@pytest.mark.parametrize("rule", [rule.name for rule in ELEMENTWISE.values() if rule.kink and not rule.boolean])
def test_the_table_knows_what_is_measured(rule):
    assert not conventions.changed(rule)


@pytest.mark.parametrize("point", [{"x": 0}, {"x": [0, 1, -1]}])
def test_another_convention_is_measured_and_said(monkeypatch, point):
    row = dataclasses.replace(RULES["relu"], partials=("heaviside(a, 1)",), at_kink="PyTorch takes 1")
    for table in (RULES, ELEMENTWISE):
        monkeypatch.setitem(table, "relu", row)
    caches = (conventions.changed, templates.partial)
    for cache in caches:
        cache.cache_clear()
    try:
        found = derive("sum(relu(x)*3)" if isinstance(point["x"], list) else "relu(x)*3", point)
    finally:
        for cache in caches:
            cache.cache_clear()
    assert found.verdict == "convention"
    assert "takes another value than the one that is known: PyTorch takes 1" in " ".join(found.notes)


@pytest.mark.parametrize(("version", "expected"), [("2.13.0+cpu", 1), ("2.14.0", 0), ("2.15.0", 0)])
def test_a_row_is_that_of_the_version(version, expected):
    row = next(row for row in ROWS if row.name == "clamp_from").in_version(version_of(version))
    assert row.partials == (f"heaviside(a - b, {expected})", "")


def test_the_bounds_are_the_same_wherever_they_stand():
    root = Path(__file__).parent.parent
    assert f'"torch>={versions.OLDEST}"' in (root / "pyproject.toml").read_text()
    assert f"{versions.OLDEST} to {versions.NEWEST} are tested" in (root / "README.md").read_text()
    for name, bound in (("oldest", versions.OLDEST), ("newest", versions.NEWEST)):
        assert (root / ".ci" / f"{name}.txt").read_text().startswith(f"torch=={bound}.")


def test_a_version_outside_of_the_bounds_is_named_in_one_line(monkeypatch):
    monkeypatch.setattr(versions, "installed", lambda: "9.9.1")
    notes = derive("x**2", {"x": 1}).notes
    assert [note.split(";")[0] for note in notes] == ["PyTorch 9.9.1 is installed"]
    monkeypatch.undo()
    assert not derive("x**2", {"x": 1}).notes


def test_a_bound_that_is_a_number_goes_to_pytorch_as_one():
    """From version 2.14 on, nothing flows through a clamp at a number, and half at a tensor."""
    x, low = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.5, 0.5))
    by_number, by_tensor = torch.clamp(x, 0.5, 2.0), torch.clamp(x, low, torch.tensor(2.0, dtype=torch.float64))
    expected = [torch.autograd.grad(value, x)[0].item() for value in (by_number, by_tensor)]
    found = [derive(formula, {"x": 0.5, "m": 0.5}).gradient["x"] for formula in ("clamp(x, 0.5, 2)", "clamp(x, m, 2)")]
    assert [(entry.value, entry.autograd) for entry in found] == [(value, value) for value in expected]
    steps = train("(clamp(w*x, 0, 1) - y)**2", {"w": 1, "x": 1, "y": 3}, params="w", steps=1)
    w = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    ((torch.clamp(w * 1.0, 0, 1) - 3.0) ** 2).backward()
    assert steps.steps[0].backward["w"] == w.grad.item()
