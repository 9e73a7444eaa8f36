"""A derivation on tensors as LaTeX: products without signs, transposes as superscripts, small tensors as matrices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gradexplain.language.latex import latex_number, latex_text
from gradexplain.output import tex
from gradexplain.output.cells import KEPT_ROWS, elided, more
from gradexplain.output.derivation.latex import aligned, display
from gradexplain.output.derivation.tensor_lines import Line, layout, lines_of, sections, upstream_name
from gradexplain.output.numbers import DIGITS, MAX_COLUMNS, MAX_IN_BLOCK, MAX_ROWS, block_pair, show
from gradexplain.output.words import conclusion
from gradexplain.records import BackwardRow, Derivation, Gradient, Value
from gradexplain.rules.shapes import Shape
from gradexplain.tensor import Tensor

ELEMENTWISE = r"Products with $\odot$, quotients, powers and functions of a single number are taken element by element."
# The widths of columns of paragraphs, as shares of the page.
CHAIN, PRODUCT = 0.15, 0.22
# Digits of numbers in the table.
IN_TABLE = 4
HEADS = ("partial", "chain rule", "vector-Jacobian product", "value", "autograd", "verdict")


def render(derivation: Derivation) -> str:
    """The formula, the inputs, each gradient step by step, the backward pass, Jacobians or the Hessian, the notes."""
    names = derivation.shapes
    doubts, words = conclusion(derivation)
    return "\n".join([
        tex.HEAD + tex.legend(names), aligned(derivation.statements, names), f"{ELEMENTWISE}\\par\n",
        *_inputs(derivation), f"{derivation.dtype}\\par\n", *_gradients(derivation, names),
        *_backward(derivation), *_sections(derivation),
        tex.sentences([*doubts, *words, *derivation.notes, *tex.twins(names)]),
    ])  # fmt: skip


def matrix(value: Value | Tensor, digits: int = DIGITS) -> str:
    r"""A number, a vector or a small matrix in mathematics; a larger one in words. Empty for a missing one.

    >>> print(matrix(Tensor.of([[1, 2], [0.5, -1]])), matrix(Tensor.of([1, 2])))
    \begin{bmatrix}1 & 2 \\ 0.5 & -1\end{bmatrix} \left(1, 2\right)
    """
    if not isinstance(value, Tensor):
        return latex_number(show(value)) if value is not None else ""
    cells = [latex_number(show(number, digits)) for number in value.numbers or ()]
    small = 0 < len(cells) <= MAX_IN_BLOCK
    if small and len(value.shape) == 1 and len(cells) <= MAX_COLUMNS:
        return rf"\left({', '.join(cells)}\right)"
    if small and len(value.shape) == 2 and value.shape[0] <= MAX_ROWS and value.shape[1] <= MAX_COLUMNS:
        columns = value.shape[1]
        rows = [" & ".join(cells[i : i + columns]) for i in range(0, len(cells), columns)]
        return r"\begin{bmatrix}" + r" \\ ".join(rows) + r"\end{bmatrix}"
    return rf"\text{{{latex_text(show(value))}}}"


def _inputs(derivation: Derivation) -> list[str]:
    known = [(name, entry.value) for name, entry in derivation.inputs.items() if entry.value is not None]
    lines = [f"{tex.formula(name, derivation.shapes)} &= {matrix(value)}" for name, value in known]
    return [display(lines)] if lines else []


def _gradients(derivation: Derivation, names: Mapping[str, Shape]) -> list[str]:
    entries = list(derivation.gradient.values())
    first, last = elided(len(entries))
    found = [display(_steps(entries[i], names)) for i in first]
    if last:
        found.append(latex_text(more(len(entries) - 2 * KEPT_ROWS)) + "\\par\n")
        found += [display(_steps(entries[i], names)) for i in last]
    return found


def _steps(entry: Gradient, names: Mapping[str, Shape]) -> list[str]:
    """The partial, its chain, the closed form, the number."""
    steps = []
    if entry.chain != entry.partial:
        chain = tex.partials(entry.chain)
        steps.append(tex.box(chain) if len(entry.chain) > 2 * tex.LONGEST else chain)
    if entry.symbolic is not None:
        steps.append(tex.fitting(entry.symbolic, names))
    if entry.value is not None:
        steps.append(matrix(entry.value))
    lines = [f"&= {step}" for step in steps] or ["&= \\text{?}"]
    return [f"{tex.partials(entry.partial)} {lines[0]}", *lines[1:]]


def _backward(derivation: Derivation) -> list[str]:
    rows = derivation.backward
    if not rows:
        return []
    first, last = elided(len(rows))
    cells = [line for i in first for line in _lines(derivation, rows[i])]
    if last:
        note = latex_text(more(len(rows) - 2 * KEPT_ROWS))
        cells.append([rf"\multicolumn{{{len(HEADS)}}}{{@{{}}l}}{{{note}}}"])
        cells += [line for i in last for line in _lines(derivation, rows[i])]
    columns = f"l{tex.wide(CHAIN)}{tex.wide(PRODUCT)}rrl"
    return [
        f"{latex_text(layout(derivation))}\\par\n",
        f"{{\\setlength{{\\arraycolsep}}{{2pt}}\n{tex.table(HEADS, columns, cells)}}}",
    ]


def _lines(derivation: Derivation, row: BackwardRow) -> Iterable[Sequence[str]]:
    through = iter(row.contributions)
    for line in lines_of(derivation, row):
        names = dict(derivation.shapes)
        if line.product:
            names[upstream_name(derivation)] = names.get(next(through).through, ())
        yield _cells(line, names)


def _cells(line: Line, names: Mapping[str, Shape]) -> Sequence[str]:
    rule = latex_text(line.rule)
    return (
        f"${tex.partials(line.partial, small=True)}$" if line.partial else "",
        _chain(line.chain), f"{rule}: ${tex.formula(line.product, names, lines=True)}$" if line.product else rule,
        _number(line.value), _autograd(line), latex_text(line.verdict),
    )  # fmt: skip


def _chain(text: str) -> str:
    return f"${tex.partials(text, small=True)}$" if text.startswith("∂") else latex_text(text)


def _number(value: Value | Tensor) -> str:
    """A cell with a number or a small matrix; what stands in words is too wide for a table."""
    if isinstance(value, Tensor) and matrix(value).startswith(r"\text"):
        return latex_text(f"norm {show(value.norm)}")
    return f"${matrix(value, IN_TABLE)}$" if value is not None else ""


def _autograd(line: Line) -> str:
    """Autograd's number; of a tensor only where it is not the same, since two are too wide for a page."""
    same = isinstance(line.value, Tensor) and line.verdict == "agrees" and matrix(line.value) == matrix(line.autograd)
    return "the same" if same else _number(line.autograd)


