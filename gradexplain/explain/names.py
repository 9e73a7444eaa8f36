"""What nodes are called, and each node and local derivative written over those names."""

from __future__ import annotations

from gradexplain.language.algebra import Algebra
from gradexplain.language.graph import CONSTANT, INPUT, Graph
from gradexplain.language.templates import partial
from gradexplain.language.text import write

# Characters that stand for out, a, b, c, d in a pattern; they are private, so no name contains them.
_OUT, _MARKS = "\ue000", "\ue001\ue002\ue003\ue004"


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
        needed = graph.ancestors([graph.objective])
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
            rule, inputs, _ = self.graph.nodes[i]
            called = [self.of.get(j) for j in inputs]
            # Which inputs are the same node, or have no name, matters: `x*x`, `a*b` and `2*b` are different patterns.
            plain = None not in called and len(set(inputs)) == len(inputs)
            key = (rule, self.graph.spelling.get(i), *(() if plain else self._shape(inputs)))
            pattern = self._patterns.get(key)
            if pattern is None:
                marks = {j: mark for mark, j in zip(_MARKS, inputs, strict=False) if j in self.of}
                pattern = self._patterns[key] = _fillable(write(self.graph, i, marks))
            found = self._expressions[i] = pattern.format(None, *called)
        return found

    def _shape(self, inputs: tuple[int, ...]) -> list[int]:
        """For each input the node where it has no name, else where among the inputs it stands first."""
        return [-1 - inputs.index(j) if j in self.of else j for j in inputs]

    def inputs(self, i: int) -> tuple[str, ...]:
        """The nodes that node `i` reads, by name; a constant part that has none is written out."""
        called = [self.of[j] if j in self.of else write(self.graph, j, self.of) for j in self.graph.nodes[i].inputs]
        return tuple(called)

    def local(self, i: int, slot: int) -> str:
        """The local derivative of node `i` with respect to its input `slot`, over the names of nodes: `2*v3`."""
        rule, inputs, _ = self.graph.nodes[i]
        called = [self.of.get(j) for j in inputs]
        key = (rule, slot, *[None if j in self.of else j for j in inputs]) if None in called else (rule, slot)
        pattern = self._patterns.get(key)
        if pattern is None:
            pattern = self._patterns[key] = _fillable(self._pattern(i, slot))
        return pattern.format(self.of[i], *called)

    def _pattern(self, i: int, slot: int) -> str:
        node = self.graph.nodes[i]
        graph = Graph()
        bindings = {}
        for letter, mark, j in zip("abcd", _MARKS, node.inputs, strict=False):
            bindings[letter] = graph.input(mark) if j in self.of else copy_constant(self.graph, j, graph)
        bindings["out"] = graph.input(_OUT)
        algebra = Algebra(graph)
        return write(graph, algebra.instantiate(partial(node.rule, slot), bindings), {})


def _fillable(pattern: str) -> str:
    """A pattern with marks, made ready for names to be put in by `format`."""
    pattern = pattern.replace("{", "{{").replace("}", "}}")
    for place, mark in enumerate((_OUT, *_MARKS)):
        pattern = pattern.replace(mark, f"{{{place}}}")
    return pattern


def copy_constant(source: Graph, root: int, target: Graph) -> int:
    """The constant node `root` of one graph, made again in another."""
    made: dict[int, int] = {}
    for i, node in enumerate(source.nodes[: root + 1]):
        if node.rule == CONSTANT:
            made[i] = target.constant(node.value)  # type: ignore[arg-type]
        elif source.is_constant[i] and all(j in made for j in node.inputs):
            made[i] = target.apply(node.rule, *[made[j] for j in node.inputs])
    return made[root]
