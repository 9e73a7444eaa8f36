"""Sums over axes, parts of tensors, and axes of length 1: how formulas with them are tidied."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from gradexplain.calculus.products import Factors
from gradexplain.rules.shapes import Shape, axes, broadcast, times

if TYPE_CHECKING:
    from gradexplain.calculus.algebra import Algebra

# A vector of up to so many elements is written as a list where some of them are put in.
LISTED = 8
ELEMENTWISE = frozenset(("add", "sub", "mul", "div", "neg", "pow", "sqrt"))
FUNCTIONS = frozenset(("exp", "log", "sin", "cos", "tanh", "sigmoid", "relu", "heaviside", "abs", "sign"))
REDUCTIONS = frozenset(("sum", "mean", "amax", "amin", "logsumexp", "norm", "var"))
Change = Callable[["Algebra", list[int], list[Any]], int | None]


def loosened(algebra: Algebra, nodes: tuple[int, ...]) -> tuple[int, ...]:
    """The inputs of an elementwise operation without leading axes of length 1 that broadcasting puts back."""
    found = list(nodes)
    for k, node in enumerate(nodes):
        shape = algebra.shape(node)
        others = broadcast([algebra.shape(i) for j, i in enumerate(found) if j != k])
        if shape and shape[0] == 1 and len(others) >= len(shape):
            loose = _loose(algebra, node)
            found[k] = node if loose is None else loose
    return tuple(found)


def without_ones(algebra: Algebra, node: int) -> int:
    """A term of a sum without the ones that spread it: the sum as a whole is spread where it has to be."""
    if algebra.is_rule(node, "ones"):
        return algebra.graph.constant(1)
    if not algebra.is_rule(node, "mul"):
        return node
    one, other = algebra.graph.nodes[node].inputs
    return one if algebra.is_rule(other, "ones") else node


def _loose(algebra: Algebra, node: int) -> int | None:
    """A node without leading axes of length 1; None where they cannot be left out simply."""
    shape = algebra.shape(node)
    if not shape or shape[0] != 1:
        return node
    if node in algebra.atoms:
        return None
    rule, inputs, _, _ = algebra.graph.nodes[node]
    if rule == "unsqueeze" and algebra.settings(node)[0] == 0:
        return inputs[0]
    if rule in REDUCTIONS:
        settings = algebra.graph.settings(algebra.graph.nodes[node])
        gone = axes(settings["dim"], len(shape)) if settings["keepdim"] else ()
        if gone and gone == tuple(range(len(gone))):
            plain = None if len(gone) == len(shape) else settings["dim"]
            return algebra.make(rule, inputs, tuple({**settings, "dim": plain, "keepdim": False}.values()))
    if rule in ELEMENTWISE:
        parts = [_loose(algebra, i) for i in inputs]
        if None not in parts:
            return algebra.apply(rule, *parts)  # type: ignore[arg-type]
    return None


def _reduced(rule: str) -> Change:
    """Factors that are the same along the axes stand in front; ones are counted."""

    def change(algebra: Algebra, inputs: list[int], settings: list[Any]) -> int | None:
        (node,), (dim, keepdim) = inputs, settings
        shape = algebra.shape(node)
        if not shape:
            return node
        gone = axes(dim, len(shape))
        if dim is not None and (len(gone) == len(shape) and not keepdim):
            return algebra.make(rule, (node,), (None, keepdim))
        if _is_centered(algebra, node, gone):
            return algebra.graph.constant(0)
        terms = algebra.terms(node)
        if len(terms) > 1 and any(_is_centered(algebra, base, gone) for _, factors in terms for base in factors):
            parts = [algebra.spread(algebra.build(*term), shape) for term in terms]
            return algebra.total([algebra.make(rule, (part,), (dim, keepdim)) for part in parts])
        _, factors = algebra.product(node)
        if any(algebra.is_rule(base, "ones") for base in factors):
            rest = {base: exponent for base, exponent in factors.items() if not algebra.is_rule(base, "ones")}
            return _of_ones(algebra, rule, algebra.build(Fraction(1), rest), shape, gone, keepdim)
        return _taken_out(algebra, rule, factors, shape, gone, keepdim)

    return change


def _is_centered(algebra: Algebra, node: int, gone: tuple[int, ...]) -> bool:
    """Whether a node is `x - mean(x)`, by whatever name: along the axes of that mean it adds up to 0."""
    graph = algebra.graph
    rule, inputs, _, _ = graph.nodes[node]
    if rule != "sub":
        return False
    mean = graph.nodes[inputs[1]]
    mean = graph.nodes[mean.inputs[0]] if mean.rule == "identity" else mean
    if mean.rule != "mean" or mean.inputs[0] != inputs[0]:
        return False
    rank = len(graph.shapes[inputs[0]])
    keepdim, along = graph.settings(mean)["keepdim"], axes(graph.settings(mean)["dim"], rank)
    # Without its axes, the mean must be broadcast along those.
    return along == gone and (bool(keepdim) or along == tuple(range(len(along))))


def _of_ones(algebra: Algebra, rule: str, inner: int, shape: Shape, gone: tuple[int, ...], keepdim: bool) -> int:
    """The sum of something that is spread to a shape by ones."""
    own = algebra.shape(inner)
    skip = len(shape) - len(own)
    along = tuple(k - skip for k in gone if k >= skip)
    if along:
        inner = algebra.make(rule, (inner,), (along[0] if len(along) == 1 else along, keepdim))
    lost = [shape[k] for k in gone if k < skip or own[k - skip] != shape[k]]
    if rule == "mean" or not lost:
        return inner
    return algebra.apply("mul", algebra.graph.size(times(lost)), inner)


def _taken_out(
    algebra: Algebra, rule: str, factors: Factors, shape: Shape, gone: tuple[int, ...], keepdim: bool
) -> int | None:
    outside, inside = dict[int, Any](), dict[int, Any]()
    for base, exponent in factors.items():
        own = algebra.shape(base)
        skip = len(shape) - len(own)
        there = [k - skip for k in gone if k >= skip]
        if any(own[k] != 1 or shape[k + skip] == 1 for k in there):
            inside[base] = exponent
            continue
        for k in sorted(there, reverse=True) if not keepdim else ():
            base = algebra.make("squeeze", (base,), (k,))
        if algebra.is_rule(base, "squeeze"):
            inside[base] = exponent
            return None
        outside[base] = exponent
    if not outside or not inside:
        return None
    inner = algebra.build(Fraction(1), inside)
    skip = len(shape) - len(algebra.shape(inner))
    along = tuple(k - skip for k in gone)
    reduced = algebra.make(rule, (inner,), (along[0] if len(along) == 1 else along, keepdim))
    return algebra.combine((*outside.items(), (reduced, 1)))


def _same_shape(algebra: Algebra, inputs: list[int], settings: list[Any]) -> int | None:
    node, other = inputs
    if algebra.is_rule(node, "reshape", "reshape_as", "flatten"):
        return algebra.make("reshape_as", (algebra.graph.nodes[node].inputs[0], other))
    return node if algebra.shape(node) == algebra.shape(other) else None


def _put_in(algebra: Algebra, inputs: list[int], settings: list[Any]) -> int | None:
    """An element put into a short vector of zeros is a list."""
    into, element = inputs
    shape = algebra.shape(into)
    if algebra.number(element) == 0 and algebra.number(into) == 0:
        return algebra.graph.constant(0)
    if algebra.number(into) != 0 or len(shape) != 1 or not isinstance(shape[0], int) or shape[0] > LISTED:
        return None
    zero = algebra.graph.constant(0)
    return algebra.make("stack", [element if k == settings[1] % shape[0] else zero for k in range(shape[0])], (0,))


def _part(rule: str) -> Change:
    """A part of what was joined is what was joined, through elementwise operations as well."""

    def change(algebra: Algebra, inputs: list[int], settings: list[Any]) -> int | None:
        (node,), (dim, index, *more) = inputs, settings
        kind, parts, _, along = algebra.graph.nodes[node]
        if node in algebra.atoms:
            return None
        if kind == "stack" and rule == "select" and along[0] == dim:
            return int(parts[index])
        if kind == "cat" and rule == "slice" and along[0] == dim and index is not None:
            ends = [algebra.shape(part)[dim] for part in parts]
            starts = [sum(ends[:k]) for k in range(len(ends))]
            bounds = [(start, start + size) for start, size in zip(starts, ends, strict=True)]
            if more[1] == 1 and (index, more[0]) in bounds:
                return int(parts[bounds.index((index, more[0]))])
        if algebra.shape(node) and kind in ELEMENTWISE | FUNCTIONS:
            changed = [_through(algebra, rule, part, algebra.shape(node), settings) for part in parts]
            if None not in changed:
                return algebra.apply(kind, *changed)  # type: ignore[arg-type]
        return None

    return change


def _through(algebra: Algebra, rule: str, part: int, shape: Shape, settings: list[Any]) -> int | None:
    """The part of one input of an elementwise operation; None where it is no simpler than the input."""
    if not algebra.shape(part):
        return part
    if algebra.shape(part) != shape:
        return None
    found = algebra.make(rule, (part,), tuple(settings))
    return None if algebra.is_rule(found, rule) and algebra.graph.nodes[found].inputs[0] == part else found


PART_CHANGES: dict[str, Change] = {
    "sum": _reduced("sum"), "mean": _reduced("mean"), "reshape_as": _same_shape, "expand_as": _same_shape,
    "select_scatter": _put_in, "select": _part("select"), "slice": _part("slice"),
}  # fmt: skip
