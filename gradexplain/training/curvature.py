"""What can be asked about the loss as a function of the parameters: its curvature, and its values on a grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gradexplain.readings.place import CPU
from gradexplain.rules.table import RULES
from gradexplain.training.inputs import REFUSALS, Inputs
from gradexplain.training.job import Job

# At so many points a quadratic loss has one curvature: the start, and others around it.
POINTS = 4
SAME = 1e-6
# Up to so many elements the Hessian is made as a whole; beyond, a power iteration makes so many products with it.
MOST, ITERATIONS, STILL = 128, 2_000, 1e-10
# How many numbers one tensor has while the grid is filled, and how many rows, evenly spaced, stand for all of them.
ELEMENTS = 4_000_000
GRID_ROWS = 10_000
# So many values of a parameter make the grid; parameters that go farther are on no picture.
GRID_SIZE, FAR = 60, 1e100
# The rules with a kink or a choice: what they make consists of pieces, of which some points may all lie in one.
PIECES = frozenset(row.name for row in RULES.values() if row.name == "where" or (row.kink and row.name != "pow"))


def curvature(payload: tuple[Any, ...]) -> Iterator[float | None]:
    """A task: the largest eigenvalue of the Hessian of a job's loss, over all elements of the parameters.

    None where the loss is no quadratic bowl in one piece: where the Hessian differs between some points, where it falls
    in some direction for ever (an eigenvalue is negative), or where PyTorch cannot differentiate twice.
    """
    import torch

    inputs = Inputs(torch, Job(*payload)._replace(dtype="float64", device=CPU))
    try:
        yield _largest_eigenvalue(torch, inputs)
    except REFUSALS:
        yield None


def _largest_eigenvalue(torch: Any, inputs: Inputs) -> float | None:
    if any(node.rule in PIECES for node in inputs.graph.nodes):
        return None
    place = inputs.place
    generator = place.generator(POINTS)

    def around(values: Sequence[Any], size: float) -> list[Any]:
        return [v + size * (2 * place.uniform(v.shape, generator) - 1) for v in values]

    start = [value.detach() for value in inputs.start()]
    points = [start, *[around(start, 2.0) for _ in range(POINTS - 1)]]
    products = [_products(torch, inputs, point) for point in points]
    count = sum(value.numel() for value in start)
    if count <= MOST:
        rows = place.eye(count)
        return _bowl(torch, [torch.stack([product(row) for row in rows]) for product in products])
    direction = place.normal((count,), generator)
    if not _same([product(direction) for product in products]):
        return None
    product = products[0]
    size = abs(_power(product, direction))
    # The eigenvalues of this matrix are those of the Hessian, all moved up: the largest comes first.
    largest = _power(lambda v: product(v) + size * v, direction) - size
    smallest = size - _power(lambda v: size * v - product(v), direction)
    return largest if smallest >= -math.sqrt(SAME) * size else None


def _same(found: Sequence[Any]) -> bool:
    """Whether tensors that were found at several points are equal up to rounding, and not 0."""
    size = max(one.abs().max().item() for one in found)
    return math.isfinite(size) and size > 0 and all((one - found[0]).abs().max().item() <= SAME * size for one in found)


def _bowl(torch: Any, hessians: Sequence[Any]) -> float | None:
    """The largest eigenvalue of the Hessians at several points; None where they differ or have a negative one."""
    if not _same(hessians):
        return None
    eigenvalues: list[float] = torch.linalg.eigvalsh(hessians[0]).tolist()
    return eigenvalues[-1] if eigenvalues[0] >= -SAME * hessians[0].abs().max().item() else None


def _power(product: Callable[[Any], Any], start: Any) -> float:
    """The eigenvalue of largest absolute value, by power iteration."""
    vector, last = start / start.norm(), math.inf
    for _ in range(ITERATIONS):
        image = product(vector)
        value, length = float(vector @ image), image.norm().item()
        if not length or abs(value - last) <= STILL * abs(value):
            return value
        vector, last = image / length, value
    return last


def _products(torch: Any, inputs: Inputs, point: Sequence[Any]) -> Callable[[Any], Any]:
    """What multiplies by the Hessian of the loss at one point, over all elements of the parameters in order."""
    every = torch.cat([value.flatten() for value in point]).requires_grad_()
    parts = every.split([value.numel() for value in point])
    loss = inputs.loss([part.reshape(value.shape) for part, value in zip(parts, point, strict=True)], None)
    (gradient,) = torch.autograd.grad(loss, every, create_graph=True)

    def product(vector: Any) -> Any:
        if not gradient.requires_grad:
            return torch.zeros_like(vector)
        (found,) = torch.autograd.grad(gradient, every, vector, retain_graph=True, materialize_grads=True)
        return found

    return product


def largest_rate(optimizer: str, settings: Mapping[str, float], eigenvalue: float) -> float | None:
    """The learning rate from which on a quadratic loss with this largest curvature diverges; None where none is known.

    Gradient descent is stable below 2/λ; with momentum β below 2(1 + β)/λ, with Nesterov's below
    2(1 + β)/(λ(1 + 2β)). For the first two see B. Polyak, Introduction to Optimization (1987), section 3.2; the third
    follows in the same way from the roots of its recurrence.

    >>> largest_rate("sgd", {"weight_decay": 0.0}, 10.0)
    0.2
    """
    curve = eigenvalue + settings.get("weight_decay", 0.0)
    beta = settings.get("momentum", 0.0)
    if curve <= 0 or beta >= 1:
        return None
    if optimizer in ("sgd", "momentum"):
        return 2 * (1 + beta) / curve
    return 2 * (1 + beta) / (curve * (1 + 2 * beta)) if optimizer == "nesterov" else None


def grid(payload: tuple[Any, ...]) -> Iterator[list[list[float]]]:
    """A task: the loss of a job with two parameters at all pairs of `x` and `y`; a list for each `y`.

    Of very many rows, evenly spaced ones are taken; their sum is scaled to that of all.
    """
    import torch

    fields, x, y = payload
    job = Job(*fields)
    inputs = Inputs(torch, job)
    chosen = inputs.place.rows(job.rows, -(-job.rows // GRID_ROWS)) if job.rows > GRID_ROWS else None
    count = inputs.count(chosen)
    scale = inputs.count(None) if job.rows and job.reduction == "sum" else 1
    rows = []
    with torch.no_grad():
        across = inputs.place.tensor(x)
        at_once = max(1, ELEMENTS // count)
        for value in y:
            found: list[float] = []
            for first in range(0, len(x), at_once):
                part = across[first : first + at_once, None]
                losses = inputs.objective([part, inputs.place.tensor(value)], chosen)
                found += (losses.expand(len(part), count).mean(1) * scale).tolist()
            rows.append(found)
    yield rows


def around(values: Sequence[float]) -> list[float]:
    """Evenly spaced values that reach a quarter beyond the given ones on either side; none where these go too far."""
    values = [value for value in values if abs(value) < FAR]
    if not values:
        return []
    low, high = min(values), max(values)
    margin = (high - low) / 4 or max(abs(low), 1.0) / 2
    return [low - margin + (high - low + 2 * margin) * k / (GRID_SIZE - 1) for k in range(GRID_SIZE)]
