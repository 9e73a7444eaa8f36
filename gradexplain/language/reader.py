"""What the parts of the parser need of it: those for arguments, calls, indices and layers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gradexplain.errors import FormulaError, ShapeError
from gradexplain.language.graph import Graph
from gradexplain.language.tokens import Token
from gradexplain.rules.shapes import ShapeProblem


@dataclass(frozen=True, slots=True)
class Word:
    """The value of a setting that is no number: None, True or a word in quotation marks."""

    value: Any


@dataclass(slots=True)
class Value:
    """A node with the half-open range of the text that it was read from.

    A list or tuple that is an argument of a call has its elements as `content`, until the function says what they are:
    sizes, axes, or tensors. So has a word. Neither has a node.
    """

    node: int
    start: int
    end: int
    content: list[Value] | Word | None = None


@dataclass(slots=True)
class Call:
    """A call whose bracket is open: its name, and the arguments read so far; `keyword` is that of the next one."""

    name: Token
    arguments: list[Value] = field(default_factory=list)
    keywords: dict[str, Value] = field(default_factory=dict)
    keyword: str = ""
    places: dict[str, Token] = field(default_factory=dict)


class Reader(Protocol):
    """A parser at one place of its text: the tokens, the graph that it makes, and its errors, each with its place."""

    text: str
    graph: Graph
    tokens: list[Token]
    position: int

    def error(self, message: str, place: Token | Value, hint: str = "") -> FormulaError: ...
    def problem(
        self, problem: ShapeProblem, start: int, end: int, inputs: Collection[int] = ()
    ) -> ShapeError: ...
    def solid(self, value: Value, whose: str = "a function") -> int: ...
    def node(
        self, rule: str, inputs: Sequence[int], start: int, end: int, settings: tuple[Any, ...] = ()
    ) -> int: ...
    def closing(self, start: int) -> int: ...
