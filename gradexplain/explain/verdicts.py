"""The comparison of exact and autograd's numbers: a verdict for every node, and where a difference began."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gradexplain.language.graph import Graph
from gradexplain.readings.arithmetic import Number, finite, mp, to_float
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.exact import DEAD, Exact
from gradexplain.readings.witness import Witness

SMALLEST = 2.0**-1074
# How many times the effect of moving the inputs by their spacing still counts as rounding.
NOISE = 16
# From this relative error on, unless rounding explains it, a difference is no loss of digits but a disagreement.
WRONG = 1e-3
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


def near(exact: float, found: float, tolerance: float) -> bool:
    """Whether two floats are so close that the exact number, which the first stands for, need not be asked.

    >>> near(1.0, 1.0 + 1e-12, 1e-9), near(0.0, 0.0, 1e-9), near(math.inf, math.inf, 1e-9)
    (True, False, False)
    """
    return SAFE < abs(exact) < math.inf and abs(exact - found) <= abs(exact) * tolerance / 2


def close(exact: Number, found: float | bool, tolerance: float) -> bool:
    """Whether PyTorch's number is right up to `tolerance`, relative, or the nearest there is to an exact value.

    >>> close(mp.mpf(1), 1.0 + 1e-12, 1e-9), close(mp.mpf(0), 1e-30, 1e-9)
    (True, False)
    """
    if type(exact) is bool:
        return exact == found
    if near(to_float(exact), found, tolerance):
        return True
    if not is_finite(exact):
        return not math.isfinite(found)
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
    return _Judge(graph, exact, witness, dtype, closer).judgement


class _Judge:
    def __init__(self, graph: Graph, exact: Exact, witness: Witness, dtype: str, closer: Closer) -> None:
        self.graph, self.exact, self.dtype, self.closer = graph, exact, DTYPES[dtype], closer
        self.judgement = Judgement()
        self.forward = _forward(graph, exact, witness, self.dtype.tolerance)
        # The nodes below a kink, and how far autograd may be off where only rounding is left of a gradient.
        self.unsettled: set[int] = set()
        self.slack: dict[int, Number] = {}
        totals, floats, tolerance, smooth = exact.walk.totals, exact.gradients, self.dtype.tolerance, not exact.kinks
        for j in exact.walk.order:
            if totals[j] is None or not witness.values:
                self.judgement.verdicts[j] = "unverified"
                continue
            found = witness.gradients.get(j) or 0.0
            if smooth and near(floats[j], found, tolerance):
                self.judgement.verdicts[j] = "agrees"
            else:
                self._judge(j, totals[j], found)

    def _judge(self, j: int, total: Number, autograd: float) -> None:
        verdicts, began = self.judgement.verdicts, self.judgement.began
        at_kink = self._kinks(j) if self.exact.kinks else []
        right = close(total, autograd, self.dtype.tolerance) or self._is_noise(j, total, autograd)
        if is_finite(total) and math.isfinite(autograd):
            verdicts[j] = ("convention" if at_kink else "agrees") if right else "precision"
        else:
            verdicts[j] = "undefined" if right else "nonfinite"
        if verdicts[j] == "convention":
            began[j] = next((began[i] for i in at_kink if i in began), (at_kink[0], "kink"))
        elif verdicts[j] != "agrees":
            origin, kind = _origin(self.graph, self.exact, self.forward, began, j)
            if kind == "unknown":
                kind = self._kind_of_loss(j, total, autograd)
            if kind == "unknown":
                verdicts[j] = "disagrees"
            began[j] = origin, kind

    def _kinks(self, j: int) -> list[int]:
        """The nodes through which a kink makes the gradient of `j` a matter of convention."""
        found = []
        for step in self.exact.walk.steps[j]:
            here = step.through in self.exact.kinks and step.upstream is not DEAD and step.upstream != 0
            if here or (step.through in self.unsettled and step.local != 0):
                found.append(step.through)
        if found:
            self.unsettled.add(j)
        return found

    def _is_noise(self, j: int, total: Number, autograd: float) -> bool:
        """Whether the gradient is 0, but for what rounding leaves of contributions that cancel, here or above."""
        if not is_finite(total) or not math.isfinite(autograd):
            return False
        steps = [step for step in self.exact.walk.steps[j] if step.value is not DEAD]
        slack = sum((abs(step.value) for step in steps), mp.zero) * self.dtype.tolerance if total == 0 else mp.zero
        slack += sum((2 * self.slack.get(step.through, 0) * abs(step.local) for step in steps), mp.zero)
        if not (abs(total) <= slack and abs(autograd - total) <= slack):
            slack = self.closer.noise().get(j, mp.zero) * NOISE
        if abs(total) <= slack and abs(autograd - total) <= slack:
            self.slack[j] = abs(autograd - total)
            return True
        return False

    def _kind_of_loss(self, j: int, total: Number, autograd: float) -> str:
        """Why two numbers differ: the digits or the range of the dtype, or (`unknown`) neither."""
        if not is_finite(total):
            return "local"
        if abs(total) < self.dtype.smallest or abs(total) > self.dtype.largest:
            return "range"
        steps = [step for step in self.exact.walk.steps[j] if step.value is not DEAD]
        scale = sum((abs(step.value) for step in steps), mp.zero)
        off = abs(total - autograd) if math.isfinite(autograd) else mp.inf
        if off <= scale * self.dtype.tolerance and abs(total) < scale / 10:
            return "sum"
        loss = self.closer.rounded().walk.totals[j]
        if not is_finite(loss) or abs(loss - total) > abs(total) * self.dtype.tolerance / 10:
            return "rounding"
        # PyTorch computes some functions and derivatives in its own way, and loses digits that ours keeps.
        upstream = sum((abs(step.upstream) for step in steps), mp.zero)
        right_digits = off <= abs(total) * WRONG or off <= upstream * self.dtype.tolerance
        return "rounding" if right_digits else "unknown"


def _forward(graph: Graph, exact: Exact, witness: Witness, tolerance: float) -> dict[int, int]:
    """For every node whose value is not finite or not what PyTorch has, the node where that began."""
    began: dict[int, int] = {}
    values, floats = exact.values, exact.floats
    for i, found in enumerate(witness.values):
        value = values[i]
        if value is None or found is None or near(floats[i], found, tolerance):
            continue
        if close(value, found, tolerance) and is_finite(value):
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
