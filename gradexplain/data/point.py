"""The point: the values given for the inputs, as text, as fractions where they are, and as the dtype holds them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from gradexplain.data.tensor_point import MAX_SHOWN, constant_tensor, shown_tensor, tensor_of
from gradexplain.errors import FormulaError, OptionError, PointError
from gradexplain.language.graph import Graph
from gradexplain.language.numerals import write_number
from gradexplain.language.parse import Assignment, parse_point
from gradexplain.language.tensor_graph import TensorGraph
from gradexplain.readings.dtypes import DTYPES, round_to
from gradexplain.records import maker
from gradexplain.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Given:
    """One given value: as it is shown, its number (None for one like sqrt(2)), and where it was read.

    A float stands for the decimal that it prints as, so that 0.1 is shown as 0.1; the dtype rounds it back to it.
    `tensor` has the numbers of a vector or matrix, whose `number` is None.
    """

    text: str
    number: Fraction | float | None
    assignment: Assignment | None
    tensor: Tensor | None = None

    @property
    def fraction(self) -> Fraction | None:
        """The value as an exact fraction, where it is one."""
        return Fraction(repr(self.number)) if isinstance(self.number, float) else self.number


_given = maker(Given)
_LARGEST = int(DTYPES["float64"].largest)
Point = str | Sequence[str | Mapping[str, Any]] | Mapping[str, Any]


def read_point(at: Point | None) -> dict[str, Given]:
    """The given values by name. `at` is text such as `w=1,b=0`, a mapping from names to values, or several of these.

    A value of a mapping may be one that was read before. Raises PointError for what is no number, not finite, or given
    twice.

    >>> read_point("w=1/4")["w"].fraction
    Fraction(1, 4)
    >>> sorted(read_point(["w=1", {"b": 0}]))
    ['b', 'w']
    """
    found: dict[str, Given] = {}
    for part in [] if at is None else [at] if isinstance(at, (str, Mapping)) else at:
        if isinstance(part, str):
            for name, assignment in parse_point(part).items():
                place = assignment.name
                _only_once(name, found, part, place.start, place.end)
                found[name] = _from_assignment(assignment)
        else:
            for name, value in part.items():
                _only_once(str(name), found)
                found[str(name)] = _from_python(str(name), value)
    return found


def _only_once(name: str, found: Mapping[str, Given], text: str = "", start: int = 0, end: int = 0) -> None:
    if name in found:
        raise PointError(f"{name} is given twice", text, start, end, "keep one of the values")


def _from_assignment(assignment: Assignment) -> Given:
    value = assignment.value
    text = " ".join(assignment.text[value.start : value.end].split())
    if isinstance(assignment.graph, TensorGraph) and assignment.graph.shapes[value.node]:
        tensor = constant_tensor(assignment)
        return Given(text if tensor.count <= MAX_SHOWN else shown_tensor(tensor), None, assignment, tensor)
    number = assignment.graph.nodes[value.node].value
    return Given(text, _fraction(assignment.graph, value.node, number), assignment)


def _fraction(graph: Graph, node: int, number: Fraction | str | None) -> Fraction | None:
    """The value of `1/3`, `-2` and the like as a fraction; None for what is not so simple."""
    if isinstance(number, Fraction):
        return number
    rule, inputs, _ = graph.nodes[node]
    parts = [graph.nodes[i].value for i in inputs]
    if rule == "div" and all(isinstance(part, Fraction) for part in parts) and parts[1] != 0:
        return parts[0] / parts[1]  # type: ignore[operator]
    return None


def _from_python(name: str, value: Any) -> Given:
    if type(value) is float and math.isfinite(value):
        return _given(write_number(value), value, None, None)
    if isinstance(value, Given):
        return value
    if isinstance(value, str):
        return _from_assignment(_parse_value(name, value))
    if isinstance(value, (list, tuple, Tensor)) or getattr(value, "ndim", False):
        tensor = tensor_of(name, value)
        return Given(shown_tensor(tensor), None, None, tensor)
    if not isinstance(value, (int, float)) and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise PointError(f"the value of {name} is a {type(value).__name__}, not a number")
    if not isinstance(value, (int, Fraction)) and not math.isfinite(value):
        raise PointError(f"the value of {name} is {value}, and a gradient can be taken at finite numbers only")
    number = Fraction(value) if isinstance(value, (int, Fraction)) else float(value)
    return Given(write_number(number), number, None)


def _parse_value(name: str, text: str) -> Assignment:
    try:
        return parse_point(f"x={text}")["x"]
    except PointError as error:
        message = error.message.replace("the value of x", f"the value of {name}")
        if "the value of x" not in error.message:
            message = f"the value of {name} cannot be read: {message}"
        raise PointError(message, text, error.start - 2, error.end - 2, error.hint) from None


def held_value(name: str, given: Given, dtype: str) -> float:
    """The value as the dtype holds it. Raises PointError where it is too large, too small or not real."""
    number = given.number
    if isinstance(number, float):
        return _held(number, name, dtype, given)
    fits = number is not None and _fits(number)
    return _held(float(number) if fits else _exact(given), name, dtype, given)  # type: ignore[arg-type]


def held_numbers(name: str, given: Given, dtype: str) -> Tensor | float:
    """The numbers of a value, a single one as the dtype holds it. Raises PointError where one is too large."""
    if given.tensor is None:
        return held_value(name, given, dtype)
    if max(abs(given.tensor.low), abs(given.tensor.high)) > DTYPES[dtype].largest:
        raise PointError(f"an element of {name} is too large for {dtype}, which ends at {DTYPES[dtype].largest:.6g}")
    return given.tensor


def _fits(fraction: Fraction) -> bool:
    return abs(fraction.numerator) <= _LARGEST * fraction.denominator


def _exact(given: Given) -> float:
    from gradexplain.readings.arithmetic import to_float
    from gradexplain.readings.exact import constant_value

    if given.assignment is None:
        return math.inf
    return to_float(constant_value(given.assignment.graph, given.assignment.value.node))


def _held(value: float, name: str, dtype: str, given: Given) -> float:
    held = round_to(value, dtype)
    if held and math.isfinite(held):
        return held
    problem = ""
    read = given.assignment
    if read is not None and not math.isfinite(value) and _divides_by_zero(read.graph, read.value.node):
        problem = "is a division by zero"
    elif math.isnan(value):
        problem = "is not a real number"
    elif math.isinf(held):
        problem = f"is too large for {dtype}, which ends at {DTYPES[dtype].largest:.6g}"
    elif held == 0 and (given.number or value):
        problem = f"is too small for {dtype}, which would hold 0"
    if not problem:
        return held
    message = f"the value of {name} {problem}"
    if given.assignment is None:
        raise PointError(message)
    place = given.assignment.value
    raise PointError(message, given.assignment.text, place.start, place.end)


def held_constants(graph: Graph, source: str, dtype: str) -> dict[int, float]:
    """The value, as the dtype holds it, of every constant part of a formula that something else reads.

    A part such as `1/3` is one constant, rounded once. Raises FormulaError where one has no value in the dtype.
    """
    read = {j for i, node in enumerate(graph.nodes) if not graph.is_constant[i] for j in node.inputs}
    read |= set(graph.names)
    found: dict[int, float] = {}
    for i in sorted(read):
        if graph.is_constant[i]:
            found[i] = _held_constant(graph, i, source, dtype)
    return found


def _held_constant(graph: Graph, i: int, source: str, dtype: str) -> float:
    number = graph.nodes[i].value
    if isinstance(number, Fraction) and _fits(number):
        value, nonzero = float(number), number != 0
    else:
        from gradexplain.readings.arithmetic import to_float
        from gradexplain.readings.exact import constant_value

        exact = constant_value(graph, i)
        value, nonzero = to_float(exact), bool(exact)
    held = round_to(value, dtype)
    if math.isfinite(held) and (held or not nonzero):
        return held
    start, end = graph.places.get(i, (0, 0))
    shown = "this constant"
    hint = ""
    if not math.isfinite(value) and _divides_by_zero(graph, i):
        message = "division by zero"
    elif math.isnan(value):
        message = f"{shown} is not a real number"
    elif math.isinf(held):
        message, hint = f"{shown} is too large for {dtype}", f"its largest number is {DTYPES[dtype].largest:.6g}"
    else:
        message = f"{shown} is too small for {dtype}, which would hold 0"
    raise FormulaError(message, source if end else "", start, end, hint)


def _divides_by_zero(graph: Graph, i: int) -> bool:
    from gradexplain.readings.exact import constant_value

    divisions = [node for node in graph.nodes[: i + 1] if node.rule == "div" and graph.is_constant[node.inputs[1]]]
    return any(constant_value(graph, node.inputs[1]) == 0 for node in divisions)


def read_upstream(upstream: Any, dtype: str) -> tuple[Fraction, float]:
    """The upstream gradient of the objective, as a fraction and as the dtype holds it. Raises OptionError."""
    try:
        given = _from_python("upstream", upstream)
        held = held_value("upstream", given, dtype)
    except PointError as error:
        raise OptionError(error.message, error.text, error.start, error.end, error.hint) from None
    return given.fraction if given.fraction is not None else Fraction(held), held


def read_tensor_upstream(upstream: Any, dtype: str) -> Tensor | float:
    """The upstream gradient of an objective that may be a vector or a matrix. Raises OptionError."""
    try:
        given = _from_python("upstream", upstream)
        return held_numbers("upstream", given, dtype)
    except PointError as error:
        raise OptionError(error.message, error.text, error.start, error.end, error.hint) from None
