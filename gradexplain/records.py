"""What the core hands to the outputs: frozen records of numbers and text, and their JSON form."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields, make_dataclass
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, cast

from gradexplain.tensor import Tensor
from gradexplain.wording import say

Record = TypeVar("Record")
SCHEMA = "gradexplain/derivation@1"

# The verdicts, from the best to the worst; the worst of all rows is the verdict of the derivation.
VERDICTS = ("agrees", "unverified", "convention", "undefined", "precision", "nonfinite", "disagrees")
FAILURES = frozenset(("precision", "nonfinite", "disagrees"))

# A number as JSON has it. A finite value that no float64 holds is text with its digits: "1.97e434", "5.08e-435".
Value = float | bool | str | None


@dataclass(frozen=True, slots=True)
class Input:
    """An input: its value as the dtype holds it (None where none was given), and its shape."""

    value: Value
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ForwardRow:
    """One node of the forward pass: its `expression` over earlier nodes, the exact `value`, and PyTorch's."""

    node: str
    expression: str
    rule: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    value: Value
    autograd: Value


@dataclass(frozen=True, slots=True)
class Contribution:
    """Upstream gradient times local derivative, along the edge from the node `through`.

    `local` is the local derivative as a formula over the nodes, `local_value`, `upstream` and `value` are numbers.
    """

    through: str
    rule: str
    title: str
    upstream: Value
    local: str
    local_value: Value
    value: Value


@dataclass(frozen=True, slots=True)
class Began:
    """Where a loss of precision, an infinity or a nan began: the node, and the reason in words.

    `id` is that of the reason and `values` what its sentence is made with, in every language the same.
    """

    node: str
    reason: str
    id: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def at(cls, node: str, id: str, /, **values: Any) -> Began:
        """The node and the reason with this id.

        >>> Began.at("v1", "value_not_finite", what="v1 = 1/x", found="inf").reason
        'v1 = 1/x has no finite value here: inf'
        """
        return cls(node, say(id, **values), id, values)

    @property
    def sentence(self) -> dict[str, Any]:
        """The reason as a value of another sentence."""
        return {"id": self.id, "values": self.values}


@dataclass(frozen=True, slots=True)
class Remark:
    """A note as the id of its sentence and what the sentence is made with."""

    id: str
    values: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The note in words."""
        return say(self.id, **self.values)


@dataclass(frozen=True, slots=True)
class BackwardRow:
    """The gradient of the objective with respect to one node: the contributions, their sum, and what autograd has.

    `error` is |autograd - value| / max(1, |value|), None where one of them is missing.
    """

    node: str
    partial: str
    contributions: tuple[Contribution, ...]
    value: Value
    autograd: Value
    error: Value
    verdict: str
    began: Began | None


@dataclass(frozen=True, slots=True)
class Gradient:
    """The gradient with respect to one input (or named node), by the chain rule, in closed form and as numbers.

    `chain` is the product of partials; `factors` their closed forms where the chain runs over named nodes; `symbolic`
    the closed form (None where it would be too long), `filled` the same with the known values put in, where a value
    is missing; `exact` up to 50 digits, of a vector or matrix in nested lists; `sympy` the value of SymPy's own
    derivative of the whole formula.
    """

    partial: str
    chain: str
    factors: tuple[str, ...]
    symbolic: str | None
    filled: str | None
    exact: Any
    value: Value
    autograd: Value
    error: Value
    verdict: str
    sympy: Value | Tensor
    began: Began | None
    # No JSON has a field whose name begins with an underscore.
    _typeset: str | None = None

    @property
    def typeset(self) -> str | None:
        """The closed form as MathML; None where it would be too long."""
        return self._typeset


@dataclass(frozen=True, slots=True)
class Derivation:
    """The explanation of one formula at one point; printed, it is the table, and `to_dict()` is the JSON object.

    `statements` are the formula as gradexplain reads it, a statement each; `point` the values as they were given;
    `remarks` are the notes in their order, each as an id and values.
    """

    source: str
    statements: tuple[str, ...]
    objective: str
    dtype: str
    upstream: float
    verdict: str
    notes: tuple[str, ...]
    inputs: Mapping[str, Input]
    missing: tuple[str, ...]
    point: Mapping[str, str]
    nodes: tuple[ForwardRow, ...]
    backward: tuple[BackwardRow, ...]
    gradient: Mapping[str, Gradient]
    remarks: tuple[Remark, ...] = ()
    _shapes: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    _device: str = "cpu"

    @property
    def device(self) -> str:
        """Where PyTorch computed; in JSON only if it is not the CPU."""
        return self._device

    @property
    def arithmetic(self) -> str:
        """The dtype, and the device where it is not the CPU."""
        return self.dtype if self._device == "cpu" else f"{self.dtype} on {self._device}"

    @property
    def shapes(self) -> Mapping[str, tuple[int | str, ...]]:
        """Of a formula on tensors, the shape of every input and node, where a size may have a name; else empty."""
        return self._shapes

    @property
    def has_tensors(self) -> bool:
        """Whether some input or part of the formula is a vector, a matrix or more."""
        return any(self._shapes.values())

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of `docs/output.md`, with `nan` and infinities as strings."""
        return {"schema": SCHEMA, **plain(fields_of(self))}

    def __str__(self) -> str:
        from gradexplain.output.derivation.table import write

        return write(self)

    def _repr_html_(self) -> str:
        from gradexplain.output.derivation.notebook import write

        return write(self)


