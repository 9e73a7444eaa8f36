"""The rule table for a reader: all rows, or one with an example that is derived then and there."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gradexplain.errors import columns
from gradexplain.rules import versions
from gradexplain.rules.row import Earlier, Rule
from gradexplain.rules.settings import REQUIRED
from gradexplain.rules.table import ROWS, RULES

LETTERS = "abcdefgh"
Row = tuple[str, str, str]
# How an operation is written that is no call.
WRITTEN = {
    "neg": "-a", "identity": "a", "matmul": "a @ b", "matvec": "a @ b", "vecmat": "a @ b", "dot": "a @ b, dot(a, b)",
    "select": "a[index]", "slice": "a[start:end:step]", "transpose": "a.T, transpose(a, dim0, dim1)",
}  # fmt: skip
# Nobody writes these: they are what vector-Jacobian products and closed forms are made of.
HELPERS = frozenset((
    "kron_left", "kron_right", "reshape_as", "expand_as", "select_scatter", "slice_scatter", "prod_of_others",
    "ones_like", "zeros_like",
))  # fmt: skip
# The examples, where the row has none, and where the points of others would not do.
EXAMPLES = {
    "permute": "sum(permute(A, (1, 0))*B)", "squeeze": "sum(squeeze(unsqueeze(x, 0)*y))", "flip": "sum(flip(x, 0)*y)",
    "eye": "sum(A @ eye(3))", "ones": "sum(x*ones(3))", "zeros": "sum(x + zeros(3))",
    "one_hot": "sum(one_hot(y, 3)*A)",
}  # fmt: skip
NUMBERS = "w=2,x=0.5"
VECTORS = {
    "A": "A=[[2,1,0],[0,3,1],[1,0,2]]", "B": "B=[[1,0,2],[0,1,1],[2,1,0]]", "x": "x=[1,-2,0.5]", "y": "y=[0.5,1,-1]",
}  # fmt: skip
POINTS = {
    "reshape": "x=[1,2,3,4],A=[[1,2],[3,4]]",
    "cross_entropy": "A=[[2,1,0],[0,3,1],[1,0,2]],y=[0,2,1]",
    "nll_loss": "A=[[2,1,0],[0,3,1],[1,0,2]],y=[0,2,1]",
    "binary_cross_entropy": "x=[1,-2,0.5],y=[1,0,1]",
    "binary_cross_entropy_with_logits": "x=[1,-2,0.5],y=[1,0,1]",
    "one_hot": "y=[0,2,1],A=[[1,2,3],[4,5,6],[7,8,9]]",
}


class Kind(NamedTuple):
    """How the derivatives of a rule are told: in a line, as a heading of its own, in a table, and where there are none.

    They are local derivatives where one goes with each element, and vector-Jacobian products elsewhere.
    """

    line: str
    heading: str
    cell: str
    nothing: str
    reason: str


LOCAL = Kind(
    "∂/∂{} = {}", "∂out/∂{}", "`∂out/∂{} = {}`", "none, it is a condition", "none: a comparison is a condition"
)
PRODUCT = Kind("to {}: {}", "to {}", "to {}: `{}`", "none", "none")


class Family(NamedTuple):
    """A part of the list and of the page: how the list heads it, what the page says first, the rules."""

    headings: Row
    words: tuple[str, ...]
    rules: Sequence[Rule]


def sections(rules: Iterable[Rule]) -> list[Family]:
    """All rules: those on single numbers, those on vectors and matrices, and the helpers."""
    rules = list(rules)
    about = "vector-Jacobian products (g is the upstream gradient)"
    helpers = [rule for rule in rules if rule.name in HELPERS]
    others = [rule for rule in rules if not rule.partials and rule.name not in HELPERS]
    return [
        Family(("rule", "operation", "local derivatives (out is the result)"), ("# Rules", "", INTRODUCTION),
                [rule for rule in rules if rule.partials]),
        Family(("rule", "on vectors and matrices", about), ("## On vectors and matrices", "", PRODUCTS), others),
        Family(("helper", "inside of formulas only", about),
                ("Helpers, which stand in gradients and which nobody writes:",), helpers),
    ]  # fmt: skip


INTRODUCTION = (
    "One row for each operation. `a`, `b`, `c` are its inputs and `out` is its result. The local derivatives are "
    "written in the language itself: the same text is shown in the tables, evaluated with 50 digits and given to "
    "SymPy. This page is made from the table; `gradexplain rules NAME` says more about one rule, with an example."
)
PRODUCTS = (
    "What an elementwise derivative cannot say is a vector-Jacobian product: what flows back to an input, made of "
    "what arrives at the result. In them, g is the upstream gradient, which has the shape of out. Where an input was "
    "broadcast, its gradient is summed over the added axes afterwards. restored(t) puts back the axes that a reduction "
    "took away, averaged(t) divides by the number of elements where the reduction is a mean, count is the number of "
    "elements that became one, swapped(t) swaps the last two axes, and each(t) goes with every matrix of a batch."
)


def kind(rule: Rule) -> Kind:
    """How the derivatives of a rule are told."""
    return LOCAL if rule.partials else PRODUCT


def call(rule: Rule) -> str:
    """How the rule's operation is written.

    >>> call(RULES["mul"]), call(RULES["clamp"]), call(RULES["sum"])
    ('a * b', 'clamp(a, b, c)', 'sum(a, dim=None, keepdim=False)')
    """
    if rule.name in WRITTEN:
        return WRITTEN[rule.name]
    if rule.partials:
        return f"a {rule.symbol} b" if rule.symbol else f"{rule.written or rule.name}({', '.join(rule.parameters)})"
    inputs = ["[a, b, …]"] if rule.any_number else list(LETTERS[: len(rule.pullbacks)])
    settings = [name if value is REQUIRED else f"{name}={value!r}" for name, value, _ in rule.settings]
    return f"{rule.written or rule.name}({', '.join([*inputs, *settings])})"


def derivatives(rule: Rule) -> list[tuple[str, str]]:
    """The local derivatives or vector-Jacobian products of a rule: by which input, and the formula.

    >>> derivatives(RULES["sub"]), derivatives(RULES["matvec"])
    ([('a', '1'), ('b', '-1')], [('a', 'outer(g, b)'), ('b', 'a.T @ g')])
    """
    letters = ["each"] if rule.any_number else list(LETTERS)
    return [(letter, text) for letter, text in zip(letters, rule.derivatives, strict=False) if text]


def render_all() -> str:
    """All rules, a line each: id, how it is written, and the derivatives."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines = []
    for section in sections(RULES.values()):
        rows = [
            (rule.name, call(rule), "; ".join(kind(rule).line.format(*pair) for pair in derivatives(rule)))
            for rule in section.rules
        ]
        lines += [*_aligned(section.headings, [(*row[:2], row[2] or "no gradient") for row in rows], width), ""]
    return "\n".join(lines) + "\n gradexplain rules NAME explains one of them.\n"


