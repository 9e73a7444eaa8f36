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
    device: str


class TensorJob(NamedTuple):
    """A training run of a formula on tensors; what it shares with a Job means the same.

    `shapes` are those of the inputs by name, `sizes` the numbers of named sizes. `inputs` are the fixed inputs and
    `parameters` the starts, by name: (shape, bytes of float64 numbers, or for a parameter None), and the way to begin
    as (function of `torch.nn.init`, its arguments). `columns` are the columns of the data by name, as bytes; `fed` says
    for each input that comes from them which ones, a text for a vector and a list for a matrix of them. `row_size` is
    the size that stands for the number of rows, empty where the formula knows it as a number. `by_element` are the
    parameters whose elements are told one by one. `forms` are the closed forms of gradients by parameter, to be
    confirmed.
    """

    source: str
    given: list[str]
    shapes: dict[str, tuple[int | str, ...]]
    sizes: dict[str, int]
    inputs: dict[str, tuple[tuple[int, ...], bytes]]
    parameters: list[tuple[str, tuple[int, ...], bytes | None, tuple[str, dict[str, float | str]] | None]]
    columns: dict[str, Any]
    fed: dict[str, str | list[str]]
    rows: int
    row_size: str
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
    by_element: list[str]
    forms: dict[str, str]
    device: str


class Chunk(NamedTuple):
    """A stretch of a run. Every list has an entry for each step; lists of lists are by parameter first.

    `start` is the number of the first step. `parameters` are the values before the step, `after` those after the last
    one. `backward` is what backward() computed and `grad` what `.grad` held when step() read it, None where there was
    none; `state` are the optimizer's numbers after the step, by name, then by parameter. `checks` are AGREES, LOOK,
    SAME or UNCHECKED. `close` has, by step, what is only looked at for some of them.

    Of a run on tensors, a parameter is an element of a small one or the norm of a large one, `state` has as `change` by
    how much a large one moved, with a sign that turns where it turned back, and None for an element; `found` has the
    verdicts in place of `checks`: (verdict, node where it began or -1, why, a number).
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
    found: list[tuple[str, int, str, int]] = []  # noqa: RUF012


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
