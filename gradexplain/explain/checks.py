"""What of a formula at a point cannot be derived, or makes no sense: said before anything runs."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gradexplain.data import memory
from gradexplain.errors import FormulaError, GradexplainError, OptionError, PointError
from gradexplain.explain.closed_forms import closed_forms
from gradexplain.explain.names import Names
from gradexplain.explain.problem import Problem
from gradexplain.language.graph import INPUT, Graph
from gradexplain.language.text import write
from gradexplain.rules.shapes import times, write_shape
from gradexplain.tensor import Tensor

# So many elements fit into any machine.
SMALL = 1_000_000


def check_size(graph: Graph) -> None:
    """Raises FormulaError where the tensors of the formula would not fit into the memory that is free."""
    if not graph.has_axes:
        return
    counts = [math.prod(graph.lengths(i)) for i in range(len(graph.nodes))]
    if sum(counts) <= SMALL or sum(counts) <= memory.most_elements():
        return
    needed, free = (memory.shown_bytes(size * memory.BYTES_EACH) for size in (sum(counts), memory.most_elements()))
    largest = graph.shapes[max(range(len(counts)), key=counts.__getitem__)]
    raise FormulaError(
        f"the tensors of this formula take about {needed} of memory, and {free} are free",
        hint=f"the largest has the shape {write_shape(largest)}",
    )


def check_classes(graph: Graph, names: Names, given: Mapping[int, object]) -> list[str]:
    """The inputs whose numbers are classes, and nothing else. Raises PointError where one is no class that there is."""
    for node in graph.nodes:
        picked = graph.picked(node)
        if picked is not None and isinstance(tensor := given.get(picked[0]), Tensor):
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


def check_matrices(problem: Problem) -> None:
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


def not_a_scalar(problem: Problem) -> GradexplainError:
    """PyTorch's refusal to call backward() on what is no single number, and the ways out with what each would give."""
    graph, name = problem.graph, problem.names.of[problem.graph.objective]
    shape = graph.shapes[graph.objective]
    lines = [f"backward() starts from one number, and {name} has {times(shape)} elements; there are three ways out:"]
    for rule in ("sum", "mean"):
        top = graph.apply(rule, graph.objective, settings=(None, False))
        lines += [f"{rule}({name}) instead: {line}" for line in _gradients(problem, top)]
    ones = "[" * len(shape) + "1, …" + "]" * len(shape)
    lines.append(f'--upstream "{ones}", an upstream gradient of {write_shape(shape)}: the vector-Jacobian product')
    lines.append("and --jacobian gives the derivative of every element by every input")
    message = f"grad can be implicitly created only for scalar outputs: {name} has the shape {write_shape(shape)}"
    return FormulaError(message, hint="\n".join(lines))


def _gradients(problem: Problem, top: int) -> list[str]:
    """What a single number made of the objective would give, a line for each of the first inputs."""
    graph = problem.graph
    objective, graph.objective = graph.objective, top
    try:
        _, found = closed_forms(graph, problem.sources, graph.constant(1))
    finally:
        graph.objective = objective
    symbol = f"{graph.nodes[top].rule}({problem.names.of[objective]})"
    return [
        f"∂{symbol}/∂{problem.names.of[j]} = {'…' if root is None else write(graph, root, problem.named)}"
        for j, root in list(found.items())[:4]
    ]
