"""From what a person asks for to a job that PyTorch can run: everything that can be wrong is looked at here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradexplain.data.point import Given, held_numbers, read_point
from gradexplain.derive import check_point
from gradexplain.errors import FormulaError, OptionError
from gradexplain.explain.names import Names
from gradexplain.language.graph import Graph
from gradexplain.language.mathml import MATHML
from gradexplain.language.parse import needs_tensors
from gradexplain.language.text import write
from gradexplain.readings.plan import packed_graph
from gradexplain.records import Remark
from gradexplain.rules.shapes import write_shape
from gradexplain.tensor import Tensor, bytes_of, shape_and_bytes, unpacked
from gradexplain.training.checks import (
    check_columns,
    check_flow,
    check_inits,
    check_inputs,
    check_start,
    lengths,
    parameter_names,
)
from gradexplain.training.fed import listed
from gradexplain.training.formula import Formula, read_numbers, read_tensors
from gradexplain.training.job import Job
from gradexplain.training.options import Request, check_request, optimizer_name, settings_of
from gradexplain.training.schedule import closely
from gradexplain.training.starts import INITS, Init
from gradexplain.training.told import by_element, told
from gradexplain.training_records import Parameter

if TYPE_CHECKING:
    from gradexplain.explain.forms import Form

DEFAULT_SOURCE = "y_pred = w*x + b; loss = (y_true - y_pred)**2"
DEFAULT_POINT = "w=1,b=0,x=2,y_true=4"
DEFAULT_PARAMETERS = ("w", "b")


@dataclass(frozen=True, slots=True)
class Setup:
    """A run that is ready: the job, the formula it belongs to, and how the inputs are called.

    `parameters` are what the steps tell: single numbers, elements and norms; `start` are their values where they are
    known before PyTorch draws them; `sources` are the nodes of the parameters. `forms` are the gradients in symbols,
    None where they are still to be found.
    """

    job: Job
    formula: Formula
    names: Names
    sources: list[int]
    parameters: tuple[str, ...]
    start: dict[str, float]
    fixed: dict[str, float | Tensor]
    used_columns: tuple[str, ...]
    notes: tuple[Remark, ...]
    forms: dict[str, Form] | None

    @property
    def graph(self) -> Graph:
        """The graph of the formula."""
        return self.formula.graph

    def partials(self) -> dict[str, Form]:
        """The gradients in symbols, by parameter."""
        from gradexplain.explain.partials import partials

        return partials(self.formula.source, self.formula.given, self.parameters) if self.forms is None else self.forms

    def started(self, tensors: Mapping[str, Any]) -> dict[str, Parameter]:
        """The parameters as they began, from what the loop sent."""
        inits = self.formula.inits
        return {
            name: Parameter(shape, inits[name].text if name in inits else None, unpacked(tensors[name]))
            for name, shape, *_ in self.job.parameters
        }


def set_up(request: Request) -> Setup:
    """Check a request and make its job. Raises FormulaError, PointError or OptionError, before any PyTorch."""
    check_request(request)
    if request.expression is not None and not isinstance(request.expression, str):
        raise OptionError(f"the formula is a {type(request.expression).__name__}, and must be text")
    settings = settings_of(request)
    source, params, point = _asked(request)
    tensors = any(given.tensor is not None for given in point.values())
    if tensors or request.shape or request.init or request.columns or needs_tensors(source, [*point]):
        formula = read_tensors(request, source, point, params)
    else:
        formula = read_numbers(request, source, point)
    names = Names(formula.graph)
    parameters = _parameters(formula, params, point)
    notes = tuple(check_point(formula.graph, point))
    _check_objective(formula.graph, names)
    by_name = {names.of[i]: i for i in formula.graph.inputs}
    sources = [by_name[name] for name in parameters]
    check_flow(formula.graph, names, sources)
    values = {name: held_numbers(name, point[name], request.dtype) for name in formula.inputs if name in point}
    shapes = _shapes(formula, parameters, sources)
    forms = _forms(formula, dict(zip(parameters, sources, strict=True)))
    shown = tuple(part for name, shape in shapes.items() for part in told(name, shape, name in by_element(shapes)))
    return Setup(
        job=_job(request, settings, formula, values, shapes, forms or {}),
        formula=formula,
        names=names,
        sources=sources,
        parameters=shown,
        start=_known(shown, values),
        fixed={name: value for name, value in values.items() if name not in parameters},
        used_columns=_used_columns(formula),
        notes=notes,
        forms=forms,
    )


def _asked(request: Request) -> tuple[str, str | Sequence[str] | None, dict[str, Given]]:
    """The formula, the parameters and the point that were asked for, or those of the example."""
    if request.expression is not None:
        return request.expression, request.params, read_point(request.at)
    point = {**read_point(DEFAULT_POINT), **read_point(request.at)}
    if request.data is not None:
        example = 'gradexplain train "(y - (w*x + b))**2" --data points.csv --at w=0,b=0'
        raise OptionError("data needs a formula whose inputs are its columns", hint=f"such as {example}")
    return DEFAULT_SOURCE, DEFAULT_PARAMETERS if request.params is None else request.params, point


def _parameters(formula: Formula, params: str | Sequence[str] | None, point: Mapping[str, Given]) -> tuple[str, ...]:
    """The names of the parameters, once every input is known to have its numbers from one place."""
    inputs, columns, starts = formula.inputs, formula.columns, {*point, *formula.inits}
    used = [name for name in inputs if name in formula.fed]
    check_columns(inputs, used, columns)
    parameters = parameter_names(params, inputs, used, starts)
    check_inits(formula.inits, parameters, inputs)
    if formula.tensors:
        check_start(parameters, starts, formula.shapes)
    check_inputs(inputs, parameters, used, starts, columns)
    return parameters


def _check_objective(graph: Graph, names: Names) -> None:
    """A loss is a single number, or has one in each row of the data."""
    top = graph.shapes[graph.objective]
    if top:
        name = names.of[graph.objective]
        raise FormulaError(f"the loss must be a single number, and {name} has the shape {write_shape(top)}",
                           hint=f"PyTorch refuses as well; write mean({name}) or sum({name})")  # fmt: skip


def _shapes(formula: Formula, parameters: Sequence[str], sources: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters in numbers. Raises OptionError where one is empty, FormulaError for far too much."""
    graph = formula.graph
    shapes = {name: graph.lengths(i) for name, i in zip(parameters, sources, strict=True)}
    for name, shape in shapes.items():
        if 0 in shape:
            raise OptionError(f"there is nothing to train in {name}: a tensor of {write_shape(shape)} has no elements")
    if formula.row_size:
        graph.sizes[formula.row_size] = formula.columns.rows if formula.columns else 0
    if formula.tensors:
        from gradexplain.explain.checks import check_size

        check_size(graph)
    return shapes


