r"""Formulas as LaTeX (with the package amsmath): two styles, and how names, numbers and text are written.

All of it compiles with pdflatex. Greek letters are TeX's own, accents are set above their letter; a letter of another
script is spelled out, since pdflatex has none of its letters and the fonts of other engines may not have it either.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from gradexplain.language.text import ATOM, POWER, PRODUCT, TURN, Row, Style, operators

# The letters that look like Latin ones have no command of their own.
_CAPITALS = "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu"
_GREEK += " xi pi rho sigma tau upsilon phi chi psi omega "
_GREEK_COMMANDS = {word: f"\\{word}" for word in (_GREEK + _CAPITALS).split()}
_SYMBOLS = {
    "∂": r"\partial", "·": r"\cdot", "⋅": r"\cdot", "←": r"\leftarrow", "→": r"\rightarrow", "…": r"\ldots", "−": "-",
    "×": r"\times", "≤": r"\le", "≥": r"\ge", "≠": r"\ne", "∞": r"\infty", "ς": r"\varsigma", "<": "<", ">": ">",
    "|": "|", "‖": r"\Vert", "±": r"\pm", "≈": r"\approx",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "grave", "\u0301": "acute", "\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0306": "breve",
    "\u0307": "dot", "\u0308": "ddot", "\u030c": "check",
}  # fmt: skip
# What a command of TeX stands for in text, and the Latin letters beyond ASCII that its oldest fonts have.
_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", '"': "{''}", "`": r"\textasciigrave{}", "-": "-{}",
    "\n": " ", "\r": " ", "\t": " ",
}  # fmt: skip
_LATIN = dict(zip("ßæœøåłıÆŒØÅŁ", ("ss", "ae", "oe", "o", "aa", "l", "i", "AE", "OE", "O", "AA", "L"), strict=True))
_NUMBER = re.compile(r"(-?)([\d.]+)(?:e(-?\d+)|/(\d+))?")


def _greek(c: str) -> str:
    """The command for a Greek letter, or the Latin letter that looks the same; empty for other characters."""
    parts = unicodedata.name(c, "").split()
    if parts[:1] != ["GREEK"] or len(parts) != 4 or parts[2] != "LETTER":
        return ""
    word = {"lamda": "lambda"}.get(parts[3].lower(), parts[3].lower())
    if parts[1] == "SMALL":
        return "o" if word == "omicron" else _GREEK_COMMANDS.get(word, "")
    twin = {"eta": "H", "rho": "P", "chi": "X"}.get(word, word[:1].upper())
    return _GREEK_COMMANDS.get(word.capitalize(), rf"\mathrm{{{twin}}}")


def spelled(c: str) -> str:
    """A letter that TeX does not have, in ASCII: by its name, or by its number.

    >>> spelled("א"), spelled("損")
    ('alef', 'U+640D')
    """
    found = re.search(r"(?:LETTER|SYLLABLE|DIGIT) ([A-Z -]+)$", unicodedata.name(c, ""))
    return found.group(1).lower().replace(" ", "-") if found else f"U+{ord(c):04X}"


def _letter(c: str) -> str:
    """One character in mathematics."""
    if c.isascii() and c.isalnum():
        return c
    if c in _SYMBOLS or (greek := _greek(c)):
        return _SYMBOLS.get(c) or greek
    if c in _ESCAPES or c in _LATIN or c.isascii():
        return rf"\text{{{_text_letter(c)}}}"
    base, *marks = list(unicodedata.normalize("NFD", c))
    if marks and (base.isascii() or _greek(base)) and all(mark in _ACCENTS for mark in marks):
        found = _letter(base)
        for mark in marks:
            found = _accented(found, mark)
        return found
    return rf"\text{{{spelled(c)}}}"


def _accented(letter: str, mark: str) -> str:
    return rf"\{_ACCENTS[mark]}{{{letter}}}"


def _letters(text: str) -> list[str]:
    """The characters in mathematics, a mark together with the letter that it belongs to."""
    found: list[str] = []
    for c in text:
        if c in _ACCENTS and found:
            found[-1] = _accented(found[-1], c)
        else:
            found.append(_letter(c))
    return found


def _text_letter(c: str) -> str:
    if c in _ESCAPES:
        return _ESCAPES[c]
    if c in _LATIN:
        return rf"\{_LATIN[c]}{{}}"
    if c.isascii() and c not in _SYMBOLS:
        return c if c.isprintable() else " "
    return f"${_letter(c)}$"


def latex_text(text: str) -> str:
    r"""Text for a paragraph, with everything escaped that TeX would take for a command.

    >>> print(latex_text("100% of y_pred: ∂L/∂λ"))
    100\% of y\_pred: $\partial$L/$\partial$$\lambda$
    """
    return "".join(map(_text_letter, text))


def is_spelled(name: str) -> bool:
    r"""Whether a name has letters that are spelled out.

    >>> is_spelled("ŷ_λ"), is_spelled("損失")
    (False, True)
    """
    return any(not c.isascii() and rf"\text{{{spelled(c)}}}" == _letter(c) for c in name if c not in _ACCENTS)


def latex_name(name: str) -> str:
    r"""A name in mathematics: what follows the first underscore, and a number at the end, become a subscript.

    An element of a parameter, such as `W[0, 1]`, keeps its index, and a norm, such as `‖W‖`, its bars.

    >>> print(latex_name("y_pred"), latex_name("lambda_"), latex_name("v12"), latex_name("ŷ"), latex_name("loss"))
    y_{\text{pred}} \lambda v_{12} \hat{y} \mathit{loss}
    """
    if found := re.fullmatch(r"‖(Δ?)(.+)‖", name):
        change = r"\Delta " if found[1] else ""
        return rf"\lVert {change}{latex_name(found[2])} \rVert"
    if found := re.fullmatch(r"([^\[]+)\[([0-9, ]+)\]", name):
        return f"{latex_name(found[1])}[{found[2]}]"
    stem, _, index = name.partition("_")
    if stem in _GREEK_COMMANDS and not index:
        return _GREEK_COMMANDS[stem]
    if not stem or (not index and "_" in name):
        return _word(name)
    found = re.fullmatch(r"(\D+?)([0-9]+)", stem)
    base, number = found.groups() if found else (stem, "")
    below = [number] * bool(number) + [index if re.fullmatch("[0-9]+", index) else _plain_text(index)] * bool(index)
    written = _GREEK_COMMANDS.get(base) or _word(base)
    return f"{written}_{{{', '.join(below)}}}" if below else written


def _plain_text(text: str) -> str:
    return rf"\text{{{latex_text(text)}}}"


def _word(name: str) -> str:
    letters = _letters(name)
    if len(letters) == 1:
        return letters[0]
    # A command must not swallow the letter after it; letters that are spelled out stand apart.
    parts = [f"{{{part}}}" if len(part) > 1 else part for part in letters]
    return "\\mathit{" + "".join(parts).replace("}}{\\text", "}}\\,{\\text") + "}"


def latex_number(text: str) -> str:
    r"""A number in mathematics.

    >>> print(latex_number("-8"), latex_number("2/3"), latex_number("1.5e-30"), latex_number("inf"))
    -8 \frac{2}{3} 1.5 \cdot 10^{-30} \infty
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        return {"inf": r"\infty", "-inf": r"-\infty"}.get(text) or _plain_text(text)
    sign, digits, exponent, denominator = found.groups()
    if exponent and digits == "1":
        return rf"{sign}10^{{{exponent}}}"
    if exponent:
        return rf"{sign}{digits} \cdot 10^{{{exponent}}}"
    return rf"{sign}\frac{{{digits}}}{{{denominator}}}" if denominator else text


