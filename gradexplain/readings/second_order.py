"""Jacobians and Hessians in numbers: by the tables, a vector-Jacobian product for each row, and by torch.func."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from gradexplain.calculus.backward import reverse
from gradexplain.language.graph import Graph
from gradexplain.language.parse import parse
from gradexplain.readings.plan import Ready, compiled
from gradexplain.readings.tables import TableBuilder, TableReading, Tables

# Rows times elements of a Jacobian, and the elements of a Hessian's inputs.
MAX_ENTRIES = 1_000_000
MAX_ELEMENTS = 300
# Roundings of the largest eigenvalue, for each element, below which an eigenvalue is shown as 0.
ROUNDINGS = 8


class Checks(NamedTuple):
    """What is asked of the tables, as plain data.

    `graph` is the formula as `packed_graph` makes it; `sources` the nodes whose gradients are wanted; `forms` closed
    forms of gradients by source, as texts of which the first is taken that has the right numbers; `want` is `jacobian`,
    `hessian` or empty, and `statements` the formula with a name for its objective; `matrices` are formulas of
    Jacobians and of blocks of a Hessian.
    """

    graph: tuple[Any, ...]
    sources: list[int]
    forms: dict[int, list[str]]
    want: str
    statements: str
    matrices: dict[str, str]


def jacobian(builder: TableBuilder, graph: Graph, sources: Sequence[int], values: Sequence[Any]) -> dict[int, Any]:
    """The Jacobian by each source, shaped as the objective and then the source; `values` are those of all nodes."""
    torch, top = builder.place.torch, graph.objective
    objective = builder.place.tensor(values[top])
    rows: dict[int, list[Any]] = {j: [] for j in sources}
    for k in range(objective.numel()):
        seed = builder.place.zeros((objective.numel(),))
        seed[k] = 1
        walk = reverse(graph, sources, TableReading(builder, graph, values, seed.reshape(objective.shape)), keep=False)
        for j in sources:
            total = walk.totals.get(j)
            rows[j].append(torch.zeros_like(values[j]) if total is None else total)
    return {
        j: torch.stack(found).reshape((*objective.shape, *values[j].shape))
        if found
        else builder.place.zeros((*objective.shape, *values[j].shape))
        for j, found in rows.items()
    }


def jacobian_of_torch(
    builder: TableBuilder, graph: Graph, sources: Sequence[int], given: Mapping[int, Any]
) -> dict[int, Any]:
    """The same by torch.func.jacrev, which knows nothing of the tables."""
    call = _function(builder, graph, sources, given)
    # With gradients off, PyTorch takes short cuts that cannot be differentiated twice.
    with builder.place.torch.enable_grad():
        found = builder.place.torch.func.jacrev(call, argnums=tuple(range(len(sources))))(*[given[j] for j in sources])
    return dict(zip(sources, found, strict=True))


def _function(builder: TableBuilder, graph: Graph, sources: Sequence[int], given: Mapping[int, Any]) -> Any:
    ready = Ready(builder.place, compiled(graph, {}))

    def call(*arguments: Any) -> Any:
        return ready.result({**given, **dict(zip(sources, arguments, strict=True))})

    return call


def hessian(
    builder: TableBuilder, source: str, names: Sequence[str], shapes: Mapping[str, Any], forms: Mapping[str, str],
    given: Mapping[str, Any],
) -> Any:  # fmt: skip
    """The Hessian over all elements of the inputs `names`, by differentiating the gradients' formulas once more.

    `source` has the statements of the formula, the objective named; `forms` are the closed forms by input; `given`
    has the values of all inputs. Rows and columns are in the order of `names`, each flattened.
    """
    torch = builder.place.torch
    rows = []
    direction = "direction"
    while direction in shapes or direction in source:
        direction += "_"
    for name in names:
        value = given[name]
        top = f"{source}\n{direction}_product = sum(({forms[name]})*{direction})"
        graph = parse(top, [*shapes, direction], {**shapes, direction: shapes[name]})
        graph.sizes.update(builder.sizes)
        places = {str(graph.nodes[i].value): i for i in graph.inputs}
        ready = Ready(builder.place, compiled(graph, {}))
        for k in range(value.numel()):
            unit = builder.place.zeros((value.numel(),))
            unit[k] = 1
            known = {**given, direction: unit.reshape(value.shape)}
            inputs = {i: known[called] for called, i in places.items()}
            values = ready.run(inputs)
            sources = [places[other] for other in names if other in places]
            seed = builder.place.ones()
            totals = reverse(graph, sources, TableReading(builder, graph, values, seed), keep=False).totals
            parts = [totals.get(places.get(other, -1)) for other in names]
            row = [
                torch.zeros_like(given[other]) if part is None else part
                for other, part in zip(names, parts, strict=True)
            ]
            rows.append(torch.cat([part.reshape(-1) for part in row]))
    return torch.stack(rows)


def hessian_of_torch(builder: TableBuilder, graph: Graph, sources: Sequence[int], given: Mapping[int, Any]) -> Any:
    """The same by torch.func.hessian, over one vector of all elements."""
    torch = builder.place.torch
    sizes = [given[j].numel() for j in sources]
    call = _function(builder, graph, sources, given)

    def flat(vector: Any) -> Any:
        return call(*[part.reshape(given[j].shape) for part, j in zip(vector.split(sizes), sources, strict=True)])

    start = torch.cat([given[j].reshape(-1) for j in sources])
    with torch.enable_grad():
        try:
            return torch.func.hessian(flat)(start)
        except (RuntimeError, NotImplementedError):
            # Some operations have no forward mode.
            return torch.func.jacrev(torch.func.jacrev(flat))(start)


def jacobians(
    tables: Tables, asked: Checks, given: Mapping[int, Any], values: Sequence[Any]
) -> tuple[Any, dict[str, Any]]:
    """The Jacobians by source as plain data, and as tensors by name."""
    sources, pack = asked.sources, tables.place.pack
    rows = tables.place.tensor(values[tables.graph.objective]).numel()
    if rows * max((given[j].numel() for j in sources), default=0) > MAX_ENTRIES:
        raise ValueError(f"a Jacobian of more than {MAX_ENTRIES:,} entries is not computed")
    own = jacobian(tables.builder, tables.graph, sources, values)
    other = jacobian_of_torch(tables.builder, tables.graph, sources, given)
    found = {j: (pack(own[j]), pack(other[j]), *tables.compare(own[j], other[j])) for j in sources}
    return found, {tables.names[j]: own[j] for j in sources}


def spectrum(torch: Any, matrix: Any) -> list[float]:
    """The eigenvalues of a symmetric matrix in ascending order, those that rounding alone can account for as 0."""
    if bool((matrix == torch.diag(torch.diagonal(matrix))).all()):
        return sorted(torch.diagonal(matrix).tolist())
    found: list[float] = torch.linalg.eigvalsh((matrix + matrix.T) / 2).tolist()
    rounding = ROUNDINGS * len(found) * torch.finfo(matrix.dtype).eps * max(map(abs, found), default=0.0)
    return [0.0 if abs(value) <= rounding else value for value in found]


def hessians(
    tables: Tables, asked: Checks, given: Mapping[int, Any], values: Sequence[Any], seed: Any
) -> tuple[Any, dict[str, Any]]:
    """The Hessian of the objective times its upstream gradient as plain data, and its blocks by pairs of names."""
    torch, sources = tables.place.torch, asked.sources
    count = sum(given[j].numel() for j in sources)
    if count > MAX_ELEMENTS:
        raise ValueError(f"a Hessian over {count:,} elements is not computed, but up to {MAX_ELEMENTS}")
    names = [tables.names[j] for j in sources]
    # Of nothing PyTorch makes no matrix.
    nothing = tables.place.zeros((0, 0))
    other = hessian_of_torch(tables.builder, tables.graph, sources, given) * seed if count else nothing
    own = None if count else nothing
    if count and all(j in asked.forms for j in sources):
        forms = {tables.names[j]: asked.forms[j][-1] for j in sources}
        shapes = {name: tables.graph.shapes[i] for i, name in tables.names.items()}
        known = {tables.names[i]: value for i, value in given.items()}
        # A form may have no value where the gradient has one, such as that of a determinant at a singular matrix.
        with suppress(RuntimeError):
            own = hessian(tables.builder, asked.statements, names, shapes, forms, known)
    error, verdict = (math.nan, "unverified") if own is None else tables.compare(own, other)
    if own is None or (verdict == "nonfinite" and bool(torch.isfinite(other).all())):
        # Without a formula of the gradient, or where it divides by 0, there is nothing to compare PyTorch with.
        own, verdict = other, "unverified"
    finite = bool(torch.isfinite(own).all())
    eigenvalues = spectrum(torch, own) if finite else []
    ends = [0]
    for j in sources:
        ends.append(ends[-1] + given[j].numel())
    blocks = {
        f"{tables.names[i]},{tables.names[j]}": own[ends[k] : ends[k + 1], ends[m] : ends[m + 1]].reshape(
            (*given[i].shape, *given[j].shape))
        for k, i in enumerate(sources) for m, j in enumerate(sources)
    }  # fmt: skip
    return (tables.place.pack(own), tables.place.pack(other), error, verdict, eigenvalues), blocks
