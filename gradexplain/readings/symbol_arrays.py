"""SymPy as a witness on vectors and matrices: the formula by its elements, differentiated by each element of an input.

The arrays are NumPy's, of SymPy's expressions. Nothing here comes from the exact reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import sympy

from gradexplain.calculus.pullbacks import Defined
from gradexplain.language.graph import CONSTANT, Graph
from gradexplain.readings.plan import unpacked_graph
from gradexplain.readings.symbols import Unwritable, apply_rule, constant, derivative, is_rounded, parts_of
from gradexplain.rules.shapes import axes, length, resolved
from gradexplain.rules.table import ELEMENTWISE, RULES

# An element with more parts takes SymPy too long.
MAX_PARTS = 1_000
# Determinants of larger matrices have too many terms.
MAX_SIDE = 3
# SymPy's numbers have no end: nothing needs to be taken off before an exponential.
_TEXTBOOK = {
    "logsumexp": "log(sum(exp(a), dim, keepdim))", "softmax": "exp(a)/sum(exp(a), dim, True)",
    # The derivative of a choice says nothing of where it ends, such as at a class of 0.
    "binary_cross_entropy": "reduced(-b*log(a) - (1 - b)*log(1 - a))",
}  # fmt: skip


class ArrayQuestion(NamedTuple):
    """What SymPy is asked: the partial derivatives of a formula by all elements of `sources`, as plain data.

    `graph` is the formula (see `packed_graph`); `values` are the elements of all inputs, and `constants` those of the
    constants as the dtype holds them, by node; `digits` are decimal ones.
    """

    graph: tuple[Any, ...]
    sources: list[int]
    values: dict[int, list[float]]
    constants: dict[int, float]
    digits: int


def answers(question: ArrayQuestion) -> Iterator[dict[int, list[tuple[int, int, int, int]]]]:
    """The derivatives by source, element by element, as in `symbols.answers`, but for what SymPy cannot do."""
    packed, sources, values, constants, digits = question
    graph = unpacked_graph(packed)
    symbols, point = _symbols(graph, values, digits)
    for i, value in constants.items():
        if graph.nodes[i].value is None or is_rounded(graph, i):
            symbols[i] = sympy.Symbol(f"c{i}", real=True)
            point[symbols[i]] = sympy.Float(value, digits)
    try:
        objective = _expression(graph, symbols, point)
    except (Unwritable, ValueError, TypeError, NotImplementedError):
        yield {}
        return
    found = {}
    for j in sources:
        numbers = [derivative(objective, own, point, digits) for own in _elements(symbols[j])]
        if None not in numbers:
            found[j] = [parts_of(number, digits) for number in numbers]
    yield found


def _symbols(graph: Graph, values: Mapping[int, Sequence[float]], digits: int) -> tuple[dict[int, Any], dict[Any, Any]]:
    """A symbol for each element of every input, and their numbers; classes are numbers themselves."""
    import numpy as np

    made: dict[int, Any] = {}
    point: dict[Any, Any] = {}
    classes = graph.classes()
    for i, numbers in values.items():
        own = [sympy.Symbol(f"x{i}_{k}", real=True) for k in range(len(numbers))]
        if i in classes:
            own = [sympy.Integer(int(number)) for number in numbers]
        point |= {symbol: sympy.Float(number, digits) for symbol, number in zip(own, numbers, strict=True)}
        made[i] = np.array(own, dtype=object).reshape(graph.lengths(i))[()]
    return made, point


def _expression(graph: Graph, known: Mapping[int, Any], point: Mapping[Any, Any]) -> Any:
    """The objective over symbols near a point. Raises Unwritable where it is none that SymPy has, or too large."""
    builder, made = _Expressions(graph.sizes, point), dict(known)
    for i in graph.inputs_first(graph.objective, known):
        rule, inputs, value, settings = graph.nodes[i]
        found = builder.number(value) if rule == CONSTANT else builder.apply(rule, [made[j] for j in inputs], settings)
        for own in _elements(found):
            if next(islice(sympy.preorder_traversal(own), MAX_PARTS, None), None) is not None:
                raise Unwritable
        made[i] = found
    return made[graph.objective]


def _elements(value: Any) -> list[Any]:
    return list(value.flat) if hasattr(value, "flat") else [value]


class _Expressions:
    """Makes expressions, and arrays of them, near a point, which has the numbers of all symbols.

    `sizes` has the number for every size that has a name.
    """

    def __init__(self, sizes: Mapping[str, int], point: Mapping[Any, Any]) -> None:
        self.sizes, self.point = sizes, point

    def number(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.size(value) if value in self.sizes else constant(value)
        return sympy.Rational(value)

    def size(self, size: int | str) -> Any:
        return sympy.Integer(length(size, self.sizes))

    def shape(self, value: Any) -> tuple[int, ...]:
        return getattr(value, "shape", ())

    def apply(self, rule: str, inputs: Sequence[Any], settings: tuple[Any, ...] = ()) -> Any:
        import numpy as np

        if rule in ELEMENTWISE:
            return np.frompyfunc(lambda *parts: apply_rule(rule, list(parts)), len(inputs), 1)(*inputs)
        settings = tuple([resolved(setting, self.sizes) for setting in settings])
        if rule == "amax" or rule in _ARRAYS:
            arrays: list[Any] = [np.asarray(value, dtype=object) for value in inputs]
            found = self._larger(*arrays, *settings) if rule == "amax" else _ARRAYS[rule](np, *arrays, *settings)
            return np.asarray(found, dtype=object)[()]
        text = _TEXTBOOK.get(rule, RULES[rule].definition)
        if not text:
            # Such as the factor of a matrix.
            raise Unwritable
        return Defined(self, rule, inputs, settings).result(text)


    def _larger(self, a: Any, dim: Any, keepdim: bool) -> Any:
        """The largest elements along some axes: near the point they are the same ones, since there are no ties."""
        import numpy as np

        def larger(one: Any, other: Any) -> Any:
            return one if (one - other).xreplace(self.point).evalf() >= 0 else other

        for k in sorted(axes(dim, a.ndim), reverse=True):
            a = np.frompyfunc(larger, 2, 1).reduce(a, axis=k, keepdims=keepdim)
        return a


def _part(a: Any, dim: int, place: Any) -> Any:
    return a[(*[slice(None)] * (dim % a.ndim), place)]


def _put(a: Any, b: Any, dim: int, place: Any) -> Any:
    found = a.copy()
    found[(*[slice(None)] * (dim % a.ndim), place)] = b
    return found


def _flattened(a: Any, start: int, end: int) -> Any:
    return a.reshape(*a.shape[: start % a.ndim], -1, *a.shape[end % a.ndim + 1 :]) if a.ndim else a.reshape(-1)


def _det(np: Any, a: Any) -> Any:
    """The determinant by its first row: SymPy's own would multiply out, and ask of each pivot whether it is 0."""
    if a.ndim != 2 or len(a) > MAX_SIDE:
        raise Unwritable
    return sum((-1) ** k * entry * _minor(np, a, 0, k) for k, entry in enumerate(a[0])) if len(a) else _ONE


