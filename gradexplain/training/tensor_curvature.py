"""The largest curvature of a loss on tensors, over all elements of the parameters, by products with its Hessian."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradexplain.rules.rules import RULES
from gradexplain.rules.tensor_rules import TENSOR_RULES
from gradexplain.training.curvature import POINTS, SAME, bowl, pieces, same
from gradexplain.training.tensor_inputs import Inputs

# Up to so many elements the Hessian is made as a whole; beyond, a power iteration makes so many products with it.
MOST, ITERATIONS, STILL = 128, 2_000, 1e-10
_PIECES = pieces(RULES) | pieces(TENSOR_RULES)


def largest_eigenvalue(torch: Any, inputs: Inputs) -> float | None:
    """The largest eigenvalue of the Hessian, where the loss is a quadratic bowl in one piece; None where it is none.

    It is none where the Hessian differs between some points, or where an eigenvalue is negative.
    """
    if any(node.rule in _PIECES for node in inputs.graph.nodes):
        return None
    place = inputs.place
    generator = place.generator(POINTS)

    def around(values: Sequence[Any], size: float) -> list[Any]:
        return [v + size * (2 * place.uniform(v.shape, generator) - 1) for v in values]

    start = [value.detach() for value in inputs.start()]
    points = [start, *[around(start, 2.0) for _ in range(POINTS - 1)]]
    products = [_Hessian(torch, inputs, point) for point in points]
    count = sum(value.numel() for value in start)
    if count <= MOST:
        rows = place.eye(count)
        return bowl(torch, [torch.stack([product(row) for row in rows]) for product in products])
    direction = place.normal((count,), generator)
    images = [product(direction) for product in products]
    if not same(images):
        return None
    product = products[0]
    size = abs(_power(torch, product, direction))
    # The eigenvalues of this matrix are those of the Hessian, all moved up: the largest comes first.
    largest = _power(torch, lambda v: product(v) + size * v, direction) - size
    smallest = size - _power(torch, lambda v: size * v - product(v), direction)
    return largest if smallest >= -math.sqrt(SAME) * size else None


def _power(torch: Any, product: Any, start: Any) -> float:
    """The eigenvalue of largest absolute value, by power iteration."""
    vector, last = start / start.norm(), math.inf
    for _ in range(ITERATIONS):
        image = product(vector)
        value, length = float(vector @ image), image.norm().item()
        if not length or abs(value - last) <= STILL * abs(value):
            return value
        vector, last = image / length, value
    return last


class _Hessian:
    """Products with the Hessian of the loss at one point, over all elements of the parameters in order."""

    def __init__(self, torch: Any, inputs: Inputs, point: Sequence[Any]) -> None:
        self.torch = torch
        self.leaves = [value.clone().requires_grad_() for value in point]
        loss = inputs.loss(self.leaves, None)
        found = torch.autograd.grad(loss, self.leaves, create_graph=True, allow_unused=True)
        pairs = zip(self.leaves, found, strict=True)
        self.gradients = [torch.zeros_like(leaf) if own is None else own for leaf, own in pairs]

    def __call__(self, vector: Any) -> Any:
        torch = self.torch
        parts = vector.split([leaf.numel() for leaf in self.leaves])
        shaped = [part.reshape(leaf.shape) for part, leaf in zip(parts, self.leaves, strict=True)]
        used = [(g * part).sum() for g, part in zip(self.gradients, shaped, strict=True) if g.requires_grad]
        if not used:
            return torch.zeros_like(vector)
        found = torch.autograd.grad(sum(used), self.leaves, retain_graph=True, allow_unused=True)
        return torch.cat([
            (torch.zeros_like(leaf) if second is None else second).flatten()
            for leaf, second in zip(self.leaves, found, strict=True)
        ])  # fmt: skip
