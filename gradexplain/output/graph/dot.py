"""The computation graph for Graphviz."""

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
    spoken,
)
from gradexplain.records import Derivation

_SHAPES = {
    INPUT: 'shape=box style="rounded"',
    CONSTANT: "shape=octagon",
    OPERATION: "shape=box",
    OBJECTIVE: "shape=box peripheries=2",
}


def write(derivation: Derivation, look: Look = PLAIN) -> str:
    """The text that `dot` reads.

    >>> from gradexplain import derive
    >>> print(write(derive("-x", "x=2")).splitlines()[4])
      n0 [label="input\\nx\\n2\\n∂L/∂x = -1" tooltip="input x\\nvalue 2\\n∂L/∂x = -1" shape=box style="rounded"];
    """
    drawn = picture(derivation)
    title = quoted("\n".join((drawn.heading, *drawn.notes)))
    lines = [
        "digraph gradexplain {",
        f"  graph [rankdir=LR label={title} labelloc=t labeljust=l fontname=monospace];",
        "  node [fontname=monospace];",
        "  edge [fontname=monospace fontsize=11];",
    ]
    for k, node in enumerate(drawn.nodes):
        label, tooltip = quoted("\n".join(node_label(node))), quoted("\n".join(spoken(node)))
        lines.append(f"  n{k} [label={label} tooltip={tooltip} {_SHAPES[node.kind]}];")
    for edge in drawn.edges:
        label = quoted("\n".join(edge_label(edge)))
        dashed = " style=dashed" if edge.hidden else ""
        lines.append(f"  n{edge.source} -> n{edge.target} [label={label}{dashed}];")
    return "\n".join([*lines, "}"]) + "\n"


def quoted(text: str) -> str:
    """A text as Graphviz reads it back.

    >>> print(quoted('a "b" \\\\ c'))
    "a \\"b\\" \\\\ c"
    """
    # An ampersand would begin the name of a character.
    escaped = in_order(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;").replace("\n", "\\n")
    return f'"{escaped}"'
