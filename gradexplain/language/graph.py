"""The graph of a formula: operations in evaluation order, equal subexpressions once, names the person gave."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple

from gradexplain.rules.shapes import Shape, Size, lengths
from gradexplain.rules.table import ELEMENTWISE, RULES

INPUT = "input"
CONSTANT = "constant"
SYMBOLIC_CONSTANTS = ("pi", "e")
BY_NUMBER = {rule.name: rule.by_number for rule in RULES.values() if rule.by_number}


class Node(NamedTuple):
    """One place in the graph: a rule applied to earlier nodes, an input or a constant.

    `rule` is a rule's id, or INPUT or CONSTANT; `inputs` are the numbers of the nodes it reads, all smaller than its
    own; `value` is the name of an input, the Fraction of a number, or the name of a symbolic constant or of a size;
    `settings` are the values of the arguments that are no tensors, in the order of the rule's `settings`: None, True, a
    whole number, a word, or several of them.
    """

    rule: str
    inputs: tuple[int, ...] = ()
    value: Fraction | str | None = None
    settings: tuple[Any, ...] = ()


class Graph:
    """Nodes in evaluation order. A node that already exists is found again, not made twice.

    `given` are the shapes of inputs by name; any other input is a single number, a tensor of the shape (). `inputs`
    are the numbers of all inputs, in the order in which the formula first names them; `names` are those the person
    gave, by node; `shapes` those of all nodes, and `has_axes` says whether any of them is not (); `sizes` has the
    number of every size with a name; `places` the half-open ranges of the text that nodes were read from; `spelling`
    the alias under which the person called a function; `shadowed` has the symbolic constants whose names the person
    gave to something else; `powers` are the products of equal matrices that are written as
    one power, each with the matrix and how many there are; `is_template` marks an expression of the rule table, where
    an input may stand for a condition or a setting, and shapes are not known.

    >>> graph = Graph({"A": (2, 3), "x": (3,)})
    >>> x = graph.input("x")
    >>> product = graph.apply("mul", x, x)
    >>> graph.apply("mul", x, x) == product, len(graph.nodes)
    (True, 2)
    >>> graph.shapes[graph.apply("matvec", graph.input("A"), x)]
    (2,)
    """

    def __init__(self, given: Mapping[str, Shape] = MappingProxyType({})) -> None:
        self.given = given
        self.nodes: list[Node] = []
        self.inputs: list[int] = []
        self.names: dict[int, str] = {}
        self.shapes: list[Shape] = []
        self.has_axes = False
        self.sizes: dict[str, int] = {}
        self.places: dict[int, tuple[int, int]] = {}
        self.spelling: dict[int, str] = {}
        self.shadowed: set[str] = set()
        self.powers: dict[int, tuple[int, int]] = {}
        self.is_template = False
        self.objective = -1
        self.is_constant: list[bool] = []
        self._known: dict[object, int] = {}
        self._needed: list[bool] = []
        # Whether the first nodes, so many, need tensors.
        self._is_wide, self._seen = False, 0

    def _add(self, node: Node, constant: bool, shape: Shape) -> int:
        self.nodes.append(node)
        self.is_constant.append(constant)
        self.shapes.append(shape)
        if shape:
            self.has_axes = True
        return len(self.nodes) - 1

    def input(self, name: str) -> int:
        """The number of the input called `name`."""
        found = self._known.get((INPUT, name))
        if found is None:
            node = Node(INPUT, (), name)
            found = self._known[INPUT, name] = self._add(node, False, self.given.get(name, ()))
            self.inputs.append(found)
            if name in SYMBOLIC_CONSTANTS:
                self.shadowed.add(name)
        return found

    def constant(self, value: Fraction | int | str) -> int:
        """The number of the constant `value`: a Fraction or int, one of SYMBOLIC_CONSTANTS, or the name of a size."""
        value = value if isinstance(value, str) else Fraction(value)
        found = self._known.get((CONSTANT, value))
        if found is None:
            found = self._known[CONSTANT, value] = self._add(Node(CONSTANT, (), value), True, ())
        return found

    def size(self, size: Size) -> int:
        """The node of a size: a number, a name, or a product of both."""
        if isinstance(size, int):
            return self.constant(size)
        first, *others = [self.constant(int(part) if part.isdigit() else part) for part in size.split("*")]
        for other in others:
            first = self.apply("mul", first, other)
        return first

    def apply(self, rule: str, *inputs: int, settings: tuple[Any, ...] = ()) -> int:
        """The number of the node that applies the rule with this id to the nodes `inputs`.

        Raises ShapeProblem where their shapes do not fit.
        """
        if rule in BY_NUMBER and inputs[1:] and all(self.is_constant[i] and not self.shapes[i] for i in inputs[1:]):
            rule = BY_NUMBER[rule]
        # As keys, True and 1 are equal; as text they are not.
        key = (rule, inputs, repr(settings)) if settings else (rule, inputs)
        found = self._known.get(key)
        if found is not None:
            return found
        constant, known = True, self.is_constant
        for i in inputs:
            if not known[i]:
                constant = False
                break
        node = Node(rule, inputs, None, settings)
        shape = () if rule in ELEMENTWISE and not self.has_axes else self._shape(node)
        found = self._known[key] = self._add(node, constant, shape)
        return found

    def _shape(self, node: Node) -> Shape:
        if self.is_template:
            return ()
        shapes = [self.shapes[i] for i in node.inputs]
        if node.rule in ELEMENTWISE and not any(shapes):
            return ()
        return RULES[node.rule].shape(shapes, self.settings(node))

    def settings(self, node: Node) -> dict[str, Any]:
        """The settings of a node by name."""
        if not node.settings:
            return {}
        return {name: value for (name, *_), value in zip(RULES[node.rule].settings, node.settings, strict=True)}

    def lengths(self, i: int) -> tuple[int, ...]:
        """The shape of a node in numbers."""
        return lengths(self.shapes[i], self.sizes)

    def needs_tensors(self) -> bool:
        """Whether a formula is more than operations on single numbers: it has axes, or a rule that is not elementwise.

        It is the one place where derive and train choose between their two ways.
        """
        if not self._is_wide:
            # It is asked again and again, of a graph that grows: only what is new is looked at.
            new = itertools.islice(self.nodes, self._seen, None)
            self._is_wide = self.has_axes or any(row.rule in RULES and row.rule not in ELEMENTWISE for row in new)
            self._seen = len(self.nodes)
        return self._is_wide

    def flows(self, node: Node) -> Sequence[object]:
        """For each input of a node whether a gradient can flow to it, as something true or false."""
        rule = RULES[node.rule]
        if rule.partials:
            return rule.partials
        if rule.any_number:
            return (True,) * len(node.inputs)
        picked = self.picked(node)
        if picked is None:
            return rule.pullbacks
        # Classes are no numbers that could be moved a little.
        return [flows and j != picked[0] for j, flows in zip(node.inputs, rule.pullbacks, strict=True)]

    def picked(self, node: Node) -> tuple[int, Size] | None:
        """The input of a node that holds classes, and how many classes there are; None where none does."""
        rule = RULES.get(node.rule)
        if rule is None or rule.classes is None:
            return None
        found = rule.classes([self.shapes[i] for i in node.inputs], self.settings(node))
        return found and (node.inputs[found[0]], found[1])

    def classes(self) -> dict[int, Size]:
        """The inputs whose numbers are classes and nothing else, each with how many classes there are."""
        counts: dict[int, Size] = {}
        others: set[int] = set()
        for node in self.nodes:
            picked = self.picked(node)
            if picked is not None:
                counts[picked[0]] = picked[1]
            others.update(j for j in node.inputs if picked is None or j != picked[0])
        return {i: counts[i] for i in self.inputs if i in counts and i not in others}

    def name(self, node: int, name: str, before: int = 0) -> int:
        """Give `node` a name, or have a node `identity` take it: for an input, a number, or a node that is older.

        A node is older that has a name, or was there when there were `before` nodes; it may have been written
        into statements that come before this one. Returns the number of the node that now bears the name.
        """
        if node in self.names or node < before or self.nodes[node].rule in (INPUT, CONSTANT):
            node = self._add(Node("identity", (node,)), self.is_constant[node], self.shapes[node])
        self.names[node] = name
        if name in SYMBOLIC_CONSTANTS:
            self.shadowed.add(name)
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
            rule, inputs, value, settings = self.nodes[i]
            parts = [made[j] for j in inputs]
            made[i] = constant(value) if rule == CONSTANT else apply(rule, *parts, settings=settings)
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
