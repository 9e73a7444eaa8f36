"""SymPy's derivatives of formulas on vectors and matrices, element by element, against autograd."""

from __future__ import annotations

import time

import mpmath
import pytest
import torch
from tensor_checks import BUILDER

import gradexplain
from gradexplain.language.parse import parse
from gradexplain.readings.plan import Ready, compiled, packed_graph
from gradexplain.readings.symbol_arrays import _ARRAYS, ArrayQuestion, answers
from gradexplain.records import Derivation
from gradexplain.tensor import Tensor

# A formula for each operation on arrays, the inputs, and the numbers of each in turn.
FORMULAS = [
    ("sum(W @ x)*norm(x)", {"W": (2, 3), "x": (3,)}),
    ("sum((x @ W)**2)", {"W": (3, 2), "x": (3,)}),
    ("sum((A @ B)**3)", {"A": (2, 2), "B": (2, 2)}),
    ("dot(x, y)**2 + sum(outer(x, y)**2)", {"x": (2,), "y": (2,)}),
    ("sum(kron(A, B)**2)", {"A": (2, 2), "B": (2, 2)}),
    ("sum(A.T @ A @ x)", {"A": (2, 2), "x": (2,)}),
    ("sum(permute(X, (1, 0))*Y)", {"X": (2, 3), "Y": (3, 2)}),
    ("sum(reshape(X, (3, 2))*Y)", {"X": (2, 3), "Y": (3, 2)}),
    ("sum(flatten(X)*y)", {"X": (2, 3), "y": (6,)}),
    ("sum(unsqueeze(x, 1)*X)", {"x": (2,), "X": (2, 2)}),
    ("sum(squeeze(X)*y)", {"X": (1, 3), "y": (3,)}),
    ("sum(flip(x, 0)*y)", {"x": (3,), "y": (3,)}),
    ("sum(cat([x, y])**3)", {"x": (2,), "y": (2,)}),
    ("sum(stack([x, y], dim=1)*X)", {"x": (2,), "y": (2,), "X": (2, 2)}),
    ("x[0]*x[1:].sum() + X[:, 1] @ x[:2]", {"x": (3,), "X": (2, 2)}),
    ("sum(diag(x) @ X) + sum(diagonal(X))**2", {"x": (2,), "X": (2, 2)}),
    ("sum(diag_embed(X)**2) + sum(diagonal(diag_embed(X), dim1=-2, dim2=-1)**3)", {"X": (2, 2)}),
    ("sum(select_scatter(X, x, 0, 1)**2*slice_scatter(X, Y, 0, 0, 1))", {"X": (2, 2), "x": (2,), "Y": (1, 2)}),
    ("sum(tril(A) @ triu(A))", {"A": (3, 3)}),
    ("prod(x)*sum(prod(X, dim=1))", {"x": (2,), "X": (2, 2)}),
    ("mean(X, dim=0) @ x", {"x": (2,), "X": (2, 2)}),
    ("max(x)*min(x) + sum(max(X, dim=1))", {"x": (3,), "X": (2, 2)}),
    ("logsumexp(x) + sum(softmax(x)*y) + log_softmax(x)[1]", {"x": (3,), "y": (3,)}),
    ("var(x)*std(y)", {"x": (3,), "y": (3,)}),
    ("sum(cumsum(x, dim=0)**2)", {"x": (3,)}),
    ("sum(layer_norm(x, 3)**3)", {"x": (3,)}),
    ("trace(A @ A) + det(A)", {"A": (2, 2)}),
    ("sum(inverse(A)) + logdet(A)", {"A": (2, 2)}),
    ("sum(solve(A, x)**2)", {"A": (2, 2), "x": (2,)}),
    ("mse_loss(x, y) + l1_loss(x, y) + huber_loss(x, y) + smooth_l1_loss(x, y)", {"x": (3,), "y": (3,)}),
    ("binary_cross_entropy_with_logits(x, y)", {"x": (3,), "y": (3,)}),
    ("sum(x*ones_like(y)) + sum(eye(2) @ x) + sum(where(x > y, x**2, y))", {"x": (2,), "y": (2,)}),
    ("sum(gelu(x)*erf(y)) + sum(lgamma(y))", {"x": (2,), "y": (2,)}),
]


