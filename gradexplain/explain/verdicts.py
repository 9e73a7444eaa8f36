"""The comparison of exact and autograd's numbers: a verdict for every node, and where a difference began."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gradexplain.language.graph import Graph
from gradexplain.readings.arithmetic import Number, finite, mp
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.exact import DEAD, Exact
from gradexplain.readings.numbers import Witness

SMALLEST = 2.0**-1074
# How many times the effect of moving the inputs by their spacing still counts as rounding.
NOISE = 16
# From here on a float is as good as the exact number for a comparison.
SAFE = 1e-290


@dataclass(slots=True)
class Judgement:
    """The verdicts by node, and for what is not fine the pair (node, kind of reason) where it began.

    The kinds are `forward` (a value went wrong), `local` (a local derivative is not finite), `sum` (contributions
    cancel), `kink`, `rounding` (a local derivative loses its digits), `range` (too small for the dtype), `unknown`.
    """

    verdicts: dict[int, str] = field(default_factory=dict)
    began: dict[int, tuple[int, str]] = field(default_factory=dict)


def is_finite(value: Number) -> bool:
    """Whether an exact value is a finite number; a contribution that cannot flow counts as 0."""
    return value is DEAD or type(value) is bool or finite(value)


def close(exact: Number, found: float | bool, tolerance: float) -> bool:
    """Whether PyTorch's number is right up to `tolerance`, relative, or the nearest there is to an exact value.

    >>> close(mp.mpf(1), 1.0 + 1e-12, 1e-9), close(mp.mpf(0), 1e-30, 1e-9)
    (True, False)
    """
    if type(exact) is bool:
        return exact == found
    if not is_finite(exact):
        return not math.isfinite(found)
    try:
        near = float(exact)
        if abs(near) > SAFE and abs(near - found) <= abs(near) * tolerance / 2:
            return True
    except OverflowError:
        pass
    return math.isfinite(found) and bool(abs(exact - found) <= abs(exact) * tolerance + SMALLEST)


class Closer(Protocol):
    """What is computed only where a difference asks for a closer look."""

    def rounded(self) -> Exact:
        """The exact walk once more, with no more digits than the dtype has."""

    def noise(self) -> Mapping[int, Number]:
        """By node, how much its gradient changes where each value that was rounded moves by the spacing."""


def judge(graph: Graph, exact: Exact, witness: Witness, dtype: str, closer: Closer) -> Judgement:
    """The verdict for every node that has a gradient. `exact` and `witness` must be of the same graph and point.

    Where all that is left of a gradient is what rounding the inputs leaves, as at a minimum of a loss, autograd agrees
    if it has such a remainder, too, or 0.
    """
    tolerance = DTYPES[dtype].tolerance
    result = Judgement()
    forward = _forward(graph, exact, witness, tolerance)
    unsettled: set[int] = set()
    for j in exact.walk.order:
        total, found = exact.walk.totals[j], witness.gradients.get(j)
        if total is None or not witness.values:
            result.verdicts[j] = "unverified"
            continue
        autograd = found or 0.0
        at_kink = [
            step.through
            for step in exact.walk.steps[j]
            if (step.through in unsettled and step.local != 0)
            or (step.through in exact.kinks and step.upstream is not DEAD and step.upstream != 0)
        ]
        if at_kink:
            unsettled.add(j)
        right = close(total, autograd, tolerance) or _rounding(exact, j, autograd, total, dtype)
        if not right and is_finite(total) and math.isfinite(autograd):
            noise = closer.noise().get(j, 0) * NOISE
            right = bool(abs(total) <= noise and abs(autograd - total) <= noise)
        if is_finite(total) and math.isfinite(autograd):
            result.verdicts[j] = ("convention" if at_kink else "agrees") if right else "precision"
        else:
            result.verdicts[j] = "undefined" if right else "nonfinite"
        if result.verdicts[j] == "convention":
            result.began[j] = next((result.began[i] for i in at_kink if i in result.began), (at_kink[0], "kink"))
        elif result.verdicts[j] != "agrees":
            origin = _origin(graph, exact, forward, result.began, j)
            if origin[1] == "unknown":
                origin = origin[0], _kind_of_loss(exact, closer.rounded(), j, autograd, dtype)
                if origin[1] == "unknown":
                    result.verdicts[j] = "disagrees"
            result.began[j] = origin
    return result


def _kind_of_loss(exact: Exact, simulated: Exact, j: int, autograd: float, dtype: str) -> str:
    """Why two finite numbers differ: the digits or the range of the dtype, or (`unknown`) neither."""
    total, row = exact.walk.totals[j], DTYPES[dtype]
    if abs(total) < row.smallest:
        return "range"
    if not is_finite(total):
        return "local"
    scale = sum((abs(step.value) for step in exact.walk.steps[j] if step.value is not DEAD), mp.zero)
    if math.isfinite(autograd) and abs(total - autograd) <= scale * row.tolerance and len(exact.walk.steps[j]) > 1:
        return "sum"
    loss = simulated.walk.totals[j]
    if is_finite(loss) and abs(loss - total) <= abs(total) * row.tolerance / 10:
        return "unknown" if abs(total) <= row.largest else "range"
    return "rounding"


def _rounding(exact: Exact, j: int, autograd: float, total: Number, dtype: str) -> bool:
    """Whether the exact sum is 0 and autograd's is what rounding leaves of contributions that cancel."""
    if total != 0 or not math.isfinite(autograd):
        return False
    scale = sum((abs(step.value) for step in exact.walk.steps[j] if step.value is not DEAD), mp.zero)
    return bool(abs(autograd) <= scale * DTYPES[dtype].tolerance)


def _forward(graph: Graph, exact: Exact, witness: Witness, tolerance: float) -> dict[int, int]:
    """For every node whose value is not finite or not what PyTorch has, the node where that began."""
    began: dict[int, int] = {}
    for i, found in enumerate(witness.values):
        value = exact.values[i]
        if value is None or found is None:
            continue
        if is_finite(value) and close(value, found, tolerance):
            continue
        if value == 0 and abs(found) <= tolerance:
            continue
        began[i] = next((began[j] for j in graph.nodes[i].inputs if j in began), i)
    return began


def _origin(
    graph: Graph, exact: Exact, forward: Mapping[int, int], backward: Mapping[int, tuple[int, str]], j: int
) -> tuple[int, str]:
    """Where the difference at node `j` began: further up the walk, in a forward value, or right here."""
    steps = exact.walk.steps[j]
    for step in steps:
        if step.through in backward and backward[step.through][1] != "kink":
            return backward[step.through]
    for step in steps:
        touched: Sequence[int] = (*graph.nodes[step.through].inputs, step.through)
        for i in touched:
            if i in forward:
                return forward[i], "forward"
    for step in steps:
        if step.local is not None and not is_finite(step.local):
            return step.through, "local"
    return (j if len(steps) > 1 else steps[0].through), "unknown"
