"""A derivation as a module for PyTorch: a `torch.autograd.Function` whose backward is written out by hand."""

from __future__ import annotations

from gradexplain.errors import OptionError
from gradexplain.output.code.listing import (
    Line,
    Listing,
    added,
    code_of,
    is_large,
    literal,
    module,
    shapes_of,
    tuple_of,
)
from gradexplain.output.code.spelling import Target, pattern_of
from gradexplain.output.formats import PLAIN, Look
from gradexplain.records import Derivation
from gradexplain.rules.table import RULES

# What is no call of the rule's own function with its settings, where the rule does not say so itself.
ROWS = {
    "cat": "torch.cat([⟨inputs⟩]⟨settings⟩)", "stack": "torch.stack([⟨inputs⟩]⟨settings⟩)",
    "transpose": "torch.transpose(⟨0⟩, ⟨dim0⟩, ⟨dim1⟩)", "reshape": "torch.reshape(⟨0⟩, ⟨shape⟩)",
    "norm": "torch.linalg.vector_norm(⟨0⟩⟨settings⟩)", "norm_of_order": "torch.linalg.vector_norm(⟨0⟩⟨settings⟩)",
    "classes": "⟨function⟩(⟨0⟩, ⟨1⟩.long()⟨settings⟩)", "diagonal": "torch.diagonal(⟨0⟩)",
    "trace": "⟨0⟩.diagonal(dim1=-2, dim2=-1).sum(-1)",
    "eye": "torch.eye(⟨n⟩, dtype=⟨like⟩.dtype, device=⟨like⟩.device)", "ones": "⟨like⟩.new_ones(⟨shape⟩)",
    "zeros": "⟨like⟩.new_zeros(⟨shape⟩)", "slice_scatter": "torch.slice_scatter(⟨0⟩, ⟨1⟩⟨settings⟩)",
    "prod_of_others": "prod_of_others(⟨0⟩, ⟨dim⟩)",
    "max_along": "torch.max(⟨0⟩⟨settings⟩).values", "min_along": "torch.min(⟨0⟩⟨settings⟩).values",
}  # fmt: skip
# What is written into a module that uses it; the first of them may be used by the others.
HELPERS = {
    "prod_of_others": '''\
def prod_of_others(a, dim):
    """For each element the product of all others along `dim`, without dividing by it."""
    moved = a.flatten() if dim is None else a.movedim(dim, -1)
    ones = torch.ones_like(moved[..., :1])
    before = torch.cumprod(torch.cat([ones, moved[..., :-1]], -1), -1)
    after = torch.cumprod(torch.cat([ones, moved.flip(-1)[..., :-1]], -1), -1).flip(-1)
    return (before * after).reshape(a.shape) if dim is None else (before * after).movedim(-1, dim)
''',
    "cofactor": '''\
def cofactor(a):
    """The matrix of cofactors, of singular matrices as well: from the singular values, each left out in turn."""
    left, values, right = torch.linalg.svd(a)
    sign = torch.linalg.det(left) * torch.linalg.det(right)
    return sign[..., None, None] * (left * prod_of_others(values, -1).unsqueeze(-2)) @ right
''',
    "kron_left": '''\
def kron_left(g, a, b):
    """What flows through the Kronecker product of a and b to a."""
    blocks = g.reshape([size for pair in zip(a.shape, b.shape) for size in pair])
    for k in range(a.dim()):
        b = b.unsqueeze(2 * k)
    return (blocks * b).sum(tuple(range(1, blocks.dim(), 2)))
''',
    "kron_right": '''\
def kron_right(g, a, b):
    """What flows through the Kronecker product of a and b to b."""
    blocks = g.reshape([size for pair in zip(a.shape, b.shape) for size in pair])
    for k in range(b.dim()):
        a = a.unsqueeze(2 * k + 1)
    return (blocks * a).sum(tuple(range(0, blocks.dim(), 2)))
''',
}

# PyTorch has a function for nearly every rule, and most have its name. A number among the arguments becomes a tensor.
PYTORCH = Target(
    functions={name: f"torch.{rule.torch or name}" for name, rule in RULES.items()} | {name: name for name in HELPERS},
    reserved=frozenset(("torch", "math", "once_differentiable", "Loss", "ctx", "grad_output", "__debug__", *HELPERS)),
    identity="⟨0⟩.clone()",
    argument=lambda number, like: f"{like}.new_tensor({number})",
    rows={name: pattern_of(call, rule) for name, rule in RULES.items() if "(" in (call := rule.torch or "")} | ROWS,
    keywords={"p": "ord"},
    turns=(".T", ".mT"),
)
IMPORTS = ["import torch", "from torch.autograd.function import once_differentiable"]


