"""What PyTorch is to do in a training run, and what it sends back: plain data that can cross to another process."""

from __future__ import annotations

from typing import Any, NamedTuple

ORDERS = ("zero-backward-step", "backward-step-zero", "backward-zero-step")

# How one gradient came out of the comparison with the chain rule, elementwise; what needs a closer look gets one from
# exact numbers. `same` is a point that has had its closer look just before.
AGREES, LOOK, SAME, UNCHECKED = range(4)


class Job(NamedTuple):
    """A training run. Nodes are numbers in the graph of `source`, which is parsed again where the run takes place.

    `given` are the names that have a value; `constants` and `inputs` hold values as the dtype holds them, by node;
    `parameters` are (node, starting value); `columns` are (node, float64 values as bytes) with `rows` entries each.
    `batch_size` is that of every backward(). `closely` are the steps that get all there is to be said.
    """

    source: str
    given: list[str]
    constants: dict[int, float]
    inputs: dict[int, float]
    parameters: list[tuple[int, float]]
    columns: list[tuple[int, Any]]
    rows: int
    reduction: str
    dtype: str
    optimizer: str
    settings: dict[str, float]
    steps: int
    batch_size: int
    shuffle: bool
    seed: int
    zero_grad: bool
    order: str
    accumulate: int
    until: float | None
    closely: list[int]


class Chunk(NamedTuple):
    """A stretch of a run. Every list has an entry for each step; lists of lists are by parameter first.

    `start` is the number of the first step. `parameters` are the values before the step, `after` those after the last
    one. `backward` is what backward() computed and `grad` what `.grad` held when step() read it, None where there was
    none; `state` are the optimizer's numbers after the step, by name, then by parameter. `checks` are AGREES, LOOK,
    SAME or UNCHECKED. `close` has, by step, what is only looked at for some of them.
    """

    start: int
    loss: list[float]
    parameters: list[list[float]]
    backward: list[list[float | None]]
    grad: list[list[float | None]]
    state: dict[str, list[list[float]]]
    after: list[float]
    checks: list[int]
    close: dict[int, Close]


class Point(NamedTuple):
    """One point of a step as PyTorch sees it: the values of the inputs by node, and the fields of a Witness.

    `row` is the number of the row from 1, 0 without data.
    """

    row: int
    inputs: dict[int, float]
    witness: tuple[Any, ...]


class Close(NamedTuple):
    """A closer look at one step: its batches, and the points that are most in doubt, as fields of a Point.

    `batches` are (rows, weight, loss, gradients, listed rows, their losses, their gradients by parameter, spreads by
    parameter). `reference` has by parameter: the gradient of the step by the chain rule, added up over the rows
    in float64, the sum of the absolute values of all its terms, and whether the gradients of all rows are finite.
    """

    batches: list[tuple[Any, ...]]
    points: list[tuple[Any, ...]]
    reference: list[tuple[float, float, bool]]
