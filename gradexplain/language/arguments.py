"""The arguments of a call, each at the place that PyTorch has for it: tensors, settings, and lists of both."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from typing import Any

from gradexplain.errors import FormulaError, nearest
from gradexplain.language.graph import CONSTANT, Graph
from gradexplain.language.reader import Call, Reader, Value, Word
from gradexplain.language.signatures import ALSO, Argument
from gradexplain.language.tokens import Token
from gradexplain.rules.settings import ABSENT, MAX_WHOLE, NEW_SIZES, REQUIRED, SIZES, NamedSize
from gradexplain.rules.shapes import times
from gradexplain.rules.table import RULES

# What says how PyTorch computes, and not what: the value that changes nothing, and what to say to any other.
HOW: dict[str, tuple[Any, str]] = {
    "inplace": (False, "it would change what is used elsewhere: leave it out"),
    "out": (None, "leave it out"),
    "dtype": (None, "the option --dtype chooses it for the whole formula"),
    "device": (None, "the option --device chooses it for the whole formula"),
    "requires_grad": (True, "the option --wrt says by what to differentiate"),
}
COMPARISONS = frozenset(rule.name for rule in RULES.values() if rule.boolean)
# A constant with more bits than this is no setting of anything.
_MAX_BITS = 4096


def is_boolean(graph: Graph, node: int) -> bool:
    """Whether the node is a comparison."""
    return graph.nodes[node].rule in COMPARISONS


def is_number(graph: Graph, node: int) -> bool:
    """Whether the node is a number written out, such as `2` (and not `pi` or `1/3`)."""
    return graph.nodes[node].rule == CONSTANT and not isinstance(graph.nodes[node].value, str)


def constant_of(graph: Graph, root: int) -> Fraction | NamedSize | None:
    """The number that a constant expression such as `1/3` is, or the product of sizes; None where it is neither."""
    if not graph.is_constant[root]:
        return None
    known: dict[int, Fraction | NamedSize | None] = {}
    for i in graph.inputs_first(root):
        rule, inputs, value, _ = graph.nodes[i]
        if rule == CONSTANT:
            known[i] = value if isinstance(value, Fraction) else NamedSize(value) if value in graph.sizes else None
        else:
            known[i] = _computed(rule, [known[j] for j in inputs])
    return known[root]


def _computed(rule: str, values: Sequence[Fraction | NamedSize | None]) -> Fraction | NamedSize | None:
    if rule == "mul" and all(isinstance(v, NamedSize) or (v is not None and v.denominator == 1) for v in values):
        sizes = [v if isinstance(v, NamedSize) else int(v) for v in values]  # type: ignore[arg-type]
        product = times(sizes)
        return NamedSize(product) if isinstance(product, str) else Fraction(product)
    if any(not isinstance(v, Fraction) or _bits(v) > _MAX_BITS for v in values):
        return None
    numbers = [v for v in values if isinstance(v, Fraction)]
    match rule:
        case "neg":
            return -numbers[0]
        case "add":
            return numbers[0] + numbers[1]
        case "sub":
            return numbers[0] - numbers[1]
        case "mul":
            return numbers[0] * numbers[1]
        case "div" if numbers[1]:
            return numbers[0] / numbers[1]
        case "pow" if numbers[1].denominator == 1 and abs(numbers[1]) * _bits(numbers[0]) < _MAX_BITS and numbers[0]:
            return Fraction(numbers[0] ** int(numbers[1]))
    return None


def _bits(number: Fraction) -> int:
    return max(number.numerator.bit_length(), number.denominator.bit_length())


def unknown_keyword(parser: Reader, function: str, place: Token, known: Collection[str]) -> FormulaError:
    """The error for a keyword that a function does not have."""
    others = [other for other, name in ALSO.items() if name in known and len(other) > 2]
    message = f"{function} has no argument {place.text}"
    return parser.error(message, place, nearest(place.text, [*known, *others]))


class Arguments:
    """The arguments of one call by the names of its parameters. Raises FormulaError for what has no place.

    `pair` is set by a function whose result PyTorch has as values and indices; see `Value`.
    """

    def __init__(
        self, parser: Reader, call: Call, parameters: Sequence[Argument], start: int, end: int
    ) -> None:
        self.parser, self.graph, self.name, self.module = parser, parser.graph, call.name, call.module
        self.start, self.end, self.places = start, end, call.places
        self.parameters = {parameter.name: parameter for parameter in parameters}
        self.given: dict[str, Value] = {}
        self.rest: dict[str, list[Value]] = {}
        self.pair = ""
        self._bind_places(call)
        self._bind_names(call)
        for name, value in self.given.items():
            if self.parameters[name].kind is ABSENT:
                self._checked(self.parameters[name], self.plain(value), value)

    def _bind_places(self, call: Call) -> None:
        places = [parameter for parameter in self.parameters.values() if not parameter.by_name]
        for k, value in enumerate(call.arguments):
            if k < len(places) and not places[k].rest:
                self.given[places[k].name] = value
            elif places and places[-1].rest:
                self.rest.setdefault(places[-1].name, []).append(value)
            else:
                count = f"{len(places)} argument" + "s" * (len(places) != 1)
                found = len(call.arguments)
                raise self.error(f"{self.name.text} takes at most {count}, {found} given", self._places(places), value)

    def _places(self, places: Sequence[Argument]) -> str:
        names = [parameter.name for parameter in places if parameter.kind is not ABSENT]
        return f"they are {', '.join(names)}" if names else ""

    def _bind_names(self, call: Call) -> None:
        for key, value in call.keywords.items():
            name = key if key in self.parameters else ALSO.get(key, key)
            if name not in self.parameters:
                self._refuse(key, value)
            elif name in self.given or name in self.rest:
                raise self.error(f"the argument {key} is given twice", "", value)
            elif self.parameters[name].rest:
                self.rest[name] = [value]
            else:
                self.given[name] = value

    def _refuse(self, key: str, value: Value) -> None:
        """Refuse a keyword that the function does not have, but for one that changes nothing."""
        if key not in HOW:
            known = [name for name, parameter in self.parameters.items() if parameter.kind is not ABSENT]
            raise unknown_keyword(self.parser, self.name.text, self.places[key], known)
        harmless, hint = HOW[key]
        said = value.content.value if isinstance(value.content, Word) else ""
        if said is not harmless and said is not None and said is not False:
            raise self.error(f"{key} is not in the language", hint, self.places[key])

    def error(self, message: str, hint: str = "", place: Value | Token | None = None) -> FormulaError:
        """The error at an argument, or at the name."""
        return self.parser.error(message, place or self.name, hint)

    def tensor(self, name: str) -> int:
        """The argument of a name as a tensor."""
        node = self.optional_tensor(name)
        if node is None:
            raise self.error(f"an argument of {self.name.text} is missing")
        return node

    def optional_tensor(self, name: str) -> int | None:
        """The same, or None where there is none."""
        value = self.given.get(name)
        if value is None:
            return None
        if isinstance(value.content, Word):
            if value.content.value is None and self.parameters[name].default is None:
                return None
            if value.content.value != math.inf:
                raise self.error("a tensor is expected here", "", value)
        node = self.parser.solid(value)
        if is_boolean(self.graph, node):
            hint = "write where(condition, 1, 0) for a number"
            raise self.error("this comparison is used as a number", hint, value)
        return node

    def tensors(self, name: str = "tensors") -> list[int]:
        """The elements of an argument that is a list or tuple."""
        value = self.given.get(name)
        if value is None or not isinstance(value.content, list) or not value.content:
            raise self.error(f"{self.name.text} takes a list of tensors", "such as cat([a, b], dim=0)", value)
        nodes = [self.parser.solid(part) for part in value.content]
        for node, part in zip(nodes, value.content, strict=True):
            if is_boolean(self.graph, node):
                raise self.error("this comparison is used as a number", "", part)
        return nodes

    def setting(self, name: str) -> Any:
        """The argument of a name as a setting of its kind, or its default."""
        parameter, value = self.parameters[name], self.given.get(name)
        if parameter.rest:
            return self._rest(parameter)
        if value is None:
            if parameter.default is REQUIRED:
                raise self.error(f"{self.name.text} needs {name}", f"such as {name}={parameter.kind.example}")  # type: ignore[union-attr]
            return parameter.default
        return self._checked(parameter, self.plain(value), value)

    def _rest(self, parameter: Argument) -> Any:
        """All arguments that are left as one setting, be they a tuple or one by one."""
        values = self.rest.get(parameter.name)
        if values is None:
            if parameter.default is REQUIRED:
                example = parameter.kind.example  # type: ignore[union-attr]
                raise self.error(f"{self.name.text} needs {parameter.name}", f"such as {example}")
            return parameter.default
        plain = [self.plain(value) for value in values]
        if len(plain) == 1:
            if plain[0] is None and parameter.default is None:
                return None
            found = plain[0] if isinstance(plain[0], tuple) else tuple(plain)
            return self._checked(parameter, found, values[0])
        return self._checked(parameter, tuple(plain), values[0])

    def _checked(self, parameter: Argument, value: Any, place: Value) -> Any:
        """The value if it is of the kind of its parameter. Raises FormulaError."""
        kind = parameter.kind
        if kind is None or (value is None and parameter.default is None):
            return value
        if kind is ABSENT:
            raise self.error(f"{parameter.name} of {self.name.text} is not in the language", "leave it out", place)
        if not kind.allows(value):
            raise self.error(f"{parameter.name} must be {kind.words}", f"such as {kind.example}", place)
        if kind in (SIZES, NEW_SIZES) and not isinstance(value, tuple):
            value = (value,)
        if isinstance(value, tuple):
            return tuple(str(part) if isinstance(part, NamedSize) else part for part in value)
        return str(value) if isinstance(value, NamedSize) else value

    def plain(self, value: Value) -> Any:
        """A value as a setting: a number, a word, or a tuple of them. Raises FormulaError."""
        if isinstance(value.content, Word):
            return value.content.value
        if isinstance(value.content, list):
            return tuple(self.plain(part) for part in value.content)
        found = constant_of(self.graph, self.parser.solid(value))
        if isinstance(found, Fraction):
            if found.denominator == 1 and abs(found) <= MAX_WHOLE:
                return int(found)
            try:
                return float(found)
            except OverflowError:
                return math.inf
        if found is None:
            raise self.error(f"this setting of {self.name.text} must be a number, not a variable", "", value)
        return found

    def apply(self, rule: str, *inputs: int, settings: tuple[Any, ...] = ()) -> int:
        """The node of a rule."""
        return self.parser.node(rule, inputs, self.start, self.end, settings)


Function = Callable[[Arguments], int]
