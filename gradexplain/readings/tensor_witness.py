"""The task on tensors: the formula run by PyTorch, autograd, and the chain rule of the tables, compared node by node.

The chain rule runs in float64 on the values as the dtype holds them; autograd in the dtype itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from gradexplain.calculus.backward import Walk, reverse
from gradexplain.calculus.builder import Refused
from gradexplain.language.graph import Graph
from gradexplain.language.parse import parse
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.place import CPU, Place
from gradexplain.readings.plan import Ready, compiled
from gradexplain.readings.tensor_compare import SPACINGS, compare, equal, is_finite, largest, random_tensor, uncancelled
from gradexplain.readings.tensor_kinks import kinks
from gradexplain.readings.tensor_reading import TensorReading
from gradexplain.readings.tensor_second import hessians, jacobians
from gradexplain.readings.torch_builder import TorchBuilder
from gradexplain.rules.shapes import Shape, length

TRIALS = 6


class Asked(NamedTuple):
    """What is to be run, as plain data.

    `shapes` are those of the inputs by name, `sizes` the numbers of named sizes; `values` the bytes of float64 numbers
    by input, None for one that has no value and gets random ones; `sources` the nodes whose gradients are wanted;
    `upstream` is None for 1, or the shape and the bytes of the upstream gradient; `forms` are closed forms of
    gradients by source, as texts of which the first is taken that has the right numbers; `want` is `jacobian`,
    `hessian` or empty, and `statements` the formula with a name for its objective; `matrices` are formulas of
    Jacobians and of blocks of a Hessian.
    """

    source: str
    given: list[str]
    shapes: dict[str, Shape]
    sizes: dict[str, int]
    values: dict[str, bytes | None]
    sources: list[int]
    upstream: tuple[tuple[int, ...], bytes] | None
    dtype: str
    forms: dict[int, list[str]]
    want: str = ""
    statements: str = ""
    matrices: Mapping[str, str] = MappingProxyType({})
    device: str = CPU


class Compared(NamedTuple):
    """One gradient beside autograd's: the largest error of its elements, and the verdict."""

    error: float
    verdict: str


class Numbers(NamedTuple):
    """Everything in tensors: the values of all nodes by the tables' arithmetic and by PyTorch's own, the walk with all
    contributions, autograd's gradients (none where nothing arrived), and both compared."""

    values: list[Any]
    witness: list[Any]
    walk: Walk[Any]
    gradients: Mapping[int, Any]
    compared: dict[int, Compared]


def answers(payload: tuple[Any, ...]) -> Iterable[Any]:
    """The task: one answer, a dictionary of plain data (see `TensorRun.answer`), or `{"error": text}`."""
    import torch

    with torch.inference_mode(False), torch.enable_grad():
        try:
            yield TensorRun(torch, Asked(*payload)).answer()
        except Refused as refused:
            yield {"error": str(refused), "node": refused.node}
        except (RuntimeError, NotImplementedError, TypeError, ValueError, OverflowError, IndexError) as error:
            yield {"error": str(error).splitlines()[0]}


