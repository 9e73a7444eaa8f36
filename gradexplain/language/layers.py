"""PyTorch's layers in a formula: `nn.Softmax(dim=1)(z)` is read as `softmax(z, dim=1)`."""

from __future__ import annotations

from typing import NamedTuple

from gradexplain.errors import nearest
from gradexplain.language.reader import Call, Layer, Reader, Value
from gradexplain.language.tokens import NAME, Token


class Made(NamedTuple):
    """The function that a layer without weights calls, the places of its settings, and a default of its own."""

    function: str
    places: str = ""
    default: tuple[str, int] | None = None


_LOSS = "size_average, reduce, reduction"
# PyTorch's layers; None for those that have weights of their own.
LAYERS: dict[str, Made | None] = {
    "ReLU": Made("relu", "inplace"), "ReLU6": Made("relu6", "inplace"),
    "LeakyReLU": Made("leaky_relu", "negative_slope, inplace"), "ELU": Made("elu", "alpha, inplace"),
    "SELU": Made("selu", "inplace"), "GELU": Made("gelu", "approximate"), "SiLU": Made("silu", "inplace"),
    "Mish": Made("mish", "inplace"), "Sigmoid": Made("sigmoid"), "LogSigmoid": Made("logsigmoid"),
    "Tanh": Made("tanh"), "Tanhshrink": Made("tanhshrink"), "Softplus": Made("softplus", "beta, threshold"),
    "Softsign": Made("softsign"), "Hardtanh": Made("hardtanh", "min_val, max_val, inplace"),
    "Hardsigmoid": Made("hardsigmoid", "inplace"), "Hardswish": Made("hardswish", "inplace"),
    "Softmax": Made("softmax", "dim"), "LogSoftmax": Made("log_softmax", "dim"),
    "Flatten": Made("flatten", "start_dim, end_dim", ("start_dim", 1)), "MSELoss": Made("mse_loss", _LOSS),
    "L1Loss": Made("l1_loss", _LOSS), "HuberLoss": Made("huber_loss", "reduction, delta"),
    "SmoothL1Loss": Made("smooth_l1_loss", f"{_LOSS}, beta"),
    "BCELoss": Made("binary_cross_entropy", f"weight, {_LOSS}"),
    "BCEWithLogitsLoss": Made("binary_cross_entropy_with_logits", f"weight, {_LOSS}, pos_weight"),
    "CrossEntropyLoss": Made(
        "cross_entropy", "weight, size_average, ignore_index, reduce, reduction, label_smoothing"),
    "NLLLoss": Made("nll_loss", "weight, size_average, ignore_index, reduce, reduction"),
    "LayerNorm": Made("layer_norm", "normalized_shape, eps"),
    "Identity": Made("identity"),
    **dict.fromkeys(("Linear", "Bilinear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d",
                     "Embedding", "EmbeddingBag", "RNN", "LSTM", "GRU", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d",
                     "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "RMSNorm", "PReLU", "MultiheadAttention",
                     "Transformer")),
}  # fmt: skip


def layer(parser: Reader, call: Call, end: Token) -> Value:
    """The value of `Softmax(dim=1)`, which is yet to be called with a tensor. Raises FormulaError."""
    token = call.name
    if token.text not in LAYERS:
        raise parser.error(f"nn.{token.text} is not in the language", token, nearest(token.text, LAYERS))
    made = LAYERS[token.text]
    if made is None:
        hint = "give the weights as variables, such as linear(x, W, b)"
        raise parser.error(f"{token.text} has weights of its own that no formula shows", token, hint)
    places = made.places.split(", ") if made.places else []
    if len(call.arguments) > len(places):
        hint = f"its settings are {made.places}" if places else "it has no settings"
        raise parser.error(f"{token.text} takes at most {len(places)} arguments", call.arguments[len(places)], hint)
    settings = dict(zip(places, call.arguments, strict=False))
    for name, value in call.keywords.items():
        if name in settings:
            raise parser.error(f"the argument {name} is given twice", value)
        if name not in places:
            raise parser.error(f"{token.text} has no argument {name} in the language", call.places[name])
        settings[name] = value
    if made.default is not None and made.default[0] not in settings:
        name, number = made.default
        settings[name] = Value(parser.graph.constant(number), token.start, end.end)
    spots = {name: call.places.get(name, token) for name in settings}
    function = Token(NAME, made.function, token.start, token.end)
    return Value(-1, token.start, end.end, Layer(token.text, Call(function, settings=settings, places=spots)))
