"""The remarks beside the rows, in words: what is missing, what a kink means, and where a difference began."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from gradexplain.explain.one_sided import Sides
from gradexplain.explain.problem import Problem
from gradexplain.explain.verdicts import Judgement
from gradexplain.readings.arithmetic import Number
from gradexplain.readings.decimal import digits_of
from gradexplain.readings.exact import DEAD, Exact
from gradexplain.readings.numbers import Witness
from gradexplain.records import Began, Value
from gradexplain.rules.rules import RULES

if TYPE_CHECKING:
    from gradexplain.explain.tensor_problem import TensorProblem

Item = TypeVar("Item")
MAX_LISTED = 8


def listed(items: Sequence[Item], name: Callable[[Item], str] = str) -> str:
    """The names of some items in a sentence, a long list cut short.

    >>> listed(["w", "x", "y"])
    'w, x and y'
    """
    count = len(items)
    names = [name(item) for item in items[:MAX_LISTED]]
    if count > MAX_LISTED:
        return ", ".join(names[:-1]) + f" and {count - MAX_LISTED + 1:,} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if count > 1 else names)


def short(value: Number | Value) -> str:
    """A number in a sentence."""
    if value is None:
        return "unknown"
    if isinstance(value, (bool, str)):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    return "0" if value is DEAD else digits_of(value, 6)


def missing_note(problem: Problem) -> str:
    """What to do about inputs without a value."""
    names = problem.missing
    has, them = ("has", "it") if len(names) == 1 else ("have", "them")
    example = ",".join(f"{name}=1" for name in names[:3]) + ",…" * (len(names) > 3)
    return f"{listed(names)} {has} no value, so PyTorch has nothing to run on; give {them} with --at {example}"


def general_notes(problem: Problem, exact: Exact, witness: Witness, with_torch: bool) -> list[str]:
    """Remarks on the derivation as a whole."""
    notes = []
    graph = problem.graph
    if problem.missing:
        notes.append(missing_note(problem))
    elif not with_torch:
        notes.append("PyTorch is not installed, so autograd's column is empty; install it with pip install torch")
    elif witness.error:
        notes.append(f"PyTorch refused: {witness.error}")
    unreached = [problem.name(j) for j in problem.sources if j not in exact.walk.totals]
    if unreached:
        objective = problem.name(graph.objective)
        reach = "does" if len(unreached) == 1 else "do"
        notes.append(f"nothing flows from {objective} back to {listed(unreached)}, which {reach} not influence it "
                     "smoothly: the gradient is 0, and PyTorch leaves .grad None")  # fmt: skip
    passed = {graph.nodes[step.through].rule for steps in exact.walk.steps.values() for step in steps}
    flat = "is constant between its jumps, so its derivative is 0 and no gradient flows through it"
    return notes + [f"{rule} {flat}" for rule in sorted(passed) if RULES[rule].staircase]


def kink_note(problem: Problem, exact: Exact, judgement: Judgement, sides: Sides | None, j: int) -> str:
    """What the convention at a kink means for the gradient of source `j`."""
    node = judgement.began[j][0]
    rule = RULES[problem.graph.nodes[node].rule]
    what = f"{problem.name(node)} = {problem.names.expression(node)} has a kink here"
    text = f"{problem.partial(j)}: {what}"
    chosen = short(exact.walk.totals.get(j, DEAD))
    if sides is not None and sides.derivative is not None:
        derivative = short(sides.derivative)
        return f"{text}, and PyTorch's choice gives {chosen}, while the derivative of the whole exists: {derivative}"
    if sides is not None:
        left, right = (f"{short(side)}" if side is not None else "not finite" for side in sides)
        text += f": the derivative is {left} from the left and {right} from the right"
        return f"{text}; PyTorch takes {chosen}" + (
            f" ({rule.at_kink})" if rule.at_kink and not _trivial(rule.at_kink) else ""
        )
    return f"{text}; {rule.at_kink or 'PyTorch follows the branch that the condition picks'}"


def _trivial(at_kink: str) -> bool:
    return at_kink == "PyTorch takes 0"


def began(problem: Problem, exact: Exact, witness: Witness, judgement: Judgement, j: int) -> Began | None:
    """Where the verdict of node `j` began, with the reason in words; None where it is fine."""
    if j not in judgement.began:
        return None
    node, kind = judgement.began[j]
    what = f"{problem.name(node)} = {problem.names.expression(node)}" if node in problem.graph.names or _inner(
        problem, node) else problem.name(node)  # fmt: skip
    reasons = {
        "forward": lambda: _forward(problem, exact, witness, node, what),
        "local": lambda: f"the local derivative of {what} is not finite here: {_local(problem, exact, node)}",
        "sum": lambda: f"the contributions to {problem.partial(node)} cancel: {_terms(exact, node)}",
        "rounding": lambda: f"the derivative of {what} loses its digits in {problem.dtype}",
        "range": lambda: f"{problem.partial(j)} is {short(exact.walk.totals[j])}, out of the range of {problem.dtype}",
        "unknown": lambda: f"PyTorch and the chain rule differ at {what}, and rounding does not explain it",
        "kink": lambda: f"{what} has a kink here; {_at_kink(problem, node)}",
    }
    return Began(problem.name(node), reasons[kind]())


def _at_kink(problem: Problem, node: int) -> str:
    return RULES[problem.graph.nodes[node].rule].at_kink or "PyTorch follows the branch that the condition picks"


def _inner(problem: Problem, node: int) -> bool:
    return problem.graph.nodes[node].rule != "input"


def _forward(problem: Problem, exact: Exact, witness: Witness, node: int, what: str) -> str:
    value, found = exact.values[node], witness.values[node]
    exact_text, found_text = short(value), short(found)
    if exact_text in ("nan", "inf", "-inf"):
        return f"{what} has no finite value here: {found_text}"
    if found is not None and not math.isfinite(found):
        return f"{what} is {exact_text}, and {problem.dtype} holds {found_text}"
    return f"{what} loses its digits in {problem.dtype}: exactly {exact_text}, PyTorch has {found_text}"


def _local(problem: Problem, exact: Exact, node: int) -> str:
    for steps in exact.walk.steps.values():
        for step in steps:
            if step.through == node and step.local is not DEAD and step.local is not None:
                text = problem.names.local(node, step.slot)
                if short(step.local) in ("nan", "inf", "-inf"):
                    return f"{text} = {short(step.local)}"
    return "nan"


def _terms(exact: Exact, node: int) -> str:
    return " + ".join(f"({short(step.value)})" for step in exact.walk.steps[node])


def closed_form_source(problem: Problem | TensorProblem) -> tuple[str, ...]:
    """The formula as gradexplain reads it, a statement each: the named nodes, in order."""
    graph, names = problem.graph, problem.names
    named = dict(graph.names)

    def simple(i: int) -> bool:
        return all(j in named or graph.nodes[j].value is not None for j in graph.nodes[i].inputs)

    return tuple([
        f"{name} = {names.expression(i) if simple(i) else names.written(i, named)}" for i, name in named.items()
    ])  # fmt: skip
