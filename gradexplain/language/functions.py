"""Functions that are more than a rule with its settings: what each of them makes of its arguments."""

from __future__ import annotations

from collections.abc import Callable

from gradexplain.language.arguments import Arguments, Function
from gradexplain.language.graph import Graph
from gradexplain.language.modules import MATH, NUMPY
from gradexplain.rules.result_shapes import extreme, reduced
from gradexplain.rules.row import Rule
from gradexplain.rules.shapes import ShapeProblem, Size, axes, axis, times, write_shape

MAX_POWER = 64
# What leaves a single number as it is.
_NOTHING_MOVES = frozenset(("transpose", "permute", "flip", "cumsum"))
# What is written as an index, with as many axes before it as there are.
_COUNTED = frozenset(("select", "slice", "select_scatter", "slice_scatter"))


def plainly(rule: Rule) -> Function:
    """The call of a rule: its tensors, then its settings."""

    def call(arguments: Arguments) -> int:
        if rule.any_number:
            inputs = arguments.tensors()
        else:
            names = [name for name, parameter in arguments.parameters.items() if parameter.kind is None]
            inputs = [arguments.tensor(name) for name in names[: len(rule.pullbacks)]]
        settings = {setting.name: arguments.setting(setting.name) for setting in rule.settings}
        rank = len(arguments.graph.shapes[inputs[0]]) if inputs else 1
        if not rank and rule.name in _NOTHING_MOVES:
            rule.shape([()], settings)
            return inputs[0]
        if not rank and (rule.shape in (reduced, extreme) or rule.name == "prod_of_others"):
            # The one axis that PyTorch allows a number is none.
            axes(settings["dim"], 0)
            settings |= {"dim": None, **({"keepdim": False} if "keepdim" in settings else {})}
        elif rank and rule.name in _COUNTED:
            settings["dim"] = axis(settings["dim"], rank)
        return arguments.apply(rule.name, *inputs, settings=tuple(settings.values()))

    return call


# Products


def product(arguments: Arguments) -> int:
    """A product of vectors, matrices or batches of them, as `@` has it."""
    return arguments.apply("matmul", arguments.tensor("input"), arguments.tensor("other"))


def product_of(*ranks: int) -> Function:
    """A product of two tensors that have so many axes and no others."""

    def call(arguments: Arguments) -> int:
        nodes = arguments.tensor("input"), arguments.tensor("other")
        one, other = shapes = [arguments.graph.shapes[node] for node in nodes]
        if (len(one), len(other)) != ranks or (ranks == (3, 3) and one[0] != other[0]):
            kinds = {1: "a vector", 2: "a matrix", 3: "a batch of matrices"}
            wanted = " and ".join(kinds[rank] for rank in ranks) + " of the same batch" * (ranks == (3, 3))
            found = " and ".join(write_shape(shape) for shape in shapes)
            raise ShapeProblem(f"{arguments.name.text} takes {wanted}, not {found}", "write {0} @ {1} for others")
        return arguments.apply("matmul", *nodes)

    return call


def inner(arguments: Arguments) -> int:
    """The products of the last axes of two tensors."""
    graph, one, other = arguments.graph, arguments.tensor("input"), arguments.tensor("other")
    if not graph.shapes[one] or not graph.shapes[other]:
        return arguments.apply("mul", one, other)
    if len(graph.shapes[other]) > 2:
        raise ShapeProblem("inner of a right side with more than two axes is not in the language")
    if graph.shapes[one][-1] != graph.shapes[other][-1]:
        found = " and ".join(write_shape(graph.shapes[node]) for node in (one, other))
        raise ShapeProblem(f"inner needs last axes of one length, not {found}")
    return arguments.apply("matmul", one, turned_over(graph, other))


def numpy_dot(arguments: Arguments) -> int:
    """NumPy's dot: the product of matrices, of numbers, or of vectors."""
    one, other = arguments.tensor("input"), arguments.tensor("other")
    shapes = [arguments.graph.shapes[node] for node in (one, other)]
    if not all(shapes):
        return arguments.apply("mul", one, other)
    if len(shapes[1]) > 2:
        raise ShapeProblem("np.dot of a right side with more than two axes is not in the language",
                           "write matmul({0}, {1}) for a product of each matrix of a batch")  # fmt: skip
    return arguments.apply("matmul", one, other)