def _minor(np: Any, a: Any, row: int, column: int) -> Any:
    return _det(np, np.delete(np.delete(a, row, 0), column, 1))


def _inverse(np: Any, a: Any) -> Any:
    det, places = _det(np, a), range(len(a))
    return np.array([[(-1) ** (i + j) * _minor(np, a, j, i) / det for j in places] for i in places], dtype=object)


_ZERO, _ONE = sympy.Integer(0), sympy.Integer(1)
# The rules that are not element by element, on NumPy's arrays; the others have a definition.
_ARRAYS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("matmul", "matvec", "vecmat", "dot"), lambda np, a, b: np.matmul(a, b)),
    "kron": lambda np, a, b: np.kron(a, b),
    "transpose": lambda np, a, one, other: a.swapaxes(one, other),
    "permute": lambda np, a, dims: a.transpose(axes(dims, a.ndim)),
    "reshape": lambda np, a, shape: a.reshape(shape),
    "reshape_as": lambda np, a, b: a.reshape(b.shape),
    "expand_as": lambda np, a, b: np.broadcast_to(a, b.shape),
    "flatten": lambda np, a, start, end: _flattened(a, start, end),
    "unsqueeze": lambda np, a, dim: np.expand_dims(a, dim),
    "squeeze": lambda np, a, dim: a.squeeze(tuple(k for k in axes(dim, a.ndim) if a.shape[k] == 1)),
    "flip": lambda np, a, dims: np.flip(a, axes(dims, a.ndim)),
    "cat": lambda np, *parts: np.concatenate(parts[:-1], parts[-1]),
    "stack": lambda np, *parts: np.stack(parts[:-1], parts[-1]),
    "select": lambda np, a, dim, index: _part(a, dim, index),
    "slice": lambda np, a, dim, *bounds: _part(a, dim, slice(*bounds)),
    "select_scatter": lambda np, a, b, dim, index: _put(a, b, dim, index),
    "slice_scatter": lambda np, a, b, dim, *bounds: _put(a, b, dim, slice(*bounds)),
    "diag": lambda np, a: np.where(np.eye(len(a), dtype=bool), a, _ZERO),
    "diag_embed": lambda np, a: np.where(np.eye(a.shape[-1], dtype=bool), a[..., None, :], _ZERO),
    **dict.fromkeys(("diagonal", "diagonals"), lambda np, a: a.diagonal(axis1=-2, axis2=-1)),
    "tril": lambda np, a, diagonal: np.where(np.tri(*a.shape[-2:], diagonal, dtype=bool), a, _ZERO),
    "triu": lambda np, a, diagonal: np.where(np.tri(*a.shape[-2:], diagonal - 1, dtype=bool), _ZERO, a),
    "sum": lambda np, a, dim, keepdim: a.sum(axes(dim, a.ndim), keepdims=keepdim),
    "prod": lambda np, a, dim, keepdim: a.prod(axes(dim, a.ndim), keepdims=keepdim),
    "cumsum": lambda np, a, dim: a.cumsum(dim),
    "trace": lambda np, a: a.trace(axis1=-2, axis2=-1),
    "det": _det,
    "inverse": _inverse,
    "solve": lambda np, a, b: _inverse(np, a) @ b,
    "one_hot": lambda np, b, count: np.where(b[..., None] == np.arange(count), _ONE, _ZERO),
    "ones_like": lambda np, a: np.full(a.shape, _ONE),
    "zeros_like": lambda np, a: np.full(a.shape, _ZERO),
    "eye": lambda np, n: np.where(np.eye(n, dtype=bool), _ONE, _ZERO),
    "ones": lambda np, shape: np.full(shape, _ONE),
    "zeros": lambda np, shape: np.full(shape, _ZERO),
}
