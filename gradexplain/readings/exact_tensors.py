"""The exact reading of formulas on tensors: both rule tables with 50 digits and more, on arrays of mpmath's numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradexplain.language.backward import Walk, reverse
from gradexplain.language.graph import CONSTANT, INPUT
from gradexplain.language.pullbacks import Pullback
from gradexplain.language.rules import RULES
from gradexplain.language.shapes import axes as axes_of
from gradexplain.language.tensor_graph import Setting, TensorGraph
from gradexplain.language.tensor_rules import TENSOR_RULES
from gradexplain.readings.arithmetic import NAN, constant, exactly, finite, mp, to_float
from gradexplain.readings.compiled import function
from gradexplain.readings.exact_arrays import (
    Array,
    along,
    cholesky_of,
    elementwise,
    expand,
    matmul,
    permute,
    reduce,
    rows_of,
    solve_matrix,
    swap,
    taken,
    total,
    unit,
)

DIGITS = 80
# So many elements and products are worth exact arithmetic: about a fifth of a second.
MAX_WORK = 20_000
_WITH_KINK = frozenset(rule.name for rule in RULES.values() if rule.kink) | {"where"}


def work(graph: TensorGraph) -> float:
    """About how many numbers the forward and backward pass compute."""
    result = 0.0
    for i, node in enumerate(graph.nodes):
        shape = graph.shapes[i]
        inner = [graph.shapes[j][-1] for j in node.inputs[:1] if graph.shapes[j]] if TENSOR_RULES.get(node.rule) else []
        sizes = [size if isinstance(size, int) else graph.sizes.get(size, 1) for size in (*shape, *inner)]
        result += math.prod(sizes)
    return result


class ExactBuilder:
    """Makes arrays of exact numbers. `sizes` has the number for every size that has a name."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = sizes

    def number(self, value: Any) -> Array:
        """A number, exact where it is a fraction."""
        if isinstance(value, str) and value in self.sizes:
            return Array((), [mp.mpf(self.sizes[value])])
        return Array((), [constant(value) if not isinstance(value, (int, float)) else exactly(float(value))])

    def size(self, size: int | str) -> Array:
        """The number of a size."""
        return self.number(_length(size, self.sizes))

    def shape(self, value: Array) -> tuple[int, ...]:
        """The shape of an array."""
        return value.shape

    def apply(self, rule: str, inputs: Sequence[Array], settings: tuple[Any, ...] = ()) -> Array:
        """The result of a rule of either table."""
        if rule in TENSOR_RULES:
            plain = [tuple(_length(s, self.sizes) for s in value) if isinstance(value, tuple) else value for value in settings]
            return _CALLS[rule](*inputs, *plain)
        return elementwise(function(rule), *inputs)

    def forward(self, graph: TensorGraph, given: Mapping[int, Array], last: int) -> list[Any]:
        """The value of every node up to `last`; those that nobody needs are None."""
        needed = graph.ancestors([last, *[i for i in graph.names if i < last]])
        values: list[Any] = []
        for i, node in enumerate(graph.nodes[: last + 1]):
            if not needed[i] or isinstance(node.value, Setting):
                values.append(None)
            elif node.rule == INPUT:
                values.append(given[i])
            elif node.rule == CONSTANT:
                values.append(self.number(node.value))
            else:
                values.append(self.apply(node.rule, [values[j] for j in graph.tensors(node)], tuple(graph.settings(node).values())))
        return values


def _length(size: Any, sizes: Mapping[str, int]) -> Any:
    if not isinstance(size, str):
        return size
    return math.prod(int(part) if part.isdigit() else sizes[part] for part in size.split("*"))


