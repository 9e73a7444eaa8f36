"""Operations and derivatives as Python code: what is a number and what is an array, constants, names, settings."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

from gradexplain.calculus.pullbacks import Defined
from gradexplain.errors import OptionError
from gradexplain.language.graph import CONSTANT, INPUT, SYMBOLIC_CONSTANTS, Graph
from gradexplain.language.setting_texts import shown
from gradexplain.language.text import (
    ATOM,
    PLAIN,
    PRECEDENCE,
    Part,
    Row,
    filled,
    is_product,
    parts,
    turn,
    write,
)
from gradexplain.readings.arithmetic import to_float
from gradexplain.readings.exact import constant_value
from gradexplain.readings.torch_rules import plain_inputs
from gradexplain.rules.row import Rule
from gradexplain.rules.shapes import Shape
from gradexplain.rules.table import ELEMENTWISE, RULES

# What a single number is computed with; Python's own names for rules.
SCALARS = {
    "sqrt": "math.sqrt", "exp": "math.exp", "expm1": "math.expm1", "log": "math.log", "log2": "math.log2",
    "log10": "math.log10", "log1p": "math.log1p", "sin": "math.sin", "cos": "math.cos", "tan": "math.tan",
    "asin": "math.asin", "acos": "math.acos", "atan": "math.atan", "atan2": "math.atan2", "sinh": "math.sinh",
    "cosh": "math.cosh", "tanh": "math.tanh", "abs": "math.fabs", "erf": "math.erf", "erfc": "math.erfc",
}  # fmt: skip
CONSTANTS = {"pi": "math.pi", "e": "math.e"}
# Constant parts that are larger, or whose numbers are, become a single number.
LONGEST_CONSTANT = 30
LARGEST_CONSTANT = 1e12
# In the pattern of a target, `⟨0⟩` and `⟨1⟩` are the tensors, `⟨inputs⟩` all of them, `⟨settings⟩` the settings by
# name, `⟨like⟩` what has the dtype; any other word is the setting of that name.
_CALL = "⟨function⟩(⟨inputs⟩⟨settings⟩)"


class Target(NamedTuple):
    """A language of code: its `functions` by rule, and the names that no variable can have.

    `identity` is the pattern of a copy. `argument` makes a number an argument of a function: it gets the number as
    text, and the name of something that has the dtype. `rows` are the patterns of rules that are no call of their
    function with its settings, `keywords` its names of settings, and `turns` how it can write a transposition.
    """

    functions: Mapping[str, str]
    reserved: frozenset[str]
    identity: str
    argument: Callable[[str, str], str]
    rows: Mapping[str, str]
    keywords: Mapping[str, str]
    turns: tuple[str, ...]


def pattern_of(call: str, rule: Rule) -> str:
    """The pattern of a call as a row of the rule table has it, with the names of inputs and settings.

    >>> pattern_of("torch.max(a, dim, keepdim).values", RULES["max_along"])
    'torch.max(⟨0⟩, ⟨dim⟩, ⟨keepdim⟩).values'
    """
    words = {letter: f"⟨{k}⟩" for k, letter in enumerate(rule.parameters)}
    words |= {name: f"⟨{name}⟩" for name, *_ in rule.settings}
    words |= {"inputs": "[⟨inputs⟩]", "dtype": "⟨like⟩.dtype"}
    # A word behind a dot is a method, one before a sign of equality the name of a setting.
    return re.sub(r"(?<![\w.])([^\W\d]\w*)(?!\w|\s*=)", lambda found: words.get(found[1], found[1]), call)


def settings_of(rule: str) -> Sequence[int]:
    """Which inputs of a rule are plain numbers even where everything else is an array; a step takes an array for both.

    >>> settings_of("leaky_relu"), settings_of("heaviside")
    ([1], ())
    """
    return plain_inputs(rule) if rule in ELEMENTWISE and rule != "heaviside" else ()


def parts_of(graph: Graph, root: int, known: Container[int]) -> Iterator[int]:
    """The nodes that `root` is made of, each after its inputs and `root` last; those in `known` are passed over."""
    for j in graph.nodes[root].inputs:
        yield from graph.inputs_first(j, known)
    yield root


def numbers_in(graph: Graph) -> list[bool]:
    """For each node, whether it is a number that is known: not of a size with a name, not made by way of a tensor."""
    found: list[bool] = []
    for rule, inputs, value, _ in graph.nodes:
        if rule == CONSTANT:
            found.append(not isinstance(value, str) or value in SYMBOLIC_CONSTANTS)
        else:
            found.append(rule in ELEMENTWISE and all(found[j] for j in inputs))
    return found


class Speller:
    """Writes parts of a formula's graph, whose nodes have `names` in the code, for a target.

    `reads` collects the nodes whose names were written, and `used` the rules; `numbers` says which nodes are known
    numbers.
    """

    def __init__(self, graph: Graph, names: Mapping[int, str], target: Target) -> None:
        self.graph, self.names, self.target = graph, names, target
        self.numbers = numbers_in(graph)
        self.reads: set[int] = set()
        self.used: set[str] = set()
        self._like = ""
        own = {rule: row for rule, row in PLAIN.rows.items() if rule not in ELEMENTWISE or rule in PRECEDENCE}
        rows = {**own, "identity": Row(target.identity, ATOM, (ATOM,))}
        self._style = replace(PLAIN, rows=rows, special=self._parts)

    def operation(self, i: int, like: str) -> str:
        """The node `i` over the names of those that it reads; its value is an array even where it is a number."""
        self._like = like
        return _Spelling(self, self.graph, self.numbers, True).text(i, True)

    def factor(self, graph: Graph, root: int, like: str) -> str:
        """A local derivative in a graph of its own, whose inputs are written as they are called."""
        self._like = like
        return _Spelling(self, graph, numbers_in(graph), False).text(root, False)

    def product(self, graph: Graph, root: int, like: str) -> str:
        """The same of a vector-Jacobian product, which is an array even where it is a number."""
        self._like = like
        return _Spelling(self, graph, numbers_in(graph), False).text(root, True)

    def constant(self, i: int) -> str:
        """The constant node `i`, over the names of those that it reads."""
        code = Graph()
        return write(code, self.copied(self.graph, i, code), {}, self._style)

    def tensor(self, code: Graph, n: int) -> int:
        """A number as what a function takes."""
        return code.input(self.target.argument(write(code, n, {}, self._style), self._like))

    def text(self, code: Graph, n: int) -> str:
        """A node of code as text."""
        return write(code, n, {}, self._style)

    def _parts(self, code: Graph, i: int) -> list[Part] | None:
        """A node of code as literal text and its inputs; None for a call of an elementwise function."""
        node = code.nodes[i]
        if node.rule not in RULES or (node.rule in ELEMENTWISE and node.rule not in self.target.rows):
            return None
        if is_product(code, i) or node.rule in ("select", "slice") or turn(code, i) in self.target.turns:
            return parts(code, i)
        inputs, classes = node.inputs, len(node.inputs) > 1 and code.picked(node) is not None
        pattern = self.target.rows.get("classes" if classes else node.rule, _CALL)
        settings = code.settings(node)
        if node.rule == "logsumexp" and settings["dim"] is None:
            settings["dim"] = tuple(range(len(code.shapes[inputs[0]])))
        if node.rule == "flip" and isinstance(settings["dims"], int):
            settings["dims"] = (settings["dims"],)
        if node.rule == "prod" and settings["dim"] is None and settings["keepdim"]:
            # PyTorch keeps the axes only where it is told one of them.
            pattern, settings["shape"] = "⟨function⟩(⟨0⟩).reshape(⟨shape⟩)", (1,) * len(code.shapes[inputs[0]])
        words = {
            "function": self.target.functions.get(node.rule, node.rule),
            "like": self._like,
            "settings": "".join(self._setting(node.rule, name, value, settings) for name, value in settings.items()),
            **{name: shown(value) for name, value in settings.items()},
        }
        return filled(pattern, inputs, words)

    def _setting(self, rule: str, name: str, value: object, settings: Mapping[str, object]) -> str:
        """A setting by its name; empty for one that has the default of all targets."""
        needed = name == "dim" and settings.get("keepdim") and rule in ("sum", "mean", "var", "std")
        if (value is None and not needed) or value is False or (value == "mean" and name == "reduction"):
            return ""
        return f", {self.target.keywords.get(name, name)}={shown(value)}"

    def copied(self, graph: Graph, i: int, code: Graph) -> int:
        """A known number, made in `code`: as it was written, or as its value where that would be long or too large."""
        own = graph is self.graph
        parts = list(parts_of(graph, i, self.names if own else ()))
        if len(parts) > LONGEST_CONSTANT or not all(_is_readable(graph, j) for j in parts):
            return literal(graph, i, code)
        made: dict[int, int] = {}
        for j in parts:
            rule, inputs, value, _ = graph.nodes[j]
            if isinstance(value, Fraction):
                made[j] = code.constant(value)
            elif value is not None:
                made[j] = code.input(CONSTANTS[value])
            else:
                for k in inputs:
                    if k not in made:
                        self.reads.add(k)
                        made[k] = code.input(self.names[k])
                made[j] = made[inputs[0]] if rule == "identity" else code.apply(rule, *[made[k] for k in inputs])
                if rule in SCALARS:
                    code.spelling[made[j]] = SCALARS[rule]
        return made[i]


class _Spelling:
    """One text: the node of a graph, made again in `code` as the target says it, with functions, numbers and names."""

    def __init__(self, speller: Speller, graph: Graph, known: list[bool], forward: bool) -> None:
        self.speller, self.graph, self.known, self.forward = speller, graph, known, forward
        self.shapes = dict(graph.given)
        self.code = Graph(self.shapes)
        self.made: dict[int, int] = {}
        # Those of the nodes in `code` that are numbers and no arrays.
        self.numbers: set[int] = set()

    def text(self, root: int, as_array: bool) -> str:
        """The node `root`; with `as_array`, a number is made an array, and in the forward pass a name a copy."""
        for i in parts_of(self.graph, root, self.speller.names if self.forward else ()):
            node = self.graph.nodes[i]
            if not self.known[i] and node.value is None:
                self.made[i] = self._operation(i, i == root)
        result = self._get(root)
        if as_array and result in self.numbers:
            result = self.speller.tensor(self.code, result)
        elif self.forward and self.code.nodes[result].rule == INPUT:
            result = self.code.apply("identity", result)
        return self.speller.text(self.code, result)

    def _get(self, j: int) -> int:
        if j not in self.made:
            self.made[j] = self._leaf(j)
            if self.known[j] or self.graph.nodes[j].rule == CONSTANT:
                self.numbers.add(self.made[j])
        return self.made[j]

    def _leaf(self, j: int) -> int:
        """What is not made of other parts: a node with a name, an input, a size, a known number."""
        speller, value = self.speller, self.graph.nodes[j].value
        if self.forward and j in speller.names:
            speller.reads.add(j)
            self.shapes[speller.names[j]] = self.graph.shapes[j]
            return self.code.input(speller.names[j])
        return speller.copied(self.graph, j, self.code) if self.known[j] else self.code.input(str(value))

    def _operation(self, i: int, is_root: bool) -> int:
        graph, code = self.graph, self.code
        rule, inputs, _, settings = graph.nodes[i]
        if rule == "where" and self.known[inputs[0]]:
            return self._get(inputs[1] if constant_value(graph, inputs[0]) else inputs[2])
        values = [self._get(j) for j in inputs]
        for k in settings_of(rule):
            if values[k] in self.numbers:
                values[k] = literal(graph, inputs[k], code)
        made = self._applied(rule, values, settings, is_root and not self.forward)
        if rule not in ELEMENTWISE and (i in graph.spelling or i in graph.powers):
            code.spelling[made] = rule
        return made

    def apply(self, rule: str, inputs: Sequence[int], settings: tuple[Any, ...] = ()) -> int:
        """The node of a rule; with `number`, `size` and `shape` it makes what a definition is made of."""
        return self._applied(rule, list(inputs), settings, False)

    def _applied(self, rule: str, values: list[int], settings: tuple[Any, ...], is_factor: bool) -> int:
        """The node of a rule, numbers among its inputs made arrays where its function needs them.

        `is_factor` says that an array is multiplied by the result as it is.
        """
        code, target = self.code, self.speller.target
        own = [k for k, n in enumerate(values) if n in self.numbers]
        if rule in PRECEDENCE or rule == "identity":
            made = code.apply(rule, *values)
            if len(own) == len(values):
                self.numbers.add(made)
            return made
        # Two whole numbers to choose from are a factor as they are; else a choice needs one that has the dtype.
        whole = all(isinstance(v := code.nodes[n].value, Fraction) and v.denominator == 1 for n in values[1:])
        if rule != "where" or (len(own) == 2 and not (whole and is_factor)):
            for k in own:
                if k not in settings_of(rule):
                    values[k] = self.speller.tensor(code, values[k])
        if rule not in target.functions and rule not in target.rows:
            if not RULES[rule].definition:
                raise OptionError(f"{rule} is not written in this format", hint="use --format pytorch")
            return Defined(self, rule, values, settings).result()
        made = code.apply(rule, *values, settings=settings)
        if rule in ELEMENTWISE and rule in target.functions:
            code.spelling[made] = target.functions[rule]
        self.speller.used.add(rule)
        return made

    def number(self, value: Any) -> int:
        """A number, or pi or e."""
        if isinstance(value, str):
            made = self.code.input(CONSTANTS[value])
        else:
            made = self.code.constant(Fraction(repr(value)) if isinstance(value, float) else value)
        self.numbers.add(made)
        return made

    def size(self, size: int | str) -> int:
        """A size, which may have a name."""
        made = self.code.size(size)
        self.numbers.add(made)
        return made

    def shape(self, value: int) -> Shape:
        """The shape of a node."""
        return self.code.shapes[value]


def _is_readable(graph: Graph, i: int) -> bool:
    node = graph.nodes[i]
    if node.value is not None:
        return True
    value = constant_value(graph, i)
    small = isinstance(value, bool) or value == 0 or 1 / LARGEST_CONSTANT < abs(value) < LARGEST_CONSTANT
    return small and (node.rule in PRECEDENCE or node.rule in SCALARS or node.rule == "identity")


def literal(graph: Graph, i: int, code: Graph) -> int:
    """A known number as its value, made in `code`."""
    value = to_float(constant_value(graph, i))
    if math.isfinite(value):
        return code.constant(Fraction(repr(value)))
    return code.input("math.nan" if value != value else "math.inf" if value > 0 else "(-math.inf)")
