"""Expression and point -> Derivation: the use case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gradexplain.calculus.backward import active
from gradexplain.data.point import (
    Given,
    Point,
    held_constants,
    held_numbers,
    held_value,
    read_point,
    read_upstream,
)
from gradexplain.data.shapes import bind_sizes, read_shapes
from gradexplain.errors import OptionError, PointError, nearest
from gradexplain.explain.names import Names
from gradexplain.language.graph import INPUT, Graph
from gradexplain.language.parse import parse
from gradexplain.readings.devices import check_name, check_presence
from gradexplain.readings.digits import digits
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.place import CPU
from gradexplain.readings.plan import compiled
from gradexplain.readings.witness import Question
from gradexplain.readings.worker import WITNESSES
from gradexplain.records import Derivation, Remark
from gradexplain.rules.shapes import Shape, times, write_shape
from gradexplain.tensor import Tensor

if TYPE_CHECKING:
    from gradexplain.explain.tensor_problem import TensorProblem


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
    if request.want or graph.needs_tensors():
        graph.sizes.update(sizes)
        from gradexplain.explain.tensor_problem import begin_tensors

        return begin_tensors(_tensor_problem(request, graph, point, shapes), request.device)
    return _begin_numbers(request, graph, point)


def _begin_numbers(request: DerivationRequest, graph: Graph, point: dict[str, Given]) -> Callable[[], Derivation]:
    expression, dtype = request.expression, request.dtype
    names = Names(graph)
    notes = check_point(graph, point)
    inputs = {i: names.of[i] for i in graph.inputs}
    missing = [name for name in inputs.values() if name not in point]
    sources = _sources(graph, names, request.wrt)
    with_torch = not missing and WITNESSES.installed()
    seed, held_seed = read_upstream(request.upstream, dtype)
    if seed is None or isinstance(held_seed, Tensor):
        raise _other_shape(held_seed, names.of[graph.objective], ())
    given: dict[int, float | None] = {
        i: held_value(name, point[name], dtype) if name in point else None for i, name in inputs.items()
    }
    constants = held_constants(graph, expression, dtype)
    asked = None
    if with_torch:
        # Everything that can be wrong has been looked at: from here on PyTorch is worth its time.
        WITNESSES.start()
        needed = graph.needed()
        used = {i: value for i, value in given.items() if value is not None and needed[i]}
        between, plan = active(graph, sources), compiled(graph, constants)
        asked = WITNESSES.ask_witness(Question(plan, used, list(used), between, held_seed, dtype, request.device))
    given |= constants
    from gradexplain.explain.build import finish, prepare
    from gradexplain.explain.problem import Problem

    problem = Problem(
        expression, graph, names, point, given, sources, seed, held_seed, dtype, missing, notes, len(graph.nodes)
    )
    prepared = prepare(problem)

    def rest() -> Derivation:
        witness = WITNESSES.witness(asked) if asked else None
        with digits():
            return finish(prepared, witness)

    return rest


def _tensor_problem(
    request: DerivationRequest, graph: Graph, point: dict[str, Given], shapes: dict[str, Shape]
) -> TensorProblem:
    from gradexplain.explain.tensor_problem import TensorProblem, check_classes, not_a_scalar

    wrt, upstream, dtype, want = request.wrt, request.upstream, request.dtype, request.want
    names = Names(graph)
    notes = check_point(graph, point)
    inputs = [names.of[i] for i in graph.inputs]
    values: dict[str, Tensor | float] = {
        name: held_numbers(name, point[name], dtype) for name in inputs if name in point
    }
    top = graph.shapes[graph.objective]
    seed: Tensor | float | None = None
    if not (isinstance(upstream, (int, float, str)) and upstream in (1, "1")):
        _, seed = read_upstream(upstream, dtype)
        if (seed.shape if isinstance(seed, Tensor) else ()) != graph.lengths(graph.objective):
            raise _other_shape(seed, names.of[graph.objective], top)
    sources = _sources(graph, names, wrt)
    classes = check_classes(graph, names, {name: value for name, value in values.items() if isinstance(value, Tensor)})
    if wrt is None:
        sources = [j for j in sources if names.of[j] not in classes] or sources
        notes += [Remark("classes", {"name": name}) for name in classes]
    elif unable := [names.of[j] for j in sources if names.of[j] in classes]:
        raise OptionError(f"{unable[0]} has classes, whole numbers that cannot require gradients",
                          hint="leave it out of wrt")  # fmt: skip
    problem = TensorProblem(
        request.expression, graph, names, point, values, {name: shapes.get(name, ()) for name in inputs},
        sources, seed, dtype, [name for name in inputs if name not in point], notes, len(graph.nodes), want,
    )  # fmt: skip
    if times(top) != 1 and seed is None and want != "jacobian":
        raise not_a_scalar(problem)
    _check_matrices(problem)
    return problem


def _check_matrices(problem: TensorProblem) -> None:
    """Raises OptionError where a Jacobian or a Hessian is asked for that there is none of."""
    graph, names, want = problem.graph, problem.names, problem.want
    if graph.shapes[graph.objective] and want == "hessian":
        raise OptionError(
            "a Hessian is that of a single number", hint="name sum(…) or mean(…) of it, or ask for --jacobian"
        )
    if want == "hessian" and any(node.rule == "cholesky" for node in graph.nodes):
        raise OptionError("the Hessian of cholesky is not explained",
                          hint="PyTorch differentiates a symmetric matrix in a way of its own twice")  # fmt: skip
    if want and (computed := [names.of[j] for j in problem.sources if graph.nodes[j].rule != INPUT]):
        raise OptionError(f"the {want.title()} is taken by inputs, and {computed[0]} is computed")


def _other_shape(seed: Tensor | float, objective: str, shape: Shape) -> OptionError:
    own = write_shape(seed.shape if isinstance(seed, Tensor) else ())
    return OptionError(f"upstream has the shape {own}, and {objective} {write_shape(shape)}",
                       hint="both must have the same shape")  # fmt: skip


def check_point(graph: Graph, point: dict[str, Given]) -> list[Remark]:
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
