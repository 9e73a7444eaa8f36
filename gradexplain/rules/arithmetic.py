"""Rules of arithmetic."""

from __future__ import annotations

from gradexplain.rules.row import ZERO, Rule

ROWS = (
    Rule("add", "sum rule", ("1", "1"), symbol="+"),
    Rule("sub", "difference rule", ("1", "-1"), symbol="-", aliases=("subtract",)),
    Rule("mul", "product rule", ("b", "a"), symbol="*", aliases=("multiply",)),
    Rule("div", "quotient rule", ("1/b", "-a/b**2"), symbol="/", aliases=("divide", "true_divide")),
    Rule("neg", "sign rule", ("-1",), symbol="-", aliases=("negative",)),
    Rule("pow", "power rule / exponential rule", ("where(b == 0, 0, b*a**(b - 1))", "where(a == 0, 0, out*log(a))"),
         symbol="**", aliases=("power",), kink="abs(a) + abs(b)", at_kink=ZERO),
    Rule("identity", "same value", ("1",), torch="clone", example="u = x; w*u"),
    Rule("square", "square", ("2*a",), "a**2"),
    Rule("reciprocal", "reciprocal", ("-out**2",), "1/a"),
    Rule("sqrt", "square root", ("1/(2*out)",)),
    Rule("rsqrt", "reciprocal square root", ("-out**3/2",), "1/sqrt(a)"),
    Rule("abs", "absolute value", ("sign(a)",), kink="a", at_kink=ZERO, aliases=("absolute", "fabs")),
    Rule("sign", "sign", ("0",), kink="a", at_kink=ZERO, aliases=("sgn",), staircase=True, example="x*sign(w*x)"),
    Rule("hypot", "hypotenuse", ("a/out", "b/out"), "sqrt(a**2 + b**2)"),
)  # fmt: skip
