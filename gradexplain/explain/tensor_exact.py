"""Exact numbers beside PyTorch's on tensors: the rows with 50 digits behind them, and the verdicts on every element."""

from __future__ import annotations

import math
from array import array
from collections.abc import Container, Mapping, Sequence
from typing import Any

from gradexplain.explain.tensor_problem import TensorProblem
from gradexplain.readings.arithmetic import Number, to_float
from gradexplain.readings.arithmetic import exactly as exact_number
from gradexplain.readings.compare import SPACINGS, uncancelled
from gradexplain.readings.decimal import digits_of
from gradexplain.readings.dtypes import DTYPES, round_to
from gradexplain.readings.exact import MAX_WORK, Exact, run, work
from gradexplain.readings.exact_arrays import Value as Numbers
from gradexplain.readings.exact_arrays import array_of, elements, shape_of
from gradexplain.readings.exact_walk import is_finite
from gradexplain.records import VERDICTS, Value
from gradexplain.tensor import Tensor, unpacked


def exactly(problem: TensorProblem, constants: Mapping[int, float]) -> Exact | None:
    """The exact walk of a small problem all of whose inputs have values; None for any other.

    `constants` are the constant parts of the formula as the dtype holds them.
    """
    graph = problem.graph
    # A mean over nothing has no exact value.
    empty = any(0 in graph.lengths(i) for i in range(problem.size))
    if problem.missing or empty or work(graph, problem.size) > MAX_WORK:
        return None
    given: dict[int, Any] = dict(constants)
    for i in graph.inputs:
        value = problem.values[problem.names.of[i]]
        held = [exact_number(round_to(number, problem.dtype)) for number in _numbers(value, 1)]
        given[i] = array_of(held, value.shape if isinstance(value, Tensor) else ())
    upstream = problem.upstream
    shape = graph.lengths(graph.objective)
    numbers = [1.0] * math.prod(shape) if upstream is None else list(_numbers(upstream, 1))
    seed = array_of([exact_number(round_to(number, problem.dtype)) for number in numbers], shape)
    return run(graph, problem.sources, given, seed, problem.size)


def with_exact(found: Mapping[str, Any], exact: Exact | None, dtype: str, names: Container[int]) -> Mapping[str, Any]:
    """What PyTorch found, the exact numbers in place of those of the tables in floating point, and new verdicts.

    `names` are the nodes that are shown; where a value differs at one of them, something began there.
    """
    if exact is None:
        return found
    values = {i: value_of(value) for i, value in enumerate(exact.values) if value is not None}
    if "rows" not in found:
        # Without PyTorch there are numbers all the same.
        return {**found, "values": values, "exact": True}
    rows, sizes = {}, uncancelled(exact.walk, _size)
    for j, row in found["rows"].items():
        total = exact.walk.totals[j]
        steps = [
            (step.through, step.slot, value_of(step.upstream), value_of(step.local), value_of(step.value))
            for step in exact.walk.steps[j]
        ]
        terms = sizes.get(j, 0.0)
        error, verdict = compare(total, unpacked(row[1]), dtype, row[3], terms)
        rows[j] = (value_of(total), row[1], error, verdict, steps)
    witness = found["witness"]
    shown = [i for i, value in enumerate(exact.values) if value is not None and i in witness and i in names]
    differences = ((i, _difference(exact.values[i], unpacked(witness[i]), dtype)) for i in shown)
    differs = next(((i, *numbers) for i, numbers in differences if numbers), None)
    return {**found, "values": values, "rows": rows, "exact": True, "differs": differs}


def value_of(value: Numbers) -> Value | Tensor:
    """An exact array as it goes into a record."""
    if value is None or type(value) is bool:
        return value
    numbers = floats(value)
    exact = zip(elements(value), numbers, strict=True)
    # What is too large for a float is a number all the same.
    large = tuple([(k, digits_of(own, 20)) for k, (own, x) in enumerate(exact) if math.isinf(x) and is_finite(own)])
    if not shape_of(value):
        return large[0][1] if large else numbers[0]
    return Tensor.flat(shape_of(value), array("d", numbers), large)


def floats(value: Numbers) -> list[float]:
    """The elements as floats; a boolean is 0 or 1."""
    return [float(number) if type(number) is bool else to_float(number) for number in elements(value)]


def _numbers(value: Value | Tensor, count: int) -> Sequence[float]:
    if value is None:
        return [0.0] * count
    return (value.numbers or ()) if isinstance(value, Tensor) else [float(value)]


def _difference(value: Numbers, found: Value | Tensor, dtype: str) -> tuple[Number, float] | None:
    """The first element of a node that PyTorch has otherwise: the exact number, and PyTorch's."""
    row, exact = DTYPES[dtype], floats(value)
    scale = max((abs(x) for x in exact if math.isfinite(x)), default=0.0)
    for own, x, y in zip(elements(value), exact, _numbers(found, len(exact)), strict=True):
        if is_finite(own) != math.isfinite(y):
            return own, y
        near = row.tolerance * abs(x) + SPACINGS * 2.0**-row.bits * scale + row.smallest
        if math.isfinite(x) and math.isfinite(y) and abs(x - y) > near:
            return own, y
    return None


def _size(value: Numbers) -> float:
    """The largest finite absolute value; 1 where there is no array."""
    return 1.0 if value is None else max((abs(x) for x in floats(value) if math.isfinite(x)), default=0.0)


def compare(
    exact: Numbers, autograd: Value | Tensor, dtype: str, floating: str, terms: float = 0.0
) -> tuple[float, str]:
    """The largest |autograd - value| / max(1, |value|) of all elements, and the worst verdict of all.

    `floating` is the verdict on the same chain rule in floating point: where that agrees with autograd, what is left
    is a loss of digits. `terms` is the size of what a gradient of 0 was added up from.
    """
    row = DTYPES[dtype]
    values = floats(exact)
    found = _numbers(autograd, len(values))
    scale = max((abs(x) for x in values if math.isfinite(x)), default=0.0)
    if scale <= SPACINGS * 2.0**-row.bits * terms:
        # All terms cancel; what is left is what rounding the point leaves.
        scale = terms
    error, worst = 0.0, "agrees"
    for own, x, y in zip(elements(exact), values, found, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            error = max(error, abs(y - x) / max(1.0, abs(x)))
            near = abs(y - x) <= row.tolerance * abs(x) + SPACINGS * 2.0**-row.bits * scale + 5e-324
            lost = floating in ("agrees", "precision") or abs(y - x) <= row.smallest
            verdict = "agrees" if near else "precision" if lost else "disagrees"
        else:
            error = math.nan
            # A number that is too large for a float is one all the same.
            verdict = "undefined" if is_finite(own) == math.isfinite(y) else "nonfinite"
        worst = max(worst, verdict, key=VERDICTS.index)
    return error, worst
