"""The floating-point reading: the same graph run through PyTorch, forward and autograd. It is the witness.

It gets a list of operations and knows nothing of the rule table's derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from gradexplain.language.graph import INPUT, Graph
from gradexplain.language.rules import RULES

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


class Witness(NamedTuple):
    """What PyTorch found: the value of every node, and the gradient of each wanted node (None where none arrived).

    `error` is PyTorch's own message where it refused, and then the rest is empty.
    """

    values: list[float | bool | None]
    gradients: dict[int, float | None]
    error: str = ""


def program(
    graph: Graph, given: dict[int, float | None], sources: Sequence[int], wanted: list[int], upstream: float, dtype: str
) -> Program:
    """The program for a graph at a point; `given` has the value of every input and of every constant that is used."""
    operations: list[Operation] = []
    needed = graph.ancestors([graph.objective])
    leaves = set(sources)
    for i, node in enumerate(graph.nodes):
        if not needed[i] or (graph.is_constant[i] and i not in given):
            operations.append(None)
        elif node.rule == INPUT or i in given:
            operations.append(("leaf", [], [], float(given[i] or 0.0), i in leaves))
        else:
            rule = RULES[node.rule]
            numbers = [] if rule.boolean or rule.name == "where" else [k for k, p in enumerate(rule.partials) if not p]
            inputs = [j for k, j in enumerate(node.inputs) if k not in numbers]
            settings = [float(given[node.inputs[k]] or 0.0) for k in numbers]
            operations.append((rule.torch or rule.name, inputs, settings, 0.0, False))
    return Program(operations, graph.objective, wanted, upstream, dtype)


def run(program: Program) -> Witness:
    """Run a program: forward, then autograd with respect to all wanted nodes. PyTorch's refusals end in `error`."""
    import torch

    dtype = getattr(torch, program.dtype)
    calls: dict[str, Callable[..., Any]] = {
        # PyTorch has no derivative for the step. That of the sign is 0, and lets the step take part in autograd.
        "heaviside": lambda a, at_zero: (
            torch.heaviside(a.detach(), torch.tensor(at_zero, dtype=dtype)) + 0 * torch.sign(a)
        ),
        "polygamma": lambda a, n: torch.polygamma(int(n), a),
    }
    tensors: list[Any] = []
    try:
        for operation in program.operations:
            if operation is None:
                tensors.append(None)
                continue
            name, inputs, settings, value, requires_grad = operation
            if name == "leaf":
                tensors.append(torch.tensor(value, dtype=dtype, requires_grad=requires_grad))
                continue
            call = calls.get(name)
            if call is None:
                call = calls[name] = _find(torch, name)
            tensors.append(call(*[tensors[j] for j in inputs], *settings))
        gradients = _gradients(torch, tensors, program, dtype)
        return Witness(_items(torch, tensors), gradients)
    except (RuntimeError, NotImplementedError, TypeError, ValueError, OverflowError) as error:
        return Witness([], {}, str(error).splitlines()[0])


def answers(payload: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The same as a task: the fields of a program, and a single answer with the fields of its witness."""
    return [tuple(run(Program(*payload)))]


def _find(torch: Any, name: str) -> Callable[..., Any]:
    found = torch
    for part in name.split("."):
        found = getattr(found, part)
    return cast(Callable[..., Any], found)


def _gradients(torch: Any, tensors: list[Any], program: Program, dtype: Any) -> dict[int, float | None]:
    objective = tensors[program.objective]
    wanted = [i for i in program.wanted if tensors[i] is not None and tensors[i].requires_grad]
    found: dict[int, float | None] = dict.fromkeys(program.wanted)
    if objective.requires_grad and wanted:
        # With an explicit seed PyTorch imports SymPy to compare two shapes, which takes longer than all the rest.
        seed = None if program.upstream == 1.0 else torch.tensor(program.upstream, dtype=dtype)
        results = torch.autograd.grad(objective, [tensors[i] for i in wanted], seed, allow_unused=True)
        found.update(zip(wanted, _items(torch, results), strict=True))
    return found


def _items(torch: Any, tensors: Sequence[Any]) -> list[float | bool | None]:
    """The numbers in 0-dimensional tensors, fetched in one go."""
    values: list[float | bool | None] = [None] * len(tensors)
    floats = []
    for i, tensor in enumerate(tensors):
        if tensor is None:
            continue
        if tensor.dtype == torch.bool:
            values[i] = bool(tensor)
        else:
            floats.append(i)
    if floats:
        together = torch.stack([tensors[i].detach() for i in floats]).tolist()
        for i, value in zip(floats, together, strict=True):
            values[i] = value
    return values
