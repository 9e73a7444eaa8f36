"""The comparison of exact and autograd's numbers: a verdict for every node, and where a difference began."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from gradexplain.language.graph import Graph
from gradexplain.readings.arithmetic import Number, exactly, mp, to_float, to_floats
from gradexplain.readings.compare import SPACINGS, mixes, uncancelled
from gradexplain.readings.compiled import expression
from gradexplain.readings.conventions import changed
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.exact import DEAD, Exact
from gradexplain.readings.exact_arrays import Value, elements
from gradexplain.readings.exact_walk import documented, is_finite
from gradexplain.readings.witness import Witness
from gradexplain.records import VERDICTS
from gradexplain.rules.table import RULES
from gradexplain.tensor import Tensor, unpacked

SMALLEST = 2.0**-1074
# How many times the effect of moving the inputs by their spacing still counts as rounding.
NOISE = 16
# From this relative error on, unless rounding explains it, a difference is no loss of digits but a disagreement.
WRONG = 1e-3
# From here on a float is as good as the exact number for a comparison.
SAFE = 1e-290


class Origin(NamedTuple):
    """Where what is not fine began: a node, the kind of reason, and which element it is, counted in order.

    The kinds are `forward` (a value went wrong), `local` (a local derivative is not finite), `sum` (contributions
    cancel), `kink`, `beside` (rounding takes PyTorch to one side of a kink), `documented` (what PyTorch is known to
    do), `rounding` (a local derivative loses its digits), `range` (too small for the dtype), `unknown`.
    """

    node: int
    kind: str
    place: int = 0


@dataclass(slots=True)
class Judgement:
    """The verdicts by node, and for what is not fine where it began.

    The verdict on a vector is the worst of its elements: `elements` has, by node, those that do not agree. `forward`
    has, by node and element, where a value went wrong that PyTorch computed, or that does not exist.
    """

    verdicts: dict[int, str] = field(default_factory=dict)
    began: dict[int, Origin] = field(default_factory=dict)
    elements: dict[int, dict[int, tuple[str, Origin]]] = field(default_factory=dict)
    forward: dict[int, dict[int, Origin]] = field(default_factory=dict)

    def decide(self, j: int) -> None:
        """Make the verdict on a vector that of its worst element, the first of these."""
        found = self.elements.get(j)
        self.began.pop(j, None)
        self.verdicts[j] = "agrees"
        if found:
            self.verdicts[j], self.began[j] = max(found.values(), key=lambda entry: VERDICTS.index(entry[0]))

    def worst(self, j: int) -> list[int]:
        """The elements of a vector that have its verdict."""
        return [k for k, (verdict, _) in self.elements.get(j, {}).items() if verdict == self.verdicts[j]]


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

    def noise(self) -> Mapping[int, Value]:
        """By node, how much its gradient changes where each value that was rounded moves by the spacing."""


def judge(graph: Graph, exact: Exact, witness: Witness, dtype: str, closer: Closer) -> Judgement:
    """The verdict for every node that has a gradient. `exact` and `witness` must be of the same graph and point.

    Where all that is left of a gradient is what rounding the inputs leaves, as at a minimum of a loss, autograd agrees
    if it has such a remainder, too, or 0.
    """
    return _Judge(graph, exact, witness, dtype, closer).judgement


def numbers_of(found: Any, count: int) -> list[Any]:
    """What PyTorch found, as the list of its elements; nothing counts as zeros."""
    if found is None:
        return [0.0] * count
    value = unpacked(found)
    return list(value.numbers or ()) if isinstance(value, Tensor) else [value]


def at(value: Value, place: int) -> Number:
    """An element of an exact value; a single number is the same at each place."""
    return value.flat[place if value.size > 1 else 0] if hasattr(value, "shape") else value


def count_of(value: Value) -> int:
    """How many elements an exact value has."""
    return int(value.size) if hasattr(value, "shape") else 1


def _matching(value: Value, count: int, place: int) -> list[Number]:
    """The elements that go with one of `count` elements: that at its place, or all where the axes differ."""
    return [at(value, place)] if count_of(value) in (1, count) else elements(value)


class _Judge:
    def __init__(self, graph: Graph, exact: Exact, witness: Witness, dtype: str, closer: Closer) -> None:
        self.graph, self.exact, self.dtype, self.closer = graph, exact, DTYPES[dtype], closer
        self.mixes = mixes(graph)
        self.values = witness.values
        self.judgement = Judgement()
        # The elements below a kink, and how far autograd may be off where only rounding is left of a gradient.
        self.unsettled: dict[int, set[int]] = {}
        self.slack: dict[tuple[int, int], Number] = {}
        self.began: dict[int, dict[int, Origin]] = {}
        # By node, for each element whether PyTorch does there what the row documents.
        self.known_places: dict[int, list[bool]] = {}
        # The nodes whose gradient PyTorch takes on one side of a kink, since rounding has moved it there.
        self.moved: set[int] = set()
        self.terms = uncancelled(exact.walk, size_of) if self.mixes else {}
        self.forward = self.judgement.forward = self._forward(witness)
        totals, floats, tolerance, smooth = exact.walk.totals, exact.gradients, self.dtype.tolerance, not exact.kinks
        for j in exact.walk.order:
            total, own = totals[j], floats[j]
            if total is None or not witness.values:
                self.judgement.verdicts[j] = "unverified"
            elif hasattr(total, "shape"):
                self._judge_elements(j, total, own, numbers_of(witness.gradients.get(j), len(own)))
            else:
                found = witness.gradients.get(j) or 0.0
                if smooth and near(own, found, tolerance):
                    self.judgement.verdicts[j] = "agrees"
                    continue
                verdict, origin = self._judge(j, 0, total, found, 0.0)
                self.judgement.verdicts[j] = verdict
                if origin is not None:
                    self.judgement.began[j] = origin

    def _judge_elements(self, j: int, total: Value, floats: Sequence[float], found: Sequence[float]) -> None:
        """The verdict on a vector: that of its worst element."""
        tolerance, smooth = self.dtype.tolerance, not self.exact.kinks
        noise = self._spread(j, floats) if self.mixes else 0.0
        known: dict[int, tuple[str, Origin]] = {}
        for k, (own, autograd) in enumerate(zip(floats, found, strict=True)):
            if not (smooth and near(own, autograd, tolerance)):
                verdict, origin = self._judge(j, k, total.flat[k], autograd, noise)
                if origin is not None:
                    known[k] = verdict, origin
        if known:
            self.judgement.elements[j] = known
        self.judgement.decide(j)

    def _spread(self, j: int, floats: Sequence[float]) -> float:
        """How far apart two sums of products may be: so many spacings of the largest element, or of its terms."""
        spacings = SPACINGS * 2.0**-self.dtype.bits
        scale = max((abs(x) for x in floats if math.isfinite(x)), default=0.0)
        terms = self.terms.get(j, 0.0)
        return spacings * (terms if scale <= spacings * terms else scale)

    def _judge(self, j: int, k: int, total: Number, autograd: float, noise: float) -> tuple[str, Origin | None]:
        """The verdict on one element, and where it began where it is not fine. `noise` is a difference that is none."""
        at_kink = self._kinks(j, k) if self.exact.kinks else []
        close_by = is_finite(total) and math.isfinite(autograd) and abs(total - autograd) <= noise
        right = close(total, autograd, self.dtype.tolerance) or close_by or self._is_noise(j, k, total, autograd)
        if is_finite(total) and math.isfinite(autograd):
            verdict = ("convention" if at_kink else "agrees") if right else "precision"
            if not right and any(i in self.moved or self._is_beside(i, place) for i, place in at_kink):
                verdict = "convention"
                self.moved.add(j)
            elif not right and at_kink and any(changed(self.graph.nodes[i].rule) for i in self.exact.kinks):
                # Another PyTorch takes something else at a kink than the table knows.
                verdict = "convention"
        else:
            verdict = "undefined" if right else "nonfinite"
        if verdict == "agrees":
            return verdict, None
        if verdict == "convention":
            node, place = at_kink[0]
            above = (self._above(i, j, k) for i, _ in at_kink)
            kind = "beside" if j in self.moved else "kink"
            origin = next((found for found in above if found), Origin(node, kind, place))
        else:
            origin = self._origin(j, k)
            origin = self._documented(j, k) or origin
            if origin.kind == "unknown":
                origin = origin._replace(kind=self._kind_of_loss(j, k, total, autograd))
            verdict = self._by_origin(verdict, origin, total)
        self.began.setdefault(j, {})[k] = origin
        return verdict, origin

    def _is_beside(self, i: int, k: int) -> bool:
        """Whether rounding has moved PyTorch away from a kink of node `i` that is exact, and so to one side of it."""
        node = self.graph.nodes[i]
        rule = RULES[node.rule]
        if not rule.partials or not rule.kink or not self.values:
            return False
        found = [numbers_of(self.values[j], 1) for j in node.inputs]
        numbers = [exactly(float(own[k if len(own) > k else 0])) for own in found if own and own[0] is not None]
        return len(numbers) == len(found) and bool(expression(rule.kink, len(numbers))(numbers))

    def _by_origin(self, verdict: str, origin: Origin, total: Number) -> str:
        """The verdict once it is known where a difference began."""
        if origin.kind == "unknown":
            return "disagrees"
        if origin.kind == "documented":
            row = RULES[self.graph.nodes[origin.node].rule].documented
            return row.verdict if row else verdict
        if origin.kind == "forward" and verdict == "nonfinite" and not is_finite(total):
            value = at(self.exact.values[origin.node], origin.place)
            found = numbers_of(self.values[origin.node], origin.place + 1)[origin.place]
            if not is_finite(value):
                # There is no value: for PyTorch neither, or rounding makes one of it, as of an inverse that is none.
                return "precision" if found is not None and math.isfinite(found) else "undefined"
        return verdict

    def _documented(self, j: int, k: int) -> Origin | None:
        """The node whose derivative is another one in PyTorch, as its row documents."""
        count = count_of(self.exact.values[j])
        for step in self.exact.walk.steps[j]:
            i = step.through
            if i not in self.known_places:
                row = RULES[self.graph.nodes[i].rule].documented
                differs = row is not None and row.verdict != "agrees"
                self.known_places[i] = documented(self.graph, self.exact.values, i) if differs else []
            places = self.known_places[i]
            if places[k] if len(places) == count else any(places):
                return Origin(i, "documented", k if count_of(self.exact.values[i]) == count else 0)
        return None

    def _above(self, i: int, j: int, k: int) -> Origin | None:
        """Where what is not fine in the gradient of node `i`, which element `k` of node `j` leads to, began."""
        return self._found(self.began.get(i), i, j, k)

    def _found(self, known: Mapping[int, Origin] | None, i: int, j: int, k: int) -> Origin | None:
        if not known:
            return None
        values = self.exact.values
        if count_of(values[i]) == count_of(values[j]):
            return known.get(k)
        return next(iter(known.values()))

    def _kinks(self, j: int, k: int) -> list[tuple[int, int]]:
        """The nodes, and their elements, through which a kink makes the gradient a matter of convention."""
        found, values = [], self.exact.values
        count = count_of(values[j])
        for step in self.exact.walk.steps[j]:
            i = step.through
            same = count_of(values[i]) == count
            upstream = _matching(step.upstream, count, k)
            here = i in self.exact.kinks and any(g is not DEAD and g != 0 for g in upstream)
            if here and count_of(values[i]) > 1 and same:
                here = k in self.exact.kinks[i]
            elif here and not same:
                here = at(step.value, k) is not DEAD
            above = self.unsettled.get(i)
            below = above is not None and (k in above if same else True)
            if below:
                local = _matching(step.local, count, k) if step.local is not None else [at(step.value, k)]
                below = any(a != 0 for a in local)
            if here or below:
                found.append((i, k if same else self.exact.kinks.get(i, (0,))[0]))
        if found:
            self.unsettled.setdefault(j, set()).add(k)
        return found

    def _is_noise(self, j: int, k: int, total: Number, autograd: float) -> bool:
        """Whether the gradient is 0, but for what rounding leaves of contributions that cancel, here or above."""
        if not is_finite(total) or not math.isfinite(autograd):
            return False
        steps = [step for step in self.exact.walk.steps[j] if at(step.value, k) is not DEAD]
        slack = mp.zero
        if total == 0:
            slack = sum((abs(at(step.value, k)) for step in steps), mp.zero) * self.dtype.tolerance
        count = count_of(self.exact.values[j])
        for step in steps:
            if step.local is not None and count_of(step.local) in (1, count):
                slack += 2 * self.slack.get((step.through, k), 0) * abs(at(step.local, k))
        if not (abs(total) <= slack and abs(autograd - total) <= slack):
            slack = at(self.closer.noise().get(j, mp.zero), k) * NOISE
        if abs(total) <= slack and abs(autograd - total) <= slack:
            self.slack[j, k] = abs(autograd - total)
            return True
        return False

    def _kind_of_loss(self, j: int, k: int, total: Number, autograd: float) -> str:
        """Why two numbers differ: the digits or the range of the dtype, or (`unknown`) neither."""
        if not is_finite(total):
            return "local"
        if 0 < abs(total) < self.dtype.smallest or abs(total) > self.dtype.largest:
            return "range"
        steps = [step for step in self.exact.walk.steps[j] if at(step.value, k) is not DEAD]
        scale = sum((abs(at(step.value, k)) for step in steps), mp.zero)
        off = abs(total - autograd) if math.isfinite(autograd) else mp.inf
        if off <= scale * self.dtype.tolerance and abs(total) < scale / 10:
            return "sum"
        loss = at(self.closer.rounded().walk.totals[j], k)
        if not is_finite(loss) or abs(loss - total) > abs(total) * self.dtype.tolerance / 10:
            return "rounding"
        # PyTorch computes some functions and derivatives in its own way, and loses digits that ours keeps.
        count = count_of(self.exact.values[j])
        upstream = sum((max(map(abs, _matching(step.upstream, count, k))) for step in steps), mp.zero)
        right_digits = off <= abs(total) * WRONG or off <= upstream * self.dtype.tolerance
        return "rounding" if right_digits else "unknown"

    def _forward(self, witness: Witness) -> dict[int, dict[int, Origin]]:
        """For every element whose value is not finite or not what PyTorch has, where that began."""
        began: dict[int, dict[int, Origin]] = {}
        values, floats, tolerance = self.exact.values, self.exact.floats, self.dtype.tolerance
        for i, found in enumerate(witness.values):
            value = values[i]
            if value is None or found is None:
                continue
            if not hasattr(value, "shape"):
                if not near(floats[i], found, tolerance):
                    self._value(began, i, 0, value, found, 0.0)
                continue
            noise = self._spread(-1, floats[i]) if self.mixes else 0.0
            for k, (own, other) in enumerate(zip(floats[i], numbers_of(found, len(floats[i])), strict=True)):
                if not near(own, other, tolerance):
                    self._value(began, i, k, value.flat[k], other, noise)
        return began

    def _value(
        self, began: dict[int, dict[int, Origin]], i: int, k: int, value: Number, found: float, noise: float
    ) -> None:
        """Note where the value of an element went wrong, if it did."""
        if close(value, found, self.dtype.tolerance) and is_finite(value):
            return
        if value == 0 and abs(found) <= self.dtype.tolerance:
            return
        if is_finite(value) and math.isfinite(found) and abs(value - found) <= noise:
            return
        above = (self._found(began.get(j), j, i, k) for j in self.graph.nodes[i].inputs)
        began.setdefault(i, {})[k] = next((origin for origin in above if origin), Origin(i, "forward", k))

    def _origin(self, j: int, k: int) -> Origin:
        """Where the difference at an element of node `j` began: further up, in a forward value, or right here."""
        steps, values = self.exact.walk.steps[j], self.exact.values
        for step in steps:
            above = self._above(step.through, j, k)
            if above is not None and above.kind not in ("kink", "beside"):
                return above
        for step in steps:
            for i in (*self.graph.nodes[step.through].inputs, step.through):
                origin = self._found(self.forward.get(i), i, j, k)
                if origin is not None:
                    return origin
        count = count_of(values[j])
        for step in steps:
            place = k if count_of(values[step.through]) == count else 0
            local = _matching(step.local, count, k) if step.local is not None else [at(step.value, k)]
            if any(a is not None and not is_finite(a) for a in local):
                return Origin(step.through, "local", place)
        if len(steps) > 1:
            return Origin(j, "unknown", k)
        through = steps[0].through
        return Origin(through, "unknown", k if count_of(values[through]) == count else 0)


def size_of(value: Value) -> float:
    """The largest finite absolute value; 1 where there is none."""
    if value is None:
        return 1.0
    return max((abs(x) for x in to_floats(elements(value)) if math.isfinite(x)), default=0.0)
