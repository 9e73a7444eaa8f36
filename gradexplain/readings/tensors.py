"""The graph on whole tensors: the formula as PyTorch runs it, and the chain rule of the rule table, elementwise.

One element is one row of data or one step of a run. The forward pass is what autograd differentiates; `chain_rule` is
the reverse walk over the rule table, in the same arithmetic, and knows nothing of autograd.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from gradexplain.calculus.backward import reverse
from gradexplain.calculus.templates import template
from gradexplain.language.graph import CONSTANT, INPUT, Graph
from gradexplain.readings.numbers import choice, step, torch_function
from gradexplain.readings.place import Place
from gradexplain.rules.rules import RULES

# What Python's operators do on tensors and numbers alike, so that `x**2` is what it is in anybody's code.
OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "pow": operator.pow,
    "neg": operator.neg, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le,
    "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip


class Operation(NamedTuple):
    """One call: where its result goes, the function, where its arguments are, and which of them nobody reads again."""

    out: int
    call: Callable[..., Any]
    inputs: tuple[int, ...]
    last_read: tuple[int, ...] = ()


class Plan(NamedTuple):
    """A formula ready to run: the operations, and a register for every node, filled where it is a constant."""

    operations: list[Operation]
    registers: list[Any]
    objective: int

    def run(self, inputs: Mapping[int, Any], keep: bool = True) -> list[Any]:
        """The value of every node, with tensors for the input nodes `inputs`.

        Without `keep` all but the objective are dropped, each as soon as it has been read, so that its memory is free.
        """
        values = self.registers.copy()
        for node, value in inputs.items():
            values[node] = value
        for out, call, places, last_read in self.operations:
            values[out] = call(*[values[j] for j in places])
            if not keep:
                for j in last_read:
                    values[j] = None
        return values

    def result(self, inputs: Mapping[int, Any]) -> Any:
        """The value of the objective alone."""
        return self.run(inputs, keep=False)[self.objective]


def plan(place: Place, graph: Graph, constants: Mapping[int, float]) -> Plan:
    """The plan of a formula. `constants` has the value of every constant that is read, as the dtype holds it."""
    torch = place.torch
    needed = graph.ancestors([graph.objective])
    registers: list[Any] = [constants.get(i) for i in range(len(graph.nodes))]
    operations = []
    as_tensors: dict[int, int] = {}
    for i, node in enumerate(graph.nodes):
        if not needed[i] or node.rule == INPUT or graph.is_constant[i]:
            continue
        if node.rule in OPERATORS:
            operations.append(Operation(i, OPERATORS[node.rule], node.inputs))
            continue
        rule = RULES[node.rule]
        numbers = [] if rule.name == "where" else [k for k, text in enumerate(rule.partials) if not text]
        inputs = []
        for k, j in enumerate(node.inputs):
            if k in numbers:
                continue
            if j in constants and j not in as_tensors:
                as_tensors[j] = len(registers)
                registers.append(place.tensor(constants[j]))
            inputs.append(as_tensors.get(j, j))
        settings = [constants[node.inputs[k]] for k in numbers]
        operations.append(Operation(i, _with_settings(torch, rule.name, settings), tuple(inputs)))
    last: dict[int, int] = {}
    for k, operation in enumerate(operations):
        last.update(dict.fromkeys(operation.inputs, k))
    ends: list[list[int]] = [[] for _ in operations]
    for register, k in last.items():
        ends[k].append(register)
    marked = [operation._replace(last_read=tuple(ends[k])) for k, operation in enumerate(operations)]
    return Plan(marked, registers, graph.objective)


def _with_settings(torch: Any, name: str, settings: Sequence[float]) -> Callable[..., Any]:
    """PyTorch's function for a rule, its settings put in."""
    if name == "heaviside":
        return lambda a: step(torch, a, settings[0])
    if name == "polygamma":
        return partial(torch.polygamma, int(settings[0]))
    if name == "where":
        return partial(choice, torch)
    call = function(torch, name)
    return (lambda *arguments: call(*arguments, *settings)) if settings else call


def function(torch: Any, rule: str) -> Callable[..., Any]:
    """PyTorch's own function for a rule that is no operator."""
    return torch_function(torch, RULES[rule].torch or rule)


