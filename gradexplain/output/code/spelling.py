"""Operations and local derivatives as Python code: what is a number and what is an array, constants, names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from gradexplain.language.graph import INPUT, Graph
from gradexplain.language.text import ATOM, PLAIN, PRECEDENCE, Row, write
from gradexplain.readings.arithmetic import to_float
from gradexplain.readings.exact import constant_value
from gradexplain.rules.rules import RULES

# What a single number is computed with; Python's own names for rules.
SCALARS = {
    "sqrt": "math.sqrt", "exp": "math.exp", "expm1": "math.expm1", "log": "math.log", "log2": "math.log2",
    "log10": "math.log10", "log1p": "math.log1p", "sin": "math.sin", "cos": "math.cos", "tan": "math.tan",
    "asin": "math.asin", "acos": "math.acos", "atan": "math.atan", "atan2": "math.atan2", "sinh": "math.sinh",
    "cosh": "math.cosh", "tanh": "math.tanh", "abs": "math.fabs", "erf": "math.erf", "erfc": "math.erfc",
}  # fmt: skip
CONSTANTS = {"pi": "math.pi", "e": "math.e"}
# Rules with settings that are plain numbers even where everything else is a tensor.
SETTINGS = frozenset(("softplus", "leaky_relu", "elu", "hardtanh", "polygamma"))
# Rules whose local derivatives have no function and no choice in them, so that a number can go by its name.
ARITHMETIC = frozenset(("add", "sub", "mul", "div", "neg", "identity"))
# Constant parts that are larger, or whose numbers are, become a single number.
LONGEST_CONSTANT = 30
LARGEST_CONSTANT = 1e12


class Target(NamedTuple):
    """A language of code: its `functions` by rule, and the names that no variable can have.

    `identity` is the pattern of a copy. `argument` makes a number an argument of a function: it gets the number as
    text, and the name of something that has the dtype.
    """

    functions: Mapping[str, str]
    reserved: frozenset[str]
    identity: str
    argument: Callable[[str, str], str]


class Speller:
    """Writes parts of a formula's graph, whose nodes have `names` in the code, for a target.

    `reads` collects the nodes whose names were written, and `used` the rules.
    """

    def __init__(self, graph: Graph, names: Mapping[int, str], target: Target) -> None:
        self.graph, self.names, self.target = graph, names, target
        self.reads: set[int] = set()
        self.used: set[str] = set()
        self._style = replace(PLAIN, rows={**PLAIN.rows, "identity": Row(target.identity, ATOM, (ATOM,))})

    def operation(self, i: int, like: str) -> str:
        """The node `i` over the names of those that it reads; its value is an array even where it is a number."""
        return self._spell(self.graph, i, [i], like, True)

    def factor(self, graph: Graph, root: int, like: str) -> str:
        """A local derivative in a graph of its own, whose inputs are written as they are called."""
        needed = graph.ancestors([root])
        order = [i for i in range(root + 1) if needed[i] and graph.nodes[i].inputs and not graph.is_constant[i]]
        return self._spell(graph, root, order, like, False)

    def constant(self, i: int) -> str:
        """The constant node `i`, over the names of those that it reads."""
        code = Graph()
        return write(code, self._constant(self.graph, i, code), {}, self._style)

    def _spell(self, graph: Graph, root: int, order: list[int], like: str, forward: bool) -> str:
        """The node `root` as code, made of the nodes in `order`, of the inputs of the graph, and of constants."""
        code, made, numbers = Graph(), dict[int, int](), set[int]()

        def get(j: int) -> int:
            if j not in made:
                if forward and j in self.names:
                    self.reads.add(j)
                    made[j] = code.input(self.names[j])
                elif graph.nodes[j].rule == INPUT:
                    made[j] = code.input(str(graph.nodes[j].value))
                else:
                    made[j] = self._constant(graph, j, code)
                if graph.is_constant[j]:
                    numbers.add(made[j])
            return made[j]

        def tensor(n: int) -> int:
            return code.input(self.target.argument(write(code, n, {}, self._style), like))

        for i in order:
            rule, inputs, _, _ = graph.nodes[i]
            if rule == "where" and graph.is_constant[inputs[0]]:
                made[i] = get(inputs[1] if constant_value(graph, inputs[0]) else inputs[2])
                continue
            values = [get(j) for j in inputs]
            own = [k for k, n in enumerate(values) if n in numbers]
            if rule in PRECEDENCE or rule == "identity":
                made[i] = code.apply(rule, *values)
                if len(own) == len(values):
                    numbers.add(made[i])
                continue
            # Two whole numbers to choose from are a factor as they are; else a choice needs one that has the dtype.
            whole = all(isinstance(v := code.nodes[n].value, Fraction) and v.denominator == 1 for n in values[1:])
            if rule != "where" or (len(own) == 2 and not (i == root and whole and not forward)):
                for k in own:
                    setting = rule in SETTINGS and not RULES[rule].partials[k]
                    values[k] = self._literal(graph, inputs[k], code) if setting else tensor(values[k])
            made[i] = code.apply(rule, *values)
            code.spelling[made[i]] = self.target.functions[rule]
            self.used.add(rule)
        result = get(root)
        if forward and result in numbers:
            result = tensor(result)
        elif forward and code.nodes[result].rule == INPUT:
            result = code.apply("identity", result)
        return write(code, result, {}, self._style)

    def _constant(self, graph: Graph, i: int, code: Graph) -> int:
        """A constant part, made in `code`: as it was written, or as a number where that would be long or too large."""
        own = graph is self.graph
        parts = list(graph.inputs_first(i, self.names.keys() - {i} if own else ()))
        if len(parts) > LONGEST_CONSTANT or not all(self._is_readable(graph, j) for j in parts):
            return self._literal(graph, i, code)
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

    @staticmethod
    def _is_readable(graph: Graph, i: int) -> bool:
        node = graph.nodes[i]
        if node.value is not None:
            return True
        value = constant_value(graph, i)
        small = isinstance(value, bool) or value == 0 or 1 / LARGEST_CONSTANT < abs(value) < LARGEST_CONSTANT
        return small and (node.rule in PRECEDENCE or node.rule in SCALARS or node.rule == "identity")

    @staticmethod
    def _literal(graph: Graph, i: int, code: Graph) -> int:
        value = to_float(constant_value(graph, i))
        if math.isfinite(value):
            return code.constant(Fraction(repr(value)))
        return code.input("math.nan" if value != value else "math.inf" if value > 0 else "(-math.inf)")