def numbers(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Numbers without ties; square matrices can be inverted."""
    value = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.3
    return value + 2 * torch.eye(shape[0], dtype=torch.float64) if len(shape) == 2 and shape[0] == shape[1] else value


@pytest.mark.parametrize(("formula", "shapes"), FORMULAS, ids=[formula for formula, _ in FORMULAS])
def test_every_element_is_autograds(formula: str, shapes: dict[str, tuple[int, ...]]) -> None:
    graph = parse(formula, list(shapes), shapes)
    leaves = {i: numbers(graph.lengths(i), i).requires_grad_() for i in graph.inputs}
    Ready(BUILDER.place, compiled(graph, {})).result(leaves).backward()
    values = {i: leaf.detach().flatten().tolist() for i, leaf in leaves.items()}
    packed = packed_graph(graph, len(graph.nodes))
    (found,) = answers(ArrayQuestion(packed, graph.inputs, values, {}, 60))
    assert found.keys() == leaves.keys()
    for i, leaf in leaves.items():
        own = [float(mpmath.mp.make_mpf(parts)) for parts in found[i]]
        assert own == pytest.approx(leaf.grad.flatten().tolist(), rel=1e-9, abs=1e-12)


def test_classes_are_numbers() -> None:
    derivation = gradexplain.derive("cross_entropy(X @ W, y)", "X=[[1,2],[0,1]],W=[[1,-1,0],[0,1,2]],y=[0,2]")
    for entry in derivation.gradient.values():
        assert isinstance(entry.sympy, Tensor) and isinstance(entry.value, Tensor)
        assert list(entry.sympy.numbers or ()) == pytest.approx(list(entry.value.numbers or ()), rel=1e-12)


def test_classes_of_0_and_1_have_the_derivative_of_their_neighbours() -> None:
    derivation = gradexplain.derive("binary_cross_entropy(p, y)", {"p": [0.3, 0.6], "y": [1, 0]})
    entry = derivation.gradient["y"]
    assert isinstance(entry.sympy, Tensor) and isinstance(entry.autograd, Tensor)
    assert list(entry.sympy.numbers or ()) == pytest.approx(list(entry.autograd.numbers or ()), rel=1e-12)
    assert not any(remark.id == "sympy_differs" for remark in derivation.remarks)


def is_witness(derivation: Derivation) -> bool:
    return all(entry.sympy is not None for entry in derivation.gradient.values())


def test_sympy_is_asked_of_small_formulas_away_from_kinks() -> None:
    assert is_witness(gradexplain.derive("sum(abs(x))", {"x": [1, -2]}))
    assert not is_witness(gradexplain.derive("sum(abs(x))", {"x": [1, 0]}))
    assert not is_witness(gradexplain.derive("sum(x**2)", {"x": list(range(100))}))
    assert not is_witness(gradexplain.derive("sum(cholesky(A))", {"A": [[2, 1], [1, 2]]}))


def test_every_operation_on_arrays_is_in_a_formula() -> None:
    graphs = [parse(formula, list(shapes), shapes) for formula, shapes in FORMULAS]
    used = {node.rule for graph in graphs for node in graph.nodes}
    # What only definitions and closed forms have in them.
    assert {*_ARRAYS} - used <= {"one_hot", "zeros_like", "zeros", "ones", "expand_as", "reshape_as", "matmul"}


def test_an_inverse_of_long_expressions_is_not_multiplied_out() -> None:
    formula = "sum(inverse(silu(S) @ silu(S).T + eye(2))**2)"
    point = {"S": [[-1.5, 0.5, 0.25], [-0.5, 0.25, 2.0]]}
    start = time.process_time()
    found = gradexplain.derive(formula, point).gradient["S"]
    # Seconds would be minutes where SymPy looks for pivots or multiplies out.
    assert time.process_time() - start < 10
    assert found.sympy.numbers == pytest.approx(found.value.numbers, rel=1e-12)
