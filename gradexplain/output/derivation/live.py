"""A derivation as data for the page that recomputes it: the graph, and for each contribution its local derivative."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gradexplain.calculus.backward import NoNumbers, reverse
from gradexplain.calculus.templates import evaluated, template
from gradexplain.data.point import held_constants
from gradexplain.explain.names import Names
from gradexplain.language.graph import INPUT
from gradexplain.language.parse import parse
from gradexplain.output.derivation.lines import given_shapes
from gradexplain.readings.plan import number
from gradexplain.records import Derivation, Value, plain
from gradexplain.rules.table import RULES

# Larger derivations are shown as they are, without sliders.
MAX_LIVE_NODES = 400
TOO_MANY = "With {:,} nodes (more than {}) the page shows numbers, but does not recompute them."
STILL = "The page shows the numbers of one point: its sliders recompute operations on single numbers only."
# What an input without a value has in the beginning.
START = 1.0


class Live:
    """The data of a page; `graph` is that of the formula, and `still` a sentence where nothing is recomputed."""

    def __init__(self, derivation: Derivation) -> None:
        self.derivation = derivation
        shapes = given_shapes(derivation)
        self.graph = parse(derivation.source, list(derivation.inputs), shapes)
        self.still = self._still()
        self._locals: dict[tuple[str, int], int] = {}

    def _still(self) -> str:
        """Why the page does not recompute the numbers; empty where it does."""
        if self.derivation.has_tensors or self.graph.needs_tensors():
            return STILL
        count = len(self.graph.nodes)
        return TOO_MANY.format(count, MAX_LIVE_NODES) if count > MAX_LIVE_NODES else ""

    def data(self) -> dict[str, Any]:
        """All that the script gets, as JSON has it; next to nothing where the derivation is too large for that."""
        graph = self.graph
        if self.still:
            return {"live": False, "nodes": [], "backward": []}
        self.names = Names(graph)
        self.by_name = {name: i for i, name in self.names.of.items()}
        constants = held_constants(graph, self.derivation.source, self.derivation.dtype)
        kept = [i for i in range(len(graph.nodes)) if not graph.is_constant[i] or i in constants]
        place = {i: k for k, i in enumerate(kept)}
        nodes = [self._node(i, constants, place) for i in kept]
        backward = self._backward(place)
        rules = {graph.nodes[i].rule for i in kept}
        return {
            "live": True,
            "nodes": nodes,
            "objective": place[graph.objective],
            "upstream": self.derivation.upstream,
            "backward": backward,
            "locals": [tree(RULES[rule].partials[slot]) for rule, slot in self._locals],
            "definitions": definitions(rules),
            "kinks": {rule: tree(RULES[rule].kink) for rule in sorted(rules) if _has_kink(rule)},
            "check": {"values": list(self._values(place)), "gradients": list(self._gradients(place))},
            "differs": "The arithmetic of this page has other numbers than the derivation for",
        }

    def _node(self, i: int, constants: dict[int, float], place: dict[int, int]) -> dict[str, Any]:
        rule, inputs, _, _ = self.graph.nodes[i]
        name = self.names.of.get(i)
        if rule == INPUT:
            given = self.derivation.inputs[str(name)].value
            return {"name": name, "rule": INPUT, "inputs": [], "value": START if given is None else given}
        if i in constants:
            return {"name": name, "rule": "constant", "inputs": [], "value": constants[i]}
        return {"name": name, "rule": rule, "inputs": [place[j] for j in inputs]}

    def _backward(self, place: dict[int, int]) -> list[dict[str, Any]]:
        """The sums in the order of the backward pass, each with its contributions."""
        walk = reverse(self.graph, [self.by_name[name] for name in self.derivation.gradient], NoNumbers())
        rows = []
        for j in walk.order:
            steps = []
            for step in walk.steps[j]:
                key = (self.graph.nodes[step.through].rule, step.slot)
                steps.append({"through": place[step.through], "local": self._locals.setdefault(key, len(self._locals))})
            rows.append({"node": place[j], "steps": steps})
        return rows

    def _values(self, place: dict[int, int]) -> Iterable[list[Any]]:
        """The values that the page is to find at its own point: the exact one, or PyTorch's."""
        if not self.derivation.missing:
            for row in self.derivation.nodes:
                yield [place[self.by_name[row.node]], *self._either(row.value, row.autograd)]

    def _gradients(self, place: dict[int, int]) -> Iterable[list[Any]]:
        if not self.derivation.missing:
            for row in self.derivation.backward:
                yield [place[self.by_name[row.node]], row.partial, *self._either(row.value, row.autograd)]

    def _either(self, exact: Value, autograd: Value) -> list[Any]:
        found = [exact, autograd] if self.derivation.dtype == "float64" and autograd is not None else [exact]
        return list(plain(found))


def _has_kink(rule: str) -> bool:
    return rule in RULES and bool(RULES[rule].kink)


def tree(text: str) -> Any:
    """An expression of the rule table as a tree: a number, the name of an input, or a rule and its inputs in a list.

    >>> tree("1 - out**2")
    ['sub', 1.0, ['pow', 'out', 2.0]]
    """
    names = {name: name for name in (*"abcdefgh", "out")}
    return evaluated(text, names, lambda value: number(value, {}), lambda rule, parts: [rule, *parts])


def definitions(rules: Iterable[str]) -> dict[str, Any]:
    """The definitions of rules as trees, and of those that stand in them or in their derivatives."""
    seen: set[str] = set()
    waiting = set(rules) & RULES.keys()
    while waiting:
        seen |= waiting
        rows = [RULES[name] for name in waiting]
        texts = [text for row in rows for text in (row.definition, *row.partials, row.kink) if text]
        waiting = {node.rule for text in texts for node in template(text).graph.nodes} & RULES.keys() - seen
    return {name: tree(RULES[name].definition) for name in sorted(seen) if RULES[name].definition}
