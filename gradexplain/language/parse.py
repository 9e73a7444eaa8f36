"""Text -> graph: the statements of a formula, and the point `w=1,b=0` at which it is taken."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gradexplain.errors import FormulaError, PointError, ShapeError, nearest
from gradexplain.language.arguments import is_boolean
from gradexplain.language.graph import SYMBOLIC_CONSTANTS, Graph
from gradexplain.language.parser import Parser
from gradexplain.language.reader import PAIR, Value
from gradexplain.language.tokens import END, LINE_END, NAME, SYMBOL, Token
from gradexplain.rules.shapes import Shape, ShapeProblem, resolved
from gradexplain.rules.table import ELEMENTWISE, RULES

NO_SHAPES: Mapping[str, Shape] = MappingProxyType({})


def parse(text: str, given: Collection[str] = (), shapes: Mapping[str, Shape] = NO_SHAPES) -> Graph:
    """The graph of a formula: statements `name = expression` with `;` or line ends between, the last is the objective.

    `given` holds the names that have a value, so that `e` and `pi` can be variables. `shapes` are those of the inputs
    that are vectors or matrices. Raises FormulaError.

    >>> graph = parse("y_pred = w*x + b; loss = (y_true - y_pred)**2")
    >>> graph.names[graph.objective], [graph.nodes[i].value for i in graph.inputs]
    ('loss', ['w', 'x', 'b', 'y_true'])
    """
    parser = _parser(text, given, shapes)
    graph = parser.graph
    last: Value | None = None
    name: Token | None = None
    before = 0
    while _skip(parser, ";").kind != END:
        if last is not None and name is None:
            raise parser.error("only the last statement can do without a name", last, "write name = expression")
        name, before = _target(parser), len(graph.nodes)
        last = parser.expression(";")
        if name is not None:
            parser.variables[name.text] = _named(graph, last, name.text, before)
            if last.pair == PAIR:
                parser.pairs.add(name.text)
    if last is None:
        raise FormulaError("the formula is empty", hint='write one, such as "(y - (w*x+b))**2"')
    if is_boolean(graph, last.node):
        raise parser.error("a comparison has no gradient", last, "use it as the condition of where(…)")
    if name is None:
        graph.objective = graph.name(last.node, objective_name({*parser.variables, *parser.first_use}), before)
    else:
        graph.objective = parser.variables[name.text]
    if not graph.inputs:
        raise FormulaError("the formula has no variable to differentiate by", text.rstrip(), 0, len(text.rstrip()),
                           "put a name where the number can change")  # fmt: skip
    return graph


def check_sizes(graph: Graph, text: str) -> None:
    """Refuse sizes with names whose numbers do not fit the formula, such as an index that is too large for them.

    Raises ShapeError.
    """
    for i, node in enumerate(graph.nodes if graph.sizes else ()):
        if node.rule in ELEMENTWISE or node.rule not in RULES:
            continue
        settings = {name: resolved(value, graph.sizes) for name, value in graph.settings(node).items()}
        try:
            RULES[node.rule].shape([graph.lengths(j) for j in node.inputs], settings)
        except ShapeProblem as problem:
            numbers = ", ".join(f"{name} = {number}" for name, number in graph.sizes.items())
            hint = f"with {numbers}; give other numbers with --shape or --at"
            raise ShapeError(problem.message, text, *graph.places.get(i, (0, len(text))), hint) from None


def needs_tensors(text: str, given: Collection[str] = ()) -> bool:
    """Whether a formula has operations that only vectors and matrices need, whatever the shapes of its inputs.

    >>> needs_tensors("x @ w"), needs_tensors("sum(x)"), needs_tensors("summand*(x)  # @")
    (True, True, False)
    """
    try:
        return parse(text, given).needs_tensors()
    except FormulaError as error:
        return isinstance(error, ShapeError)


def _parser(text: str, given: Collection[str], shapes: Mapping[str, Shape]) -> Parser:
    graph = Graph(shapes)
    for shape in shapes.values():
        for size in shape:
            if isinstance(size, str):
                if size in SYMBOLIC_CONSTANTS:
                    message = f"a size cannot be called {size}, which is a number"
                    raise FormulaError(message, hint="give it another name")
                graph.sizes.setdefault(size, 0)
    return Parser(text, graph, given)


def parse_part(text: str, given: Collection[str] = (), shapes: Mapping[str, Shape] = NO_SHAPES) -> tuple[Graph, int]:
    """An expression on its own, such as a closed form or a local derivative, as a graph and its node in it.

    >>> graph, root = parse_part("2*X.T", ["X"], {"X": (2, 3)})
    >>> graph.shapes[root]
    (3, 2)
    """
    parser = _parser(text, given, shapes)
    # Of single numbers, a local derivative may have a variable where a formula needs a number.
    parser.graph.is_template = not shapes
    return parser.graph, parser.expression("").node


def _skip(parser: Parser, separators: str) -> Token:
    """Move past line ends and separators; returns the token that follows."""
    token = parser.tokens[parser.position]
    while token.kind == LINE_END or (token.kind == SYMBOL and token.text in separators):
        parser.position += 1
        token = parser.tokens[parser.position]
    return token


def _target(parser: Parser) -> Token | None:
    """The name before `=` where there is one, the position moved past both; checked to be new."""
    name = parser.tokens[parser.position]
    if name.kind != NAME or parser.tokens[parser.position + 1].text != "=":
        return None
    if name.text in parser.variables:
        raise parser.error(f"{name.text} is defined twice", name, "give the second one a name of its own")
    if name.text in parser.graph.sizes:
        raise parser.error(f"{name.text} is a size and a value", name, "give one of them another name")
    if name.text in parser.first_use:
        first = parser.first_use[name.text]
        raise parser.error(f"{name.text} is used before it is defined", first, "move its definition up")
    parser.position += 2
    return name


def _named(graph: Graph, value: Value, name: str, before: int) -> int:
    if is_boolean(graph, value.node) and value.node in graph.names:
        return value.node
    node = graph.name(value.node, name, before)
    graph.places.setdefault(node, (value.start, value.end))
    return node


def objective_name(taken: Collection[str]) -> str:
    """The name of a formula that was given none: L, or f, f1, f2 … where that is taken.

    >>> objective_name({"L", "x"})
    'f'
    """
    candidates = itertools.chain(["L", "f"], (f"f{i}" for i in itertools.count(1)))
    return next(name for name in candidates if name not in taken)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One `name=value` of a point: the graph of the value, and where both stand in `text`."""

    graph: Graph
    text: str
    name: Token
    value: Value


