"""What a derivation says in words and in one line each, for every format that a person reads."""

from __future__ import annotations

from gradexplain.output.cells import KEPT_ROWS, more
from gradexplain.output.numbers import show
from gradexplain.records import Derivation, Gradient, Value
from gradexplain.tensor import Tensor


def steps(entry: Gradient) -> list[str]:
    """The partial, its chain, the factors, the closed form, and the number (or what is left of the closed form)."""
    found = [entry.partial]
    if entry.chain != entry.partial:
        found.append(entry.chain)
    product = " · ".join(entry.factors)
    if product and product != entry.symbolic:
        found.append(product)
    if entry.symbolic is not None:
        found.append(entry.symbolic)
    result = show(entry.value) or (entry.filled or "")
    if result != found[-1] or entry.symbolic is None:
        found.append(result or "?")
    return found if len(found) > 1 else [*found, result or "?"]


def origins(derivation: Derivation) -> list[str]:
    """For each gradient with a questionable verdict, where that began and why; conventions have notes of their own."""
    return [
        f"{entry.partial}: {entry.verdict}, it began at {entry.began.node}: {entry.began.reason}"
        for entry in derivation.gradient.values()
        if entry.began is not None and entry.verdict != "convention"
    ]


def conclusion(derivation: Derivation) -> tuple[list[str], list[str]]:
    """What there is to doubt, a line for each gradient (of very many the first), and what the witnesses agree on."""
    entries = derivation.gradient.values()
    doubts = origins(derivation)
    if len(doubts) > KEPT_ROWS:
        doubts = [*doubts[:KEPT_ROWS], more(len(doubts) - KEPT_ROWS)]
    if derivation.verdict == "unverified":
        return doubts, []
    count, total = sum(entry.verdict == "agrees" for entry in entries), len(entries)
    inputs = "input" if total == 1 else "inputs"
    if count != total:
        return doubts, [f"PyTorch's .grad agrees with the chain rule at {count:,} of {total:,} {inputs}."]
    which = "the input" if total == 1 else f"all {total:,} inputs"
    sentences = [f"PyTorch's .grad agrees with the chain rule at {which}."]
    differs = any(remark.id == "sympy_differs" for remark in derivation.remarks)
    if not differs and all(_is_known(entry.sympy) for entry in entries):
        sentences.append("SymPy's derivative of the whole formula has the same value.")
    return doubts, sentences


def _is_known(value: Value | Tensor) -> bool:
    """Whether there is a number, or a vector or matrix of them."""
    found = value.norm if isinstance(value, Tensor) else value
    return isinstance(found, float) and found == found
