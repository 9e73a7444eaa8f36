"""Expression and point -> Derivation: the use case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gradexplain.errors import OptionError, PointError, nearest
from gradexplain.explain.names import Names
from gradexplain.language.backward import influenced
from gradexplain.language.graph import INPUT, Graph
from gradexplain.language.parse import parse
from gradexplain.point import Given, Point, held_constants, held_value, read_point, read_upstream
from gradexplain.readings.alone import ALONE
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.numbers import program
from gradexplain.readings.worker import TORCH
from gradexplain.records import Derivation


def derive(
    expression: str,
    at: Point | None = None,
    *,
    wrt: str | Sequence[str] | None = None,
    upstream: float | str = 1.0,
    dtype: str = "float64",
) -> Derivation:
    """Differentiate a scalar formula by the chain rule and compare every step with PyTorch's autograd.

    `expression` is a formula of the language: statements `name = expression` separated by `;` or line ends, of which
    the last one is the objective. `at` has the values of the inputs: a mapping from names to numbers, or text such as
    `"w=1,b=1/3"`. `wrt` are the inputs or named nodes whose gradients are wanted (all inputs where it is left out), as
    names or as text separated by commas. `upstream` is the gradient of the objective with respect to itself, PyTorch's
    `gradient=`. `dtype` is `float64`, `float32`, `bfloat16` or `float16`. All values are scalars.

    Returns the record of all rows. Without PyTorch, or without a value for every input, its symbolic half is complete
    and the verdict is `unverified`. Raises FormulaError, PointError or OptionError, each a GradexplainError and a
    message that can be shown as it is.

    >>> derivation = derive("(y - (w*x+b))**2", at={"w": 1, "b": 0, "x": 2, "y": 4})
    >>> derivation.gradient["w"].symbolic, derivation.gradient["w"].autograd, derivation.verdict
    ('-2*x*(y - (w*x + b))', -8.0, 'agrees')
    """
    return begin(expression, at, wrt=wrt, upstream=upstream, dtype=dtype)()


def begin(
    expression: str,
    at: Point | None = None,
    *,
    wrt: str | Sequence[str] | None = None,
    upstream: float | str = 1.0,
    dtype: str = "float64",
) -> Callable[[], Derivation]:
    """The first half of `derive`: everything but PyTorch's numbers, which load meanwhile.

    Arguments and errors are those of `derive`. Returns a function that waits for PyTorch and gives the record, so that
    other work can be done before it is called.
    """
    if dtype not in DTYPES:
        raise OptionError(f"unknown dtype {dtype}", hint=nearest(dtype, DTYPES) or "it is one of " + ", ".join(DTYPES))
    with ALONE:
        return _begin(expression, at, wrt, upstream, dtype)


def _begin(
    expression: str, at: Point | None, wrt: str | Sequence[str] | None, upstream: float | str, dtype: str
) -> Callable[[], Derivation]:
    point = read_point(at)
    graph = parse(expression, point)
    names = Names(graph)
    notes = check_point(graph, point)
    inputs = {i: names.of[i] for i in graph.inputs}
    missing = [name for name in inputs.values() if name not in point]
    sources = _sources(graph, names, wrt)
    with_torch = not missing and TORCH.installed()
    seed, held_seed = read_upstream(upstream, dtype)
    given: dict[int, float | None] = {
        i: held_value(name, point[name], dtype) if name in point else None for i, name in inputs.items()
    }
    given |= held_constants(graph, expression, dtype)
    asked = None
    if with_torch:
        # Everything that can be wrong has been looked at: from here on PyTorch is worth its time.
        TORCH.start()
        asked = TORCH.ask_witness(program(graph, given, graph.inputs, _active(graph, sources), held_seed, dtype))
    from gradexplain.explain.build import finish, prepare
    from gradexplain.explain.problem import Problem

    problem = Problem(
        expression, graph, names, point, given, sources, seed, held_seed, dtype, missing, notes, len(graph.nodes)
    )
    prepared = prepare(problem)

    def rest() -> Derivation:
        witness = TORCH.witness(asked) if asked else None
        with ALONE:
            return finish(prepared, witness)

    return rest


def check_point(graph: Graph, point: dict[str, Given]) -> list[str]:
    """Notes about given names that the formula lacks; a name that it computes itself cannot be given."""
    known = {str(graph.nodes[i].value) for i in graph.inputs}
    computed = set(graph.names.values()) - known
    notes = []
    for name, given in point.items():
        if name in computed:
            message, hint = f"{name} is computed by the formula and cannot be given", "leave it out of the point"
            if given.assignment is None:
                raise PointError(message, hint=hint)
            place = given.assignment.name
            raise PointError(message, given.assignment.text, place.start, place.end, hint)
        if name not in known:
            hint = nearest(name, known)
            notes.append(f"{name} is not in the formula" + (f"; {hint}" if hint else ""))
    return notes


def _sources(graph: Graph, names: Names, wrt: str | Iterable[str] | None) -> list[int]:
    """The nodes whose gradients are wanted, in the order in which they were named."""
    if wrt is None:
        return graph.inputs.copy()
    wanted = [part.strip() for part in (wrt.split(",") if isinstance(wrt, str) else wrt)]
    by_name = {name: i for i, name in names.of.items() if graph.nodes[i].rule == INPUT or i in graph.names}
    found: list[int] = []
    for name in wanted:
        if not name:
            raise OptionError("wrt names no variable", hint="such as --wrt w,b")
        i = by_name.get(name)
        if i is None:
            hint = nearest(name, by_name) or "the formula has " + ", ".join(list(by_name)[:12])
            raise OptionError(f"{name} in wrt is not in the formula", hint=hint)
        if i == graph.objective:
            raise OptionError(f"{name} is the objective itself", hint="its gradient is the upstream gradient")
        if graph.is_constant[i]:
            raise OptionError(f"{name} is a constant, and nothing can be differentiated by it")
        if i in found:
            raise OptionError(f"{name} is named twice in wrt", hint="name it once")
        found.append(i)
    return found


def _active(graph: Graph, sources: list[int]) -> list[int]:
    """The nodes between the objective and the sources, both kinds of end included but for the objective."""
    depends, needed = influenced(graph, sources, len(graph.nodes) - 1), graph.needed()
    return [i for i in range(len(graph.nodes)) if depends[i] and needed[i] and i != graph.objective]
