"""THE RULE TABLE: one row for each operation of the language, its derivatives written in the same language.

In a row, `a`, `b`, `c` are the inputs and `out` is the result. An elementwise operation has a partial for each input:
what is shown to the reader, what SymPy gets, and what is evaluated exactly; there is no second version of it. What an
elementwise derivative cannot say is a vector-Jacobian product: `g` is the upstream gradient, which has the shape of
`out`, and the names of settings stand for their values. A few words are only for these rows: `restored(t)` puts the
axes back that a reduction took away, as axes of length 1; `averaged(t)` divides by the number of elements where the
reduction is a mean; `reduced(t)` is the sum or the mean that a loss asks for; `count` is the number of elements that
were reduced to one; `swapped(t)` swaps the last two axes; `each(t)` puts two axes behind a number for each matrix of a
batch. Where an input was broadcast, its gradient is summed over the added axes afterwards, for every rule alike.
PyTorch's autograd knows nothing of this table.

The rows are in files by family; a number is a tensor without axes, and has the same rules. What PyTorch takes at a kink
has changed with its version: RULES are as they hold in the one that is installed, ROWS as they are written.
"""

from __future__ import annotations

from functools import cache

from gradexplain.rules import (
    activations,
    arithmetic,
    axes,
    choices,
    functions,
    losses,
    matrices,
    products,
    reductions,
    versions,
)
from gradexplain.rules.row import Rule

ROWS: tuple[Rule, ...] = (
    *arithmetic.ROWS, *functions.ROWS, *activations.ROWS, *functions.SPECIAL, *choices.ROWS, *products.ROWS,
    *axes.ROWS, *reductions.ROWS, *matrices.ROWS, *losses.ROWS, *axes.FILLED,
)  # fmt: skip
_ROWS = [rule.in_version(versions.known()) for rule in ROWS]
RULES: dict[str, Rule] = {rule.name: rule for rule in _ROWS}
# Those with local derivatives, element by element.
ELEMENTWISE: dict[str, Rule] = {rule.name: rule for rule in _ROWS if rule.partials}
# A name that means two rules is that of the elementwise one.
ALIASES: dict[str, str] = {alias: rule.name for rule in _ROWS[::-1] for alias in rule.aliases}
OPERATORS: dict[str, str] = {rule.symbol: rule.name for rule in _ROWS if rule.symbol and rule.name != "neg"}


@cache
def title_for(rule: str, slot: int) -> str:
    """The plain name of a rule with respect to input `slot`; only powers have two."""
    titles = RULES[rule].title.split(" / ")
    return titles[min(slot, len(titles) - 1)]
