"""A derivation as LaTeX: each gradient from its chain to its number in an align*, and the backward pass as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradexplain.language.latex import latex_number, latex_text
from gradexplain.output import tex
from gradexplain.output.cells import KEPT_ROWS, elided, more
from gradexplain.output.derivation import lines
from gradexplain.output.derivation.lines import Column, Entry, Line
from gradexplain.output.formats import Look
from gradexplain.output.numbers import DIGITS, MAX_COLUMNS, MAX_IN_BLOCK, MAX_ROWS, bare, block_pair, show, show_pair
from gradexplain.output.words import conclusion
from gradexplain.records import BackwardRow, Derivation, Gradient, Value
from gradexplain.tensor import Tensor

# A longer product of local derivatives says no more than the rows of the backward pass.
MOST_FACTORS = 6
ELEMENTWISE = r"Products with $\odot$, quotients, powers and functions of a single number are taken element by element."
# The columns of paragraphs, with their shares of the width of the page.
WIDE = {"chain": 0.16, "local": 0.22, "numbers": 0.16}
# The rule stands with its formula, and the shape can be seen.
HIDDEN = frozenset(("rule", "shape"))
# Digits of the numbers of tensors in the table.
IN_TABLE = 4


def write(derivation: Derivation, look: Look) -> str:
    """The formula, the inputs, each gradient step by step, the backward pass, Jacobians or the Hessian, the notes."""
    names = lines.names(derivation)
    doubts, words = conclusion(derivation)
    fragment = "\n".join([
        tex.HEAD + tex.legend(names), aligned(derivation.statements, names), *_inputs(derivation, names),
        _point(derivation), *_gradients(derivation, names), *_backward(derivation, names),
        *_sections(derivation, names), tex.sentences([*doubts, *words, *derivation.notes, *tex.twins(names)]),
    ])  # fmt: skip
    return tex.document(fragment) if look.standalone else fragment


def _inputs(derivation: Derivation, names: tex.Symbols) -> list[str]:
    """The values of vectors and matrices, and how formulas with them are to be read."""
    entries = lines.tensor_inputs(derivation)
    if not entries:
        return []
    known = [
        f"{tex.formula(name, names)} &= {number(entry.value)}" for name, entry in entries if entry.value is not None
    ]
    return [f"{ELEMENTWISE}\\par\n", *[display(known)] * bool(known)]


def number(value: Value | Tensor, digits: int = DIGITS) -> str:
    r"""A number, a vector or a small matrix in mathematics; a larger one in words. Empty for a missing one.

    >>> print(number(Tensor.of([[1, 2], [0.5, -1]])), number(Tensor.of([1, 2])))
    \begin{bmatrix}1 & 2 \\ 0.5 & -1\end{bmatrix} \left(1, 2\right)
    """
    if not isinstance(value, Tensor):
        return latex_number(show(value)) if value is not None else ""
    cells = [latex_number(show(element, digits)) for element in value.entries or ()]
    small = 0 < len(cells) <= MAX_IN_BLOCK
    if small and len(value.shape) == 1 and len(cells) <= MAX_COLUMNS:
        return rf"\left({', '.join(cells)}\right)"
    if small and len(value.shape) == 2 and value.shape[0] <= MAX_ROWS and value.shape[1] <= MAX_COLUMNS:
        columns = value.shape[1]
        rows = [" & ".join(cells[i : i + columns]) for i in range(0, len(cells), columns)]
        return r"\begin{bmatrix}" + r" \\ ".join(rows) + r"\end{bmatrix}"
    return rf"\text{{{latex_text(show(value))}}}"


def aligned(statements: Sequence[str], names: tex.Symbols) -> str:
    """The statements of a formula below each other, at their signs."""
    first, last = elided(len(statements))
    shown = [tex.statement(statements[i], names, "&") for i in first]
    if last:
        shown += [rf"&\text{{{latex_text(more(len(statements) - 2 * KEPT_ROWS))}}}"]
        shown += [tex.statement(statements[i], names, "&") for i in last]
    return display(shown)


def display(rows: Sequence[str]) -> str:
    """Lines of mathematics, aligned."""
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}\n"


def _point(derivation: Derivation) -> str:
    values = [tex.statement(entry, list(derivation.inputs)) for entry in lines.point(derivation)]
    at = "at " + ", ".join(f"${value}$" for value in values) + ", " if values else ""
    return f"{at}{derivation.arithmetic}\\par\n"


def _gradients(derivation: Derivation, names: tex.Symbols) -> list[str]:
    rows = {row.node: row for row in derivation.backward}
    entries = list(derivation.gradient.items())
    first, last = elided(len(entries))
    found = [display(_steps(derivation, *entries[i], rows, names)) for i in first]
    if last:
        found.append(latex_text(more(len(entries) - 2 * KEPT_ROWS)) + "\\par\n")
        found += [display(_steps(derivation, *entries[i], rows, names)) for i in last]
    return found


def _steps(
    derivation: Derivation, name: str, entry: Gradient, rows: Mapping[str, BackwardRow], names: tex.Symbols
) -> list[str]:
    """The partial, its chain, the product of the factors, the closed form, the number."""
    steps = []
    if entry.chain != entry.partial:
        chain = tex.partials(entry.chain)
        steps.append(tex.box(chain) if len(entry.chain) > 2 * tex.LONGEST else chain)
    factors = entry.factors or _locals(derivation, name, rows)
    product = "*".join(f"({factor})" for factor in factors)
    written = [product] * bool(product) + [form for form in (entry.symbolic, entry.filled) if form is not None]
    for text in written:
        step = tex.fitting(text, names)
        if not steps or step != steps[-1]:
            steps.append(step)
    signs = ["="] * len(steps)
    result = number(entry.value)
    if result and (not steps or result != steps[-1]):
        steps.append(result)
        signs.append("=" if is_whole(entry.value) else r"\approx")
    found = [f"&{sign} {step}" for sign, step in zip(signs, steps, strict=True)] or ["&= \\text{?}"]
    return [f"{tex.partials(entry.partial)} {found[0]}", *found[1:]]


def is_whole(value: Value | Tensor) -> bool:
    """Whether a number is shown with all its digits, of a tensor each."""
    if isinstance(value, Tensor):
        return value.numbers is None or all(map(is_whole, value.numbers))
    return show(value) == bare(value) or (isinstance(value, float) and value != value)


def _locals(derivation: Derivation, name: str, rows: Mapping[str, BackwardRow]) -> tuple[str, ...]:
    """The local derivatives on the way from the objective to a node, where there is one short way only."""
    found: list[str] = []
    while name != derivation.objective and len(found) <= MOST_FACTORS:
        row = rows.get(name)
        if row is None or len(row.contributions) != 1 or lines.is_product(derivation, row.contributions[0]):
            return ()
        found.append(row.contributions[0].local)
        name = row.contributions[0].through
    one = derivation.upstream == 1 and 1 < len(found) <= MOST_FACTORS
    return tuple(reversed(found)) if one else ()


def _backward(derivation: Derivation, names: tex.Symbols) -> list[str]:
    found = lines.backward(derivation)
    if found is None:
        return []
    shown = [column for column in found.columns if column.field not in HIDDEN]
    widths = [tex.wide(WIDE[c.field]) if c.field in WIDE else "r" if c.is_number else "l" for c in shown]
    rows = [_row(line, shown, names, lines.upstream_name(derivation)) for line in found.lines]
    table = tex.table([column.heading for column in shown], "".join(widths), rows)
    if not found.legend:
        return [table]
    return [f"{latex_text(found.legend)}\\par\n", f"{{\\setlength{{\\arraycolsep}}{{2pt}}\n{table}}}"]


def _row(line: Line, shown: Sequence[Column], names: tex.Symbols, upstream: str) -> Sequence[str]:
    if line.is_gap:
        return [rf"\multicolumn{{{len(shown)}}}{{@{{}}l}}{{{latex_text(line.chain)}}}"]
    if isinstance(names, Mapping):
        # The upstream gradient has the shape of the node that it comes from.
        names = {**names, upstream: names.get(line.through, ())}
    how = latex_text(line.rule)
    cells = {
        "partial": f"${tex.partials(line.partial, small=True)}$" if line.partial else "",
        "chain": f"${tex.partials(line.chain, small=True)}$" if line.through else latex_text(line.chain),
        "local": f"{how}: ${tex.formula(line.local, names, lines=True)}$" if line.local else how,
        "numbers": f"${tex.product(line.numbers, names)}$" if line.numbers else "",
        **_compared(line),
        "verdict": latex_text(line.verdict),
    }
    return [cells[column.field] for column in shown]


def _compared(line: Line) -> dict[str, str]:
    """The two numbers; of a tensor that is the same for both only one, since two are too wide for a page."""
    if not isinstance(line.value, Tensor):
        value, autograd = show_pair(line.value, line.autograd, line.verdict)
        return {"value": tex.number(value), "autograd": tex.number(autograd)}
    same = line.verdict == "agrees" and number(line.value) == number(line.autograd)
    return {"value": _cell(line.value), "autograd": "the same" if same else _cell(line.autograd)}


def _cell(value: Value | Tensor) -> str:
    """A cell with a small matrix; what stands in words is too wide for a table."""
    if isinstance(value, Tensor) and number(value).startswith(r"\text"):
        return latex_text(f"norm {show(value.norm)}")
    return f"${number(value, IN_TABLE)}$" if value is not None else ""


def _sections(derivation: Derivation, names: tex.Symbols) -> list[str]:
    found = []
    for section in lines.sections(derivation):
        found.append(f"\\textbf{{{section.title}}}\\par\n{latex_text(section.remark)}\\par\n")
        found += [part for entry in section.entries for part in _matrix(entry, names)]
        found.append(tex.sentences(section.sentences))
    return found


def _matrix(entry: Entry, names: tex.Symbols) -> list[str]:
    """A Jacobian or a Hessian: the formulas of it or of its blocks, and the numbers."""
    found = [f"{_symbol(symbol)} $= {tex.formula(form, names, lines=True)}$\\par\n" for symbol, form in entry.formulas]
    value, autograd = block_pair(entry.value, entry.autograd, entry.verdict)
    shape = f" ({entry.shape})" if entry.shape else ""
    found.append(f"{_symbol(entry.partial)}{latex_text(f'{shape}: {entry.verdict}')}\\par\n")
    if value and not number(entry.value).startswith(r"\text"):
        found.append(display([number(entry.value)]))
    elif value:
        found.append(tex.verbatim(value.split("\n")))
    if autograd != value:
        found += ["autograd has\\par\n", tex.verbatim(autograd.split("\n"))]
    return found


def _symbol(text: str) -> str:
    """A derivative in mathematics; words as they are."""
    return f"${tex.partials(text)}$" if text.startswith("∂") else latex_text(text)
