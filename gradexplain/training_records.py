"""What a training run hands to the outputs: frozen records of its steps, its end and what there is to say about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gradexplain.records import Began, Remark, fields_of, plain
from gradexplain.tensor import Tensor, unpacked
from gradexplain.wording import say

SCHEMA = "gradexplain/training@1"


@dataclass(frozen=True, slots=True)
class Update:
    """What `step()` did to one parameter: its value `before` and `after`, and the optimizer's own numbers.

    `held` are the numbers that the optimizer kept from the step before, `state` those that it computed, by name in the
    order of the update rule. Both are empty where the parameter had no `.grad`, and where the rule needs none.
    """

    before: float
    held: Mapping[str, float]
    state: Mapping[str, float]
    after: float


@dataclass(frozen=True, slots=True)
class Spread:
    """The per-row gradients of one parameter in numbers: the smallest, the mean, the largest."""

    smallest: float
    mean: float
    largest: float


@dataclass(frozen=True, slots=True)
class Batch:
    """One backward pass over rows of data: how many there were, and what each of them contributed.

    `weight` is what the loss was multiplied with before backward() (below 1 only where several batches make one step);
    `loss` is without it, and `gradient` is what backward() added to `.grad`, with it. `rows` are the numbers of the
    rows listed, counted from 1 (all of a small batch, else none); `row_loss` and `row_gradient` have an entry for each
    of them. `spread` is over all rows.
    """

    count: int
    weight: float
    loss: float
    gradient: Mapping[str, float | None]
    rows: tuple[int, ...] = ()
    row_loss: tuple[float, ...] = ()
    row_gradient: Mapping[str, tuple[float, ...]] | None = None
    spread: Mapping[str, Spread] | None = None


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One step: the parameters at its start, the loss there, what each call did, and the verdict on the gradient.

    `backward` is what this step's backward() computed, `held` what `.grad` held before it (None after zero_grad()),
    `grad` what `.grad` holds when step() reads it (None where there is none). `batches` are filled for steps that are
    looked at closely, on data or where several batches make a step.
    """

    step: int
    loss: float
    parameters: Mapping[str, float]
    backward: Mapping[str, float | None]
    held: Mapping[str, float | None]
    grad: Mapping[str, float | None]
    update: Mapping[str, Update]
    verdict: str
    began: Began | None = None
    batches: tuple[Batch, ...] = ()


@dataclass(frozen=True, slots=True)
class Partial:
    """The gradient by one parameter in symbols."""

    partial: str
    symbolic: str | None
    # No JSON has a field whose name begins with an underscore.
    _typeset: str | None = None

    @property
    def typeset(self) -> str | None:
        """The derivative as MathML."""
        return self._typeset


@dataclass(frozen=True, slots=True)
class Optimizer:
    """The optimizer: its name, the id of a row of OPTIMIZERS, and its settings."""

    name: str
    settings: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Data:
    """The data of a run: where it came from, how many rows, which columns; how rows become one loss and one step."""

    source: str
    rows: int
    columns: tuple[str, ...]
    reduction: str
    batch_size: int
    shuffle: bool
    seed: int


