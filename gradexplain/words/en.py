"""The sentences of reasons and notes in English, by id. Names in braces are the values that a sentence is given.

A sentence that depends on how many there are has a form for each of the names that `form` returns; they are counted by
`count`, or else by the value that is a list.
"""

from __future__ import annotations

from collections.abc import Mapping

# A list of names in a sentence: between two names, before the last, and where a long one is cut short.
BETWEEN, LAST, MORE = ", ", "{names} and {name}", "{names} and {count:,} more"
# A number that is none.
NOT_FINITE = "not finite"

SENTENCES: Mapping[str, str | Mapping[str, str]] = {
    # Where a verdict began
    "value_not_finite": "{what} has no finite value here: {found}",
    "value_out_of_range": "{what} is {exact}, and {dtype} holds {found}",
    "value_loses_digits": "{what} loses its digits in {dtype}: exactly {exact}, PyTorch has {found}",
    "local_not_finite": "the local derivative of {what} is not finite here: {local} = {value}",
    "terms_cancel": "the contributions to {partial} cancel: {terms}",
    "local_loses_digits": "the derivative of {what} loses its digits in {dtype}",
    "gradient_out_of_range": "{partial} is {exact}, out of the range of {dtype}",
    "unexplained": "PyTorch and the chain rule differ at {what}, and rounding does not explain it",
    "kink": {
        "one": "{what} has a kink here; {at_kink}",
        "other": "{what} has a kink here, the first of {count:,} elements that have one; {at_kink}",
    },
    "kinks": {
        "one": "{count:,} element is at a kink of {expression}; {at_kink}",
        "other": "{count:,} elements are at a kink of {expression}; {at_kink}",
    },
    "branch": "PyTorch follows the branch that the condition picks",
    "value_impossible": "PyTorch cannot compute {expression}",
    # Of tensors that are too large for exact numbers
    "large_loses_digits": "PyTorch loses digits in {expression}",
    "large_differs": "PyTorch has another value than the exact one in {expression}",
    "large_gradient_loses_digits": "autograd loses digits in the derivative of {node}",
    "large_unexplained": "autograd and the chain rule differ",
    "large_not_finite": "PyTorch has a value that is not finite in {expression}",
    "local_differs": "the derivative of {node} is not finite for one of the two",
    "local_undefined": "the derivative of {node} is not finite here",
    # Notes
    "not_in_formula": "{name} is not in the formula",
    "not_in_formula_but": "{name} is not in the formula; {hint}",
    "classes": "{name} has classes, whole numbers that have no gradient",
    "missing": {
        "one": "{names} has no value, so PyTorch has nothing to run on; give it with --at {example}",
        "other": "{names} have no value, so PyTorch has nothing to run on; give them with --at {example}",
    },
    "random_numbers": {
        "one": "{names} has no value: random numbers stand in for them, to check the formulas",
        "other": "{names} have no values: random numbers stand in for them, to check the formulas",
    },
    "no_torch": "PyTorch is not installed, so autograd's column is empty; install it with pip install torch",
    "refused": "PyTorch refused: {message}",
    "refused_at": "{expression} does not exist here, and PyTorch refuses it: {message}",
    "sizes": "checked with {sizes}",
    "unreached": {
        "one": "nothing flows from {objective} back to {names}, which does not influence it smoothly: "
        "the gradient is 0, and PyTorch leaves .grad None",
        "other": "nothing flows from {objective} back to {names}, which do not influence it smoothly: "
        "the gradient is 0, and PyTorch leaves .grad None",
    },
    "staircase": "{rule} is constant between its jumps, so its derivative is 0 and no gradient flows through it",
    "kink_on_the_way": {
        "one": "{partial}: {what} has a kink here; {at_kink}",
        "other": "{partial}: {what} has a kink here, the first of {count:,} elements that have one; {at_kink}",
    },
    "kinks_on_the_way": {
        "one": "{partial}: {count:,} element is at a kink of {expression}; {at_kink}",
        "other": "{partial}: {count:,} elements are at a kink of {expression}; {at_kink}",
    },
    "kink_crossed": "{partial}: {what} has a kink here, and PyTorch's choice gives {chosen}, "
    "while the derivative of the whole exists: {derivative}",
    "kink_sides": "{partial}: {what} has a kink here: the derivative is {left} from the left and {right} from the "
    "right; PyTorch takes {chosen}",
    "kink_sides_because": "{partial}: {what} has a kink here: the derivative is {left} from the left and {right} from "
    "the right; PyTorch takes {chosen} ({at_kink})",
    "sympy_differs": "{partial}: SymPy's derivative of the whole formula gives {found}",
    "too_long": "the closed form of {names} is too long to write out; the chain stands for it",
    "unconfirmed": "the closed form of {names} is too long, or was not confirmed at numbers; the chain stands for it",
    "more_notes": "… {count:,} more notes",
}


def form(count: int) -> str:
    """Which form of a sentence is used for so many.

    >>> form(1), form(2)
    ('one', 'other')
    """
    return "one" if count == 1 else "other"