def _aligned(heading: Row, rows: Sequence[Row], width: int | None) -> list[str]:
    """Rows below a heading, the last column folded where a line is wider than `width`."""
    widths = [max(columns(row[k]) for row in (heading, *rows)) for k in range(2)]
    indent = " " * (widths[0] + widths[1] + 5)
    lines = [f" {row[0].ljust(widths[0])}  {row[1].ljust(widths[1])}  {row[2]}" for row in (heading, *rows)]
    return [_folded(line, indent, width) for line in lines]


def _folded(line: str, indent: str, width: int | None) -> str:
    import textwrap

    if width is None or len(line) <= width:
        return line
    return textwrap.fill(line, width, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True,
                         initial_indent="", break_long_words=True)  # fmt: skip


def facts(rule: Rule) -> list[tuple[str, str]]:
    """What there is to say about a rule: pairs of a heading and a text, in the order in which they are shown."""
    found = [("operation", call(rule))]
    if rule.definition:
        found.append(("definition", rule.definition))
    if rule.defaults:
        names = ", ".join(
            f"{k} = {v}" for k, v in zip(rule.keywords[-len(rule.defaults) :], rule.defaults, strict=True)
        )
        letters = ", ".join(rule.parameters[rule.required :])
        found.append(("settings", f"{names} ({letters} in the formulas)"))
    flows = [(kind(rule).heading.format(by), text) for by, text in derivatives(rule)]
    found += flows or [("gradient", kind(rule).reason)]
    if rule.staircase:
        found.append(("note", "constant between its jumps: the gradient is 0, nothing flows through"))
    if rule.kink and not rule.boolean:
        found.append(("kink", f"where {rule.kink} == 0: {rule.at_kink or 'the derivative may not exist'}"))
    if rule.documented:
        found.append(("in its own way", f"where {rule.documented.where}: {rule.documented.what}"))
    if rule.before:
        own = versions.installed().partition("+")[0]
        found.append(("by version", f"{_change(rule.before)}; this is {'PyTorch ' + own if own else 'the newer way'}"))
    if rule.aliases:
        found.append(("also called", ", ".join(rule.aliases)))
    # Of a call that is a pattern, the function is named where it is the rule itself.
    name = rule.torch or rule.name if rule.torch is not None else "("
    name = rule.name if name.startswith(f"torch.{rule.name}(") else name
    if "(" not in name:
        found.append(("in PyTorch", f"torch.{name}"))
    return found


