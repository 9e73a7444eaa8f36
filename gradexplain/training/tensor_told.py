"""What a run on tensors tells of its parameters: elements or norms in every step, and gradients as matrix formulas."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gradexplain.explain.forms import Form
from gradexplain.explain.tensor_forms import tensor_forms
from gradexplain.language.graph import Graph
from gradexplain.language.text import MATHML, write
from gradexplain.tensor import elements
from gradexplain.training_records import norm_of

# A parameter with more elements is told by its norm; so are the largest where there are more elements in all.
MAX_ELEMENTS, MAX_ALL = 8, 12


def by_element(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The parameters that are told element by element: the small ones, as long as there are not too many elements.

    >>> by_element({"W": (1, 2), "b": (1,), "V": (3, 3)}), by_element({"W": (8,), "V": (8,), "c": ()})
    (['W', 'b'], ['c'])
    """
    counts = {name: math.prod(shape) for name, shape in shapes.items()}
    most = MAX_ELEMENTS
    while sum(count for count in counts.values() if count <= most) > MAX_ALL:
        most -= 1
    # A single number always is.
    return [name for name, count in counts.items() if count <= most or not shapes[name]]


def told(name: str, shape: tuple[int, ...], singly: bool) -> list[str]:
    """What the steps tell of a parameter: its elements where `singly`, or its norm; a single number by its own name.

    >>> told("W", (1, 2), True), told("W", (1, 2), False)
    (['W[0, 0]', 'W[0, 1]'], ['‖W‖'])
    """
    return elements(name, shape) if singly else [norm_of(name)]


def forms_of(graph: Graph, sources: Mapping[str, int]) -> dict[str, Form]:
    """The gradients of the objective by each source as matrix formulas, over the names that the person gave."""
    named = {i: name for i, name in graph.names.items() if i != graph.objective}
    found = tensor_forms(graph, list(sources.values()), graph.constant(1))
    forms = {}
    for name, j in sources.items():
        root = found[j]
        text = None if root is None else write(graph, root, named)
        forms[name] = Form("", (), text, None if root is None else write(graph, root, named, MATHML), None)
    return forms
