"""The floating-point reading: the same graph run through PyTorch, forward and autograd. It is the witness.

It gets a list of operations and knows nothing of the rule table's derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple, cast

from gradexplain.language.graph import INPUT, Graph
from gradexplain.readings.place import CPU, Place
from gradexplain.rules.rules import RULES

# An operation: PyTorch's name below `torch.`, the nodes it reads, the settings that are plain numbers, and for a leaf
# its value and whether it requires a gradient. A node that nobody needs is None.
Operation = tuple[str, list[int], list[float], float, bool] | None


class Program(NamedTuple):
    """What PyTorch is to run: plain data, so that it can go to another process.

    `wanted` are the nodes whose gradients are asked for and `upstream` is autograd's `grad_outputs`.
    """

    operations: list[Operation]
    objective: int
    wanted: list[int]
    upstream: float
    dtype: str
    device: str = CPU


class Witness(NamedTuple):
    """What PyTorch found: the value of every node, and the gradient of each wanted node (None where none arrived).

    `error` is PyTorch's own message where it refused, and then the rest is empty.
    """

    values: list[float | bool | None]
    gradients: dict[int, float | None]
    error: str = ""


def program(
    graph: Graph,
    given: dict[int, float | None],
    sources: Sequence[int],
    wanted: list[int],
    upstream: float,
    dtype: str,
    device: str = CPU,
) -> Program:
    """The program for a graph at a point; `given` has the value of every input and of every constant that is used."""
    operations: list[Operation] = []
    needed = graph.needed()
    leaves = set(sources)
    for i, node in enumerate(graph.nodes):
        if not needed[i] or (graph.is_constant[i] and i not in given):
            operations.append(None)
        elif node.rule == INPUT or i in given:
            operations.append(("leaf", [], [], float(given[i] or 0.0), i in leaves))
        else:
            name, numbers = _call(node.rule)
            inputs = [j for k, j in enumerate(node.inputs) if k not in numbers] if numbers else list(node.inputs)
            settings = [float(given[node.inputs[k]] or 0.0) for k in numbers]
            operations.append((name, inputs, settings, 0.0, False))
    return Program(operations, graph.objective, wanted, upstream, dtype, device)


@cache
def _call(rule: str) -> tuple[str, tuple[int, ...]]:
    """PyTorch's name of an operation, and which of its inputs are settings."""
    row = RULES[rule]
    numbers = () if row.boolean or rule == "where" else [k for k, partial in enumerate(row.partials) if not partial]
    return row.torch or rule, tuple(numbers)


def run(program: Program) -> Witness:
    """Run a program: forward, then autograd with respect to all wanted nodes. PyTorch's refusals end in `error`."""
    import torch

    # The caller may have switched gradients off for work of their own.
    with torch.inference_mode(False), torch.enable_grad():
        return _run(Place(torch, program.dtype, program.device), program)


def _run(place: Place, program: Program) -> Witness:
    torch = place.torch
    calls: dict[str, Callable[..., Any]] = {
        "heaviside": partial(step, torch),
        "polygamma": lambda a, n: torch.polygamma(int(n), a),
        "where": partial(choice, torch),
    }
    tensors: list[Any] = []
    # All leaves are made at once, since a tensor takes a while to make.
    values = [operation[3] for operation in program.operations if operation is not None and operation[0] == "leaf"]
    try:
        leaves = iter(place.tensor(values).unbind())
        for operation in program.operations:
            if operation is None:
                tensors.append(None)
                continue
            name, inputs, settings, _, requires_grad = operation
            if name == "leaf":
                tensors.append(next(leaves).requires_grad_(requires_grad))
                continue
            call = calls.get(name)
            if call is None:
                call = calls[name] = torch_function(torch, name)
            tensors.append(call(*[tensors[j] for j in inputs], *settings))
        gradients = _gradients(place, tensors, program)
        return Witness(_items(tensors), gradients)
    except (RuntimeError, NotImplementedError, TypeError, ValueError, OverflowError) as error:
        return Witness([], {}, str(error).splitlines()[0])


def answers(payload: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The same as a task: the fields of a program, and a single answer with the fields of its witness."""
    return [tuple(run(Program(*payload)))]


def step(torch: Any, a: Any, at_zero: Any) -> Any:
    """The unit step of a tensor, with a number or a tensor for its value at 0.

    PyTorch has no derivative for it. That of the sign is 0, and lets the step take part in autograd.
    """
    at = at_zero.detach().to(a.dtype) if hasattr(at_zero, "dtype") else torch.full_like(a.detach(), at_zero)
    return torch.heaviside(a.detach(), at) + 0 * torch.sign(a)


def choice(torch: Any, condition: Any, first: Any, second: Any) -> Any:
    """PyTorch's choice. A condition without a variable is a constant, and held as a number."""
    return torch.where(condition if condition.dtype == torch.bool else condition != 0, first, second)


def torch_function(torch: Any, name: str) -> Callable[..., Any]:
    """PyTorch's function by its name below `torch.`."""
    found = torch
    for part in name.split("."):
        found = getattr(found, part)
    return cast(Callable[..., Any], found)


def _gradients(place: Place, tensors: list[Any], program: Program) -> dict[int, float | None]:
    objective = tensors[program.objective]
    wanted = [i for i in program.wanted if tensors[i] is not None and tensors[i].requires_grad]
    found: dict[int, float | None] = dict.fromkeys(program.wanted)
    if objective.requires_grad and wanted:
        # With an explicit seed PyTorch imports SymPy to compare two shapes, which takes longer than all the rest.
        seed = None if program.upstream == 1.0 else place.tensor(program.upstream)
        results = place.torch.autograd.grad(objective, [tensors[i] for i in wanted], seed, allow_unused=True)
        found.update(zip(wanted, _items(results), strict=True))
    return found


def _items(tensors: Sequence[Any]) -> list[float | bool | None]:
    """The numbers in 0-dimensional tensors."""
    return [None if tensor is None else tensor.item() for tensor in tensors]
