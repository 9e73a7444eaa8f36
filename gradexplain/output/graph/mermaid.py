"""The computation graph as a Mermaid flowchart."""

from __future__ import annotations

from gradexplain.output.formats import PLAIN, Look
from gradexplain.output.graph.picture import (
    CONSTANT,
    INPUT,
    OBJECTIVE,
    OPERATION,
    edge_label,
    in_order,
    node_label,
    picture,
)
from gradexplain.records import Derivation

# What stands before and after the label of a node.
_SHAPES = {INPUT: ("(", ")"), CONSTANT: ("{{", "}}"), OPERATION: ("[", "]"), OBJECTIVE: ("[[", "]]")}
# What Mermaid would take for HTML, Markdown or the end of a text; it has its own way to write characters by number.
_SPECIAL = {ord(character): f"#{ord(character)};" for character in '"#&<>*_`~\\'}


def write(derivation: Derivation, look: Look = PLAIN) -> str:
    """The text of the flowchart.

    >>> from gradexplain import derive
    >>> print(write(derive("-x", "x=2")), end="")
    %% L = -x
    flowchart LR
      n0("input<br>x<br>2<br>∂L/∂x = -1")
      n1[["objective neg<br>L = -x<br>-2<br>∂L/∂L = 1"]]
      n0 -->|"local -1<br>1 · -1 = -1"| n1
    """
    drawn = picture(derivation)
    # In a comment, braces would begin a setting.
    remarks = (text.translate({ord("{"): "(", ord("}"): ")"}) for text in (drawn.heading, *drawn.notes))
    lines = [*(f"%% {remark}" for remark in remarks), "flowchart LR"]
    for k, node in enumerate(drawn.nodes):
        opening, closing = _SHAPES[node.kind]
        lines.append(f'  n{k}{opening}"{escaped(node_label(node))}"{closing}')
    for edge in drawn.edges:
        arrow = "-.->" if edge.hidden else "-->"
        label = escaped(edge_label(edge))
        lines.append(f"  n{edge.source} {arrow}" + (f'|"{label}"|' if label else "") + f" n{edge.target}")
    return "\n".join(lines) + "\n"


def escaped(lines: list[str]) -> str:
    """Lines as a label, in which no character means anything.

    >>> escaped(["x < y", "a*b"])
    'x #60; y<br>a#42;b'
    """
    return "<br>".join(in_order(line).translate(_SPECIAL) for line in lines)