def flat(rule: str) -> Function:
    """NumPy's products of vectors, which take any tensors and flatten them."""

    def call(arguments: Arguments) -> int:
        nodes = [arguments.tensor(name) for name in ("input", "other")]
        for k, node in enumerate(nodes):
            if len(arguments.graph.shapes[node]) != 1:
                nodes[k] = arguments.apply("flatten", node, settings=(0, -1))
        return arguments.apply(rule, *nodes)

    return call


def kron(arguments: Arguments) -> int:
    """The Kronecker product; what has fewer axes gets axes of length 1 in front."""
    graph, nodes = arguments.graph, [arguments.tensor("input"), arguments.tensor("other")]
    if not all(graph.shapes[node] for node in nodes):
        return arguments.apply("mul", *nodes)
    rank = max(len(graph.shapes[node]) for node in nodes)
    for k, node in enumerate(nodes):
        for _ in range(rank - len(graph.shapes[node])):
            nodes[k] = arguments.apply("unsqueeze", nodes[k], settings=(0,))
    return arguments.apply("kron", *nodes)


def linear(arguments: Arguments) -> int:
    """A linear layer: the product with the transposed weights, and the bias added."""
    graph = arguments.graph
    x, weight, bias = arguments.tensor("input"), arguments.tensor("weight"), arguments.optional_tensor("bias")
    shape = graph.shapes[weight]
    if not 1 <= len(shape) <= 2:
        raise ShapeProblem(f"the weight of linear is a matrix or a vector, not {write_shape(shape)}")
    if bias is not None and graph.shapes[bias] not in ((), shape[:-1], *[((1,),) if len(shape) == 2 else ()]):
        raise ShapeProblem(f"the bias of linear must have the shape {write_shape(shape[:-1])}")
    result = arguments.apply("matmul", x, turned_over(graph, weight))
    return result if bias is None else arguments.apply("add", result, bias)


def matrix_power(arguments: Arguments) -> int:
    """A power of a square matrix with a whole number."""
    base, power = arguments.tensor("input"), arguments.setting("n")
    if abs(power) > MAX_POWER:
        raise arguments.error(f"matrix_power needs a whole number up to {MAX_POWER}", "", arguments.given["n"])
    arguments.apply("det", base)
    base = arguments.apply("inverse", base) if power < 0 else base
    if not power:
        return arguments.apply("eye", settings=(arguments.graph.shapes[base][-1],))
    result = base
    for _ in range(abs(power) - 1):
        result = arguments.apply("matmul", result, base)
    if abs(power) > 2 and result not in arguments.graph.spelling:
        arguments.graph.powers[result] = base, abs(power)
    return result


def solve(arguments: Arguments) -> int:
    """The solution of a linear system; a right side may be a vector, a matrix, or as many of them as PyTorch takes."""
    graph, a, b = arguments.graph, arguments.tensor("input"), arguments.tensor("other")
    one, other = graph.shapes[a], graph.shapes[b]
    vector = len(other) == 1 or (arguments.module != f"{NUMPY}.linalg" and len(other) > 1 and other == one[:-1])
    if not vector or len(one) == 2:
        return arguments.apply("solve", a, b)
    column = arguments.apply("unsqueeze", b, settings=(len(other),))
    found = arguments.apply("solve", a, column)
    return arguments.apply("squeeze", found, settings=(len(graph.shapes[found]) - 1,))


def trace(arguments: Arguments) -> int:
    """The sum of the diagonal of a matrix, square or not."""
    node = arguments.tensor("input")
    shape = arguments.graph.shapes[node]
    if len(shape) == 2 and shape[0] != shape[1]:
        return arguments.apply("sum", arguments.apply("diagonal", node), settings=(None, False))
    return arguments.apply("trace", node)


# Axes and parts