class _Reading:
    """Exact arrays for the reverse walk."""

    def __init__(self, builder: ExactBuilder, graph: TensorGraph, values: Sequence[Any], seed: Array) -> None:
        self.builder, self.graph, self.values, self._seed = builder, graph, values, seed

    def seed(self) -> Array:
        return self._seed

    def contribution(self, i: int, slot: int, upstream: Array) -> tuple[Array | None, Array]:
        node, out = self.graph.nodes[i], self.values[i]
        inputs = [self.values[j] for j in self.graph.tensors(node)]
        pullback = Pullback(self.builder, self.graph, node, slot, inputs, out, upstream)
        if node.rule in TENSOR_RULES:
            if node.rule in ("logdet", "cholesky") and not all(map(finite, out.data)):
                return None, inputs[slot].map(lambda _: NAN)
            return None, pullback.value()
        local = expand(pullback.local(), out.shape)
        kink = node.rule in _WITH_KINK
        spread = [expand(value, out.shape).data for value in inputs]
        found = []
        for k, (own, value) in enumerate(zip(local.data, out.data, strict=True)):
            # Outside of its domain a function has no derivative, whatever the formula says.
            outside = not kink and type(value) is not bool and not finite(value) and finite(own) and all(finite(other[k]) for other in spread)
            found.append(NAN if outside else own)
        local = Array(out.shape, found)
        # A branch that was not taken lets nothing through, be it not a number.
        product = [mp.zero if kink and a == 0 else function("mul")(g, a) for g, a in zip(expand(upstream, out.shape).data, found, strict=True)]
        return local, pullback.fit(Array(out.shape, product), inputs[slot].shape)

    @staticmethod
    def add(first: Array, second: Array) -> Array:
        return elementwise(function("add"), first, second)


@dataclass(frozen=True, slots=True)
class ExactTensors:
    """The exact values of all nodes, and the walk with every contribution, as arrays of exact numbers."""

    values: list[Any]
    walk: Walk[Any]


def run(graph: TensorGraph, sources: Sequence[int], given: Mapping[int, Array], seed: Array) -> ExactTensors:
    """The exact values and contributions, at DIGITS digits. `given` has the inputs, `seed` is the upstream gradient."""
    mp.dps = DIGITS
    builder = ExactBuilder(graph.sizes)
    values = builder.forward(graph, given, graph.objective)
    return ExactTensors(values, reverse(graph, sources, _Reading(builder, graph, values, seed)))


def array_of(shape: tuple[int, ...], numbers: Sequence[float]) -> Array:
    """Floats as exact numbers."""
    return Array(shape, [exactly(float(number)) for number in numbers])


def floats(array: Array) -> list[float]:
    """The elements as floats; a boolean is 0 or 1."""
    return [float(value) if type(value) is bool else to_float(value) for value in array.data]


def _dims(array: Array, dim: Any) -> tuple[int, ...]:
    return axes_of(dim, len(array.shape))


def _mul(*arrays: Array) -> Array:
    result = arrays[0]
    for array in arrays[1:]:
        result = elementwise(function("mul"), result, array)
    return result


def _largest(values: list[Any]) -> Any:
    return NAN if any(value != value for value in values) else max(values)


def _reduction(call: Callable[[list[Any]], Any]) -> Callable[..., Array]:
    return lambda a, dim, keepdim: reduce(a, _dims(a, dim), keepdim, call)


def _log_of_sum(values: list[Any]) -> Any:
    return function("log")(total(function("exp")(value) for value in values))


def _norm(p: float) -> Callable[[list[Any]], Any]:
    power = mp.mpf(p)
    if p == 2:
        return lambda values: function("sqrt")(total(value * value for value in values))
    return lambda values: function("pow")(total(function("pow")(abs(value), power) for value in values), 1 / power)


def _variance(correction: int) -> Callable[[list[Any]], Any]:
    def call(values: list[Any]) -> Any:
        mean = total(values) / len(values)
        return function("div")(total((value - mean) ** 2 for value in values), mp.mpf(len(values) - correction))

    return call


def _softmax(values: list[Any]) -> list[Any]:
    terms = [function("exp")(value) for value in values]
    whole = total(terms)
    return [function("div")(term, whole) for term in terms]


def _product(values: list[Any]) -> Any:
    result = mp.one
    for value in values:
        result = function("mul")(result, value)
    return result


