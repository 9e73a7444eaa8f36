"""What can be asked about the loss as a function of the parameters: its curvature, and its values on a grid."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradexplain.language.parse import parse
from gradexplain.readings.place import CPU, Place
from gradexplain.rules.rules import RULES
from gradexplain.training.job import Job
from gradexplain.training.problem_tensors import Tensors

# At so many points a quadratic loss has one curvature: the start, and others around it.
POINTS = 4
SAME = 1e-6
# How many numbers one tensor has while the grid is filled, and how many rows, evenly spaced, stand for all of them.
ELEMENTS = 4_000_000
GRID_ROWS = 10_000


def pieces(rules: Mapping[str, Any]) -> frozenset[str]:
    """The rules with a kink or a choice: what they make consists of pieces, of which some points may all lie in one."""
    return frozenset(row.name for row in rules.values() if row.name == "where" or (row.kink and row.name != "pow"))


_PIECES = pieces(RULES)


def curvature(payload: tuple[Any, ...]) -> Iterator[float | None]:
    """A task: the largest eigenvalue of the Hessian of a job's loss, where the loss is a quadratic bowl in one piece.

    None where it is not quadratic (the Hessian differs between some points), where it falls in some direction for ever
    (an eigenvalue is negative), or where PyTorch cannot differentiate twice.
    """
    import torch

    job = Job(*payload)._replace(dtype="float64", device=CPU)
    tensors = _tensors(torch, job)
    if any(node.rule in _PIECES for node in tensors.graph.nodes):
        yield None
        return
    generator = random.Random(POINTS)
    start = [value for _, value in job.parameters]
    around = [[value + generator.uniform(-2, 2) for value in start] for _ in range(POINTS - 1)]
    try:
        yield bowl(torch, [_hessian(torch, tensors, point) for point in (start, *around)])
    except (RuntimeError, NotImplementedError):
        yield None


def same(found: Sequence[Any]) -> bool:
    """Whether tensors that were found at several points are equal up to rounding, and not 0."""
    size = max(one.abs().max().item() for one in found)
    return math.isfinite(size) and size > 0 and all((one - found[0]).abs().max().item() <= SAME * size for one in found)


def bowl(torch: Any, hessians: Sequence[Any]) -> float | None:
    """The largest eigenvalue of the Hessians at several points; None where they differ or have a negative one."""
    if not same(hessians):
        return None
    eigenvalues: list[float] = torch.linalg.eigvalsh(hessians[0]).tolist()
    return eigenvalues[-1] if eigenvalues[0] >= -SAME * hessians[0].abs().max().item() else None


def _tensors(torch: Any, job: Job) -> Tensors:
    return Tensors(Place(torch, job.dtype, job.device), job, parse(job.source, job.given))


def _hessian(torch: Any, tensors: Tensors, values: Sequence[float]) -> Any:
    points = [tensors.place.leaf(value) for value in values]
    loss = tensors.reduce(tensors.forward(points, None), None)
    first = torch.autograd.grad(loss, points, create_graph=True, allow_unused=True)
    rows = []
    for gradient in first:
        if gradient is None or not gradient.requires_grad:
            rows.append([0.0] * len(points))
            continue
        second = torch.autograd.grad(gradient, points, retain_graph=True, allow_unused=True)
        rows.append([0.0 if entry is None else entry.item() for entry in second])
    return tensors.place.tensor(rows)


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
    tensors = _tensors(torch, job)
    chosen = tensors.place.rows(job.rows, -(-job.rows // GRID_ROWS)) if job.rows > GRID_ROWS else None
    count = tensors.count(chosen)
    scale = tensors.count(None) if job.rows and job.reduction == "sum" else 1
    rows = []
    with torch.no_grad():
        across = tensors.place.tensor(x)
        at_once = max(1, ELEMENTS // count)
        for value in y:
            found: list[float] = []
            for first in range(0, len(x), at_once):
                part = across[first : first + at_once, None]
                losses = tensors.forward([part, tensors.place.tensor(value)], chosen)
                found += (losses.expand(len(part), count).mean(1) * scale).tolist()
            rows.append(found)
    yield rows