class TensorRun:
    """A formula on tensors where PyTorch is: its values, autograd's gradients, and those of the tables beside them."""

    def __init__(self, torch: Any, asked: Asked) -> None:
        self.torch, self.asked = torch, asked
        graph = parse(asked.source, asked.given, asked.shapes, tensors=True)
        graph.sizes.update(asked.sizes)
        self.graph, self.place = graph, Place(torch, asked.dtype, asked.device)
        self.exact = TorchBuilder(Place(torch), graph.sizes)
        same = (asked.dtype, asked.device) == ("float64", CPU)
        self.builder = self.exact if same else TorchBuilder(self.place, graph.sizes)
        self.names = {i: str(graph.nodes[i].value) for i in graph.inputs}

    def inputs(self, trial: int) -> dict[int, Any]:
        """The values of all inputs in float64, as the dtype holds them; random ones where there are none."""
        place, found = self.exact.place, {}
        generator, classes = place.generator(trial), self.graph.classes()
        for i, name in self.names.items():
            data, shape = self.asked.values.get(name), self.graph.lengths(i)
            if data is not None:
                value = place.from_bytes(data, shape)
            elif i in classes:
                value = place.whole(length(classes[i], self.graph.sizes), shape, generator)
            else:
                value = random_tensor(place, shape, generator, trial)
            found[i] = place.bring(self.place.bring(value))
        return found

    @staticmethod
    def values(place: Place, graph: Graph, given: Mapping[int, Any]) -> list[Any]:
        """The values of all nodes at a place. What has a name is needed: closed forms are written over it."""
        named = [i for i in graph.names if i < graph.objective]
        return Ready(place, compiled(graph, {}, named)).run(given)

    def answer(self) -> dict[str, Any]:
        """Everything that was found: for each node its values, for each edge its contribution, and the verdicts."""
        missing = any(value is None for value in self.asked.values.values())
        for trial in range(TRIALS if missing else 1):
            given = self.inputs(trial)
            try:
                found = self._at(given)
            except RuntimeError:
                if trial == TRIALS - 1 or not missing:
                    raise
                continue
            if found["finite"]:
                break
        return found

    def numbers(self, given: Mapping[int, Any]) -> Numbers:
        """The formula, autograd at every node, the chain rule of the tables along every edge, and both compared."""
        torch, graph = self.torch, self.graph
        top = graph.objective
        leaves = {i: self.place.bring(value).requires_grad_() for i, value in given.items()}
        witness = self.values(self.builder.place, graph, leaves)
        with torch.no_grad():
            same = self.builder is self.exact
            values = [_plain(value) for value in witness] if same else self.values(self.exact.place, graph, given)
            seed = self._seed(values[top])
            walk = reverse(graph, self.asked.sources, TensorReading(self.exact, graph, values, seed))
        reached = [*walk.order, *[j for j in self.asked.sources if j not in walk.totals]]
        wanted = [j for j in reached if getattr(witness[j], "requires_grad", False)]
        gradients = self._autograd(witness, wanted, seed)
        with torch.no_grad():
            compared = {j: Compared(*self.compare(walk.totals[j], gradients.get(j))) for j in walk.order}
            compared = self._settled(compared, walk)
        return Numbers(values, witness, walk, gradients, compared)

    def _at(self, given: Mapping[int, Any]) -> dict[str, Any]:
        numbers = self.numbers(given)
        values, walk = numbers.values, numbers.walk
        with self.torch.no_grad():
            holds = {j: self.holds(j, texts, values, walk) for j, texts in self.asked.forms.items()}
            found = {**self._packed(numbers, kinks(self.exact, self.graph, values, walk)), "holds": holds}
            second = {"jacobian": jacobians, "hessian": hessians}.get(self.asked.want)
            if second is None:
                return found
            result, matrices = second(self, given, values)
            confirmed = {
                key: equal(self.torch, self._form(text, values), matrices[key])
                for key, text in self.asked.matrices.items()
            }
            return {**found, self.asked.want: result, "matrices_hold": confirmed}

    def _seed(self, objective: Any) -> Any:
        if self.asked.upstream is None:
            return self.torch.ones_like(self.exact.table.tensor(objective))
        shape, data = self.asked.upstream
        return self.exact.place.bring(self.place.from_bytes(data, shape))

    def _autograd(self, witness: Sequence[Any], wanted: Sequence[int], seed: Any) -> dict[int, Any]:
        objective = witness[self.graph.objective]
        if not wanted or not getattr(objective, "requires_grad", False):
            return {}
        # With an explicit seed PyTorch imports SymPy to compare two shapes, which takes longer than all the rest.
        plain = self.asked.upstream is None and not objective.dim()
        found = self.torch.autograd.grad(
            objective, [witness[j] for j in wanted], None if plain else self.place.bring(seed), allow_unused=True
        )
        return {j: value for j, value in zip(wanted, found, strict=True) if value is not None}

    def _packed(self, numbers: Numbers, kinks: Mapping[int, int]) -> dict[str, Any]:
        walk, values = numbers.walk, numbers.values
        known: dict[int, Any] = {}

        def pack(value: Any) -> Any:
            # Most tensors stand in several rows: as a gradient, and as the upstream gradient of others.
            if id(value) not in known:
                known[id(value)] = self.exact.place.pack(value)
            return known[id(value)]

        rows = {}
        for j in walk.order:
            steps = [
                (step.through, step.slot, pack(step.upstream), pack(step.local), pack(step.value))
                for step in walk.steps[j]
            ]
            rows[j] = (pack(walk.totals[j]), pack(numbers.gradients.get(j)), *numbers.compared[j], steps)
        shown = [i for i, value in enumerate(values) if value is not None]
        objective = values[self.graph.objective]
        return {
            "values": {i: pack(values[i]) for i in shown},
            "witness": {i: pack(numbers.witness[i]) for i in shown},
            "rows": rows,
            "kinks": dict(kinks),
            "finite": all(math.isfinite(row[2]) for row in rows.values()) and is_finite(objective),
        }

    def _form(self, text: str, values: Sequence[Any]) -> Any:
        """The value of a formula over the inputs and the person's named nodes, read again."""
        graph, table = self.graph, self.exact.table
        known = {**{i: name for i, name in graph.names.items() if i != graph.objective}, **self.names}
        shapes = {name: graph.shapes[i] for i, name in known.items()}
        # A form without a variable is a formula as well: one is named, and thrown away.
        first = spare = next(iter(self.names.values()))
        while spare in shapes or spare in text:
            spare += "_"
        form = parse(f"{spare} = {first}; {text}", list(known.values()), shapes, tensors=True)
        form.sizes.update(self.asked.sizes)
        by_name = {name: i for i, name in known.items()}
        given = {i: table.tensor(values[by_name[str(form.nodes[i].value)]]) for i in form.inputs}
        return table.tensor(self.values(self.exact.place, form, given)[form.objective])

    def holds(self, j: int, texts: Sequence[str], values: Sequence[Any], walk: Walk[Any]) -> int:
        """Which of the closed forms of a gradient has the numbers of the chain rule, up to rounding; -1 for none."""
        for k, text in enumerate(texts):
            try:
                value = self._form(text, values)
            except RuntimeError:
                continue
            total = walk.totals.get(j, 0.0)
            if equal(self.torch, value, self.exact.table.tensor(total).expand_as(value)):
                return k
        return -1

    def _settled(self, compared: dict[int, Compared], walk: Walk[Any]) -> dict[int, Compared]:
        """The same, but where no more is left than the rounding of terms that cancel, autograd agrees."""
        if all(entry.verdict not in ("precision", "disagrees") for entry in compared.values()):
            return compared
        sizes = uncancelled(walk, self._largest)
        spacing = SPACINGS * 2.0 ** -DTYPES[self.asked.dtype].bits
        settled = {}
        for j, (error, verdict) in compared.items():
            left = self._largest(walk.totals[j])
            rounding = verdict in ("precision", "disagrees") and max(left, error) <= spacing * sizes[j]
            settled[j] = Compared(error, "agrees" if rounding else verdict)
        return settled

    def _largest(self, value: Any) -> float:
        """The largest absolute value; 1 for what is no array, or is not finite."""
        if value is None:
            return 1.0
        tensor = self.exact.table.tensor(value)
        found = largest(self.torch, tensor) if tensor.numel() else 0.0
        return found if math.isfinite(found) else 1.0

    def compare(self, exact: Any, found: Any) -> tuple[float, str]:
        """As in tensor_compare, in the dtype that was asked for."""
        return compare(self.exact.place, self.exact.table.tensor(exact), found, self.asked.dtype)


def _plain(value: Any) -> Any:
    return value.detach() if hasattr(value, "detach") else value
