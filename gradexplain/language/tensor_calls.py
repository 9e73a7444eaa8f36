"""Calls of tensor functions: which arguments are tensors, which are settings, and what is made of simpler ones."""

from __future__ import annotations

from collections.abc import Callable

from gradexplain.language.functions import Value
from gradexplain.language.graph import Graph
from gradexplain.language.tensor_arguments import Arguments
from gradexplain.rules.row import REQUIRED, Rule
from gradexplain.rules.shapes import ShapeProblem, axis, times
from gradexplain.rules.table import RULES

# With more than one tensor these compare element by element.
ELEMENTWISE_OR = frozenset(("max", "min"))
MAX_POWER = 64


def _plainly(rule: Rule) -> Callable[[Arguments], int]:
    """The call of a rule: its tensors, then its settings."""

    def call(arguments: Arguments) -> int:
        if rule.any_number:
            inputs = arguments.tensors()
        else:
            inputs = [arguments.tensor(*names) for names in _NAMES[: len(rule.pullbacks)]]
        settings = [arguments.setting(name, default) for name, default in rule.settings]
        return arguments.apply(rule.name, *inputs, settings=tuple(settings))

    return call


_NAMES = (("input", "A", "self"), ("target", "other", "B", "weight"), ("bias",))


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
        raise arguments.error(
            f"a norm of order {p} is not in the language", "write amax(abs(x)) for the largest element"
        )
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
        raise arguments.error(f"layer_norm over {wanted} does not fit an input whose last axes are {found}")
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


def _flatten(arguments: Arguments) -> int:
    x = arguments.tensor("input")
    return arguments.apply("flatten", x, settings=(arguments.setting("start_dim", 0), arguments.setting("end_dim", -1)))


def _one_hot(arguments: Arguments) -> int:
    return arguments.apply("one_hot", arguments.tensor("input"), settings=(arguments.setting("num_classes", REQUIRED),))


def _numel(arguments: Arguments) -> int:
    return size_node(arguments.graph, times(arguments.graph.shapes[arguments.tensor("input")]))


def _size(arguments: Arguments) -> int:
    shape, dim = arguments.graph.shapes[arguments.tensor("input")], arguments.setting("dim", REQUIRED)
    return size_node(arguments.graph, shape[axis(dim, len(shape))])


def _length(arguments: Arguments) -> int:
    shape = arguments.graph.shapes[arguments.tensor("input")]
    if not shape:
        raise ShapeProblem("a single number has no length")
    return size_node(arguments.graph, shape[0])


def _tensor(arguments: Arguments) -> int:
    return arguments.tensor("data")


def size_node(graph: Graph, size: int | str) -> int:
    """The node of a size: a number, a name, or a product of both."""
    if isinstance(size, int):
        return graph.constant(size)
    parts = [graph.constant(int(part) if part.isdigit() else part) for part in size.split("*")]
    result = parts[0]
    for part in parts[1:]:
        result = graph.apply("mul", result, part)
    return result


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
}  # fmt: skip
CALLS |= {
    "matmul": _product, "mm": _product, "mv": _product, "bmm": _product, "linear": _linear,
    "matrix_power": _matrix_power, "norm": _norm, "vector_norm": _norm, "matrix_norm": _norm,
    "max": _extreme("max"), "min": _extreme("min"), "var": _spread("var"),
    "std": _spread("std"), "layer_norm": _layer_norm, "diag": _diag, "diagonal": _diag,
    "reshape": _shaped("reshape"), "view": _shaped("reshape"), "permute": _shaped("permute"), "flip": _shaped("flip"),
    "zeros": _shaped("zeros"), "ones": _shaped("ones"), "flatten": _flatten, "ravel": _flatten, "numel": _numel,
    "size": _size, "tensor": _tensor, "t": lambda arguments: turned_over(arguments.graph, arguments.tensor("input")),
    "one_hot": _one_hot, "len": _length,
}  # fmt: skip
