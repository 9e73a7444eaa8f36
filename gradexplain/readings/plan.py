"""A formula compiled once to a list of calls: plain data, which crosses to wherever PyTorch is, and runs there.

Numbers are computed with as anybody would write it: `x**2` is Python's operator on a tensor and a number. Where a
function of PyTorch wants a tensor, a number becomes one once, before the calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from gradexplain.language.graph import CONSTANT, INPUT, Graph, Node
from gradexplain.readings.place import Place
from gradexplain.readings.torch_rules import OPERATORS, call_of, elementwise, plain_inputs
from gradexplain.rules.shapes import resolved
from gradexplain.rules.table import ELEMENTWISE

NUMBERS = {"pi": math.pi, "e": math.e}


class Plan(NamedTuple):
    """The calls of a formula: (register of the result, rule, registers of the inputs, settings).

    A register has the number of its node; behind those of `size` nodes come the numbers that become tensors: `made`
    are the registers of these numbers. `numbers` are the constants by register, and `objective` is a register, too.
    """

    calls: list[tuple[int, str, tuple[int, ...], tuple[Any, ...] | None]]
    numbers: dict[int, float]
    made: list[int]
    size: int
    objective: int


class Refused(RuntimeError):
    """A node could not be computed: which one, and what PyTorch says."""

    def __init__(self, node: int, message: str) -> None:
        super().__init__(message)
        self.node = node


def compiled(graph: Graph, constants: Mapping[int, float], also: Collection[int] = ()) -> Plan:
    """The plan of a formula. `constants` are the values of constant parts, which are then not computed; `also` are
    nodes whose values are wanted beside those that the objective needs."""
    needed = _needed(graph, constants, also)
    numbers: dict[int, float] = {}
    calls: list[tuple[int, str, tuple[int, ...], tuple[Any, ...] | None]] = []
    # Where a number is as a tensor, by its register.
    places: dict[int, int] = {}
    count = len(needed)

    def tensor(j: int) -> int:
        return places.setdefault(j, count + len(places)) if j in numbers else j

    for i, node in enumerate(graph.nodes[:count]):
        if not needed[i] or node.rule == INPUT:
            continue
        if i in constants or node.rule == CONSTANT:
            numbers[i] = constants[i] if i in constants else number(node.value, graph.sizes)
            continue
        inputs: tuple[int, ...] = node.inputs
        settings: tuple[Any, ...] | None = node.settings
        if node.rule not in ELEMENTWISE:
            settings = tuple([resolved(setting, graph.sizes) for setting in node.settings])
            inputs = tuple([tensor(j) for j in inputs])
        elif node.rule in OPERATORS:
            # A number stays one beside a tensor.
            if inputs[0] in numbers and inputs[-1] in numbers:
                inputs = (tensor(inputs[0]), *inputs[1:])
        elif (plain := plain_inputs(node.rule)) and not all(inputs[k] in numbers for k in plain):
            # A setting that is computed is known when the calls run.
            settings = None
        elif plain:
            settings = tuple([numbers[inputs[k]] for k in plain])
            inputs = tuple([tensor(j) for k, j in enumerate(inputs) if k not in plain])
        else:
            inputs = tuple([tensor(j) for j in inputs])
        calls.append((i, node.rule, inputs, settings))
    return Plan(calls, numbers, list(places), count, graph.objective)


def _needed(graph: Graph, constants: Mapping[int, float], also: Collection[int]) -> list[bool]:
    """For every node up to the last wanted one, whether its value is used."""
    found = [False] * (max((graph.objective, *also)) + 1)
    for i in (graph.objective, *also):
        found[i] = True
    for i in range(len(found) - 1, -1, -1):
        if found[i] and i not in constants:
            for j in graph.nodes[i].inputs:
                found[j] = True
    return found


def number(value: Any, sizes: Mapping[str, int]) -> float:
    """A constant as Python has it."""
    if isinstance(value, str):
        return float(sizes[value]) if value in sizes else NUMBERS[value]
    return float(value)


def packed_graph(graph: Graph, size: int) -> tuple[Any, ...]:
    """The first nodes of a graph as plain data; `unpacked_graph` makes a graph with the same nodes of it elsewhere."""
    nodes = [
        (rule, inputs, (value.numerator, value.denominator) if isinstance(value, Fraction) else value, settings)
        for rule, inputs, value, settings in graph.nodes[:size]
    ]
    names = {i: name for i, name in graph.names.items() if i < size}
    inputs = [i for i in graph.inputs if i < size]
    return nodes, graph.is_constant[:size], graph.shapes[:size], inputs, names, dict(graph.sizes), graph.objective


def unpacked_graph(data: tuple[Any, ...]) -> Graph:
    """The graph of `packed_graph`, to be read and not to be added to."""
    nodes, is_constant, shapes, inputs, names, sizes, objective = data
    graph = Graph()
    for rule, places, value, settings in nodes:
        value = Fraction(*value) if isinstance(value, tuple) else value
        graph.nodes.append(Node(rule, tuple(places), value, tuple(settings)))
    graph.is_constant, graph.shapes, graph.inputs = list(is_constant), list(shapes), list(inputs)
    graph.names, graph.sizes, graph.objective, graph.has_axes = dict(names), dict(sizes), objective, any(shapes)
    return graph


class Ready:
    """A plan at a place, ready to run; `then` changes the result of every call."""

    def __init__(self, place: Place, plan: Plan, then: Callable[[Any], Any] | None = None) -> None:
        self.objective, self.size = plan.objective, plan.size
        self.registers: list[Any] = [None] * plan.size
        for i, value in plan.numbers.items():
            self.registers[i] = value
        if plan.made:
            # All at once, since a tensor takes a while to make.
            self.registers += place.tensor([plan.numbers[j] for j in plan.made]).unbind()
        known: dict[Any, Callable[..., Any]] = {}
        self.calls: list[tuple[int, Callable[..., Any], tuple[int, ...]]] = []
        for out, rule, inputs, settings in plan.calls:
            if settings is None:
                call = elementwise(place, rule)
            elif settings:
                call = call_of(place, rule, settings)
            elif (call := known.get(rule)) is None:  # type: ignore[assignment]
                call = known[rule] = call_of(place, rule)
            self.calls.append((out, call if then is None else _then(call, then), inputs))
        self._last_read: list[list[int]] = []

    def run(self, given: Mapping[int, Any]) -> list[Any]:
        """The value of every node, with tensors for the inputs; None for what nobody needs.

        Raises Refused where PyTorch cannot compute a node.
        """
        values = self._filled(given)
        out = self.objective
        try:
            for out, call, inputs in self.calls:
                values[out] = call(*[values[j] for j in inputs])
        except RuntimeError as error:
            raise Refused(out, str(error).splitlines()[0]) from None
        return values[: self.size]

    def result(self, given: Mapping[int, Any]) -> Any:
        """The value of the objective alone: what nobody reads again is dropped, so that its memory is free."""
        values = self._filled(given)
        for (out, call, inputs), ends in zip(self.calls, self._ends(), strict=True):
            values[out] = call(*[values[j] for j in inputs])
            for j in ends:
                values[j] = None
        return values[self.objective]

    def _filled(self, given: Mapping[int, Any]) -> list[Any]:
        values = self.registers.copy()
        for i, value in given.items():
            # An input behind the objective is read by nobody.
            if i < self.size:
                values[i] = value
        return values

    def _ends(self) -> list[list[int]]:
        """By call the registers that no later one reads; found when they are first asked for."""
        if not self._last_read:
            last: dict[int, int] = {}
            for k, (_, _, inputs) in enumerate(self.calls):
                last.update(dict.fromkeys(inputs, k))
            last.pop(self.objective, None)
            self._last_read = [[] for _ in self.calls]
            for register, k in last.items():
                self._last_read[k].append(register)
        return self._last_read


def _then(call: Callable[..., Any], change: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda *inputs: change(call(*inputs))