def _sections(derivation: Derivation) -> list[str]:
    found = []
    for section in sections(derivation):
        found.append(f"\\textbf{{{section.title}}}\\par\n{latex_text(section.remark)}\\par\n")
        for entry in section.entries:
            found += [_formula(symbol, formula, derivation.shapes) for symbol, formula in entry.formulas]
            value, autograd = block_pair(entry.value, entry.autograd, entry.verdict)
            shape = f" ({entry.shape})" if entry.shape else ""
            found.append(f"{latex_text(f'{entry.partial}{shape}: {entry.verdict}')}\\par\n")
            if value and isinstance(entry.value, Tensor) and not matrix(entry.value).startswith(r"\text"):
                found.append(display([matrix(entry.value)]))
            elif value:
                found.append(tex.verbatim(value.split("\n")))
            if autograd != value:
                found += ["autograd has\\par\n", tex.verbatim(autograd.split("\n"))]
        found.append(tex.sentences(section.sentences))
    return found


def _formula(symbol: str, formula: str, shapes: Mapping[str, Shape]) -> str:
    """What a Jacobian or a block of the Hessian is; in a vector-Jacobian product, there is an upstream gradient."""
    return f"{latex_text(symbol)} $= {tex.formula(formula, shapes, lines=True)}$\\par\n"
