"""The rule table for a reader: all rows, or one with an example that is derived then and there."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from gradexplain.errors import columns
from gradexplain.rules.rules import RULES, Rule

LETTERS = "abcdefgh"
Row = tuple[str, str, str]


def call(rule: Rule) -> str:
    """How the rule's operation is written.

    >>> call(RULES["mul"]), call(RULES["clamp"])
    ('a * b', 'clamp(a, b, c)')
    """
    if rule.symbol:
        return f"-{LETTERS[0]}" if rule.name == "neg" else f"a {rule.symbol} b"
    return "a" if rule.name == "identity" else f"{rule.name}({', '.join(rule.parameters)})"


def derivatives(rule: Rule) -> list[tuple[str, str]]:
    """The local derivatives of a rule: by which input, and the formula.

    >>> derivatives(RULES["sub"])
    [('a', '1'), ('b', '-1')]
    """
    return [(letter, partial) for letter, partial in zip(rule.parameters, rule.partials, strict=True) if partial]


def render_all() -> str:
    """All rules, a line each: id, how it is written, and the derivatives; those on tensors in a part of their own."""
    from gradexplain.output import tensor_rules

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    sections = [_scalar_rules(), *tensor_rules.sections()]
    lines = [line for heading, rows in sections for line in ("", *aligned(heading, rows, width))][1:]
    return "\n".join(lines) + "\n\n gradexplain rules NAME explains one of them.\n"


def _scalar_rules() -> tuple[Row, list[Row]]:
    rows = [(rule.name, call(rule), "; ".join(f"∂/∂{by} = {text}" for by, text in derivatives(rule)) or "no gradient")
            for rule in RULES.values()]  # fmt: skip
    return ("rule", "operation", "local derivatives (out is the result)"), rows


def aligned(heading: Row, rows: Sequence[Row], width: int | None) -> list[str]:
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
    for by, text in derivatives(rule):
        found.append((f"∂out/∂{by}", text))
    if not derivatives(rule):
        found.append(("gradient", "none: a comparison is a condition"))
    if rule.staircase:
        found.append(("note", "constant between its jumps: the gradient is 0, nothing flows through"))
    if rule.kink and not rule.boolean:
        found.append(("kink", f"where {rule.kink} == 0: {rule.at_kink or 'the derivative may not exist'}"))
    if rule.aliases:
        found.append(("also called", ", ".join(rule.aliases)))
    found.append(("in PyTorch", f"torch.{rule.torch or rule.name}"))
    return found


def example(rule: Rule) -> tuple[str, str]:
    """A formula that uses the rule and a point for it.

    >>> example(RULES["tanh"])
    ('tanh(w*x)', 'w=2,x=0.5')
    """
    if rule.boolean:
        return f"where(w*x {rule.symbol} 1, x, -x)", "w=2,x=3"
    if rule.example:
        return rule.example, "w=2,x=0.5"
    if rule.symbol:
        return ("-(w*x)", "w=2,x=0.5") if rule.name == "neg" else (f"w*x {rule.symbol} w", "w=2,x=0.5")
    inputs = sum(bool(partial) for partial in rule.partials)
    return f"{rule.name}({', '.join(['w*x', 'x', 'w'][:inputs])})", "w=2,x=0.5"


def render_one(rule: Rule) -> tuple[str, tuple[str, ...]]:
    """One rule explained, with an example derived at a point; and the notes of the example."""
    from gradexplain.derive import derive
    from gradexplain.output.derivation.table import render

    formula, point = example(rule)
    derivation = derive(formula, point)
    lines = told(rule.name, rule.title.replace(" / ", ", "), facts(rule))
    lines += [f' Example: gradexplain derive "{formula}" --at {point}', ""]
    return "\n".join(lines) + "\n" + render(derivation), derivation.notes


def told(name: str, title: str, known: Sequence[tuple[str, str]]) -> list[str]:
    """What there is to say about a rule, in lines."""
    width = max(len(heading) for heading, _ in known)
    return [f" {name}: {title}", "", *[f" {heading.ljust(width)}  {text}" for heading, text in known], ""]


def render_markdown() -> str:
    """The page `docs/rules.md`: every rule of the table, so that the page cannot drift from what is computed."""
    head = [
        "# Rules", "",
        "One row for each operation. `a`, `b`, `c` are its inputs and `out` is its result. The local derivatives are "
        "written in the language itself: the same text is shown in the tables, evaluated with 50 digits and given to "
        "SymPy. This page is made from the table; `gradexplain rules NAME` says more about one rule, with an example.",
        "",
        "| rule | operation | local derivatives | at a kink |", "|---|---|---|---|",
    ]  # fmt: skip
    rows = []
    for rule in RULES.values():
        partials = "<br>".join(f"`∂out/∂{by} = {text}`" for by, text in derivatives(rule)) or "none, it is a condition"
        names = f"`{rule.name}`" + "".join(f", `{alias}`" for alias in rule.aliases)
        kink = f"`{rule.kink} == 0`: {rule.at_kink}" if rule.kink and rule.at_kink else ""
        rows.append(f"| {names}<br>{rule.title.replace(' / ', ', ')} | `{call(rule)}` | {partials} | {kink} |")
    from gradexplain.output import tensor_rules

    return "\n".join([*head, *rows, *tensor_rules.markdown()]).replace("|a|", "\\|a\\|") + "\n"