def write(derivation: Derivation, look: Look = PLAIN) -> str:
    """The module: class `Loss`, function `loss` of the inputs, and a check at the point when it is run.

    Raises OptionError where a gradient is wanted by a node that is no input, since PyTorch hands on no other.
    """
    check_sources(derivation)
    listing = Listing(derivation, PYTORCH)
    inputs = ", ".join(listing.inputs)
    about = "elementwise for tensors whose shapes broadcast"
    if not listing.is_elementwise:
        about = f"for tensors of the shapes {shapes_of(derivation)}"
    passes = _passes(listing)
    used = [
        name for name in HELPERS if name in listing.used or (name == "prod_of_others" and "cofactor" in listing.used)
    ]
    body = [
        *[line for name in HELPERS if name in used for line in (*HELPERS[name].splitlines(), "", "")],
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
        *[f"    {line}" for line in _check(derivation, listing)],
    ]
    return module(derivation, body, IMPORTS)


def check_sources(derivation: Derivation) -> None:
    """Raise OptionError where a gradient is wanted by a node that is no input, since PyTorch hands on no other."""
    for name in derivation.gradient:
        if name not in derivation.inputs:
            message = f"{name} is no input, and a function of PyTorch has gradients by its inputs only"
            raise OptionError(message, hint="name inputs in --wrt")


def _passes(listing: Listing) -> list[str]:
    """What is in `forward` after its head, and the whole of `backward`."""
    names, gradients, objective = listing.names, listing.gradients, listing.graph.objective
    indent = " " * 8
    forward = listing.forward()
    value = names[objective]
    assert listing.speller is not None
    if listing.speller.numbers[objective]:
        listing.reads.add(objective)
        value = PYTORCH.argument(value, listing.inputs[0])
    forward = [*listing.constants(), *forward]
    listing.reads.clear()
    backward = listing.backward("grad_output")
    constants = listing.constants()
    results = _results(listing)
    if listing.is_elementwise:
        sizes = []
    else:
        backward = added(backward)
        sizes = listing.sizes_in([*constants, *backward])
    # The input that has a size is needed where the size is.
    kept = {*listing.reads, *(line.node for line in sizes)}
    kept |= {i for i in listing.sources if listing.is_elementwise or i not in listing.walk.totals}
    saved = [names[i] for i in sorted(kept) if not listing.speller.numbers[i]]
    seed = Line(gradients[objective], "=", "grad_output", objective, "the gradient of the result itself")
    return [
        *code_of([*listing.sizes_in(forward), *forward], indent),
        f"{indent}ctx.save_for_backward({', '.join(saved)})",
        f"{indent}return {value}",
        "",
        "    @staticmethod",
        "    @once_differentiable",
        "    def backward(ctx, grad_output):",
        *[f"{indent}{tuple_of(saved)} = ctx.saved_tensors"] * bool(saved),
        *code_of([*sizes, *constants, *([seed] if backward else []), *backward], indent),
        f"{indent}return {', '.join(results)}",
    ]


def _results(listing: Listing) -> list[str]:
    """What `backward` hands on to each input: its gradient in its shape, None where it is not wanted."""
    results = dict.fromkeys(listing.graph.inputs, "None")
    for i in listing.sources:
        name, gradient = listing.names[i], listing.gradients[i]
        if i not in listing.walk.totals:
            results[i] = f"torch.zeros_like({name})"
        else:
            results[i] = f"{gradient}.sum_to_size({name}.shape)" if listing.is_elementwise else gradient
    return list(results.values())


def _check(derivation: Derivation, listing: Listing) -> list[str]:
    """What the module does when it is run: the value, the gradients and `gradcheck` at the point."""
    if derivation.missing and listing.is_elementwise:
        missing = ", ".join(derivation.missing)
        return [f'raise SystemExit("there is no value for {missing}; call loss with tensors")']
    lines = ["torch.manual_seed(0)"] if any(is_large(entry.value) for entry in derivation.inputs.values()) else []
    lines.append("point = [")
    for name, entry in derivation.inputs.items():
        needs = ", requires_grad=True" if name in derivation.gradient else ""
        if entry.value is None or is_large(entry.value):
            lines.append(f"    torch.randn({entry.shape}, dtype=torch.float64{needs}),  # {name}")
        else:
            lines.append(f"    torch.tensor({literal(entry.value)}, dtype=torch.float64{needs}),  # {name}")
    upstream = "" if derivation.upstream == 1 else f"torch.tensor({literal(derivation.upstream)}, dtype=torch.float64)"
    read = "item" if listing.is_elementwise else "tolist"
    lines += ["]", "value = loss(*point)", f"value.backward({upstream})"]
    lines.append(f'print("{derivation.objective} =", value.{read}())')
    places = list(derivation.inputs)
    lines += [
        f'print("d{derivation.objective}/d{name} =", point[{places.index(name)}].grad.{read}())'
        for name in derivation.gradient
    ]
    if derivation.verdict == "convention":
        lines.append("# At a kink there is no derivative, and gradcheck says False.")
    return [*lines, 'print("gradcheck:", torch.autograd.gradcheck(loss, point, raise_exception=False))']
