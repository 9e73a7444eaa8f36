"""A derivation as a module for PyTorch: a `torch.autograd.Function` whose backward is written out by hand."""

from __future__ import annotations

from gradexplain.errors import OptionError
from gradexplain.output.code.listing import Line, Listing, code_of, module, tuple_of
from gradexplain.output.code.spelling import Target
from gradexplain.output.formats import Look
from gradexplain.records import Derivation
from gradexplain.rules.rules import RULES

# PyTorch has a function for every rule, and most have its name. A number among the arguments becomes a tensor.
PYTORCH = Target(
    functions={name: f"torch.{rule.torch or name}" for name, rule in RULES.items()},
    reserved=frozenset(("torch", "math", "once_differentiable", "Loss", "ctx", "grad_output", "__debug__")),
    identity="{0}.clone()",
    argument=lambda number, like: f"{like}.new_tensor({number})",
)
IMPORTS = ["import torch", "from torch.autograd.function import once_differentiable"]


def write(derivation: Derivation, look: Look) -> str:
    """The text of the module; it looks the same everywhere."""
    return render(derivation)


def render(derivation: Derivation) -> str:
    """The module: class `Loss`, function `loss` of the inputs, and a check at the point when it is run.

    Raises OptionError where a gradient is wanted by a node that is no input, since PyTorch hands on no other.
    """
    check_sources(derivation)
    if derivation.has_tensors:
        from gradexplain.output.code import tensor_pytorch

        return tensor_pytorch.render(derivation)
    listing = Listing(derivation, PYTORCH)
    about = "elementwise for tensors whose shapes broadcast"
    body = loss_module(derivation, ", ".join(listing.inputs), _passes(listing), about, _check(derivation))
    return module(derivation, body, IMPORTS)


def check_sources(derivation: Derivation) -> None:
    """Raise OptionError where a gradient is wanted by a node that is no input, since PyTorch hands on no other."""
    for name in derivation.gradient:
        if name not in derivation.inputs:
            message = f"{name} is no input, and a function of PyTorch has gradients by its inputs only"
            raise OptionError(message, hint="name inputs in --wrt")


def _passes(listing: Listing) -> list[str]:
    """What is in `forward` after its head, and the whole of `backward`."""
    graph, names, gradients = listing.graph, listing.names, listing.gradients
    indent = " " * 8
    forward = code_of(listing.forward(), indent)
    value = names[graph.objective]
    if graph.is_constant[graph.objective]:
        listing.reads.add(graph.objective)
        value = PYTORCH.argument(value, listing.inputs[0])
    forward = code_of(listing.constants(), indent) + forward
    listing.reads.clear()
    backward = listing.backward("grad_output")
    constants = listing.constants()
    saved = [names[i] for i in sorted({*listing.reads, *listing.sources}) if not graph.is_constant[i]]
    seed = Line(gradients[graph.objective], "=", "grad_output", graph.objective, "the gradient of the result itself")
    results = dict.fromkeys(graph.inputs, "None")
    for i in listing.sources:
        name, gradient = names[i], gradients[i]
        reached = i in listing.walk.totals
        results[i] = f"{gradient}.sum_to_size({name}.shape)" if reached else f"torch.zeros_like({name})"
    return [
        *forward,
        f"{indent}ctx.save_for_backward({', '.join(saved)})",
        f"{indent}return {value}",
        "",
        "    @staticmethod",
        "    @once_differentiable",
        "    def backward(ctx, grad_output):",
        f"{indent}{tuple_of(saved)} = ctx.saved_tensors",
        *code_of([*constants, *([seed] if backward else []), *backward], indent),
        f"{indent}return {', '.join(results.values())}",
    ]


def _check(derivation: Derivation) -> list[str]:
    """What the module does when it is run: the value, the gradients and `gradcheck` at the point."""
    if derivation.missing:
        missing = ", ".join(derivation.missing)
        return [f'raise SystemExit("there is no value for {missing}; call loss with tensors")']
    lines = ["point = ["]
    for name, entry in derivation.inputs.items():
        needs = ", requires_grad=True" if name in derivation.gradient else ""
        lines.append(f"    torch.tensor({entry.value!r}, dtype=torch.float64{needs}),  # {name}")
    upstream = "" if derivation.upstream == 1 else f"{derivation.upstream!r}"
    return [*lines, *checks(derivation, upstream, "item")]


def checks(derivation: Derivation, upstream: str, read: str) -> list[str]:
    """The end of a module's check, behind the values of its point: the value, each gradient and `gradcheck`.

    `upstream` is the upstream gradient as code, empty for 1; `read` the method that makes numbers of a tensor.
    """
    seed = f"torch.tensor({upstream}, dtype=torch.float64)" if upstream else ""
    lines = ["]", "value = loss(*point)", f"value.backward({seed})"]
    lines.append(f'print("{derivation.objective} =", value.{read}())')
    places = list(derivation.inputs)
    lines += [
        f'print("d{derivation.objective}/d{name} =", point[{places.index(name)}].grad.{read}())'
        for name in derivation.gradient
    ]
    if derivation.verdict == "convention":
        lines.append("# At a kink there is no derivative, and gradcheck says False.")
    return [*lines, 'print("gradcheck:", torch.autograd.gradcheck(loss, point, raise_exception=False))']


def loss_module(derivation: Derivation, inputs: str, passes: list[str], about: str, check: list[str]) -> list[str]:
    """The lines of class `Loss`, of function `loss` with a sentence `about` it, and of the check when it is run."""
    return [
        "class Loss(torch.autograd.Function):",
        "    @staticmethod",
        f"    def forward(ctx, {inputs}):",
        *passes,
        "",
        "",
        f"def loss({inputs}):",
        f'    """The value, {about}; backward() hands on the gradients."""',
        f"    return Loss.apply({inputs})",
        "",
        "",
        'if __name__ == "__main__":',
        *[f"    {line}" for line in check],
    ]
