"""How operations on tensors are written in mathematics: notations as rows, for LaTeX and for MathML."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from gradexplain.language import tensor_text
from gradexplain.language.graph import Graph
from gradexplain.language.tensor_text import Part
from gradexplain.rules.table import ELEMENTWISE, RULES

_PLACE = re.compile(r"⟨(\w+)⟩")
PRODUCT, TURN = "product", "turn"
# What is written behind its input, and so needs brackets around a sum.
POSTFIX = frozenset(("inverse",))


@dataclass(frozen=True)
class Notation:
    """A way of writing. In a row, `⟨0⟩` and `⟨1⟩` are the inputs, `⟨settings⟩` the settings that are not the default.

    `rows` are the rules that are not written as calls; `call` is the pattern of a call, `called` that of one with
    settings, where `⟨name⟩` is the operation and `⟨inputs⟩` are its inputs; `words` makes text of a setting's name or
    value, and `function` of an operation's name.
    """

    rows: Mapping[str, str]
    call: str
    called: str
    comma: str
    listed: str
    words: Callable[[str], str]
    function: Callable[[str], str]

    def parts(self, graph: Graph, i: int) -> list[Part] | None:
        """A node as literal text and pairs (slot, input); None for a rule on single numbers."""
        rule = graph.nodes[i].rule
        if rule in ELEMENTWISE:
            return None
        inputs = graph.nodes[i].inputs
        key = PRODUCT if tensor_text.is_product(graph, i) else TURN if tensor_text.is_turn(graph, i) else rule
        settings = self._settings(graph, i)
        pattern = self.rows.get(key)
        if pattern is None or (key == rule and "⟨settings⟩" not in pattern and settings):
            pattern = self.called if settings else self.call
        listed: list[Part] = [part for slot, j in enumerate(inputs) for part in (self.comma, (slot, j))][1:]
        if i in graph.powers:
            base, count = graph.powers[i]
            listed = [(0, base), self.comma, self.words(str(count))]
        if RULES[rule].any_number:
            before, after = self.listed.split("⟨inputs⟩")
            listed = [before, *listed, after]
        named = "matrix_power" if i in graph.powers else graph.spelling.get(i, RULES[rule].written or rule)
        name = self.function(named)
        found: list[Part] = []
        for k, piece in enumerate(_split(pattern)):
            if k % 2 == 0:
                found.append(piece)
            elif piece == "inputs":
                found += listed
            elif piece.isdigit():
                found.append((int(piece), inputs[int(piece)]))
            else:
                found.append({"settings": settings, "name": name}[piece])
        return found

    def _settings(self, graph: Graph, i: int) -> str:
        node = graph.nodes[i]
        if node.rule in ("select", "slice"):
            settings = graph.settings(node)
            return self.words(f"{':, ' * settings['dim']}{tensor_text.range_of(settings)}")
        if tensor_text.is_turn(graph, i) or tensor_text.is_product(graph, i):
            return ""
        shown = tensor_text.shown_settings(graph, i)
        return self.comma.join(self.words(_setting(name, value)) for name, value in shown)


def _setting(name: str, value: Any) -> str:
    if name == "shape" and isinstance(value, tuple):
        return "×".join(map(str, value))
    return (
        tensor_text.shown(value, bare=True) if name in tensor_text.POSITIONAL else f"{name}={tensor_text.shown(value)}"
    )


@cache
def _split(pattern: str) -> list[str]:
    return _PLACE.split(pattern)


# A superscript in brackets of its own, since TeX takes no two of them.
_LATEX_ROWS = {
    PRODUCT: r"⟨0⟩\, ⟨1⟩", TURN: r"{⟨0⟩^{\top}}", "inverse": "{⟨0⟩^{-1}}", "select": "⟨0⟩[⟨settings⟩]",
    "slice": "⟨0⟩[⟨settings⟩]", "stack": "⟨inputs⟩", "eye": "I_{⟨settings⟩}", "ones": r"\mathbf{1}_{⟨settings⟩}",
    "zeros": r"\mathbf{0}_{⟨settings⟩}", "norm": r"\left\lVert ⟨0⟩\right\rVert",
    "norm_of_order": r"\left\lVert ⟨0⟩\right\rVert_{⟨settings⟩}", "trace": r"\operatorname{tr}\left(⟨0⟩\right)",
    "det": r"\det\left(⟨0⟩\right)", "logdet": r"\log\det\left(⟨0⟩\right)",
}  # fmt: skip


def latex_notation(words: Callable[[str], str], function: Callable[[str], str], large: bool) -> Notation:
    r"""The notation of LaTeX, with brackets that grow, or where a formula may be broken into lines, with plain ones."""

    def sized(row: str) -> str:
        return row if large else row.replace(r"\left", "").replace(r"\right", "")

    return Notation(
        {key: sized(row) for key, row in _LATEX_ROWS.items()},
        sized(r"⟨name⟩\left(⟨inputs⟩\right)"), sized(r"⟨name⟩_{⟨settings⟩}\left(⟨inputs⟩\right)"),
        ", " if large else r",\allowbreak ", sized(r"\left[⟨inputs⟩\right]"), words, function,
    )  # fmt: skip


_BARS = "<mrow><mo>‖</mo>⟨0⟩<mo>‖</mo></mrow>"
_INDEXED = "<mrow>⟨0⟩<mo>[</mo>⟨settings⟩<mo>]</mo></mrow>"
MATHML_NOTATION = Notation(
    {
        PRODUCT: "<mrow>⟨0⟩<mo>\u2062</mo>⟨1⟩</mrow>", TURN: "<msup>⟨0⟩<mi>T</mi></msup>",
        "inverse": "<msup>⟨0⟩<mrow><mo>−</mo><mn>1</mn></mrow></msup>", "select": _INDEXED, "slice": _INDEXED,
        "stack": "⟨inputs⟩",
        "eye": "<msub><mi>I</mi>⟨settings⟩</msub>", "ones": "<msub><mn>1</mn>⟨settings⟩</msub>",
        "zeros": "<msub><mn>0</mn>⟨settings⟩</msub>", "norm": _BARS, "norm_of_order": f"<msub>{_BARS}⟨settings⟩</msub>",
    },
    "<mrow><mi>⟨name⟩</mi><mo>(</mo>⟨inputs⟩<mo>)</mo></mrow>",
    "<mrow><msub><mi>⟨name⟩</mi><mrow>⟨settings⟩</mrow></msub><mo>(</mo>⟨inputs⟩<mo>)</mo></mrow>",
    "<mo>,</mo>", "<mrow><mo>[</mo>⟨inputs⟩<mo>]</mo></mrow>",
    lambda text: f"<mtext>{html.escape(text)}</mtext>", html.escape,
)  # fmt: skip
