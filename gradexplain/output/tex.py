r"""What all LaTeX outputs share: formulas typeset from their text, tables that go over pages, the document around them.

A fragment needs the packages amsmath, array and longtable, and compiles with pdflatex and lualatex.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from gradexplain.errors import GradexplainError
from gradexplain.language.latex import LATEX, LATEX_LINES, is_spelled, latex_name, latex_number, latex_text
from gradexplain.language.parse import parse_part
from gradexplain.language.text import write
from gradexplain.rules.shapes import Shape

# The names that a formula may use, of one on tensors with their shapes.
Symbols = Collection[str] | Mapping[str, Shape]
# A formula of more characters is broken into lines.
LONGEST = 60
PACKAGES = r"""\documentclass{article}
\usepackage[margin=2cm]{geometry}
\usepackage{amsmath, array, longtable}
\setlength{\parindent}{0pt}
\setlength{\parskip}{1ex}
\allowdisplaybreaks
\begin{document}
"""
# A first or second derivative: its order, of what, and by what; a Hessian as a whole is by nothing.
_PARTIAL = re.compile(r"∂(²?)([^\s/∂]+)(?:/∂([^\s/∂²]+)(²?)(?: ∂([^\s/∂]+))?)?")
HEAD = "% Needs \\usepackage{amsmath, array, longtable}; compiles with pdflatex and lualatex.\n"


def document(fragment: str) -> str:
    """A whole document that compiles as it stands."""
    return f"{PACKAGES}\n{fragment}\n\\end{{document}}\n"


def legend(names: Iterable[str]) -> str:
    """A comment for each name that is spelled out, for those whose fonts have its letters."""
    return "".join(f"% {name} is written {latex_name(name)}\n" for name in dict.fromkeys(names) if is_spelled(name))


def twins(names: Iterable[str]) -> list[str]:
    """A sentence for each two names that look the same once they are typeset.

    >>> twins(["v1", "w", "v_1"])
    ['v1 and v_1 are two names that look the same in this document.']
    """
    seen: dict[str, str] = {}
    found = []
    for name in dict.fromkeys(names):
        # What is upright is not told from what is not.
        other = seen.setdefault(re.sub(r"\\text\{([0-9]+)\}", r"\1", latex_name(name)), name)
        if other != name:
            found.append(f"{other} and {name} are two names that look the same in this document.")
    return found


def formula(text: str, names: Symbols, lines: bool = False, typeset: Mapping[str, str] | None = None) -> str:
    r"""A formula of the language, typeset; `names` are those that it may use, so that `e` can be a variable.

    Where it is on tensors, they are a mapping to their shapes.

    With `lines` it can be broken into lines; `typeset` has names that are written in some other way. What is no formula
    stands as text.

    >>> print(formula("-2*x*(y - y_pred)**2/3", ()))
    \frac{-2 \cdot x \cdot \left(y - y_{\text{pred}}\right)^{2}}{3}
    """
    try:
        graph, root = parse_part(text, names, names if isinstance(names, Mapping) else {})
    except GradexplainError:
        return rf"\text{{{latex_text(text)}}}"
    style = LATEX_LINES if lines else LATEX
    if typeset is not None:
        style = replace(style, name=lambda name: typeset.get(name) or latex_name(name))
    return write(graph, root, {}, style)


def statement(text: str, names: Symbols, align: str = "") -> str:
    """A statement `name = expression`, with `align` before the sign."""
    name, equals, expression = text.partition(" = ")
    if not equals:
        return formula(text, names)
    return f"{latex_name(name)} {align}= {fitting(expression, names)}"


def fitting(text: str, names: Symbols) -> str:
    """A formula for a display, in a box of several lines where it is long."""
    return box(formula(text, names, lines=True)) if len(text) > LONGEST else formula(text, names)


def box(mathematics: str) -> str:
    """Mathematics in a box that breaks it into lines."""
    return rf"\parbox[t]{{0.75\linewidth}}{{\raggedright $\displaystyle {mathematics}$\strut}}"


def partials(text: str, small: bool = False) -> str:
    r"""Text with partials, such as a chain, typeset; `small` writes them on one line.

    >>> print(partials("∂L/∂v2 · ∂v2/∂w", small=True))
    \partial L/\partial v_{2} \cdot \partial v_{2}/\partial w
    >>> print(partials("∂²L/∂x²"), partials("∂²L/∂x ∂y"), partials("∂²L"))
    \frac{\partial^{2} L}{\partial x^{2}} \frac{\partial^{2} L}{\partial x \, \partial y} \partial^{2} L
    """
    pattern = "{}/{}" if small else r"\frac{{{}}}{{{}}}"
    found, end = [], 0
    for match in _PARTIAL.finditer(text):
        order, of, by, twice, also = match.groups()
        found.append(_between(text[end : match.start()]))
        top = rf"\partial{'^{2}' if order else ''} {latex_name(of)}"
        below = "" if by is None else rf"\partial {latex_name(by)}{'^{2}' if twice else ''}"
        below += rf" \, \partial {latex_name(also)}" if also else ""
        found.append(pattern.format(top, below) if below else top)
        end = match.end()
    return "".join([*found, _between(text[end:])])


def _between(text: str) -> str:
    """What stands between partials: signs, numbers, and where some are left out, words."""
    words = {"·": r"\cdot", "…": r"\cdots", "+": "+", "-": "-", "=": "="}
    return "".join(
        part if part.isspace() or not part else words.get(part) or latex_number(part)
        for part in re.split(r"( +|\([^()]*\))", text)
    )


def product(text: str, names: Collection[str]) -> str:
    r"""What is multiplied, or added up, in numbers; the symbol or the formula for what is not known.

    >>> print(product("-4 · -1", ()), product("∂L/∂v · 2*v", ()), product("4 - 1", ()))
    -4 \cdot (-1) \partial L/\partial v \cdot 2 \cdot v 4 - 1
    """
    pieces = text.split(" · ")
    if len(pieces) == 1:
        return partials(text, small=True)
    found = []
    for piece in pieces:
        if piece.startswith("∂"):
            found.append(partials(piece, small=True))
        elif latex_number(piece).startswith(r"\text") and piece != "nan":
            found.append(formula(piece, names, lines=True))
        else:
            found.append(latex_number(piece))
    later = [f"({piece})" if piece.startswith("-") else piece for piece in found[1:]]
    return r" \cdot ".join([found[0], *later])


def number(text: str) -> str:
    """A number as `show` has it, in mathematics; empty for an empty one."""
    return f"${latex_number(text)}$" if text else ""


def table(headings: Sequence[str], columns: str, rows: Iterable[Sequence[str]]) -> str:
    """A table that goes over pages; headings and cells are LaTeX, `columns` says how they are aligned."""
    lines = [f"{' & '.join(cells)} \\\\" for cells in rows]
    head = f"{' & '.join(headings)} \\\\"
    return "\n".join([
        r"{\footnotesize\setlength{\tabcolsep}{4pt}", rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}", r"\hline",
        head, r"\hline", r"\endhead", *lines, r"\hline", r"\end{longtable}}",
    ]) + "\n"  # fmt: skip


def wide(share: float) -> str:
    """A column of paragraphs, in a share of the width of the page."""
    return rf">{{\raggedright\arraybackslash}}p{{{share}\linewidth}}"


def sentences(lines: Iterable[str]) -> str:
    """Sentences, a paragraph each."""
    return "".join(f"\n{latex_text(line)}\\par\n" for line in lines)


def verbatim(lines: Iterable[str]) -> str:
    """Lines that are laid out with spaces, as they are."""
    found = [latex_text(line).replace(" ", "~") or "~" for line in lines]
    return "{\\footnotesize\\ttfamily\\raggedright\n" + "\\\\{}\n".join(found) + "\\par}\n" if found else ""
