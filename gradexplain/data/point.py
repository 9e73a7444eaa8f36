"""The point: the values given for the inputs, as text, as fractions where they are, and as the dtype holds them.

A value is a number or a tensor of numbers, written as a constant expression or a list, or handed over from Python.
"""

from __future__ import annotations

import math
import numbers
from array import array
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from gradexplain.data import memory
from gradexplain.errors import FormulaError, OptionError, PointError
from gradexplain.language.graph import CONSTANT, INPUT, SYMBOLIC_CONSTANTS, Graph
from gradexplain.language.numerals import write_number
from gradexplain.language.parse import Assignment, parse_point
from gradexplain.readings.dtypes import DTYPES, round_to
from gradexplain.rules.shapes import write_shape
from gradexplain.rules.table import ELEMENTWISE
from gradexplain.tensor import Tensor

# A tensor with more elements is shown by its shape; PyTorch has no tensor with more axes.
MAX_SHOWN, MAX_AXES = 24, 64
# What has more, somebody would not write out.
MAX_ELEMENTS = 10_000_000
_FINITE = "a gradient can be taken at finite numbers only"
_LARGEST = int(DTYPES["float64"].largest)
Point = str | Sequence[str | Mapping[str, Any]] | Mapping[str, Any]


class Given(NamedTuple):
    """One given value: as it is shown, its number (None for one like sqrt(2)), and where it was read.

    A float stands for the decimal that it prints as, so that 0.1 is shown as 0.1; the dtype rounds it back to it.
    `tensor` has the numbers of a vector or matrix, whose `number` is None.
    """

    text: str
    number: Fraction | float | None
    assignment: Assignment | None = None
    tensor: Tensor | None = None

    @property
    def fraction(self) -> Fraction | None:
        """The value as an exact fraction, where it is one."""
        return Fraction(repr(self.number)) if isinstance(self.number, float) else self.number


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
    graph, value = assignment.graph, assignment.value
    _check_parts(assignment)
    text = " ".join(assignment.text[value.start : value.end].split())
    if graph.shapes[value.node]:
        tensor = constant_tensor(assignment)
        return Given(text if tensor.count <= MAX_SHOWN else shown_tensor(tensor), None, assignment, tensor)
    return Given(text, _fraction(graph, value.node), assignment)


def _check_parts(assignment: Assignment) -> None:
    """Raise PointError where a value takes more work than a value should."""
    graph, place, name = assignment.graph, assignment.value, assignment.name.text
    most = min(MAX_ELEMENTS, memory.most_elements()) if graph.has_axes else 0
    for i in graph.inputs_first(place.node):
        shape, message = graph.lengths(i), ""
        if shape and math.prod(shape) > most:
            message, hint = f"the value of {name} has more than {most:,} elements", "read it from a file"
        elif not shape and any(graph.shapes[j] for j in graph.nodes[i].inputs):
            message, hint = f"the value of {name} is computed from a list", "write the number itself"
        if message:
            raise PointError(message, assignment.text, place.start, place.end, hint)


def _fraction(graph: Graph, i: int) -> Fraction | None:
    """The value of `1/3`, `-2` and the like as a fraction; None for what is not so simple."""
    node = graph.nodes[i]
    if isinstance(node.value, Fraction):
        return node.value
    parts = [graph.nodes[j].value for j in node.inputs]
    if node.rule == "div" and all(isinstance(part, Fraction) for part in parts) and parts[1] != 0:
        return parts[0] / parts[1]  # type: ignore[operator]
    return None


def _from_python(name: str, value: Any) -> Given:
    if type(value) is float and math.isfinite(value):
        return Given(write_number(value), value)
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
        raise PointError(f"the value of {name} is {value}, and {_FINITE}")
    number = Fraction(value) if isinstance(value, (int, Fraction)) else float(value)
    return Given(write_number(number), number)


def _parse_value(name: str, text: str) -> Assignment:
    try:
        return parse_point(f"x={text}")["x"]
    except PointError as error:
        message = error.message.replace("the value of x", f"the value of {name}")
        if "the value of x" not in error.message:
            message = f"the value of {name} cannot be read: {message}"
        raise PointError(message, text, error.start - 2, error.end - 2, error.hint) from None


