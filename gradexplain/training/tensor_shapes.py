"""The shapes of what is given, and the numbers of sizes that have names."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gradexplain.data.point import Given
from gradexplain.data.shapes import bind_sizes
from gradexplain.errors import OptionError
from gradexplain.rules.shapes import Shape
from gradexplain.training.starts import Init, check_axes


def all_shapes(
    given: Mapping[str, Shape], point: Mapping[str, Given], inits: Mapping[str, Init], fed: Collection[str]
) -> tuple[dict[str, Shape], dict[str, int]]:
    """The shapes of inputs by name, as `--shape` says or as the values have them, and the sizes with names.

    Raises OptionError where both differ, where a start has no shape, and where a size has a name and no number.
    """
    for name in given:
        if name in fed:
            raise OptionError(f"{name} comes from the data, and so does its shape", hint=f"leave {name} out of --shape")
    for name in inits:
        if name not in given:
            hint = f"give it with --shape, such as --shape {name}=8x2"
            raise OptionError(f"the shape of {name} is not known", hint=hint)
    values = {name: entry.tensor for name, entry in point.items()}
    known = {size for name in given if name in values for size in given[name]}
    for name in inits:
        for size in given[name]:
            if isinstance(size, str) and size not in known:
                hint = f"write a number, such as --shape {name}=8x2, or give it to an input with values"
                raise OptionError(f"the size {size} in the shape of {name} has no number", hint=hint)
    sizes = bind_sizes(given, values)
    shapes = dict(given)
    shapes |= {name: tensor.shape for name, tensor in values.items() if tensor is not None and name not in given}
    for name, init in inits.items():
        check_axes(name, init, [size if isinstance(size, int) else sizes[size] for size in shapes[name]])
    return shapes, sizes
