"""What a text means: the same text by Python with PyTorch and NumPy in scope, and by us.

Nothing of what is expected here comes from our parser. The texts are fixed, and are run by Python itself.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradexplain.errors import FormulaError, GradexplainError
from gradexplain.language.meanings import MEANINGS
from gradexplain.language.modules import LINALG, MATH, METHOD, NAMES, NUMPY, NUMPY_LINALG, SPECIAL, TORCH
from gradexplain.language.parse import parse, parse_part
from gradexplain.language.text import write
from gradexplain.readings.place import Place
from gradexplain.readings.plan import Ready, Refused, compiled
from gradexplain.rules.settings import REQUIRED

HOMES = {
    TORCH: torch,
    "F": F,
    LINALG: torch.linalg,
    SPECIAL: torch.special,
    NUMPY: np,
    NUMPY_LINALG: np.linalg,
    MATH: math,
    METHOD: torch.Tensor,
}
POINT = {
    "x": [1.5, -2.0, 0.5],
    "y": [0.25, 3.0, -1.0],
    "A": [[1.0, 2.0, 4.0], [5.0, 3.0, 0.5]],
    "S": [[2.0, 1.0], [0.5, 3.0]],
    "B": [[[1.0, 2.0], [3.0, 4.5]], [[5.0, -6.0], [7.0, 8.0]], [[2.5, 1.0], [0.5, 4.0]]],
    "u": [0.5, -1.5],
    "z": 0.75,
    "w": 2.0,
    "p": [0.2, 0.7, 0.4],
}
PYTHON = {"torch": torch, "F": F, "nn": nn, "math": math, "len": len}

# Texts that Python runs as they stand.
SAME = """
A.max(dim=1)[0].sum()|A.min(dim=0)[0].sum()|torch.max(x, dim=0)[0]|A.max(1).values.sum()|torch.max(A, 1)[0]
torch.max(A, 1, True).values|A.min(1, keepdim=True)[0]*A|torch.max(x, y)|A.max()|torch.max(A, -1).values[1]
x[..., None]*y|A[..., 0]|A[0, ..., None]|B[..., None, 0]|B[1, ..., 0]|A[None, ..., 1:]|x[None, :, None]*A[0]
A[[0, 1], [1, 2]]|A[[0, 1, 1]]|A[:, [0, 2]]|B[[0, 1], :, [0, 1]]|B[0, :, [0, 1]]|B[[0, 2], 0, [0, 1]]|A[[1], [0, 2]]
B[[0, 1], None, [0, 1]]|B[[0, 1], ..., [0, 1]]|A[-1, -2:]|x[::2]|x[-3::2]|A[1:, ::2]|x[1]*x[-1]|B[:, [1], [0, 1]]
torch.linalg.norm(A, 1)|torch.linalg.norm(A, ord=1, dim=(0, 1))|torch.linalg.norm(A, torch.inf)|torch.linalg.norm(A)
torch.linalg.norm(x, 1)|torch.linalg.norm(x, 3)|torch.linalg.norm(A, 'fro')|torch.linalg.norm(A, 1, (1, 0))
torch.linalg.norm(A, 1, dim=1)|torch.linalg.norm(A, dim=0)|torch.linalg.matrix_norm(A)|torch.linalg.matrix_norm(B, 1)
torch.linalg.matrix_norm(A, math.inf, keepdim=True)|torch.linalg.vector_norm(A, 1)|torch.linalg.vector_norm(A, 3, 0)
torch.norm(A, 1)|torch.norm(A, 2, 1)|A.norm()|A.norm(p=1, dim=0)|torch.linalg.norm(B, 1, (-2, -1))
torch.var(x)|x.var(False)|torch.var(A, 0, False)|A.std(1, unbiased=False)|torch.var(A, dim=1, correction=0)|x.std(0)
F.softmax(A)|F.softmax(B)|F.log_softmax(x)|F.softmax(A, 0)|nn.Softmax(dim=1)(A)|nn.LogSoftmax(0)(A)
nn.LayerNorm(3, 0.1)(A)|F.layer_norm(A, [3], x, y)|F.layer_norm(A, (3,), x, None, 0.5)|F.layer_norm(x, (3,), eps=0.1)
nn.Flatten()(B)|nn.Flatten(0)(B)|nn.Flatten(1, 2)(B)|torch.flatten(B)|torch.flatten(B, 1)|B.flatten(0, 1)
nn.GELU('tanh')(x)|F.gelu(x, approximate='tanh')|F.gelu(x)|nn.ELU(0.5)(x)|nn.Hardtanh(-1, 2)(x)|nn.LeakyReLU(0.3)(x)
F.smooth_l1_loss(x, y, reduction='sum', beta=0.5)|nn.SmoothL1Loss(beta=2)(x, y)|F.huber_loss(x, y, 'sum', 0.5)
nn.HuberLoss('none', 2)(x, y)|F.smooth_l1_loss(x, y, beta=0)|F.mse_loss(x, y, reduction='none')|nn.MSELoss()(x, y)
nn.BCEWithLogitsLoss(reduction='sum')(x, p)|F.binary_cross_entropy(p, p)|F.l1_loss(x, y, None, None, 'sum')
torch.clamp(x, max=0.5)|x.clamp(0)|x.clamp(None, 1)|torch.clip(x, -1, 1)|x.clamp(min=0, max=1)|torch.clamp(x, y, p)
torch.special.expit(x)|torch.special.xlogy(p, p)|x.polygamma(1)|torch.polygamma(2, p)
x.where(x > 0, y)|torch.special.psi(p)
torch.mm(A, A.T)|torch.mv(A, x)|torch.bmm(B, B)|torch.inner(A, A)|torch.inner(A, x)|torch.inner(x, A)|torch.dot(x, y)
torch.linalg.solve(S, B)|torch.linalg.solve(S, u)|torch.linalg.solve(B, u)|torch.linalg.solve(B, S)|torch.outer(x, y)
torch.linalg.solve(B, B[..., 0])|torch.diag_embed(A)|torch.diag(x)|torch.diag(A)|torch.trace(A)|torch.kron(x, A)
torch.diagonal(B, dim1=-2, dim2=-1)|torch.linalg.diagonal(B)|A.diagonal()|torch.kron(S, S)|torch.vdot(x, y)
F.linear(x, A)|F.linear(x, A, u)|F.linear(A, x)|torch.matrix_power(S, 3)|torch.linalg.matrix_power(S, -2)
A.transpose(0, 1)|A.swapaxes(0, -1)|B.permute(2, 0, 1)|torch.permute(B, (1, 0, 2))|A.reshape(3, -1)|A.view(-1)
A.reshape(A.shape[1], 2)|torch.unsqueeze(x, -1)|A.unsqueeze(1).squeeze(1)|A.flip(0)|torch.flip(A, (0, 1))|A.t()
torch.cat([x, y])|torch.cat((A, A), 1)|torch.stack([x, y], dim=1)|torch.cumsum(A, 1)|torch.prod(A, 1)|A.prod()
torch.logsumexp(A, (0, 1))|A.sum(dim=(0, 1))|A.mean(0, True)|torch.amax(B, (1, 2))|A.sum(-1)|x.sum()/len(y)
torch.zeros(3) + x|torch.ones((2, 3))*A|torch.eye(2) @ A|torch.zeros_like(x) + y|A/A.numel()|x/x.size(0)
math.sqrt(2)*x|math.exp(0.5)*x|torch.pi*x|math.e*x|torch.where(x > 0, torch.sqrt(torch.abs(x)), y)|x.clone()*x
torch.select(A, -1, 1)|torch.select_scatter(A, u, 1, 0)|torch.tril(A, -1)|A.triu(1)|torch.sinc(math.pi*x)
F.leaky_relu(x, 0.1)[0]|F.elu(A, 1.5)[0]
torch.transpose(torch.sum(x), 0, 0)*x|torch.sum(x).sum(0)*x|torch.prod(torch.sum(x), 0)*x|torch.flip(x.sum(), (0,))*x
torch.nn.functional.mse_loss(x, y)|torch.nn.MSELoss()(x, y)|torch.hypot(x, y)|x.atan2(y)
"""
# NumPy's meanings, which PyTorch runs under another name.
NUMPYS = {
    "np.var(x)": "torch.var(x, correction=0)",
    "np.std(A, 0)": "torch.std(A, 0, correction=0)",
    "np.var(x, ddof=1)": "torch.var(x)",
    "np.var(A, axis=1, keepdims=True)": "torch.var(A, 1, correction=0, keepdim=True)",
    "np.max(A, 0)": "torch.amax(A, 0)",
    "np.min(A, axis=(0, 1))": "torch.amin(A, (0, 1))",
    "np.max(A, 1)": "torch.amax(A, 1)",
    "np.dot(A, x)": "A @ x",
    "np.dot(A, A.T)": "A @ A.T",
    "np.dot(x, y)": "x @ y",
    "np.dot(2, x)": "2*x",
    "np.linalg.norm(A, 1)": "torch.linalg.norm(A, 1)",
    "np.linalg.norm(A)": "torch.linalg.norm(A)",
    "np.linalg.norm(x, 1)": "torch.linalg.norm(x, 1)",
    "np.cumsum(A)": "torch.cumsum(A.flatten(), 0)",
    "np.transpose(B)": "B.permute(2, 1, 0)",
    "np.transpose(B, (0, 2, 1))": "B.mT",
    "np.flip(A)": "torch.flip(A, (0, 1))",
    "np.outer(A, x)": "torch.outer(A.flatten(), x)",
    "np.vdot(A, A)": "(A*A).sum()",
    "np.clip(x, 0, 1)": "x.clamp(0, 1)",
    "np.sum(A, axis=0)": "A.sum(0)",
    "np.mean(A, 1)": "A.mean(1)",
    "np.expand_dims(x, 0)": "x[None]",
    "np.concatenate([x, y])": "torch.cat([x, y])",
    "np.inner(A, A)": "A @ A.T",
    "np.arctan2(x, y)": "torch.atan2(x, y)",
    "np.array([x, y])": "torch.stack([x, y])",
    "jnp.exp(x)": "torch.exp(x)",
    "numpy.linalg.det(S)": "torch.det(S)",
    "np.linalg.solve(B, S)": "torch.linalg.solve(B, S)",
    "np.swapaxes(B, 0, 2)": "B.transpose(0, 2)",
    "A[np.newaxis, 0]": "A[None, 0]",
    "max(A, dim=1)": "A.max(1).values",
    "max(x, 0)": "torch.maximum(x, torch.zeros(()))",
    "softmax(B)": "F.softmax(B, 0)",
    "m = torch.max(A, 1); m[0]": "A.max(1).values",
    "tril(A)": "torch.tril(A)",
    "m = max(A, dim=1); m.values[1]": "A.max(1).values[1]",
    "norm(x, inf)": "torch.norm(x, float('inf'))",
    "layer_norm(x, [3], bias=y)": "F.layer_norm(x, [3], None, y)",
    "maximum(x, 1)": "x.clamp(min=1)",
    "sum(trace(A)*x)": "torch.diagonal(A).sum()*x.sum()",
    "softmax(A, dim=None)": "F.softmax(A, 1)",
}
ROWS = [(text.strip(), text.strip()) for text in SAME.replace("\n", "|").split("|") if text.strip()]
ROWS += list(NUMPYS.items())


def tensors():
    return {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in POINT.items()}


def shapes():
    return {name: tuple(torch.tensor(value).shape) for name, value in POINT.items()}


def gradients(result, given):
    found = torch.autograd.grad(result.sum(), list(given.values()), allow_unused=True)
    return {name: None if grad is None else grad.tolist() for name, grad in zip(given, found, strict=True)}


def ours(graph, given):
    values = Ready(Place(torch), compiled(graph, {})).run({i: given[graph.nodes[i].value] for i in graph.inputs})
    return values[graph.objective]


@pytest.mark.parametrize(("text", "python"), ROWS, ids=[text for text, _ in ROWS])
def test_a_text_means_what_python_and_pytorch_make_of_it(text: str, python: str) -> None:
    given, again = tensors(), tensors()
    torch.set_default_dtype(torch.float64)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = eval(python, {**PYTHON, **again})
    finally:
        torch.set_default_dtype(torch.float32)
    graph = parse(text, list(POINT), shapes())
    found = ours(graph, given)
    assert tuple(found.shape) == tuple(graph.shapes[graph.objective]) == tuple(wanted.shape)
    assert torch.allclose(found, wanted, rtol=1e-12, atol=1e-14)
    one, other = gradients(found, given), gradients(wanted, again)
    for name in POINT:
        same = one[name] is None or other[name] is None or np.allclose(one[name], other[name], rtol=1e-9, atol=1e-12)
        none = [np.any(value[name]) for value in (one, other) if value[name] is not None]
        assert same and (one[name] is None) <= (not any(none)), name


@pytest.mark.parametrize(("text", "_"), ROWS, ids=[text for text, _ in ROWS])
def test_what_is_written_is_read_as_the_same_graph(text: str, _: str) -> None:
    graph = parse(text, list(POINT), shapes())
    written = write(graph, graph.objective, {})
    again, root = parse_part(written, list(POINT), shapes())
    assert write(again, root, {}) == written
    assert torch.equal(ours(graph, tensors()), ours_part(again, root))


def ours_part(graph, root):
    graph.objective = root
    return ours(graph, tensors())


REFUSED = [
    ("torch.max(A, 1)[1]", "indices, whole numbers"),
    ("A.max(1).indices", "indices are whole numbers"),
    ("max(A, 1)[0]", "no pair of values and indices"),
    ("A.max(1)[2]", "is a pair"),
    ("torch.max(z, 0)", "has none"),
    ("median(x)", "median is not in the language"),
    ("torch.softmax(x)", "softmax needs dim"),
    ("x.log_softmax()", "log_softmax needs dim"),
    ("torch.sort(x)", "sort is not in the language"),
    ("np.expit(x)", "expit is no function of np"),
    ("x.softplus()", "softplus is no method of a tensor"),
    ("torch.linalg.norm(A, 2)", "the largest singular value"),
    ("np.linalg.norm(A, 'nuc')", "the sum of singular values"),
    ("np.linalg.norm(A, 2)", "the largest singular value"),
    ("torch.linalg.norm(B, 2)", "of a vector or a matrix"),
    ("smooth_l1_loss(x, y, 'sum')", "size_average of smooth_l1_loss is not in the language"),
    ("F.softmax(x, dim='a')", "dim must be a whole number"),
    ("mm(A, x)", "mm takes a matrix and a matrix"),
    ("mv(x, A)", "mv takes a matrix and a vector"),
    ("bmm(A, A)", "bmm takes"),
    ("dot(A, A)", "dot takes two vectors"),
    ("eye(2.5)", "n must be a whole number from 0 on"),
    ("sum(x, keepdim=5)", "keepdim must be True or False"),
    ("flip(x, 5)", "there is no axis 5"),
    ("var(x, correction=3)", "divides by 0"),
    ("z[::2]", "has no elements"),
    ("A[0, 0, 0]", "there are 3 indices and 2 axes"),
    ("A[[0, 1], [0, 1, 2]]", "go in step"),
    ("x[5]", "no element 5"),
    ("softmax(where(x > 0, x, -inf), dim=0)", "inf is not a number"),
    ("x*float('inf')", "float is not in the language"),
    ("F.relu(x, inplace=True)", "inplace is not in the language"),
    ("sum(x, dtype=torch.float32)", "torch.float32"),
    ("nn.Linear(3, 2)(x)", "has weights of its own"),
    ("nn.ReLU()", "is a layer"),
    ("math.exp(x)", "takes single numbers"),
    ("y2 = x; y2 += x**2; y2", "+= is not in the language"),
    ("cross_entropy(A, y, label_smoothing=0.1)", "label_smoothing"),
    ("torch.trace(x)", "needs a matrix"),
    ("sum(x, 0, 1)", "keepdim must be True or False"),
    ("max(x, dim=0).T2", ".T2"),
    ("np.sum(A, 0, True)", "dtype of sum is not in the language"),
    ("torch.var(x, 0, 1)", "unbiased must be True or False"),
    ("x.values", ".values is not part of the language"),
    ("nll_loss(A, A)", "takes a class for each row"),
    ("amax(x[3:])", "of no elements"),
    ("torch.prod(A, (0, 1))", "dim must be a whole number"),
    ("x.item()", "leaves the graph"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_is_not_in_the_language_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse(text, list(POINT), shapes())
    assert message in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.text == text and 0 <= caught.value.start < caught.value.end <= len(text) + 1


@pytest.mark.parametrize("module", NAMES)
def test_every_name_of_a_module_is_one(module: str) -> None:
    assert [name for name in sorted(NAMES[module]) if not hasattr(HOMES[module], name)] == []


def test_no_neighbour_is_named_for_what_pytorch_has() -> None:
    """`median(x)` is not answered by "did you mean mean?"."""
    functions = {name for home in (torch, F, torch.linalg, torch.special) for name in dir(home)}
    wrong = []
    for name in sorted(functions):
        homes = (torch, F, torch.linalg, torch.special)
        if name[0].islower() and any(callable(getattr(home, name, None)) for home in homes):
            try:
                parse(f"{name}(x)")
            except GradexplainError as error:
                guessed = "unknown function" in error.message and "did you mean" in getattr(error, "hint", "")
                wrong += [name] if guessed else []
    assert wrong == []


def test_a_name_of_a_constant_that_is_a_variable_is_told_apart() -> None:
    graph = parse("pi*torch.pi + sinc(pi)", ["pi"])
    assert write(graph, graph.objective, {}) == "pi*torch.pi + sinc(pi)"
    for text, sizes in (("sum(x)*n", {"x": ("n",), "n": (3,)}), ("n = 2*x; sum(n)", {"x": ("n",)})):
        with pytest.raises(FormulaError, match="n is a size and a value"):
            parse(text, ["x"], sizes)
    with pytest.raises(FormulaError, match="n may be 1"):
        parse("squeeze(x)", (), {"x": ("n", 1)})


ODD = (
    "None",
    "-1",
    "0",
    "1",
    "99",
    "2.5",
    "nan",
    "inf",
    "-inf",
    "True",
    "'word'",
    "'sum'",
    "[]",
    "[0, 0]",
    "(1, 2)",
    "(0,)",
    "1e400",
    "v",
    "[1.5]",
    "(None, 1)",
    "1/3",
    "10**30",
    "x[0]",
)
FITTING = {"shape": "(3,)", "p": "3", "n": "3", "num_classes": "4", "normalized_shape": "3"}
GIVEN = {"x": (3,), "A": (3, 3), "B": (2, 3, 3), "v": (), "E": (0,)}


def settings() -> list[str]:
    """Every setting of every function with everything that it may not be."""
    found = []
    for name, meaning in MEANINGS.items():
        parameters = meaning.parameters()
        tensors = [p for p in parameters if p.kind is None and p.default is REQUIRED]
        for tensor in GIVEN:
            inputs = [f"[{tensor}, {tensor}]"] if tensors and tensors[0].name == "tensors" else [tensor] * len(tensors)
            for own in parameters:
                if own.kind is not None:
                    needed = [p for p in parameters if p.default is REQUIRED and p.kind and p is not own and not p.rest]
                    others = [f"{p.name}={FITTING.get(p.name, '0')}" for p in needed]
                    for odd in ODD:
                        setting = odd if own.rest else f"{own.name}={odd}"
                        found.append(f"sum({name}({', '.join([*inputs, *others, setting])})*x[0])")
    return found


def test_every_setting_is_answered_or_refused() -> None:
    place, values = Place(torch), {name: torch.rand(shape) * 0.5 + 0.25 for name, shape in GIVEN.items()}
    answered = 0
    for text in settings()[::4]:
        try:
            graph = parse(text, list(GIVEN), GIVEN)
        except GradexplainError:
            continue
        given = {i: values[graph.nodes[i].value].double() for i in graph.inputs}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = Ready(place, compiled(graph, {})).run(given)
        except Refused as refused:
            # Classes are found out from their values alone.
            assert "num_classes" in str(refused), text
            continue
        for i, value in enumerate(found):
            assert value is None or isinstance(value, float) or tuple(value.shape) == graph.lengths(i), text
        answered += 1
    assert answered > 300
