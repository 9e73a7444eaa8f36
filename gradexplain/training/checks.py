"""Whether the inputs of a formula, its parameters and its data fit together: each check raises what a person reads."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence

from gradexplain.calculus.backward import influenced
from gradexplain.data.columns import Columns
from gradexplain.errors import OptionError, PointError, nearest
from gradexplain.explain.names import Names
from gradexplain.language.graph import Graph
from gradexplain.rules.shapes import Shape
from gradexplain.training.batches import steps_in_epoch
from gradexplain.training.fed import listed
from gradexplain.training.options import Request, check_whole

DEFAULT_STEPS = 10
# How long a run is that ends when its loss is small enough, unless it is said.
MOST_STEPS = 10_000


def check_once(given: Mapping[str, Collection[str]]) -> None:
    """Each input has its numbers from one place."""
    for one, other in itertools.combinations(given, 2):
        for name in given[one]:
            if name in given[other]:
                raise OptionError(f"{name} is given twice, by {one} and by {other}", hint="keep one of them")


def check_fed(fed: Mapping[str, str | list[str]], columns: Columns) -> None:
    """The data has every column that an input is made of."""
    for name, parts in fed.items():
        for part in listed(parts):
            if part not in columns.values:
                hint = nearest(part, columns.names) or "the data has " + ", ".join(columns.names[:12])
                raise OptionError(f"the data has no column {part} for {name}", hint=hint)


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


def check_inits(inits: Collection[str], parameters: Collection[str], inputs: list[str]) -> None:
    """Only parameters begin somehow."""
    for name in inits:
        if name not in parameters:
            hint = nearest(name, inputs) if name not in inputs else f"add {name} to --params"
            raise OptionError(f"{name} has a start and is no parameter", hint=hint)


def check_start(parameters: Collection[str], starts: Collection[str], shapes: Mapping[str, Shape]) -> None:
    """Every parameter, of those that may be vectors and matrices, begins somewhere."""
    for name in parameters:
        if name not in starts:
            shape = "" if name in shapes else f' and its shape with --shape "{name}=2x3"'
            hint = f'give it one with --at {name}=…, or --init "{name}=normal(0, 0.1)"{shape}'
            raise PointError(f"the parameter {name} has no starting value", hint=hint)


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
