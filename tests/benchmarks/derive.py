"""How fast `derive` is, as ratios: both sides of each are measured in this one run. Prints one JSON object.

    python tests/benchmarks/derive.py [--quick]

Needs HIPS/autograd beside the package (`pip install -e ".[benchmark]"`).
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

QUICK = "--quick" in sys.argv
ROUNDS = 3 if QUICK else 9
README = ["derive", "(y - (w*x+b))**2", "--at", "w=1,b=0,x=2,y=4"]


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


def processes() -> dict[str, object]:
    """Whole processes, taken in turn so that a busy moment of the machine hits all of them."""
    tool = [sys.executable, "-m", "gradexplain"]
    commands = {
        "import torch": [sys.executable, "-c", "import torch"],
        "derive": [*tool, *README],
        "help": [*tool, "--help"],
        "formula error": [*tool, "derive", "(y - sine(x))**2"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            times[name].append(seconds(command))
    ratios = [one / other for one, other in zip(times["derive"], times["import torch"], strict=True)]
    return {
        "seconds": {name: round(statistics.median(values), 3) for name, values in times.items()},
        "fastest": {name: round(min(values), 3) for name, values in times.items()},
        "derive / import torch": round(statistics.median(ratios), 3),
    }


def product(count: int) -> tuple[str, dict[str, float]]:
    """x0*x1*… as one statement a factor, with `count` operations."""
    lines = ["p1 = x0*x1"] + [f"p{i} = p{i - 1}*x{i}" for i in range(2, count + 1)]
    return "\n".join(lines), {f"x{i}": 1 + (i % 7 - 3) / 1000 for i in range(count + 1)}


def nested(count: int) -> tuple[str, dict[str, float]]:
    """tanh(w*v) nested, with `count` operations."""
    lines = ["v1 = tanh(w1*x)"] + [f"v{i} = tanh(w{i}*v{i - 1})" for i in range(2, count // 2 + 1)]
    return "\n".join(lines), {f"w{i}": 1 + (i % 7 - 3) / 1000 for i in range(1, count // 2 + 1)} | {"x": 0.5}


def large() -> dict[str, object]:
    """The whole JSON derivation of large formulas, everything loaded; garbage collection off, as in the command."""
    import gradexplain
    from gradexplain.output.json import write

    gc.disable()
    gradexplain.derive("x**2", {"x": 3})
    result: dict[str, object] = {}
    for name, make in (("product", product), ("nested tanh", nested)):
        rows = {}
        for count in (10_000, 100_000):
            formula, point = make(count)
            times = []
            for _ in range(1 if QUICK or count > 10_000 else 5):
                start = time.perf_counter()
                text = write(gradexplain.derive(formula, point))
                times.append(time.perf_counter() - start)
                assert json.loads(text)["verdict"] == "agrees"
                gc.collect()
            rows[count] = statistics.median(times)
        result[name] = {
            "seconds at 10,000": round(rows[10_000], 3),
            "seconds at 100,000": round(rows[100_000], 3),
            "ratio": round(rows[100_000] / rows[10_000], 2),
        }
    return result


def timed(work: Callable[[], object]) -> float | str:
    start = time.perf_counter()
    try:
        work()
    except RecursionError:
        return "RecursionError"
    return round(time.perf_counter() - start, 3)


def others() -> dict[str, object]:
    """SymPy's own diff and HIPS/autograd on the same formulas; both get small ones, since they are slower."""
    import autograd
    import autograd.numpy as numpy
    import sympy

    import gradexplain

    def sympy_product(count: int) -> object:
        symbols = sympy.symbols(f"x0:{count + 1}")
        expression = sympy.Mul(*symbols)
        return [sympy.diff(expression, symbol) for symbol in symbols]

    def sympy_nested(count: int) -> object:
        weights, value = sympy.symbols(f"w1:{count // 2 + 1}"), sympy.Symbol("x")
        for weight in weights:
            value = sympy.tanh(weight * value)
        return sympy.diff(value, weights[0])

    def autograd_product(count: int) -> object:
        def f(x: list[float]) -> float:
            value = x[0]
            for i in range(1, count + 1):
                value = value * x[i]
            return value

        return autograd.grad(f)([1.0001] * (count + 1))

    def autograd_nested(count: int) -> object:
        def f(w: list[float]) -> float:
            value = 0.5
            for i in range(count // 2):
                value = numpy.tanh(w[i] * value)
            return value

        return autograd.grad(f)([1.0001] * (count // 2))

    result: dict[str, object] = {}
    for count in (100, 200, 1_000):
        result[f"{count} operations"] = {
            "gradexplain, product": timed(lambda count=count: gradexplain.derive(*product(count))),
            "gradexplain, nested tanh": timed(lambda count=count: gradexplain.derive(*nested(count))),
            "SymPy diff, product": timed(lambda count=count: sympy_product(count)) if count <= 200 else "minutes",
            "SymPy diff, nested tanh": timed(lambda count=count: sympy_nested(count)),
            "HIPS/autograd, product": timed(lambda count=count: autograd_product(count)),
            "HIPS/autograd, nested tanh": timed(lambda count=count: autograd_nested(count)),
        }
    return result


if __name__ == "__main__":
    print(json.dumps({"processes": processes(), "large": large(), "others": others()}, indent=2))
