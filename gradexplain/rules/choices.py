"""Rules of choices: maxima, clamps, steps, and the comparisons that where(…) chooses by."""

from __future__ import annotations

from gradexplain.rules.row import ZERO, Earlier, Rule

HALF = "PyTorch shares the gradient: 1/2 to each side of the tie"
PASSED_ON = "PyTorch passes the gradient on to the clamped value"

ROWS = (
    # Choices
    Rule("maximum", "larger of two", ("heaviside(a - b, 1/2)", "heaviside(b - a, 1/2)"), kink="a - b", at_kink=HALF,
         aliases=("max",)),
    Rule("minimum", "smaller of two", ("heaviside(b - a, 1/2)", "heaviside(a - b, 1/2)"), kink="a - b", at_kink=HALF,
         aliases=("min",)),
    # Bounds that are equal share nothing.
    Rule("clamp", "clamp",
         ("where(b < c, heaviside(a - b, 1/2)*heaviside(c - a, 1/2), heaviside(a - b, 1)*heaviside(c - a, 1))",
          "where(b < c, heaviside(b - a, 1/2), heaviside(b - a, 0)*heaviside(c - b, 1))",
          "where(b < c, heaviside(a - c, 1/2), where(c < max(a, b), 1, 0))"),
         "min(max(a, b), c)", kink="(a - b)*(a - c)*(b - c)", at_kink=HALF, keywords=("min", "max"), aliases=("clip",),
         example="clamp(w*x, 0, x)", by_number="clamp_between",
         before=Earlier("2.14", ("heaviside(a - b, 1)*heaviside(c - a, 1)", "heaviside(b - a, 0)*heaviside(c - b, 0)",
                                 "where(c < max(a, b), 1, 0)"), PASSED_ON)),
    Rule("clamp_min", "clamp from below", ("heaviside(a - b, 1/2)", "heaviside(b - a, 1/2)"), "max(a, b)",
         kink="a - b", at_kink=HALF, keywords=("min",), by_number="clamp_from",
         before=Earlier("2.14", ("heaviside(a - b, 1)", "heaviside(b - a, 0)"), PASSED_ON)),
    Rule("clamp_max", "clamp from above", ("heaviside(b - a, 1/2)", "heaviside(a - b, 1/2)"), "min(a, b)",
         kink="a - b", at_kink=HALF, keywords=("max",), by_number="clamp_to",
         before=Earlier("2.14", ("heaviside(b - a, 1)", "heaviside(a - b, 0)"), PASSED_ON)),
    Rule("clamp_between", "clamp between numbers", ("heaviside(a - b, 0)*heaviside(c - a, 0)", "", ""),
         "min(max(a, b), c)", kink="(a - b)*(a - c)", at_kink=ZERO, keywords=("min", "max"), torch="clamp",
         written="clamp", example="clamp(w*x, 0, 1)",
         before=Earlier("2.14", ("heaviside(a - b, 1)*heaviside(c - a, 1)", "", ""), PASSED_ON)),
    Rule("clamp_from", "clamp from below by a number", ("heaviside(a - b, 0)", ""), "max(a, b)", kink="a - b",
         at_kink=ZERO, keywords=("min",), torch="clamp_min", written="clamp_min",
         example="clamp_min(w*x, 0)",
         before=Earlier("2.14", ("heaviside(a - b, 1)", ""), PASSED_ON)),
    Rule("clamp_to", "clamp from above by a number", ("heaviside(b - a, 0)", ""), "min(a, b)", kink="a - b",
         at_kink=ZERO, keywords=("max",), torch="clamp_max", written="clamp_max",
         example="clamp_max(w*x, 9)",
         before=Earlier("2.14", ("heaviside(b - a, 1)", ""), PASSED_ON)),
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
