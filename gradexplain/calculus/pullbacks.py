"""The vector-Jacobian products of the rule tables, built with whatever a builder makes: formulas, tensors, numbers.

The same expression of a row is written out for the reader, run on tensors and evaluated with many digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from gradexplain.calculus.builder import Builder, matmul, swapped
from gradexplain.calculus.templates import PHRASES, Template, is_exception, partial, template
from gradexplain.language.graph import CONSTANT, INPUT, Graph, Node
from gradexplain.rules.shapes import Shape, axes, times
from gradexplain.rules.table import RULES

T = TypeVar("T")


class Pullback(Generic[T]):
    """The vector-Jacobian product of one node with respect to one of its tensors.

    `values` are those of the node's inputs, `out` is its own, `upstream` the gradient of the objective by it.
    """

    def __init__(
        self, builder: Builder[T], graph: Graph, node: Node, slot: int, values: Sequence[T], out: T, upstream: T
    ) -> None:
        self._begin(builder, node, slot, values, graph.settings(node))
        self.upstream = upstream
        self.env |= {"out": out, "g": upstream}
        # In a product with a batch of matrices, a vector is a matrix of one row or column.
        self.is_lifted = [node.rule == "matmul" and len(self._shape(k)) == 1 for k in range(len(values))]
        for name, k, place in (("a", 0, 0), ("b", 1, 1)):
            if any(self.is_lifted) and self.is_lifted[k]:
                self.env[name] = builder.apply("unsqueeze", (self.values[k],), (place,))
                rank = len(builder.shape(upstream))
                self.env["g"] = builder.apply("unsqueeze", (upstream,), (rank - 1 + place,))

    def _begin(self, builder: Builder[T], node: Node, slot: int, values: Sequence[T], settings: dict[str, Any]) -> None:
        self.builder, self.node, self.slot = builder, node, slot
        self.values, self.settings = list(values), settings
        self.env: dict[str, Any] = dict(zip("abcdefgh", self.values, strict=False))
        if RULES[node.rule].classes:
            settings["dim"] = 1 if len(self._shape(0)) > 1 else 0
        if "normalized_shape" in settings:
            settings["dim"] = tuple(range(-len(settings["normalized_shape"]), 0))

    def _shape(self, slot: int) -> Shape:
        return self.builder.shape(self.values[slot])

    def local(self) -> T:
        """The local derivative of a scalar rule, elementwise."""
        return self._evaluate(partial(self.node.rule, self.slot))

    def value(self) -> T:
        """The contribution to the gradient of the input, with the input's own shape."""
        rule = RULES[self.node.rule]
        if rule.partials:
            found = self.builder.apply("mul", (self.upstream, self.local()))
        else:
            text = rule.pullbacks[0 if rule.any_number else self.slot]
            found = self._evaluate(template(text))
            if self.is_lifted[self.slot : self.slot + 1] == [True]:
                found = self.builder.apply("squeeze", (found,), (len(self.builder.shape(found)) - 2 + self.slot,))
        return self.fit(found, self._shape(self.slot))

    def kink(self) -> T:
        """What is 0 just where the derivative may not exist."""
        rule = RULES[self.node.rule]
        return self._evaluate(template(rule.kink))

    def documented(self) -> T:
        """What is true where PyTorch does what the row documents."""
        documented = RULES[self.node.rule].documented
        assert documented is not None
        return self._evaluate(template(documented.condition))

    def fit(self, value: T, wanted: Shape) -> T:
        """The value summed over the axes along which the input was broadcast."""
        shape = self.builder.shape(value)
        if shape == wanted:
            return value
        extra = len(shape) - len(wanted)
        if extra > 0:
            value = self.builder.apply("sum", (value,), (_axes(range(extra)), False))
            shape = self.builder.shape(value)
        stretched = [k for k, size in enumerate(wanted) if size == 1 and k < len(shape) and shape[k] != 1]
        if stretched and len(shape) == len(wanted):
            value = self.builder.apply("sum", (value,), (_axes(stretched), True))
        if self.builder.shape(value) != wanted:
            value = self.builder.apply("expand_as", (value, self.values[self.slot]))
        return value

    def _evaluate(self, template: Template) -> T:
        made: list[Any] = []
        for node in template.graph.nodes[: template.root + 1]:
            arguments = [made[j] for j in node.inputs]
            settings = tuple(self.settings[s] if isinstance(s, str) else s for s in node.settings)
            if node.rule == INPUT:
                made.append(self._named(str(node.value)))
            elif node.rule == CONSTANT:
                made.append(self.builder.number(node.value))
            elif node.rule in PHRASES:
                made.append(getattr(self, node.rule)(*arguments, *settings))
            elif node.rule == "matmul":
                made.append(matmul(self.builder, *arguments))
            elif getattr(self.builder, "generic", False) and is_exception(template.graph, node):
                made.append(arguments[2])
            else:
                made.append(self.builder.apply(node.rule, arguments, settings))
        return made[template.root]  # type: ignore[no-any-return]

    def _named(self, name: str) -> T:
        """What a name in a row stands for; a setting in the place of a tensor is a number."""
        if name == "count":
            return self._count()
        return self.env[name] if name in self.env else self.builder.number(self.settings[name])

    def _count(self) -> T:
        """How many elements were reduced to one."""
        shape = self._shape(0)
        return self.builder.size(times(shape[k] for k in axes(self.settings["dim"], len(shape))))

    def restored(self, value: T) -> T:
        """A result of the reduction with the axes that are gone put back, of length 1."""
        shape = self._shape(0)
        if self.settings.get("keepdim") or self.settings.get("dim") is None or not shape:
            return value
        for k in sorted(axes(self.settings["dim"], len(shape))):
            value = self.builder.apply("unsqueeze", (value,), (k,))
        return value

    def reduced(self, value: T) -> T:
        """The losses of all elements as one number, where the setting says so."""
        kind = self.settings["reduction"]
        return value if kind == "none" else self.builder.apply(kind, (value,), (None, False))

    def averaged(self, value: T) -> T:
        """Divided by the number of losses where they are averaged."""
        if self.settings["reduction"] != "mean":
            return self._rows(value)
        shape = self._shape(0)
        if RULES[self.node.rule].classes:
            shape = (*shape[:1], *shape[2:]) if len(shape) > 1 else ()
        count = times(shape)
        return value if count == 1 else self.builder.apply("div", (value, self.builder.size(count)))

    def _rows(self, value: T) -> T:
        """An upstream gradient for each row, in the place of the classes."""
        if RULES[self.node.rule].classes and self.settings["reduction"] == "none" and len(self._shape(0)) > 1:
            return self.builder.apply("unsqueeze", (value,), (1,))
        return value

    def _probabilities(self) -> bool:
        return self._shape(0) == self._shape(1)

    def target(self, value: T) -> T:
        """The probability of each class: as given, or 1 for the class that is named."""
        if self._probabilities():
            return value
        place = self.settings["dim"]
        hot = self.builder.apply("one_hot", (value,), (self._shape(0)[place],))
        rank = len(self._shape(0))
        if rank > 2:
            order = (0, rank - 1, *range(1, rank - 1))
            hot = self.builder.apply("permute", (hot,), (order,))
        return hot

    def target_sum(self, value: T, dim: int) -> T:
        """The sum of the probabilities of all classes."""
        if self._probabilities():
            return self.builder.apply("sum", (value,), (dim, True))
        return self.builder.number(1)

    def target_gradient(self, scores: T, target: T) -> T:
        """What flows to probabilities that were given."""
        return self.builder.apply("neg", (self.builder.apply("log_softmax", (scores,), (self.settings["dim"],)),))

    def part_of_cat(self, value: T, dim: int) -> T:
        """The part of the gradient that belongs to one of the joined tensors."""
        place = axes(dim, len(self._shape(0)))[0]
        lengths: list[Any] = [self._shape(k)[place] for k in range(len(self.values))]
        start = sum(lengths[: self.slot])
        return self.builder.apply("slice", (value,), (place, start, start + lengths[self.slot], 1))

    def part_of_stack(self, value: T, dim: int) -> T:
        """The part of the gradient that belongs to one of the stacked tensors."""
        place = axes(dim, len(self._shape(0)) + 1)[0]
        return self.builder.apply("select", (value,), (place, self.slot))

    def unpermuted(self, value: T, dims: Any) -> T:
        """The axes in the order in which they were before."""
        order = axes(dims, len(self._shape(0)))
        return self.builder.apply("permute", (value,), (tuple(sorted(range(len(order)), key=order.__getitem__)),))

    def product(self, one: T, other: T) -> T:
        """The outer product of two vectors, or of the columns of two matrices, summed."""
        if len(self.builder.shape(other)) == 1:
            return self.builder.apply("outer", (one, other))
        return matmul(self.builder, one, swapped(self.builder, other))

    def symmetric(self, value: T) -> T:
        """The symmetric part of a matrix."""
        total = self.builder.apply("add", (value, swapped(self.builder, value)))
        return self.builder.apply("div", (total, self.builder.number(2)))

    def each(self, value: T) -> T:
        """A number for each matrix of a batch, with two axes put behind."""
        for _ in range(2 if len(self._shape(0)) > 2 else 0):
            value = self.builder.apply("unsqueeze", (value,), (len(self.builder.shape(value)),))
        return value

    def diagonal_like(self, value: T, whole: T) -> T:
        """The matrix with the shape of another that has a vector as its diagonal."""
        rows, columns = self.builder.shape(whole)
        value = self.builder.apply("diag", (value,))
        if rows == columns:
            return value
        assert isinstance(rows, int) and isinstance(columns, int)
        longer = 0 if rows > columns else 1
        missing = (rows - columns, columns) if rows > columns else (rows, columns - rows)
        return self.builder.apply("cat", (value, self.builder.apply("zeros", (), (missing,))), (longer,))

    def eye_like(self, value: T) -> T:
        """The unit matrix with the shape of another."""
        return self.builder.apply("eye", (), (self.builder.shape(value)[-1],))

    def swapped(self, value: T) -> T:
        """The last two axes swapped."""
        return swapped(self.builder, value)


class Defined(Pullback[T]):
    """The result of a rule that is not elementwise, by its definition; it needs no node."""

    def __init__(self, builder: Builder[T], rule: str, values: Sequence[T], settings: tuple[Any, ...]) -> None:
        names = [name for name, *_ in RULES[rule].settings]
        self._begin(builder, Node(rule), 0, values, dict(zip(names, settings, strict=True)))

    def result(self, definition: str = "") -> T:
        """What the definition gives, that of the rule where it is left out."""
        return self._evaluate(template(definition or RULES[self.node.rule].definition))


def _axes(found: Sequence[int]) -> Any:
    """Axes as a setting: a single one as a number."""
    return found[0] if len(found) == 1 else tuple(found)
