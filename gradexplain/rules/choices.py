"""Rules of choices: maxima, clamps, steps, and the comparisons that where(…) chooses by."""

from __future__ import annotations

from gradexplain.rules.row import ZERO, Rule

HALF = "PyTorch shares the gradient: 1/2 to each side of the tie"
PASSED_ON = "PyTorch passes the gradient on to the clamped value"

ROWS = (
    # Choices
    Rule("maximum", "larger of two", ("heaviside(a - b, 1/2)", "heaviside(b - a, 1/2)"), kink="a - b", at_kink=HALF,
         aliases=("max",)),
    Rule("minimum", "smaller of two", ("heaviside(b - a, 1/2)", "heaviside(a - b, 1/2)"), kink="a - b", at_kink=HALF,
         aliases=("min",)),
    Rule("clamp", "clamp",
         ("heaviside(a - b, 1)*heaviside(c - a, 1)", "heaviside(b - a, 0)*heaviside(c - b, 0)",
          "where(max(a, b) > c, 1, 0)"),
         "min(max(a, b), c)", kink="(a - b)*(a - c)*(b - c)",
         at_kink=PASSED_ON, keywords=("min", "max"), aliases=("clip",),
         example="clamp(w*x, 0, x)"),
    Rule("clamp_min", "clamp from below", ("heaviside(a - b, 1)", "heaviside(b - a, 0)"), "max(a, b)", kink="a - b",
         at_kink=PASSED_ON, keywords=("min",)),
    Rule("clamp_max", "clamp from above", ("heaviside(b - a, 1)", "heaviside(a - b, 0)"), "min(a, b)", kink="a - b",
         at_kink=PASSED_ON, keywords=("max",)),
    Rule("where", "choice", ("", "where(a, 1, 0)", "where(a, 0, 1)"), keywords=("input", "other"),
         example="where(w*x > 0, x**2, -x)"),
    Rule("floor", "floor, a staircase", ("0",), kink="a - floor(a)", at_kink=ZERO, staircase=True,
         example="x*floor(w*x)"),
    Rule("ceil", "ceiling, a staircase", ("0",), "-floor(-a)", kink="a - floor(a)", at_kink=ZERO, staircase=True,
         example="x*ceil(w*x)"),
    Rule("round", "rounding, a staircase", ("0",), kink="a - floor(a) - 1/2", at_kink=ZERO, staircase=True,
         example="x*round(w*x)"),
    Rule("heaviside", "unit step, a staircase", ("0", ""), "where(a == 0, b, where(a > 0, 1, 0))", kink="a",
         at_kink="PyTorch lets no gradient through", keywords=("values",), staircase=True,
         example="heaviside(w*x, 0)*x"),
    # Comparisons, for the condition of where
    Rule("gt", "greater than", ("", ""), kink="a - b", boolean=True, symbol=">"),
    Rule("ge", "at least", ("", ""), kink="a - b", boolean=True, symbol=">="),
    Rule("lt", "less than", ("", ""), kink="a - b", boolean=True, symbol="<"),
    Rule("le", "at most", ("", ""), kink="a - b", boolean=True, symbol="<="),
    Rule("eq", "equal to", ("", ""), kink="a - b", boolean=True, symbol="=="),
    Rule("ne", "different from", ("", ""), kink="a - b", boolean=True, symbol="!="),
)  # fmt: skip
