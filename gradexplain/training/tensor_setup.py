"""From what a person asks for to a job on tensors; whatever can be wrong is said here, before any PyTorch."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradexplain.data.columns import Columns, read_columns
from gradexplain.data.point import Given, held_numbers
from gradexplain.data.shapes import read_shapes
from gradexplain.derive import check_point
from gradexplain.errors import FormulaError, OptionError, PointError, nearest
from gradexplain.explain.forms import Form
from gradexplain.explain.tensor_names import TensorNames
from gradexplain.explain.tensor_problem import check_size
from gradexplain.language.graph import Graph
from gradexplain.language.parse import parse
from gradexplain.records import Began
from gradexplain.rules.shapes import Shape, write_shape
from gradexplain.tensor import Tensor, bytes_of, unpacked
from gradexplain.training.job import TensorJob
from gradexplain.training.options import Request, optimizer_name
from gradexplain.training.schedule import closely
from gradexplain.training.starts import Init, read_inits
from gradexplain.training.tensor_columns import fed_shapes, listed, read_fed, wanted_columns
from gradexplain.training.tensor_packing import call_of, packed
from gradexplain.training.tensor_shapes import all_shapes
from gradexplain.training.tensor_told import by_element, forms_of, told
from gradexplain.training_records import Parameter

if TYPE_CHECKING:
    from gradexplain.training.tensor_history import TensorHistory

# Names that are read and need no value.
NO_INPUTS = frozenset(("pi", "e", "True", "False", "None"))
# The size that stands for the number of rows, unless the formula has a name like it.
ROW_SIZES = ("n", "rows", "n_rows")


@dataclass(frozen=True, slots=True)
class TensorSetup:
    """A run on tensors that is ready. `parameters` are what the steps tell: elements and norms; `inits` the starts."""

    job: TensorJob
    graph: Graph
    names: TensorNames
    point: dict[str, Given]
    parameters: tuple[str, ...]
    fixed: dict[str, float | Tensor]
    columns: Columns | None
    used_columns: tuple[str, ...]
    notes: tuple[str, ...]
    forms: dict[str, Form]
    inits: dict[str, Init]

    @property
    def tasks(self) -> tuple[str, str]:
        """The loop, and what finds the curvature of the loss."""
        return "gradexplain.training.tensor_loop:run", "gradexplain.training.tensor_loop:curvature"

    def partials(self) -> dict[str, Form]:
        """The gradients as matrix formulas, by parameter."""
        return self.forms

    def history(self) -> TensorHistory:
        """What makes steps of what PyTorch sends."""
        from gradexplain.training.tensor_history import TensorHistory

        return TensorHistory(self)

    def trouble(self, found: Any) -> Began | None:
        """What is not finite at the start, from what the loop found there."""
        return self.history().began(found)

    def started(self, tensors: Mapping[str, Any]) -> dict[str, Parameter]:
        """The parameters as they began, from what the loop sent."""
        return {
            name: Parameter(
                shape, self.inits[name].text if name in self.inits else None,
                unpacked(tensors[name]),
            )
            for name, shape, *_ in self.job.parameters
        }  # fmt: skip


def set_up_tensors(
    request: Request, source: str, point: dict[str, Given], params: str | Sequence[str] | None,
    settings: dict[str, float],
) -> TensorSetup:  # fmt: skip
    """Check a request for a formula on tensors and make its job. Raises FormulaError, PointError or OptionError."""
    from gradexplain.training.setup import (
        check_columns,
        check_flow,
        check_inputs,
        input_names,
        lengths,
        parameter_names,
    )

    if request.reduction != "mean":
        raise OptionError("--reduction does not apply to a formula on tensors",
                          hint="its loss is that of the batch as it is written: write sum(…) or mean(…)")  # fmt: skip
    inits = read_inits(request.init)
    given_shapes = read_shapes(request.shape)
    fed = read_fed(request.columns)
    if fed and request.data is None:
        raise OptionError("columns without data", hint="give the data with --data FILE")
    _once({"--at": point, "--init": inits, "--columns": fed})
    columns = None
    if request.data is not None:
        columns = read_columns(request.data, wanted_columns(source, fed, {*point, *inits, *given_shapes}))
        fed |= {name: name for name in _read(columns.values, source) if name not in fed}
        _check_fed(fed, columns)
        _once({"the data": columns.names, "--at": [*_read(point, source)], "--init": [*_read(inits, source)]})
    rows = columns.rows if columns else 0
    batch_size, steps = lengths(request, rows)
    shapes, sizes = all_shapes(given_shapes, point, inits, fed)
    try:
        graph, row_size = _parsed(source, {*point, *shapes}, sizes, shapes, fed, rows, batch_size)
    except FormulaError:
        # What has no value has no shape either, and that may be all that is wrong.
        unknown = wanted_columns(source, {}, {*point, *shapes, *fed}) - NO_INPUTS
        wanted = params.split(",") if isinstance(params, str) else params or ()
        _check_start([name for name in map(str.strip, wanted) if name in unknown], point, inits, given_shapes)
        check_inputs(sorted(unknown), (), (), point, columns)
        raise
    graph.sizes.update(sizes)
    names = TensorNames(graph)
    inputs = input_names(graph)
    used = tuple(name for name in inputs if name in fed)
    for name in fed:
        if name not in inputs:
            hint = nearest(name, inputs) or "leave out its columns"
            raise OptionError(f"{name} is no input of the formula", hint=hint)
    check_columns(inputs, used, columns)
    parameters = parameter_names(params, inputs, used, {**point, **inits})
    for name in inits:
        if name not in parameters:
            hint = nearest(name, inputs) if name not in inputs else f"add {name} to --params"
            raise OptionError(f"{name} has a start and is no parameter", hint=hint)
    _check_start(parameters, point, inits, given_shapes)
    check_inputs(list(inputs), parameters, used, {**point, **inits}, columns)
    notes = tuple(check_point(graph, point))
    top = graph.shapes[graph.objective]
    if top:
        name = names.of[graph.objective]
        raise FormulaError(f"the loss must be a single number, and {name} has the shape {write_shape(top)}",
                           hint=f"PyTorch refuses as well; write mean({name}) or sum({name})")  # fmt: skip
    by_name = {names.of[i]: i for i in graph.inputs}
    check_flow(graph, names, [by_name[name] for name in parameters])
    values = {name: held_numbers(name, point[name], request.dtype) for name in inputs if name in point}
    fixed = {name: value for name, value in values.items() if name not in parameters}
    exact = {name: graph.lengths(by_name[name]) for name in parameters}
    for name, shape in exact.items():
        if 0 in shape:
            raise OptionError(f"there is nothing to train in {name}: a tensor of {write_shape(shape)} has no elements")
    if row_size:
        graph.sizes[row_size] = rows
    check_size(graph)
    forms = forms_of(graph, {name: by_name[name] for name in parameters})
    used_columns = tuple(dict.fromkeys(part for name in used for part in listed(fed[name])))
    singly = by_element(exact)
    job = TensorJob(
        source=source,
        given=sorted({*point, *shapes}),
        shapes=dict(shapes),
        sizes=dict(graph.sizes),
        inputs={name: packed(value) for name, value in fixed.items()},
        parameters=[(name, exact[name], bytes_of(values[name]) if name in values else None, call_of(inits.get(name)))
                    for name in parameters],
        columns={name: columns.values[name] for name in used_columns} if columns else {},
        fed={name: fed[name] for name in used},
        rows=rows,
        row_size=row_size,
        reduction="batch",
        dtype=request.dtype,
        optimizer=optimizer_name(request),
        settings=settings,
        steps=steps,
        batch_size=batch_size,
        shuffle=request.shuffle,
        seed=request.seed,
        zero_grad=request.zero_grad,
        order=request.order,
        accumulate=request.accumulate,
        until=request.until,
        closely=closely(steps, request.every),
        by_element=singly,
        device=request.device,
        forms={name: form.symbolic for name, form in forms.items() if form.symbolic is not None},
    )  # fmt: skip
    shown = tuple(part for name, shape in exact.items() for part in told(name, shape, name in singly))
    return TensorSetup(job, graph, names, point, shown, fixed, columns, used_columns,
                       notes, forms, inits)  # fmt: skip


def _once(given: Mapping[str, Collection[str]]) -> None:
    """Each input has its numbers from one place."""
    for one, other in itertools.combinations(given, 2):
        for name in given[one]:
            if name in given[other]:
                raise OptionError(f"{name} is given twice, by {one} and by {other}", hint="keep one of them")


def _read(names: Collection[str], source: str) -> list[str]:
    """Those of the names that are somewhere in the formula."""
    words = set(re.findall(r"\w+", source))
    return [name for name in names if name in words]


def _check_fed(fed: Mapping[str, str | list[str]], columns: Columns) -> None:
    for name, parts in fed.items():
        for part in listed(parts):
            if part not in columns.values:
                hint = nearest(part, columns.names) or "the data has " + ", ".join(columns.names[:12])
                raise OptionError(f"the data has no column {part} for {name}", hint=hint)


def _parsed(
    source: str, known: set[str], sizes: Collection[str], shapes: dict[str, Shape],
    fed: Mapping[str, str | list[str]], rows: int, batch_size: int,
) -> tuple[Graph, str]:  # fmt: skip
    """The graph with a name for the number of rows, or where the formula needs that number, with the number itself."""
    candidates = itertools.chain(ROW_SIZES, (f"n{k}" for k in itertools.count(1)))
    taken = {*known, *sizes, *re.findall(r"\w+", source)}
    size = next(name for name in candidates if name not in taken)
    shapes |= fed_shapes(fed, size)
    try:
        graph = parse(source, {*known, *fed}, shapes)
    except FormulaError:
        if not fed or batch_size < rows:
            raise
        shapes |= fed_shapes(fed, rows)
        size, graph = "", parse(source, {*known, *fed}, shapes)
    if not graph.needs_tensors():
        raise OptionError("the formula has no vector and no matrix", hint="leave out --shape, --init and --columns")
    return graph, size if fed else ""


def _check_start(
    parameters: Collection[str], point: Collection[str], inits: Collection[str], shapes: Mapping[str, Shape]
) -> None:
    for name in parameters:
        if name not in point and name not in inits:
            shape = "" if name in shapes else f' and its shape with --shape "{name}=2x3"'
            hint = f'give it one with --at {name}=…, or --init "{name}=normal(0, 0.1)"{shape}'
            raise PointError(f"the parameter {name} has no starting value", hint=hint)
