"""What `batch` costs per formula and in memory, beside a plain script. Both run in turn here. Prints one JSON object.

    python tests/benchmarks/batch.py [--quick] [--no-memory]

The plain script calls `sympy.sympify`, `sympy.diff` for each variable, `sympy.lambdify` and one backward() of PyTorch
for each formula of `tests/formulas_*.tsv` that this way can read; `batch` gets the same ones, and answers with the
whole record. Seconds of both are those of a whole process, from its start to its end.
"""

from __future__ import annotations

import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
QUICK = "--quick" in sys.argv
COUNT, ROUNDS = (100, 1) if QUICK else (1_000, 3)
LENGTHS = (1_000, 3_000) if QUICK else (10_000, 100_000)
BATCH = [sys.executable, "-m", "gradexplain", "batch"]


def plain(path: Path, only_try: bool) -> None:
    """The plain script: answers each line of a file, or writes the lines that it can answer."""
    import warnings

    import sympy
    import torch

    warnings.simplefilter("ignore")

    def of_numbers(function: Any) -> Any:
        """PyTorch's functions refuse numbers, such as the 2 of sqrt(2)."""
        return lambda *given: function(*[torch.as_tensor(x, dtype=torch.float64) for x in given])

    functions = {name: of_numbers(getattr(torch, name)) for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "erf")}
    functions |= {"loggamma": of_numbers(torch.lgamma), "digamma": of_numbers(torch.digamma)}
    functions |= {"Max": of_numbers(torch.maximum), "Min": of_numbers(torch.minimum)}
    # What SymPy calls otherwise, or not at all.
    names = {
        "lgamma": sympy.loggamma, "max": sympy.Max, "min": sympy.Min, "relu": lambda x: sympy.Max(x, 0),
        "erfc": lambda x: 1 - sympy.erf(x), "log1p": lambda x: sympy.log(1 + x),
        "expm1": lambda x: sympy.exp(x) - 1, "hypot": lambda x, y: sympy.sqrt(x**2 + y**2),
        "square": lambda x: x**2, "log10": lambda x: sympy.log(x) / sympy.log(10),
        "log2": lambda x: sympy.log(x) / sympy.log(2), "sigmoid": lambda x: 1 / (1 + sympy.exp(-x)),
        "silu": lambda x: x / (1 + sympy.exp(-x)), "softplus": lambda x: sympy.log(1 + sympy.exp(x)),
        "where": lambda condition, x, y: sympy.Piecewise((x, condition), (y, True)),
    }  # fmt: skip
    for line in path.read_text(encoding="utf-8").splitlines():
        request = json.loads(line)
        try:
            symbols = {name: sympy.Symbol(name, real=True) for name in request["at"]}
            known, value = {**names, **symbols}, None
            for statement in request["expression"].split(";"):
                name, equals, expression = statement.partition(" = ")
                value = sympy.sympify((expression if equals else statement).strip(), locals=known)
                known[name.strip()] = value
            derivatives = [sympy.diff(value, symbol) for symbol in symbols.values()]
            function = sympy.lambdify(list(symbols.values()), value, modules=[functions, torch])
            tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in request["at"].values()]
            function(*tensors).backward()
            answer = {name: str(found) for name, found in zip(symbols, derivatives, strict=True)}
            answer |= {f"{name}.grad": tensor.grad.item() for name, tensor in zip(symbols, tensors, strict=True)}
        except Exception:
            if not only_try:
                raise
            continue
        print(line if only_try else json.dumps(answer))


def formulas() -> list[str]:
    """All formulas with their points, a JSON object each."""
    from gradexplain.data.point import held_value, read_point

    lines = []
    for name in ("formulas_data.tsv", "formulas_science.tsv"):
        with (TESTS / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        for row in rows:
            point = {name: held_value(name, given, "float64") for name, given in read_point(row["point"]).items()}
            lines.append(json.dumps({"expression": row["formula"], "at": point}))
    return lines


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


def speed(folder: Path) -> dict[str, object]:
    """Seconds per formula of both, in turn, and their ratio."""
    path = folder / "formulas.ndjson"
    path.write_text("\n".join(formulas()), encoding="utf-8")
    script = [sys.executable, __file__]
    readable = subprocess.run([*script, "--try", str(path)], capture_output=True, text=True, check=True).stdout
    lines = readable.splitlines()[:COUNT]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    commands = {
        "plain script": [*script, "--plain", str(path)],
        "batch": [*BATCH, str(path)],
        "batch --jobs 2": [*BATCH, str(path), "--jobs", "2"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            times[name].append(seconds(command))
    result: dict[str, object] = {"formulas": len(lines)}
    for name, values in times.items():
        result[f"{name}, milliseconds per formula"] = round(1_000 * statistics.median(values) / len(lines), 2)
        if name != "plain script":
            ratios = [one / other for one, other in zip(values, times["plain script"], strict=True)]
            result[f"{name} / plain script"] = round(statistics.median(ratios), 2)
    return result


def peak(process: int) -> int:
    """The largest resident memory of a process so far, in kilobytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def memory() -> dict[str, object]:
    """The peak memory of both processes after so many different lines, sent as fast as they are answered."""
    command = [*BATCH, "--select", "gradient.w.autograd"]
    result: dict[str, object] = {}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(1, LENGTHS[-1] + 1):
            request = {"expression": f"w*x + b{number} + {number}", "at": {"w": number, "x": 2, f"b{number}": 1}}
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            process.stdout.readline()
            if number in LENGTHS:
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                sizes = [peak(process.pid), *map(peak, map(int, children))]
                result[f"megabytes after {number:,} lines"] = [round(size / 1024, 1) for size in sizes]
        process.stdin.close()
    return result


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in ("--plain", "--try"):
        plain(Path(sys.argv[2]), sys.argv[1] == "--try")
    else:
        with tempfile.TemporaryDirectory() as name:
            found: dict[str, object] = {"speed": speed(Path(name))}
        if "--no-memory" not in sys.argv:
            found["memory, this process and PyTorch's"] = memory()
        print(json.dumps(found, indent=2))
