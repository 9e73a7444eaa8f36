"""Operations on tensors as PyTorch code: a pattern for each rule whose call is not its name with its settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache

from gradexplain.language import tensor_text
from gradexplain.language.graph import Graph
from gradexplain.language.tensor_text import Part
from gradexplain.language.text import PLAIN, write
from gradexplain.output.code.spelling import CONSTANTS, SETTINGS
from gradexplain.rules.rules import RULES
from gradexplain.rules.tensor_rules import TENSOR_RULES

_PLACE = re.compile(r"⟨(\w+)⟩")
# `⟨0⟩` and `⟨1⟩` are the tensors, `⟨inputs⟩` all of them, `⟨settings⟩` the settings by name, `⟨like⟩` a tensor that has
# the dtype and the device; any other word is the setting of that name.
_DEFAULT = "⟨name⟩(⟨inputs⟩⟨settings⟩)"
_ROWS = {
    "product": "⟨0⟩ @ ⟨1⟩",
    "cat": "torch.cat([⟨inputs⟩]⟨settings⟩)", "stack": "torch.stack([⟨inputs⟩]⟨settings⟩)",
    "transpose": "torch.transpose(⟨0⟩, ⟨dim0⟩, ⟨dim1⟩)", "reshape": "torch.reshape(⟨0⟩, ⟨shape⟩)",
    "reshape_as": "torch.reshape(⟨0⟩, ⟨1⟩.shape)", "expand_as": "torch.broadcast_to(⟨0⟩, ⟨1⟩.shape)",
    "norm": "torch.linalg.vector_norm(⟨0⟩⟨settings⟩)", "norm_of_order": "torch.linalg.vector_norm(⟨0⟩⟨settings⟩)",
    "layer_norm": "torch.nn.functional.layer_norm(⟨0⟩, ⟨normalized_shape⟩, eps=⟨eps⟩)",
    "one_hot": "torch.nn.functional.one_hot(⟨0⟩.long(), ⟨num_classes⟩).to(⟨like⟩.dtype)",
    "classes": "⟨name⟩(⟨0⟩, ⟨1⟩.long()⟨settings⟩)", "diagonal": "torch.diagonal(⟨0⟩)",
    "trace": "⟨0⟩.diagonal(dim1=-2, dim2=-1).sum(-1)",
    "eye": "torch.eye(⟨n⟩, dtype=⟨like⟩.dtype, device=⟨like⟩.device)", "ones": "⟨like⟩.new_ones(⟨shape⟩)",
    "zeros": "⟨like⟩.new_zeros(⟨shape⟩)", "slice_scatter": "torch.slice_scatter(⟨0⟩, ⟨1⟩⟨settings⟩)",
    "kron_left": "kron_left(⟨inputs⟩)", "kron_right": "kron_right(⟨inputs⟩)", "cofactor": "cofactor(⟨0⟩)",
    "prod_of_others": "prod_of_others(⟨0⟩, ⟨dim⟩)",
    "max_along": "torch.max(⟨0⟩⟨settings⟩).values", "min_along": "torch.min(⟨0⟩⟨settings⟩).values",
    "first_largest": "torch.zeros_like(⟨0⟩).scatter(⟨dim⟩, (⟨0⟩).max(⟨dim⟩, keepdim=True).indices, 1.0)",
}  # fmt: skip
_NAMES = {"p": "ord"}
# What is written into a module that uses it; the first of them may be used by the others.
HELPERS = {
    "prod_of_others": '''\
def prod_of_others(a, dim):
    """For each element the product of all others along `dim`, without dividing by it."""
    moved = a.flatten() if dim is None else a.movedim(dim, -1)
    ones = torch.ones_like(moved[..., :1])
    before = torch.cumprod(torch.cat([ones, moved[..., :-1]], -1), -1)
    after = torch.cumprod(torch.cat([ones, moved.flip(-1)[..., :-1]], -1), -1).flip(-1)
    return (before * after).reshape(a.shape) if dim is None else (before * after).movedim(-1, dim)
''',
    "cofactor": '''\
def cofactor(a):
    """The matrix of cofactors, of singular matrices as well: from the singular values, each left out in turn."""
    left, values, right = torch.linalg.svd(a)
    sign = torch.linalg.det(left) * torch.linalg.det(right)
    return sign[..., None, None] * (left * prod_of_others(values, -1).unsqueeze(-2)) @ right
''',
    "kron_left": '''\
def kron_left(g, a, b):
    """What flows through the Kronecker product of a and b to a."""
    blocks = g.reshape([size for pair in zip(a.shape, b.shape) for size in pair])
    for k in range(a.dim()):
        b = b.unsqueeze(2 * k)
    return (blocks * b).sum(tuple(range(1, blocks.dim(), 2)))
''',
    "kron_right": '''\
def kron_right(g, a, b):
    """What flows through the Kronecker product of a and b to b."""
    blocks = g.reshape([size for pair in zip(a.shape, b.shape) for size in pair])
    for k in range(b.dim()):
        a = a.unsqueeze(2 * k + 1)
    return (blocks * a).sum(tuple(range(0, blocks.dim(), 2)))
''',
}


class TensorSpeller:
    """Writes nodes of a graph on tensors as PyTorch code; `like` is the name of a tensor that has the dtype."""

    def __init__(self, like: str) -> None:
        self.like = like
        self._style = replace(PLAIN, name=lambda name: CONSTANTS.get(name, name), special=self._parts)

    def spell(self, graph: Graph, i: int, names: Mapping[int, str]) -> str:
        """The node over the nodes in `names`."""
        node = graph.nodes[i]
        if node.rule == "identity":
            return f"{write(graph, node.inputs[0], names, self._style)}.clone()" if node.inputs[0] not in names else (
                f"{names[node.inputs[0]]}.clone()")  # fmt: skip
        return write(graph, i, names, self._style)

    def _parts(self, graph: Graph, i: int) -> list[Part] | None:
        rule = graph.nodes[i].rule
        if rule not in TENSOR_RULES:
            return self._call(graph, i) if rule in RULES else None
        if tensor_text.is_product(graph, i):
            return self._filled(_ROWS["product"], graph, i)
        if tensor_text.is_turn(graph, i) or rule in ("select", "slice"):
            return tensor_text.parts(graph, i)
        inputs = graph.nodes[i].inputs
        classes = rule in ("cross_entropy", "nll_loss") and graph.shapes[inputs[0]] != graph.shapes[inputs[1]]
        return self._filled(_ROWS["classes"] if classes else _ROWS.get(rule, _DEFAULT), graph, i)

    def _filled(self, pattern: str, graph: Graph, i: int) -> list[Part]:
        node = graph.nodes[i]
        inputs = node.inputs
        settings = graph.settings(node)
        if node.rule == "logsumexp" and settings["dim"] is None:
            settings["dim"] = tuple(range(len(graph.shapes[inputs[0]])))
        if node.rule == "flip" and isinstance(settings["dims"], int):
            settings["dims"] = (settings["dims"],)
        words = {
            "name": f"torch.{TENSOR_RULES[node.rule].torch or node.rule}",
            "like": self.like,
            "settings": "".join(self._setting(node.rule, name, value, settings) for name, value in settings.items()),
            **{name: tensor_text.shown(value) for name, value in settings.items()},
        }
        if words["name"] == "torch.custom":
            words["name"] = f"torch.{node.rule}"
        found: list[Part] = []
        for k, piece in enumerate(_split(pattern)):
            if k % 2 == 0:
                found.append(piece)
            elif piece == "inputs":
                found += [part for k, j in enumerate(inputs) for part in (", ", self._tensor(graph, k, j))][1:]
            else:
                number = int(piece) if piece.isdigit() else -1
                found.append(self._tensor(graph, number, inputs[number]) if number >= 0 else words[piece])
        return found

    @staticmethod
    def _setting(rule: str, name: str, value: object, settings: Mapping[str, object]) -> str:
        """A setting by its name; empty for one that has PyTorch's default."""
        needed = name == "dim" and settings.get("keepdim") and rule in ("sum", "mean", "var", "std")
        if (value in (None, False) and not isinstance(value, int) and not needed) or value is False:
            return ""
        if value == "mean" and name == "reduction":
            return ""
        return f", {_NAMES.get(name, name)}={tensor_text.shown(value)}"

    def _call(self, graph: Graph, i: int) -> list[Part]:
        """The function of a rule on single numbers; a number among its arguments becomes a tensor, but for settings."""
        rule, inputs, _, _ = graph.nodes[i]
        row = RULES[rule]
        found: list[Part] = [f"torch.{row.torch or rule}("]
        # PyTorch chooses between two numbers in float32, which holds whole numbers only.
        fractions = any(isinstance(v := graph.nodes[j].value, Fraction) and v.denominator > 1 for j in inputs[1:])
        chosen = rule == "where" and not (fractions and all(graph.is_constant[j] for j in inputs[1:]))
        for slot, j in enumerate(inputs):
            plain = chosen or (rule in SETTINGS and not row.partials[slot])
            found += [", "] * bool(slot) + [(slot, j) if plain else self._tensor(graph, slot, j)]
        return [*found, ")"]

    def _tensor(self, graph: Graph, slot: int, j: int) -> Part:
        """An argument that has to be a tensor: a number becomes one."""
        if not graph.is_constant[j] or graph.shapes[j] or j in graph.names:
            return (slot, j)
        return f"{self.like}.new_tensor({write(graph, j, {}, self._style)})"


@cache
def _split(pattern: str) -> list[str]:
    return _PLACE.split(pattern)
