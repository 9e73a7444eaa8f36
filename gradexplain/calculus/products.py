"""Products on graphs: a node as a number times powers, and back, in an order that a person would choose."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection
from fractions import Fraction

from gradexplain.language.graph import INPUT, Graph

# How many parts a closed form may have, in graphs of up to so many nodes: nobody reads longer ones, and all closed
# forms of a large formula together must not cost more than the walk.
MAX_SIZES = ((150, 800), (2_000, 250))
MAX_SIZE_BEYOND = 80
MAX_POWER = 10_000
# A number is raised to a power only up to here.
MAX_NUMBER_POWER = 64
ONE = Fraction(1)
ZERO = Fraction(0)
HALF = Fraction(1, 2)
NOTHING = frozenset(("zeros_like", "zeros"))
_ARITHMETIC: dict[str, Callable[..., object]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "neg": operator.neg,
    "pow": operator.pow,
}  # fmt: skip
# The exponent of each base; whole ones are ints, which are faster.
Exponent = Fraction | int
Factors = dict[int, Exponent]


class TooLarge(Exception):
    """The expression has more operations than a closed form may have."""


class Products:
    """Takes nodes of `graph` apart into products and puts products together; the nodes `atoms` are taken whole."""

    def __init__(self, graph: Graph, atoms: Collection[int] = ()) -> None:
        self.graph, self.atoms = graph, atoms
        count = len(graph.nodes)
        self.max_size = next((size for nodes, size in MAX_SIZES if count <= nodes), MAX_SIZE_BEYOND)
        self._sizes: dict[int, int] = {}
        self._products: dict[int, tuple[Fraction, Factors]] = {}

    def number(self, node: int) -> Fraction | None:
        """The value of a node that is a number, or a fraction such as `1/3`; tensors of 0 are 0. None for any other."""
        rule, inputs, value, _ = self.graph.nodes[node]
        if node in self.atoms:
            return None
        if rule == "div" and self.graph.is_constant[node]:
            above, below = (self.graph.nodes[i].value for i in inputs)
            if isinstance(above, Fraction) and isinstance(below, Fraction) and below:
                return above / below
        if isinstance(value, Fraction):
            return value
        return ZERO if rule in NOTHING else None

    def exponent(self, node: int) -> Fraction | None:
        """The value of a node that is a number, be it written as `2**2` or `1 - 1/3`; else None."""
        graph = self.graph
        if node in self.atoms or not graph.is_constant[node]:
            return self.number(node)
        found: dict[int, Fraction] = {}
        for i in graph.inputs_first(node):
            rule, inputs, value, _ = graph.nodes[i]
            call = _ARITHMETIC.get(rule)
            if isinstance(value, Fraction):
                found[i] = value
            elif call is None or any(abs(found[j]) > MAX_NUMBER_POWER for j in inputs):
                return None
            else:
                try:
                    result = call(*[found[j] for j in inputs])
                except ZeroDivisionError:
                    return None
                if not isinstance(result, Fraction):
                    return None
                found[i] = result
        return found[node]

    def size(self, node: int) -> int:
        """How many operations, settings and leaves the text of `node` has; raises TooLarge above the limit."""
        sizes, stack = self._sizes, [node]
        while stack:
            i = stack[-1]
            made = self.graph.nodes[i]
            inputs = () if i in self.atoms else made.inputs
            missing = [j for j in inputs if j not in sizes]
            if missing:
                stack.extend(missing)
                continue
            sizes[i] = 1 + sum(sizes[j] for j in inputs)
            if made.settings and i not in self.atoms:
                sizes[i] += len(made.settings)
            if sizes[i] > self.max_size:
                raise TooLarge
            stack.pop()
        return sizes[node]

    def product(self, node: int) -> tuple[Fraction, Factors]:
        """The node as a number times powers of nodes that are no products themselves, in order."""
        known = self._products
        stack = [node]
        while stack:
            i = stack[-1]
            parts = self._factors(i)
            missing = [j for j, _ in parts if j != i and j not in known]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            value = self.number(i)
            if value is not None:
                known[i] = value, {}
            elif parts == [(i, 1)]:
                known[i] = ONE, {i: 1}
            else:
                sign = -ONE if self.graph.nodes[i].rule == "neg" else ONE
                known[i] = self._merge(parts, sign)
        return known[node]

    def _fits(self, i: int) -> bool:
        """Whether the text of node `i` is short enough to be worth taking apart."""
        try:
            return self.size(i) <= self.max_size
        except TooLarge:
            return False

    def _factors(self, i: int) -> list[tuple[int, Exponent]]:
        rule, inputs, _, _ = self.graph.nodes[i]
        if i in self.atoms or not self._fits(i):
            return [(i, 1)]
        if rule in ("mul", "div"):
            if rule == "div" and self.number(inputs[1]) == 0:
                return [(i, 1)]
            return [(inputs[0], 1), (inputs[1], 1 if rule == "mul" else -1)]
        if rule in ("neg", "identity"):
            return [(inputs[0], 1)]
        if rule == "sqrt":
            return [(inputs[0], HALF)]
        if rule == "pow" and (power := self.exponent(inputs[1])) is not None and -MAX_POWER <= power <= MAX_POWER:
            value = self.number(inputs[0])
            if value is None or (
                value != 0 and power.denominator == 1 and -MAX_NUMBER_POWER <= power <= MAX_NUMBER_POWER
            ):
                return [(inputs[0], whole(power))]
        elif rule == "pow":
            return self._power_with_sum(i, *inputs)
        return [(i, 1)]

    def _power_with_sum(self, i: int, base: int, exponent: int) -> list[tuple[int, Exponent]]:
        """`x**(n - 1)` as `x**n` times `x**-1`, so that it meets other powers of x."""
        rule, inputs, _, _ = self.graph.nodes[exponent]
        if rule in ("add", "sub") and exponent not in self.atoms:
            left, right = (self.number(j) for j in inputs)
            if right is not None and right.denominator == 1:
                shift = right.numerator if rule == "add" else -right.numerator
                return [(self.graph.apply("pow", base, inputs[0]), 1), (base, shift)]
            if left is not None and left.denominator == 1 and rule == "add":
                return [(self.graph.apply("pow", base, inputs[1]), 1), (base, left.numerator)]
        return [(i, 1)]

    def _merge(self, parts: list[tuple[int, Exponent]], number: Fraction) -> tuple[Fraction, Factors]:
        """The product of powers of known products."""
        factors: Factors = {}
        for j, power in parts:
            coefficient, inner = self._products[j]
            # A root of a product is not the product of the roots where factors are negative.
            whole = power.denominator == 1 and -MAX_POWER <= power <= MAX_POWER
            if power == 1:
                number *= coefficient
                scaled = inner
            elif (
                whole
                and (coefficient != 0 or power > 0)
                and (coefficient in (1, -1) or -MAX_NUMBER_POWER <= power <= MAX_NUMBER_POWER)
            ):
                number *= coefficient**power.numerator
                scaled = {base: exponent * power for base, exponent in inner.items()}
            elif coefficient == 1 and len(inner) == 1 and next(iter(inner.values())) == 1:
                scaled = {next(iter(inner)): power}
            else:
                scaled = {j: power}
            for base, exponent in scaled.items():
                factors[base] = factors.get(base, 0) + exponent
        return number, {base: exponent for base, exponent in factors.items() if exponent}

    def combine(self, parts: tuple[tuple[int, Exponent], ...], number: Fraction = ONE) -> int:
        """The product of powers `(node, exponent)` and a number, as a simplified node. Raises TooLarge."""
        for j, _ in parts:
            self.product(j)
        coefficient, factors = self._merge(list(parts), number)
        return self.build(coefficient, factors)

    def build(self, coefficient: Fraction, factors: Factors) -> int:
        """The node of a number times powers: the number first, then names, functions and sums. Raises TooLarge."""
        if coefficient == 0:
            return self.graph.constant(0)
        ordered = sorted(self._joined_powers(factors).items(), key=self._place)
        above = [self._raise(base, exponent) for base, exponent in ordered if exponent > 0]
        below = [self._raise(base, -exponent) for base, exponent in ordered if exponent < 0]
        top, bottom = self._split(abs(coefficient))
        if top != 1 or not above:
            above.insert(0, self.graph.constant(top))
        if bottom != 1:
            below.insert(0, self.graph.constant(bottom))
        if coefficient < 0:
            first = self.number(above[0])
            above[0] = self.graph.apply("neg", above[0]) if first is None else self.graph.constant(-first)
        node_number = self._chain(above)
        if below:
            node_number = self.graph.apply("div", node_number, self._chain(below))
        self.size(node_number)
        if node_number not in self.atoms:
            self._products[node_number] = coefficient, factors
        return node_number

    def _joined_powers(self, factors: Factors) -> Factors:
        """Factors with `x**n` and `x**-1` written as `x**(n - 1)`."""
        joined = factors
        for base, exponent in factors.items():
            rule, inputs, _, _ = self.graph.nodes[base]
            if rule != "pow" or exponent != 1 or base in self.atoms or self.number(inputs[1]) is not None:
                continue
            shift = joined.get(inputs[0])
            if isinstance(shift, int):
                moved = self.graph.constant(abs(shift))
                power = self.graph.apply("sub" if shift < 0 else "add", inputs[1], moved)
                replaced = {inputs[0]: 0, base: 0, self.graph.apply("pow", inputs[0], power): 1}
                joined = {b: e for b, e in (joined | replaced).items() if e}
        return joined

    @staticmethod
    def _split(value: Fraction) -> tuple[Fraction, int]:
        """The number above and below the line: decimals stay decimals, halves and thirds go below."""
        if value.denominator % 5 == 0:
            return value, 1
        return Fraction(value.numerator), value.denominator

    def _place(self, factor: tuple[int, Exponent]) -> tuple[int, int]:
        node = self.graph.nodes[factor[0]]
        if self.graph.is_constant[factor[0]]:
            kind = 0
        elif factor[0] in self.atoms or node.rule == INPUT:
            kind = 1
        elif node.rule in ("add", "sub"):
            kind = 3
        else:
            kind = 2
        return kind, factor[0]

    def _raise(self, base: int, exponent: Exponent) -> int:
        if exponent == 1:
            return base
        if exponent == HALF:
            return self.graph.apply("sqrt", base)
        return self.graph.apply("pow", base, self.graph.constant(exponent))

    def _chain(self, factors: list[int]) -> int:
        result = factors[0]
        for factor in factors[1:]:
            result = self.graph.apply("mul", result, factor)
        return result


def whole(value: Fraction) -> Exponent:
    """The exponent as an int where it is one."""
    return value.numerator if value.denominator == 1 else value
