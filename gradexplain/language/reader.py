"""What the parts of the parser need of it: those for arguments, calls, indices and layers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gradexplain.errors import FormulaError, ShapeError
from gradexplain.language.graph import Graph
from gradexplain.language.tokens import Token
from gradexplain.rules.shapes import ShapeProblem

PAIR, EITHER = "pair", "either"


@dataclass(frozen=True, slots=True)
class Word:
    """The value of a setting that is no number: None, True or a word in quotation marks."""

    value: Any


@dataclass(slots=True)
class Value:
    """A node with the half-open range of the text that it was read from.

    A list or tuple that is an argument of a call has its elements as `content`, until the function says what they are:
    sizes, axes, or tensors. So has a word, and a layer that is yet to be called. None of them has a node. `pair` is
    PAIR for what PyTorch has as values and indices, and EITHER where another reading of the same text would be that.
    """

    node: int
    start: int
    end: int
    content: list[Value] | Word | Layer | None = None
    pair: str = ""


@dataclass(slots=True)
class Call:
    """A call whose bracket is open: its name, and the arguments read so far; `keyword` is that of the next one.

    `module` is where the name was looked up (see `modules.py`), empty for a name on its own; `settings` are keywords
    that were given before, as those of a layer are.
    """

    name: Token
    arguments: list[Value] = field(default_factory=list)
    keywords: dict[str, Value] = field(default_factory=dict)
    keyword: str = ""
    places: dict[str, Token] = field(default_factory=dict)
    module: str = ""
    settings: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that is yet to be called: its name, and the call of its function with its settings as keywords."""

    name: str
    call: Call


class Reader(Protocol):
    """A parser at one place of its text: the tokens, the graph that it makes, and its errors, each with its place."""

    text: str
    graph: Graph
    tokens: list[Token]
    position: int
    given: frozenset[str]
    variables: dict[str, int]
    pairs: set[str]
    first_use: dict[str, Token]

    def error(self, message: str, place: Token | Value, hint: str = "") -> FormulaError: ...
    def problem(
        self, problem: ShapeProblem, start: int, end: int, inputs: Collection[int] = ()
    ) -> ShapeError: ...
    def solid(self, value: Value, whose: str = "a function") -> int: ...
    def node(
        self, rule: str, inputs: Sequence[int], start: int, end: int, settings: tuple[Any, ...] = ()
    ) -> int: ...