class Elementwise:
    """The rule table on tensors: every expression of a row, evaluated at a place by PyTorch's own functions."""

    def __init__(self, place: Place) -> None:
        self.torch, self.tensor = place.torch, place.tensor
        self._steps = cache(self._compiled)

    def expression(self, text: str, inputs: Sequence[Any], out: Any = None) -> Any:
        """An expression of the rule table with `inputs` for a, b, c and `out` for the result."""
        named = dict(zip("abcdefgh", inputs, strict=False)) | {"out": out}
        values: list[Any] = []
        for call, name, constant, places in self._steps(text):
            if call is None:
                values.append(named[name] if name else constant)
            else:
                values.append(call(*[values[j] for j in places]))
        return values[-1]

    def _compiled(self, text: str) -> list[tuple[Callable[..., Any] | None, str, Any, tuple[int, ...]]]:
        graph, root, _ = template(text)
        steps: list[tuple[Callable[..., Any] | None, str, Any, tuple[int, ...]]] = []
        for node in graph.nodes[: root + 1]:
            if node.rule == INPUT:
                steps.append((None, str(node.value), None, ()))
            elif node.rule == CONSTANT:
                value = {"pi": math.pi, "e": math.e}.get(str(node.value))
                steps.append((None, "", float(node.value) if value is None else value, ()))  # type: ignore[arg-type]
            else:
                steps.append((self._call(node.rule), "", None, node.inputs))
        return steps

    def _call(self, rule: str) -> Callable[..., Any]:
        """The operation of a rule on tensors and numbers."""
        torch = self.torch
        if rule in OPERATORS:
            return OPERATORS[rule]
        if rule == "where":
            return self._choice
        if rule == "polygamma":
            return lambda n, a: torch.polygamma(int(n), self.tensor(a))
        call = function(torch, rule)
        return lambda *arguments: call(*[self.tensor(argument) for argument in arguments])

    def _choice(self, condition: Any, first: Any, second: Any) -> Any:
        if not hasattr(condition, "dtype"):
            return first if condition else second
        return self.torch.where(condition, self.tensor(first), self.tensor(second))


class Sized(NamedTuple):
    """A gradient, with the sum of the absolute values of all the terms that it was added up from."""

    value: Any
    size: Any


class _Reading:
    """Tensors for the reverse walk; without `sized`, the sizes are left out."""

    def __init__(self, table: Elementwise, graph: Graph, values: Sequence[Any], sized: bool) -> None:
        self.table, self.graph, self.values, self.sized = table, graph, values, sized

    def seed(self) -> Sized:
        return Sized(1.0, 1.0)

    def contribution(self, i: int, slot: int, upstream: Sized) -> tuple[Sized, Sized]:
        node, values = self.graph.nodes[i], self.values
        local = self.table.expression(RULES[node.rule].partials[slot], [values[j] for j in node.inputs], values[i])
        size = abs(local) if self.sized else 0.0
        return Sized(local, size), Sized(upstream.value * local, upstream.size * size)

    @staticmethod
    def add(first: Sized, second: Sized) -> Sized:
        return Sized(first.value + second.value, first.size + second.size)


def chain_rule(
    table: Elementwise, graph: Graph, sources: Sequence[int], values: Sequence[Any], sized: bool = True
) -> dict[int, Sized]:
    """The gradient by each source, elementwise, by the reverse walk over the rule table; none where nothing flows.

    `values` are those of all nodes, tensors of one shape or numbers. Without `sized`, which takes about half of the
    time, the size of a gradient is its own absolute value.
    """
    totals = reverse(graph, sources, _Reading(table, graph, values, sized)).totals
    return totals if sized else {i: Sized(total.value, abs(total.value)) for i, total in totals.items()}


def at_kink(table: Elementwise, graph: Graph, sources: Sequence[int], values: Sequence[Any]) -> Any:
    """Where some operation between the objective and `sources` is just where its derivative may not exist.

    Booleans, elementwise (or one for all).
    """
    needed, reached = graph.ancestors([graph.objective]), _reached(graph, sources)
    found: Any = False
    for i, node in enumerate(graph.nodes):
        if not (needed[i] and reached[i]) or node.rule in (INPUT, CONSTANT):
            continue
        # A choice has its kink where its condition changes.
        judged = graph.nodes[node.inputs[0]] if node.rule == "where" else node
        if node.rule == "where" and graph.is_constant[node.inputs[0]]:
            continue
        rule = RULES.get(judged.rule)
        if rule is None or not rule.kink or (rule.boolean and judged is node):
            continue
        distance = table.expression(rule.kink, [values[j] for j in judged.inputs])
        found = found | (distance == 0)
    return found


def _reached(graph: Graph, sources: Sequence[int]) -> list[bool]:
    """For every node, whether it depends on one of `sources`, be it through a condition."""
    found = [False] * len(graph.nodes)
    for i in sources:
        found[i] = True
    for i, node in enumerate(graph.nodes):
        found[i] = found[i] or any(found[j] for j in node.inputs)
    return found
