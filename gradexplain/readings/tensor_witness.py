"""The task on tensors: the formula run by PyTorch, autograd, and the chain rule of the tables, compared node by node.

The chain rule runs in float64 on the values as the dtype holds them; autograd in the dtype itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gradexplain.language.backward import Walk, reverse
from gradexplain.language.graph import INPUT
from gradexplain.language.parse import parse
from gradexplain.language.pullbacks import Pullback
from gradexplain.language.rules import RULES
from gradexplain.language.shapes import Shape
from gradexplain.language.tensor_graph import TensorGraph
from gradexplain.language.tensor_rules import TENSOR_RULES
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.tensor_second import (
    MAX_ELEMENTS,
    MAX_ENTRIES,
    hessian,
    hessian_of_torch,
    jacobian,
    jacobian_of_torch,
)
from gradexplain.readings.torch_builder import Refused, TensorReading, TorchBuilder

TRIALS = 6
# From this relative error on a difference is no loss of digits but a disagreement.
WRONG = 1e-3


class Asked(NamedTuple):
    """What is to be run, as plain data.

    `shapes` are those of the inputs by name, `sizes` the numbers of named sizes; `values` the bytes of float64 numbers
    by input, None for one that has no value and gets random ones; `sources` the nodes whose gradients are wanted;
    `upstream` is None for 1, or the shape and the bytes of the upstream gradient; `forms` are closed forms of
    gradients by source, as texts of which the first is taken that has the right numbers; `want` is `jacobian`, `hessian` or empty, and
    `statements` the formula with a name for its objective; `matrices` are formulas of Jacobians and blocks of a Hessian.
    """

    source: str
    given: list[str]
    shapes: dict[str, Shape]
    sizes: dict[str, int]
    values: dict[str, bytes | None]
    sources: list[int]
    upstream: tuple[Shape, bytes] | None
    dtype: str
    forms: dict[int, list[str]]
    want: str = ""
    statements: str = ""
    matrices: dict[str, str] = {}


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
        assert isinstance(graph, TensorGraph)
        graph.sizes.update(asked.sizes)
        self.graph, self.dtype = graph, getattr(torch, asked.dtype)
        self.exact = TorchBuilder(torch, torch.float64, graph.sizes)
        self.builder = self.exact if self.dtype == torch.float64 else TorchBuilder(torch, self.dtype, graph.sizes)
        self.names = {i: str(graph.nodes[i].value) for i in graph.inputs}
        self.tolerance = DTYPES[asked.dtype].tolerance

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(int(self.exact.size(size)) for size in self.asked.shapes.get(name, ()))

    def inputs(self, trial: int) -> dict[int, Any]:
        """The values of all inputs in float64, as the dtype holds them; random ones where there are none."""
        torch, found = self.torch, {}
        generator = torch.Generator().manual_seed(trial)
        for i, name in self.names.items():
            data, shape = self.asked.values.get(name), self._shape(name)
            if data is None:
                value = _random(torch, shape, generator, trial)
            else:
                value = torch.frombuffer(bytearray(data), dtype=torch.float64).clone() if data else torch.zeros(0, dtype=torch.float64)
                value = value.reshape(shape)
            found[i] = value.to(self.dtype).to(torch.float64)
        return found

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

    def _at(self, given: Mapping[int, Any]) -> dict[str, Any]:
        torch, graph = self.torch, self.graph
        top = graph.objective
        leaves = {i: value.to(self.dtype).requires_grad_() for i, value in given.items()}
        witness = self.builder.forward(graph, leaves, top)
        with torch.no_grad():
            same = self.dtype == torch.float64
            values = [_plain(value) for value in witness] if same else self.exact.forward(graph, given, top)
            seed = self._seed(values[top])
            walk = reverse(graph, self.asked.sources, TensorReading(self.exact, graph, values, seed))
        wanted = [j for j in walk.order if getattr(witness[j], "requires_grad", False)]
        wanted += [j for j in self.asked.sources if j not in walk.totals and getattr(witness[j], "requires_grad", False)]
        gradients = self._autograd(witness, wanted, seed)
        with torch.no_grad():
            kinks = self.kinks(values, walk)
            holds = {j: self.holds(j, texts, values, walk) for j, texts in self.asked.forms.items()}
            found = {**self._packed(values, witness, walk, gradients, kinks), "holds": holds}
            second = {"jacobian": self._jacobian, "hessian": self._hessian}.get(self.asked.want)
            if second is None:
                return found
            result, matrices = second(given, values)
            holds = {
                key: self._equal(self._form(text, values), matrices[key]) for key, text in self.asked.matrices.items()
            }
            return {**found, self.asked.want: result, "matrices_hold": holds}

    def _jacobian(self, given: Mapping[int, Any], values: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
        """The Jacobians by source as plain data, and as tensors by name."""
        sources, pack = self.asked.sources, self.exact.pack
        rows = self.exact.table.tensor(values[self.graph.objective]).numel()
        if rows * max((given[j].numel() for j in sources), default=0) > MAX_ENTRIES:
            raise ValueError(f"a Jacobian of more than {MAX_ENTRIES:,} entries is not computed")
        own = jacobian(self.exact, self.graph, sources, values)
        other = jacobian_of_torch(self.exact, self.graph, sources, given)
        found = {j: (pack(own[j]), pack(other[j]), *self.compare(own[j], other[j])) for j in sources}
        return found, {self.names[j]: own[j] for j in sources}

    def _hessian(self, given: Mapping[int, Any], values: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
        """The Hessian as plain data, and its blocks by pairs of names."""
        torch, sources, asked = self.torch, self.asked.sources, self.asked
        count = sum(given[j].numel() for j in sources)
        if count > MAX_ELEMENTS:
            raise ValueError(f"a Hessian over {count:,} elements is not computed, but up to {MAX_ELEMENTS}")
        names = [self.names[j] for j in sources]
        other = hessian_of_torch(self.exact, self.graph, sources, given)
        own = other
        if all(j in asked.forms for j in sources):
            forms = {self.names[j]: asked.forms[j][-1] for j in sources}
            shapes = {name: asked.shapes[name] for name in self.names.values()}
            own = hessian(self.exact, asked.statements, names, shapes, forms, {self.names[i]: value for i, value in given.items()})
        finite = bool(torch.isfinite(own).all())
        eigenvalues = torch.linalg.eigvalsh((own + own.T) / 2).tolist() if finite else []
        error, verdict = self.compare(own, other)
        ends = [0]
        for j in sources:
            ends.append(ends[-1] + given[j].numel())
        blocks = {
            f"{self.names[i]},{self.names[j]}": own[ends[k] : ends[k + 1], ends[m] : ends[m + 1]].reshape(
                (*given[i].shape, *given[j].shape))
            for k, i in enumerate(sources) for m, j in enumerate(sources)
        }  # fmt: skip
        return (self.exact.pack(own), self.exact.pack(other), error, verdict, eigenvalues), blocks

    def _seed(self, objective: Any) -> Any:
        torch = self.torch
        if self.asked.upstream is None:
            return torch.ones_like(self.exact.table.tensor(objective))
        shape, data = self.asked.upstream
        return torch.frombuffer(bytearray(data), dtype=torch.float64).clone().reshape(shape).to(self.dtype).to(torch.float64)

    def _autograd(self, witness: Sequence[Any], wanted: Sequence[int], seed: Any) -> dict[int, Any]:
        objective = witness[self.graph.objective]
        if not wanted or not getattr(objective, "requires_grad", False):
            return {}
        # With an explicit seed PyTorch imports SymPy to compare two shapes, which takes longer than all the rest.
        plain = self.asked.upstream is None and not objective.dim()
        found = self.torch.autograd.grad(objective, [witness[j] for j in wanted], None if plain else seed.to(objective.dtype), allow_unused=True)
        return {j: value for j, value in zip(wanted, found, strict=True) if value is not None}

    def kinks(self, values: Sequence[Any], walk: Walk[Any]) -> dict[int, int]:
        """By node, how many of its elements are just where the derivative may not exist and something flows."""
        found: dict[int, int] = {}
        through = {step.through for steps in walk.steps.values() for step in steps}
        for i in sorted(through):
            node = self.graph.nodes[i]
            judged = self.graph.nodes[node.inputs[0]] if node.rule == "where" else node
            rule = TENSOR_RULES.get(judged.rule) or RULES.get(judged.rule)
            if rule is None or not rule.kink:
                continue
            inputs = [self.exact.table.tensor(values[j]) for j in self.graph.tensors(judged)]
            if rule.kink == "ties":
                pullback = Pullback(self.exact, self.graph, node, 0, inputs, values[i], values[i])
                dim = self.graph.settings(node)["dim"]
                ties = (inputs[0] == pullback.restored(values[i])).sum() if dim is None else (
                    (inputs[0] == pullback.restored(values[i])).sum(dim).max())  # fmt: skip
                count = int(ties) - 1
            elif rule.kink in ("out", "restored(out)"):
                count = int((self.exact.table.tensor(values[i]) == 0).sum())
            else:
                distance = self.exact.table.expression(rule.kink, inputs)
                count = int((self.exact.table.tensor(distance) == 0).sum())
            upstream = walk.totals.get(i)
            if count > 0 and upstream is not None and bool((self.exact.table.tensor(upstream) != 0).any()):
                found[i] = count
        return found

    def _packed(
        self, values: Sequence[Any], witness: Sequence[Any], walk: Walk[Any], gradients: Mapping[int, Any], kinks: Mapping[int, int]
    ) -> dict[str, Any]:
        pack = self.exact.pack
        rows = {}
        for j in walk.order:
            compared = self.compare(walk.totals[j], gradients.get(j))
            steps = [
                (step.through, step.slot, pack(step.upstream), pack(step.local), pack(step.value)) for step in walk.steps[j]
            ]
            rows[j] = (pack(walk.totals[j]), pack(gradients.get(j)), *compared, steps)
        shown = [i for i, value in enumerate(values) if value is not None]
        return {
            "values": {i: pack(values[i]) for i in shown},
            "witness": {i: pack(witness[i]) for i in shown},
            "rows": rows,
            "order": list(walk.order),
            "kinks": dict(kinks),
            "finite": all(math.isfinite(row[2]) for row in rows.values()) and _finite(values[self.graph.objective]),
            "upstream": pack(self._seed(values[self.graph.objective])),
        }

    def _form(self, text: str, values: Sequence[Any]) -> Any:
        """The value of a formula over the inputs and the person's named nodes, read again."""
        graph, table = self.graph, self.exact.table
        known = {**{i: name for i, name in graph.names.items() if i != graph.objective}, **self.names}
        shapes = {name: graph.shapes[i] for i, name in known.items()}
        # A form without a variable is a formula as well: one is named, and thrown away.
        first = next(iter(self.names.values()))
        form = parse(f"{first}_ = {first}; {text}", list(known.values()), shapes, tensors=True)
        assert isinstance(form, TensorGraph)
        form.sizes.update(self.asked.sizes)
        by_name = {name: i for i, name in known.items()}
        given = {i: table.tensor(values[by_name[str(form.nodes[i].value)]]) for i in form.inputs}
        return table.tensor(self.exact.forward(form, given, form.objective)[form.objective])

    def holds(self, j: int, texts: Sequence[str], values: Sequence[Any], walk: Walk[Any]) -> int:
        """Which of the closed forms of a gradient has the numbers of the chain rule, up to rounding; -1 for none."""
        for k, text in enumerate(texts):
            try:
                value = self._form(text, values)
            except RuntimeError:
                continue
            total = walk.totals.get(j)
            if self._equal(value, self.torch.zeros_like(value) if total is None else self.exact.table.tensor(total)):
                return k
        return -1

    def _equal(self, value: Any, total: Any) -> bool:
        """Whether two tensors are equal up to rounding, wherever the second one is finite."""
        if value.shape != total.shape:
            return False
        finite = self.torch.isfinite(total)
        scale = total[finite].abs().max() if bool(finite.any()) else 0.0
        return bool(((value - total)[finite].abs() <= 1e-8 * scale + 1e-300).all())

    def compare(self, exact: Any, found: Any) -> tuple[float, str]:
        """The largest |autograd - value| / max(1, |value|) of all elements, and the verdict; no gradient counts as 0."""
        torch = self.torch
        exact = self.exact.table.tensor(exact)
        found = torch.zeros_like(exact) if found is None else found.to(torch.float64)
        if found.shape != exact.shape:
            return math.nan, "disagrees"
        if not exact.numel():
            return 0.0, "agrees"
        difference = (found - exact).abs_()
        largest = exact.abs().max()
        error = (difference / exact.abs().clamp_(min=1)).max().item()
        if math.isfinite(error) and math.isfinite(largest.item()):
            relative = (difference.max() / largest).item() if largest else difference.max().item()
            if relative <= self.tolerance or difference.max().item() <= 5e-324:
                return error, "agrees"
            lost = relative < WRONG or difference.max().item() <= DTYPES[self.asked.dtype].smallest
            return error, "precision" if lost else "disagrees"
        both = torch.isfinite(exact) == torch.isfinite(found)
        matches = bool((both & (torch.isnan(exact) == torch.isnan(found))).all())
        return math.nan, "undefined" if matches else "nonfinite"


def _plain(value: Any) -> Any:
    return value.detach() if hasattr(value, "detach") else value


def _finite(value: Any) -> bool:
    return bool(value.isfinite().all()) if hasattr(value, "isfinite") else math.isfinite(value)


def _random(torch: Any, shape: Sequence[int], generator: Any, trial: int) -> Any:
    """Random numbers: of both signs, then positive ones, then matrices that can be inverted and factored."""
    value = torch.randn(shape, generator=generator, dtype=torch.float64)
    if trial % 3 == 1:
        value = 0.1 + 0.8 * torch.rand(shape, generator=generator, dtype=torch.float64)
    if trial % 3 == 2 and len(shape) == 2 and shape[0] == shape[1]:
        value = value @ value.T + shape[0] * torch.eye(shape[0], dtype=torch.float64)
    return value


__all__ = ["Asked", "INPUT", "answers"]
