"""How operations on tensors are written: products with @, transposes as .T, parts in brackets, settings by keyword."""

from __future__ import annotations

from typing import Any

from gradexplain.language.graph import Graph
from gradexplain.rules.products import PRODUCTS
from gradexplain.rules.row import REQUIRED
from gradexplain.rules.table import ELEMENTWISE, RULES

# Settings that are written without their names.
POSITIONAL = frozenset(("shape", "dims", "n", "dim0", "dim1", "num_classes", "normalized_shape"))
Part = str | tuple[int, int]


def is_product(graph: Graph, i: int) -> bool:
    """Whether a node is written with @: a product of matrices, unless the person called it by name."""
    return graph.nodes[i].rule in PRODUCTS and i not in graph.spelling and i not in graph.powers


def is_scaled_product(graph: Graph, i: int, slot: int = -1) -> bool:
    """Whether a node is a product of matrices times a single number in front, or divided by one, or negative.

    The product, which is the input `slot`, needs no brackets: a number may belong to its first matrix as well.
    """
    rule, inputs, _, _ = graph.nodes[i]
    place = {"mul": 1, "div": 0, "neg": 0}.get(rule)
    if place is None or slot not in (-1, place) or not is_product(graph, inputs[place]):
        return False
    shapes = graph.shapes
    return bool(shapes[inputs[place]]) and (rule == "neg" or not shapes[inputs[1 - place]])


def is_scaled(graph: Graph, i: int) -> bool:
    """Whether a node is a tensor times a single number that stands in front."""
    rule, inputs, _, _ = graph.nodes[i]
    shapes = graph.shapes
    return rule == "mul" and not shapes[inputs[0]] and bool(shapes[inputs[1]])


def is_negative_product(graph: Graph, i: int) -> bool:
    """Whether a node is written `-A @ B`."""
    return graph.nodes[i].rule == "neg" and is_product(graph, graph.nodes[i].inputs[0]) and is_scaled_product(graph, i)


def is_postfix(graph: Graph, i: int) -> bool:
    """Whether a node is written behind its input, such as x.T and x[0]."""
    rule = graph.nodes[i].rule
    return rule in ("select", "slice") or (rule == "transpose" and bool(_turn(graph, i)))


def _turn(graph: Graph, i: int) -> str:
    """`.T` or `.mT`, where a transposition is one of these."""
    node = graph.nodes[i]
    swapped, rank = set(node.settings), len(graph.shapes[node.inputs[0]])
    return ("" if swapped != {rank - 2, rank - 1} else ".T" if rank == 2 else ".mT") if rank > 1 else ""


def is_elementwise(graph: Graph, i: int) -> bool:
    """Whether an operation on two inputs goes element by element, both being vectors, matrices or more."""
    return all(graph.shapes[j] for j in graph.nodes[i].inputs)


def is_turn(graph: Graph, i: int) -> bool:
    """Whether a node is a transposition that is written `.T` or `.mT`."""
    return graph.nodes[i].rule == "transpose" and bool(_turn(graph, i))


def shown_settings(graph: Graph, i: int) -> list[tuple[str, Any]]:
    """The settings of a node that are written, in order: all but those with their default values."""
    node = graph.nodes[i]
    rows = zip(RULES[node.rule].settings, node.settings, strict=True)
    return [(name, value) for (name, default), value in rows if default is REQUIRED or value != default]


def parts(graph: Graph, i: int) -> list[Part] | None:
    """A node as literal text and pairs (slot, input), in the order in which they are written; None for scalar rules."""
    node = graph.nodes[i]
    if node.rule in ELEMENTWISE:
        return None
    rule, inputs, settings = RULES[node.rule], node.inputs, graph.settings(node)
    if is_product(graph, i):
        return [(0, inputs[0]), " @ ", (1, inputs[1])]
    if node.rule == "transpose" and _turn(graph, i):
        return [(0, inputs[0]), _turn(graph, i)]
    if i in graph.powers:
        base, count = graph.powers[i]
        return ["matrix_power(", (0, base), f", {count})"]
    if node.rule in ("select", "slice"):
        return [(0, inputs[0]), f"[{':, ' * settings['dim']}{range_of(settings)}]"]
    listed: list[Part] = []
    for slot, j in enumerate(inputs):
        listed += [", ", (slot, j)] if slot else [(slot, j)]
    if node.rule == "stack" and settings["dim"] == 0:
        return ["[", *listed, "]"]
    if rule.any_number:
        listed = ["[", *listed, "]"]
    for name, value in shown_settings(graph, i):
        text = shown(value, bare=True) if name in POSITIONAL else f"{name}={shown(value)}"
        listed.append(f", {text}" if listed else text)
    return [f"{graph.spelling.get(i, rule.written or node.rule)}(", *listed, ")"]


def range_of(settings: dict[str, Any]) -> str:
    """The index of an element, or a range of them, as it stands in square brackets."""
    if "index" in settings:
        return str(settings["index"])
    start, end, step = (settings[name] for name in ("start", "end", "step"))
    text = f"{'' if start is None else start}:{'' if end is None else end}"
    return text if step == 1 else f"{text}:{step}"


def shown(value: Any, bare: bool = False) -> str:
    """A setting as it is written; sizes may be names."""
    if isinstance(value, str) and bare:
        return value
    if isinstance(value, tuple):
        return f"({', '.join(map(str, value))}{',' * (len(value) == 1)})"
    return repr(value)
