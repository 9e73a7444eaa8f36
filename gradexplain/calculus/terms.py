"""Sums and choices on graphs, element by element: numbers in front, like terms joined, common factors taken out.

It never expands a bracket and never looks into a named node, so a closed form stays recognizable.
"""

from __future__ import annotations

import operator
from collections.abc import Collection
from fractions import Fraction
from typing import Any

from gradexplain.calculus.products import MAX_NUMBER_POWER, ONE, ZERO, Exponent, Factors, Products, whole
from gradexplain.calculus.templates import Template, is_exception
from gradexplain.language.graph import CONSTANT, INPUT, Graph
from gradexplain.rules.shapes import Shape

MAX_TERMS = 40
_COMPARE = {
    "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le, "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip


class Terms(Products):
    """Builds simplified nodes in `graph`; the nodes `atoms` are taken whole.

    With `generic`, a rule's own exception for one value, such as that of a power for an exponent of 0, is left out.

    >>> from gradexplain.language.text import write
    >>> algebra = Terms(Graph())
    >>> x = algebra.graph.input("x")
    >>> write(algebra.graph, algebra.apply("add", algebra.apply("mul", x, x), algebra.apply("mul", x, x)), {})
    '2*x**2'
    """

    def __init__(self, graph: Graph, atoms: Collection[int] = (), generic: bool = True) -> None:
        super().__init__(graph, atoms)
        self.generic = generic
        self._sums: set[int] = set()

    def apply(self, rule: str, *inputs: int, settings: tuple[Any, ...] = ()) -> int:
        """The node for `rule` on `inputs`, in its simplest form. Raises TooLarge."""
        if rule == "mul":
            if self.number(inputs[0]) == 1:
                return inputs[1]
            if self.number(inputs[1]) == 1:
                return inputs[0]
            return self.combine(((inputs[0], 1), (inputs[1], 1)))
        if rule == "div":
            if self.number(inputs[1]) == 0:
                return self._checked("div", *inputs)
            return self.combine(((inputs[0], 1), (inputs[1], -1)))
        if rule == "neg":
            return self.combine(((inputs[0], 1),), -ONE)
        if rule in ("add", "sub"):
            return self.sum(inputs[0], inputs[1] if rule == "add" else self.apply("neg", inputs[1]))
        if rule == "pow":
            return self._power(*inputs)
        if rule == "identity":
            return inputs[0]
        if rule == "where":
            return self._choice(inputs[0], inputs[1], inputs[2])
        numbers = [self.number(i) for i in inputs]
        if rule == "heaviside" and None not in numbers:
            a, at_zero = numbers
            return self.graph.constant(at_zero if a == 0 else int(a > 0))  # type: ignore[arg-type,operator]
        if (rule, numbers) in (("log", [ONE]), ("sin", [ZERO]), ("tanh", [ZERO])):
            return self.graph.constant(0)
        if (rule, numbers) in (("exp", [ZERO]), ("cos", [ZERO]), ("sqrt", [ONE])):
            return self.graph.constant(1)
        return self._checked(rule, *inputs)

    def spread(self, node: int, wanted: Shape) -> int:
        """The node with the shape that it must have; a single number has no other."""
        return node

    def _checked(self, rule: str, *inputs: int) -> int:
        node = self.graph.apply(rule, *inputs)
        self.size(node)
        return node

    def instantiate(self, template: Template, bindings: dict[str, int]) -> int:
        """The expression of a rule with its inputs put in. Raises TooLarge."""
        graph = template.graph
        made = {place: bindings[name] for name, place in template.places.items()}
        for i, node in enumerate(graph.nodes):
            if node.rule == CONSTANT:
                made[i] = self.graph.constant(node.value)  # type: ignore[arg-type]
            elif self.generic and is_exception(graph, node):
                condition, first, second = (made[j] for j in node.inputs)
                made[i] = self._choice(condition, first, second, generic=True)
            elif node.rule != INPUT:
                made[i] = self.apply(node.rule, *[made[j] for j in node.inputs])
        return made[template.root]

    def _choice(self, condition: int, first: int, second: int, generic: bool = False) -> int:
        if first == second:
            return first
        node = self.graph.nodes[condition]
        if node.rule in _COMPARE and condition not in self.atoms:
            difference = self._difference(*node.inputs)
            if difference is not None:
                return first if _COMPARE[node.rule](difference, 0) else second
        if generic:
            return second
        return self._checked("where", condition, first, second)

    def _difference(self, left: int, right: int) -> Fraction | None:
        """By how much `left` is larger than `right`, where that is one number for all values of the inputs."""
        joined: dict[frozenset[tuple[int, Exponent]], Fraction] = {frozenset(): ZERO}
        for node, sign in ((left, ONE), (right, -ONE)):
            for coefficient, factors in self.terms(node):
                key = frozenset(factors.items())
                joined[key] = joined.get(key, ZERO) + sign * coefficient
        return joined[frozenset()] if not any(value for key, value in joined.items() if key) else None

    def _power(self, base: int, exponent: int) -> int:
        power, value = self.exponent(exponent), self.number(base)
        if power is None or (value == 0 and power <= 0):
            return base if value == 1 else self._checked("pow", base, exponent)
        if value is not None and power.denominator == 1 and abs(power) <= MAX_NUMBER_POWER:
            return self.graph.constant(value**power.numerator)
        return self.combine(((base, whole(power)),))

    def build(self, coefficient: Fraction, factors: Factors) -> int:
        """As for all products, but a choice between something and 0 takes the other factors inside. Raises TooLarge."""
        for base, exponent in factors.items():
            node = self.graph.nodes[base]
            if node.rule == "where" and exponent == 1 and base not in self.atoms and coefficient:
                condition, *branches = node.inputs
                if any(self.number(i) == 0 for i in branches):
                    rest = self.build(coefficient, {b: e for b, e in factors.items() if b != base})
                    first, second = (self.apply("mul", i, rest) for i in branches)
                    return self._choice(condition, first, second)
        return super().build(coefficient, factors)

    def terms(self, node: int) -> list[tuple[Fraction, Factors]]:
        """The node as a sum of products, in order; a single one where it is no sum or a long one."""
        found: list[tuple[Fraction, Factors]] = []
        stack = [(node, ONE)]
        while stack:
            i, sign = stack.pop()
            rule, inputs, _, _ = self.graph.nodes[i]
            if rule in ("add", "sub") and i not in self.atoms:
                stack.append((inputs[1], sign if rule == "add" else -sign))
                stack.append((inputs[0], sign))
            else:
                coefficient, factors = self.product(i)
                found.append((coefficient * sign, factors))
            if len(found) + len(stack) > MAX_TERMS:
                return [self.product(node)]
        return found

    def sum(self, first: int, second: int) -> int:
        """The sum of two nodes: like terms joined, common factors in front, else as it stands. Raises TooLarge."""
        if self.number(first) == 0:
            return second
        if self.number(second) == 0:
            return first
        left, right = self.graph.nodes[first], self.graph.nodes[second]
        if left.rule == right.rule == "where" and left.inputs[0] == right.inputs[0]:
            one_way, other_way = (self.sum(i, j) for i, j in zip(left.inputs[1:], right.inputs[1:], strict=True))
            return self._choice(left.inputs[0], one_way, other_way)
        one, other = self.terms(first), self.terms(second)
        keys = [frozenset(factors.items()) for _, factors in one + other]
        if len(set(keys)) < len(keys):
            joined: dict[frozenset[tuple[int, Exponent]], tuple[Fraction, Factors]] = {}
            for key, (coefficient, factors) in zip(keys, one + other, strict=True):
                joined[key] = joined.get(key, (ZERO, factors))[0] + coefficient, factors
            return self._total([self.build(*term) for term in joined.values() if term[0]])
        (c1, f1), (c2, f2) = self.product(first), self.product(second)
        common = {b: min(e, f2[b]) for b, e in f1.items() if b in f2 and (e > 0) == (f2[b] > 0)}
        common = {b: e if e > 0 else max(f1[b], f2[b]) for b, e in common.items()}
        shared = min(abs(c1), abs(c2)) if abs(c1) == abs(c2) and c1 else ONE
        if common or shared != 1:
            sign = -shared if c1 < 0 and c2 < 0 else shared
            rests = [
                self.build(c / sign, {b: e - common.get(b, 0) for b, e in f.items() if e != common.get(b)})
                for c, f in ((c1, f1), (c2, f2))
            ]
            inner = self.sum(*rests)
            front = self.build(sign, common)
            return self.apply("mul", front, inner)
        return self._total([first, second])

    def _summands(self, node: int) -> list[int]:
        """The terms of a sum of this algebra's own making, so that it is written without brackets; else the node."""
        found: list[int] = []
        while node in self._sums:
            rule, inputs, _, _ = self.graph.nodes[node]
            found.append(inputs[1] if rule == "add" else self.apply("neg", inputs[1]))
            node = inputs[0]
        return [node, *found[::-1]]

    def _total(self, nodes: list[int]) -> int:
        """The nodes one after the other, a minus sign in front of a term written as subtraction."""
        if not nodes:
            return self.graph.constant(0)
        nodes = sorted(nodes, key=lambda i: self.product(i)[0] < 0) if self.product(nodes[0])[0] < 0 else nodes
        nodes = [part for node in nodes for part in self._summands(node)]
        result = nodes[0]
        for node in nodes[1:]:
            coefficient, factors = self.product(node)
            if coefficient < 0:
                result = self.graph.apply("sub", result, self.build(-coefficient, factors))
            else:
                result = self.graph.apply("add", result, node)
            self._sums.add(result)
        self.size(result)
        return result
