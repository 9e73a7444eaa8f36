"""A derivation as LaTeX: each gradient from its chain to its number in an align*, and the backward pass as a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from gradexplain.language.latex import latex_number, latex_text
from gradexplain.output import tex
from gradexplain.output.cells import KEPT_ROWS, elided, more
from gradexplain.output.derivation.backward import contribution_lines
from gradexplain.output.formats import Look
from gradexplain.output.numbers import bare, show
from gradexplain.output.words import conclusion
from gradexplain.records import BackwardRow, Derivation, Gradient, Value

# A longer product of local derivatives says no more than the rows of the backward pass.
MOST_FACTORS = 6
# The widths of columns of paragraphs, as shares of the page.
CHAIN, LOCAL, NUMBERS = 0.16, 0.22, 0.16


def write(derivation: Derivation, look: Look) -> str:
    """The formula, the point, each gradient step by step, the backward pass, the verdict and the notes."""
    if derivation.has_tensors:
        from gradexplain.output.derivation import tensor_latex

        fragment = tensor_latex.render(derivation)
        return tex.document(fragment) if look.standalone else fragment
    names = [*derivation.inputs, *[row.node for row in derivation.nodes]]
    doubts, words = conclusion(derivation)
    fragment = "\n".join([
        tex.HEAD + tex.legend(names), aligned(derivation.statements, names), _point(derivation),
        *_gradients(derivation, names), _backward(derivation, names),
        tex.sentences([*doubts, *words, *derivation.notes, *tex.twins(names)]),
    ])  # fmt: skip
    return tex.document(fragment) if look.standalone else fragment


def aligned(statements: Sequence[str], names: tex.Symbols) -> str:
    """The statements of a formula below each other, at their signs."""
    first, last = elided(len(statements))
    lines = [tex.statement(statements[i], names, "&") for i in first]
    if last:
        lines += [rf"&\text{{{latex_text(more(len(statements) - 2 * KEPT_ROWS))}}}"]
        lines += [tex.statement(statements[i], names, "&") for i in last]
    return display(lines)


def display(lines: Sequence[str]) -> str:
    """Lines of mathematics, aligned."""
    return "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}\n"


def _point(derivation: Derivation) -> str:
    values = [tex.statement(f"{name} = {value}", list(derivation.inputs)) for name, value in derivation.point.items()]
    at = "at " + ", ".join(f"${value}$" for value in values) + ", " if values else ""
    return f"{at}{derivation.dtype}\\par\n"


def _gradients(derivation: Derivation, names: Collection[str]) -> list[str]:
    rows = {row.node: row for row in derivation.backward}
    entries = list(derivation.gradient.items())
    first, last = elided(len(entries))
    found = [display(_steps(derivation, *entries[i], rows, names)) for i in first]
    if last:
        found.append(latex_text(more(len(entries) - 2 * KEPT_ROWS)) + "\\par\n")
        found += [display(_steps(derivation, *entries[i], rows, names)) for i in last]
    return found


def _steps(
    derivation: Derivation, name: str, entry: Gradient, rows: Mapping[str, BackwardRow], names: Collection[str]
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
    result = latex_number(show(entry.value)) if entry.value is not None else ""
    if result and (not steps or result != steps[-1]):
        steps.append(result)
        signs.append("=" if is_whole(entry.value) else r"\approx")
    lines = [f"&{sign} {step}" for sign, step in zip(signs, steps, strict=True)] or ["&= \\text{?}"]
    return [f"{tex.partials(entry.partial)} {lines[0]}", *lines[1:]]


def is_whole(value: Value) -> bool:
    """Whether a number is shown with all its digits."""
    return show(value) == bare(value) or (isinstance(value, float) and value != value)


def _locals(derivation: Derivation, name: str, rows: Mapping[str, BackwardRow]) -> tuple[str, ...]:
    """The local derivatives on the way from the objective to a node, where there is one short way only."""
    found: list[str] = []
    while name != derivation.objective and len(found) <= MOST_FACTORS:
        row = rows.get(name)
        if row is None or len(row.contributions) != 1:
            return ()
        found.append(row.contributions[0].local)
        name = row.contributions[0].through
    one = derivation.upstream == 1 and 1 < len(found) <= MOST_FACTORS
    return tuple(reversed(found)) if one else ()


def _backward(derivation: Derivation, names: Collection[str]) -> str:
    if not derivation.backward:
        return ""
    first, last = elided(len(derivation.backward))
    rows = [cells for i in first for cells in _cells(derivation, derivation.backward[i], names)]
    if last:
        note = latex_text(more(len(derivation.backward) - 2 * KEPT_ROWS))
        rows.append([rf"\multicolumn{{7}}{{@{{}}l}}{{{note}}}"])
        rows += [cells for i in last for cells in _cells(derivation, derivation.backward[i], names)]
    columns = f"l{tex.wide(CHAIN)}{tex.wide(LOCAL)}{tex.wide(NUMBERS)}rrl"
    heads = ("partial", "chain rule", "local derivative", "numbers", "exact", "autograd", "verdict")
    return tex.table(heads, columns, rows)


def _cells(derivation: Derivation, row: BackwardRow, names: Collection[str]) -> list[Sequence[str]]:
    found: list[Sequence[str]] = []
    for partial, chain, title, local, numbers, exact, autograd, verdict in contribution_lines(derivation, row):
        how = f"{latex_text(title)}: ${tex.formula(local, names, lines=True)}$" if local else latex_text(title)
        found.append((
            f"${tex.partials(partial, small=True)}$" if partial else "",
            f"${tex.partials(chain, small=True)}$" if chain else "", how,
            f"${tex.product(numbers, names)}$" if numbers else "",
            tex.number(exact), tex.number(autograd), latex_text(verdict),
        ))  # fmt: skip
    return found