def diag(arguments: Arguments) -> int:
    """The matrix with a vector as its diagonal, or the diagonal of a matrix."""
    x = arguments.tensor("input")
    return arguments.apply("diag" if len(arguments.graph.shapes[x]) == 1 else "diagonal", x)


def diag_embed(arguments: Arguments) -> int:
    """A matrix for each vector along the last axis."""
    x = arguments.tensor("input")
    return arguments.apply("diag" if len(arguments.graph.shapes[x]) == 1 else "diag_embed", x)


def diagonal(arguments: Arguments) -> int:
    """The diagonal of a matrix, or of each of the last two axes."""
    x = arguments.tensor("input")
    rank = len(arguments.graph.shapes[x])
    if rank < 2:
        return arguments.apply("diagonal", x)
    one, other = (axis(arguments.setting(name), rank) for name in ("dim1", "dim2"))
    if {one, other} != {rank - 2, rank - 1}:
        raise ShapeProblem("the diagonal of other axes than the last two is not in the language",
                           "write dim1=-2, dim2=-1")  # fmt: skip
    return arguments.apply("diagonal" if rank == 2 else "diagonals", x)


def squeeze(arguments: Arguments) -> int:
    """The tensor without axes of length 1. A size with a name may be 1, and then nobody knows what is left."""
    x, dim = arguments.tensor("input"), arguments.setting("dim")
    shape = arguments.graph.shapes[x]
    named = [size for k, size in enumerate(shape) if isinstance(size, str) and k in axes(dim, len(shape))]
    if named:
        raise ShapeProblem(f"{named[0]} may be 1, and then squeeze would remove its axis",
                           "name the axis to remove, such as squeeze(x, 1), or give a number for the size")  # fmt: skip
    return arguments.apply("squeeze", x, settings=(dim,))


def turned(arguments: Arguments) -> int:
    """NumPy's transpose: all axes in another order, or in reverse."""
    x, dims = arguments.tensor("input"), arguments.setting("dims")
    rank = len(arguments.graph.shapes[x])
    if dims is None and rank < 3:
        return turned_over(arguments.graph, x)
    dims = tuple(range(rank))[::-1] if dims is None else dims
    return arguments.apply("permute", x, settings=(dims,))


def flipped(arguments: Arguments) -> int:
    """NumPy's flip, which turns all axes around where none is named."""
    x, dims = arguments.tensor("input"), arguments.setting("dims")
    dims = tuple(range(len(arguments.graph.shapes[x]))) if dims is None else dims
    return arguments.apply("flip", x, settings=(dims if isinstance(dims, tuple) else (dims,),))


def filled(rule: str) -> Function:
    """A tensor of one number."""

    def call(arguments: Arguments) -> int:
        return arguments.apply(rule, settings=(arguments.setting("shape"),))

    return call


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
    "T": turned_over, "H": turned_over, "mT": swapped, "mH": swapped,
}  # fmt: skip


# Sizes


def numel(arguments: Arguments) -> int:
    """How many elements there are."""
    return arguments.graph.size(times(arguments.graph.shapes[arguments.tensor("input")]))


def size(arguments: Arguments) -> int:
    """How many elements there are along an axis."""
    shape, dim = arguments.graph.shapes[arguments.tensor("input")], arguments.setting("dim")
    if not shape:
        raise ShapeProblem(f"there is no axis {dim}", "a single number has no axes")
    return arguments.graph.size(shape[axis(dim, len(shape))])


def length(arguments: Arguments) -> int:
    """How many elements there are along the first axis."""
    shape: tuple[Size, ...] = arguments.graph.shapes[arguments.tensor("input")]
    if not shape:
        raise ShapeProblem("a single number has no length")
    return arguments.graph.size(shape[0])


def only_numbers(arguments: Arguments) -> None:
    """Refuse a tensor with axes for a function of Python's `math`."""
    for value in arguments.given.values():
        if value.content is None and arguments.module == MATH and arguments.graph.shapes[value.node]:
            hint = f"write torch.{arguments.name.text}(…)"
            raise ShapeProblem(f"math.{arguments.name.text} takes single numbers", hint)
