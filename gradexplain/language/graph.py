"""The graph of a formula: operations in evaluation order, equal subexpressions once, names the person gave."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from gradexplain.rules.rules import RULES

INPUT = "input"
CONSTANT = "constant"
SYMBOLIC_CONSTANTS = ("pi", "e")


class Node(NamedTuple):
    """One place in the graph: a rule applied to earlier nodes, an input or a constant.

    `rule` is a rule's id, or INPUT or CONSTANT; `inputs` are the numbers of the nodes it reads, all smaller than its
    own; `value` is the name of an input, the Fraction of a number, or the name of a symbolic constant.
    """

    rule: str
    inputs: tuple[int, ...] = ()
    value: Fraction | str | None = None


# How a tuple is made of another; the call of a named tuple does the same, but takes three times as long.
_make = tuple.__new__


class Graph:
    """Nodes in evaluation order. A node that already exists is found again, not made twice.

    `inputs` are the numbers of all inputs, in the order in which the formula first names them; `names` are those the
    person gave, by node; `places` the half-open ranges of the text that nodes were read from;
    `spelling` the alias under which the person called a function;
    `is_template` marks an expression of the rule table, where
    an input may stand for a condition or a setting.

    >>> graph = Graph()
    >>> x = graph.input("x")
    >>> product = graph.apply("mul", x, x)
    >>> graph.apply("mul", x, x) == product, len(graph.nodes)
    (True, 2)
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.inputs: list[int] = []
        self.names: dict[int, str] = {}
        self.places: dict[int, tuple[int, int]] = {}
        self.spelling: dict[int, str] = {}
        self.is_template = False
        self.objective = -1
        self.is_constant: list[bool] = []
        self._known: dict[Node, int] = {}
        self._needed: list[bool] = []

    def _add(self, node: Node, constant: bool) -> int:
        last = len(self.nodes)
        found = self._known.setdefault(node, last)
        if found == last:
            self.nodes.append(node)
            self.is_constant.append(constant)
        return found

    def input(self, name: str) -> int:
        """The number of the input called `name`."""
        found = self._add(Node(INPUT, (), name), False)
        if not self.inputs or found > self.inputs[-1]:
            self.inputs.append(found)
        return found

    def constant(self, value: Fraction | int | str) -> int:
        """The number of the constant `value`: a Fraction or int, or one of SYMBOLIC_CONSTANTS."""
        return self._add(Node(CONSTANT, (), value if isinstance(value, str) else Fraction(value)), True)

    def apply(self, rule: str, *inputs: int) -> int:
        """The number of the node that applies the rule with this id to the nodes `inputs`."""
        is_constant = self.is_constant
        for i in inputs:
            if not is_constant[i]:
                return self._add(_make(Node, (rule, inputs, None)), False)
        return self._add(_make(Node, (rule, inputs, None)), True)

    def flows(self, node: Node) -> Sequence[object]:
        """For each input of a node whether a gradient can flow to it, as something true or false."""
        return RULES[node.rule].partials

    def name(self, node: int, name: str, before: int = 0) -> int:
        """Give `node` a name, or have a node `identity` take it: for an input, a number, or a node that is older.

        A node is older that has a name, or was there when there were `before` nodes; it may have been written
        into statements that come before this one. Returns the number of the node that now bears the name.
        """
        if node in self.names or node < before or self.nodes[node].rule in (INPUT, CONSTANT):
            self.nodes.append(Node("identity", (node,)))
            self.is_constant.append(self.is_constant[node])
            node = len(self.nodes) - 1
        self.names[node] = name
        return node

    def inputs_first(self, root: int, known: Container[int] = ()) -> Iterator[int]:
        """The nodes that `root` is made of, each after its inputs, `root` last; those in `known` are passed over."""
        seen: set[int] = set()
        stack = [root]
        while stack:
            i = stack[-1]
            missing = [j for j in self.nodes[i].inputs if j not in seen and j not in known]
            if i in seen or i in known:
                stack.pop()
            elif missing:
                stack.extend(missing)
            else:
                stack.pop()
                seen.add(i)
                yield i

    def rebuilt(
        self, root: int, known: Mapping[int, int], constant: Callable[[Any], int], apply: Callable[..., int]
    ) -> int:
        """The node `root` made again elsewhere, by what makes a constant of a value and applies a rule to nodes.

        `known` has what stands for some nodes there already; inputs must be among them.
        """
        made = dict(known)
        for i in self.inputs_first(root, known):
            rule, inputs, value = self.nodes[i]
            made[i] = constant(value) if rule == CONSTANT else apply(rule, *[made[j] for j in inputs])
        return made[root]

    def needed(self) -> list[bool]:
        """For every node, whether the objective depends on it. It is found once, until the graph has grown."""
        if len(self._needed) != len(self.nodes):
            self._needed = self.ancestors([self.objective])
        return self._needed

    def ancestors(self, roots: Iterable[int]) -> list[bool]:
        """For every node, whether one of `roots` depends on it (each root on itself)."""
        found = [False] * len(self.nodes)
        for root in roots:
            found[root] = True
        for i in range(len(self.nodes) - 1, -1, -1):
            if found[i]:
                for j in self.nodes[i].inputs:
                    found[j] = True
        return found
