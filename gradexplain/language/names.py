"""What a name stands for where it is no function: a value defined before, an input, a size, or a number."""

from __future__ import annotations

import math

from gradexplain.language.complaints import not_a_name, refuse_name
from gradexplain.language.graph import SYMBOLIC_CONSTANTS
from gradexplain.language.modules import has_constant
from gradexplain.language.reader import PAIR, Reader, Value, Word
from gradexplain.language.tokens import Token

_PI = "π"


def value_of(parser: Reader, module: str, token: Token) -> Value:
    """The value of a name, of a module or on its own. Raises FormulaError."""
    name = token.text
    if module:
        if not has_constant(module, name):
            raise not_a_name(parser.text, module, token)
        return _number(parser, token)
    if name in parser.variables:
        return Value(parser.variables[name], token.start, token.end, None, PAIR if name in parser.pairs else "")
    graph = parser.graph
    if name in parser.given or name in graph.given:
        if name in graph.sizes:
            raise parser.error(f"{name} is a size and a value", token, "give one of them another name")
    elif name in graph.sizes:
        return Value(graph.constant(name), token.start, token.end)
    elif name in SYMBOLIC_CONSTANTS or name == _PI or name.lower() in ("nan", "inf", "infinity"):
        return _number(parser, token)
    else:
        refuse_name(parser.text, graph, token)
    parser.first_use.setdefault(name, token)
    return Value(graph.input(name), token.start, token.end)


def _number(parser: Reader, token: Token) -> Value:
    """A number that has a name. An infinity is one for settings alone. Raises FormulaError for `nan`."""
    if token.text.lower() == "nan":
        raise parser.error(f"{token.text} is not a number that a gradient can be taken at", token)
    if token.text.lower() in ("inf", "infinity"):
        return Value(-1, token.start, token.end, Word(math.inf))
    node = parser.graph.constant("pi" if token.text == _PI else token.text)
    return Value(node, token.start, token.end)
