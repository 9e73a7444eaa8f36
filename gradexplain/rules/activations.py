"""Rules of activation functions."""

from __future__ import annotations

from gradexplain.rules.row import ZERO, Documented, Rule

SELU_ALPHA = "1.6732632423543772848170429916717"
SELU_SCALE = "1.0507009873554804934193349852946"

ROWS = (
    Rule("sigmoid", "logistic sigmoid", ("out*(1 - out)",), "1/(1 + exp(-a))", aliases=("expit", "logistic")),
    Rule("logsigmoid", "log of the sigmoid", ("sigmoid(-a)",), "-log(1 + exp(-a))", torch="nn.functional.logsigmoid"),
    Rule("softplus", "softplus", ("where(b*a > c, 1, sigmoid(b*a))", "", ""), "where(b*a > c, a, log(1 + exp(b*a))/b)",
         kink="b*a - c", at_kink="PyTorch takes the smooth side", defaults=("1", "20"),
         keywords=("beta", "threshold"), torch="nn.functional.softplus",
         documented=Documented("b*a > c", "above its threshold PyTorch takes the input itself", "agrees",
                               seen="where(b*a < 40, b*a, c) > c")),
    Rule("relu", "rectifier", ("heaviside(a, 0)",), "max(a, 0)", kink="a", at_kink=ZERO),
    Rule("relu6", "rectifier capped at 6", ("heaviside(a, 0)*heaviside(6 - a, 0)",), "min(max(a, 0), 6)",
         kink="a*(a - 6)", at_kink=ZERO, torch="nn.functional.relu6"),
    Rule("leaky_relu", "leaky rectifier", ("where(a > 0, 1, b)", ""), "where(a > 0, a, b*a)", kink="a",
         at_kink="PyTorch takes the slope", defaults=("0.01",), keywords=("negative_slope",),
         torch="nn.functional.leaky_relu"),
    Rule("elu", "exponential linear unit", ("where(a > 0, 1, b*exp(a))", ""), "where(a > 0, a, b*(exp(a) - 1))",
         kink="where(b == 1, 1, a)", at_kink="PyTorch takes alpha", defaults=("1",), keywords=("alpha",),
         torch="nn.functional.elu"),
    Rule("selu", "scaled exponential linear unit", (f"{SELU_SCALE}*where(a > 0, 1, {SELU_ALPHA}*exp(a))",),
         f"{SELU_SCALE}*where(a > 0, a, {SELU_ALPHA}*(exp(a) - 1))", kink="a",
         at_kink="PyTorch takes scale times alpha, 1.758"),
    Rule("gelu", "Gaussian error linear unit", ("(1 + erf(a/sqrt(2)))/2 + a*exp(-a**2/2)/sqrt(2*pi)",),
         "a*(1 + erf(a/sqrt(2)))/2", torch="nn.functional.gelu"),
    Rule("gelu_tanh", "Gaussian error linear unit, approximated",
         ("(1 + tanh(sqrt(2/pi)*(a + 0.044715*a**3)))/2"
          " + a*(1 - tanh(sqrt(2/pi)*(a + 0.044715*a**3))**2)*sqrt(2/pi)*(1 + 0.134145*a**2)/2",),
         "a*(1 + tanh(sqrt(2/pi)*(a + 0.044715*a**3)))/2",
         torch="torch.nn.functional.gelu(a, approximate='tanh')", example="gelu(x, approximate='tanh')"),
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
         kink="(a + 3)*(a - 3)", at_kink=ZERO, torch="nn.functional.hardsigmoid",
         documented=Documented("abs(a) < 3", "PyTorch holds 1/6 as a float32 in the derivative", "precision")),
    Rule("hardswish", "hard swish", ("where(a <= -3, 0, where(a >= 3, 1, a/3 + 1/2))",), "a*min(max(a + 3, 0), 6)/6",
         kink="(a + 3)*(a - 3)", at_kink="PyTorch takes 0 at -3 and 1 at 3", torch="nn.functional.hardswish"),
)  # fmt: skip