def _inside(text: str) -> str:
    """A number inside of a formula: one with a power of ten in brackets, since it looks like a product."""
    found = latex_number(text)
    return rf"\left({found}\right)" if "10^" in found else found


# Functions that TeX knows; others are set in the same letters.
_KNOWN = "sin cos tan sinh cosh tanh exp log ln min max arcsin arccos arctan"
_FUNCTIONS = {name: f"\\{name}" for name in _KNOWN.split()}
_FUNCTIONS |= {"asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan", "maximum": r"\max", "minimum": r"\min"}
_FUNCTIONS |= {"log2": r"\log_{2}", "log10": r"\log_{10}"}


def latex_function(name: str) -> str:
    r"""The name of a function.

    >>> print(latex_function("sin"), latex_function("leaky_relu"))
    \sin \operatorname{leaky\_relu}
    """
    return _FUNCTIONS.get(name) or rf"\operatorname{{{latex_text(name)}}}"


def _setting(text: str) -> str:
    """A setting of an operation on tensors, or its value."""
    return latex_name(text) if text.isidentifier() else text if text.isdigit() else _plain_text(text)


_SIGNS = {"add": "+", "sub": "-", "mul": r"\cdot", "gt": ">", "ge": r"\ge", "lt": "<", "le": r"\le", "eq": "=",
          "ne": r"\ne", "div": "/"}  # fmt: skip
