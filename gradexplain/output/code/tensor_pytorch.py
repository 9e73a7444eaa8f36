"""A derivation on tensors as a module for PyTorch: forward, and a backward of vector-Jacobian products."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gradexplain.output.code.listing import Line, code_of, module, tuple_of
from gradexplain.output.code.pytorch import IMPORTS, PYTORCH, check_sources, checks, loss_module
from gradexplain.output.code.tensor_listing import TensorListing
from gradexplain.output.code.tensor_spelling import HELPERS, TensorSpeller
from gradexplain.output.numbers import bare, sizes
from gradexplain.records import Derivation
from gradexplain.tensor import Tensor

# A larger tensor is drawn at random where the module checks itself.
MAX_WRITTEN = 200
RESERVED = PYTORCH.reserved | {"pi", "e", *HELPERS}
_WORD = re.compile(r"[^\W\d]\w*")


def render(derivation: Derivation) -> str:
    """The module: class `Loss`, function `loss` of the inputs, and a check at the point when it is run.

    Raises OptionError where a gradient is wanted by a node that is no input.
    """
    check_sources(derivation)
    speller = TensorSpeller("grad_output")
    listing = TensorListing(derivation, RESERVED, speller)
    inputs = ", ".join(listing.inputs)
    speller.like = listing.inputs[0]
    forward = listing.forward()
    speller.like = "grad_output"
    passes = _passes(listing, forward, [_added(line) for line in listing.backward()])
    words = _words(passes)
    helpers = [name for name in HELPERS if name in words or (name == "prod_of_others" and "cofactor" in words)]
    about = f"for tensors of the shapes {_shapes(derivation)}"
    body = [
        *[line for name in helpers for line in (*HELPERS[name].splitlines(), "", "")],
        *loss_module(derivation, inputs, passes, about, _check(derivation)),
    ]
    return module(derivation, body, IMPORTS)


def _added(line: Line) -> Line:
    """A contribution that is added, in a new tensor: the old one may be the gradient of another node as well."""
    if line.operator == "=":
        return line
    code = f"({line.code})" if line.code.startswith("-") else line.code
    return line._replace(operator="=", code=f"{line.name} + {code}")


def _shapes(derivation: Derivation) -> str:
    shapes = ((name, derivation.shapes[name]) for name in derivation.inputs)
    return ", ".join(f"{name} {sizes(shape) or '()'}" for name, shape in shapes)


def _words(lines: Iterable[str]) -> set[str]:
    return {word for line in lines for word in _WORD.findall(line.split("  # ")[0])}


def _passes(listing: TensorListing, forward: list[Line], backward: list[Line]) -> list[str]:
    """What is in `forward` after its head, and the whole of `backward`."""
    graph, names, gradients = listing.graph, listing.names, listing.gradients
    indent = " " * 8
    results = dict.fromkeys(graph.inputs, "None")
    for i in listing.sources:
        results[i] = gradients[i] if i in listing.walk.totals else f"torch.zeros_like({names[i]})"
    read = _words([*(line.code for line in backward), *results.values()])
    named = listing.sizes()
    # The input that has a size is needed where the size is.
    read |= {name for size, name, _, _ in named if size in read}
    saved = [names[i] for i in sorted(names) if names[i] in read]
    seed = Line(gradients[graph.objective], "=", "grad_output", graph.objective, "the gradient of the result itself")

    def known(used: set[str]) -> list[str]:
        return [f"{indent}{size} = {name}.shape[{axis}]" for size, name, axis, _ in named if size in used]

    unpacked = [f"{indent}{tuple_of(saved)} = ctx.saved_tensors"] if saved else []
    return [
        *known(_words(line.code for line in forward)),
        *code_of(forward, indent),
        f"{indent}ctx.save_for_backward({', '.join(saved)})",
        f"{indent}return {names[graph.objective]}",
        "",
        "    @staticmethod",
        "    @once_differentiable",
        "    def backward(ctx, grad_output):",
        *unpacked,
        *known(read),
        *code_of([seed, *backward], indent),
        f"{indent}return {', '.join(results.values())}",
    ]


def _check(derivation: Derivation) -> list[str]:
    """What the module does when it is run: the value, the gradients and `gradcheck` at the point."""
    lines = ["torch.manual_seed(0)"] if any(_is_large(entry.value) for entry in derivation.inputs.values()) else []
    lines.append("point = [")
    for name, entry in derivation.inputs.items():
        needs = ", requires_grad=True" if name in derivation.gradient else ""
        if entry.value is None or _is_large(entry.value):
            lines.append(f"    torch.randn({entry.shape}, dtype=torch.float64{needs}),  # {name}")
        else:
            lines.append(f"    torch.tensor({bare(entry.value)}, dtype=torch.float64{needs}),  # {name}")
    upstream = "" if derivation.upstream == 1 else bare(derivation.upstream)
    return [*lines, *checks(derivation, upstream, "tolist")]


def _is_large(value: object) -> bool:
    return isinstance(value, Tensor) and value.count > MAX_WRITTEN
