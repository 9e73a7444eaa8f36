"""Rewrites of matrix formulas, as rows in the language itself: what is on the left becomes what is on the right.

`A`, `B`, `C` stand for matrices, `R`, `S` for square ones, `u`, `v`, `w` for vectors, `t` for anything, `i` for an
axis, `k`, `p`, `q`, `r`, `s` for settings. `ones(k)` is a tensor of ones, whatever its shape. The result is spread to
the shape of what it replaces, so that `ones(k)*v` may be written `v` wherever something else has the shape already.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

from gradexplain.calculus.templates import Template, template
from gradexplain.language.graph import CONSTANT, INPUT
from gradexplain.rules.shapes import Shape

if TYPE_CHECKING:
    from gradexplain.calculus.algebra import Algebra

ROWS = (
    # Transposes go inwards until they cancel
    ("A.T.T", "A"),
    ("eye(k).T", "eye(k)"),
    ("diag(v).T", "diag(v)"),
    ("ones(k).T", "1"),
    ("outer(u, v).T", "outer(v, u)"),
    ("kron(A, B).T", "kron(A.T, B.T)"),
    ("(v*ones(k)).T", "unsqueeze(v, 1)"),
    ("(unsqueeze(v, 1)*ones(k)).T", "v"),
    ("inverse(A.T).T", "inverse(A)"),
    # Inverses
    ("inverse(inverse(A))", "A"),
    ("inverse(eye(k))", "eye(k)"),
    ("inverse(A.T)", "inverse(A).T"),
    ("inverse(A) @ A", "eye_like(A)"),
    ("A @ inverse(A)", "eye_like(A)"),
    ("inverse(A).T @ A.T", "eye_like(A)"),
    ("A.T @ inverse(A).T", "eye_like(A)"),
    ("solve(A, A @ t)", "t"),
    ("solve(eye(k), t)", "t"),
    ("solve(A, eye(k))", "inverse(A)"),
    # Products with unit matrices, diagonal ones, and those of rank one
    ("eye(k) @ t", "t"),
    ("t @ eye(k)", "t"),
    ("diag(u) @ v", "u*v"),
    ("diag(v) @ A", "unsqueeze(v, 1)*A"),
    ("A @ diag(v)", "A*v"),
    ("outer(u, v) @ w", "dot(v, w)*u"),
    ("outer(u, v) @ A", "outer(u, A.T @ v)"),
    ("A @ outer(u, v)", "outer(A @ u, v)"),
    ("v @ A", "A.T @ v"),
    # Products with ones are sums
    ("matvec(A, ones(k))", "sum(A, 1, False)"),
    ("matvec(ones(k), v)", "sum(v, None, False)"),
    ("dot(v, ones(k))", "sum(v, None, False)"),
    ("dot(ones(k), v)", "sum(v, None, False)"),
    ("outer(ones(k), v)", "v"),
    ("outer(v, ones(k))", "unsqueeze(v, 1)"),
    ("matmul(ones(k), B)", "sum(B, 0, False)"),
    ("matmul(A, ones(k))", "unsqueeze(sum(A, 1, False), 1)"),
    ("matvec(v*ones(k), w)", "dot(v, w)"),
    ("matvec(unsqueeze(v, 1)*ones(k), w)", "sum(w, None, False)*v"),
    ("matmul(v*ones(k), A)", "A.T @ v"),
    ("matmul(unsqueeze(v, 1)*ones(k), A)", "outer(v, sum(A, 0, False))"),
    ("matmul(A, v*ones(k))", "outer(sum(A, 1, False), v)"),
    ("matmul(A, unsqueeze(v, 1)*ones(k))", "unsqueeze(A @ v, 1)"),
    # Ones stay ones when they are moved
    ("reshape_as(ones(k), t)", "1"),
    ("expand_as(t, u)", "t"),
    ("expand_as(t, A)", "t"),
    ("unsqueeze(ones(k), p)", "1"),
    ("squeeze(ones(k), p)", "1"),
    ("permute(ones(k), p)", "1"),
    ("flip(ones(k), p)", "1"),
    ("select(ones(k), p, q)", "1"),
    ("slice(ones(k), p, q, r, s)", "1"),
    ("diagonal(ones(k))", "1"),
    # Reductions
    ("sum(A.T, 0, p)", "sum(A, 1, False)"),
    ("sum(A.T, 1, False)", "sum(A, 0, False)"),
    ("mean(A.T, 0, False)", "mean(A, 1, False)"),
    ("mean(A.T, 1, False)", "mean(A, 0, False)"),
    ("sum(A.T, None, False)", "sum(A, None, False)"),
    ("mean(A.T, None, False)", "mean(A, None, False)"),
    ("sum(outer(u, v), 0, False)", "sum(u, None, False)*v"),
    ("sum(outer(u, v), 1, False)", "sum(v, None, False)*u"),
    ("sum(outer(u, v), None, False)", "sum(u, None, False)*sum(v, None, False)"),
    ("sum(sum(t, k, p), None, False)", "sum(t, None, False)"),
    ("mean(mean(t, k, p), None, False)", "mean(t, None, False)"),
    ("sum(unsqueeze(t, k), k, False)", "t"),
    ("squeeze(sum(t, k, True), k)", "sum(t, k, False)"),
    ("squeeze(mean(t, k, True), k)", "mean(t, k, False)"),
    ("sum(softmax(t, k), k, p)", "1"),
    ("sum(softmax(v, k), None, p)", "1"),
    ("trace(A.T)", "trace(A)"),
    ("trace(outer(u, v))", "dot(u, v)"),
    # Back and forth
    ("squeeze(unsqueeze(t, k), k)", "t"),
    ("flip(flip(t, k), k)", "t"),
    ("diagonal(diag(v))", "v"),
    ("diagonal(eye(k))", "1"),
    ("diagonal(outer(u, v))", "u*v"),
    ("diagonal(v*ones(k))", "v"),
    ("diagonal(unsqueeze(v, 1)*ones(k))", "v"),
    ("tril(tril(t, k), k)", "tril(t, k)"),
    ("triu(triu(t, k), k)", "triu(t, k)"),
    # Softmax and its logarithm
    ("exp(log_softmax(t, k))", "softmax(t, k)"),
    ("exp(t - logsumexp(t, i, True))", "softmax(t, i)"),
    ("exp(v - logsumexp(v, None, p))", "softmax(v, 0)"),
    ("exp(v - logsumexp(v, k, False))", "softmax(v, 0)"),
    ("exp(t - unsqueeze(logsumexp(t, i, False), i))", "softmax(t, i)"),
    # Kronecker products
    ("kron_left(eye(k), R, S)", "trace(S)*eye_like(R)"),
    ("kron_right(eye(k), R, S)", "trace(R)*eye_like(S)"),
    ("kron_left(kron(A, B), A, B)", "sum(B**2, None, False)*A"),
    ("kron_right(kron(A, B), A, B)", "sum(A**2, None, False)*B"),
    ("kron_left(ones(k), A, B)", "sum(B, None, False)"),
    ("kron_right(ones(k), A, B)", "sum(A, None, False)"),
)  # fmt: skip
RANKS = dict.fromkeys("ABCRS", 2) | dict.fromkeys("uvw", 1)
SQUARE = frozenset("RS")
# A pattern with @ stands for products of matrices and of a matrix and a vector.
_SAME = {"matmul": ("matmul", "matvec", "vecmat"), "swapped": ("transpose",)}


@cache
def _rows() -> dict[str, list[tuple[Template, Template]]]:
    """The rows by the rules that their left sides may begin with."""
    found: dict[str, list[tuple[Template, Template]]] = defaultdict(list)
    for left, right in ROWS:
        pattern = template(left)
        rule = pattern.graph.nodes[pattern.root].rule
        for name in _SAME.get(rule, (rule,)) if "@" in left or rule == "swapped" else (rule,):
            found[name].append((pattern, template(right)))
    return found


def rewrite(algebra: Algebra, node: int) -> int | None:
    """What a node becomes by the first row that fits; None where none does. Raises TooLarge.

    >>> from gradexplain.calculus.algebra import Algebra
    >>> from gradexplain.language.graph import Graph
    >>> graph = Graph({"A": (2, 2)})
    >>> A = graph.input("A")
    >>> rewrite(Algebra(graph), graph.apply("inverse", graph.apply("inverse", A))) == A
    True
    """
    if node in algebra.rewritten:
        return algebra.rewritten[node]
    found = None
    for pattern, result in _rows().get(algebra.graph.nodes[node].rule, ()):
        bound = _matched(algebra, pattern, node)
        if bound is not None:
            found = _built(algebra, result, bound)
            if _can_be_spread(algebra.shape(found), algebra.shape(node)):
                break
            found = None
    algebra.rewritten[node] = found
    return found


def _can_be_spread(shape: Shape, wanted: Shape) -> bool:
    """Whether a tensor can be broadcast to a shape."""
    pairs = zip(shape[::-1], wanted[::-1], strict=False)
    return len(shape) <= len(wanted) and all(one in (1, other) for one, other in pairs)


def _matched(algebra: Algebra, pattern: Template, node: int) -> dict[str, Any] | None:
    """The nodes and settings that the letters of a pattern stand for; None where it does not fit."""
    bound: dict[str, Any] = {}
    waiting = [(pattern.root, node)]
    while waiting:
        i, j = waiting.pop()
        rule, parts, value, settings = pattern.graph.nodes[i]
        found, inputs, _, held = algebra.graph.nodes[j]
        if rule == INPUT:
            fits = bound.setdefault(str(value), j) == j and _is_kind(algebra, str(value), j)
        elif j in algebra.atoms and i != pattern.root:
            fits = False
        elif rule == "swapped":
            fits = found == "transpose" and algebra.is_turn(j)
            waiting += zip(parts, inputs[:1], strict=False)
        elif rule == "mul" and found == "mul":
            # Ones come last in a product.
            fits = True
            waiting += zip(parts, inputs, strict=True)
        else:
            fits = found in _SAME.get(rule, (rule,)) and len(parts) == len(inputs) and _same(settings, held, bound)
            waiting += zip(parts, inputs, strict=False)
        if not fits:
            return None
    return bound


def _same(settings: tuple[Any, ...], held: tuple[Any, ...], bound: dict[str, Any]) -> bool:
    """Whether the settings of a node are those of a pattern, in which a letter stands for any; 1 is not True."""
    for setting, value in zip(settings, held, strict=True):
        if setting == "i" and not isinstance(value, int):
            return False
        wanted = bound.setdefault(setting, value) if isinstance(setting, str) else setting
        if type(wanted) is not type(value) or wanted != value:
            return False
    return True


def _is_kind(algebra: Algebra, letter: str, node: int) -> bool:
    rank = RANKS.get(letter)
    if rank is None:
        return True
    shape = algebra.shape(node)
    return len(shape) == rank and (letter not in SQUARE or shape[0] == shape[1])


def _built(algebra: Algebra, result: Template, bound: dict[str, Any]) -> int:
    graph, made = algebra.graph, dict[int, int]()
    for i, (rule, parts, value, words) in enumerate(result.graph.nodes[: result.root + 1]):
        inputs = [made[j] for j in parts]
        settings = tuple(bound[word] if isinstance(word, str) else word for word in words)
        if rule == INPUT:
            made[i] = bound[str(value)]
        elif rule == CONSTANT:
            made[i] = graph.constant(value)  # type: ignore[arg-type]
        elif rule == "swapped":
            made[i] = algebra.turned(inputs[0])
        elif rule == "matmul":
            made[i] = algebra.product_of(*inputs)
        elif rule == "eye_like":
            made[i] = algebra.make("eye", (), (algebra.shape(inputs[0])[-1],))
        else:
            made[i] = algebra.apply(rule, *inputs, settings=settings)
    return made[result.root]
