"""The arguments of a call of a tensor function, taken one by one: tensors, settings, and lists of both."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from gradexplain.errors import FormulaError, nearest
from gradexplain.language.functions import Call, Value, is_boolean
from gradexplain.rules.row import REQUIRED
from gradexplain.rules.table import ALIASES, RULES

if TYPE_CHECKING:
    from gradexplain.language.tensor_parser import TensorParser

# Other spellings of settings in PyTorch and NumPy.
SPELLINGS = {
    "axis": "dim",
    "keepdims": "keepdim",
    "axes": "dims",
    "ord": "p",
    "ddof": "correction",
    "axis1": "dim0",
    "axis2": "dim1",
}


class Arguments:
    """The arguments of one call; what is taken is gone, and `finish` refuses what is left."""

    def __init__(self, parser: TensorParser, call: Call, start: int, end: int) -> None:
        self.parser, self.graph, self.name = parser, parser.graph, call.name
        self.start, self.end = start, end
        self.values = list(call.arguments)
        self.keywords = {SPELLINGS.get(key, key): value for key, value in call.keywords.items()}
        self.keyword_places = {SPELLINGS.get(key, key): place for key, place in call.places.items()}

    def error(self, message: str, hint: str = "", value: Value | None = None) -> FormulaError:
        """The error at an argument, or at the name."""
        return self.parser.error(message, value or self.name, hint)

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
        if value.node in self.parser.settings:
            if self.parser.settings[value.node] is None:
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
        if value is None or value.node not in self.parser.lists:
            raise self.error(f"{self.name.text} takes a list of tensors", "such as cat([a, b], dim=0)", value)
        return [self.parser.solid(part) for part in self.parser.lists[value.node]]

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
        if value.node in self.parser.settings:
            return self.parser.settings[value.node]
        if value.node < 0:
            return tuple(self.plain(part) for part in self.parser.lists[value.node])
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
        return self.parser.node(rule, list(inputs), self.start, self.end, settings)

    def finish(self) -> None:
        """Refuse arguments that nobody took."""
        for key in self.keywords:
            if key in ("inplace", "out", "training", "dtype", "device", "requires_grad"):
                continue
            rule = RULES.get(ALIASES.get(self.name.text, self.name.text))
            known = [name for name, _ in rule.settings] if rule else []
            place = self.keyword_places[key]
            raise self.error(
                f"{self.name.text} has no argument {key}", nearest(key, known), Value(0, place.start, place.end)
            )
        if self.values:
            raise self.error(f"{self.name.text} takes fewer arguments", "", self.values[0])
