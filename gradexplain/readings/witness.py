"""The floating-point reading: a formula run by PyTorch, forward and autograd. It is the witness.

It gets a list of calls and knows nothing of the rule table's derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gradexplain.readings.lean import complete
from gradexplain.readings.place import CPU, Place
from gradexplain.readings.plan import Plan, Ready, Refused

# What PyTorch raises where it refuses.
REFUSALS = (RuntimeError, NotImplementedError, TypeError, ValueError, OverflowError, IndexError)
# A number, or the shape of a tensor and the bytes of its numbers in float64.
Given = float | tuple[tuple[int, ...], bytes]


class Question(NamedTuple):
    """What PyTorch is to run: plain data, so that it can go to another process.

    `given` are the values of the inputs by node, as the dtype holds them; those in `leaves` require a gradient.
    `wanted` are the nodes whose gradients are asked for, and `upstream` is autograd's `grad_outputs`, None for ones.
    `tables` is what is asked of the tables beside it (see beside.py); only there, a value may be None, and then it is
    random.
    """

    plan: Plan
    given: Mapping[int, Given | None]
    leaves: Sequence[int]
    wanted: Sequence[int]
    upstream: Given | None
    dtype: str
    device: str = CPU
    tables: tuple[Any, ...] | None = None

    def payload(self) -> tuple[Any, ...]:
        """The same as plain tuples."""
        *rest, tables = self[1:]
        return (tuple(self.plan), *rest, None if tables is None else tuple(tables))


class Witness(NamedTuple):
    """What PyTorch found: the value of every node, and the gradient of each wanted node (None where none arrived).

    A value is a number, or of a tensor what `Place.pack` makes of it; it is None where nobody needs it. `error` is
    PyTorch's own message where it refused, with the node where it did (-1 for none); then the rest is empty.
    `tables` has what the tables say where they were asked.
    """

    values: list[Any]
    gradients: dict[int, Any]
    error: str = ""
    node: int = -1
    tables: dict[str, Any] = {}  # noqa: RUF012


def answers(payload: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The task: the payload of a question, and a single answer with the fields of its witness."""
    return [tuple(run(question_of(payload)))]


def question_of(payload: tuple[Any, ...]) -> Question:
    """The question of a payload."""
    plan, *rest = payload
    return Question(Plan(*plan), *rest)


def run(question: Question, answer: Callable[[Place, Question], Witness] | None = None) -> Witness:
    """Answer a question: forward, then autograd with respect to all wanted nodes. PyTorch's refusals end in `error`.

    `answer` is what finds it where there is more to do.
    """
    import torch

    # The caller may have switched gradients off for work of their own.
    with torch.inference_mode(False), torch.enable_grad():
        place = Place(torch, question.dtype, question.device)
        try:
            return (answer or _answer)(place, question)
        except REFUSALS as error:
            if complete():
                return run(question, answer)
            return Witness([], {}, str(error).splitlines()[0], error.node if isinstance(error, Refused) else -1)


def _answer(place: Place, question: Question) -> Witness:
    values = Ready(place, question.plan).run(_inputs(place, question))
    found: dict[int, Any] = dict.fromkeys(question.wanted)
    found.update(gradients(place, values[question.plan.objective], values, question.wanted, question.upstream))
    return Witness(_packed(place.torch, values), dict(zip(found, _packed(place.torch, found.values()), strict=True)))


def _packed(torch: Any, values: Iterable[Any]) -> list[Any]:
    """Values as plain data; most of very many are single numbers."""
    kind, pack = torch.Tensor, Place(torch).pack
    return [value.item() if type(value) is kind and not value.ndim else pack(value) for value in values]


def _inputs(place: Place, question: Question) -> dict[int, Any]:
    """The values of the inputs as leaves."""
    numbers = {i: value for i, value in question.given.items() if not isinstance(value, tuple)}
    found: dict[int, Any] = {}
    if numbers:
        # All at once, since a tensor takes a while to make.
        found.update(zip(numbers, place.tensor(list(numbers.values())).unbind(), strict=True))
    found.update({i: place.from_bytes(v[1], v[0]) for i, v in question.given.items() if isinstance(v, tuple)})
    for i in question.leaves:
        found[i].requires_grad_()
    return found


def gradients(
    place: Place, objective: Any, values: Sequence[Any], wanted: Sequence[int], upstream: Given | None
) -> dict[int, Any]:
    """Autograd's gradients of the objective by the wanted nodes; those that none reaches are left out."""
    reached = [j for j in wanted if j < len(values) and getattr(values[j], "requires_grad", False)]
    if not reached or not getattr(objective, "requires_grad", False):
        return {}
    # With an explicit seed PyTorch imports SymPy to compare two shapes, which takes longer than all the rest.
    if isinstance(upstream, tuple):
        objective = (objective * place.from_bytes(upstream[1], upstream[0])).sum()
    elif upstream is not None and upstream != 1.0:
        objective = objective * place.tensor(upstream)
    elif objective.dim():
        objective = objective.sum()
    found = place.torch.autograd.grad(objective, [values[j] for j in reached], allow_unused=True)
    return {j: value for j, value in zip(reached, found, strict=True) if value is not None}
