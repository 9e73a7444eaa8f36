"""The rules on vectors and matrices for a reader: their vector-Jacobian products, and one explained with an example."""

from __future__ import annotations

from gradexplain.output.rules import LETTERS, Row, told
from gradexplain.rules.tensor_rules import REQUIRED, TENSOR_RULES, TensorRule

# How an operation is written that is no call.
_WRITTEN = {
    "matmul": "a @ b", "matvec": "a @ b", "vecmat": "a @ b", "dot": "a @ b, dot(a, b)", "select": "a[index]",
    "slice": "a[start:end:step]", "transpose": "a.T, transpose(a, dim0, dim1)",
}  # fmt: skip
# Nobody writes these: they are what vector-Jacobian products and closed forms are made of.
HELPERS = frozenset((
    "kron_left", "kron_right", "reshape_as", "expand_as", "select_scatter", "slice_scatter", "prod_of_others",
    "ones_like", "zeros_like",
))  # fmt: skip
# The inputs of the examples that are no numbers of any kind, with their values.
_POINTS = {
    "A": "A=[[2,1,0],[0,3,1],[1,0,2]]", "B": "B=[[1,0,2],[0,1,1],[2,1,0]]", "x": "x=[1,-2,0.5]", "y": "y=[0.5,1,-1]",
}  # fmt: skip
_OTHERWISE = {
    "reshape": "x=[1,2,3,4],A=[[1,2],[3,4]]",
    "cross_entropy": "A=[[2,1,0],[0,3,1],[1,0,2]],y=[0,2,1]",
    "nll_loss": "A=[[2,1,0],[0,3,1],[1,0,2]],y=[0,2,1]",
    "binary_cross_entropy": "x=[1,-2,0.5],y=[1,0,1]",
    "binary_cross_entropy_with_logits": "x=[1,-2,0.5],y=[1,0,1]",
}
_INSTEAD = {"one_hot": ("sum(one_hot(y, 3)*A)", "y=[0,2,1],A=[[1,2,3],[4,5,6],[7,8,9]]")}
_EXAMPLES = {
    "permute": "sum(permute(A, (1, 0))*B)", "squeeze": "sum(squeeze(unsqueeze(x, 0)*y))", "flip": "sum(flip(x, 0)*y)",
    "eye": "sum(A @ eye(3))", "ones": "sum(x*ones(3))", "zeros": "sum(x + zeros(3))",
}  # fmt: skip
WORDS = (
    "In them, g is the upstream gradient, which has the shape of out. Where an input was broadcast, its gradient is "
    "summed over the added axes afterwards. restored(t) puts back the axes that a reduction took away, averaged(t) "
    "divides by the number of elements where the reduction is a mean, count is the number of elements that became one, "
    "swapped(t) swaps the last two axes, and each(t) goes with every matrix of a batch."
)


def call(rule: TensorRule) -> str:
    """How an operation is written.

    >>> call(TENSOR_RULES["sum"]), call(TENSOR_RULES["matmul"])
    ('sum(a, dim=None, keepdim=False)', 'a @ b')
    """
    if rule.name in _WRITTEN:
        return _WRITTEN[rule.name]
    inputs = ["[a, b, …]"] if rule.any_number else list(LETTERS[: len(rule.pullbacks)])
    settings = [name if value is REQUIRED else f"{name}={value!r}" for name, value in rule.settings]
    return f"{rule.written or rule.name}({', '.join([*inputs, *settings])})"


def products(rule: TensorRule) -> list[tuple[str, str]]:
    """The vector-Jacobian products of a rule: by which input, and the formula.

    >>> products(TENSOR_RULES["matvec"])
    [('a', 'outer(g, b)'), ('b', 'a.T @ g')]
    """
    letters = ["each"] if rule.any_number else LETTERS
    return [(letter, text) for letter, text in zip(letters, rule.pullbacks, strict=False) if text]


