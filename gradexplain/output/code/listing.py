"""What the formats of code share: the formula's graph as lines, each one operation or one contribution."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from gradexplain.calculus.algebra import Algebra, Formulas, TooLarge
from gradexplain.calculus.backward import NoNumbers, Walk, reverse
from gradexplain.calculus.pullbacks import Pullback
from gradexplain.calculus.templates import partial
from gradexplain.errors import LimitError, columns
from gradexplain.explain.names import Names, copy_constant
from gradexplain.language.graph import INPUT, Graph
from gradexplain.language.parse import parse
from gradexplain.language.text import PRECEDENCE, write
from gradexplain.output.code.spelling import Speller, Target
from gradexplain.output.derivation.lines import given_shapes
from gradexplain.output.numbers import bare, sizes
from gradexplain.records import Derivation, Value
from gradexplain.rules.table import title_for
from gradexplain.tensor import Tensor

# Rules whose local derivatives have no function and no choice in them, so that a number can go by its name.
ARITHMETIC = frozenset(("add", "sub", "mul", "div", "neg", "identity"))
WIDEST_CODE = 60
# A larger tensor is not written into a module.
MAX_WRITTEN = 200
# Where the characters begin that stand for names; they are private, so no name contains them.
_FIRST_MARK = 0xE000
_WORD = re.compile(r"[^\W\d]\w*")


class Line(NamedTuple):
    """One line: `name`, then `=` or `+=`, then `code`; `node` is what it is about, `title` a rule's plain name.

    `through` is the place of a contribution among those of its node, and -1 in the forward pass.
    """

    name: str
    operator: str
    code: str
    node: int
    title: str = ""
    through: int = -1


def free_name(wanted: str, taken: Collection[str]) -> str:
    """The name, with as many underscores after it as it takes to be none of `taken`.

    >>> free_name("torch", {"torch", "torch_"})
    'torch__'
    """
    while wanted in taken:
        wanted += "_"
    return wanted


def with_comments(lines: Iterable[tuple[str, str]]) -> list[str]:
    """Pairs of code and comment (perhaps empty) as lines; comments begin in one column, but for very long code.

    >>> with_comments([("a = b", "2"), ("long = a", "3"), ("c", "")])
    ['a = b     # 2', 'long = a  # 3', 'c']
    """
    lines = list(lines)
    widths = [columns(code) for code, comment in lines if comment]
    width = max([wide for wide in widths if wide <= WIDEST_CODE], default=0)
    return [f"{code}{' ' * max(0, width - columns(code))}  # {comment}" if comment else code for code, comment in lines]


class Naming(NamedTuple):
    """What nodes and their gradients are called in code, which gradients are wanted, and the walk that leads there."""

    names: dict[int, str]
    sources: list[int]
    walk: Walk[None]
    gradients: dict[int, str]


def naming(
    graph: Graph, shown: Mapping[int, str], derivation: Derivation, reserved: Collection[str],
    taken: Collection[str] = (),
) -> Naming:  # fmt: skip
    """The names in code: those `shown`, with underscores where one is `reserved`, and d… for gradients.

    No new name is `taken`.
    """
    used = {*shown.values(), *reserved, *taken}
    names = dict(shown)
    for i, name in shown.items():
        if name in reserved:
            names[i] = free_name(name, used)
            used.add(names[i])
    by_name = {name: i for i, name in shown.items()}
    sources = [by_name[name] for name in derivation.gradient]
    walk = reverse(graph, sources, NoNumbers())
    gradients: dict[int, str] = {}
    for i in (graph.objective, *walk.order, *sources):
        if i not in gradients:
            gradients[i] = free_name(f"d{names[i]}", used)
            used.add(gradients[i])
    return Naming(names, sources, walk, gradients)


class Listing:
    """A derivation as straight-line code for a target; without one, in the language of the formula.

    Where every operation goes element by element, a contribution is a product with the local derivative, for arrays of
    any shapes that broadcast (`is_elementwise`); elsewhere it is a vector-Jacobian product, for the shapes of the
    derivation. `names` are the names of nodes in the code, `shown` those in the record, `gradients` those of their
    gradients; `sources` are the nodes whose gradients are wanted; `reads` collects the nodes whose names were written,
    and `used` the rules.
    """

    def __init__(self, derivation: Derivation, target: Target | None = None) -> None:
        self.derivation = derivation
        self.graph = parse(derivation.source, list(derivation.inputs), given_shapes(derivation))
        self.is_elementwise = not self.graph.needs_tensors()
        self.shown = Names(self.graph).of
        named = naming(self.graph, self.shown, derivation, target.reserved if target else (), self.graph.sizes)
        self.names, self.sources, self.walk, self.gradients = named
        self.speller = Speller(self.graph, self.names, target) if target else None
        self.reads = self.speller.reads if self.speller else set[int]()
        self.used = self.speller.used if self.speller else set[str]()
        self._patterns: dict[tuple[object, ...], str] = {}

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs in the code, in the order of the formula."""
        return [self.names[i] for i in self.graph.inputs]

    def sizes(self) -> list[tuple[str, int, int, int]]:
        """Each size that has a name, with the input and the axis that has it, and its number in the derivation."""
        found: dict[str, tuple[str, int, int, int]] = {}
        for i in self.graph.inputs:
            shape = self.derivation.inputs[self.shown[i]].shape
            for axis, size in enumerate(self.graph.shapes[i]):
                if isinstance(size, str):
                    found.setdefault(size, (size, i, axis, shape[axis]))
        return list(found.values())

    def sizes_in(self, lines: Iterable[Line]) -> list[Line]:
        """A line for each size that the code of others reads."""
        words = {word for line in lines for word in _WORD.findall(line.code)}
        return [
            Line(size, "=", f"{self.names[i]}.shape[{axis}]", i) for size, i, axis, _ in self.sizes() if size in words
        ]

    def forward(self) -> list[Line]:
        """A line for each operation that the objective needs, and that is no known number."""
        assert self.speller is not None
        graph, needed = self.graph, self.graph.ancestors([self.graph.objective])
        shown = [i for i in self.names if needed[i] and graph.nodes[i].rule != INPUT and not self.speller.numbers[i]]
        like = self.inputs[0]
        return [Line(self.names[i], "=", self.speller.operation(i, like), i) for i in sorted(shown)]

    def constants(self) -> list[Line]:
        """A line for each known number with a name among `reads`, and for those that these read."""
        assert self.speller is not None
        lines: list[Line] = []
        # From the last to the first, since what one reads comes before it, and counts then.
        for i in sorted((i for i in self.names if self.speller.numbers[i]), reverse=True):
            if i in self.reads:
                lines.insert(0, Line(self.names[i], "=", self.speller.constant(i), i))
        return lines

    def backward(self, like: str = "") -> list[Line]:
        """A line for each contribution; `like` is the name of something that has the dtype."""
        lines = []
        for j in self.walk.order:
            for k, step in enumerate(self.walk.steps[j]):
                rule = self.graph.nodes[step.through].rule
                title = title_for(rule, step.slot)
                if self.is_elementwise:
                    code = f"{self.gradients[step.through]} * {self._local(step.through, step.slot, like)}"
                else:
                    code = self._product(step.through, step.slot, like)
                lines.append(Line(self.gradients[j], "+=" if k else "=", code, j, title, k))
        return lines

    def _local(self, i: int, slot: int, like: str) -> str:
        """The local derivative of a node, with a rule's exceptions for single values, in brackets where need be."""
        rule, inputs, _, _ = self.graph.nodes[i]
        named = [j in self.names and (rule in ARITHMETIC or not self.graph.is_constant[j]) for j in inputs]
        key = (rule, slot, *[None if known else j for known, j in zip(named, inputs, strict=True)])
        pattern = self._patterns.get(key)
        if pattern is None:
            graph = Graph()
            places = {
                letter: graph.input(chr(_FIRST_MARK + k)) if named[k] else copy_constant(self.graph, j, graph)
                for k, (letter, j) in enumerate(zip("abcd", inputs, strict=False))
            }
            places["out"] = graph.input(chr(_FIRST_MARK + len(inputs)))
            root = Algebra(graph, generic=False).instantiate(partial(rule, slot), places)
            text = self.speller.factor(graph, root, like) if self.speller else write(graph, root, {})
            outer, value = graph.nodes[root].rule, graph.nodes[root].value
            loose = (outer in PRECEDENCE and outer != "pow") or (value is not None and "/" in text)
            pattern = self._patterns[key] = f"({text})" if loose else text
        marked = {_FIRST_MARK + k: j for k, j in enumerate((*inputs, i)) if chr(_FIRST_MARK + k) in pattern}
        self.reads.update(marked.values())
        return pattern.translate({mark: self.names[j] for mark, j in marked.items()})

    def _product(self, i: int, slot: int, like: str) -> str:
        """The vector-Jacobian product of a node, with a rule's exceptions for single values."""
        graph, node, upstream = self.graph, self.graph.nodes[i], self.gradients[i]
        own = {self.names[k]: k for j in (*node.inputs, i) for k in self._named(j)}
        scratch = Graph({**{name: graph.shapes[j] for name, j in own.items()}, upstream: graph.shapes[i]})
        scratch.sizes = graph.sizes
        values = [self._known(scratch, j) for j in node.inputs]
        out, seed = scratch.input(self.names[i]), scratch.input(upstream)
        builder = Formulas(Algebra(scratch, generic=False))
        try:
            root = Pullback(builder, graph, node, slot, values, out, seed).value()
        except TooLarge:
            raise LimitError(f"the derivative of {self.shown[i]} is too long to be written as code") from None
        needed = scratch.ancestors([root])
        self.reads.update(
            own[name] for k in scratch.inputs if needed[k] and (name := str(scratch.nodes[k].value)) in own
        )
        return self.speller.product(scratch, root, like) if self.speller else write(scratch, root, {})

    def _known(self, scratch: Graph, root: int) -> int:
        """A tensor that a node reads, as an input of another graph, or a constant part made again there."""
        names = {j: scratch.input(self.names[j]) for j in self._named(root)}
        return names[root] if root in names else self.graph.rebuilt(root, names, scratch.constant, scratch.apply)

    def _named(self, root: int) -> list[int]:
        """The nodes with names of which a part without a name is made, or the node itself where it has one."""
        if root in self.names:
            return [root]
        parts = [root, *self.graph.inputs_first(root, self.names)]
        return list(dict.fromkeys(j for i in parts for j in self.graph.nodes[i].inputs if j in self.names))