_PATTERNS = {rule: f"⟨0⟩ {sign} ⟨1⟩" for rule, sign in _SIGNS.items()} | {"neg": "-⟨0⟩", "pow": "⟨0⟩^{⟨1⟩}"}
_INDEXED = Row("⟨0⟩[⟨settings⟩]", ATOM, (ATOM,))
# A superscript in brackets of its own, since TeX takes no two of them.
_LINES = {
    **operators(_PATTERNS), "pow": Row("⟨0⟩^{⟨1⟩}", 5, (ATOM, 1)), "identity": Row("⟨0⟩", 1, (1,)),
    PRODUCT: Row(r"⟨0⟩\, ⟨1⟩"), TURN: Row(r"{⟨0⟩^{\top}}", ATOM, (ATOM,)),
    POWER: Row("{⟨base⟩^{⟨count⟩}}", ATOM, (ATOM,)),
    "inverse": Row("{⟨0⟩^{-1}}", ATOM, (ATOM,)), "select": _INDEXED, "slice": _INDEXED, "stack": Row("⟨inputs⟩"),
    "eye": Row("I_{⟨settings⟩}"), "ones": Row(r"\mathbf{1}_{⟨settings⟩}"), "zeros": Row(r"\mathbf{0}_{⟨settings⟩}"),
    "norm": Row(r"\lVert ⟨0⟩\rVert"), "norm_of_order": Row(r"\lVert ⟨0⟩\rVert_{⟨settings⟩}"),
    "trace": Row(r"\operatorname{tr}(⟨0⟩)"), "det": Row(r"\det(⟨0⟩)"), "logdet": Row(r"\log\det(⟨0⟩)"),
}  # fmt: skip
_LARGE = {
    "div": Row(r"\frac{⟨0⟩}{⟨1⟩}", 3, (1, 1)),
    "sqrt": Row(r"\sqrt{⟨0⟩}"),
    "abs": Row(r"\left|⟨0⟩\right|"),
    "floor": Row(r"\left\lfloor ⟨0⟩\right\rfloor"),
    "ceil": Row(r"\left\lceil ⟨0⟩\right\rceil"),
    "exp": Row("e^{⟨0⟩}", 5, (1,)),
    "where": Row(r"\begin{cases}⟨1⟩ & \text{if } ⟨0⟩ \\ ⟨2⟩ & \text{otherwise}\end{cases}", 1, (1, 1, 1)),
    "norm": Row(r"\left\lVert ⟨0⟩\right\rVert"),
    "norm_of_order": Row(r"\left\lVert ⟨0⟩\right\rVert_{⟨settings⟩}"),
    "trace": Row(r"\operatorname{tr}\left(⟨0⟩\right)"),
    "det": Row(r"\det\left(⟨0⟩\right)"),
    "logdet": Row(r"\log\det\left(⟨0⟩\right)"),
}
# For long formulas: nothing in it keeps TeX from beginning a new line after an operator or a bracket.
LATEX_LINES = Style(
    _LINES, latex_name, lambda text: _inside(text).replace(r"\left", "").replace(r"\right", ""),
    "(⟨0⟩)", r"⟨name⟩(\allowbreak ⟨inputs⟩)", "⟨name⟩_{⟨settings⟩}(⟨inputs⟩)", r",\allowbreak ", "[⟨inputs⟩]",
    latex_function, _setting, r"⟨0⟩ \odot ⟨1⟩", "×",
)  # fmt: skip
# With brackets that grow.
LATEX = replace(
    LATEX_LINES, rows=_LINES | _LARGE, number=_inside, group=r"\left(⟨0⟩\right)",
    call=r"⟨name⟩\left(⟨inputs⟩\right)", called=r"⟨name⟩_{⟨settings⟩}\left(⟨inputs⟩\right)", comma=", ",
    listed=r"\left[⟨inputs⟩\right]",
)  # fmt: skip
