"""PyTorch's layers in a formula: `nn.Softmax(dim=1)(z)` is read as `softmax(z, dim=1)`."""

from __future__ import annotations

from gradexplain.language.expression import ExpressionParser
from gradexplain.language.functions import MODULES
from gradexplain.language.tokens import Token

# PyTorch's layers without weights, by the function that each of them calls; none for layers with weights.
LAYERS = {
    "ReLU": "relu", "ReLU6": "relu6", "LeakyReLU": "leaky_relu", "ELU": "elu", "SELU": "selu", "GELU": "gelu",
    "SiLU": "silu",
    "Mish": "mish", "Sigmoid": "sigmoid", "LogSigmoid": "logsigmoid", "Tanh": "tanh", "Tanhshrink": "tanhshrink",
    "Softplus": "softplus", "Softsign": "softsign", "Hardtanh": "hardtanh", "Hardsigmoid": "hardsigmoid",
    "Hardswish": "hardswish", "Softmax": "softmax", "LogSoftmax": "log_softmax", "Flatten": "flatten",
    "MSELoss": "mse_loss",
    "L1Loss": "l1_loss", "HuberLoss": "huber_loss", "SmoothL1Loss": "smooth_l1_loss", "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits", "CrossEntropyLoss": "cross_entropy", "NLLLoss": "nll_loss",
    "LayerNorm": "layer_norm", "Linear": "", "Conv1d": "", "Conv2d": "", "Embedding": "", "LSTM": "", "GRU": "",
    "BatchNorm1d": "",
}  # fmt: skip


class LayerParser(ExpressionParser):
    """Reads what the scalar parser reads, and layers that are called with a tensor."""

    def _name(self, token: Token) -> bool:
        while token.text in MODULES and (self._is_module(token) or self._is_layer()):
            self.position += 2
            token = self.tokens[self.position]
        if token.text in LAYERS and self.tokens[self.position + 1].text == "(":
            self._called_as_function(token)
        return super()._name(self.tokens[self.position])

    def _is_layer(self) -> bool:
        """Whether `nn.` and a layer stand here."""
        dot, name = self.tokens[self.position + 1 : self.position + 3]
        return dot.text == "." and name.text in LAYERS

    def _called_as_function(self, token: Token) -> None:
        """`nn.Softmax(dim=1)(z)`: the tokens put in the order of `softmax(z, dim=1)`."""
        tokens, start = self.tokens, self.position
        middle = self._matching(start + 1)
        if tokens[middle + 1].text != "(":
            raise self.error(
                f"{token.text} is a layer, and is called with a tensor", token, f"such as {token.text}()(x)"
            )
        if not LAYERS[token.text]:
            hint = "give the weights as variables, such as linear(x, W, b)"
            raise self.error(f"{token.text} has weights of its own that no formula shows", token, hint)
        end = self._matching(middle + 1)
        settings, arguments = tokens[start + 2 : middle], tokens[middle + 2 : end]
        comma = tokens[middle]._replace(text=",")
        name = token._replace(text=LAYERS[token.text])
        between = [comma] if settings and arguments else []
        tokens[start : end + 1] = [name, tokens[start + 1], *arguments, *between, *settings, tokens[end]]

    def _matching(self, start: int) -> int:
        """The place of the bracket that closes the one at `start`."""
        depth = 0
        for place in range(start, len(self.tokens)):
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(self.tokens[place].text, 0)
            if not depth:
                return place
        raise self.error("this bracket is never closed", self.tokens[start], "add a )")