def tensor_of(name: str, value: Any) -> Tensor:
    """A vector or matrix from Python: nested lists, or whatever has `tolist()`. Raises PointError for what is none."""
    try:
        found = value if isinstance(value, (list, tuple, Tensor)) else value.tolist()
        tensor = found if isinstance(found, Tensor) else Tensor.of(found)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        reason = str(error) if "lengths" in str(error) else "its elements must be numbers"
        if isinstance(error, OverflowError):
            reason = "an element is too large for float64"
        raise PointError(f"the value of {name} is not a tensor: {reason}", hint="such as [[1, 2], [3, 4]]") from None
    if len(tensor.shape) > MAX_AXES:
        raise PointError(f"the value of {name} has {len(tensor.shape):,} axes", hint=f"PyTorch has at most {MAX_AXES}")
    return finite(f"the value of {name}", tensor)


def finite(what: str, tensor: Tensor) -> Tensor:
    """The tensor. Raises PointError where an element of it is not finite."""
    if not math.isfinite(tensor.norm):
        raise PointError(f"{what} has an element that is not finite", hint=_FINITE)
    return tensor


def shown_tensor(tensor: Tensor) -> str:
    """A tensor in a line: its elements, or the shape of one that is large.

    >>> shown_tensor(Tensor.of([[1, 0.5]]))
    '[[1, 0.5]]'
    """
    return _written(tensor.nested()) if tensor.count <= MAX_SHOWN else f"({write_shape(tensor.shape)})"


def _written(entry: Any) -> str:
    return f"[{', '.join(map(_written, entry))}]" if isinstance(entry, list) else write_number(entry)


def constant_tensor(assignment: Assignment) -> Tensor:
    """The numbers of a value such as `[[1, 2], [1/3, sqrt(2)]]`, `eye(3)` or `zeros(2, 3)`. Raises PointError."""
    graph, place = assignment.graph, assignment.value
    found: dict[int, list[float]] = {}

    def refuse(message: str, hint: str = "") -> PointError:
        return PointError(message, assignment.text, place.start, place.end, hint)

    for i in graph.inputs_first(place.node):
        node, shape = graph.nodes[i], graph.lengths(i)
        tensors = node.inputs
        if not shape:
            found[i] = [_nearest(graph, i, _fraction(graph, i))[0]]
        elif node.rule == "stack" and graph.settings(node)["dim"] == 0:
            found[i] = [entry for j in tensors for entry in found[j]]
        elif node.rule in ("zeros", "ones"):
            found[i] = [float(node.rule == "ones")] * math.prod(shape)
        elif node.rule == "eye":
            found[i] = [float(k % (shape[0] + 1) == 0) for k in range(shape[0] ** 2)]
        elif node.rule == "mul" and not graph.shapes[tensors[0]]:
            found[i] = [found[tensors[0]][0] * entry for entry in found[tensors[1]]]
        elif node.rule == "neg":
            found[i] = [-entry for entry in found[tensors[0]]]
        else:
            raise refuse(f"the value of {assignment.name.text} is no list of numbers", "such as [[1, 2], [3, 4]]")
    numbers = array("d", found[place.node])
    if not all(map(math.isfinite, numbers)):
        raise refuse(f"an element of {assignment.name.text} is not a finite number")
    return Tensor.flat(graph.lengths(place.node), numbers)


def held_value(name: str, given: Given, dtype: str) -> float:
    """A single number as the dtype holds it. Raises PointError where it is too large, too small or not real."""
    if given.tensor is not None:
        raise PointError(f"the value of {name} has the shape {write_shape(given.tensor.shape)}, and is not a number")
    read = given.assignment
    held, flaw = _hold(read.graph if read else None, read.value.node if read else 0, given.number, dtype)
    if not flaw:
        return held
    message = f"the value of {name} {flaw}"
    if read is None:
        raise PointError(message)
    raise PointError(message, read.text, read.value.start, read.value.end)


def held_numbers(name: str, given: Given, dtype: str) -> Tensor | float:
    """The numbers of a value, a single one as the dtype holds it. Raises PointError where one is too large."""
    if given.tensor is None:
        return held_value(name, given, dtype)
    if max(abs(given.tensor.low), abs(given.tensor.high)) > DTYPES[dtype].largest:
        raise PointError(f"an element of {name} is too large for {dtype}, which ends at {DTYPES[dtype].largest:.6g}")
    return given.tensor


