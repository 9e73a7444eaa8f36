"""The inputs of a run on tensors where PyTorch is: the starts of the parameters, fixed inputs, and rows of data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradexplain.readings.tensor_witness import Asked, TensorRun
from gradexplain.training.job import TensorJob


class Inputs:
    """Everything of a job on tensors that does not change while it runs. `run` has the formula and its two readings."""

    def __init__(self, torch: Any, job: TensorJob) -> None:
        self.torch, self.job = torch, job
        self.run = TensorRun(
            torch, Asked(job.source, job.given, job.shapes, job.sizes, {}, [], None, job.dtype, {}, device=job.device)
        )  # fmt: skip
        self.graph, self.place = self.run.graph, self.run.place
        by_name = {name: i for i, name in self.run.names.items()}
        self.nodes = [by_name[name] for name, *_ in job.parameters]
        self.fixed = {by_name[name]: self.place.from_bytes(data, shape) for name, (shape, data) in job.inputs.items()}
        columns = {name: self.place.from_bytes(data) for name, data in job.columns.items()}
        self.fed = {
            by_name[name]: columns[parts] if isinstance(parts, str) else torch.stack([columns[p] for p in parts], dim=1)
            for name, parts in job.fed.items()
        }

    def start(self) -> list[Any]:
        """The parameters as leaves, in order; those that begin at random are drawn in order from the seed."""
        generator = self.place.generator(self.job.seed)
        found = []
        for _, shape, data, init in self.job.parameters:
            if data is not None:
                found.append(self.place.from_bytes(data, shape).requires_grad_())
                continue
            assert init is not None
            found.append(self.place.drawn(shape, *init, generator).requires_grad_())
        return found

    def at(self, parameters: Sequence[Any], rows: Any) -> dict[int, Any]:
        """The values of all inputs: the given parameters, and of the data the given rows (None for all)."""
        if self.job.row_size:
            self.graph.sizes[self.job.row_size] = self.count(rows)
        fed = self.fed if rows is None else {node: tensor[rows] for node, tensor in self.fed.items()}
        return {**self.fixed, **fed, **dict(zip(self.nodes, parameters, strict=True))}

    def values(self, parameters: Sequence[Any], rows: Any) -> list[Any]:
        """The values of all nodes that the objective needs."""
        return self.run.builder.forward(self.graph, self.at(parameters, rows), self.graph.objective)

    def loss(self, parameters: Sequence[Any], rows: Any) -> Any:
        """The objective over rows (None for all)."""
        return self.run.builder.table.tensor(self.values(parameters, rows)[self.graph.objective])

    def count(self, rows: Any) -> int:
        """How many rows a batch has; 1 without data."""
        return max(self.job.rows, 1) if rows is None else len(rows)

    def weights(self, batches: Sequence[Any]) -> list[float]:
        """What the loss of each batch of a step is multiplied with: its share of the rows."""
        if len(batches) == 1:
            return [1.0]
        counts = [self.count(rows) for rows in batches]
        return [count / sum(counts) for count in counts]
