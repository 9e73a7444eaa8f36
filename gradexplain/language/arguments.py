"""The arguments of a call, taken one by one: tensors, settings, and lists of both."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from typing import Any

from gradexplain.errors import FormulaError, nearest
from gradexplain.language.graph import CONSTANT, Graph
from gradexplain.language.reader import Call, Reader, Value, Word
from gradexplain.language.tokens import Token
from gradexplain.rules.row import REQUIRED
from gradexplain.rules.table import RULES

# Other spellings of settings in PyTorch and NumPy.
SPELLINGS = {
    "axis": "dim", "keepdims": "keepdim", "axes": "dims", "ord": "p", "ddof": "correction", "axis1": "dim0",
    "axis2": "dim1", "a_min": "min", "a_max": "max",
}  # fmt: skip
# What says how PyTorch computes, and not what.
IGNORED = frozenset(("inplace", "out", "training", "dtype", "device", "requires_grad"))
COMPARISONS = frozenset(rule.name for rule in RULES.values() if rule.boolean)


def is_boolean(graph: Graph, node: int) -> bool:
    """Whether the node is a comparison."""
    return graph.nodes[node].rule in COMPARISONS


def is_number(graph: Graph, node: int) -> bool:
    """Whether the node is a number written out, such as `2` (and not `pi` or `1/3`)."""
    return graph.nodes[node].rule == CONSTANT and not isinstance(graph.nodes[node].value, str)


class Arguments:
    """The arguments of one call; what is taken is gone, and `finish` refuses what is left."""

    def __init__(self, parser: Reader, call: Call, start: int, end: int) -> None:
        self.parser, self.graph, self.name = parser, parser.graph, call.name
        self.start, self.end = start, end
        self.values = list(call.arguments)
        self.keywords = {SPELLINGS.get(key, key): value for key, value in call.keywords.items()}
        self.places = {SPELLINGS.get(key, key): place for key, place in call.places.items()}

    def error(self, message: str, hint: str = "", place: Value | Token | None = None) -> FormulaError:
        """The error at an argument, or at the name."""
        return self.parser.error(message, place or self.name, hint)

    def unknown(self, key: str, known: Collection[str]) -> FormulaError:
        """The error for a keyword that the function does not have."""
        place = self.places[key]
        return self.error(f"{self.name.text} has no argument {place.text}", nearest(place.text, known), place)

    def tensor(self, *names: str) -> int:
        """The next argument as a tensor, or the one with a keyword."""
        node = self.optional_tensor(*names)
        if node is None:
            raise self.error(f"an argument of {self.name.text} is missing")
        return node

    def optional_tensor(self, *names: str) -> int | None:
        """The same, or None where there is none."""
        value = self.values.pop(0) if self.values else next(
            (self.keywords.pop(name) for name in names if name in self.keywords), None)  # fmt: skip
        if value is None:
            return None
        if isinstance(value.content, Word):
            if value.content.value is None:
                return None
            raise self.error("a tensor is expected here", "", value)
        node = self.parser.solid(value)
        if is_boolean(self.graph, node):
            hint = "write where(condition, 1, 0) for a number"
            raise self.error("this comparison is used as a number", hint, value)
        return node

    def tensors(self) -> list[int]:
        """The elements of the first argument, a list or tuple."""
        value = self.values.pop(0) if self.values else self.keywords.pop("tensors", None)
        if value is None or not isinstance(value.content, list):
            raise self.error(f"{self.name.text} takes a list of tensors", "such as cat([a, b], dim=0)", value)
        return [self.parser.solid(part) for part in value.content]

    def setting(self, name: str, default: Any) -> Any:
        """The next argument as a setting, or the one with a keyword, or its default."""
        value = self.values.pop(0) if self.values else self.keywords.pop(name, None)
        if value is not None and name in self.keywords:
            raise self.error(f"the argument {name} is given twice", "", value)
        if value is None:
            if default is REQUIRED:
                raise self.error(f"{self.name.text} needs {name}", f"such as {name}=0")
            return default
        return self.plain(value)

    def plain(self, value: Value) -> Any:
        """A value as a setting: a number, a word, or a tuple of numbers."""
        if isinstance(value.content, Word):
            return value.content.value
        if value.content is not None:
            return tuple(self.plain(part) for part in value.content)
        found = self.graph.nodes[value.node].value
        if isinstance(found, Fraction):
            return int(found) if found.denominator == 1 else float(found)
        if isinstance(found, str) and found in self.graph.sizes:
            return found
        raise self.error(f"this setting of {self.name.text} must be a number, not a variable", "", value)

    def sizes(self, name: str = "shape") -> tuple[Any, ...]:
        """All arguments that are left as a shape, be they a tuple or one by one."""
        if not self.values:
            found = self.setting(name, REQUIRED)
            return found if isinstance(found, tuple) else (found,)
        plain = [self.plain(value) for value in self.values]
        self.values = []
        return plain[0] if len(plain) == 1 and isinstance(plain[0], tuple) else tuple(plain)

    def apply(self, rule: str, *inputs: int, settings: tuple[Any, ...] = ()) -> int:
        """The node of a rule."""
        return self.parser.node(rule, inputs, self.start, self.end, settings)

    def finish(self, known: Collection[str]) -> None:
        """Refuse arguments that nobody took; `known` are the settings of the function."""
        for key in self.keywords:
            if key not in IGNORED:
                raise self.unknown(key, known)
        if self.values:
            raise self.error(f"{self.name.text} takes fewer arguments", "", self.values[0])
