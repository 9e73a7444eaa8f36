"""The shape of the result of every rule for tensors, from the shapes of its inputs and its settings.

Each function raises ShapeProblem where shapes do not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradexplain.rules.shape_parts import described, matrix_of
from gradexplain.rules.shapes import (
    Settings,
    Shape,
    ShapeProblem,
    axes,
    broadcast,
    times,
    write_shape,
)


def reduced(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape that is left when the axes `dim` are reduced to one number each."""
    shape = shapes[0]
    gone = axes(settings.get("dim"), len(shape))
    if settings.get("keepdim"):
        return tuple(1 if k in gone else size for k, size in enumerate(shape))
    return tuple(size for k, size in enumerate(shape) if k not in gone)


def same(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape of the input, whose axis `dim` must exist."""
    if settings.get("dim") is not None:
        axes(settings["dim"], len(shapes[0]))
    return shapes[0]


def elementwise(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape to which all inputs broadcast."""
    return broadcast(shapes)


def loss(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """A single number, or with the reduction `none` one for each element."""
    shape = broadcast(shapes)
    if settings.get("reduction") not in ("mean", "sum", "none"):
        raise ShapeProblem(f"the reduction {settings.get('reduction')} is unknown", "it is mean, sum or none")
    if len(shapes) > 1 and shapes[0] != shapes[1]:
        raise ShapeProblem(
            f"the input has the shape {write_shape(shapes[0])} and the target {write_shape(shapes[1])}",
            "give both the same shape; PyTorch only warns, and compares every element with every other one",
        )
    return shape if settings["reduction"] == "none" else ()


def square(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape of the input, a square matrix."""
    shape = matrix_of(shapes[0])
    if shape[-1] != shape[-2]:
        raise ShapeProblem(f"this needs a square matrix, not {write_shape(shape)}")
    return shape


def of_square(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """A number for each square matrix."""
    return square(shapes, settings)[:-2]


def at_least_matrix(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape of the input, which is a matrix."""
    return matrix_of(shapes[0])


def matmul(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape of a matrix product, as PyTorch has it for vectors, matrices and batches of them."""
    one, other = shapes
    if not one or not other:
        single = "{0}" if not one else "{1}"
        raise ShapeProblem("a matrix product needs vectors or matrices, and one side is a single number",
                           f"write * to multiply, or give a shape, such as --shape {single}=3x3")  # fmt: skip
    inner, outer = one[-1], other[-2 if len(other) > 1 else -1]
    if inner != outer:
        raise ShapeProblem(
            f"the shapes {write_shape(one)} and {write_shape(other)} do not fit for @: "
            f"{inner} columns meet {outer} rows",
            _product_hint(one, other),
        )
    batch = broadcast([one[:-2], other[:-2]])
    return (*batch, *one[-2:-1], *(other[-1:] if len(other) > 1 else ()))


def _product_hint(one: Shape, other: Shape) -> str:
    if len(one) >= 2 and len(other) == 2 and one[-1] == other[-1]:
        return "did you mean {0} @ {1}.T?"
    if len(one) == 2 and one[0] == other[-2 if len(other) > 1 else -1]:
        return "did you mean {0}.T @ {1}?"
    if len(one) == 1 and len(other) == 2 and one[0] == other[1]:
        return "did you mean {1} @ {0}?"
    if one == other:
        return "did you mean {0}*{1}, element by element?"
    return "the last axis of the left side must be as long as the first of the right side"


def outer(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """Each element of one vector with each of the other."""
    if len(shapes[0]) != 1 or len(shapes[1]) != 1:
        raise ShapeProblem(f"outer needs two vectors, not {described(shapes[0])} and {described(shapes[1])}")
    return shapes[0] + shapes[1]


def kron(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The sizes multiplied, axis by axis."""
    if len(shapes[0]) != len(shapes[1]):
        raise ShapeProblem("kron needs two matrices or two vectors")
    return tuple(times(pair) for pair in zip(*shapes, strict=True))


def solve(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape of x in `a @ x = b`."""
    square(shapes[:1], settings)
    if not shapes[1] or shapes[1][0 if len(shapes[1]) == 1 else -2] != shapes[0][-1]:
        raise ShapeProblem(
            f"solve needs as many rows on both sides, not {write_shape(shapes[0])} and {write_shape(shapes[1])}"
        )
    return shapes[1]


def filled(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape in the setting `shape`."""
    return tuple(settings["shape"])


def classes(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """One number, or with the reduction `none` one for each row; the classes are in the last axis but for a batch."""
    scores, target = shapes
    if not scores:
        raise ShapeProblem("the scores must be a vector, or a matrix with a row for each example")
    if target == scores:
        rows = (*scores[:1], *scores[2:]) if len(scores) > 1 else ()
    elif target == ((*scores[:1], *scores[2:]) if len(scores) > 1 else ()):
        rows = target
    else:
        wanted = write_shape((*scores[:1], *scores[2:]) if len(scores) > 1 else ())
        raise ShapeProblem(
            f"the scores have the shape {write_shape(scores)}, and the target {write_shape(target)}",
            f"give a class for each row ({wanted}), or a probability for each class ({write_shape(scores)})",
        )
    return rows if settings["reduction"] == "none" else ()


def one_hot(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """A row of 0 and a single 1 for each class."""
    return (*shapes[0], settings["num_classes"])


ShapeRule = Callable[[Sequence[Shape], Settings], Shape]
