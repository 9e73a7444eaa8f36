"""The formula of a run, read with its data and its shapes: of single numbers, or of vectors and matrices."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from gradexplain.data.columns import Columns, read_columns
from gradexplain.data.point import Given, held_constants
from gradexplain.data.shapes import bind_sizes, read_shapes
from gradexplain.errors import FormulaError, OptionError, nearest
from gradexplain.language.graph import Graph
from gradexplain.language.parse import parse
from gradexplain.rules.shapes import Shape
from gradexplain.training.checks import check_fed, check_inputs, check_once, check_start
from gradexplain.training.fed import fed_shapes, read_fed, wanted_columns
from gradexplain.training.options import Request
from gradexplain.training.starts import Init, check_axes, read_inits

# Names that are read and need no value.
NO_INPUTS = frozenset(("pi", "e", "True", "False", "None"))
# The size that stands for the number of rows, unless the formula has a name like it.
ROW_SIZES = ("n", "rows", "n_rows")


class Formula(NamedTuple):
    """A formula with what was given for its inputs; `tensors` is whether it is on vectors and matrices.

    `size` is how many nodes it has, since closed forms are added to the same graph. `given` are the names that have a
    value, `constants` the values of constant parts as the dtype holds them, `shapes` those of inputs that are vectors
    or matrices, `inits` how parameters begin; `fed` says for each input that comes from the data which columns it is
    made of. `row_size` is the size that stands for the number of rows, empty where nothing does.
    """

    source: str
    tensors: bool
    graph: Graph
    size: int
    given: list[str]
    constants: dict[int, float]
    shapes: dict[str, Shape]
    inits: dict[str, Init]
    columns: Columns | None
    fed: dict[str, str | list[str]]
    row_size: str = ""

    @property
    def inputs(self) -> list[str]:
        """The names of all inputs, in order."""
        return [str(self.graph.nodes[i].value) for i in self.graph.inputs]


def read_numbers(request: Request, source: str, point: Mapping[str, Given]) -> Formula:
    """A formula of single numbers; each column that it names has one of them in each row."""
    columns = None
    if request.data is not None:
        # The formula is judged first, so that a mistake in it is seen before a large file is read.
        graph = parse(source, point)
        columns = read_columns(request.data, [str(graph.nodes[i].value) for i in graph.inputs])
    given = sorted({*point, *(columns.names if columns else ())})
    graph = parse(source, given)
    constants = held_constants(graph, source, request.dtype)
    found = Formula(source, False, graph, len(graph.nodes), given, constants, {}, {}, columns, {})
    found.fed.update((name, name) for name in found.inputs if columns is not None and name in columns.values)
    return found


def read_tensors(
    request: Request, source: str, point: Mapping[str, Given], params: str | Sequence[str] | None
) -> Formula:
    """A formula with vectors and matrices; the columns that it names are vectors over the rows."""
    if request.reduction != "mean":
        raise OptionError("--reduction does not apply to a formula on tensors",
                          hint="its loss is that of the batch as it is written: write sum(…) or mean(…)")  # fmt: skip
    inits, given_shapes, fed = read_inits(request.init), read_shapes(request.shape), read_fed(request.columns)
    if fed and request.data is None:
        raise OptionError("columns without data", hint="give the data with --data FILE")
    check_once({"--at": point, "--init": inits, "--columns": fed})
    columns = None
    if request.data is not None:
        columns = read_columns(request.data, wanted_columns(source, fed, {*point, *inits, *given_shapes}))
        fed |= {name: name for name in _read(columns.values, source) if name not in fed}
        check_fed(fed, columns)
        check_once({"the data": columns.names, "--at": [*_read(point, source)], "--init": [*_read(inits, source)]})
    shapes, sizes = all_shapes(given_shapes, point, inits, fed)
    names = {*point, *shapes}
    try:
        graph, row_size = _parsed(request, source, shapes, sizes, names, fed, columns)
    except FormulaError:
        # What has no value has no shape either, and that may be all that is wrong.
        unknown = wanted_columns(source, {}, {*names, *fed}) - NO_INPUTS
        wanted = params.split(",") if isinstance(params, str) else params or ()
        missing = [name for name in map(str.strip, wanted) if name in unknown]
        check_start(missing, {*point, *inits}, given_shapes)
        check_inputs(sorted(unknown), (), (), point, columns)
        raise
    graph.sizes.update(sizes)
    given = sorted({*point, *shapes})
    constants = held_constants(graph, source, request.dtype)
    found = Formula(source, True, graph, len(graph.nodes), given, constants, shapes, inits, columns, fed, row_size)
    for name in fed:
        if name not in found.inputs:
            raise OptionError(f"{name} is no input of the formula",
                              hint=nearest(name, found.inputs) or "leave out its columns")  # fmt: skip
    return found


def _read(names: Collection[str], source: str) -> list[str]:
    """Those of the names that are somewhere in the formula."""
    words = set(re.findall(r"\w+", source))
    return [name for name in names if name in words]


def _parsed(
    request: Request, source: str, shapes: dict[str, Shape], sizes: Collection[str], names: Collection[str],
    fed: Mapping[str, str | list[str]], columns: Columns | None,
) -> tuple[Graph, str]:  # fmt: skip
    """The graph with a name for the number of rows, or where the formula needs that number, with the number itself."""
    candidates: Iterator[str] = itertools.chain(ROW_SIZES, (f"n{k}" for k in itertools.count(1)))
    taken = {*names, *sizes, *re.findall(r"\w+", source)}
    size = next(name for name in candidates if name not in taken)
    shapes |= fed_shapes(fed, size)
    try:
        graph = parse(source, {*names, *fed}, shapes)
    except FormulaError:
        rows = columns.rows if columns else 0
        if not fed or (request.batch_size or rows) < rows:
            raise
        shapes |= fed_shapes(fed, rows)
        size, graph = "", parse(source, {*names, *fed}, shapes)
    if not graph.needs_tensors():
        raise OptionError("the formula has no vector and no matrix", hint="leave out --shape, --init and --columns")
    return graph, size if fed else ""


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
