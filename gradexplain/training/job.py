"""What PyTorch is to do in a training run, and what it sends back: plain data that can cross to another process."""

from __future__ import annotations

from typing import Any, NamedTuple

ORDERS = ("zero-backward-step", "backward-step-zero", "backward-zero-step")

# What PyTorch's side says of a step: a verdict (or LOOK, SAME), the node where it began (-1 for none), why, and what
# belongs to that: how many elements are meant, or of a sum the numbers.
Found = tuple[str, int, str, Any]
FINE: Found = ("agrees", -1, "", 0)
UNCHECKED: Found = ("unverified", -1, "", 0)
# What needs a closer look gets one from exact numbers. SAME is a point that has had its closer look just before.
LOOK: Found = ("look", -1, "", 0)
SAME: Found = ("same", -1, "", 0)


class Job(NamedTuple):
    """A training run. `graph` is the formula as `packed_graph` makes it.

    `constants` are the values of constant nodes as the dtype holds them. `inputs` are the fixed inputs by name: (shape,
    bytes of float64 numbers). `parameters` are (name, shape, bytes or None, how it begins as (function of
    `torch.nn.init`, its arguments) or None). `columns` are the columns of the data by name, as bytes of `rows` float64
    numbers; `fed` says for each input that comes from them which ones, a text for one of them and a list for a matrix
    of several. `row_size` is the size that stands for the number of rows, empty where nothing does.

    `reduction` makes one loss of those of the rows; it is "batch" where the formula itself does, as on tensors.
    `batch_size` is that of every backward(). `closely` are the steps that get all there is to be said, `by_element` the
    parameters whose elements are told one by one. `forms` are the closed forms of gradients by parameter that are
    still to be confirmed. `device` is where PyTorch computes.
    """

    graph: tuple[Any, ...]
    constants: dict[int, float]
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

    A parameter is here what the steps tell: a single number, an element of a small tensor or the norm of a large one.
    `start` is the number of the first step. `parameters` are the values before the step, `after` those after the last
    one. `backward` is what backward() computed and `grad` what `.grad` held when step() read it, None where there was
    none; `state` are the optimizer's numbers after the step, by name, then by parameter. `change` is by how much each
    large tensor moved, by its place among the parameters, with a sign that turns where it turned back. `found` are the
    verdicts on what backward() computed, `sums` by step those on what `.grad` added up where it is wrong; `close` has,
    by step, what is only looked at for some of them.
    """

    start: int
    loss: list[float]
    parameters: list[list[float]]
    backward: list[list[float | None]]
    grad: list[list[float | None]]
    state: dict[str, list[list[float]]]
    change: dict[int, list[float]]
    after: list[float]
    found: list[Found]
    sums: dict[int, Found]
    close: dict[int, Close]


class Point(NamedTuple):
    """One point of a step as PyTorch sees it: the values of the inputs by node, and the fields of a Witness.

    `row` is the number of the row from 1, 0 without data. On tensors it is how many rows there are, values are
    packed, and in place of a witness there are the gradients by parameter, None for nothing.
    """

    row: int
    inputs: dict[int, Any]
    witness: tuple[Any, ...]


class Close(NamedTuple):
    """A closer look at one step: its batches, and the points that are most in doubt, as fields of a Point.

    `batches` are (rows, weight, loss, gradients, listed rows, their losses, their gradients by parameter, spreads by
    parameter). `reference` has by batch, then by parameter: the gradient by the chain rule, added up over the rows in
    float64, the sum of the absolute values of all its terms, and whether the gradients of all rows are finite.
    """

    batches: list[tuple[Any, ...]]
    points: list[tuple[Any, ...]]
    reference: list[list[tuple[float, float, bool]]]