def _running(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        found.append(value if not found else found[-1] + value)
    return found


def _triangle(keep: Callable[[int], bool]) -> Callable[[Array], Array]:
    def call(array: Array) -> Array:
        rows, columns = array.shape[-2:]
        return Array(array.shape, [value if keep(k % columns - k // columns % rows) else mp.zero for k, value in enumerate(array.data)])

    return call


def _matrices(call: Callable[[list[list[Any]]], list[list[Any]]]) -> Callable[[Array], Array]:
    def run(array: Array) -> Array:
        return Array(array.shape, [value for matrix in rows_of(array) for row in call(matrix) for value in row])

    return run


def _determinants(array: Array) -> Array:
    return Array(array.shape[:-2], [solve_matrix(matrix, unit(len(matrix)))[1] for matrix in rows_of(array)])


def _cofactors(matrix: list[list[Any]]) -> list[list[Any]]:
    size = len(matrix)

    def minor(i: int, j: int) -> Any:
        rest = [[value for k, value in enumerate(row) if k != j] for m, row in enumerate(matrix) if m != i]
        return (-1) ** (i + j) * (solve_matrix(rest, unit(size - 1))[1] if rest else mp.one)

    return [[minor(i, j) for j in range(size)] for i in range(size)]


def _solved(a: Array, b: Array) -> Array:
    right = Array((*b.shape, 1), b.data) if len(b.shape) == 1 else b
    data = [value for m, r in zip(rows_of(a), rows_of(right), strict=True) for row in solve_matrix(m, r)[0] for value in row]
    return Array(b.shape, data)


def _averaged(call: Callable[..., Array]) -> Callable[..., Array]:
    """A loss, reduced as its setting says."""

    def run(a: Array, b: Array, reduction: str, *settings: Any) -> Array:
        losses = call(a, b, *settings)
        if reduction == "none":
            return losses
        whole = total(losses.data)
        return Array((), [whole / len(losses.data) if reduction == "mean" else whole])

    return run


def _each(text: str) -> Callable[..., Array]:
    """A loss written in the language of the rule table, with `c` for its setting."""
    from gradexplain.readings.compiled import expression

    def run(a: Array, b: Array, *settings: Any) -> Array:
        extra = [exactly(float(value)) for value in settings]
        return elementwise(lambda *values: expression(text, 2 + len(extra))([*values, *extra]), a, b)

    return run


def _hot(b: Array, count: int) -> Array:
    return Array((*b.shape, count), [mp.one if int(value) == k else mp.zero for value in b.data for k in range(count)])


def _nll(scores: Array, b: Array) -> Array:
    place = 1 if len(scores.shape) > 1 else 0
    weights = b if b.shape == scores.shape else _hot(b, scores.shape[place])
    if b.shape != scores.shape and len(scores.shape) > 2:
        rank = len(scores.shape)
        weights = permute(weights, (0, rank - 1, *range(1, rank - 1)))
    return reduce(_mul(scores, weights), (place,), False, lambda values: -total(values))


def _cross_entropy(a: Array, b: Array) -> Array:
    return _nll(along(a, (1 if len(a.shape) > 1 else 0,), lambda values: [function("log")(v) for v in _softmax(values)]), b)


def _placed(a: Array, b: Array, dim: int, chosen: Sequence[int], single: bool) -> Array:
    """The array with a part along an axis replaced by another one."""
    place = dim % len(a.shape)
    within = {index: k for k, index in enumerate(chosen)}
    part = Array((*b.shape[:place], 1, *b.shape[place:]), b.data) if single else b
    data = list(a.data)
    from gradexplain.readings.exact_arrays import indices

    flat = dict(zip(indices(part.shape), part.data, strict=True))
    for k, index in enumerate(indices(a.shape)):
        if index[place] in within:
            data[k] = flat[(*index[:place], within[index[place]], *index[place + 1 :])]
    return Array(a.shape, data)


def _range(a: Array, dim: int, start: Any, end: Any, step: Any) -> range:
    return range(*slice(start, end, step).indices(a.shape[dim]))


def _sliced(a: Array, dim: int, *bounds: Any) -> Array:
    place, chosen = dim % len(a.shape), _range(a, dim, *bounds)
    shape = (*a.shape[:place], len(chosen), *a.shape[place + 1 :])
    return taken(a, shape, lambda index: (*index[:place], chosen[index[place]], *index[place + 1 :]))


def _selected(a: Array, dim: int, index: int) -> Array:
    place = dim % len(a.shape)
    one = index % a.shape[place]
    return taken(a, a.shape[:place] + a.shape[place + 1 :], lambda at: (*at[:place], one, *at[place:]))


def _flipped(a: Array, dims: Any) -> Array:
    gone = _dims(a, dims)
    return taken(a, a.shape, lambda index: tuple(a.shape[k] - 1 - i if k in gone else i for k, i in enumerate(index)))


def _joined(*arguments: Any) -> Array:
    *arrays, dim = arguments
    place = dim % len(arrays[0].shape)
    moved = [permute(a, [place, *[k for k in range(len(a.shape)) if k != place]]) for a in arrays]
    joined = Array((sum(a.shape[0] for a in moved), *moved[0].shape[1:]), [value for a in moved for value in a.data])
    order = list(range(1, len(joined.shape)))
    order.insert(place, 0)
    return permute(joined, order)


def _new_axis(a: Array, dim: int) -> Array:
    place = dim % (len(a.shape) + 1)
    return Array((*a.shape[:place], 1, *a.shape[place:]), a.data)


def _shaped(a: Array, shape: Sequence[int]) -> Array:
    rest = math.prod(size for size in shape if size != -1)
    return Array(tuple(len(a.data) // rest if size == -1 else size for size in shape), a.data)


def _squeezed(a: Array, dim: Any) -> Array:
    gone = _dims(a, dim)
    return Array(tuple(size for k, size in enumerate(a.shape) if size != 1 or k not in gone), a.data)


def _kron(a: Array, b: Array) -> Array:
    shape = tuple(x * y for x, y in zip(a.shape, b.shape, strict=True))
    one = taken(a, shape, lambda index: tuple(i // y for i, y in zip(index, b.shape, strict=True)))
    other = taken(b, shape, lambda index: tuple(i % y for i, y in zip(index, b.shape, strict=True)))
    return _mul(one, other)


def _kron_part(g: Array, a: Array, b: Array, left: bool) -> Array:
    sizes = tuple(size for pair in zip(a.shape, b.shape, strict=True) for size in pair)
    other = b if left else a
    for k in range(len(a.shape)):
        other = _new_axis(other, 2 * k if left else 2 * k + 1)
    return reduce(_mul(Array(sizes, g.data), other), range(1 if left else 0, len(sizes), 2), False, total)


def _others(values: list[Any]) -> list[Any]:
    return [_product(values[:k] + values[k + 1 :]) for k in range(len(values))]


def _diagonal_matrix(a: Array) -> Array:
    size = a.shape[0]
    return Array((size, size), [a.data[k // size] if k % (size + 1) == 0 else mp.zero for k in range(size * size)])


def _diagonal(a: Array) -> Array:
    size = min(a.shape[-2:])
    return taken(a, (*a.shape[:-2], size), lambda index: (*index, index[-1]))


def _layer_norm(a: Array, shape: Sequence[int], eps: float) -> Array:
    small = exactly(float(eps))

    def call(values: list[Any]) -> list[Any]:
        mean = total(values) / len(values)
        width = mp.sqrt(_variance(0)(values) + small)
        return [(value - mean) / width for value in values]

    return along(a, tuple(range(len(a.shape) - len(shape), len(a.shape))), call)


_CALLS: dict[str, Callable[..., Array]] = {
    **dict.fromkeys(("matmul", "matvec", "vecmat", "dot"), matmul),
    "outer": lambda a, b: matmul(_new_axis(a, 1), _new_axis(b, 0)),
    "kron": _kron,
    "kron_left": lambda g, a, b: _kron_part(g, a, b, True),
    "kron_right": lambda g, a, b: _kron_part(g, a, b, False),
    "transpose": swap,
    "permute": lambda a, dims: permute(a, _dims(a, dims)),
    "reshape": _shaped,
    "reshape_as": lambda a, b: Array(b.shape, a.data),
    "expand_as": lambda a, b: expand(a, b.shape),
    "flatten": lambda a, start, end: _shaped(a, (*a.shape[: start % len(a.shape)], -1, *a.shape[end % len(a.shape) + 1 :])),
    "unsqueeze": _new_axis,
    "squeeze": _squeezed,
    "flip": _flipped,
    "cat": _joined,
    "stack": lambda *args: _joined(*[_new_axis(a, args[-1]) for a in args[:-1]], args[-1] % (len(args[0].shape) + 1)),
    "select": _selected,
    "slice": _sliced,
    "select_scatter": lambda a, b, dim, index: _placed(a, b, dim, [index % a.shape[dim]], True),
    "slice_scatter": lambda a, b, dim, *bounds: _placed(a, b, dim, _range(a, dim, *bounds), False),
    "diag": _diagonal_matrix,
    "diagonal": _diagonal,
    "tril": lambda a, diagonal: _triangle(lambda offset: offset <= diagonal)(a),
    "triu": lambda a, diagonal: _triangle(lambda offset: offset >= diagonal)(a),
    "sum": _reduction(total),
    "mean": _reduction(lambda values: total(values) / len(values) if values else NAN),
    "prod": _reduction(_product),
    "prod_of_others": lambda a, dim: along(a, _dims(a, dim), _others),
    "amax": _reduction(_largest),
    "amin": _reduction(lambda values: -_largest([-value for value in values])),
    "logsumexp": _reduction(_log_of_sum),
    "softmax": lambda a, dim: along(a, _dims(a, dim), _softmax),
    "log_softmax": lambda a, dim: along(a, _dims(a, dim), lambda values: [function("log")(v) for v in _softmax(values)]),
    "norm": _reduction(_norm(2)),
    "norm_of_order": lambda a, p, dim, keepdim: reduce(a, _dims(a, dim), keepdim, _norm(p)),
    "var": lambda a, dim, correction, keepdim: reduce(a, _dims(a, dim), keepdim, _variance(correction)),
    "std": lambda a, dim, correction, keepdim: reduce(a, _dims(a, dim), keepdim, _variance(correction)).map(function("sqrt")),
    "cumsum": lambda a, dim: along(a, _dims(a, dim), _running),
    "layer_norm": _layer_norm,
    "trace": lambda a: reduce(_diagonal(a), (len(a.shape) - 2,), False, total),
    "det": _determinants,
    "cofactor": _matrices(_cofactors),
    "logdet": lambda a: _determinants(a).map(function("log")),
    "inverse": _matrices(lambda matrix: solve_matrix(matrix, unit(len(matrix)))[0]),
    "solve": _solved,
    "cholesky": _matrices(cholesky_of),
    "mse_loss": _averaged(_each("(a - b)**2")),
    "l1_loss": _averaged(_each("abs(a - b)")),
    "huber_loss": _averaged(_each("where(abs(a - b) <= c, (a - b)**2/2, c*(abs(a - b) - c/2))")),
    "smooth_l1_loss": _averaged(_each("where(abs(a - b) < c, (a - b)**2/(2*c), abs(a - b) - c/2)")),
    "binary_cross_entropy": _averaged(_each("-xlogy(b, a) - xlogy(1 - b, 1 - a)")),
    "binary_cross_entropy_with_logits": _averaged(_each("log(1 + exp(a)) - a*b")),
    "cross_entropy": _averaged(_cross_entropy),
    "nll_loss": _averaged(_nll),
    "one_hot": _hot,
    "ones_like": lambda a: a.map(lambda _: mp.one),
    "zeros_like": lambda a: a.map(lambda _: mp.zero),
    "eye": lambda n: Array((n, n), [value for row in unit(n) for value in row]),
    "ones": lambda shape: Array(tuple(shape), [mp.one] * math.prod(shape)),
    "zeros": lambda shape: Array(tuple(shape), [mp.zero] * math.prod(shape)),
}
