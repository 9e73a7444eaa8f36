"""The inputs of a run where PyTorch is: the starts of the parameters, fixed inputs, rows of data; and the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradexplain.readings.place import Place
from gradexplain.readings.plan import Ready, compiled, unpacked_graph
from gradexplain.training.job import Job

# What PyTorch raises where it cannot compute a formula.
REFUSALS = (RuntimeError, NotImplementedError, TypeError, ValueError, IndexError, MemoryError)


class Inputs:
    """Everything of a job that does not change while it runs. A parameter or row set is handed in where it is used.

    `nodes` are the parameters, `fixed` the inputs that never change and `fed` those made of columns, by node.
    """

    def __init__(self, torch: Any, job: Job) -> None:
        self.torch, self.job, self.place = torch, job, Place(torch, job.dtype, job.device)
        self.graph = unpacked_graph(job.graph)
        self._ready: dict[Any, Ready] = {}
        by_name = {str(self.graph.nodes[i].value): i for i in self.graph.inputs}
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
        return [
            (
                self.place.from_bytes(data, shape) if init is None else self.place.drawn(shape, *init, generator)
            ).requires_grad_()
            for _, shape, data, init in self.job.parameters
        ]

    def at(self, parameters: Sequence[Any], rows: Any) -> dict[int, Any]:
        """The values of all inputs: the given parameters, and of the data the given rows (None for all)."""
        if self.job.row_size:
            self.graph.sizes[self.job.row_size] = self.count(rows)
        fed = self.fed if rows is None else {node: tensor[rows] for node, tensor in self.fed.items()}
        given = {**self.fixed, **fed}
        given.update(zip(self.nodes, parameters, strict=True))
        return given

    def values(self, parameters: Sequence[Any], rows: Any) -> list[Any]:
        """The values of all nodes that the objective needs."""
        return self.ready(self.place, rows).run(self.at(parameters, rows))

    def ready(self, place: Place, rows: Any) -> Ready:
        """The formula as calls at a place. Where a size stands for the number of rows, every number has its own."""
        key = (place.dtype, place.device, self.count(rows) if self.job.row_size else 0)
        if key not in self._ready:
            self._ready[key] = Ready(place, compiled(self.graph, self.job.constants))
        return self._ready[key]

    def forward(self, parameters: Sequence[Any], rows: Any) -> tuple[Any, list[Any] | None]:
        """The loss over rows, and the values of all nodes where they are at hand."""
        if self.job.reduction == "batch":
            values = self.values(parameters, rows)
            return self.place.tensor(values[self.graph.objective]), values
        return self.reduce(self.objective(parameters, rows), rows), None

    def objective(self, parameters: Sequence[Any], rows: Any) -> Any:
        """The value of the objective, by rows where it is that of a row."""
        if self.job.reduction == "batch":
            return self.forward(parameters, rows)[0]
        return self.ready(self.place, rows).result(self.at(parameters, rows))

    def loss(self, parameters: Sequence[Any], rows: Any) -> Any:
        """The loss over rows (None for all): that of the batch as it is written, or of each row and then reduced."""
        return self.forward(parameters, rows)[0]

    def reduce(self, losses: Any, rows: Any) -> Any:
        """One loss of the losses of rows."""
        job = self.job
        if not job.rows or job.reduction == "batch":
            return losses
        if not losses.dim():
            losses = losses.expand(self.count(rows))
        return losses.mean() if job.reduction == "mean" else losses.sum()

    def count(self, rows: Any) -> int:
        """How many rows a batch has; 1 without data."""
        return max(self.job.rows, 1) if rows is None else len(rows)

    def weights(self, batches: Sequence[Any]) -> list[float]:
        """What the loss of each batch of a step is multiplied with, so that together they are one large batch."""
        if len(batches) == 1 or (self.job.rows and self.job.reduction == "sum"):
            return [1.0] * len(batches)
        counts = [self.count(rows) for rows in batches]
        return [count / sum(counts) for count in counts]

    def pack(self, tensor: Any) -> Any:
        """A tensor as plain data that can go to another process; a single number as such."""
        return Place(self.torch).pack(tensor)
