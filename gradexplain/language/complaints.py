"""What to say where a token cannot stand: the message, the place and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gradexplain.errors import FormulaError
from gradexplain.language.graph import Graph
from gradexplain.language.tokens import END, LINE_END, WORDS, Token
from gradexplain.rules.table import OPERATORS

TENSORS = "an index is written x[0], x[:, 1] or x[1:3], a list [1, 2], and a matrix product A @ B"
CLOSING = {"(": ")", "[": "]"}
_CHANGES = frozenset(("+", "-", "*", "/", "**", "//", "@", "%"))
NOT_HERE = {
    "^": "powers are written x**2",
    "//": "write floor(a/b)",
    "%": "write a - b*floor(a/b)",
    "&": "nest where(…) instead",
    "|": "nest where(…) instead",
    "&&": "nest where(…) instead",
    "||": "nest where(…) instead",
    "~": "swap the two values of where(…) instead",
    "!": "a factorial is written exp(lgamma(n + 1))",
    "?": "write where(condition, value, other value)",
    "=": "to compare, write ==; a statement is name = expression, and statements are separated by ;",
    "@": TENSORS,
    "[": TENSORS,
    "]": TENSORS,
    "{": "group with ( and )",
    "}": "group with ( and )",
    ";": "close the bracket before the statement ends",
    "$": "leave the dollar signs out",
}


def foreign(text: str, token: Token) -> FormulaError:
    """A symbol that the language does not have."""
    message = f"{token.text} is not part of the language"
    return FormulaError(message, text, token.start, token.end, NOT_HERE.get(token.text, ""))


def nothing_here(text: str, tokens: Sequence[Token], position: int) -> FormulaError:
    """The token at `position` stands where a value must begin."""
    token, before = tokens[position], tokens[position - 1] if position else None
    if token.text == "=" and before is not None and before.text in _CHANGES and before.end == token.start:
        return _changed(text, tokens, position)
    place = token.start, max(token.end, token.start + 1)
    if token.kind in (END, LINE_END) or token.text in (";", ",", ")"):
        if before is None or before.kind == LINE_END or before.text in (";", "=", "(", ","):
            return FormulaError("an expression is missing here", text, *place)
        hint = "complete the expression or remove it"
        return FormulaError(f"nothing follows {before.text}", text, before.start, before.end, hint)
    if token.text == "*" and before is not None and before.text == "*":
        hint = "a power is written ** without a space"
        return FormulaError("nothing stands between * and *", text, *place, hint)
    hint = NOT_HERE.get(token.text, "") if token.text not in OPERATORS else "a value must come before it"
    return FormulaError(f"{token.text} cannot stand here", text, *place, hint)


def _changed(text: str, tokens: Sequence[Token], position: int) -> FormulaError:
    """`y += x`, which changes what a name stands for."""
    sign, name = tokens[position - 1].text, tokens[position - 2] if position > 1 else tokens[position - 1]
    place = name.start, tokens[position].end
    hint = f"give the result a name of its own: {name.text}2 = {name.text} {sign} …"
    return FormulaError(f"{sign}= is not in the language: a name stands for one value", text, *place, hint)


def missing_operator(text: str, before: Token, token: Token) -> FormulaError:
    """A value follows another one with nothing between them."""
    left, right = before.text, token.text
    start = token.start if left == ")" else before.start
    if left == ")":
        hint = "write * to multiply"
    elif before.end == token.start or right == "(":
        hint = f"to multiply, write {left}*{right}" + "…)" * (right == "(")
    else:
        hint = f"write an operator between {left} and {right}"
    return FormulaError(f"there is no operator before {right}", text, start, token.end, hint)


def refuse_name(text: str, graph: Graph, token: Token) -> None:
    """Refuse a word of Python, which only a setting can be. Raises FormulaError."""
    name, place = token.text, (token.start, token.end)
    if name in WORDS and not graph.is_template:
        message = f"{name} is a word of Python and cannot be a name here"
        raise FormulaError(message, text, *place, f"call it {name}_")


def infinite(text: str, start: int, end: int) -> FormulaError:
    """An infinity where a number must be."""
    message = "inf is not a number that a gradient can be taken at"
    hint = "to mask with -inf, write a large number, such as -1e30 (-1e4 in float16): its exp is 0 just as well"
    return FormulaError(message, text, start, end, hint)


def not_a_name(text: str, module: str, token: Token) -> FormulaError:
    """A name of a module that is no function and no number."""
    is_dtype = re.fullmatch(r"(b?float|u?int|complex)\d*|half|double|long|bool", token.text)
    hint = "the option --dtype chooses it for the whole formula" if is_dtype else ""
    hint = f"a layer is called twice: nn.{token.text}()(x)" if module == "nn" else hint
    return FormulaError(f"{module}.{token.text} is not in the language", text, token.start, token.end, hint)


def unknown_attribute(text: str, name: Token) -> FormulaError:
    """A word after a value and a dot that means nothing."""
    hint = ""
    if name.text in ("values", "indices"):
        hint = "only max(x, dim=…) and min(x, dim=…) have values, and they are a pair"
    elif name.text in ("data", "grad"):
        hint = "leave it out: --wrt says by what to differentiate"
    elif name.text in ("shape", "ndim"):
        hint = "the size of an axis is x.shape[0]"
    return FormulaError(f".{name.text} is not part of the language", text, name.start, name.end, hint)
