"""THE OPTIMIZERS: one row each, the update rule written in the language, as the reader sees it.

In a rule, `p` is the parameter, `g` what `.grad` holds, `t` the number of the step; every other name is a setting, or a
number that the optimizer keeps from step to step and that begins at 0. PyTorch's own code makes the step; the rule is
evaluated beside it, and the two have to agree.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from gradexplain.calculus.templates import evaluated, template
from gradexplain.language.graph import INPUT, Graph
from gradexplain.language.text import TIMES, write


class Line(NamedTuple):
    """One line of a rule: what is computed, the formula, and the setting without which it is left out.

    With a `!` before it, the line is left out where the setting is there.
    """

    name: str
    formula: str
    when: str = ""


@dataclass(frozen=True, slots=True)
class OptimizerRow:
    """An optimizer: its id and title, the default learning rate, the lines of its rule, and the settings it takes.

    `state` are the numbers that it keeps from step to step.
    """

    name: str
    title: str
    lr: float
    lines: tuple[Line, ...]
    state: tuple[str, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)


_DECAY = Line("g", "g + weight_decay*p", "weight_decay")
_BUFFER = Line("buffer", "momentum*buffer + g", "momentum")
_MOMENTS = (
    Line("m", "beta1*m + (1 - beta1)*g"),
    Line("v", "beta2*v + (1 - beta2)*g**2"),
    Line("m_hat", "m/(1 - beta1**t)"),
    Line("v_hat", "v/(1 - beta2**t)"),
)
_BETAS = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}

_ROWS = (
    OptimizerRow("sgd", "SGD", 0.1, (_DECAY, Line("p", "p - lr*g")), settings={"weight_decay": 0.0}),
    OptimizerRow("momentum", "SGD with momentum", 0.1,
                 (_DECAY, _BUFFER, Line("p", "p - lr*buffer", "momentum"), Line("p", "p - lr*g", "!momentum")),
                 ("buffer",), {"momentum": 0.9, "weight_decay": 0.0}),
    OptimizerRow("nesterov", "SGD with Nesterov momentum", 0.1,
                 (_DECAY, _BUFFER, Line("ahead", "g + momentum*buffer"), Line("p", "p - lr*ahead")), ("buffer",),
                 {"momentum": 0.9, "weight_decay": 0.0}),
    OptimizerRow("adam", "Adam", 0.001, (_DECAY, *_MOMENTS, Line("p", "p - lr*m_hat/(sqrt(v_hat) + eps)")), ("m", "v"),
                 {**_BETAS, "weight_decay": 0.0}),
    OptimizerRow("adamw", "AdamW", 0.001,
                 (*_MOMENTS, Line("decayed", "p - lr*weight_decay*p", "weight_decay"),
                  Line("p", "decayed - lr*m_hat/(sqrt(v_hat) + eps)", "weight_decay"),
                  Line("p", "p - lr*m_hat/(sqrt(v_hat) + eps)", "!weight_decay")), ("m", "v"),
                 {**_BETAS, "weight_decay": 0.01}),
    OptimizerRow("rmsprop", "RMSprop", 0.01,
                 (_DECAY, Line("v", "alpha*v + (1 - alpha)*g**2"),
                  Line("buffer", "momentum*buffer + g/(sqrt(v) + eps)", "momentum"),
                  Line("p", "p - lr*buffer", "momentum"), Line("p", "p - lr*g/(sqrt(v) + eps)", "!momentum")),
                 ("v", "buffer"), {"alpha": 0.99, "eps": 1e-8, "momentum": 0.0, "weight_decay": 0.0}),
    OptimizerRow("adagrad", "Adagrad", 0.01,
                 (_DECAY, Line("total", "total + g**2"), Line("p", "p - lr*g/(sqrt(total) + eps)")), ("total",),
                 {"eps": 1e-10, "weight_decay": 0.0}),
)  # fmt: skip

# Settings in a form that can be remembered: pairs of a name and a value.
Settings = tuple[tuple[str, float], ...]
# A private character, so that no name contains it.
_MARK = "\ue000"

OPTIMIZERS: dict[str, OptimizerRow] = {row.name: row for row in _ROWS}


def lines_of(row: OptimizerRow, settings: Mapping[str, float]) -> list[Line]:
    """The lines of a rule that take part with these settings.

    >>> [line.name for line in lines_of(OPTIMIZERS["sgd"], {"lr": 0.1, "weight_decay": 0.0})]
    ['p']
    """
    return [
        line for line in row.lines
        if not line.when or bool(settings.get(line.when.lstrip("!"))) != line.when.startswith("!")
    ]  # fmt: skip


def state_of(row: OptimizerRow, settings: Mapping[str, float]) -> list[str]:
    """The numbers that the optimizer keeps with these settings, by name."""
    computed = {line.name for line in lines_of(row, settings)}
    return [name for name in row.state if name in computed]


_FLOATS: dict[str, Callable[..., float]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "pow": operator.pow,
    "sqrt": math.sqrt, "neg": operator.neg,
}  # fmt: skip


def evaluate(formula: str, values: Mapping[str, float]) -> float:
    """A formula of a rule in Python's floats; nan where it has no value.

    >>> evaluate("p - lr*g", {"p": 1.0, "lr": 0.1, "g": -8.0})
    1.8
    """
    try:
        return evaluated(formula, values, float, lambda rule, inputs: _FLOATS[rule](*inputs))
    except (ValueError, ZeroDivisionError, OverflowError):
        return math.nan


def written(formula: str, texts: Mapping[str, str], settings: Settings, number: Callable[[float], str]) -> str:
    """A formula with `texts` for its names; what `settings` alone decide becomes a number, written by `number`.

    >>> written("p - lr*g", {"p": "1", "g": "(-8)"}, (("lr", 0.1),), str)
    '1 - 0.1·(-8)'
    >>> written("total + g**2", {"total": "(-4)", "g": "4"}, (), str)
    '-4 + 4**2'
    """
    pieces = _pieces(formula, settings, number)
    text = "".join([texts[piece] if k % 2 else piece for k, piece in enumerate(pieces)])
    # The brackets around a negative number are needed after an operator, or before a power.
    if text.startswith("(-") and not text.partition(")")[2].startswith("**"):
        inner, _, rest = text[1:].partition(")")
        return inner + rest
    return text


@cache
def _pieces(formula: str, settings: Settings, number: Callable[[float], str]) -> list[str]:
    """The formula as it is written, split at its names, which stand at odd places."""
    graph, root, _ = template(formula)
    known = _settled(graph, dict(settings))
    names = {i: number(value) for i, value in known.items()}
    names |= {
        i: f"{_MARK}{node.value}{_MARK}" for i, node in enumerate(graph.nodes) if node.rule == INPUT and i not in known
    }
    return write(graph, root, names, TIMES).split(_MARK)


def _settled(graph: Graph, settings: Mapping[str, float]) -> dict[int, float]:
    """The value of every node that depends on settings only."""
    values: dict[int, float] = {}
    for i, node in enumerate(graph.nodes):
        if node.rule == INPUT and str(node.value) in settings:
            values[i] = settings[str(node.value)]
        elif any(j in values for j in node.inputs):
            constants = {j: float(value) for j in node.inputs if isinstance(value := graph.nodes[j].value, Fraction)}
            if all(j in values or j in constants for j in node.inputs):
                values[i] = _FLOATS[node.rule](*[(values | constants)[j] for j in node.inputs])
    return values
