"""What nodes are called, and each node and local derivative written over those names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gradexplain.calculus.algebra import Algebra, Formulas, TooLarge
from gradexplain.calculus.templates import partial
from gradexplain.language.graph import INPUT, Graph
from gradexplain.language.text import write
from gradexplain.rules.table import ELEMENTWISE

# Where the characters begin that stand for names in a pattern; they are private, so no name contains them.
_FIRST_MARK = 0xE000
_MARKS = re.compile("[\ue000-\U0010ffff]")
# What is longer is not likely to come again in the same shape.
_LONGEST_SHAPE = 100
UPSTREAM = "g"


# The local derivatives of rules on single numbers that have names, by rule and slot: the same in every formula.
_COMMON: dict[tuple[object, ...], str] = {}


class Names:
    """The names of all nodes: those the person gave, the inputs, and v1, v2 … for the rest, in evaluation order.

    `upstream` is what the upstream gradient is called in a vector-Jacobian product.

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
        self.upstream = UPSTREAM
        while self.upstream in taken or self.upstream in ordered.values():
            self.upstream += "_"
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
        if self.graph.has_axes:
            return ""
        rule, inputs, _, settings = self.graph.nodes[i]
        called = [self.of[j] for j in inputs if j in self.of]
        if not called or settings or len({*called}) != len(inputs):
            return ""
        key = (rule, self.graph.spelling.get(i))
        pattern = self._patterns.get(key)
        if pattern is None:
            marks = {j: chr(_FIRST_MARK + place) for place, j in enumerate(inputs)}
            pattern = self._patterns[key] = _fillable(write(self.graph, i, marks), len(inputs))
        return pattern.format(*called)

    def written(self, i: int, named: Mapping[int, str]) -> str:
        """The node over the nodes in `named` and the inputs, as `write` has it; nodes of one shape share a pattern."""
        graph, leaves = self.graph, dict[int, int]()
        shape: list[object] = []
        stack = [i]
        while stack and len(shape) < _LONGEST_SHAPE:
            j = stack.pop()
            rule, inputs, value, settings = graph.nodes[j]
            if rule == INPUT or (j in named and j != i):
                shape.append(leaves.setdefault(j, len(leaves)))
            else:
                shape += (rule, value, graph.spelling.get(j), repr(settings) if settings else graph.powers.get(j))
                stack += inputs
            if graph.has_axes:
                shape.append(graph.shapes[j])
        if stack:
            return write(graph, i, named)
        key = tuple(shape)
        pattern = self._patterns.get(key)
        if pattern is None:
            marks = {j: chr(_FIRST_MARK + place) for j, place in leaves.items()}
            pattern = self._patterns[key] = _fillable(write(graph, i, marks), len(leaves))
        return pattern.format(*[named[j] if j in named else graph.nodes[j].value for j in leaves])

    def inputs(self, i: int) -> tuple[str, ...]:
        """The nodes that node `i` reads, by name; a constant part that has none is written out."""
        called = [self.of[j] if j in self.of else write(self.graph, j, self.of) for j in self.graph.nodes[i].inputs]
        return tuple(called)

    def local(self, i: int, slot: int) -> str:
        """The local derivative of node `i` with respect to its input `slot`, over the names of nodes: `2*v3`.

        Where the rule has none element by element, or the node broadcasts this input, it is the vector-Jacobian product
        with the upstream gradient; empty where that would be too large.
        """
        graph = self.graph
        rule, inputs, _, settings = graph.nodes[i]
        called = [self.of.get(j) for j in inputs]
        key: tuple[object, ...] = (rule, slot)
        if None in called or (len(inputs) > 1 and len({*inputs}) < len(inputs)):
            # Where inputs are the same, the formula is simpler; constants stand in it as they are.
            first = _first_places(inputs)
            key += tuple([first[j] if j in self.of else -1 - j for j in inputs])
        if graph.has_axes or settings:
            key += (repr(settings), graph.shapes[i], *[graph.shapes[j] for j in inputs])
        patterns = _COMMON if len(key) == 2 else self._patterns
        pattern = patterns.get(key)
        if pattern is None:
            pattern = patterns[key] = _fillable(self._pattern(i, slot), len(inputs) + 2)
        return pattern.format(*called, self.of[i], self.upstream)

    def _pattern(self, i: int, slot: int) -> str:
        graph, node = self.graph, self.graph.nodes[i]
        count = len(node.inputs)
        out, upstream = chr(_FIRST_MARK + count), chr(_FIRST_MARK + count + 1)
        marks = {j: chr(_FIRST_MARK + k) for j, k in _first_places(node.inputs).items() if j in self.of}
        scratch = Graph({marks[j]: graph.shapes[j] for j in marks} | dict.fromkeys((out, upstream), graph.shapes[i]))
        scratch.sizes = graph.sizes
        values = [scratch.input(marks[j]) if j in marks else copy_constant(graph, j, scratch) for j in node.inputs]
        places = scratch.input(out), scratch.input(upstream)
        try:
            return write(scratch, self._local(scratch, i, slot, values, *places), {})
        except TooLarge:
            return ""

    def _local(self, scratch: Graph, i: int, slot: int, values: Sequence[int], out: int, upstream: int) -> int:
        """The local derivative as a node of another graph, which has nodes for inputs, result and upstream gradient."""
        graph, node = self.graph, self.graph.nodes[i]
        if not graph.has_axes and node.rule in ELEMENTWISE:
            bindings = {**dict(zip("abcd", values, strict=False)), "out": out}
            return Algebra(scratch).instantiate(partial(node.rule, slot), bindings)
        # Single numbers need none of it.
        from gradexplain.calculus.pullbacks import Pullback

        pullback = Pullback(Formulas(Algebra(scratch)), graph, node, slot, values, out, upstream)
        product = node.rule not in ELEMENTWISE or self.is_stretched(i, slot)
        return pullback.value() if product else pullback.local()

    def is_stretched(self, i: int, slot: int) -> bool:
        """Whether an elementwise node broadcasts this input, so that its gradient is summed back."""
        node = self.graph.nodes[i]
        return node.rule in ELEMENTWISE and self.graph.shapes[node.inputs[slot]] != self.graph.shapes[i]


def _first_places(inputs: Sequence[int]) -> dict[int, int]:
    """Where each node first stands among the inputs."""
    first: dict[int, int] = {}
    for place, j in enumerate(inputs):
        first.setdefault(j, place)
    return first


def _fillable(pattern: str, places: int) -> str:
    """A pattern with marks, made ready for as many names to be put in by `format`."""

    def place(mark: re.Match[str]) -> str:
        own = ord(mark[0]) - _FIRST_MARK
        return f"{{{own}}}" if own < places else mark[0]

    return _MARKS.sub(place, pattern.replace("{", "{{").replace("}", "}}"))


def copy_constant(source: Graph, root: int, target: Graph) -> int:
    """The constant node `root` of one graph, made again in another."""
    return source.rebuilt(root, {}, target.constant, target.apply)