def held_constants(graph: Graph, source: str, dtype: str) -> dict[int, float]:
    """The value, as the dtype holds it, of every constant part of a formula that something else reads.

    A part such as `1/3` is one constant, rounded once. Raises FormulaError where one has no value in the dtype.
    """
    is_number = _constant_numbers(graph) if graph.needs_tensors() else graph.is_constant
    read = {j for i, node in enumerate(graph.nodes) if not is_number[i] for j in node.inputs}
    read |= set(graph.names)
    return {i: _held_constant(graph, i, source, dtype) for i in sorted(read) if is_number[i]}


def _constant_numbers(graph: Graph) -> list[bool]:
    """For every node whether it is a number made of numbers alone, and no size with a name."""
    found: list[bool] = []
    for i, node in enumerate(graph.nodes):
        if node.rule in (INPUT, CONSTANT):
            number = node.rule == CONSTANT and (node.value in SYMBOLIC_CONSTANTS or not isinstance(node.value, str))
        else:
            number = node.rule in ELEMENTWISE and not graph.shapes[i] and all(found[j] for j in node.inputs)
        found.append(number)
    return found


def _held_constant(graph: Graph, i: int, source: str, dtype: str) -> float:
    held, flaw = _hold(graph, i, _fraction(graph, i), dtype)
    if not flaw:
        return held
    start, end = graph.places.get(i, (0, 0))
    # What a constant is too large for goes into the hint.
    words, ends, _ = flaw.partition(", which ends")
    hint = f"its largest number is {DTYPES[dtype].largest:.6g}" if ends else ""
    message = "division by zero" if "zero" in flaw else f"this constant {words}"
    raise FormulaError(message, source if end else "", start, end, hint)


def _hold(graph: Graph | None, i: int, number: Fraction | float | None, dtype: str) -> tuple[float, str]:
    """A constant as the dtype holds it, and what is wrong where it does not; `number` is its value where it is known.

    Only a number from Python has no graph.
    """
    value, other_than_0 = _nearest(graph, i, number)
    held = round_to(value, dtype)
    if math.isfinite(held) and (held or not other_than_0):
        return held, ""
    if graph is not None and not math.isfinite(value) and _divides_by_zero(graph, i):
        return held, "is a division by zero"
    if math.isnan(value):
        return held, "is not a real number"
    if math.isinf(held):
        return held, f"is too large for {dtype}, which ends at {DTYPES[dtype].largest:.6g}"
    return held, f"is too small for {dtype}, which would hold 0"


def _nearest(graph: Graph | None, i: int, number: Fraction | float | None) -> tuple[float, bool]:
    """A constant as the nearest float, and whether it is other than 0."""
    if isinstance(number, float):
        return number, number != 0
    if number is not None and abs(number.numerator) <= _LARGEST * number.denominator:
        return float(number), number != 0
    if graph is None:
        return math.inf, True
    # What is no plain number takes exact arithmetic, which others need not load.
    from gradexplain.readings.arithmetic import to_float
    from gradexplain.readings.exact import constant_value

    exact = constant_value(graph, i)
    return to_float(exact), bool(exact)


def _divides_by_zero(graph: Graph, i: int) -> bool:
    from gradexplain.readings.exact import constant_value

    parts = [graph.nodes[j] for j in graph.inputs_first(i)]
    return any(constant_value(graph, part.inputs[1]) == 0 for part in parts if part.rule == "div")


def read_upstream(upstream: Any, dtype: str) -> tuple[Fraction | None, Tensor | float]:
    """The upstream gradient of the objective: a number as a fraction (None for a tensor), and as the dtype holds it.

    Raises OptionError.
    """
    try:
        given = _from_python("upstream", upstream)
        held = held_numbers("upstream", given, dtype)
    except PointError as error:
        raise OptionError(error.message, error.text, error.start, error.end, error.hint) from None
    if isinstance(held, Tensor):
        return None, held
    fraction = given.fraction
    return Fraction(held) if fraction is None else fraction, held
