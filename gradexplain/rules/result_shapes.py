"""The shape of the result of every rule that is not elementwise, from the shapes of its inputs and its settings.

Each function raises ShapeProblem where shapes do not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradexplain.rules.shapes import (
    Settings,
    Shape,
    ShapeProblem,
    Size,
    axes,
    axis,
    broadcast,
    divided,
    times,
    write_shape,
)


def matrix_of(shape: Shape, what: str = "this") -> Shape:
    if len(shape) < 2:
        raise ShapeProblem(f"{what} needs a matrix, not {described(shape)}")
    return shape


def described(shape: Shape) -> str:
    return "a single number" if not shape else f"a vector of {shape[0]}" if len(shape) == 1 else write_shape(shape)


def reduced(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape that is left when the axes `dim` are reduced to one number each."""
    shape = shapes[0]
    gone = axes(settings.get("dim"), len(shape))
    if settings.get("keepdim"):
        return tuple(1 if k in gone else size for k, size in enumerate(shape))
    return tuple(size for k, size in enumerate(shape) if k not in gone)


def extreme(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The same, where there is an element to be the largest or smallest."""
    shape = shapes[0]
    if any(shape[k] == 0 for k in axes(settings.get("dim"), len(shape))):
        raise ShapeProblem("there is no largest or smallest of no elements")
    return reduced(shapes, settings)


def spread(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The same of a variance, which divides by the number of elements less the correction."""
    shape, correction = shapes[0], settings["correction"]
    count = times(shape[k] for k in axes(settings["dim"], len(shape)))
    if isinstance(count, int) and 1 < count <= correction:
        message = f"a variance of {count} elements with the correction {correction} divides by 0"
        raise ShapeProblem(message, f"correction must be less than {count}")
    return reduced(shapes, settings)


def first_of(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape of the input, in which a first largest element is marked."""
    extreme(shapes, settings)
    return shapes[0]


def normalized(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape of the input, whose last axes are those that are normalized, and those of weights and a bias."""
    wanted = tuple(settings["normalized_shape"])
    if not wanted or shapes[0][-len(wanted) :] != wanted:
        found = f"an input of the shape {write_shape(shapes[0])}"
        raise ShapeProblem(f"layer_norm over {write_shape(wanted) if wanted else '()'} does not fit {found}")
    for shape in shapes[1:]:
        if shape != wanted:
            has = write_shape(shape)
            raise ShapeProblem(f"weight and bias of layer_norm have the shape {write_shape(wanted)}, not {has}")
    return shapes[0]


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


def dot(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """A single number for two vectors of one length."""
    if any(len(shape) != 1 for shape in shapes):
        one, other = map(write_shape, shapes)
        raise ShapeProblem(f"dot takes two vectors, not {one} and {other}", "write {0} @ {1}, or sum({0}*{1})")
    return matmul(shapes, settings)


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
    if len(shapes[1]) == 1:
        return shapes[1]
    return (*broadcast([shapes[0][:-2], shapes[1][:-2]]), *shapes[1][-2:])


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


def picked(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The same of a loss that takes classes alone."""
    if shapes[0] == shapes[1] and shapes[0]:
        raise ShapeProblem(f"nll_loss takes a class for each row, not {write_shape(shapes[1])}",
                           "cross_entropy takes a probability for each class")  # fmt: skip
    return classes(shapes, settings)


def one_hot(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """A row of 0 and a single 1 for each class."""
    return (*shapes[0], settings["num_classes"])


def targets(shapes: Sequence[Shape], settings: Settings) -> tuple[int, Size] | None:
    """The target of a loss over classes and how many classes there are; None where it has probabilities."""
    scores, target = shapes
    return (1, scores[1 if len(scores) > 1 else 0]) if scores != target else None


def hot(shapes: Sequence[Shape], settings: Settings) -> tuple[int, Size]:
    """The classes that become rows, and how many there are."""
    return 0, settings["num_classes"]


def transpose(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape with two axes swapped."""
    shape = list(shapes[0])
    one, other = (axis(settings[name], len(shape)) for name in ("dim0", "dim1"))
    if shape:
        shape[one], shape[other] = shape[other], shape[one]
    return tuple(shape)


def permute(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape with its axes in another order."""
    order, dims = axes(settings["dims"], len(shapes[0])), settings["dims"]
    if (len(dims) if isinstance(dims, tuple) else 1) != len(shapes[0]):
        raise ShapeProblem(f"permute needs each of the {len(shapes[0])} axes once")
    return tuple(shapes[0][k] for k in order)


def reshape(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape asked for, -1 standing for what is left."""
    wanted, count = list(settings["shape"]), times(shapes[0])
    rest = times(size for size in wanted if size != -1)
    if -1 in wanted:
        wanted[wanted.index(-1)] = divided(count, rest)
    if -1 in wanted or times(wanted) != count:
        asked = write_shape(tuple(settings["shape"])) if settings["shape"] else "()"
        raise ShapeProblem(f"{write_shape(shapes[0])} cannot take the shape {asked}: it has {count} elements")
    return tuple(wanted)


def as_other(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape of the second input."""
    return shapes[1]


def reshaped_as(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape of the second input, which has as many elements as the first."""
    count, wanted = map(times, shapes)
    if isinstance(count, int) and isinstance(wanted, int) and count != wanted:
        raise ShapeProblem(f"{count} elements cannot have the shape {write_shape(shapes[1])}, which has {wanted}")
    return shapes[1]


def flipped(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape as it is, which has the axes `dims`."""
    axes(settings["dims"], len(shapes[0]))
    return shapes[0]


def flatten(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape with the axes from `start_dim` to `end_dim` as one."""
    shape = shapes[0] or (1,)
    start, end = (axis(settings[name], len(shape)) for name in ("start_dim", "end_dim"))
    return (*shape[:start], times(shape[start : end + 1]), *shape[end + 1 :])


def unsqueeze(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape with an axis of length 1 put in before `dim`."""
    place = axis(settings["dim"], len(shapes[0]) + 1)
    return (*shapes[0][:place], 1, *shapes[0][place:])


def squeeze(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape without its axes of length 1, or without the one in `dim`."""
    gone = axes(settings["dim"], len(shapes[0]))
    return tuple(size for k, size in enumerate(shapes[0]) if size != 1 or k not in gone)


def cat(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape of tensors one after the other along `dim`."""
    place = axis(settings["dim"], len(shapes[0]))
    for shape in shapes:
        if not shape:
            raise ShapeProblem("single numbers cannot be joined by cat", "use stack")
        if shape[:place] + shape[place + 1 :] != shapes[0][:place] + shapes[0][place + 1 :]:
            message = (
                f"the shapes {write_shape(shapes[0])} and {write_shape(shape)} cannot be joined along axis {place}"
            )
            raise ShapeProblem(message, "all other axes must be equal")
    lengths = [shape[place] for shape in shapes]
    if any(isinstance(length, str) for length in lengths):
        raise ShapeProblem("cat needs numbers for the sizes along its axis, not names")
    return (*shapes[0][:place], sum(lengths), *shapes[0][place + 1 :])  # type: ignore[arg-type]


def stack(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape of tensors of one shape behind a new axis."""
    for shape in shapes:
        if shape != shapes[0]:
            raise ShapeProblem(
                f"parts of the shapes {write_shape(shapes[0])} and {write_shape(shape)} cannot be stacked"
            )
    place = axis(settings["dim"], len(shapes[0]) + 1)
    return (*shapes[0][:place], len(shapes), *shapes[0][place:])


def select(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape without the axis from which one index is taken."""
    shape = shapes[0]
    if not shape:
        raise ShapeProblem("a single number has no elements", "give a vector or a shape, such as --shape x=3")
    place, index = axis(settings["dim"], len(shape)), settings["index"]
    size = shape[place]
    if isinstance(size, int) and not -size <= index < size:
        raise ShapeProblem(
            f"there is no element {index} in an axis of {size}", f"the first is 0, the last is {size - 1}"
        )
    return shape[:place] + shape[place + 1 :]


def sliced(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape with one axis cut to a range."""
    if not shapes[0]:
        raise ShapeProblem("a single number has no elements", "give a vector or a shape, such as --shape x=3")
    place = axis(settings["dim"], len(shapes[0]))
    size = shapes[0][place]
    if settings["step"] < 1:
        raise ShapeProblem("the step of a range is a whole number from 1 on", "flip(x, 0) turns an axis around")
    if isinstance(size, str):
        raise ShapeProblem(f"a range of the axis {size} needs its length as a number")
    length = len(range(*slice(settings["start"], settings["end"], settings["step"]).indices(size)))
    return (*shapes[0][:place], length, *shapes[0][place + 1 :])


def put_in(part: Callable[[Sequence[Shape], Settings], Shape]) -> Callable[[Sequence[Shape], Settings], Shape]:
    """The shape of what an element or a range is put into; the second input has the shape of that part."""

    def shape(shapes: Sequence[Shape], settings: Settings) -> Shape:
        whole, given = shapes
        wanted = part([whole], settings)
        if given != wanted:
            raise ShapeProblem(f"what is put in has the shape {write_shape(wanted)}, not {write_shape(given)}")
        return whole

    return shape


def diag(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """A square matrix for a vector."""
    if len(shapes[0]) != 1:
        raise ShapeProblem(f"a diagonal matrix is made of a vector, not of {write_shape(shapes[0]) or 'a number'}")
    return shapes[0] * 2


def diag_embed(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """A square matrix for each vector along the last axis."""
    if not shapes[0]:
        raise ShapeProblem("a diagonal matrix is made of a vector, not of a number")
    return (*shapes[0], shapes[0][-1])


def diagonals(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The diagonal of each square matrix of a batch."""
    return square(shapes, settings)[:-1]


def diagonal(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The vector of the diagonal of a matrix."""
    shape = matrix_of(shapes[0])
    if len(shape) > 2:
        raise ShapeProblem(f"this needs a matrix, not {write_shape(shape)}")
    if shape[0] != shape[1] and not all(isinstance(size, int) for size in shape):
        raise ShapeProblem(f"the diagonal of {write_shape(shape)} needs numbers for its sizes")
    return (shape[0] if shape[0] == shape[1] else min(shape),)
