"""How fast `train` is, as ratios: both sides of each are measured in this one run. Prints one JSON object.

    python tests/benchmarks/train.py [--quick]

The other side is what one would write by hand: the same reader, a plain loop of PyTorch with `torch.optim`, and no
explanation; "bare" is the same without `torch.optim`, the update written out.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QUICK = "--quick" in sys.argv
ROUNDS = 3 if QUICK else 7
ROWS = 1_000_000
STEPS = 20_000 if QUICK else 100_000
TOOL = [sys.executable, "-m", "gradexplain", "train"]

POINT = """
import torch
w = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
b = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
x, y_true = torch.tensor(2.0, dtype=torch.float64), torch.tensor(4.0, dtype=torch.float64)
"""
TABLE = """
import torch
from pyarrow import csv
table = csv.read_csv(PATH)
x, y_true = (torch.frombuffer(table[name].combine_chunks().buffers()[1], dtype=torch.float64) for name in ("x", "y"))
w = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
b = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
"""
OPTIM = """
optimizer = torch.optim.SGD([w, b], lr=RATE)
for step in range(STEPS):
    optimizer.zero_grad()
    loss = ((y_true - (w*x + b))**2).mean()
    loss.backward()
    optimizer.step()
print(loss.item(), w.item(), b.item())
"""
BARE = """
for step in range(STEPS):
    w.grad = b.grad = None
    loss = ((y_true - (w*x + b))**2).mean()
    loss.backward()
    with torch.no_grad():
        w -= RATE * w.grad
        b -= RATE * b.grad
print(loss.item(), w.item(), b.item())
"""


def script(start: str, loop: str, steps: int, rate: float, path: str = "") -> list[str]:
    if not path:
        loop = loop.replace(".mean()", "")
    settings = f"STEPS, RATE, PATH = {steps}, {rate}, {path!r}\n"
    return [sys.executable, "-W", "ignore", "-c", settings + start + loop]


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds, and the peak memory of the largest process in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def compare(commands: dict[str, list[str]], rounds: int) -> dict[str, object]:
    """All commands in turn, so that a busy moment of the machine hits all of them; the first against each other."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            times[name].append(measure(command)[0])
    own, *others = commands
    ratios = {
        f"{own} / {other}": round(statistics.median(a / b for a, b in zip(times[own], times[other], strict=True)), 3)
        for other in others
    }
    return {"seconds": {name: round(statistics.median(values), 2) for name, values in times.items()}, **ratios}


def memory(steps: int) -> float:
    """Peak memory in MiB of the command that streams a line for each step, the process of PyTorch included."""
    arguments = [*TOOL, "--steps", str(steps), "--lr", "0.01", "--format", "ndjson"]
    program = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    result: dict[str, object] = {
        "100 steps against import torch": compare(
            {
                "train": [*TOOL, "--steps", "100"],
                "import torch": [sys.executable, "-c", "import torch"],
            },
            ROUNDS,
        ),
        f"{STEPS:,} steps of the default problem": compare(
            {
                "train": [*TOOL, "--steps", str(STEPS), "--lr", "0.01"],
                "train as ndjson": [*TOOL, "--steps", str(STEPS), "--lr", "0.01", "--format", "ndjson"],
                "torch.optim": script(POINT, OPTIM, STEPS, 0.01),
                "bare": script(POINT, BARE, STEPS, 0.01),
            },
            1 if QUICK else 3,
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.csv"
        generator = random.Random(1)
        with path.open("w") as file:
            file.write("x,y\n")
            for _ in range(ROWS):
                x = generator.uniform(-1, 1)
                file.write(f"{x!r},{3 * x + 1 + generator.gauss(0, 0.1)!r}\n")
        line = ["y_pred = w*x + b; loss = (y - y_pred)**2", "--data", str(path), "--at", "w=0,b=0", "--lr", "0.1"]
        result[f"{ROWS:,} rows of CSV, 100 steps"] = compare(
            {
                "train": [*TOOL, *line, "--steps", "100"],
                "torch.optim": script(TABLE, OPTIM, 100, 0.1, str(path)),
                "bare": script(TABLE, BARE, 100, 0.1, str(path)),
            },
            1 if QUICK else 5,
        )
    result["peak memory in MiB of a streamed run"] = {
        f"{steps:,} steps": round(memory(steps)) for steps in (STEPS // 10, STEPS)
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
