"""The tables beside the witness: every contribution in float64, compared with autograd's gradients node by node.

The chain rule runs on the values as the dtype holds them; autograd in the dtype itself. Where inputs have no values,
random ones are tried until everything is finite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from gradexplain.calculus.backward import Walk
from gradexplain.readings.compare import SPACINGS, equal, is_finite, largest, random_tensor, uncancelled
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.place import Place
from gradexplain.readings.plan import Ready, compiled, unpacked_graph
from gradexplain.readings.second_order import Checks, hessians, jacobians
from gradexplain.readings.tables import Tables
from gradexplain.readings.witness import Question, Witness, gradients, question_of, run
from gradexplain.rules.shapes import length

TRIALS = 6


class Compared(NamedTuple):
    """Everything in tensors: the values of all nodes by the tables' arithmetic and by PyTorch's own, the walk with all
    contributions, autograd's gradients (none where nothing arrived), and the largest error and the verdict of each."""

    values: list[Any]
    witness: list[Any]
    walk: Walk[Any]
    gradients: Mapping[int, Any]
    compared: dict[int, tuple[float, str]]


def answers(payload: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The task: the payload of a question with `tables`, and a single answer with the fields of its witness."""
    return [tuple(run(question_of(payload), answer))]


def answer(place: Place, question: Question) -> Witness:
    """The witness of a question, and in its `tables` for each node the value, for each edge the contribution, and the
    verdicts: plain data."""
    beside = Beside(place, question)
    missing = any(value is None for value in question.given.values())
    for trial in range(TRIALS if missing else 1):
        try:
            found = beside.at(beside.inputs(trial))
        except RuntimeError:
            if trial == TRIALS - 1 or not missing:
                raise
            continue
        if found.tables["finite"]:
            break
    return found


class Beside:
    """A formula where PyTorch is, with the tables beside it."""

    def __init__(self, place: Place, question: Question) -> None:
        self.place, self.question, self.asked = place, question, Checks(*(question.tables or ()))
        self.graph = unpacked_graph(self.asked.graph)
        self.tables = Tables(place.torch, self.graph, question.dtype)
        self.home = self.tables.place
        self.ready = Ready(place, question.plan)
        self.same = place == self.home

    def inputs(self, trial: int) -> dict[int, Any]:
        """The values of all inputs in float64, as the dtype holds them; random ones where there are none."""
        home, found = self.home, {}
        generator, classes = home.generator(trial), self.graph.classes()
        for i in self.graph.inputs:
            value, shape = self.question.given.get(i), self.graph.lengths(i)
            if isinstance(value, tuple):
                made = home.from_bytes(value[1], shape)
            elif value is not None:
                made = home.tensor(value)
            elif i in classes:
                made = home.whole(length(classes[i], self.graph.sizes), shape, generator)
            else:
                made = random_tensor(home, shape, generator, trial)
            found[i] = home.bring(self.place.bring(made))
        return found

    def numbers(self, given: Mapping[int, Any]) -> Compared:
        """The formula, autograd at every node, the chain rule of the tables along every edge, and both compared."""
        torch, top, question = self.place.torch, self.graph.objective, self.question
        leaves = {i: self.place.bring(value).requires_grad_() for i, value in given.items()}
        witness = self.ready.run(leaves)
        with torch.no_grad():
            plain = [value.detach() if hasattr(value, "detach") else value for value in witness]
            values = plain if self.same else self._values(given)
            walk = self.tables.walk(values, self.asked.sources, self._seed(values[top]))
        found = gradients(self.place, witness[top], witness, question.wanted, question.upstream)
        with torch.no_grad():
            compared = {j: self.tables.compare(walk.totals[j], found.get(j)) for j in walk.order}
            return Compared(values, witness, walk, found, self._settled(compared, walk))

    def _values(self, given: Mapping[int, Any]) -> list[Any]:
        """The values in float64. Constants are those of the formula, not as a smaller dtype holds them: closed forms
        are compared with what comes of them."""
        named = [i for i in self.graph.names if i < self.graph.objective]
        return Ready(self.home, compiled(self.graph, {}, named)).run(given)

    def at(self, given: Mapping[int, Any]) -> Witness:
        """The answer at a point."""
        numbers = self.numbers(given)
        values, walk, tables = numbers.values, numbers.walk, self.tables
        with self.place.torch.no_grad():
            forms = self.asked.forms.items()
            holds = {j: tables.holds(walk.totals.get(j, 0.0), texts, values) for j, texts in forms}
            witness = self._packed(numbers, {"kinks": tables.kinks(values, walk), "holds": holds})
            if self.asked.want:
                seed = self._seed(values[tables.graph.objective])
                result, matrices = (
                    jacobians(tables, self.asked, given, values) if self.asked.want == "jacobian"
                    else hessians(tables, self.asked, given, values, seed)
                )  # fmt: skip
                confirmed = {
                    key: equal(self.place.torch, tables.form(text, values), matrices[key])
                    for key, text in self.asked.matrices.items()
                }
                witness.tables.update({self.asked.want: result, "matrices_hold": confirmed})
            return witness

    def _seed(self, objective: Any) -> Any:
        upstream = self.question.upstream
        if upstream is None:
            return self.place.torch.ones_like(self.home.tensor(objective))
        if isinstance(upstream, tuple):
            shape, data = upstream
            return self.home.bring(self.place.from_bytes(data, shape))
        return self.home.bring(self.place.tensor(upstream))

    def _packed(self, numbers: Compared, found: dict[str, Any]) -> Witness:
        walk, values = numbers.walk, numbers.values
        known: dict[int, Any] = {}

        def pack(value: Any) -> Any:
            # Most tensors stand in several rows: as a gradient, and as the upstream gradient of others.
            if id(value) not in known:
                known[id(value)] = self.home.pack(value)
            return known[id(value)]

        rows = {}
        for j in walk.order:
            steps = [
                (step.through, step.slot, pack(step.upstream), pack(step.local), pack(step.value))
                for step in walk.steps[j]
            ]
            rows[j] = (pack(walk.totals[j]), *numbers.compared[j], steps)
        finite = all(math.isfinite(error) for error, _ in numbers.compared.values())
        found |= {
            "values": list(map(pack, values)),
            "rows": rows,
            "finite": finite and is_finite(values[self.graph.objective]),
        }
        gradients = {j: pack(value) for j, value in numbers.gradients.items()}
        return Witness(list(map(pack, numbers.witness)), gradients, tables=found)

    def _settled(self, compared: dict[int, tuple[float, str]], walk: Walk[Any]) -> dict[int, tuple[float, str]]:
        """The same, but where no more is left than the rounding of terms that cancel, autograd agrees."""
        if all(verdict not in ("precision", "disagrees") for _, verdict in compared.values()):
            return compared
        sizes = uncancelled(walk, self._largest)
        spacing = SPACINGS * 2.0 ** -DTYPES[self.question.dtype].bits
        settled = {}
        for j, (error, verdict) in compared.items():
            left = self._largest(walk.totals[j])
            rounding = verdict in ("precision", "disagrees") and max(left, error) <= spacing * sizes[j]
            settled[j] = (error, "agrees" if rounding else verdict)
        return settled

    def _largest(self, value: Any) -> float:
        """The largest absolute value; 1 for what is no array, or is not finite."""
        if value is None:
            return 1.0
        tensor = self.home.tensor(value)
        found = largest(self.home.torch, tensor) if tensor.numel() else 0.0
        return found if math.isfinite(found) else 1.0
