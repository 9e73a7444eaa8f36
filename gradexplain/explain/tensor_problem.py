"""A formula on tensors at a point: the second half of `derive`, from the parsed formula to the record."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradexplain.calculus.backward import active
from gradexplain.data.point import Given, held_constants
from gradexplain.errors import FormulaError, GradexplainError, PointError
from gradexplain.explain.closed_forms import closed_forms
from gradexplain.explain.names import Names
from gradexplain.language.graph import Graph
from gradexplain.language.text import write
from gradexplain.readings.plan import compiled, packed_graph
from gradexplain.readings.witness import Question, Witness
from gradexplain.readings.worker import WITNESSES, Asked
from gradexplain.records import Remark
from gradexplain.rules.shapes import Shape, write_shape
from gradexplain.tensor import Tensor, shape_and_bytes

# So many elements, in all inputs and nodes together, are taken on.
MAX_MEMORY = 2**31


@dataclass(frozen=True, slots=True)
class TensorProblem:
    """A formula on tensors, ready to be differentiated.

    `point` are the given values by name, `values` the numbers of every input that has a value, as the dtype holds
    single ones; `sources` the nodes whose gradients are wanted; `upstream` the given gradient of the objective, None
    for ones; `shapes` those of the inputs, `missing` the inputs without a value; `size` how many nodes the formula has;
    `want` is `jacobian` or `hessian` where one was asked for.
    """

    source: str
    graph: Graph
    names: Names
    point: Mapping[str, Given]
    values: Mapping[str, Tensor | float]
    shapes: Mapping[str, Shape]
    sources: list[int]
    upstream: Tensor | float | None
    dtype: str
    missing: list[str]
    notes: list[Remark]
    size: int
    want: str = ""

    @property
    def named(self) -> dict[int, str]:
        """The names that closed forms are written over: those of the person, but for the objective's."""
        return {i: name for i, name in self.graph.names.items() if i != self.graph.objective}

    def partial(self, node: int) -> str:
        """The partial derivative of the objective by a node, as a symbol."""
        return f"∂{self.names.of[self.graph.objective]}/∂{self.names.of[node]}"

    def seed(self) -> int:
        """The upstream gradient as a node: a number, or the list of its elements."""
        graph, upstream = self.graph, self.upstream
        if upstream is None and graph.shapes[graph.objective]:
            return graph.apply("ones", settings=(graph.shapes[graph.objective],))
        if upstream is None or not isinstance(upstream, Tensor):
            from fractions import Fraction

            return graph.constant(Fraction(repr(upstream)) if upstream is not None else 1)
        return constant_node(graph, upstream)


def constant_node(graph: Graph, tensor: Tensor) -> int:
    """A tensor of known numbers as a node: a list of lists."""
    from fractions import Fraction

    level = [graph.constant(Fraction(repr(number))) for number in tensor.numbers or ()]
    for size in reversed(tensor.shape):
        level = [graph.apply("stack", *level[i : i + size], settings=(0,)) for i in range(0, len(level), size)]
    return level[0]


def check_size(graph: Graph) -> None:
    """Raises FormulaError where the tensors of the formula would not fit into memory."""
    total = 0
    for i, shape in enumerate(graph.shapes):
        total += math.prod(graph.lengths(i))
        if total > MAX_MEMORY:
            raise FormulaError(
                f"the tensors of this formula have more than {MAX_MEMORY:,} elements",
                hint=f"the first that is too much has the shape {write_shape(shape)}",
            )


def check_classes(graph: Graph, names: Names, values: Mapping[str, Tensor]) -> list[str]:
    """The inputs whose numbers are classes, and nothing else. Raises PointError where one is no class that there is."""
    for node in graph.nodes:
        picked = graph.picked(node)
        if picked is not None and (tensor := values.get(names.of.get(picked[0], ""))) is not None:
            _check_classes(names.of[picked[0]], tensor, picked[1])
    return [names.of[j] for j in graph.classes()]


def _check_classes(name: str, tensor: Tensor, count: int | str) -> None:
    wrong = next(
        (x for x in tensor.numbers or () if x != int(x) or x < 0 or (isinstance(count, int) and x >= count)), None
    )
    if wrong is not None:
        last = count - 1 if isinstance(count, int) else f"{count} - 1"
        raise PointError(
            f"{name} has {wrong:g}, which is no class", hint=f"the classes are the whole numbers from 0 to {last}"
        )


def not_a_scalar(problem: TensorProblem) -> GradexplainError:
    """PyTorch's refusal to call backward() on what is no single number, and the ways out with what each would give."""
    graph, name = problem.graph, problem.names.of[problem.graph.objective]
    shape = graph.shapes[graph.objective]
    lines = [f"backward() starts from one number, and {name} has {_count(shape)}; there are three ways out:"]
    for rule in ("sum", "mean"):
        top = graph.apply(rule, graph.objective, settings=(None, False))
        lines += [f"{rule}({name}) instead: {line}" for line in _gradients(problem, top)]
    ones = "[" * len(shape) + "1, …" + "]" * len(shape)
    lines.append(f'--upstream "{ones}", an upstream gradient of {write_shape(shape)}: the vector-Jacobian product')
    lines.append("and --jacobian gives the derivative of every element by every input")
    message = f"grad can be implicitly created only for scalar outputs: {name} has the shape {write_shape(shape)}"
    return FormulaError(message, hint="\n".join(lines))