@dataclass(frozen=True, slots=True)
class Jacobian:
    """The derivative of every element of the objective by every element of one input.

    `shape` is that of the objective followed by that of the input; `symbolic` the matrix as a formula where it is one,
    `product` the vector-Jacobian product with the upstream gradient `g`; the rest is as for a Gradient.
    """

    partial: str
    shape: tuple[int, ...]
    symbolic: str | None
    product: str | None
    value: Value | Tensor
    autograd: Value | Tensor
    error: Value
    verdict: str


@dataclass(frozen=True, slots=True)
class Hessian:
    """The second derivatives of the objective by all elements of the inputs, in the order of `elements`.

    `symbolic` has, by pairs of inputs such as "w,b", the block of second derivatives as a formula where it is short;
    `eigenvalues` are in ascending order, and `meaning` says what they tell about the point.
    """

    elements: tuple[str, ...]
    symbolic: Mapping[str, str]
    value: Value | Tensor
    autograd: Value | Tensor
    error: Value
    verdict: str
    eigenvalues: tuple[float, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class MatrixDerivation(Derivation):
    """A derivation with the Jacobians by input, or the Hessian, that were asked for."""

    jacobian: Mapping[str, Jacobian] | None = None
    hessian: Hessian | None = None


def maker(record: type[Record]) -> Callable[..., Record]:
    """A function that makes records of one kind, from the values of all their fields in order.

    It is for records that come by the ten thousand: a frozen one sets each of its fields by a call. Here they are set
    in a twin that is not frozen, which then becomes the record, in a third of the time.

    >>> maker(Input)(1.0, ()) == Input(1.0)
    True
    """
    twin: Any = make_dataclass(record.__name__, [own.name for own in fields(cast(Any, record))], slots=True)

    def make(*values: Any) -> Record:
        made = twin(*values)
        made.__class__ = record
        return cast(Record, made)

    return make


_SCALARS = frozenset((str, int, bool, type(None)))


def plain(value: Any) -> Any:
    """The same in dictionaries, lists, text, numbers and None, as JSON can hold it."""
    kind: Any = type(value)
    if kind is Tensor:
        return _plain_tensor(value)
    if kind is float:
        return value if math.isfinite(value) else "nan" if value != value else "inf" if value > 0 else "-inf"
    if kind in _SCALARS:
        return value
    if kind is tuple or kind is list:
        return [entry if type(entry) in _SCALARS else plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    # A derivation may have a million fields: scalars and finite floats are kept without another call.
    return {
        name: entry if (own := type(entry)) in _SCALARS or (own is float and entry - entry == 0.0) else plain(entry)
        for name, entry in zip(_fields(kind), _values(kind)(value), strict=True)
    }


def _plain_tensor(value: Tensor) -> Any:
    """Nested lists, or of a large tensor a summary."""
    if value.numbers is not None:
        return plain(value.nested())
    return {name: plain(getattr(value, name)) for name in ("shape", "norm", "low", "high", "corner_shape", "corner")}


def fields_of(record: Any) -> dict[str, Any]:
    """The fields of a record that go into JSON, by name; what they hold is left as it is."""
    kind: Any = type(record)
    found = dict(zip(_fields(kind), _values(kind)(record), strict=True))
    device = getattr(record, "_device", "cpu")
    return found if device == "cpu" else {**found, "device": device}


@cache
def _values(record: Hashable) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*_fields(record))


@cache
def _fields(record: Hashable) -> tuple[str, ...]:
    return tuple(own.name for own in fields(cast(Any, record)) if own.name[0] != "_")
