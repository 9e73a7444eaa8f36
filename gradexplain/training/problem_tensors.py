"""The formula of a run on tensors: inputs, columns of data, and how rows become one loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradexplain.language.graph import Graph
from gradexplain.readings.place import Place
from gradexplain.readings.tensors import plan
from gradexplain.training.job import Job


class Tensors:
    """Everything of a job that does not change while it runs. A parameter or row set is handed in where it is used."""

    def __init__(self, place: Place, job: Job, graph: Graph) -> None:
        self.place, self.job, self.graph, self.plan = place, job, graph, plan(place, graph, job.constants)
        self.nodes = [node for node, _ in job.parameters]
        self.fixed = {node: place.tensor(value) for node, value in job.inputs.items()}
        self.columns = {node: place.from_bytes(data) for node, data in job.columns}

    def inputs(self, parameters: Sequence[Any], rows: Any) -> dict[int, Any]:
        """The values of all inputs: the given parameters, and of the columns the given rows (None for all)."""
        columns = self.columns
        if rows is not None and columns:
            columns = {node: column[rows] for node, column in columns.items()}
        return {**self.fixed, **columns, **dict(zip(self.nodes, parameters, strict=True))}

    def forward(self, parameters: Sequence[Any], rows: Any) -> Any:
        """The objective, by rows where there is data."""
        return self.plan.result(self.inputs(parameters, rows))

    def reduce(self, losses: Any, rows: Any) -> Any:
        """One loss of the losses of rows."""
        job = self.job
        if not job.rows:
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
