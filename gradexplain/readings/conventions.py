"""What PyTorch takes at a kink, measured in the one that runs, once for a rule: it has changed with versions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from functools import cache
from typing import Any

from gradexplain.readings.compiled import expression
from gradexplain.readings.worker import WITNESSES
from gradexplain.rules.table import ELEMENTWISE

# The kinks of all rules are at these values, and at ties between them.
GRID = (-3.0, -1.0, 0.0, 0.5, 1.0, 3.0, 6.0)
# The numbers that stand for settings without a default.
SETTINGS = ("-1", "1")
CLOSE = 1e-9
# The numbers of all inputs, and the local derivatives by those that something flows to.
Point = tuple[tuple[float, ...], tuple[float | None, ...]]


@cache
def changed(name: str) -> bool:
    """Whether the PyTorch that runs takes something else at a kink of this elementwise rule than its row says.

    >>> changed("relu"), changed("clamp_between")
    (False, False)
    """
    rule = ELEMENTWISE.get(name)
    if rule is None or not rule.kink or rule.boolean or name == "where" or not WITNESSES.installed():
        return False
    WITNESSES.start()
    (points,) = WITNESSES.answers(WITNESSES.ask("gradexplain.readings.conventions:answers", name))
    count = len(rule.partials)
    distance = expression(rule.kink, count)
    partials = [expression(partial, count) if partial else None for partial in rule.partials]
    for inputs, found in points:
        numbers = list(map(_exact, inputs))
        if distance(numbers) != 0:
            continue
        for partial, own in zip(partials, found, strict=True):
            if partial is not None and own is not None and not _same(partial([*numbers, _exact(math.nan)]), own):
                return True
    return False


def _exact(number: float) -> Any:
    from gradexplain.readings.arithmetic import mp

    return mp.mpf(number)


def _same(exact: Any, found: float) -> bool:
    """Whether a local derivative is what PyTorch has; one that needs the result, or has no value, is passed over."""
    number = float(exact) if exact is not None else math.nan
    return math.isnan(number) or abs(number - found) <= CLOSE * max(1.0, abs(number))


def answers(name: str) -> Iterable[list[Point]]:
    """The task: one answer, the local derivatives of a rule at all points of the grid by autograd."""
    import torch

    from gradexplain.readings.place import Place
    from gradexplain.readings.torch_rules import elementwise, plain_inputs

    rule, place, found = ELEMENTWISE[name], Place(torch), []
    settings = [float(number) for number in rule.defaults or SETTINGS]
    plain = dict(zip(plain_inputs(name), settings, strict=False))
    with torch.inference_mode(False), torch.enable_grad():
        for given in itertools.product(GRID, repeat=len(rule.partials) - len(plain)):
            rest = iter(given)
            inputs = tuple([plain[k] if k in plain else next(rest) for k in range(len(rule.partials))])
            leaves: list[Any] = [x if k in plain else place.leaf(x) for k, x in enumerate(inputs)]
            elementwise(place, name)(*leaves).backward()
            own = [leaf.grad if k not in plain else None for k, leaf in enumerate(leaves)]
            found.append((inputs, tuple([None if grad is None else grad.item() for grad in own])))
    yield found
