"""What the tests of formulas on tensors share: points at random, the chain rule against autograd, forms read again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gradexplain.calculus.backward import reverse
from gradexplain.explain.closed_forms import closed_forms
from gradexplain.language.graph import CONSTANT, INPUT, Graph
from gradexplain.language.parse import parse
from gradexplain.language.text import write
from gradexplain.readings.place import Place
from gradexplain.readings.plan import Ready, compiled
from gradexplain.readings.tables import TableBuilder, TableReading
from gradexplain.rules.shapes import Shape

BUILDER = TableBuilder(Place(torch), {})
POINTS = 3
# PyTorch's own derivative holds 1/6 as a float32, whatever the dtype.
INEXACT = ("hardsigmoid(", "hardswish(")
_SHAPE = re.compile(r"(\w+)=((?:\d+x)*\d+)(\+|~|%\d+)?")


class Case(NamedTuple):
    """A row of a table: the gradient of a formula by a variable, as a book writes it (empty where none does)."""

    id: str
    formula: str
    variable: str
    shapes: str
    gradient: str
    source: str


def cases(name: str) -> list[Case]:
    """The rows of a table in this directory."""
    lines = (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines()[1:]
    return [Case(*line.split("\t")) for line in lines]


def shapes_of(text: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shapes such as `X=4x3,y=4%3`; behind one, `+` stands for positive numbers, `~` for signs, `%3` for 0, 1 and 2."""
    found = {}
    for part in filter(None, text.split(",")):
        match = _SHAPE.fullmatch(part)
        assert match, part
        found[match[1]] = tuple(map(int, match[2].split("x"))), match[3] or ""
    return found


def point(names: list[str], shapes: Mapping[str, tuple[tuple[int, ...], str]], seed: int) -> dict[str, torch.Tensor]:
    """Numbers at random; square matrices can be inverted and have a positive determinant."""
    generator = torch.Generator().manual_seed(1000 + seed)
    found = {}
    for name in names:
        shape, kind = shapes.get(name, ((), "+"))
        value = torch.randn(shape, generator=generator, dtype=torch.float64)
        if kind == "+":
            value = value.abs() + 0.1
        elif kind == "~":
            value = torch.where(value > 0, 1.0, -1.0).to(torch.float64)
        elif kind:
            value = torch.randint(int(kind[1:]), shape, generator=generator).to(torch.float64)
        elif len(shape) == 2 and shape[0] == shape[1]:
            value = value / 2 + 3 * torch.eye(shape[0], dtype=torch.float64)
        found[name] = value
    return found


def read(formula: str, shapes: Mapping[str, tuple[tuple[int, ...], str]]) -> Graph:
    """The graph of a formula on tensors."""
    graph = parse(formula, list(shapes), {name: shape for name, (shape, _) in shapes.items()})
    assert graph.needs_tensors(), formula
    return graph


class Run(NamedTuple):
    """What PyTorch finds: the value of every node, and autograd's gradient by each of them, None where none flows."""

    values: list[Any]
    gradients: dict[int, torch.Tensor]


def run(graph: Graph, at: Mapping[str, torch.Tensor]) -> Run:
    """The formula and autograd at a point."""
    given = {i: at[str(graph.nodes[i].value)].clone().requires_grad_() for i in graph.inputs}
    values = Ready(BUILDER.place, compiled(graph, {})).run(given)
    wanted = [i for i, value in enumerate(values) if getattr(value, "requires_grad", False)]
    objective = values[graph.objective]
    seed = torch.ones_like(objective)
    gradients = torch.autograd.grad(objective, [values[i] for i in wanted], seed, allow_unused=True)
    plain = [value.detach() if hasattr(value, "detach") else value for value in values]
    return Run(plain, {i: value for i, value in zip(wanted, gradients, strict=True) if value is not None})


def tolerance(formula: str) -> float:
    """How far from autograd the gradients of a formula may be."""
    return 1e-7 if any(name in formula for name in INEXACT) else 1e-9


def close(one: torch.Tensor, other: torch.Tensor, tolerance: float = 1e-9) -> bool:
    """Whether two tensors have one shape and, measured by the largest element, the same numbers."""
    if one.shape != other.shape:
        return False
    scale = other.abs().max().item() if other.numel() else 0.0
    return bool(torch.allclose(one, other, rtol=0, atol=tolerance * max(scale, 1e-3)))


def contributions_agree(graph: Graph, at: Mapping[str, torch.Tensor], within: float = 1e-9) -> list[str]:
    """Where the chain rule by the table is not what autograd has, or contributions do not add up, a line for each."""
    found, wrong = run(graph, at), []
    with torch.no_grad():
        objective = BUILDER.place.tensor(found.values[graph.objective])
        reading = TableReading(BUILDER, graph, found.values, torch.ones_like(objective))
        walk = reverse(graph, graph.inputs, reading)
        for j in walk.order:
            total, text = walk.totals[j], write(graph, j, {})
            if not close(sum((step.value for step in walk.steps[j]), torch.zeros_like(total)), total):
                wrong.append(f"the contributions to {text} do not add up")
            autograd = found.gradients.get(j, torch.zeros_like(total))
            if not close(total, autograd, within):
                wrong.append(f"{text}: {total.tolist()} is not {autograd.tolist()}")
    return wrong


class Printed(NamedTuple):
    """A closed form as text, and the symbols that it is written with: inputs and named nodes, by name."""

    text: str
    symbols: dict[str, int]


def printed(graph: Graph, generic: bool = True) -> dict[str, Printed]:
    """The closed form of the gradient by each input, by its name."""
    named = {i: name for i, name in graph.names.items() if i != graph.objective}
    symbols = {str(graph.nodes[i].value): i for i in graph.inputs} | {name: i for i, name in named.items()}
    inputs, seed = list(graph.inputs), graph.constant(1)
    if graph.shapes[graph.objective]:
        seed = graph.apply("ones_like", graph.objective)
    _, forms = closed_forms(graph, inputs, seed, generic=generic)
    missing = [i for i, root in forms.items() if root is None]
    assert not missing, f"no closed form of the gradient by {[graph.nodes[i].value for i in missing]}"
    return {
        str(graph.nodes[i].value): Printed(write(graph, root, named), symbols)
        for i, root in forms.items() if root is not None
    }  # fmt: skip


def evaluate(text: str, shapes: Mapping[str, Shape], values: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The value of a formula that is read again."""
    graph = form(text, shapes)
    given = {i: values[str(graph.nodes[i].value)] for i in graph.inputs}
    return BUILDER.place.tensor(Ready(BUILDER.place, compiled(graph, {})).result(given))  # type: ignore[no-any-return]


def form(text: str, shapes: Mapping[str, Shape]) -> Graph:
    """A closed form as a graph; one without a variable is a formula as well."""
    name = next(iter(shapes))
    graph = parse(f"({text}) + 0*sum({name})", list(shapes), dict(shapes))
    graph.objective = graph.nodes[graph.objective].inputs[0]
    return graph


def operations(text: str, shapes: Mapping[str, Shape]) -> int:
    """How many operations a formula has as it is written, the same one twice counted twice."""
    graph = form(text, shapes)
    counts: dict[int, int] = {}
    for i in graph.inputs_first(graph.objective):
        rule, inputs, _, _ = graph.nodes[i]
        if i in graph.powers:
            inputs = inputs[1:]
        counts[i] = 0 if rule in (INPUT, CONSTANT) else 1 + sum(counts[j] for j in inputs)
    return counts[graph.objective]