def sections() -> list[tuple[Row, list[Row]]]:
    """Headings and rows of two parts: the operations, and the helpers."""

    def row(rule: TensorRule) -> Row:
        return rule.name, call(rule), "; ".join(f"to {by}: {text}" for by, text in products(rule)) or "no gradient"

    parts = [
        [row(rule) for name, rule in TENSOR_RULES.items() if (name in HELPERS) == helpers] for helpers in (False, True)
    ]
    about = "vector-Jacobian products (g is the upstream gradient)"
    return [
        (("rule", "on vectors and matrices", about), parts[0]),
        (("helper", "inside of formulas only", about), parts[1]),
    ]


def example(rule: TensorRule) -> tuple[str, str]:
    """A formula that uses the rule and a point for it; empty for a helper.

    >>> example(TENSOR_RULES["matvec"])
    ('sum((A @ x)**2)', 'A=[[2,1,0],[0,3,1],[1,0,2]],x=[1,-2,0.5]')
    """
    if rule.name in _INSTEAD:
        return _INSTEAD[rule.name]
    formula = rule.example or _EXAMPLES.get(rule.name, "")
    point = _OTHERWISE.get(rule.name) or ",".join(text for name, text in _POINTS.items() if _has(formula, name))
    return formula, point if formula else ""


def _has(formula: str, name: str) -> bool:
    import re

    return re.search(rf"\b{name}\b", formula) is not None


def facts(rule: TensorRule) -> list[tuple[str, str]]:
    """What there is to say about a rule: pairs of a heading and a text."""
    found = [("operation", call(rule))]
    found += [(f"to {by}", text) for by, text in products(rule)] or [("gradient", "none")]
    if rule.kink:
        found.append(("kink", f"{rule.at_kink}" if rule.kink == "ties" else f"where {rule.kink} == 0: {rule.at_kink}"))
    if rule.aliases:
        found.append(("also called", ", ".join(rule.aliases)))
    if rule.torch != "custom":
        found.append(("in PyTorch", f"torch.{rule.torch or rule.name}"))
    return found


def render_one(rule: TensorRule) -> tuple[str, tuple[str, ...]]:
    """One rule explained, with an example derived at a point where there is one; and the notes of the example."""
    lines = told(rule.name, rule.title, facts(rule))
    formula, point = example(rule)
    if not formula:
        return "\n".join([*lines, " A helper: it stands in gradients, and nobody writes it."]) + "\n", ()
    from gradexplain.derive import derive
    from gradexplain.output.derivation.table import render

    derivation = derive(formula, point)
    lines += [f' Example: gradexplain derive "{formula}" --at "{point}"', ""]
    return "\n".join(lines) + "\n" + render(derivation), derivation.notes


def markdown() -> list[str]:
    """The part of the page `docs/rules.md` on vectors and matrices."""
    lines = [
        "", "## On vectors and matrices", "",
        "What an elementwise derivative cannot say is a vector-Jacobian product: what flows back to an input, made of "
        f"what arrives at the result. {WORDS}", "",
        "| rule | operation | vector-Jacobian products | at a kink |", "|---|---|---|---|",
    ]  # fmt: skip
    lines += [_row(rule) for name, rule in TENSOR_RULES.items() if name not in HELPERS]
    lines += [
        "", "Helpers, which stand in gradients and which nobody writes:", "",
        "| rule | operation | vector-Jacobian products | at a kink |", "|---|---|---|---|",
        *[_row(TENSOR_RULES[name]) for name in TENSOR_RULES if name in HELPERS],
    ]  # fmt: skip
    return lines


def _row(rule: TensorRule) -> str:
    found = "<br>".join(f"to {by}: `{text}`" for by, text in products(rule)) or "none"
    names = f"`{rule.name}`" + "".join(f", `{alias}`" for alias in rule.aliases)
    return f"| {names}<br>{rule.title} | `{call(rule)}` | {found} | {rule.at_kink} |"
