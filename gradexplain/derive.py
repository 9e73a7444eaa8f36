"""Expression and point -> Derivation: the use case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from gradexplain.data.point import (
    Given,
    Point,
    held_constants,
    held_numbers,
    read_point,
    read_upstream,
)
from gradexplain.data.shapes import bind_sizes, read_shapes
from gradexplain.errors import OptionError, PointError, nearest
from gradexplain.explain.names import Names
from gradexplain.explain.problem import Problem
from gradexplain.language.graph import INPUT, Graph
from gradexplain.language.parse import check_sizes, parse
from gradexplain.readings.devices import check_name, check_presence
from gradexplain.readings.digits import digits
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.place import CPU
from gradexplain.readings.worker import WITNESSES
from gradexplain.records import Derivation, Remark
from gradexplain.rules import versions
from gradexplain.rules.shapes import Shape, times, write_shape
from gradexplain.tensor import Tensor


@dataclass(frozen=True, slots=True)
class DerivationRequest:
    """What is asked for, as `derive` takes it; `want` is `jacobian` or `hessian` where one was asked for."""

    expression: str
    at: Point | None
    wrt: str | Sequence[str] | None
    upstream: Any
    dtype: str
    shape: str | Sequence[str] | Mapping[str, Any] | None
    want: str
    device: str


def derive(
    expression: str,
    at: Point | None = None,
    *,
    wrt: str | Sequence[str] | None = None,
    upstream: Any = 1.0,
    dtype: str = "float64",
    shape: str | Sequence[str] | Mapping[str, Any] | None = None,
    jacobian: bool = False,
    hessian: bool = False,
    device: str = CPU,
) -> Derivation:
    """Differentiate a formula by the chain rule and compare every step with PyTorch's autograd.

    `expression` is a formula of the language: statements `name = expression` separated by `;` or line ends, of which
    the last one is the objective. `at` has the values of the inputs: a mapping from names to numbers, or text such as
    `"w=1,b=1/3"`. `wrt` are the inputs or named nodes whose gradients are wanted (all inputs where it is left out), as
    names or as text separated by commas. `upstream` is the gradient of the objective with respect to itself, PyTorch's
    `gradient=`. `dtype` is `float64`, `float32`, `bfloat16` or `float16`.

    A value may be a vector or a matrix: a nested list, an array or a tensor. `shape` has the shapes of inputs without
    a value, such as `"X=4x3"` or `{"X": ("n", "d")}`, where random numbers check the formulas. `jacobian` asks for the
    derivatives of all elements of the objective, `hessian` for the second derivatives of a single number. `device` is
    where PyTorch computes: `cpu`, `cuda`, `cuda:1` and so on, or `mps`.

    Returns the record of all rows. Without PyTorch, or without a value for every input, its symbolic half is complete
    and the verdict is `unverified`. Raises FormulaError, PointError or OptionError, each a GradexplainError and a
    message that can be shown as it is.

    >>> derivation = derive("(y - (w*x+b))**2", at={"w": 1, "b": 0, "x": 2, "y": 4})
    >>> derivation.gradient["w"].symbolic, derivation.gradient["w"].autograd, derivation.verdict
    ('-2*x*(y - (w*x + b))', -8.0, 'agrees')
    >>> derive("sum((A @ x)**2)", shape="A=n x n,x=n").gradient["x"].symbolic
    '2 * A.T @ A @ x'
    """
    return begin(
        expression, at, wrt=wrt, upstream=upstream, dtype=dtype, shape=shape, jacobian=jacobian, hessian=hessian,
        device=device,
    )()  # fmt: skip


def begin(
    expression: str,
    at: Point | None = None,
    *,
    wrt: str | Sequence[str] | None = None,
    upstream: Any = 1.0,
    dtype: str = "float64",
    shape: str | Sequence[str] | Mapping[str, Any] | None = None,
    jacobian: bool = False,
    hessian: bool = False,
    device: str = CPU,
) -> Callable[[], Derivation]:
    """The first half of `derive`: everything but PyTorch's numbers, which load meanwhile.

    Arguments and errors are those of `derive`. Returns a function that waits for PyTorch and gives the record, so that
    other work can be done before it is called.
    """
    if dtype not in DTYPES:
        raise OptionError(f"unknown dtype {dtype}", hint=nearest(dtype, DTYPES) or "it is one of " + ", ".join(DTYPES))
    if jacobian and hessian:
        raise OptionError("the Jacobian and the Hessian are two questions", hint="ask one at a time")
    check_name(device, dtype)
    want = "jacobian" * jacobian + "hessian" * hessian
    with digits():
        rest = _begin(DerivationRequest(expression, at, wrt, upstream, dtype, shape, want, device))
    check_presence(device)
    return rest if device == CPU else lambda: replace(rest(), _device=device)


def _begin(request: DerivationRequest) -> Callable[[], Derivation]:
    point = read_point(request.at)
    if request.shape is not None or any(given.tensor is not None for given in point.values()):
        shapes = read_shapes(request.shape)
        sizes = bind_sizes(shapes, {name: given.tensor for name, given in point.items()})
        shapes |= {n: given.tensor.shape for n, given in point.items() if given.tensor is not None and n not in shapes}
    else:
        shapes, sizes = {}, {}
    graph = parse(request.expression, [*point, *shapes], shapes)
    graph.sizes.update(sizes)
    check_sizes(graph, request.expression)
    problem = _problem(request, graph, point)
    if WITNESSES.installed() and not (problem.is_plain and problem.missing):
        # Everything that can be wrong has been looked at: from here on PyTorch is worth its time.
        WITNESSES.start()
    from gradexplain.explain.build import begin as begin_rows

    return begin_rows(problem, request.device)


def _problem(request: DerivationRequest, graph: Graph, point: dict[str, Given]) -> Problem:
    """What is asked for as a problem, once everything that can be wrong has been looked at."""
    expression, dtype, want = request.expression, request.dtype, request.want
    names = Names(graph)
    notes = check_point(graph, point)
    inputs = {i: names.of[i] for i in graph.inputs}
    sources = _sources(graph, names, request.wrt)
    given: dict[int, Any] = {
        i: held_numbers(name, point[name], dtype) if name in point else None for i, name in inputs.items()
    }
    seed, held_seed = _seed(request, graph, names)
    if graph.has_axes:
        from gradexplain.explain.checks import check_classes, check_size

        check_size(graph)
        classes = check_classes(graph, names, given)
        if request.wrt is None:
            sources = [j for j in sources if names.of[j] not in classes] or sources
            notes += [Remark("classes", {"name": name}) for name in classes]
        elif unable := [names.of[j] for j in sources if names.of[j] in classes]:
            raise OptionError(f"{unable[0]} has classes, whole numbers that cannot require gradients",
                              hint="leave it out of wrt")  # fmt: skip
    given |= held_constants(graph, expression, dtype)
    problem = Problem(
        expression, graph, names, point, given, sources, seed, held_seed, dtype,
        [name for name in inputs.values() if name not in point], notes, len(graph.nodes), want,
    )  # fmt: skip
    if want or graph.shapes[graph.objective]:
        from gradexplain.explain.checks import check_matrices, not_a_scalar

        if times(graph.shapes[graph.objective]) != 1 and seed == 1 and want != "jacobian":
            raise not_a_scalar(problem)
        check_matrices(problem)
    return problem


def _seed(request: DerivationRequest, graph: Graph, names: Names) -> tuple[Any, Any]:
    """The upstream gradient as it was given, and as the dtype holds it; 1 stands for ones. Raises OptionError."""
    upstream, shape = request.upstream, graph.lengths(graph.objective)
    if isinstance(upstream, (int, float, str)) and upstream in (1, "1"):
        return Fraction(1), Tensor.filled(shape, 1.0) if shape else 1.0
    seed, held = read_upstream(upstream, request.dtype)
    if (held.shape if isinstance(held, Tensor) else ()) != shape:
        raise _other_shape(held, names.of[graph.objective], graph.shapes[graph.objective])
    return (seed, held) if seed is not None else (held, held)


def _other_shape(seed: Tensor | float, objective: str, shape: Shape) -> OptionError:
    own = write_shape(seed.shape if isinstance(seed, Tensor) else ())
    return OptionError(f"upstream has the shape {own}, and {objective} {write_shape(shape)}",
                       hint="both must have the same shape")  # fmt: skip


def check_point(graph: Graph, point: dict[str, Given]) -> list[Remark]:
    """Notes about given names that the formula lacks, and about the version of PyTorch.

    A name that the formula computes itself cannot be given.
    """
    known = {str(graph.nodes[i].value) for i in graph.inputs}
    computed = set(graph.names.values()) - known
    values = versions.outside()
    notes = [Remark("other_version", values)] if values else []
    for name, given in point.items():
        if name in computed:
            message, hint = f"{name} is computed by the formula and cannot be given", "leave it out of the point"
            if given.assignment is None:
                raise PointError(message, hint=hint)
            place = given.assignment.name
            raise PointError(message, given.assignment.text, place.start, place.end, hint)
        if name not in known:
            hint = nearest(name, known)
            values = {"name": name, "hint": hint} if hint else {"name": name}
            notes.append(Remark("not_in_formula_but" if hint else "not_in_formula", values))
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
