"""The remarks beside the rows: what is missing, what a kink means, and where a difference began; ids with values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradexplain.calculus.backward import Walk
from gradexplain.explain.decimal import digits_of
from gradexplain.explain.decimal import short as short
from gradexplain.explain.one_sided import settled
from gradexplain.explain.problem import Problem
from gradexplain.explain.verdicts import Judgement, at, count_of, numbers_of
from gradexplain.language.graph import Graph
from gradexplain.language.text import write
from gradexplain.readings.conventions import changed
from gradexplain.readings.differences import Sides
from gradexplain.readings.exact import DEAD, Exact, at_point, constant_value
from gradexplain.readings.exact_arrays import elements, shape_of
from gradexplain.readings.exact_walk import documented, is_finite
from gradexplain.readings.witness import Witness
from gradexplain.records import Began, Remark
from gradexplain.rules import versions
from gradexplain.rules.row import ZERO
from gradexplain.rules.table import RULES
from gradexplain.wording import say

NO_NUMBERS = ("nan", "inf", "-inf")
# So many elements of a gradient have a note of their own.
MAX_ELEMENTS = 4
KnownSides = Mapping[tuple[int, int], Sides]


def missing_note(problem: Problem) -> Remark:
    """What to do about inputs without a value."""
    names = problem.missing
    example = ",".join(f"{name}=1" for name in names[:3]) + ",…" * (len(names) > 3)
    return remark("missing", names=names, example=example)


def remark(id: str, **values: Any) -> Remark:
    """A note with an id and values."""
    return Remark(id, values)


def flow_notes(problem: Problem, walk: Walk[Any]) -> list[Remark]:
    """Remarks on where no gradient flows."""
    notes, graph, names = [], problem.graph, problem.names.of
    unreached = [names[j] for j in problem.sources if j not in walk.totals]
    if unreached:
        notes.append(remark("unreached", objective=names[graph.objective], names=unreached))
    passed = {graph.nodes[step.through].rule for steps in walk.steps.values() for step in steps}
    flat = sorted(rule for rule in passed if rule in RULES and RULES[rule].staircase)
    return notes + [remark("staircase", rule=rule) for rule in flat]


def general_notes(
    problem: Problem, walk: Walk[Any], witness: Witness | None, is_exact: bool, verdict: str
) -> list[Remark]:
    """Remarks on the derivation as a whole. `verdict` is that on what nothing flows to."""
    notes, graph, names = [], problem.graph, problem.names
    if witness is None:
        notes.append(missing_note(problem) if problem.missing and is_exact else remark("no_torch"))
    elif witness.error and verdict == "undefined" and witness.node in names.of:
        notes.append(remark("refused_at", expression=names.expression(witness.node), message=witness.error))
    elif witness.error:
        notes.append(remark("refused", message=witness.error))
    elif problem.missing:
        notes.append(remark("random_numbers", names=problem.missing))
    if graph.sizes:
        sizes = ", ".join(f"{name} = {number}" for name, number in graph.sizes.items())
        notes.append(remark("sizes", sizes=sizes))
    return notes + flow_notes(problem, walk)


def kink_notes(
    problem: Problem, exact: Exact, witness: Witness, judgement: Judgement, sides: KnownSides, j: int
) -> list[Remark]:
    """What the conventions at kinks mean for the gradient of source `j`, for the first elements that have one."""
    places = judgement.worst(j) or [0]
    found = numbers_of(witness.gradients.get(j), count_of(exact.values[j]))
    notes = [kink_note(problem, exact, judgement, sides.get((j, k)), j, k, found[k]) for k in places[:MAX_ELEMENTS]]
    if len(places) > MAX_ELEMENTS:
        notes.append(remark("more_kinks", partial=problem.partial(j, places[0]), count=len(places) - MAX_ELEMENTS))
    return notes


def kink_note(
    problem: Problem, exact: Exact, judgement: Judgement, sides: Sides | None, j: int, k: int, autograd: float
) -> Remark:
    """What the convention at a kink means for one element of the gradient of source `j`, which PyTorch has."""
    origin = judgement.elements[j][k][1] if j in judgement.elements else judgement.began[j]
    node = origin.node
    values = {"partial": problem.partial(j, k), "what": problem.element(node, origin.place)}
    total = settled(at(exact.walk.totals.get(j, DEAD), k), sides)
    if origin.kind == "documented":
        values |= {"does": does(problem.graph, node), "exact": short(total), "found": short(autograd)}
        return remark("documented", **values)
    chosen = short(autograd + 0.0)
    if sides is None:
        return remark("kink_on_the_way", **values, at_kink=at_kink(problem.graph, node), count=1)
    if sides.derivative is not None:
        return remark("kink_crossed", **values, chosen=chosen, derivative=short(sides.derivative))
    left, right = [None if side is None else short(side) for side in sides]
    both: dict[str, Any] = {**values, "left": left, "right": right, "chosen": chosen}
    because = at_kink(problem.graph, node) if RULES[problem.graph.nodes[node].rule].at_kink else ""
    if because in ("", ZERO) or origin.kind == "beside":
        return remark("kink_sides", **both)
    return remark("kink_sides_because", **both, at_kink=because)


def at_kink(graph: Graph, node: int) -> str:
    """What PyTorch takes at a kink of a node."""
    rule = graph.nodes[node].rule
    if changed(rule):
        return say("convention_changed", version=versions.installed(), known=RULES[rule].at_kink)
    return RULES[rule].at_kink or say("branch")


def does(graph: Graph, node: int) -> str:
    """What PyTorch is known to do at a node, as the row documents."""
    documented = RULES[graph.nodes[node].rule].documented
    return documented.what if documented else ""


def documented_notes(problem: Problem, exact: Exact) -> list[Remark]:
    """What the formula follows PyTorch in, such as the threshold of softplus."""
    graph = problem.graph
    rows = {i: RULES[node.rule].documented for i, node in enumerate(graph.nodes[: problem.size]) if node.rule in RULES}
    kept = [i for i, row in rows.items() if row and row.verdict == "agrees"]
    followed = [i for i in kept if any(documented(graph, exact.values, i))]
    return [remark("followed", what=problem.names.expression(i), does=does(graph, i)) for i in followed]


def rounded_constants(problem: Problem, exact: Exact) -> list[Remark]:
    """The constants without which, as the dtype holds them, the answer would be another one, each by itself."""
    graph, notes = problem.graph, []
    for i, held in problem.given.items():
        meant = constant_value(graph, i) if graph.is_constant[i] and not shape_of(held) else None
        if meant is None or not is_finite(meant) or meant == held:
            continue
        given = {**problem.given, i: meant}
        again = at_point(graph, problem.sources, given, problem.held_seed, problem.size, exact.bits)
        if _kind(problem, again) != _kind(problem, exact):
            written = write(graph, i, {})
            values = {"what": written, "held": short(held), "exact": digits_of(meant, 17), "dtype": problem.dtype}
            notes.append(remark("constant_rounded", **values))
    return notes


def _kind(problem: Problem, exact: Exact) -> tuple[Any, ...]:
    """What there is at a point: kinks, and numbers that are none."""
    totals = [exact.walk.totals.get(j, DEAD) for j in (problem.graph.objective, *problem.sources)]
    values = [exact.values[problem.graph.objective], *totals]
    return sorted(exact.kinks), [is_finite(number) for value in values for number in elements(value)]


def began(problem: Problem, exact: Exact, witness: Witness, judgement: Judgement, j: int) -> Began | None:
    """Where the verdict of node `j` began, with the reason; None where it is fine."""
    if j not in judgement.began:
        return None
    node, kind, place = judgement.began[j]
    name, dtype, what = problem.name(node), problem.dtype, problem.element(node, place)
    if kind == "forward":
        return _value_began(problem, exact, witness, node, place)
    if kind == "local":
        local, value = _not_finite(problem, exact, node, place)
        return Began.at(name, "local_not_finite", what=what, local=local, value=value)
    if kind == "sum":
        terms = " + ".join(f"({short(at(step.value, place))})" for step in exact.walk.steps[node])
        return Began.at(name, "terms_cancel", partial=problem.partial(node, place), terms=terms)
    if kind == "rounding":
        return Began.at(name, "local_loses_digits", what=what, dtype=dtype)
    if kind == "range":
        k = (judgement.worst(j) or [0])[0]
        total = short(at(exact.walk.totals[j], k))
        return Began.at(name, "gradient_out_of_range", partial=problem.partial(j, k), exact=total, dtype=dtype)
    if kind == "beside":
        return Began.at(name, "kink_beside", what=what)
    if kind == "documented":
        return Began.at(name, "documented_at", what=what, does=does(problem.graph, node))
    if kind == "kink":
        count = len(exact.kinks.get(node, (0,)))
        return Began.at(name, "kink", what=what, at_kink=at_kink(problem.graph, node), count=count)
    return Began.at(name, "unexplained", what=what)


def _value_began(problem: Problem, exact: Exact, witness: Witness, node: int, place: int) -> Began:
    """Why the value of an element is not the one that PyTorch has."""
    name, dtype, what = problem.name(node), problem.dtype, problem.element(node, place)
    value = exact.values[node]
    found = numbers_of(witness.values[node], count_of(value))[place]
    exact_text, found_text = short(at(value, place)), short(found)
    if exact_text in NO_NUMBERS and found is not None and math.isfinite(found):
        return Began.at(name, "value_by_rounding", what=what, exact=exact_text, found=found_text, dtype=dtype)
    if exact_text in NO_NUMBERS:
        return Began.at(name, "value_not_finite", what=what, found=found_text)
    if found is not None and not math.isfinite(found):
        return Began.at(name, "value_out_of_range", what=what, exact=exact_text, dtype=dtype, found=found_text)
    return Began.at(name, "value_loses_digits", what=what, exact=exact_text, dtype=dtype, found=found_text)


def _not_finite(problem: Problem, exact: Exact, node: int, place: int) -> tuple[str, str]:
    """A local derivative of a node that is not finite, and its value."""
    for steps in exact.walk.steps.values():
        for step in steps:
            local = None if step.local is None else at(step.local, place)
            if step.through == node and local is not DEAD and local is not None:
                value = short(local)
                if value in NO_NUMBERS:
                    return problem.names.local(node, step.slot), value
    return "", "nan"


def closed_form_source(problem: Problem) -> tuple[str, ...]:
    """The formula as gradexplain reads it, a statement each: the named nodes, in order."""
    graph, names = problem.graph, problem.names
    named = dict(graph.names)

    def simple(i: int) -> bool:
        return all(j in named or graph.nodes[j].value is not None for j in graph.nodes[i].inputs)

    return tuple([
        f"{name} = {names.expression(i) if simple(i) else names.written(i, named)}" for i, name in named.items()
    ])  # fmt: skip