def parse_point(text: str) -> dict[str, Assignment]:
    """The assignments of a point such as `w=1,b=1/3,x=sqrt(2)`, by name. Raises PointError with the place.

    >>> sorted(parse_point("w=1, b=pi/2"))
    ['b', 'w']
    """
    point: dict[str, Assignment] = {}
    try:
        parser = Parser(text, Graph())
        graph = parser.graph
        while _skip(parser, ",;").kind != END:
            name, equals = parser.tokens[parser.position], parser.tokens[parser.position + 1 : parser.position + 2]
            if name.kind != NAME or not equals or equals[0].text != "=":
                raise parser.error("a point is written name=value", name, "such as w=1,b=0")
            if name.text in point:
                raise parser.error(f"{name.text} is given twice", name, "keep one of the values")
            parser.position += 2
            value = parser.expression(",;")
            if parser.first_use:
                unknown = next(iter(parser.first_use.values()))
                hint = nearest(unknown.text, ("pi", "e")) or "write a number, such as -2.5e-3, 1/3 or sqrt(2)"
                raise parser.error(f"the value of {name.text} is not a number", unknown, hint)
            if is_boolean(graph, value.node):
                raise parser.error(f"the value of {name.text} is a comparison, not a number", value)
            point[name.text] = Assignment(graph, text, name, value)
    except FormulaError as error:
        raise PointError(error.message, error.text, error.start, error.end, error.hint) from None
    return point
