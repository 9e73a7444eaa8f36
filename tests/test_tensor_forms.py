"""Closed forms of gradients on tensors: what is printed for well-known losses, and random formulas against autograd."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tensor_checks import close, evaluate, point, printed, read, run

from gradexplain.language.parse import parse
from gradexplain.language.text import write

# formula, shapes with names of sizes, variable, the gradient as it is printed
WRITTEN = [
    ("mean((X @ W.T + b - Y)**2)", "X=n,2 W=1,2 b=1 Y=n,1", "W", "2/n * (X @ W.T + b - Y).T @ X"),
    ("mean((X @ w - y)**2)", "X=n,d w=d y=n", "w", "2/n * X.T @ (X @ w - y)"),
    ("mse_loss(X @ W.T + b, Y)", "X=n,2 W=3,2 b=3 Y=n,3", "b", "2*sum(X @ W.T + b - Y, dim=0)/(3*n)"),
    ("x @ A @ x", "x=n A=n,n", "x", "(A + A.T) @ x"),
    ("logdet(X)", "X=n,n", "X", "inverse(X).T"),
    ("det(X)", "X=n,n", "X", "det(X)*inverse(X).T"),
    ("p = sigmoid(X @ w); L = -mean(y*log(p) + (1 - y)*log(1 - p))", "X=n,d w=d y=n", "w", "X.T @ (p - y)/n"),
    ("p = sigmoid(X @ w); L = binary_cross_entropy(p, y)", "X=n,d w=d y=n", "w", "X.T @ (p - y)/n"),
    ("cross_entropy(z, y)", "z=n,3 y=n", "z", "(softmax(z, dim=1) - one_hot(y, 3))/n"),
    ("cross_entropy(X @ W, y)", "X=n,d W=d,C y=n", "W", "X.T @ (softmax(X @ W, dim=1) - one_hot(y, C))/n"),
    ("sum(relu(M @ A) @ x)", "M=4,3 A=3,3 x=3", "M", "(x*heaviside(M @ A, 0)) @ A.T"),
    ("sum(M @ x)", "M=4,3 x=3", "x", "sum(M, dim=0)"),
    ("sum(M @ x)", "M=4,3 x=3", "M", "x*ones_like(M)"),
    ("x[0]*x[1]", "x=2", "x", "[x[1], x[0]]"),
    ("x[0]*x[2]", "x=3", "x", "[x[2], 0, x[0]]"),
    ("sum(cat([x, y])**2)", "x=3 y=2", "y", "2*y"),
    ("norm(x)**2", "x=n", "x", "2*x"),
    ("norm(x - a)", "x=n a=n", "x", "(x - a)/norm(x - a)"),
    ("logsumexp(x, dim=0)", "x=n", "x", "softmax(x, dim=0)"),
    ("logsumexp(x)", "x=n", "x", "softmax(x, dim=0)"),
    ("trace(inverse(A) @ A @ B)", "A=n,n B=n,n", "B", "eye(n)"),
    ("trace(matrix_power(X, 5))", "X=n,n", "X", "5*matrix_power(X.T, 4)"),
    ("sum(x - x)", "x=n", "x", "zeros_like(x)"),
    ("mean(M, dim=0) @ x", "M=4,3 x=3", "x", "mean(M, dim=0)"),
    ("sum(layer_norm(M, 3)*G)", "M=4,3 G=4,3", "M",
     "(G - mean(G, dim=-1, keepdim=True) - layer_norm(M, (3,))*mean(G*layer_norm(M, (3,)), dim=-1, keepdim=True))"
     "/sqrt(var(M, dim=-1, correction=0, keepdim=True) + 0.00001)"),
]  # fmt: skip


@pytest.mark.parametrize(("formula", "shapes", "variable", "expected"), WRITTEN, ids=lambda text: text)
def test_a_gradient_is_written_as_in_a_textbook(formula: str, shapes: str, variable: str, expected: str) -> None:
    sizes = dict(part.split("=") for part in shapes.split())
    given_shapes = {
        name: tuple(int(size) if size.isdigit() else size for size in text.split(",")) for name, text in sizes.items()
    }
    graph = parse(formula, list(sizes), given_shapes)
    assert printed(graph)[variable].text == expected  # type: ignore[arg-type]


def test_without_generic_the_exceptions_of_rules_stay() -> None:
    graph = read("norm(x)", {"x": ((3,), "")})
    assert printed(graph, generic=False)["x"].text == "where(norm(x) == 0, 0, x/norm(x))"


# Formulas at random: each is a pair of text and shape.
INPUTS = {
    "A": (3, 3), "B": (3, 3), "M": (4, 3), "x": (3,), "t": (4,), "u": (4, 1), "r": (1, 3), "c": (), "T": (2, 3, 4),
}  # fmt: skip
Term = tuple[str, tuple[int, ...]]
FUNCTIONS = ("exp", "tanh", "sigmoid", "sin", "relu", "abs", "softplus", "softmax", "log_softmax")
REDUCTIONS = ("sum", "mean", "logsumexp", "var", "norm", "amax")
SAFE = "({0}**2 + 1)"


def _shape_of(text: str) -> tuple[int, ...] | None:
    try:
        graph = parse(text, list(INPUTS), INPUTS)
    except Exception:
        return None
    return tuple(graph.shapes[graph.objective])  # type: ignore[attr-defined]


@st.composite
def formulas(draw: st.DrawFn) -> str:
    """A formula that makes some shape of the inputs, each step on the results of those before."""
    known: list[Term] = list(INPUTS.items())
    for _ in range(draw(st.integers(2, 6))):
        kind = draw(st.sampled_from("bbbbmmmftTrrpqsk"))
        one, shape = draw(st.sampled_from(known[-4:] + known))
        other, _ = draw(st.sampled_from(known))
        rank = len(shape)
        dim = draw(st.integers(-rank, rank - 1)) if rank else 0
        keep = draw(st.booleans())
        text = {
            "b": f"({one} {draw(st.sampled_from('+-*'))} {other})",
            "m": f"({one} @ {other})",
            "f": f"{draw(st.sampled_from(FUNCTIONS))}({one})",
            "t": f"({one}).T", "T": f"transpose({one}, 0, {dim})",
            "r": f"{draw(st.sampled_from(REDUCTIONS))}({one}, dim={dim}, keepdim={keep})",
            "p": f"({one})**2", "q": f"({one}/{SAFE.format(other)})", "s": f"sum({one})",
            "k": draw(st.sampled_from((
                f"unsqueeze({one}, {max(dim, 0)})", f"cat([{one}, {other}])", f"stack([{one}, {one}])",
                f"({one})[0]", f"({one})[1:]", f"diag({one})", f"tril({one})", f"outer({one}, {other})",
                f"flip({one}, {max(dim, 0)})", f"cumsum({one}, dim={dim})", f"kron({one}, {other})",
                f"inverse({one} @ {one}.T + 9*eye(3))", f"trace({one})", f"reshape({one}, -1)"))),
        }[kind]  # fmt: skip
        found = _shape_of(text)
        if found is not None and len(text) < 120:
            known.append((text, found))
    assume(len(known) > len(INPUTS))
    return known[-1][0]


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(formulas(), st.booleans())
def test_closed_forms_of_formulas_at_random_are_autograds(text: str, weighted: bool) -> None:
    formula = f"sum(({text})*({text} + 1))" if weighted else f"sum({text})"
    shapes = {name: (shape, "") for name, shape in INPUTS.items()}
    graph = read(formula, shapes)
    try:
        forms = printed(graph)
    except AssertionError as error:
        # Too long to be read.
        assume("no closed form" not in str(error))
        raise
    names = [str(graph.nodes[i].value) for i in graph.inputs]
    at = point(list(INPUTS), shapes, 7)
    found = run(graph, at)
    assume(all(bool(gradient.isfinite().all()) for gradient in found.gradients.values()))
    for name, variable in zip(names, graph.inputs, strict=True):
        gradient = found.gradients.get(variable, torch.zeros_like(at[name]))
        value = evaluate(forms[name].text, {**INPUTS, name: INPUTS[name]}, at)
        assert close(value, gradient, 1e-7), f"∂({formula})/∂{name} = {forms[name].text}"


def test_a_product_of_products_keeps_its_brackets() -> None:
    quotients = ("(x @ A @ x)/(x @ B @ x)", "x - (A @ x)/c", "2**(x @ x)")
    for text in (*quotients, "A @ (B @ x)", "-(A @ B) @ x", "c*(A @ x)", "(A @ x)*x"):
        graph = read(text, {name: (shape, "") for name, shape in INPUTS.items()})
        at = point(list(INPUTS), {name: (shape, "") for name, shape in INPUTS.items()}, 0)
        again = write(graph, graph.objective, {})
        assert close(evaluate(again, INPUTS, at), evaluate(text, INPUTS, at)), again
