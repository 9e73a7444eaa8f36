"""THE RULE TABLE: one row for each operation of the language, its derivatives written in the same language.

In a row, `a`, `b`, `c` are the inputs and `out` is the result. A partial is what is shown to the reader, what SymPy
gets, and what is evaluated exactly: there is no second version of it. PyTorch's autograd knows nothing of this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

SELU_ALPHA = "1.6732632423543772848170429916717"
SELU_SCALE = "1.0507009873554804934193349852946"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one operation is differentiated.

    `name` is the stable id and `title` the plain name of the rule. `partials` has one expression for each input; an
    empty one means that nothing can flow to that input (a condition, or a setting that must be a number). `definition`
    writes the operation with simpler ones and is empty for the elementary ones. `kink` is an expression that is 0
    just where the derivative may not exist, and `at_kink` says what PyTorch takes there. `defaults` fills inputs that
    were left out, `keywords` are their names in PyTorch. `torch` is PyTorch's name below `torch.`, where it is
    not `name`. `staircase` marks operations whose derivative is 0 wherever it exists. `example` is a formula to show.

    >>> RULES["tanh"].partials
    ('1 - out**2',)
    """

    name: str
    title: str
    partials: tuple[str, ...]
    definition: str = ""
    kink: str = ""
    at_kink: str = ""
    defaults: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    torch: str = ""
    aliases: tuple[str, ...] = ()
    staircase: bool = False
    boolean: bool = False
    symbol: str = ""
    example: str = ""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the inputs in `partials` and `definition`, in order."""
        return tuple("abcdefgh"[: len(self.partials)])

    @property
    def required(self) -> int:
        """How many inputs cannot be left out."""
        return len(self.partials) - len(self.defaults)


HALF = "PyTorch shares the gradient: 1/2 to each side of the tie"
ZERO = "PyTorch takes 0"

_ROWS = (
    # Arithmetic
    Rule("add", "sum rule", ("1", "1"), symbol="+"),
    Rule("sub", "difference rule", ("1", "-1"), symbol="-", aliases=("subtract",)),
    Rule("mul", "product rule", ("b", "a"), symbol="*", aliases=("multiply",)),
    Rule("div", "quotient rule", ("1/b", "-a/b**2"), symbol="/", aliases=("divide", "true_divide")),
    Rule("neg", "sign rule", ("-1",), symbol="-", aliases=("negative",)),
    Rule("pow", "power rule / exponential rule",
         ("where(b == 0, 0, b*a**(b - 1))", "where(a == 0, 0, out*log(a))"), symbol="**", aliases=("power",),
         kink="abs(a) + abs(b)", at_kink=ZERO),
    Rule("identity", "same value", ("1",), torch="clone", example="u = x; w*u"),
    Rule("square", "square", ("2*a",), "a**2"),
    Rule("reciprocal", "reciprocal", ("-out**2",), "1/a"),
    Rule("sqrt", "square root", ("1/(2*out)",)),
    Rule("rsqrt", "reciprocal square root", ("-out**3/2",), "1/sqrt(a)"),
    Rule("abs", "absolute value", ("sign(a)",), kink="a", at_kink=ZERO, aliases=("absolute", "fabs")),
    Rule("sign", "sign", ("0",), kink="a", at_kink=ZERO, aliases=("sgn",), staircase=True, example="x*sign(w*x)"),
    Rule("hypot", "hypotenuse", ("a/out", "b/out"), "sqrt(a**2 + b**2)"),
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
    # Activations
    Rule("sigmoid", "logistic sigmoid", ("out*(1 - out)",), "1/(1 + exp(-a))", aliases=("expit", "logistic")),
    Rule("logsigmoid", "log of the sigmoid", ("sigmoid(-a)",), "-log(1 + exp(-a))", torch="nn.functional.logsigmoid"),
    Rule("softplus", "softplus", ("sigmoid(b*a)", "", ""), "log(1 + exp(b*a))/b", defaults=("1", "20"),
         keywords=("beta", "threshold"), torch="nn.functional.softplus"),
    Rule("relu", "rectifier", ("heaviside(a, 0)",), "max(a, 0)", kink="a", at_kink=ZERO),
    Rule("relu6", "rectifier capped at 6", ("heaviside(a, 0)*heaviside(6 - a, 0)",), "min(max(a, 0), 6)",
         kink="a*(a - 6)", at_kink=ZERO, torch="nn.functional.relu6"),
    Rule("leaky_relu", "leaky rectifier", ("where(a > 0, 1, b)", ""), "where(a > 0, a, b*a)", kink="a",
         at_kink="PyTorch takes the slope", defaults=("0.01",), keywords=("negative_slope",),
         torch="nn.functional.leaky_relu"),
    Rule("elu", "exponential linear unit", ("where(a > 0, 1, b*exp(a))", ""), "where(a > 0, a, b*(exp(a) - 1))",
         kink="where(b == 1, 1, a)", at_kink="PyTorch takes alpha", defaults=("1",), keywords=("alpha",),
         torch="nn.functional.elu"),
    Rule("selu", "scaled exponential linear unit",
         (f"{SELU_SCALE}*where(a > 0, 1, {SELU_ALPHA}*exp(a))",),
         f"{SELU_SCALE}*where(a > 0, a, {SELU_ALPHA}*(exp(a) - 1))", kink="a",
         at_kink="PyTorch takes scale times alpha, 1.758"),
    Rule("gelu", "Gaussian error linear unit",
         ("(1 + erf(a/sqrt(2)))/2 + a*exp(-a**2/2)/sqrt(2*pi)",), "a*(1 + erf(a/sqrt(2)))/2",
         torch="nn.functional.gelu"),
    Rule("silu", "sigmoid linear unit", ("sigmoid(a)*(1 + a*(1 - sigmoid(a)))",), "a*sigmoid(a)",
         torch="nn.functional.silu", aliases=("swish",)),
    Rule("mish", "mish", ("tanh(softplus(a)) + a*sigmoid(a)*(1 - tanh(softplus(a))**2)",), "a*tanh(softplus(a))",
         torch="nn.functional.mish"),
    Rule("softsign", "softsign", ("1/(1 + abs(a))**2",), "a/(1 + abs(a))", torch="nn.functional.softsign"),
    Rule("tanhshrink", "tanh shrinkage", ("tanh(a)**2",), "a - tanh(a)", torch="nn.functional.tanhshrink"),
    Rule("hardtanh", "hard tanh", ("heaviside(a - b, 0)*heaviside(c - a, 0)", "", ""), "min(max(a, b), c)",
         kink="(a - b)*(a - c)", at_kink=ZERO, defaults=("-1", "1"), keywords=("min_val", "max_val"),
         torch="nn.functional.hardtanh"),
    Rule("hardsigmoid", "hard sigmoid", ("heaviside(a + 3, 0)*heaviside(3 - a, 0)/6",), "min(max(a + 3, 0), 6)/6",
         kink="(a + 3)*(a - 3)", at_kink=ZERO, torch="nn.functional.hardsigmoid"),
    Rule("hardswish", "hard swish", ("where(a <= -3, 0, where(a >= 3, 1, a/3 + 1/2))",), "a*min(max(a + 3, 0), 6)/6",
         kink="(a + 3)*(a - 3)", at_kink="PyTorch takes 0 at -3 and 1 at 3", torch="nn.functional.hardswish"),
    # Special functions
    Rule("erf", "error function", ("2*exp(-a**2)/sqrt(pi)",)),
    Rule("erfc", "complementary error function", ("-2*exp(-a**2)/sqrt(pi)",)),
    Rule("lgamma", "log of the gamma function", ("digamma(a)",), aliases=("gammaln", "loggamma")),
    Rule("digamma", "digamma function", ("polygamma(1, a)",), aliases=("psi",)),
    Rule("polygamma", "polygamma function", ("", "polygamma(a + 1, b)"), example="polygamma(1, w*x)"),
    # Choices
    Rule("maximum", "larger of two", ("heaviside(a - b, 1/2)", "heaviside(b - a, 1/2)"), kink="a - b", at_kink=HALF,
         aliases=("max",)),
    Rule("minimum", "smaller of two", ("heaviside(b - a, 1/2)", "heaviside(a - b, 1/2)"), kink="a - b", at_kink=HALF,
         aliases=("min",)),
    Rule("clamp", "clamp", ("heaviside(a - b, 1)*heaviside(c - a, 1)", "heaviside(b - a, 0)*heaviside(c - b, 0)",
                            "1 - heaviside(c - a, 1)*heaviside(c - b, 1)"), "min(max(a, b), c)",
         kink="(a - b)*(a - c)*(b - c)", at_kink="PyTorch passes the gradient on to the clamped value",
         keywords=("min", "max"),
         aliases=("clip",), example="clamp(w*x, 0, x)"),
    Rule("clamp_min", "clamp from below", ("heaviside(a - b, 1)", "heaviside(b - a, 0)"), "max(a, b)", kink="a - b",
         at_kink="PyTorch passes the gradient on to the clamped value", keywords=("min",)),
    Rule("clamp_max", "clamp from above", ("heaviside(b - a, 1)", "heaviside(a - b, 0)"), "min(a, b)", kink="a - b",
         at_kink="PyTorch passes the gradient on to the clamped value", keywords=("max",)),
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
)

RULES: dict[str, Rule] = {rule.name: rule for rule in _ROWS}
ALIASES: dict[str, str] = {alias: rule.name for rule in _ROWS for alias in rule.aliases}
OPERATORS: dict[str, str] = {rule.symbol: rule.name for rule in _ROWS if rule.symbol and rule.name != "neg"}


@cache
def title_for(rule: str, slot: int) -> str:
    """The plain name of a rule with respect to input `slot`; only powers have two."""
    titles = RULES[rule].title.split(" / ")
    return titles[min(slot, len(titles) - 1)]