def _count(shape: Shape) -> str:
    from gradexplain.rules.shapes import times

    return f"{times(shape)} elements"


def _gradients(problem: TensorProblem, top: int) -> list[str]:
    """What a single number made of the objective would give, a line for each of the first inputs."""
    graph = problem.graph
    objective, graph.objective = graph.objective, top
    try:
        _, found = closed_forms(graph, problem.sources, graph.constant(1))
    finally:
        graph.objective = objective
    name = problem.names.of[objective]
    symbol = f"{graph.nodes[top].rule}({name})"
    return [
        f"∂{symbol}/∂{problem.names.of[j]} = {'…' if root is None else write(graph, root, problem.named)}"
        for j, root in list(found.items())[:4]
    ]


class Texts:
    """The closed forms by source, as nodes and as text: the general one, then one with exceptions for values."""

    def __init__(self, graph: Graph, named: Mapping[int, str], forms: Sequence[Mapping[int, int | None]]) -> None:
        self.roots: dict[int, list[int]] = {}
        self.texts: dict[int, list[str]] = {}
        for j in forms[0]:
            roots = list(dict.fromkeys(root for found in forms if (root := found[j]) is not None))
            self.roots[j], self.texts[j] = roots, [write(graph, root, named) for root in roots]

    def first(self) -> dict[int, int | None]:
        """The general form of each source."""
        return {j: roots[0] if roots else None for j, roots in self.roots.items()}


def begin_tensors(problem: TensorProblem, device: str) -> Callable[[], Any]:
    """Everything but PyTorch's numbers; returns a function that waits for these and gives the record."""
    graph = problem.graph
    check_size(graph)
    constants = held_constants(graph, problem.source, problem.dtype)
    with_torch = WITNESSES.installed()
    if with_torch:
        WITNESSES.start()
    forms = [closed_forms(graph, problem.sources, problem.seed(), generic)[1] for generic in (True, False)]
    texts = Texts(graph, problem.named, forms)
    from gradexplain.explain.notes import closed_form_source
    from gradexplain.explain.second_order import second_forms
    from gradexplain.explain.tensor_build import build
    from gradexplain.explain.tensor_exact import exactly, holding, is_small, judged_exactly, with_exact

    # Exact numbers confirm closed forms best. Where there are none PyTorch does, which differentiates them once more.
    small = is_small(problem)
    checked = {} if small and not problem.want else {j: found for j, found in texts.texts.items() if found}
    statements = "\n".join(closed_form_source(problem))
    formulas = second_forms(problem, texts.first())
    asked = _ask(problem, checked, statements, formulas.matrices, constants, device) if with_torch else None

    exact = exactly(problem, constants) if small else None

    def finish() -> Any:
        witness = WITNESSES.witness(asked) if asked else Witness([], {})
        found = with_exact(_found(witness) if asked else {}, exact[1] if exact else None)
        judged = judged_exactly(*exact, witness, found) if exact and witness.values else None
        if exact:
            found = {**found, "holds": holding(*exact, texts.roots)}
        return build(problem, texts, formulas, found, judged)

    return finish


def _found(witness: Witness) -> Mapping[str, Any]:
    """What PyTorch found, by kind."""
    if witness.error:
        return {"error": witness.error, "node": witness.node if witness.node >= 0 else None}
    rows = {j: (total, witness.gradients.get(j), *rest) for j, (total, *rest) in witness.tables["rows"].items()}
    return {**witness.tables, "witness": dict(enumerate(witness.values)), "rows": rows,
            "values": dict(enumerate(witness.tables["values"]))}  # fmt: skip


def _ask(
    problem: TensorProblem, forms: Mapping[int, list[str]], statements: str, matrices: Mapping[str, str],
    constants: Mapping[int, float], device: str,
) -> Asked:  # fmt: skip
    graph, upstream = problem.graph, problem.upstream
    names = {i: str(graph.nodes[i].value) for i in graph.inputs}
    given = {i: shape_and_bytes(problem.values[name]) if name in problem.values else None for i, name in names.items()}
    tables = (packed_graph(graph, problem.size), problem.sources, dict(forms), problem.want, statements, dict(matrices))
    # What has a name is needed: closed forms are written over it.
    plan = compiled(graph, constants, [i for i in graph.names if i < graph.objective])
    return WITNESSES.ask_witness(Question(
        plan, given, list(given), active(graph, problem.sources),
        None if upstream is None else shape_and_bytes(upstream),
        problem.dtype, device, tables,
    ))  # fmt: skip
