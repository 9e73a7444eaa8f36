"""What the numbers of every contribution cost on tensors, as a ratio to PyTorch's own forward and backward pass.

    python tests/benchmarks/tensors.py [--quick]

A network of two layers with 1,000,000 parameters, on 1,000 rows, in float64. Both sides run in turn in this process,
on the same values: PyTorch alone runs the formula and backward(); gradexplain runs the formula, autograd at every node,
the vector-Jacobian product along every edge, and the comparison at every node. Prints one JSON object.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from array import array

import torch

from gradexplain.calculus.backward import active
from gradexplain.language.parse import parse
from gradexplain.readings.beside import Beside
from gradexplain.readings.place import Place
from gradexplain.readings.plan import compiled, packed_graph
from gradexplain.readings.witness import Question

QUICK = "--quick" in sys.argv
ROUNDS = 3 if QUICK else 9
ROWS, INPUTS, HIDDEN, OUTPUTS = 1_000, 500, 1_000, 500
FORMULA = "h = relu(X @ W1.T + b1); y_pred = h @ W2.T + b2; loss = mse_loss(y_pred, Y)"
SHAPES = {
    "X": (ROWS, INPUTS), "W1": (HIDDEN, INPUTS), "b1": (HIDDEN,), "W2": (OUTPUTS, HIDDEN), "b2": (OUTPUTS,),
    "Y": (ROWS, OUTPUTS),
}  # fmt: skip
PARAMETERS = ("W1", "b1", "W2", "b2")


def plain(values: dict[str, torch.Tensor]) -> float:
    """Seconds that PyTorch takes for the loss and its gradients."""
    own = {name: value.clone().requires_grad_(name in PARAMETERS) for name, value in values.items()}
    start = time.perf_counter()
    hidden = torch.relu(own["X"] @ own["W1"].T + own["b1"])
    loss = torch.nn.functional.mse_loss(hidden @ own["W2"].T + own["b2"], own["Y"])
    loss.backward()
    return time.perf_counter() - start


def explained(question: Question) -> float:
    """Seconds that gradexplain takes for the loss, the gradients and every contribution, compared with autograd."""
    run = Beside(Place(torch), question)
    given = run.inputs(0)
    start = time.perf_counter()
    with torch.enable_grad():
        found = run.numbers(given)
    seconds = time.perf_counter() - start
    assert {verdict for _, verdict in found.compared.values()} == {"agrees"}
    return seconds


def main() -> None:
    torch.manual_seed(0)
    values = {name: torch.randn(shape, dtype=torch.float64) / 30 for name, shape in SHAPES.items()}
    graph = parse(FORMULA, list(SHAPES), SHAPES)
    sources = [i for i in graph.inputs if graph.nodes[i].value in PARAMETERS]
    data = {name: array("d", value.flatten().tolist()).tobytes() for name, value in values.items()}
    given = {i: (SHAPES[str(graph.nodes[i].value)], data[str(graph.nodes[i].value)]) for i in graph.inputs}
    tables = (packed_graph(graph, len(graph.nodes)), sources, {}, "", "", {})
    wanted = active(graph, sources)
    question = Question(compiled(graph, {}), given, list(given), wanted, None, "float64", "cpu", tables)
    count = sum(values[name].numel() for name in PARAMETERS)
    times: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        gc.collect()
        times.append((explained(question), plain(values)))
    ratios = [one / other for one, other in times]
    print(json.dumps({
        "parameters": count, "rows": ROWS,
        "seconds": [round(statistics.median(side), 3) for side in zip(*times, strict=True)],
        "numbers of every contribution / forward and backward": round(statistics.median(ratios), 3),
        "at most": 3, "every ratio": [round(ratio, 2) for ratio in ratios],
    }))  # fmt: skip


if __name__ == "__main__":
    main()
