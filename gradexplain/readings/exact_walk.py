"""The chain rule with exact numbers and arrays of them: partials, poles, kinks, and branches that were not taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradexplain.calculus.pullbacks import Pullback
from gradexplain.language.graph import Graph, Node
from gradexplain.readings.arithmetic import DEAD, NAN, Number, count_lost, exactly, finite, mp, solid
from gradexplain.readings.compiled import expression
from gradexplain.readings.exact_arrays import Value, each, elements, shape_of
from gradexplain.readings.exact_rules import Builder
from gradexplain.rules.table import ELEMENTWISE, RULES

# A choice has the kinks of its condition.
_WITH_KINK = frozenset(rule.name for rule in ELEMENTWISE.values() if rule.kink and not rule.boolean) | {"where"}
# So many bits are no sign of rounding.
SHORT = 53


def known(value: Any) -> Value:
    """A given value as an exact one."""
    if type(value) is float:
        return exactly(value)
    return value if value is None or hasattr(value, "shape") else mp.mpf(value)


def _is_nan(value: Number) -> bool:
    return value is not None and value != value


def is_finite(value: Number) -> bool:
    """Whether an exact number is finite; a contribution that cannot flow counts as 0."""
    return value is DEAD or type(value) is bool or finite(value)


def documented(graph: Graph, values: Sequence[Value], i: int) -> list[bool]:
    """For each element that node `i` reads whether PyTorch does what its row documents; empty where it says nothing."""
    node = graph.nodes[i]
    rule = RULES.get(node.rule)
    if rule is None or rule.documented is None or values[i] is None:
        return []
    inputs = [values[j] for j in node.inputs]
    if rule.partials:
        call = expression(rule.documented.condition, len(inputs))
        return elements(each(lambda *numbers: call(numbers), *inputs))
    found = Pullback(Builder(graph.sizes), graph, node, 0, inputs, values[i], values[i]).documented()
    return elements(found)


def _judged(graph: Graph, i: int) -> Node:
    """The node whose kinks are those of node `i`: itself, or the condition of a choice."""
    node = graph.nodes[i]
    return graph.nodes[node.inputs[0]] if node.rule == "where" else node


class ExactReading:
    """Numbers and arrays of them for the reverse walk."""

    def __init__(self, graph: Graph, values: list[Value], upstream: Any, has_axes: bool) -> None:
        self.graph, self.values, self.upstream = graph, values, upstream
        self.locals: dict[tuple[str, int], Callable[[Sequence[Number]], Number]] = {}
        # The nodes that are, or read, what has axes; and what makes their vector-Jacobian products.
        self.wide: set[int] = set()
        if has_axes:
            rows = enumerate(graph.nodes[: len(values)])
            self.wide = {
                i for i, node in rows
                if node.rule not in ELEMENTWISE or any(shape_of(values[j]) for j in (i, *node.inputs))
            }  # fmt: skip
            self.builder = Builder(graph.sizes, live=True)
        # The nodes with values that are not finite: at a pole, or outside of a domain.
        self.poles = {
            i for i, value in enumerate(values)
            if value is not None and type(value) is not bool
            and not (all(map(is_finite, elements(value))) if i in self.wide else finite(value))
        }  # fmt: skip
        self.distances: dict[int, Value] = {}
        needed = graph.needed()
        places = [i for i, node in enumerate(graph.nodes[: len(values)]) if node.rule in _WITH_KINK and needed[i]]
        self.kinks: dict[int, tuple[int, ...]] = {i: (0,) for i in places if i not in self.wide and self._at_kink(i)}
        self.kinks |= {i: found for i in sorted(self.wide) if needed[i] and (found := self._places(i))}

    def _places(self, i: int) -> tuple[int, ...]:
        """The places of the elements that are at a kink of node `i`."""
        distance = self._distance(i)
        places = tuple([k for k, number in enumerate(elements(distance)) if number is not None and number == 0])
        if places:
            self.distances[i] = distance
        return places

    def _at_kink(self, i: int) -> bool:
        """Whether a number, of a rule with kinks, is at one; for a choice, where its condition changes."""
        node = _judged(self.graph, i)
        rule = RULES.get(node.rule)
        if rule is None or not rule.kink:
            return False
        distance = expression(rule.kink, len(node.inputs))([self.values[j] for j in node.inputs])
        return distance is not None and distance == 0

    def _distance(self, i: int) -> Value:
        """An array that is 0 where node `i` has a kink; None where its rule has none."""
        node, out = _judged(self.graph, i), self.values[i]
        rule = RULES.get(node.rule)
        if rule is None or not rule.kink or (rule.partials and self.graph.nodes[i].rule not in _WITH_KINK):
            return None
        inputs = [self.values[j] for j in node.inputs]
        if rule.partials:
            call = expression(rule.kink, len(inputs))
            return each(lambda *numbers: call(numbers[:-1]), *inputs, out)
        return self._pullback(i, 0, out).kink()

    def _pullback(self, i: int, slot: int, upstream: Value) -> Pullback[Value]:
        node = self.graph.nodes[i]
        inputs = [self.values[j] for j in node.inputs]
        return Pullback(self.builder, self.graph, node, slot, inputs, self.values[i], upstream)

    def seed(self) -> Value:
        return known(self.upstream)

    def contribution(self, i: int, slot: int, upstream: Value) -> tuple[Value, Value]:
        rule, inputs, _, _ = self.graph.nodes[i]
        if i in self.wide:
            return (self._spread if rule in ELEMENTWISE else self._product)(i, slot, upstream)
        values, call = self.values, self.locals.get((rule, slot))
        if call is None:
            call = self._partial(rule, slot)
        # Most operations read two numbers, and there may be a million of them.
        if len(inputs) == 2:
            numbers = [values[inputs[0]], values[inputs[1]], values[i]]
        else:
            numbers = [*[values[j] for j in inputs], values[i]]
        local = call(numbers)
        if rule in _WITH_KINK or i in self.poles:
            local = _special(rule, local, i in self.kinks, numbers[:-1], numbers[-1])
        if upstream is DEAD or local is DEAD:
            return local, DEAD
        if upstream is None or local is None:
            return local, None
        return local, upstream * local

    def _partial(self, rule: str, slot: int) -> Callable[[Sequence[Number]], Number]:
        """The local derivative of a rule as a function of its inputs and the result."""
        partials = RULES[rule].partials
        # Only a 0 that a choice writes down is a branch that was not taken; 2*a is a number, where it is 0 as well.
        self.locals[rule, slot] = call = expression(partials[slot], len(partials), rule in _WITH_KINK)
        return call

    def _spread(self, i: int, slot: int, upstream: Value) -> tuple[Value, Value]:
        """The contribution of a rule for numbers, element by element."""
        node, out = self.graph.nodes[i], self.values[i]
        inputs, call = [self.values[j] for j in node.inputs], self._partial(node.rule, slot)

        def own(at_kink: bool, *numbers: Number) -> Number:
            return _special(node.rule, call(numbers), at_kink, numbers[:-1], numbers[-1])

        local = each(own, self._mask(i), *inputs, out)
        value = each(_times, upstream, local)
        return local, self._pullback(i, slot, upstream).fit(value, shape_of(inputs[slot]))

    def _mask(self, i: int) -> Value:
        """For each element of node `i` whether it is at a kink."""
        distance = self.distances.get(i)
        return False if distance is None else each(lambda number: number == 0, distance)

    def _product(self, i: int, slot: int, upstream: Value) -> tuple[Value, Value]:
        """The vector-Jacobian product of a rule for tensors."""
        node, out = self.graph.nodes[i], self.values[i]
        if i in self.poles and not any(j in self.poles for j in node.inputs):
            # Outside of its domain a function has no derivative, whatever the formula says.
            upstream = each(lambda g, value: g if is_finite(value) else NAN, upstream, out)
        value = self._pullback(i, slot, upstream).value()
        distance = self.distances.get(i)
        if distance is not None and shape_of(distance) != shape_of(out):
            # What a row says for a kink is a choice, not a branch that was not taken.
            value = each(lambda number, away: solid(number) if away == 0 else number, value, distance)
        return None, value

    @staticmethod
    def add(first: Value, second: Value) -> Value:
        if hasattr(first, "shape"):
            return each(_plus, first, second)
        return _plus(first, second)


def _special(rule: str, local: Number, at_kink: bool, inputs: Sequence[Number], out: Number) -> Number:
    """The local derivative where the rule has kinks, or the value may not be finite."""
    if rule in _WITH_KINK and RULES[rule].kink and any(map(_is_nan, inputs)):
        return NAN
    outside = local is not None and is_finite(local) and out is not None and not is_finite(out)
    if outside and all(value is not None and is_finite(value) for value in inputs):
        # At a pole of its own, or outside of its domain, a function has no derivative, whatever the formula says.
        return NAN
    return solid(local) if at_kink else local


def _times(upstream: Number, local: Number) -> Number:
    if upstream is DEAD or local is DEAD:
        return DEAD
    if upstream is None or local is None:
        return None
    return upstream * local


def _plus(first: Number, second: Number) -> Number:
    if first is DEAD:
        return second
    if second is DEAD:
        return first
    if first is None or second is None:
        return None
    result, one, other = first + second, first._mpf_, second._mpf_
    # Short numbers, such as 1 and -1, cancel without a loss.
    if one[0] != other[0] and (one[3] > SHORT or other[3] > SHORT):
        count_lost((one, other), result._mpf_)
    return result