def _change(before: Earlier) -> str:
    return f"before version {before.version}: {before.at_kink}"


def example(rule: Rule) -> tuple[str, str]:
    """A formula that uses the rule and a point for it; empty for a helper.

    >>> example(RULES["tanh"])
    ('tanh(w*x)', 'w=2,x=0.5')
    >>> example(RULES["matvec"])
    ('sum((A @ x)**2)', 'A=[[2,1,0],[0,3,1],[1,0,2]],x=[1,-2,0.5]')
    """
    if not rule.partials:
        formula = rule.example or EXAMPLES.get(rule.name, "")
        used = [text for name, text in VECTORS.items() if re.search(rf"\b{name}\b", formula)]
        return formula, POINTS.get(rule.name) or ",".join(used)
    if rule.boolean:
        return f"where(w*x {rule.symbol} 1, x, -x)", "w=2,x=3"
    if rule.example:
        return rule.example, NUMBERS
    if rule.symbol:
        return ("-(w*x)" if rule.name == "neg" else f"w*x {rule.symbol} w"), NUMBERS
    inputs = sum(bool(partial) for partial in rule.partials)
    return f"{rule.name}({', '.join(['w*x', 'x', 'w'][:inputs])})", NUMBERS


def render_one(rule: Rule) -> tuple[str, tuple[str, ...]]:
    """One rule explained, with an example derived at a point where there is one; and the notes of the example."""
    known = facts(rule)
    width = max(len(heading) for heading, _ in known)
    title = rule.title.replace(" / ", ", ")
    lines = [f" {rule.name}: {title}", "", *[f" {heading.ljust(width)}  {text}" for heading, text in known], ""]
    formula, point = example(rule)
    if not formula:
        return "\n".join([*lines, " A helper: it stands in gradients, and nobody writes it."]) + "\n", ()
    from gradexplain.derive import derive
    from gradexplain.output.derivation.table import write

    derivation = derive(formula, point)
    quoted = f'"{point}"' if "[" in point else point
    lines += [f' Example: gradexplain derive "{formula}" --at {quoted}', ""]
    return "\n".join(lines) + "\n" + write(derivation), derivation.notes


def render_markdown() -> str:
    """The page `docs/rules.md`: every rule of the table, so that the page cannot drift from what is computed."""
    lines = []
    for section in sections(ROWS):
        name = "local derivatives" if kind(section.rules[0]) is LOCAL else "vector-Jacobian products"
        lines += [*section.words, "", f"| rule | operation | {name} | at a kink |", "|---|---|---|---|"]
        lines += [*map(_row, section.rules), ""]
    return "\n".join(lines).replace("|a|", "\\|a\\|")


def _row(rule: Rule) -> str:
    flows = "<br>".join(kind(rule).cell.format(*pair) for pair in derivatives(rule)) or kind(rule).nothing
    names = f"`{rule.name}`" + "".join(f", `{alias}`" for alias in rule.aliases)
    kink = f"`{rule.kink} == 0`: {rule.at_kink}" if rule.kink and rule.at_kink else ""
    if rule.documented:
        kink += f"{'; ' * bool(kink)}where `{rule.documented.where}`: {rule.documented.what}"
    if rule.before:
        earlier = zip(LETTERS, rule.before.partials, strict=False)
        flows_then = [f"<br>{LOCAL.cell.format(*pair)}" for pair in earlier if pair[1]]
        kink += f"; {_change(rule.before)}" + "".join(flows_then)
    return f"| {names}<br>{rule.title.replace(' / ', ', ')} | `{call(rule)}` | {flows} | {kink} |"
