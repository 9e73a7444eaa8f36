"""The partial derivatives of a formula in symbols alone, without a point."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction

from gradexplain.explain.forms import Form, closed, write_forms
from gradexplain.explain.names import Names
from gradexplain.explain.problem import Problem
from gradexplain.language.parse import parse
from gradexplain.readings import exact


def partials(source: str, given: Collection[str], wanted: Sequence[str]) -> dict[str, Form]:
    """The closed form of the partial derivative by each wanted input, by name, in the order asked for.

    `given` are names that are variables whatever they are called (see `parse`).

    >>> partials("(y - (w*x+b))**2", (), ["w"])["w"].symbolic
    '-2*x*(y - (w*x + b))'
    """
    graph = parse(source, given)
    names = Names(graph)
    by_name = {names.of[i]: i for i in graph.inputs}
    sources = [by_name[name] for name in wanted]
    missing: dict[int, float | None] = dict.fromkeys(graph.inputs)
    one = Fraction(1)
    problem = Problem(
        source, graph, names, {}, missing, sources, one, 1.0, "float64", list(by_name), [], len(graph.nodes)
    )
    found = exact.run(graph, sources, missing, 1.0)
    forms = write_forms(problem, *closed(problem, found), found.walk, found)
    return {name: forms[by_name[name]] for name in wanted}
