"""Rules of exponentials, logarithms, angles, and special functions."""

from __future__ import annotations

from gradexplain.rules.row import ZERO, Rule

ROWS = (
    # Exponentials and logarithms
    Rule("exp", "exponential", ("out",)),
    Rule("expm1", "exponential minus 1", ("exp(a)",), "exp(a) - 1"),
    Rule("exp2", "power of 2", ("out*log(2)",), "2**a"),
    Rule("log", "logarithm", ("1/a",), aliases=("ln",)),
    Rule("log2", "logarithm to base 2", ("1/(a*log(2))",), "log(a)/log(2)"),
    Rule("log10", "logarithm to base 10", ("1/(a*log(10))",), "log(a)/log(10)"),
    Rule("log1p", "logarithm of 1 + a", ("1/(1 + a)",), "log(1 + a)"),
    Rule("logaddexp", "log of a sum of exponentials", ("exp(a - out)", "exp(b - out)"), "log(exp(a) + exp(b))"),
    Rule("xlogy", "a times log b", ("where(a == 0, where(b <= 0, 0, log(b)), log(b))", "a/b"),
         "where(a == 0, 0, a*log(b))", torch="special.xlogy"),
    # Trigonometry
    Rule("sin", "sine", ("cos(a)",)),
    Rule("cos", "cosine", ("-sin(a)",)),
    Rule("tan", "tangent", ("1 + out**2",)),
    Rule("asin", "arc sine", ("1/sqrt(1 - a**2)",), aliases=("arcsin",), example="asin(x**w)"),
    Rule("acos", "arc cosine", ("-1/sqrt(1 - a**2)",), aliases=("arccos",), example="acos(x**w)"),
    Rule("atan", "arc tangent", ("1/(1 + a**2)",), aliases=("arctan",)),
    Rule("atan2", "angle of the point (b, a)",
         ("where(abs(a) + abs(b) == 0, 0, b/(a**2 + b**2))", "where(abs(a) + abs(b) == 0, 0, -a/(a**2 + b**2))"),
         kink="abs(a) + abs(b)", at_kink=ZERO, aliases=("arctan2",)),
    Rule("sinh", "hyperbolic sine", ("cosh(a)",)),
    Rule("cosh", "hyperbolic cosine", ("sinh(a)",)),
    Rule("tanh", "hyperbolic tangent", ("1 - out**2",)),
    Rule("asinh", "inverse hyperbolic sine", ("1/sqrt(a**2 + 1)",), aliases=("arcsinh",)),
    Rule("acosh", "inverse hyperbolic cosine", ("1/sqrt(a**2 - 1)",), aliases=("arccosh",), example="acosh(w*x + 1)"),
    Rule("atanh", "inverse hyperbolic tangent", ("1/(1 - a**2)",), aliases=("arctanh",), example="atanh(x**w)"),
    Rule("sinc", "normalized sine cardinal", ("where(a == 0, 0, (cos(pi*a) - out)/a)",),
         "where(a == 0, 1, sin(pi*a)/(pi*a))"),
)  # fmt: skip

SPECIAL = (
    Rule("erf", "error function", ("2*exp(-a**2)/sqrt(pi)",)),
    Rule("erfc", "complementary error function", ("-2*exp(-a**2)/sqrt(pi)",)),
    Rule("lgamma", "log of the gamma function", ("digamma(a)",), aliases=("gammaln", "loggamma")),
    Rule("digamma", "digamma function", ("polygamma(1, a)",), aliases=("psi",)),
    Rule("polygamma", "polygamma function", ("", "polygamma(a + 1, b)"), example="polygamma(1, w*x)"),
)  # fmt: skip
