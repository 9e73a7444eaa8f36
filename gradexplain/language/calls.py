"""Calls by name: which rule a function name means, whether its arguments fit, and what is made of simpler ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from gradexplain.errors import nearest
from gradexplain.language.arguments import Arguments, is_boolean
from gradexplain.language.graph import Graph
from gradexplain.language.reader import Call, Reader, Value
from gradexplain.language.tokens import Token
from gradexplain.rules.products import PRODUCTS
from gradexplain.rules.row import REQUIRED, Rule
from gradexplain.rules.shapes import ShapeProblem, axis, times
from gradexplain.rules.table import ALIASES, ELEMENTWISE, RULES

# With two arguments and more these compare element by element; those of them that take any number.
VARIADIC = {"max": "maximum", "min": "minimum", "maximum": "maximum", "minimum": "minimum"}
MAX_POWER = 64
_TENSORS = (("input", "A", "self"), ("target", "other", "B", "weight"), ("bias",))


def rule_of(name: str) -> Rule | None:
    """The rule that a function name means, by its id or an alias.

    >>> rule_of("arctan2").name, rule_of("mm").name
    ('atan2', 'matmul')
    """
    return RULES.get(ALIASES.get(name, name))


def called(parser: Reader, call: Call, end: Token) -> Value:
    """The value of a call that ends with `end`. Raises FormulaError."""
    name, graph = call.name.text, parser.graph
    # What a method is called on stands before its name.
    start = min([call.name.start, *[value.start for value in call.arguments]])
    rule = ELEMENTWISE.get(name)
    if rule is not None and len(call.arguments) == len(rule.partials) and not call.keywords and all(rule.partials):
        # As most calls are.
        inputs = [value.node for value in call.arguments if value.content is None and not is_boolean(graph, value.node)]
        if len(inputs) == len(rule.partials):
            return Value(parser.node(name, inputs, start, end.end), start, end.end)
    arguments = Arguments(parser, call, start, end.end)
    known = CALLS.get(name)
    if known is None or (name in VARIADIC and not _is_one_tensor(graph, call.arguments)):
        return Value(_elementwise(parser, arguments), start, end.end)
    given = [value.node for value in call.arguments if value.content is None]
    try:
        node = known(arguments)
    except ShapeProblem as problem:
        raise parser.problem(problem, start, end.end, given) from None
    row = RULES.get(graph.nodes[node].rule)
    arguments.finish([setting for setting, _ in row.settings] if row else ())
    if row and ((name in RULES and row.name in PRODUCTS) or (name in row.aliases and name[0].islower())):
        graph.spelling.setdefault(node, name)
    return Value(node, start, end.end)


def _is_one_tensor(graph: Graph, values: Sequence[Value]) -> bool:
    """Whether there is one argument, and it has axes or elements."""
    return len(values) == 1 and (isinstance(values[0].content, list) or bool(graph.shapes[values[0].node]))


# Elementwise functions


def _elementwise(parser: Reader, given: Arguments) -> int:
    name, graph = given.name.text, parser.graph
    for value in (*given.values, *given.keywords.values()):
        value.node, value.content = parser.solid(value, "another function"), None
    rule = _named_rule(given)
    for key in given.keywords:
        if key not in rule.keywords:
            raise given.unknown(key, rule.keywords)
    if rule.name == "clamp" and len(given.values) + len(given.keywords) == 2:
        low = "min" in given.keywords or len(given.values) == 2
        rule = RULES["clamp_min" if low else "clamp_max"]
    more = given.values[2:] if name in VARIADIC else []
    if more:
        _check_kinds(rule, graph, given.values, given)
        inputs = [value.node for value in given.values[:2]]
    else:
        inputs = _filled(rule, graph, given)
    node = _made(rule, inputs, given)
    for value in more:
        node = _made(rule, [node, value.node], given)
    return node


def _made(rule: Rule, inputs: Sequence[int], given: Arguments) -> int:
    node = given.apply(rule.name, *inputs)
    if given.name.text != rule.name and not rule.symbol:
        given.graph.spelling.setdefault(node, given.name.text)
    return node


def _named_rule(given: Arguments) -> Rule:
    name = given.name.text
    rule = rule_of(name)
    if rule is not None and rule.partials:
        return rule
    hint = nearest(name, [*RULES, *ALIASES, *CALLS])
    if not hint and len(name) <= 2:
        hint = f"to multiply, write {name}*(…)"
    raise given.error(f"unknown function {name}", hint or "gradexplain rules lists all functions")


def _filled(rule: Rule, graph: Graph, given: Arguments) -> list[int]:
    """The inputs in the order of the rule, keywords and defaults put in their places."""
    name, values = given.name.text, given.values
    count, found = len(rule.partials), len(values) + len(given.keywords)
    if not rule.required <= found <= count:
        needs = str(count) if rule.required == count else f"{rule.required} to {count}"
        plural = "argument" + "s" * (needs != "1")
        hint = "clamp(x, min, max), clamp(x, min=…) or clamp(x, max=…)" if rule.name == "clamp" else ""
        raise given.error(f"{name} takes {needs} {plural}, {found} given", hint)
    slots: list[Value | None] = [*values, *[None] * (count - len(values))]
    for key, value in given.keywords.items():
        slot = count - len(rule.keywords) + rule.keywords.index(key)
        if slots[slot] is not None:
            raise given.error(f"the argument {key} of {name} is given twice", "", value)
        slots[slot] = value
    if None in slots[: rule.required]:
        raise given.error(f"an argument of {name} is missing")
    _check_kinds(rule, graph, slots, given)
    defaults = [""] * rule.required + list(rule.defaults)
    return [
        graph.constant(Fraction(default)) if value is None else value.node
        for value, default in zip(slots, defaults, strict=True)
    ]


def _check_kinds(rule: Rule, graph: Graph, values: Sequence[Value | None], given: Arguments) -> None:
    for slot, value in enumerate(values):
        if value is None:
            continue
        boolean = is_boolean(graph, value.node)
        condition = rule.name == "where" and slot == 0
        if condition and not boolean and not graph.is_template:
            raise given.error("the condition of where must be a comparison, such as x > 0", "", value)
        if boolean and not condition:
            hint = "comparisons belong in the condition of where(…)"
            raise given.error("this comparison is used as a number", hint, value)
        setting = slot < len(rule.partials) and not rule.partials[slot] and not condition and not rule.boolean
        if setting and not graph.is_constant[value.node] and not graph.is_template:
            what = rule.keywords[slot - len(rule.partials) + len(rule.keywords)] if rule.keywords else "first argument"
            raise given.error(f"the {what} of {rule.name} must be a number, not a variable", "", value)


# Functions of tensors


def _plainly(rule: Rule) -> Callable[[Arguments], int]:
    """The call of a rule: its tensors, then its settings."""

    def call(arguments: Arguments) -> int:
        if rule.any_number:
            inputs = arguments.tensors()
        else:
            inputs = [arguments.tensor(*names) for names in _TENSORS[: len(rule.pullbacks)]]
        settings = [arguments.setting(name, default) for name, default in rule.settings]
        return arguments.apply(rule.name, *inputs, settings=tuple(settings))

    return call


def _product(arguments: Arguments) -> int:
    return arguments.apply("matmul", arguments.tensor("input"), arguments.tensor("other", "mat2", "vec"))


def _linear(arguments: Arguments) -> int:
    graph = arguments.graph
    x, weight, bias = arguments.tensor("input"), arguments.tensor("weight"), arguments.optional_tensor("bias")
    turned = turned_over(graph, weight) if len(graph.shapes[weight]) > 1 else weight
    product = arguments.apply("matmul", x, turned)
    return product if bias is None else arguments.apply("add", product, bias)


def _matrix_power(arguments: Arguments) -> int:
    base, power = arguments.tensor("input"), arguments.setting("n", REQUIRED)
    if not isinstance(power, int) or abs(power) > MAX_POWER:
        raise arguments.error(f"matrix_power needs a whole number up to {MAX_POWER}")
    arguments.apply("inverse", base) if power < 0 else arguments.apply("trace", base)
    base = arguments.apply("inverse", base) if power < 0 else base
    if not power:
        return arguments.apply("eye", settings=(arguments.graph.shapes[base][-1],))
    result = base
    for _ in range(abs(power) - 1):
        result = arguments.apply("matmul", result, base)
    if abs(power) > 2 and result not in arguments.graph.spelling:
        arguments.graph.powers[result] = base, abs(power)
    return result


def _norm(arguments: Arguments) -> int:
    x, p = arguments.tensor("input"), arguments.setting("p", 2)
    dim, keepdim = arguments.setting("dim", None), arguments.setting("keepdim", False)
    if p in (2, "fro", None):
        if p == 2 and arguments.name.text == "matrix_norm":
            raise arguments.error("the largest singular value is not in the language", "norm(A) is the Frobenius norm")
        return arguments.apply("norm", x, settings=(dim, keepdim))
    if p == "inf" or not isinstance(p, (int, float)) or p <= 0:
        hint = "write amax(abs(x)) for the largest element"
        raise arguments.error(f"a norm of order {p} is not in the language", hint)
    return arguments.apply("norm_of_order", x, settings=(p, dim, keepdim))


def _extreme(name: str) -> Callable[[Arguments], int]:
    """`max(x)` of all elements shares the gradient among ties, `max(x, dim=1)` takes the first, as in PyTorch."""

    def call(arguments: Arguments) -> int:
        x, dim = arguments.tensor("input"), arguments.setting("dim", None)
        keepdim = arguments.setting("keepdim", False)
        return arguments.apply(f"a{name}" if dim is None else f"{name}_along", x, settings=(dim, keepdim))

    return call


def _spread(name: str) -> Callable[[Arguments], int]:
    def call(arguments: Arguments) -> int:
        x, dim = arguments.tensor("input"), arguments.setting("dim", None)
        correction = arguments.setting("correction", None)
        unbiased = dim if isinstance(dim, bool) else arguments.keywords.pop("unbiased", None)
        if isinstance(unbiased, Value):
            unbiased = arguments.plain(unbiased)
        dim = None if isinstance(dim, bool) else dim
        if isinstance(correction, bool):
            unbiased, correction = correction, None
        correction = correction if correction is not None else int(unbiased if unbiased is not None else True)
        return arguments.apply(name, x, settings=(dim, correction, arguments.setting("keepdim", False)))

    return call


def _layer_norm(arguments: Arguments) -> int:
    x, shape = arguments.tensor("input"), arguments.setting("normalized_shape", None)
    weight, bias = arguments.optional_tensor("weight"), arguments.optional_tensor("bias")
    wanted = shape if isinstance(shape, tuple) else arguments.graph.shapes[x][-1:] if shape is None else (shape,)
    found = arguments.graph.shapes[x][-len(wanted) :]
    if not wanted or wanted != found:
        raise ShapeProblem(f"layer_norm over {wanted} does not fit an input whose last axes are {found}")
    eps = arguments.setting("eps", 1e-05)
    node = arguments.apply("layer_norm", x, settings=(wanted, eps))
    node = node if weight is None else arguments.apply("mul", node, weight)
    return node if bias is None else arguments.apply("add", node, bias)


def _diag(arguments: Arguments) -> int:
    x = arguments.tensor("input")
    return arguments.apply("diag" if len(arguments.graph.shapes[x]) == 1 else "diagonal", x)


def _shaped(rule: str) -> Callable[[Arguments], int]:
    def call(arguments: Arguments) -> int:
        inputs = [arguments.tensor("input")] if rule in ("reshape", "permute", "flip") else []
        sizes = arguments.sizes("dims" if rule in ("permute", "flip") else "shape")
        return arguments.apply(rule, *inputs, settings=(sizes,))

    return call


def _numel(arguments: Arguments) -> int:
    return arguments.graph.size(times(arguments.graph.shapes[arguments.tensor("input")]))


def _size(arguments: Arguments) -> int:
    shape, dim = arguments.graph.shapes[arguments.tensor("input")], arguments.setting("dim", REQUIRED)
    if not shape:
        raise ShapeProblem(f"there is no axis {dim}", "a single number has no axes")
    return arguments.graph.size(shape[axis(dim, len(shape))])


def _length(arguments: Arguments) -> int:
    shape = arguments.graph.shapes[arguments.tensor("input")]
    if not shape:
        raise ShapeProblem("a single number has no length")
    return arguments.graph.size(shape[0])


def turned_over(graph: Graph, node: int) -> int:
    """The transpose of a matrix; a vector as it is. Raises ShapeProblem for more axes than two."""
    rank = len(graph.shapes[node])
    if rank > 2:
        raise ShapeProblem(".T of more than two axes is not in the language", "write .mT, or transpose(x, dim0, dim1)")
    return node if rank < 2 else graph.apply("transpose", node, settings=(0, 1))


def swapped(graph: Graph, node: int) -> int:
    """The last two axes swapped. Raises ShapeProblem where there are none."""
    rank = len(graph.shapes[node])
    if rank < 2:
        raise ShapeProblem(".mT needs a matrix")
    return graph.apply("transpose", node, settings=(rank - 2, rank - 1))


PROPERTIES: dict[str, Callable[[Graph, int], int]] = {
    "T": turned_over, "H": turned_over, "mT": swapped, "mH": swapped, "values": lambda _, node: node,
}  # fmt: skip
CALLS: dict[str, Callable[[Arguments], int]] = {
    name: _plainly(rule) for rule in RULES.values() if not rule.partials for name in (rule.name, *rule.aliases)
}
CALLS |= {
    "matmul": _product, "mm": _product, "mv": _product, "bmm": _product, "linear": _linear,
    "matrix_power": _matrix_power, "norm": _norm, "vector_norm": _norm, "matrix_norm": _norm,
    "max": _extreme("max"), "min": _extreme("min"), "var": _spread("var"),
    "std": _spread("std"), "layer_norm": _layer_norm, "diag": _diag, "diagonal": _diag,
    "reshape": _shaped("reshape"), "view": _shaped("reshape"), "permute": _shaped("permute"), "flip": _shaped("flip"),
    "zeros": _shaped("zeros"), "ones": _shaped("ones"), "numel": _numel, "size": _size, "len": _length,
    "tensor": lambda arguments: arguments.tensor("data"),
    "t": lambda arguments: turned_over(arguments.graph, arguments.tensor("input")),
}  # fmt: skip
