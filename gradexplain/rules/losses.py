"""Rules of losses."""

from __future__ import annotations

from gradexplain.rules import result_shapes as shapes
from gradexplain.rules.row import ZERO, Documented, Rule
from gradexplain.rules.settings import CLASSES, POSITIVE, REDUCTION, REQUIRED, Setting

LOSS = (Setting("reduction", "mean", REDUCTION),)
CLAMPED = Documented(
    "a*(1 - a) < 1e-12", "PyTorch clamps the logarithms at -100, and divides by no less than 1e-12 in the derivative"
)

ROWS = (
    Rule("mse_loss", "mean squared error",
         definition="reduced((a - b)**2)",
         pullbacks=("2*(a - b)*averaged(g)", "-2*(a - b)*averaged(g)"),
         shape=shapes.loss, settings=LOSS, torch="nn.functional.mse_loss", example="mse_loss(x, y)"),
    Rule("l1_loss", "mean absolute error",
         definition="reduced(abs(a - b))",
         pullbacks=("sign(a - b)*averaged(g)", "-sign(a - b)*averaged(g)"),
         shape=shapes.loss, settings=LOSS, torch="nn.functional.l1_loss", kink="a - b", at_kink=ZERO,
         example="l1_loss(x, y)"),
    Rule("huber_loss", "Huber loss",
         definition="reduced(where(abs(a - b) <= delta, (a - b)**2/2, delta*(abs(a - b) - delta/2)))",
         pullbacks=("clamp(a - b, -delta, delta)*averaged(g)", "-clamp(a - b, -delta, delta)*averaged(g)"),
         shape=shapes.loss, settings=(*LOSS, Setting("delta", 1, POSITIVE)), torch="nn.functional.huber_loss",
         example="huber_loss(x, y)"),
    Rule("smooth_l1_loss", "smooth absolute error",
         definition="reduced(where(abs(a - b) < beta, (a - b)**2/(2*beta), abs(a - b) - beta/2))",
         pullbacks=("clamp((a - b)/beta, -1, 1)*averaged(g)", "-clamp((a - b)/beta, -1, 1)*averaged(g)"),
         shape=shapes.loss, settings=(*LOSS, Setting("beta", 1, POSITIVE)), torch="nn.functional.smooth_l1_loss",
         example="smooth_l1_loss(x, y)"),
    Rule("binary_cross_entropy", "binary cross entropy",
         definition="reduced(-where(b == 0, 0, b*max(log(a), -100)) - where(b == 1, 0, (1 - b)*max(log(1 - a), -100)))",
         pullbacks=("(a - b)/(a*(1 - a))*averaged(g)", "(log(1 - a) - log(a))*averaged(g)"), shape=shapes.loss,
         settings=LOSS, torch="nn.functional.binary_cross_entropy", documented=CLAMPED,
         example="binary_cross_entropy(sigmoid(x), y)"),
    Rule("binary_cross_entropy_with_logits", "binary cross entropy of the sigmoid",
         definition="reduced(log(1 + exp(a)) - a*b)",
         pullbacks=("(sigmoid(a) - b)*averaged(g)", "-a*averaged(g)"), shape=shapes.loss, settings=LOSS,
         torch="nn.functional.binary_cross_entropy_with_logits", example="binary_cross_entropy_with_logits(x, y)"),
    Rule("cross_entropy", "cross entropy of softmax",
         definition="reduced(-sum(target(b)*log_softmax(a, dim), dim))",
         pullbacks=("(softmax(a, dim)*target_sum(b, dim) - target(b))*averaged(g)",
                    "target_gradient(a, b)*averaged(g)"),
         shape=shapes.classes, settings=LOSS, torch="nn.functional.cross_entropy", classes=shapes.targets,
         example="cross_entropy(A, y)"),
    Rule("nll_loss", "negative log likelihood",
         definition="reduced(-sum(target(b)*a, dim))",
         pullbacks=("-target(b)*averaged(g)", ""), shape=shapes.picked,
         settings=LOSS, torch="nn.functional.nll_loss", classes=shapes.targets,
         example="nll_loss(log_softmax(A, dim=1), y)"),
    Rule("one_hot", "one-hot rows", pullbacks=("",), shape=shapes.one_hot,
         settings=(Setting("num_classes", REQUIRED, CLASSES),),
         torch="torch.nn.functional.one_hot(a.long(), num_classes).to(dtype)", classes=shapes.hot),
)  # fmt: skip