def is_large(value: object) -> bool:
    """Whether a value is a tensor that is too large for a module."""
    return isinstance(value, Tensor) and value.count > MAX_WRITTEN


def literal(value: Value | Tensor) -> str:
    """A number or a tensor as Python reads it."""
    return bare(value) if isinstance(value, Tensor) else repr(value)


def shapes_of(derivation: Derivation) -> str:
    """The shapes of the inputs in words."""
    return ", ".join(f"{name} {sizes(derivation.shapes.get(name, ())) or '()'}" for name in derivation.inputs)


def added(lines: Iterable[Line]) -> list[Line]:
    """The lines with contributions added in new arrays: the old one may be the gradient of another node as well."""
    found = []
    for line in lines:
        code = f"({line.code})" if line.code.startswith("-") else line.code
        found.append(line if line.operator == "=" else line._replace(operator="=", code=f"{line.name} + {code}"))
    return found


def code_of(lines: Iterable[Line], indent: str) -> list[str]:
    """The lines as text; a gradient's own lines say in a comment which rule they are."""
    return with_comments((f"{indent}{line.name} {line.operator} {line.code}", line.title) for line in lines)


def module(derivation: Derivation, body: list[str], imports: list[str]) -> str:
    """A whole module: what it is about, the imports (`math` where it is used), and the body."""
    text = "\n".join(body)
    head = ['"""The formula', "", *[f"    {statement}" for statement in derivation.statements], ""]
    head += ["and its gradient, written out by the chain rule.", '"""', ""]
    head += (["import math", ""] if "math." in text else []) + [*imports, "", ""]
    # Two empty lines stand before a function or a class, one before everything else.
    head += [""] if body[0].startswith(("def ", "class ", "@")) else []
    return "\n".join(head) + text + "\n"


def tuple_of(names: Iterable[str]) -> str:
    """Names as a tuple is written.

    >>> tuple_of(["x"]), tuple_of(["x", "y"])
    ('(x,)', 'x, y')
    """
    names = list(names)
    return f"({names[0]},)" if len(names) == 1 else ", ".join(names)