@dataclass(frozen=True, slots=True)
class Final:
    """Where the run ended: after `step` steps, the parameters and the loss there."""

    step: int
    loss: float
    parameters: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What happened, under a stable `name`, in words with numbers, and the step where it began where there is one.

    `id` is that of the sentence and `values` what it is made with, in every language the same.
    """

    name: str
    text: str
    step: int | None = None
    value: float | None = None
    id: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, id: str, step: int | None, value: float | None, /, **values: Any) -> Diagnosis:
        """The diagnosis in the sentence with this id."""
        return cls(name, say(id, **values), step, value, id, values)


@dataclass(frozen=True, slots=True)
class Contours:
    """The loss on a grid over two parameters: `losses[j][i]` is at `x[i]`, `y[j]`."""

    names: tuple[str, str]
    x: tuple[float, ...]
    y: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a formula on tensors: its shape, how it began, and its numbers at the start and at the end.

    `init` is the text of `--init`, None for given numbers; `final` is None for a run that was interrupted.
    """

    shape: tuple[int, ...]
    init: str | None
    start: Tensor | float
    final: Tensor | float | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """One training run; printed, it is the table, and `to_dict()` is the JSON object of `docs/training.md`.

    `planned` is how many steps were asked for, `steps` are those that the record keeps. `curve` samples the whole run
    as (steps made, loss, parameters), in order from the start to the end. `agreed` is at how many steps backward()
    agreed with the chain rule, `checked` at how many the two were compared. `order`, `zero_grad` and `accumulate` say
    which calls make a step. `label` tells the run from those in `comparison`, which began at the same start.
    `remarks` are the notes in their order, each as an id and values.

    On vectors and matrices, what the steps, the curve and the end call parameters are the elements of small ones, such
    as `W[0, 1]`, and the norms of large ones, such as `‖W‖`; `tensors` has them by name in full, and is None on numbers
    alone. `row_size` is what stands for the number of rows of a batch in the formulas of the gradients, empty where
    nothing does.
    """

    source: str
    statements: tuple[str, ...]
    objective: str
    dtype: str
    optimizer: Optimizer
    order: str
    zero_grad: bool
    accumulate: int
    inputs: Mapping[str, float]
    data: Data | None
    parameters: Mapping[str, float]
    gradient: Mapping[str, Partial]
    steps: tuple[TrainingStep, ...]
    planned: int
    agreed: int
    checked: int
    verdict: str
    final: Final
    diagnosis: tuple[Diagnosis, ...]
    notes: tuple[str, ...]
    interrupted: bool
    curve: tuple[tuple[int, float, tuple[float, ...]], ...]
    label: str = ""
    comparison: tuple[Training, ...] = ()
    remarks: tuple[Remark, ...] = ()
    tensors: Mapping[str, Parameter] | None = None
    row_size: str = ""
    _device: str = "cpu"
    _shapes: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)

    @property
    def stopped(self) -> tuple[Training, ...]:
        """Those of this run and the runs in `comparison` that an interrupt ended."""
        return tuple(run for run in (self, *self.comparison) if run.interrupted)

    @property
    def shapes(self) -> Mapping[str, tuple[int | str, ...]]:
        """The shape of every input of the formula, where a size may have a name; not in JSON."""
        return self._shapes

    @property
    def device(self) -> str:
        """Where PyTorch computed; in JSON only if it is not the CPU."""
        return self._device

    @property
    def arithmetic(self) -> str:
        """The dtype, and the device where it is not the CPU."""
        return self.dtype if self._device == "cpu" else f"{self.dtype} on {self._device}"

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of `docs/training.md`, with `nan` and infinities as strings."""
        found = {"schema": SCHEMA, **plain(fields_of(self))}
        for run in (found, *found["comparison"]):
            if run["tensors"] is None:
                del run["tensors"], run["row_size"]
        return found

    def __str__(self) -> str:
        from gradexplain.output.training.table import write

        return write(self)

    def _repr_html_(self) -> str:
        from gradexplain.output.training.notebook import write

        return write(self)


def ended(tensors: Mapping[str, Parameter], packed: Mapping[str, Any] | None = None) -> dict[str, Parameter]:
    """The parameters with their final numbers, from what the loop sent."""
    found = packed or {}
    return {name: replace(entry, final=unpacked(found.get(name))) for name, entry in tensors.items()}


NORM = "‖"


def norm_of(name: str) -> str:
    """What the norm of a parameter is called."""
    return f"{NORM}{name}{NORM}"


def grad_of(name: str) -> str:
    """What `.grad` of a parameter, of an element of one, or the norm of it is called.

    >>> grad_of("w"), grad_of("W[0, 1]"), grad_of("‖W‖")
    ('w.grad', 'W.grad[0, 1]', '‖W.grad‖')
    """
    if name.startswith(NORM):
        return norm_of(f"{name.strip(NORM)}.grad")
    whole, bracket, index = name.partition("[")
    return f"{whole}.grad{bracket}{index}"