def _forms(formula: Formula, sources: Mapping[str, int]) -> dict[str, Form] | None:
    """The gradients as matrix formulas, over the names that the person gave; None for single numbers, for now.

    The loop confirms those of matrices, so that they are needed before PyTorch is there.
    """
    if not formula.tensors:
        return None
    from gradexplain.explain.closed_forms import closed_forms
    from gradexplain.explain.forms import Form

    graph = formula.graph
    named = {i: name for i, name in graph.names.items() if i != graph.objective}
    _, found = closed_forms(graph, list(sources.values()), graph.constant(1))
    forms = {}
    for name, j in sources.items():
        root = found[j]
        text = None if root is None else write(graph, root, named)
        forms[name] = Form("", (), text, None if root is None else write(graph, root, named, MATHML), None)
    return forms


def _known(shown: Sequence[str], values: Mapping[str, Tensor | float]) -> dict[str, float]:
    """The start of a run as its steps tell it, where all of that are given numbers; else nothing."""
    found = {name: value for name in shown if isinstance(value := values.get(name), float)}
    return found if len(found) == len(shown) else {}


def _used_columns(formula: Formula) -> tuple[str, ...]:
    """The columns of the data that the formula reads, in order."""
    used = [part for name in formula.inputs if name in formula.fed for part in listed(formula.fed[name])]
    return tuple(dict.fromkeys(used))


def _job(
    request: Request, settings: dict[str, float], formula: Formula, values: Mapping[str, Tensor | float],
    shapes: Mapping[str, tuple[int, ...]], forms: Mapping[str, Form],
) -> Job:  # fmt: skip
    graph, columns = formula.graph, formula.columns
    rows = columns.rows if columns else 0
    batch_size, steps = lengths(request, rows)
    return Job(
        graph=packed_graph(graph, formula.size),
        constants=formula.constants,
        inputs={name: shape_and_bytes(value) for name, value in values.items() if name not in shapes},
        parameters=[_start(name, shape, values, formula.inits) for name, shape in shapes.items()],
        columns={name: columns.values[name] for name in _used_columns(formula)} if columns else {},
        fed={name: formula.fed[name] for name in formula.inputs if name in formula.fed},
        rows=rows,
        row_size=formula.row_size,
        reduction="batch" if formula.tensors else request.reduction,
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
        by_element=by_element(shapes),
        forms={name: form.symbolic for name, form in forms.items() if form.symbolic is not None},
        device=request.device,
    )


def _start(
    name: str, shape: tuple[int, ...], values: Mapping[str, Tensor | float], inits: Mapping[str, Init]
) -> tuple[str, tuple[int, ...], bytes | None, tuple[str, dict[str, float | str]] | None]:
    """How a parameter begins: with numbers, or by a function of `torch.nn.init` with its arguments."""
    init = inits.get(name)
    call = None if init is None else (INITS[init.name].torch, init.arguments)
    return name, shape, bytes_of(values[name]) if name in values else None, call
