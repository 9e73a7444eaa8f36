"""Light algebra on graphs that keeps the person's own order: products flattened, numbers in front, like terms joined.

It never expands a bracket and never looks into a named node, so a closed form stays recognizable.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

from gradexplain.language.graph import CONSTANT, INPUT, Graph
from gradexplain.language.templates import Template

MAX_SIZE = 250
MAX_TERMS = 40
MAX_POWER = 10_000
ONE, ZERO = Fraction(1), Fraction(0)
HALF = Fraction(1, 2)
_COMPARE = {
    "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b,
}  # fmt: skip


class TooLarge(Exception):
    """The expression outgrew MAX_SIZE operations."""


# The exponent of each base; whole ones are ints, which are faster.
Exponent = Fraction | int
Factors = dict[int, Exponent]


class Algebra:
    """Builds simplified nodes in `graph`; the nodes `atoms` are taken whole.

    With `generic`, a rule's own exception for one value, such as that of a power for an exponent of 0, is left out.
    """

    def __init__(self, graph: Graph, atoms: Collection[int] = (), generic: bool = True) -> None:
        self.graph, self.atoms, self.generic = graph, atoms, generic
        self._sizes: dict[int, int] = {}
        self._products: dict[int, tuple[Fraction, Factors]] = {}

    def number(self, node: int) -> Fraction | None:
        """The value of a node that is a number, else None."""
        value = self.graph.nodes[node].value
        return value if isinstance(value, Fraction) and node not in self.atoms else None

    def size(self, node: int) -> int:
        """How many operations and leaves the text of `node` has; raises TooLarge above MAX_SIZE."""
        sizes, stack = self._sizes, [node]
        while stack:
            i = stack[-1]
            inputs = () if i in self.atoms else self.graph.nodes[i].inputs
            missing = [j for j in inputs if j not in sizes]
            if missing:
                stack.extend(missing)
                continue
            sizes[i] = 1 + sum(sizes[j] for j in inputs)
            if sizes[i] > MAX_SIZE:
                raise TooLarge
            stack.pop()
        return sizes[node]

    def apply(self, rule: str, *inputs: int) -> int:
        """The node for `rule` on `inputs`, in its simplest form. Raises TooLarge."""
        if rule == "mul":
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
            return self._choice(*inputs)
        numbers = [self.number(i) for i in inputs]
        if rule == "heaviside" and None not in numbers:
            a, at_zero = numbers
            return self.graph.constant(at_zero if a == 0 else int(a > 0))  # type: ignore[arg-type,operator]
        if (rule, numbers) in (("log", [ONE]), ("sin", [ZERO]), ("tanh", [ZERO])):
            return self.graph.constant(0)
        if (rule, numbers) in (("exp", [ZERO]), ("cos", [ZERO]), ("sqrt", [ONE])):
            return self.graph.constant(1)
        return self._checked(rule, *inputs)

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
            elif node.rule == "where" and self.generic and graph.nodes[node.inputs[0]].rule == "eq":
                made[i] = self._choice(*[made[j] for j in node.inputs], generic=True)
            elif node.rule != INPUT:
                made[i] = self.apply(node.rule, *[made[j] for j in node.inputs])
        return made[template.root]

    def _choice(self, condition: int, first: int, second: int, generic: bool = False) -> int:
        if first == second:
            return first
        node = self.graph.nodes[condition]
        if node.rule in _COMPARE and condition not in self.atoms:
            left, right = (self.number(i) for i in node.inputs)
            if left is not None and right is not None:
                return first if _COMPARE[node.rule](left, right) else second
        if generic:
            return second
        return self._checked("where", condition, first, second)

    def _power(self, base: int, exponent: int) -> int:
        power, value = self.number(exponent), self.number(base)
        if power is None or (value == 0 and power <= 0):
            return base if value == 1 else self._checked("pow", base, exponent)
        if value is not None and power.denominator == 1 and abs(power) <= 64:
            return self.graph.constant(value**power.numerator)
        return self.combine(((base, _whole(power)),))

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

    def _factors(self, i: int) -> list[tuple[int, Exponent]]:
        rule, inputs, _ = self.graph.nodes[i]
        if i in self.atoms:
            return [(i, 1)]
        if rule in ("mul", "div"):
            if rule == "div" and self.number(inputs[1]) == 0:
                return [(i, 1)]
            return [(inputs[0], 1), (inputs[1], 1 if rule == "mul" else -1)]
        if rule in ("neg", "identity"):
            return [(inputs[0], 1)]
        if rule == "pow" and (power := self.number(inputs[1])) is not None and abs(power) <= MAX_POWER:
            value = self.number(inputs[0])
            if value is None or (value != 0 and power.denominator == 1 and abs(power) <= 64):
                return [(inputs[0], _whole(power))]
        return [(i, 1)]

    def _merge(self, parts: list[tuple[int, Exponent]], number: Fraction) -> tuple[Fraction, Factors]:
        """The product of powers of known products."""
        factors: Factors = {}
        for j, power in parts:
            coefficient, inner = self._products[j]
            # A root of a product is not the product of the roots where factors are negative.
            whole = power.denominator == 1 and abs(power) <= MAX_POWER
            if power == 1:
                number *= coefficient
                scaled = inner
            elif whole and (coefficient != 0 or power > 0) and (coefficient in (1, -1) or abs(power) <= 64):
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
        ordered = sorted(factors.items(), key=self._place)
        for base, exponent in ordered:
            node = self.graph.nodes[base]
            if node.rule == "where" and exponent == 1 and base not in self.atoms:
                rest = {b: e for b, e in factors.items() if b != base}
                if any(self.number(i) == 0 for i in node.inputs[1:]):
                    branches = [self.apply("mul", i, self.build(coefficient, rest)) for i in node.inputs[1:]]
                    return self._choice(node.inputs[0], *branches)
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

    def terms(self, node: int) -> list[tuple[Fraction, Factors]]:
        """The node as a sum of products, in order; a single one where it is no sum or a long one."""
        found: list[tuple[Fraction, Factors]] = []
        stack = [(node, ONE)]
        while stack:
            i, sign = stack.pop()
            rule, inputs, _ = self.graph.nodes[i]
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
            branches = [self.sum(i, j) for i, j in zip(left.inputs[1:], right.inputs[1:], strict=True)]
            return self._choice(left.inputs[0], *branches)
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
        if common:
            sign = -ONE if c1 < 0 and c2 < 0 else ONE
            rests = [
                self.build(c * sign, {b: e - common.get(b, 0) for b, e in f.items() if e != common.get(b)})
                for c, f in ((c1, f1), (c2, f2))
            ]
            inner = self.sum(*rests)
            front = self.build(sign, common)
            return self.apply("mul", front, inner)
        return self._total([first, second])

    def _total(self, nodes: list[int]) -> int:
        """The nodes one after the other, a minus sign in front of a term written as subtraction."""
        if not nodes:
            return self.graph.constant(0)
        nodes = sorted(nodes, key=lambda i: self.product(i)[0] < 0) if self.product(nodes[0])[0] < 0 else nodes
        result = nodes[0]
        for node in nodes[1:]:
            coefficient, factors = self.product(node)
            if coefficient < 0:
                result = self.graph.apply("sub", result, self.build(-coefficient, factors))
            else:
                result = self.graph.apply("add", result, node)
        self.size(result)
        return result


def _whole(value: Fraction) -> Exponent:
    return value.numerator if value.denominator == 1 else value
