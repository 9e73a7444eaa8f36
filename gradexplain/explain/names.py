"""What nodes are called, and each node and local derivative written over those names."""

from __future__ import annotations

from gradexplain.language.algebra import Algebra
from gradexplain.language.graph import CONSTANT, INPUT, Graph
from gradexplain.language.templates import partial
from gradexplain.language.text import write

# Characters that stand for a, b, c and out in a pattern; they are private, so no name contains them.
_MARKS = "\ue000\ue001\ue002\ue003\ue004"


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

    def expression(self, i: int) -> str:
        """The node over the names of the nodes that it reads, such as `v1 + b`."""
        node = self.graph.nodes[i]
        # Which inputs are the same node matters, too: `x*x` and `a*b` are different patterns.
        shape = [j if j not in self.of else -1 - node.inputs.index(j) for j in node.inputs]
        key = (node.rule, self.graph.spelling.get(i), *shape)
        pattern = self._patterns.get(key)
        if pattern is None:
            pattern = self._patterns[key] = write(self.graph, i, self._marked(i))
        return self._put_in(pattern, i)

    def _marked(self, i: int) -> dict[int, str]:
        """Marks for the names of the nodes that node `i` reads."""
        return {j: mark for mark, j in zip(_MARKS, self.graph.nodes[i].inputs, strict=False) if j in self.of}

    def _put_in(self, pattern: str, i: int) -> str:
        """The pattern with names for the marks."""
        for mark, j in zip(_MARKS, self.graph.nodes[i].inputs, strict=False):
            if j in self.of:
                pattern = pattern.replace(mark, self.of[j])
        return pattern

    def constant(self, i: int) -> str:
        """A constant part that has no name, written out."""
        return write(self.graph, i, self.of)

    def local(self, i: int, slot: int) -> str:
        """The local derivative of node `i` with respect to its input `slot`, over the names of nodes: `2*v3`."""
        node = self.graph.nodes[i]
        key = (node.rule, slot, *[j if j not in self.of else None for j in node.inputs])
        pattern = self._patterns.get(key)
        if pattern is None:
            pattern = self._patterns[key] = self._pattern(i, slot)
        return self._put_in(pattern, i).replace(_MARKS[-1], self.of[i])

    def _pattern(self, i: int, slot: int) -> str:
        node = self.graph.nodes[i]
        graph = Graph()
        bindings = {}
        for letter, mark, j in zip("abcd", _MARKS, node.inputs, strict=False):
            bindings[letter] = graph.input(mark) if j in self.of else copy_constant(self.graph, j, graph)
        bindings["out"] = graph.input(_MARKS[-1])
        algebra = Algebra(graph)
        return write(graph, algebra.instantiate(partial(node.rule, slot), bindings), {})


def copy_constant(source: Graph, root: int, target: Graph) -> int:
    """The constant node `root` of one graph, made again in another."""
    made: dict[int, int] = {}
    for i, node in enumerate(source.nodes[: root + 1]):
        if node.rule == CONSTANT:
            made[i] = target.constant(node.value)  # type: ignore[arg-type]
        elif source.is_constant[i] and all(j in made for j in node.inputs):
            made[i] = target.apply(node.rule, *[made[j] for j in node.inputs])
    return made[root]
