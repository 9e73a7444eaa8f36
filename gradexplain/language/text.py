"""Graph -> text in the person's own order and names; a style is a table of rows, one for each way of writing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from gradexplain.language.graph import CONSTANT, INPUT, Graph
from gradexplain.language.numerals import write_fraction
from gradexplain.language.setting_texts import index_text, setting_text, shown_settings
from gradexplain.rules.products import PRODUCTS
from gradexplain.rules.table import ELEMENTWISE, RULES

PRECEDENCE = {
    "gt": 1, "ge": 1, "lt": 1, "le": 1, "eq": 1, "ne": 1, "add": 2, "sub": 2, "mul": 3, "div": 3, "neg": 4, "pow": 5,
}  # fmt: skip
ATOM = 6
# What has a row of its own although it is a rule of another name: products with @, `.T` and `.mT`, powers of matrices.
PRODUCT, TURN, POWER = "product", "turn", "power"
# The bound that a clamp with only one has, by its rule.
_BOUNDS = {"clamp_min": "min", "clamp_from": "min", "clamp_max": "max", "clamp_to": "max"}
# A piece of a node's text: as it stands, or an input by its place and node.
Part = str | tuple[int, int]
_PLACE = re.compile(r"⟨(\w+)⟩")


class Row(NamedTuple):
    """How one rule is written: the pattern, how tightly the whole binds, and how tightly each input must.

    In a pattern, `⟨0⟩` and `⟨1⟩` are the inputs, `⟨inputs⟩` all of them, `⟨settings⟩` the settings that are not the
    default, `⟨arguments⟩` both, and `⟨name⟩` is the operation. Of a power there are `⟨base⟩` and `⟨count⟩`, and
    `⟨turn⟩` is how a transposition is written. Without `inputs`, none needs brackets.
    """

    pattern: str
    precedence: int = ATOM
    inputs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Style:
    """One way of writing: rows for the rules that are not written as calls, and how the small parts look.

    `name`, `number`, `function` and `word` make text of a name, of a number, of the name of an operation, and of a
    setting. `group` puts brackets around something, `listed` those of a list; `call` is the pattern of a call, `called`
    of one with settings. `elementwise` is the pattern of a product element by element, where it is not that of numbers,
    and `sizes` what stands between the sizes of a shape, where it is no tuple. `special` may write what is no operator
    in yet another way.
    """

    rows: Mapping[str, Row]
    name: Callable[[str], str]
    number: Callable[[str], str]
    group: str
    call: str
    called: str
    comma: str
    listed: str
    function: Callable[[str], str] = str
    word: Callable[[str], str] = str
    elementwise: str = ""
    sizes: str = ""
    special: Callable[[Graph, int], list[Part] | None] | None = None


def operators(patterns: Mapping[str, str]) -> dict[str, Row]:
    """Rows for the operators: a right side binds more tightly than its operator, for powers the left side does."""
    sides = {1: (2, 2), 2: (2, 3), 3: (3, 5), 4: (5,), 5: (ATOM, 5)}
    return {rule: Row(patterns[rule], own, sides[own]) for rule, own in PRECEDENCE.items()}


_PLAIN = {rule: f"⟨0⟩ {RULES[rule].symbol} ⟨1⟩" for rule in PRECEDENCE}
_PLAIN |= {"mul": "⟨0⟩*⟨1⟩", "div": "⟨0⟩/⟨1⟩", "pow": "⟨0⟩**⟨1⟩", "neg": "-⟨0⟩"}
_INDEXED = Row("⟨0⟩[⟨settings⟩]", ATOM, (ATOM,))
_ROWS = {
    **operators(_PLAIN), "identity": Row("⟨0⟩", 1, (1,)), PRODUCT: Row("⟨0⟩ @ ⟨1⟩"),
    TURN: Row("⟨0⟩⟨turn⟩", ATOM, (ATOM,)), POWER: Row("matrix_power(⟨base⟩, ⟨count⟩)"), "select": _INDEXED,
    "slice": _INDEXED, "stack": Row("⟨inputs⟩"), "gelu_tanh": Row("gelu(⟨0⟩, approximate='tanh')"),
    **dict.fromkeys(("max_along", "min_along"), Row("⟨name⟩(⟨arguments⟩).values")),
    "layer_norm_scaled": Row("layer_norm(⟨0⟩, ⟨settings⟩, weight=⟨1⟩)"),
    "layer_norm_affine": Row("layer_norm(⟨0⟩, ⟨settings⟩, weight=⟨1⟩, bias=⟨2⟩)"),
    "diagonals": Row("diagonal(⟨0⟩, dim1=-2, dim2=-1)"),
}  # fmt: skip
PLAIN = Style(_ROWS, str, str, "(⟨0⟩)", "⟨name⟩(⟨inputs⟩)", "⟨name⟩(⟨arguments⟩)", ", ", "[⟨inputs⟩]")
# The same with a raised dot for products, as in `1 - 0.1·(-8)`.
TIMES = replace(PLAIN, rows={**_ROWS, "mul": _ROWS["mul"]._replace(pattern="⟨0⟩·⟨1⟩")})
# Between a number and a product of matrices.
_SCALED = "⟨0⟩ * ⟨1⟩"


def write(graph: Graph, root: int, names: Mapping[int, str], style: Style = PLAIN) -> str:
    """The node `root` as text; nodes in `names` are written by name, but for `root` itself.

    First how tightly each part binds, from the leaves up, then the pieces from left to right: the time is linear in the
    length of the text, however deep the formula is.

    >>> from gradexplain.language.parse import parse
    >>> graph = parse("(y - (w*x+b))**2")
    >>> write(graph, graph.objective, {})
    '(y - (w*x + b))**2'
    """
    bindings = _bindings(graph, root, names, style)
    before, after = style.group.split("⟨0⟩")
    pieces: list[str] = []
    stack: list[str | int] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            pieces.append(item)
        elif item in names and item != root:
            pieces.append(style.name(names[item]))
        elif graph.nodes[item].value is not None:
            pieces.append(_leaf(graph, item, style))
        else:
            for part in reversed(parts(graph, item, style)):
                if isinstance(part, tuple):
                    slot, j = part
                    grouped = _needs_group(graph, item, slot, j, bindings, style)
                    stack.extend((after, j, before) if grouped else (j,))
                else:
                    stack.append(part)
    return "".join(pieces)


def write_part(graph: Graph, i: int) -> str:
    """The text of a node, in brackets where something could be written behind it."""
    text = write(graph, i, graph.names)
    if i in graph.names:
        return graph.names[i]
    bracketed = graph.nodes[i].inputs and not text.isidentifier() and not text.endswith((")", "]", ".T"))
    return f"({text})" if bracketed else text


# What a node is made of


def parts(graph: Graph, i: int, style: Style = PLAIN) -> list[Part]:
    """A node as literal text and pairs (slot, input), in the order in which they are written."""
    row, node = _row(graph, i, style), graph.nodes[i]
    if style.special is not None and (row is None or node.rule not in ELEMENTWISE):
        special = style.special(graph, i)
        if special is not None:
            return special
    if row is None and node.rule in ELEMENTWISE:
        name = graph.spelling.get(i, RULES[node.rule].written or node.rule)
        bound = _BOUNDS.get(node.rule, "") if name in ("clamp", "clip") else ""
        return _call(style, style.function(name), _written_inputs(graph, i), bound and style.word(f"{bound}="))
    if row is not None and node.rule in ELEMENTWISE:
        pattern = row.pattern
        if node.rule == "mul" and graph.has_axes:
            if pattern == "⟨0⟩*⟨1⟩" and is_scaled_product(graph, i):
                pattern = _SCALED
            elif style.elementwise and all(graph.shapes[j] for j in node.inputs):
                pattern = style.elementwise
        return filled(pattern, node.inputs, {}, style)
    settings = _settings(graph, i, style)
    pattern = row.pattern if row else style.called if settings else style.call
    words = {
        "name": style.function(graph.spelling.get(i, RULES[node.rule].written or node.rule)),
        "settings": settings, "turn": turn(graph, i),
    }  # fmt: skip
    if i in graph.powers:
        base, count = graph.powers[i]
        return filled(pattern, (base,), words | {"count": style.number(str(count))}, style)
    return filled(pattern, node.inputs, words, style, RULES[node.rule].any_number)


def _call(style: Style, name: str, inputs: tuple[int, ...], keyword: str = "") -> list[Part]:
    head, _, middle, _, tail = _split(style.call)
    found: list[Part] = [f"{head}{name}{middle}", (0, inputs[0])]
    for slot in range(1, len(inputs)):
        found += [style.comma + keyword, (slot, inputs[slot])]
    return [*found, tail]


def filled(
    pattern: str, inputs: tuple[int, ...], words: Mapping[str, str], style: Style = PLAIN, as_list: bool = False
) -> list[Part]:
    """A pattern as parts; `words` has what its words but for the inputs stand for, `as_list` puts these in brackets."""
    found: list[Part] = []
    for k, piece in enumerate(_split(pattern)):
        if k % 2 == 0:
            found.append(piece)
        elif piece.isdigit():
            found.append((int(piece), inputs[int(piece)]))
        elif piece == "base":
            found.append((0, inputs[0]))
        elif piece in ("inputs", "arguments"):
            listed: list[Part] = [part for slot, j in enumerate(inputs) for part in (style.comma, (slot, j))][1:]
            if as_list:
                before, after = style.listed.split("⟨inputs⟩")
                listed = [before, *listed, after]
            if piece == "arguments":
                listed = [*listed, style.comma] * bool(listed) + [words["settings"]]
            found += listed
        else:
            found.append(words[piece])
    return found


@cache
def _split(pattern: str) -> list[str]:
    # The words stand at odd places.
    return _PLACE.split(pattern)


def _row(graph: Graph, i: int, style: Style) -> Row | None:
    """The row that a node is written with; None where it is a call."""
    rule = graph.nodes[i].rule
    if rule in ELEMENTWISE:
        return style.rows.get(rule)
    if is_product(graph, i):
        return style.rows[PRODUCT]
    if i in graph.powers:
        return style.rows[POWER]
    if turn(graph, i):
        return style.rows[TURN]
    row = style.rows.get(rule)
    # With settings that its pattern does not show, it is a call.
    shows = row is None or "⟨settings⟩" in row.pattern or "⟨arguments⟩" in row.pattern
    return row if shows or not shown_settings(graph.nodes[i]) else None


def _settings(graph: Graph, i: int, style: Style) -> str:
    node = graph.nodes[i]
    if node.rule in ("select", "slice"):
        dim, *bounds = node.settings
        return style.word(":, " * dim + index_text(bounds))
    if is_product(graph, i) or turn(graph, i):
        return ""
    return style.comma.join(style.word(setting_text(*pair, style.sizes)) for pair in shown_settings(node))


def _leaf(graph: Graph, i: int, style: Style) -> str:
    node = graph.nodes[i]
    if isinstance(node.value, Fraction):
        return style.number(write_fraction(node.value))
    hidden = node.rule == CONSTANT and node.value in graph.shadowed
    return style.name(f"torch.{node.value}" if hidden else str(node.value))


def _written_inputs(graph: Graph, i: int) -> tuple[int, ...]:
    """The inputs of a node without those at the end that have their default value."""
    node = graph.nodes[i]
    inputs, defaults = node.inputs, RULES[node.rule].defaults
    for default in reversed(defaults):
        if graph.nodes[inputs[-1]].value != Fraction(default):
            break
        inputs = inputs[:-1]
    return inputs


# Products and transpositions


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
    return bool(graph.shapes[inputs[place]]) and (rule == "neg" or not graph.shapes[inputs[1 - place]])


def _is_scaled(graph: Graph, i: int) -> bool:
    """Whether a node is a tensor times a single number that stands in front."""
    rule, inputs, _, _ = graph.nodes[i]
    return rule == "mul" and not graph.shapes[inputs[0]] and bool(graph.shapes[inputs[1]])


def _is_negative_product(graph: Graph, i: int) -> bool:
    """Whether a node is written `-A @ B`."""
    return graph.nodes[i].rule == "neg" and is_product(graph, graph.nodes[i].inputs[0]) and is_scaled_product(graph, i)


def turn(graph: Graph, i: int) -> str:
    """`.T` or `.mT`, where a node is a transposition that is one of these; else empty."""
    node = graph.nodes[i]
    if node.rule != "transpose":
        return ""
    axes, rank = set(node.settings), len(graph.shapes[node.inputs[0]])
    return "" if rank < 2 or axes != {rank - 2, rank - 1} else ".T" if rank == 2 else ".mT"


# Where brackets are needed


class _Binding(NamedTuple):
    """How tightly a written part binds, and whether a minus sign comes first."""

    precedence: int
    minus: bool = False


def _bindings(graph: Graph, root: int, names: Mapping[int, str], style: Style) -> dict[int, _Binding]:
    done: dict[int, _Binding] = {}
    stack = [root]
    while stack:
        i = stack[-1]
        if i in done:
            stack.pop()
            continue
        node = graph.nodes[i]
        if (i in names and i != root) or node.rule == INPUT:
            done[i] = _Binding(ATOM)
        elif node.rule == CONSTANT:
            done[i] = _constant_binding(node.value)
        else:
            missing = [j for j in _written_inputs(graph, i) if j not in done]
            if missing:
                stack.extend(missing)
                continue
            done[i] = _binding(graph, i, done, style)
        stack.pop()
    return done


def _binding(graph: Graph, i: int, done: Mapping[int, _Binding], style: Style) -> _Binding:
    node = graph.nodes[i]
    row = _row(graph, i, style)
    if row is not None and is_product(graph, i):
        return _Binding(PRECEDENCE["mul"], done[node.inputs[0]].minus)
    if row is None or not row.inputs:
        return _Binding(ATOM if row is None else row.precedence)
    first = done[node.inputs[0]]
    minus = node.rule == "neg" or (first.minus and first.precedence >= row.inputs[0] > 1)
    # The minus in `-A @ B` belongs to A as well as to the product.
    same = node.rule == "identity" or _is_negative_product(graph, i)
    return _Binding(first.precedence if same else row.precedence, minus)


def _constant_binding(value: Fraction | str | None) -> _Binding:
    if not isinstance(value, Fraction):
        return _Binding(ATOM)
    precedence = PRECEDENCE["div"] if "/" in write_fraction(value) else PRECEDENCE["neg"] if value < 0 else ATOM
    return _Binding(precedence, value < 0)


def _needs_group(graph: Graph, i: int, slot: int, j: int, bindings: Mapping[int, _Binding], style: Style) -> bool:
    """Whether the input `j` stands in brackets: it binds too loosely, or begins with a minus after an operator."""
    node, part = graph.nodes[i], bindings[j]
    row = _row(graph, i, style)
    if row is None:
        return False
    product = is_product(graph, j)
    if is_product(graph, i):
        # A product of matrices goes from left to right; other products inside of one stand in brackets.
        if slot == 0 and style.elementwise and _is_scaled(graph, j):
            return False
        return part.precedence < PRECEDENCE["neg"] and (slot > 0 or not product)
    if not row.inputs:
        return False
    if node.rule not in ELEMENTWISE:
        return part.precedence < row.inputs[slot]
    if product and is_scaled_product(graph, i, slot):
        return node.rule == "neg" and part.minus
    product = product or _is_negative_product(graph, j)
    if product and node.rule in ("mul", "div") and part.precedence < ATOM:
        return True
    least = row.inputs[slot]
    minus_inside = part.minus and (slot > 0 or node.rule == "neg") and row.precedence < ATOM and least > 1
    return part.precedence < least or minus_inside
