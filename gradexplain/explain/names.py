"""What nodes are called, and each node and local derivative written over those names."""

from __future__ import annotations

from collections.abc import Mapping

from gradexplain.calculus.algebra import Algebra
from gradexplain.calculus.templates import partial
from gradexplain.language.graph import INPUT, Graph
from gradexplain.language.text import write

# Where the characters begin that stand for names in a pattern; they are private, so no name contains them.
_FIRST_MARK = 0xE000
# What is longer is not likely to come again in the same shape.
_LONGEST_SHAPE = 100


class Names:
    """The names of all nodes: those the person gave, the inputs, and v1, v2 … for the rest, in evaluation order.

    >>> from gradexplain.language.parse import parse
    >>> Names(parse("(y - (w*x+b))**2")).of
    {0: 'y', 1: 'w', 2: 'x', 3: 'v1', 4: 'b', 5: 'v2', 6: 'v3', 8: 'L'}
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.of: dict[int, str] = dict(graph.names)
        taken = {str(graph.nodes[i].value) for i in graph.inputs} | set(graph.names.values())
        needed = graph.needed()
        count = 0
        ordered: dict[int, str] = {}
        for i, node in enumerate(graph.nodes):
            if node.rule == INPUT:
                ordered[i] = str(node.value)
            elif i in self.of:
                ordered[i] = self.of[i]
            elif needed[i] and not graph.is_constant[i]:
                count += 1
                while f"v{count}" in taken:
                    count += 1
                ordered[i] = f"v{count}"
        self.of = ordered
        self._patterns: dict[tuple[object, ...], str] = {}
        self._expressions: dict[int, str] = {}

    def expression(self, i: int) -> str:
        """The node over the names of the nodes that it reads, such as `v1 + b`."""
        found = self._expressions.get(i)
        if found is None:
            found = self._expressions[i] = self._simple(i) or self.written(i, self.of)
        return found

    def _simple(self, i: int) -> str:
        """The node over its inputs where all of them have names and no two are the same, as most have; else empty."""
        rule, inputs, _, _ = self.graph.nodes[i]
        called = [self.of[j] for j in inputs if j in self.of]
        if not called or len({*called}) != len(inputs):
            return ""
        key = (rule, self.graph.spelling.get(i))
        pattern = self._patterns.get(key)
        if pattern is None:
            marks = {j: chr(_FIRST_MARK + place) for place, j in enumerate(inputs)}
            pattern = self._patterns[key] = _fillable(write(self.graph, i, marks), len(inputs))
        return pattern.format(*called)

    def written(self, i: int, named: Mapping[int, str]) -> str:
        """The node over the nodes in `named` and the inputs, as `write` has it; nodes of one shape share a pattern."""
        nodes = self.graph.nodes
        leaves: dict[int, int] = {}
        shape: list[object] = []
        stack = [i]
        while stack and len(shape) < _LONGEST_SHAPE:
            j = stack.pop()
            rule, inputs, value, _ = nodes[j]
            if rule == INPUT or (j in named and j != i):
                shape.append(leaves.setdefault(j, len(leaves)))
            else:
                shape += (rule, value, self.graph.spelling.get(j))
                stack += inputs
        if stack:
            return write(self.graph, i, named)
        key = tuple(shape)
        pattern = self._patterns.get(key)
        if pattern is None:
            marks = {j: chr(_FIRST_MARK + place) for j, place in leaves.items()}
            pattern = self._patterns[key] = _fillable(write(self.graph, i, marks), len(leaves))
        return pattern.format(*[named[j] if j in named else nodes[j].value for j in leaves])

    def inputs(self, i: int) -> tuple[str, ...]:
        """The nodes that node `i` reads, by name; a constant part that has none is written out."""
        called = [self.of[j] if j in self.of else write(self.graph, j, self.of) for j in self.graph.nodes[i].inputs]
        return tuple(called)

    def local(self, i: int, slot: int) -> str:
        """The local derivative of node `i` with respect to its input `slot`, over the names of nodes: `2*v3`."""
        rule, inputs, _, _ = self.graph.nodes[i]
        called = [self.of.get(j) for j in inputs]
        key = (rule, slot, *[None if j in self.of else j for j in inputs]) if None in called else (rule, slot)
        pattern = self._patterns.get(key)
        if pattern is None:
            pattern = self._patterns[key] = _fillable(self._pattern(i, slot), len(inputs) + 1)
        return pattern.format(*called, self.of[i])

    def _pattern(self, i: int, slot: int) -> str:
        node = self.graph.nodes[i]
        graph = Graph()
        bindings = {}
        for place, (letter, j) in enumerate(zip("abcd", node.inputs, strict=False)):
            named = j in self.of
            bindings[letter] = graph.input(chr(_FIRST_MARK + place)) if named else copy_constant(self.graph, j, graph)
        bindings["out"] = graph.input(chr(_FIRST_MARK + len(node.inputs)))
        algebra = Algebra(graph)
        return write(graph, algebra.instantiate(partial(node.rule, slot), bindings), {})


def _fillable(pattern: str, places: int) -> str:
    """A pattern with marks, made ready for as many names to be put in by `format`."""
    pattern = pattern.replace("{", "{{").replace("}", "}}")
    for place in range(places):
        pattern = pattern.replace(chr(_FIRST_MARK + place), f"{{{place}}}")
    return pattern


def copy_constant(source: Graph, root: int, target: Graph) -> int:
    """The constant node `root` of one graph, made again in another."""
    return source.rebuilt(root, {}, target.constant, target.apply)
