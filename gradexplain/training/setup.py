"""From what a person asks for to a job that PyTorch can run: everything that can be wrong is looked at here."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradexplain.calculus.backward import influenced
from gradexplain.data.columns import Columns, read_columns
from gradexplain.data.point import Given, held_constants, held_value, read_point
from gradexplain.derive import check_point
from gradexplain.errors import OptionError, PointError, nearest
from gradexplain.explain.names import Names
from gradexplain.language.graph import Graph
from gradexplain.language.parse import may_be_tensors, parse
from gradexplain.training.batches import steps_in_epoch
from gradexplain.training.job import Close, Job
from gradexplain.training.options import Request, check_request, check_whole, optimizer_name, settings_of
from gradexplain.training.schedule import closely

if TYPE_CHECKING:
    from gradexplain.explain.forms import Form
    from gradexplain.records import Began
    from gradexplain.training.history import History
    from gradexplain.training.tensor_setup import TensorSetup

DEFAULT_SOURCE = "y_pred = w*x + b; loss = (y_true - y_pred)**2"
DEFAULT_POINT = "w=1,b=0,x=2,y_true=4"
DEFAULT_PARAMETERS = ("w", "b")
DEFAULT_STEPS = 10
# How long a run is that ends when its loss is small enough, unless it is said.
MOST_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Setup:
    """A run that is ready: the job, the formula it belongs to, and how the inputs are called."""

    job: Job
    graph: Graph
    names: Names
    point: dict[str, Given]
    parameters: tuple[str, ...]
    fixed: dict[str, float]
    columns: Columns | None
    used_columns: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def tasks(self) -> tuple[str, str]:
        """The loop, and what finds the curvature of the loss."""
        return "gradexplain.training.loop:run", "gradexplain.training.curvature:curvature"

    def partials(self) -> dict[str, Form]:
        """The partial derivatives in symbols."""
        from gradexplain.explain.partials import partials

        return partials(self.job.source, self.job.given, self.parameters)

    def history(self) -> History:
        """What makes steps of what PyTorch sends."""
        from gradexplain.training.history import History

        return History(self)

    def trouble(self, found: Any) -> Began | None:
        """What is not finite at the start, from what the loop found there."""
        from gradexplain.training.look import trouble

        return trouble(self, Close(*found))


def set_up(request: Request) -> Setup | TensorSetup:
    """Check a request and make its job. Raises FormulaError, PointError or OptionError, before any PyTorch."""
    check_request(request)
    if request.expression is not None and not isinstance(request.expression, str):
        raise OptionError(f"the formula is a {type(request.expression).__name__}, and must be text")
    settings = settings_of(request)
    source, at, params = request.expression, request.at, request.params
    if source is None:
        source = DEFAULT_SOURCE
        point = {**read_point(DEFAULT_POINT), **read_point(at)}
        params = DEFAULT_PARAMETERS if params is None else params
        if request.data is not None:
            example = 'gradexplain train "(y - (w*x + b))**2" --data points.csv --at w=0,b=0'
            raise OptionError("data needs a formula whose inputs are its columns", hint=f"such as {example}")
    else:
        point = read_point(at)
    if (
        request.shape or request.init or request.columns or may_be_tensors(source)
        or any(given.tensor is not None for given in point.values())
    ):  # fmt: skip
        from gradexplain.training.tensor_setup import set_up_tensors

        return set_up_tensors(request, source, point, params, settings)
    columns = None
    if request.data is not None:
        # The formula is judged first, so that a mistake in it is seen before a large file is read.
        inputs = input_names(parse(source, point))
        columns = read_columns(request.data, inputs)
    known = {*point, *(columns.names if columns else ())}
    graph = parse(source, known)
    names = Names(graph)
    inputs = input_names(graph)
    used = tuple(name for name in inputs if columns is not None and name in columns.values)
    check_columns(inputs, used, columns)
    parameters = parameter_names(params, inputs, used, point)
    check_inputs(inputs, parameters, used, point, columns)
    notes = tuple(check_point(graph, point))
    by_name = {names.of[i]: i for i in graph.inputs}
    held = {name: held_value(name, point[name], request.dtype) for name in inputs if name not in used}
    check_flow(graph, names, [by_name[name] for name in parameters])
    rows = columns.rows if columns else 0
    batch_size, steps = lengths(request, rows)
    fixed = {name: value for name, value in held.items() if name not in parameters}
    job = Job(
        source=source,
        given=sorted(known),
        constants=held_constants(graph, source, request.dtype),
        inputs={by_name[name]: value for name, value in fixed.items()},
        parameters=[(by_name[name], held[name]) for name in parameters],
        columns=[(by_name[name], columns.values[name]) for name in used] if columns else [],
        rows=rows,
        reduction=request.reduction,
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
        device=request.device,
    )
    return Setup(job, graph, names, point, parameters, fixed, columns, used, notes)


def input_names(graph: Graph) -> list[str]:
    """The names of all inputs, in order."""
    return [str(graph.nodes[i].value) for i in graph.inputs]


def check_columns(inputs: list[str], used: Collection[str], columns: Columns | None) -> None:
    """Data that no input reads are a mistake."""
    if columns is None or used:
        return
    listed = ", ".join(columns.names[:12])
    hint = f"the data has {listed}; the formula has {', '.join(inputs[:12])}"
    if all(name.replace(".", "").lstrip("-").isdigit() for name in columns.names):
        hint = "the first line of the data is to name the columns, and has numbers"
    raise OptionError("no input of the formula is a column of the data", hint=hint)


def parameter_names(
    params: str | Sequence[str] | None, inputs: list[str], used: Collection[str], point: Collection[str]
) -> tuple[str, ...]:
    """The names of the parameters, as given, or all inputs that are no columns where there is data."""
    if params is None:
        found = [name for name in inputs if name not in used and (not used or name in point)]
        if not used and len(found) > 1:
            example = ",".join([name for name in found if name in point][:2] or found[:2])
            raise OptionError("which inputs are the parameters?", hint=f"name them, such as --params {example}")
        if not found:
            raise OptionError("there is no parameter to train: every input is a column of the data")
        return tuple(found)
    names = [part.strip() for part in (params.split(",") if isinstance(params, str) else params)]
    for k, name in enumerate(names):
        if not name:
            raise OptionError("there is no parameter to train", hint="name the parameters, such as --params w,b")
        if name not in inputs:
            hint = nearest(name, inputs) or "the formula has " + ", ".join(inputs[:12])
            raise OptionError(f"the parameter {name} is no input of the formula", hint=hint)
        if name in used:
            raise OptionError(f"{name} is a parameter and a column of the data", hint="rename one of them")
        if name in names[:k]:
            raise OptionError(f"the parameter {name} is named twice", hint="name it once")
    if not names:
        raise OptionError("there is no parameter to train", hint="name the parameters, such as --params w,b")
    return tuple(names)


def check_inputs(
    inputs: list[str], parameters: Collection[str], used: Collection[str], point: Collection[str],
    columns: Columns | None,
) -> None:  # fmt: skip
    """Every input is a column, or has a value."""
    for name in inputs:
        if name in used and name in point:
            raise OptionError(f"{name} is a column of the data and has a value, too", hint=f"leave {name} out of --at")
        if name in used or name in point:
            continue
        if name in parameters:
            raise PointError(f"the parameter {name} has no starting value", hint=f"give it one with --at {name}=0")
        if columns is None:
            raise PointError(f"{name} has no value", hint=f"give it with --at {name}=1, or as a column with --data")
        listed = ", ".join(columns.names[:12]) + (", …" if len(columns.names) > 12 else "")
        hint = nearest(name, columns.names) or f"rename the column, or give {name} a value with --at {name}=1"
        raise OptionError(f"{name} has no value and is no column of the data, which has {listed}", hint=hint)


def check_flow(graph: Graph, names: Names, parameters: list[int]) -> None:
    """At least one parameter must reach the objective by a differentiable way."""
    if not influenced(graph, parameters, len(graph.nodes) - 1)[graph.objective]:
        listed = " and ".join(names.of[i] for i in parameters)
        raise OptionError(f"no gradient can flow from {names.of[graph.objective]} to {listed}",
                          hint="a condition chooses, but nothing flows through it")  # fmt: skip


def lengths(request: Request, rows: int) -> tuple[int, int]:
    """How many rows each backward() has, and how many steps the run has. Raises OptionError."""
    batch_size = min(request.batch_size or rows, rows) if rows else 0
    if rows and request.accumulate > math.ceil(rows / batch_size):
        found = f"{rows:,} rows in batches of {batch_size:,} are {math.ceil(rows / batch_size):,} of them"
        raise OptionError(f"there are no {request.accumulate} batches to accumulate: {found}",
                          hint="take a smaller batch size, such as --batch-size 1")  # fmt: skip
    if request.epochs is None:
        default = DEFAULT_STEPS if request.until is None else MOST_STEPS
        return batch_size, default if request.steps is None else int(request.steps)
    steps = request.epochs * steps_in_epoch(rows, batch_size, request.accumulate)
    check_whole(steps, "the number of steps")
    return batch_size, steps
