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
    "value_by_rounding": "{what} has no finite value here: {exact}; PyTorch has {found}, which rounding in "
    "{dtype} makes",
    "value_out_of_range": "{what} is {exact}, and {dtype} holds {found}",
    "value_loses_digits": "{what} loses its digits in {dtype}: exactly {exact}, PyTorch has {found}",
    "local_not_finite": "the local derivative of {what} is not finite here: {local} = {value}",
    "terms_cancel": "the contributions to {partial} cancel: {terms}",
    "local_loses_digits": "the derivative of {what} loses its digits in {dtype}",
    "gradient_out_of_range": "{partial} is {exact}, out of the range of {dtype}",
    "documented_at": "{what}: {does}",
    "unexplained": "PyTorch and the chain rule differ at {what}, and rounding does not explain it",
    "kink": {
        "one": "{what} has a kink here; {at_kink}",
        "other": "{what} has a kink here, the first of {count:,} elements that have one; {at_kink}",
    },
    "kink_beside": "{what} has a kink exactly here, and rounding takes PyTorch to one side of it",
    "kinks": {
        "one": "{count:,} element is at a kink of {expression}; {at_kink}",
        "other": "{count:,} elements are at a kink of {expression}; {at_kink}",
    },
    "convention_changed": "PyTorch {version} takes another value than the one that is known: {known}",
    "branch": "PyTorch follows the branch that the condition picks",
    "value_impossible": "PyTorch cannot compute {expression}",
    # Of tensors that are too large for exact numbers
    "large_gradient_loses_digits": "autograd loses digits in the derivative of {node}",
    "large_unexplained": "autograd and the chain rule differ",
    "large_not_finite": "PyTorch has a value that is not finite in {expression}",
    "local_differs": "the derivative of {node} is not finite for one of the two",
    "local_undefined": "the derivative of {node} is not finite here",
    # Of the steps of a run
    "in_row": "{reason} (row {row})",
    "start_not_finite": "{what} is {found} at {inputs}",
    "start_not_finite_in_row": "{what} is {found} at {inputs} in row {row}",
    "rows_differ": "the {reduction} over the rows is {total}, and PyTorch has {found}",
    "rows_out_of_range": "the {reduction} over the rows is {total}, and PyTorch has {found}, out of the range of "
    "{dtype}",
    "step_kinks": {
        "one": "{count:,} element is at a kink of {expression}; {at_kink}",
        "other": "{count:,} elements are at a kink of {expression}; {at_kink}",
    },
    "step_kink": "it is at a kink of {expression}; {at_kink}",
    "step_values": {
        "one": "{count:,} element of {what} is not finite",
        "other": "{count:,} elements of {what} are not finite",
    },
    "step_value": "{what} is not finite",
    "step_flows": {
        "one": "what flows back through {what} is not finite at {count:,} element",
        "other": "what flows back through {what} is not finite at {count:,} elements",
    },
    "step_flow": "what flows back through {what} is not finite",
    "step_loses_digits": "autograd lost digits",
    "step_not_finite": "only one of the two is finite",
    "step_differs": "autograd and the chain rule differ",
    "wrong_sum": "{grad} is {found}, and what backward() put into it adds up to {total}",
    "shared_sum": "{grad} is {found}, and what backward() put into it adds up to {total}: {whole} and {partner} are "
    "views of the same memory, and PyTorch adds to both in place",
    "moved_without_gradient": "it moved without a gradient",
    "rule_differs": "by the rule {what} is {rule}, and PyTorch has {found}",
    "rule_out_of_range": "by the rule {what} is {rule}, and PyTorch has {found}: {dtype} holds nothing between 0 and "
    "{least}, or above {largest}",
    # What happened in a run
    "done_at_start": "the loss is {loss} at the start, which is small enough",
    "done_in_first_batch": "the loss is {loss} in the first batch, which is small enough",
    "done": "after step {step} the loss is {loss}, which is small enough",
    "done_in_batch": "after step {step} the loss of a batch is {loss}, which is small enough",
    "cleared_before_step": "zero_grad() came between backward() and step(): step() found no .grad at any step, and the "
    "parameters never moved",
    "no_gradient": {
        "one": "{names} has no .grad at any step: nothing flows back from {objective}",
        "other": "{names} have no .grad at any step: nothing flows back from {objective}",
    },
    "pushed_away": {
        "one": "step {step}: the loss was already {loss}, and the stale gradient of step 1 pushed the parameters away "
        "from the minimum",
        "other": "step {step}: the loss was already {loss}, and the stale gradient of steps 1 to {count} pushed the "
        "parameters away from the minimum",
    },
    "stale_gradient": {
        "one": "step {step}: backward() computed {computed} for {name}, and {grad} still held {held} from step 1, and "
        "the loss rose from {loss} to {after}",
        "other": "step {step}: backward() computed {computed} for {name}, and {grad} still held {held} from steps 1 to "
        "{count}, and the loss rose from {loss} to {after}",
    },
    "broken_at": "the loss or a gradient is not finite at step {step}",
    "broken_from": "the loss or a gradient is not finite from step {step} on",
    "broken_at_node": "the loss or a gradient is not finite at step {step}; it began at {node}: {reason}",
    "broken_from_node": "the loss or a gradient is not finite from step {step} on; it began at {node}: {reason}",
    "no_derivative": "{broke}; the loss has no derivative there, so no learning rate can help",
    "root_of_zero": "{broke}; the loss has no derivative where the root of 0 is taken, so no learning rate can help, "
    "but a small number under the root does, such as 1e-12",
    "fell_without_end": "the loss fell from {first} without end",
    "grew": "the loss grew from {first} to {final}",
    "grew_from_least": "the loss grew from {first} to {final} (the least was {least} at step {step})",
    "lower_rate": "{grew}; a learning rate below {rate} may help",
    "no_rate": "{grew}; the gradient is not finite at the first step already, so no learning rate can help",
    "largest_rate": "{grew}; the loss is quadratic with a largest curvature of {curvature}, so {optimizer} is stable "
    "below lr = {limit}, and lr is {rate}",
    "turned_back": "{names} turned back at {turns} of the last {looked} steps: each step jumps across the minimum",
    "flat_from_start": "every gradient is 0 from the first step on, so no parameter moves",
    "zero_since": "since step {step} every gradient is 0, and the loss stays {final}",
    "rest_since": "since step {step} every gradient, and every change of a parameter, is below a millionth of its "
    "largest, and the loss is {final}",
    "balanced_since": "since step {step} no parameter changes any more, and the loss is {final}: the weight decay "
    "balances the gradient",
    "lost_since": "since step {step} no parameter changes any more, and the loss is {final}: the gradient is not 0, "
    "but the steps are lost in the rounding of {dtype}",
    "falling": "the loss fell from {first} to {final}, and is not at rest yet",
    "went": "the loss went from {first} to {final}",
    # Notes on a run
    "not_moved_by_rule": "{verdict}: at step {step} {node} was not moved by its rule: {reason}",
    "steps_in_doubt": {
        "one": "{verdict} at {count:,} step, first at step {step}",
        "other": "{verdict} at {count:,} steps, first at step {step}",
    },
    "steps_in_doubt_since": {
        "one": "{verdict} at {count:,} step, first at step {step}, at {node}: {reason}",
        "other": "{verdict} at {count:,} steps, first at step {step}, at {node}: {reason}",
    },
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
    "other_version": "PyTorch {version} is installed; gradexplain is tested with {oldest} to {newest}, and measures "
    "what another one takes at kinks",
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
    "documented": "{partial}: exactly it is {exact}, and PyTorch has {found}: {does} ({what})",
    "constant_rounded": "{what} is {held} in {dtype}; with {exact} in its place the answer is another one",
    "followed": "{what} is what PyTorch computes: {does}",
    "second_sides": "{partial} does not exist: it is {left} from the left and {right} from the right; PyTorch takes "
    "{found}",
    "second_of_kink": "{partial} does not exist, since the first derivative does not exist here; PyTorch takes {found}",
    "second_by_direction": "{partial} does not exist: how the gradient changes depends on the direction; PyTorch takes "
    "{found}",
    "second_at_kink": "{partial} is exactly {exact}, and PyTorch has {found}: it differentiates what it chose at the "
    "kink of {what}",
    "second_differs": "{partial} is exactly {exact}, and PyTorch has {found}",
    "more_kinks": {
        "one": "{partial}: {count:,} more element is at a kink",
        "other": "{partial}: {count:,} more elements are at a kink",
    },
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
