"""Formulas as MathML, for pages."""

from __future__ import annotations

import html

from gradexplain.language.text import ATOM, POWER, PRODUCT, TURN, Row, Style, operators

_SIGNS = {
    "add": "+", "sub": "−", "mul": "⋅", "gt": "&gt;", "ge": "≥", "lt": "&lt;", "le": "≤", "eq": "=", "ne": "≠",
}  # fmt: skip
_OPERATORS = {rule: f"<mrow>⟨0⟩<mo>{sign}</mo>⟨1⟩</mrow>" for rule, sign in _SIGNS.items()}
_OPERATORS |= {"neg": "<mrow><mo>−</mo>⟨0⟩</mrow>", "div": "", "pow": ""}
_INDEXED = Row("<mrow>⟨0⟩<mo>[</mo>⟨settings⟩<mo>]</mo></mrow>", ATOM, (ATOM,))
_BARS = "<mrow><mo>‖</mo>⟨0⟩<mo>‖</mo></mrow>"


def mathml_name(name: str) -> str:
    """A name as MathML: what follows the first underscore becomes a subscript.

    >>> mathml_name("y_pred")
    '<msub><mi>y</mi><mtext>pred</mtext></msub>'
    """
    stem, _, index = name.partition("_")
    if stem and index:
        return f"<msub><mi>{html.escape(stem)}</mi><mtext>{html.escape(index)}</mtext></msub>"
    return f"<mi>{html.escape(name)}</mi>"


MATHML = Style(
    {
        **operators(_OPERATORS),
        "div": Row("<mfrac>⟨0⟩⟨1⟩</mfrac>", 3, (1, 1)),
        "pow": Row("<msup>⟨0⟩⟨1⟩</msup>", 5, (ATOM, 1)),
        "sqrt": Row("<msqrt>⟨0⟩</msqrt>"),
        "abs": Row("<mrow><mo>|</mo>⟨0⟩<mo>|</mo></mrow>"),
        "exp": Row("<msup><mi>e</mi>⟨0⟩</msup>", 5, (1,)),
        "identity": Row("⟨0⟩", 1, (1,)),
        PRODUCT: Row("<mrow>⟨0⟩<mo>\u2062</mo>⟨1⟩</mrow>"),
        TURN: Row("<msup>⟨0⟩<mi>T</mi></msup>", ATOM, (ATOM,)),
        POWER: Row("<msup>⟨base⟩⟨count⟩</msup>", ATOM, (ATOM,)),
        "inverse": Row("<msup>⟨0⟩<mrow><mo>−</mo><mn>1</mn></mrow></msup>", ATOM, (ATOM,)),
        "select": _INDEXED,
        "slice": _INDEXED,
        "stack": Row("⟨inputs⟩"),
        "eye": Row("<msub><mi>I</mi>⟨settings⟩</msub>"),
        "ones": Row("<msub><mn>1</mn>⟨settings⟩</msub>"),
        "zeros": Row("<msub><mn>0</mn>⟨settings⟩</msub>"),
        "norm": Row(_BARS),
        "norm_of_order": Row(f"<msub>{_BARS}⟨settings⟩</msub>"),
    },
    name=mathml_name,
    number=lambda text: f"<mn>{html.escape(text)}</mn>",
    group="<mrow><mo>(</mo>⟨0⟩<mo>)</mo></mrow>",
    call="<mrow><mi>⟨name⟩</mi><mo>(</mo>⟨inputs⟩<mo>)</mo></mrow>",
    called="<mrow><msub><mi>⟨name⟩</mi><mrow>⟨settings⟩</mrow></msub><mo>(</mo>⟨inputs⟩<mo>)</mo></mrow>",
    comma="<mo>,</mo>",
    listed="<mrow><mo>[</mo>⟨inputs⟩<mo>]</mo></mrow>",
    function=html.escape,
    word=lambda text: f"<mtext>{html.escape(text)}</mtext>",
    elementwise="<mrow>⟨0⟩<mo>⊙</mo>⟨1⟩</mrow>",
    sizes="×",
)
