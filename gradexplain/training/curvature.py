"""What can be asked about the loss as a function of the parameters: its curvature, and its values on a grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradexplain.language.parse import parse
from gradexplain.readings.tensors import plan
from gradexplain.training.job import Job
from gradexplain.training.problem_tensors import Tensors

# Points, relative to the start, at which a quadratic loss has one curvature.
_SHIFTS = (0.0, 0.7310585786300049, -1.3132616875182228)
SAME = 1e-6
# How many numbers one tensor has while the grid is filled.
ELEMENTS = 4_000_000


def curvature(payload: tuple[Any, ...]) -> Iterator[float | None]:
    """A task: the largest eigenvalue of the Hessian of a job's loss, where the loss is quadratic in the parameters.

    None where it is not quadratic (the Hessian differs between three points), or PyTorch cannot differentiate twice.
    """
    import torch

    job = Job(*payload)._replace(dtype="float64")
    tensors = _tensors(torch, job)
    start = [value for _, value in job.parameters]
    try:
        found = [_hessian(torch, tensors, [value + shift for value in start]) for shift in _SHIFTS]
        size = max(float(matrix.abs().max()) for matrix in found)
        same = all(float((matrix - found[0]).abs().max()) <= SAME * size for matrix in found)
        yield float(torch.linalg.eigvalsh(found[0])[-1]) if same and math.isfinite(size) and size > 0 else None
    except (RuntimeError, NotImplementedError):
        yield None


def _tensors(torch: Any, job: Job) -> Tensors:
    graph = parse(job.source, job.given)
    dtype = getattr(torch, job.dtype)
    return Tensors(torch, job, graph, plan(torch, graph, job.constants, dtype), dtype)


def _hessian(torch: Any, tensors: Tensors, values: Sequence[float]) -> Any:
    points = [torch.tensor(value, dtype=tensors.dtype, requires_grad=True) for value in values]
    loss = tensors.reduce(tensors.forward(points, None), None)
    first = torch.autograd.grad(loss, points, create_graph=True, allow_unused=True)
    rows = []
    for gradient in first:
        if gradient is None or not gradient.requires_grad:
            rows.append([0.0] * len(points))
            continue
        second = torch.autograd.grad(gradient, points, retain_graph=True, allow_unused=True)
        rows.append([0.0 if entry is None else entry.item() for entry in second])
    return torch.tensor(rows, dtype=tensors.dtype)


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
    if curve <= 0:
        return None
    if optimizer in ("sgd", "momentum"):
        return 2 * (1 + beta) / curve
    return 2 * (1 + beta) / (curve * (1 + 2 * beta)) if optimizer == "nesterov" else None


def grid(payload: tuple[Any, ...]) -> Iterator[list[list[float]]]:
    """A task: the loss of a job with two parameters at all pairs of `x` and `y`; a list for each `y`."""
    import torch

    fields, x, y = payload
    job = Job(*fields)
    tensors = _tensors(torch, job)
    count = tensors.count(None)
    rows = []
    with torch.no_grad():
        across = torch.tensor(x, dtype=tensors.dtype)
        at_once = max(1, ELEMENTS // count)
        for value in y:
            found: list[float] = []
            for first in range(0, len(x), at_once):
                part = across[first : first + at_once, None]
                losses = tensors.forward([part, torch.tensor(value, dtype=tensors.dtype)], None)
                losses = losses.expand(len(part), count)
                reduced = losses.sum(1) if job.rows and job.reduction == "sum" else losses.mean(1)
                found += reduced.tolist()
            rows.append(found)
    yield rows
