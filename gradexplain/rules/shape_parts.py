"""The shape of the result of the rules about axes and parts of tensors; terms as in shape_rules.py."""

from __future__ import annotations

from collections.abc import Sequence

from gradexplain.rules.shapes import Settings, Shape, ShapeProblem, axes, axis, divided, times, write_shape


def matrix_of(shape: Shape, what: str = "this") -> Shape:
    if len(shape) < 2:
        raise ShapeProblem(f"{what} needs a matrix, not {described(shape)}")
    return shape


def described(shape: Shape) -> str:
    return "a single number" if not shape else f"a vector of {shape[0]}" if len(shape) == 1 else write_shape(shape)


def transpose(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape with two axes swapped."""
    shape = list(shapes[0])
    one, other = (axis(settings[name], len(shape)) for name in ("dim0", "dim1"))
    shape[one], shape[other] = shape[other], shape[one]
    return tuple(shape)


def permute(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The shape with its axes in another order."""
    order = axes(settings["dims"], len(shapes[0]))
    if len(order) != len(shapes[0]):
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
    place = axis(settings["dim"], len(shapes[0]))
    size = shapes[0][place]
    if isinstance(size, str):
        raise ShapeProblem(f"a range of the axis {size} needs its length as a number")
    length = len(range(*slice(settings["start"], settings["end"], settings["step"]).indices(size)))
    return (*shapes[0][:place], length, *shapes[0][place + 1 :])


def diag(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """A square matrix for a vector."""
    return shapes[0] * 2


def diagonal(shapes: Sequence[Shape], settings: Settings) -> Shape:
    """The vector of the diagonal of a matrix."""
    shape = matrix_of(shapes[0])
    if len(shape) > 2:
        raise ShapeProblem(f"this needs a matrix, not {write_shape(shape)}")
    if shape[0] != shape[1] and not all(isinstance(size, int) for size in shape):
        raise ShapeProblem(f"the diagonal of {write_shape(shape)} needs numbers for its sizes")
    return (shape[0] if shape[0] == shape[1] else min(shape),)
