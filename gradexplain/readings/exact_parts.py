"""Parts, axes and blocks of arrays of exact numbers: what the rules about shapes do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradexplain.readings.arithmetic import mp
from gradexplain.readings.compiled import function
from gradexplain.readings.exact_arrays import Array, elementwise, indices, permute, reduce, taken, total
from gradexplain.rules.shapes import axes as axes_of


def dims_of(array: Array, dim: Any) -> tuple[int, ...]:
    """The axes that a setting means."""
    return axes_of(dim, len(array.shape))


def product_of(*arrays: Array) -> Array:
    """The product of arrays, element by element."""
    result = arrays[0]
    for array in arrays[1:]:
        result = elementwise(function("mul"), result, array)
    return result


def placed(a: Array, b: Array, dim: int, chosen: Sequence[int], single: bool) -> Array:
    """The array with a part along an axis replaced by another one."""
    place = dim % len(a.shape)
    within = {index: k for k, index in enumerate(chosen)}
    part = Array((*b.shape[:place], 1, *b.shape[place:]), b.data) if single else b
    data = list(a.data)
    flat = dict(zip(indices(part.shape), part.data, strict=True))
    for k, index in enumerate(indices(a.shape)):
        if index[place] in within:
            data[k] = flat[(*index[:place], within[index[place]], *index[place + 1 :])]
    return Array(a.shape, data)


def range_of(a: Array, dim: int, start: Any, end: Any, step: Any) -> range:
    """The indices that a range takes of an axis."""
    return range(*slice(start, end, step).indices(a.shape[dim]))


def sliced(a: Array, dim: int, *bounds: Any) -> Array:
    """A range of one axis."""
    place, chosen = dim % len(a.shape), range_of(a, dim, *bounds)
    shape = (*a.shape[:place], len(chosen), *a.shape[place + 1 :])
    return taken(a, shape, lambda index: (*index[:place], chosen[index[place]], *index[place + 1 :]))


def selected(a: Array, dim: int, index: int) -> Array:
    """One element of an axis."""
    place = dim % len(a.shape)
    one = index % a.shape[place]
    return taken(a, a.shape[:place] + a.shape[place + 1 :], lambda at: (*at[:place], one, *at[place:]))


def flipped(a: Array, dims: Any) -> Array:
    """Axes the other way around."""
    gone = dims_of(a, dims)
    return taken(a, a.shape, lambda index: tuple(a.shape[k] - 1 - i if k in gone else i for k, i in enumerate(index)))


def joined(*arguments: Any) -> Array:
    """Arrays one after the other along an axis, which is the last argument."""
    *arrays, dim = arguments
    place = dim % len(arrays[0].shape)
    moved = [permute(a, [place, *[k for k in range(len(a.shape)) if k != place]]) for a in arrays]
    joined = Array((sum(a.shape[0] for a in moved), *moved[0].shape[1:]), [value for a in moved for value in a.data])
    order = list(range(1, len(joined.shape)))
    order.insert(place, 0)
    return permute(joined, order)


def new_axis(a: Array, dim: int) -> Array:
    """An axis of length 1 put in."""
    place = dim % (len(a.shape) + 1)
    return Array((*a.shape[:place], 1, *a.shape[place:]), a.data)


def shaped(a: Array, shape: Sequence[int]) -> Array:
    """The elements in another shape, -1 standing for what is left."""
    rest = math.prod(size for size in shape if size != -1)
    return Array(tuple(len(a.data) // rest if size == -1 else size for size in shape), a.data)


def squeezed(a: Array, dim: Any) -> Array:
    """Axes of length 1 left out."""
    gone = dims_of(a, dim)
    return Array(tuple(size for k, size in enumerate(a.shape) if size != 1 or k not in gone), a.data)


def kron(a: Array, b: Array) -> Array:
    """The Kronecker product."""
    shape = tuple(x * y for x, y in zip(a.shape, b.shape, strict=True))
    one = taken(a, shape, lambda index: tuple(i // y for i, y in zip(index, b.shape, strict=True)))
    other = taken(b, shape, lambda index: tuple(i % y for i, y in zip(index, b.shape, strict=True)))
    return product_of(one, other)


def kron_part(g: Array, a: Array, b: Array, left: bool) -> Array:
    """What flows through a Kronecker product to its left or right side."""
    sizes = tuple(size for pair in zip(a.shape, b.shape, strict=True) for size in pair)
    other = b if left else a
    for k in range(len(a.shape)):
        other = new_axis(other, 2 * k if left else 2 * k + 1)
    return reduce(product_of(Array(sizes, g.data), other), range(1 if left else 0, len(sizes), 2), False, total)


def diagonal_matrix(a: Array) -> Array:
    """A vector as a diagonal matrix."""
    size = a.shape[0]
    return Array((size, size), [a.data[k // size] if k % (size + 1) == 0 else mp.zero for k in range(size * size)])


def diagonal(a: Array) -> Array:
    """The diagonal of a matrix."""
    size = min(a.shape[-2:])
    return taken(a, (*a.shape[:-2], size), lambda index: (*index, index[-1]))
