"""PyTorch's layers in a formula: `nn.Softmax(dim=1)(z)` is read as `softmax(z, dim=1)`."""

from __future__ import annotations

from dataclasses import replace

from gradexplain.language.reader import Reader

# PyTorch's layers without weights, by the function that each of them calls; none for layers with weights.
LAYERS = {
    "ReLU": "relu", "ReLU6": "relu6", "LeakyReLU": "leaky_relu", "ELU": "elu", "SELU": "selu", "GELU": "gelu",
    "SiLU": "silu", "Mish": "mish", "Sigmoid": "sigmoid", "LogSigmoid": "logsigmoid", "Tanh": "tanh",
    "Tanhshrink": "tanhshrink", "Softplus": "softplus", "Softsign": "softsign", "Hardtanh": "hardtanh",
    "Hardsigmoid": "hardsigmoid", "Hardswish": "hardswish", "Softmax": "softmax", "LogSoftmax": "log_softmax",
    "Flatten": "flatten", "MSELoss": "mse_loss", "L1Loss": "l1_loss", "HuberLoss": "huber_loss",
    "SmoothL1Loss": "smooth_l1_loss", "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits", "CrossEntropyLoss": "cross_entropy", "NLLLoss": "nll_loss",
    "LayerNorm": "layer_norm", "Linear": "", "Conv1d": "", "Conv2d": "", "Embedding": "", "LSTM": "", "GRU": "",
    "BatchNorm1d": "",
}  # fmt: skip


def is_layer(parser: Reader) -> bool:
    """Whether `nn.` and a layer stand at the position."""
    dot, name = parser.tokens[parser.position + 1 : parser.position + 3]
    return dot.text == "." and name.text in LAYERS


def call_as_function(parser: Reader) -> None:
    """`Softmax(dim=1)(z)` at the position: its tokens are put in the order of `softmax(z, dim=1)`."""
    tokens, start = parser.tokens, parser.position
    layer = tokens[start]
    middle = parser.closing(start + 1)
    if tokens[middle + 1].text != "(":
        hint = f"such as {layer.text}()(x)"
        raise parser.error(f"{layer.text} is a layer, and is called with a tensor", layer, hint)
    if not LAYERS[layer.text]:
        hint = "give the weights as variables, such as linear(x, W, b)"
        raise parser.error(f"{layer.text} has weights of its own that no formula shows", layer, hint)
    end = parser.closing(middle + 1)
    settings, arguments = tokens[start + 2 : middle], tokens[middle + 2 : end]
    between = [replace(tokens[middle], text=",")] if settings and arguments else []
    name = replace(layer, text=LAYERS[layer.text])
    tokens[start : end + 1] = [name, tokens[start + 1], *arguments, *between, *settings, tokens[end]]
