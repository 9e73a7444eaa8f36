"""How products of matrices are tidied, where a row of the rewrites cannot say it: chains, and sums of them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from gradexplain.calculus.matrix_rewrites import rewrite
from gradexplain.calculus.products import Factors
from gradexplain.calculus.reductions import LISTED, PART_CHANGES, Change
from gradexplain.language.functions import MAX_POWER
from gradexplain.rules.products import PRODUCTS

if TYPE_CHECKING:
    from gradexplain.calculus.algebra import Algebra

Numbers = tuple[Fraction, Fraction]
# So many equal factors and more are written as a power.
POWER = 3


def put_together(algebra: Algebra, coefficient: Fraction, factors: Factors) -> int | None:
    """Single numbers and a product of matrices as `2/n*A @ B`, or `A @ B/n`; None where it is something else."""
    graph = algebra.graph
    tensors = [base for base in factors if algebra.shape(base)]
    if len(tensors) != 1 or factors[tensors[0]] != 1 or not algebra.is_rule(tensors[0], *PRODUCTS):
        return None
    (product,) = tensors
    single = {base: exponent for base, exponent in factors.items() if base != product}
    if abs(coefficient.numerator) == 1 and all(exponent < 0 for exponent in single.values()):
        node = product if coefficient > 0 else graph.apply("neg", product)
        if abs(coefficient) != 1 or single:
            below = algebra.front(abs(1 / coefficient), {base: -exponent for base, exponent in single.items()})
            node = graph.apply("div", node, below)
        return node if node == product else algebra.know(node, coefficient, factors)
    front = algebra.front(coefficient, single) if single else graph.constant(coefficient)
    return algebra.know(graph.apply("mul", front, product), coefficient, factors)


# Chains of products


def chain(algebra: Algebra, node: int) -> list[int]:
    """The factors of a product of matrices, the last perhaps a vector; a node that is none is its own factor."""
    inputs = algebra.graph.nodes[node].inputs
    if algebra.is_rule(node, "matmul", "matvec") and all(len(algebra.shape(i)) <= 2 for i in inputs):
        return [factor for i in inputs for factor in chain(algebra, i)]
    if algebra.is_rule(node, "vecmat") and len(algebra.shape(inputs[1])) == 2:
        return [*chain(algebra, algebra.turned(inputs[1])), *chain(algebra, inputs[0])]
    return [node]


def _multiplied(algebra: Algebra, inputs: list[int], settings: list[Any]) -> int | None:
    """A chain of products from left to right, in which what stands side by side may cancel."""
    factors = [factor for i in inputs for factor in chain(algebra, i)]
    for k in range(len(factors) - 1):
        rank = len(algebra.shape(factors[k + 1]))
        pair = algebra.graph.apply("matvec" if rank == 1 else "matmul", factors[k], factors[k + 1])
        changed = rewrite(algebra, pair) if len(algebra.shape(factors[k])) == 2 else None
        changed = _cancelled(algebra, factors[k], factors[k + 1]) if changed is None else changed
        if changed is not None:
            factors[k : k + 2] = [algebra.spread(changed, algebra.shape(pair))]
            result = factors[0]
            for factor in factors[1:]:
                result = algebra.product_of(result, factor)
            return result
    if len(factors) == 2 or any(len(algebra.shape(factor)) > 2 for factor in factors):
        return None
    return _product(algebra, factors)


def _cancelled(algebra: Algebra, one: int, other: int) -> int | None:
    """A matrix beside the inverse of a product that begins or ends with it: B @ inverse(A @ B) is inverse(A)."""
    for matrix, inverse, end in ((one, other, -1), (other, one, 0)):
        turned = algebra.is_rule(inverse, "transpose")
        inner = algebra.graph.nodes[inverse].inputs[0] if turned else inverse
        if not algebra.is_rule(inner, "inverse") or not algebra.is_rule(algebra.graph.nodes[inner].inputs[0], "matmul"):
            continue
        factors = chain(algebra, algebra.graph.nodes[inner].inputs[0])
        factors = [algebra.turned(factor) for factor in factors[::-1]] if turned else factors
        if len(factors) < 2 or factors[end] != matrix or len({algebra.shape(factor) for factor in factors}) > 1:
            continue
        rest = _product(algebra, factors[:-1] if end else factors[1:])
        found = algebra.make("inverse", (algebra.turned(rest) if turned else rest,))
        return algebra.turned(found) if turned else found
    return None


def _product(algebra: Algebra, factors: list[int]) -> int:
    """The product from left to right, equal factors in a row as a power."""
    graph, parts = algebra.graph, list[int]()
    while factors:
        base = factors[0]
        count = next((k for k, factor in enumerate(factors) if factor != base), len(factors))
        count = min(count, MAX_POWER)
        if count >= POWER:
            power = base
            for _ in range(count - 1):
                power = graph.apply("matmul", power, base)
            if power not in graph.spelling:
                graph.powers[power] = base, count
            parts.append(power)
        else:
            parts += [base] * count
        factors = factors[count:]
    result = parts[0]
    for part in parts[1:]:
        result = graph.apply("matvec" if len(algebra.shape(part)) == 1 else "matmul", result, part)
    algebra.size(result)
    return result


def _turned(algebra: Algebra, inputs: list[int], settings: list[Any]) -> int | None:
    """(A @ B).T is B.T @ A.T; a symmetric matrix stays."""
    (node,) = inputs
    graph, rank = algebra.graph, len(algebra.shape(node))
    if rank < 2 or {k % rank for k in settings} != {rank - 2, rank - 1} or node in algebra.atoms:
        return None
    rule, parts, _, _ = graph.nodes[node]
    if rule == "transpose" and algebra.is_turn(node):
        return parts[0]
    if rule == "matmul" and all(len(algebra.shape(i)) > 1 for i in parts):
        if rank > 2:
            return algebra.product_of(algebra.turned(parts[1]), algebra.turned(parts[0]))
        factors = [algebra.turned(factor) for factor in chain(algebra, node)[::-1]]
        result = factors[0]
        for factor in factors[1:]:
            result = algebra.product_of(result, factor)
        return result
    if rule in ("tril", "triu"):
        other = "triu" if rule == "tril" else "tril"
        return algebra.make(other, (algebra.turned(parts[0]),), (-algebra.settings(node)[0],))
    if rule == "inverse" and algebra.turned(parts[0]) == parts[0]:
        return node
    if rule in ("add", "sub") and all(algebra.shape(i) == algebra.shape(node) for i in parts):
        turned = algebra.apply(rule, *map(algebra.turned, parts))
        if algebra.size(turned) <= algebra.size(node):
            return turned
    if rule == "add" and algebra.shape(parts[0]) == algebra.shape(parts[1]):
        # A sum that has with each term its transpose.
        turned = algebra.turned(parts[0])
        if turned == parts[1] or (turned == parts[0] and algebra.turned(parts[1]) == parts[1]):
            return node
    return None


def _cofactor(algebra: Algebra, inputs: list[int], settings: list[Any]) -> int | None:
    """Written with the inverse, which a matrix has in general."""
    if not algebra.generic or len(algebra.shape(inputs[0])) > 2:
        return None
    return algebra.apply("mul", algebra.make("det", inputs), algebra.turned(algebra.make("inverse", inputs)))


def joined(algebra: Algebra, first: int, second: int) -> int | None:
    """Two products with a common side as one: A @ x + B @ x as (A + B) @ x, the single numbers put where they fit."""
    one, other = algebra.summands(first), algebra.summands(second)
    for k, term in enumerate(one):
        for m, added in enumerate(other):
            found = _pair(algebra, term, added)
            if found is not None:
                return algebra.total([*one[:k], found, *one[k + 1 :], *other[:m], *other[m + 1 :]])
    return None


def _pair(algebra: Algebra, first: int, second: int) -> int | None:
    found: list[tuple[Fraction, Factors, str, tuple[int, ...], tuple[int, ...]]] = []
    for node in (first, second):
        number, factors, rest = algebra.taken_out(node)
        rule, inputs, _, _ = algebra.graph.nodes[rest]
        if listed := _listed(algebra, rest):
            *parts, dim = listed
            front = tuple(factors.items())
            scaled = tuple(algebra.spread(algebra.combine((*front, (p, 1)), number), algebra.shape(p)) for p in parts)
            found.append((Fraction(1), {}, f"stack {dim} {len(parts)}", scaled, ()))
        elif algebra.is_rule(rest, "outer"):
            found.append((number, factors, rule, inputs[:1], inputs[1:]))
        elif algebra.is_rule(rest, "matmul", "matvec", "vecmat"):
            found.append((number, factors, "chain", tuple(chain(algebra, rest)), ()))
        else:
            return None
    (c1, f1, r1, a1, b1), (c2, f2, r2, a2, b2) = found
    if f1 != f2 or r1 != r2:
        return None
    if r1.startswith("stack"):
        sums = [algebra.sum(one, other) for one, other in zip(a1, a2, strict=True)]
        return algebra.make("stack", sums, (int(r1.split()[1]),))
    shared = c1 if abs(c1) == abs(c2) else Fraction(1)
    numbers = c1 / shared, c2 / shared
    if r1 == "outer":
        sides = _common(algebra, (a1, a2), (b1, b2), numbers)
        inner = None if sides is None else algebra.make("outer", sides)
    else:
        inner = _common_ends(algebra, list(a1), list(a2), numbers)
    return None if inner is None else algebra.combine((*f1.items(), (inner, 1)), shared)


def _listed(algebra: Algebra, node: int) -> list[int]:
    """The elements of a list and the axis along which they stand, zeros for those that are not there; else nothing."""
    inputs = algebra.graph.nodes[node].inputs
    if algebra.is_rule(node, "stack"):
        return [*inputs, algebra.settings(node)[0]]
    if not algebra.is_rule(node, "select_scatter") or algebra.number(inputs[0]) != 0:
        return []
    dim, index = algebra.settings(node)
    size, shape = algebra.shape(node)[dim], algebra.shape(inputs[1])
    if not isinstance(size, int) or size > LISTED:
        return []
    zeros = algebra.spread(algebra.graph.constant(0), shape)
    return [*(inputs[1] if k == index % size else zeros for k in range(size)), dim]


def _common(
    algebra: Algebra, left: Sequence[tuple[int, ...]], right: Sequence[tuple[int, ...]], numbers: Numbers
) -> tuple[int, int] | None:
    if right[0] == right[1]:
        return _added(algebra, left[0][0], left[1][0], numbers), right[0][0]
    if left[0] == left[1]:
        return left[0][0], _added(algebra, right[0][0], right[1][0], numbers)
    return None


def _added(algebra: Algebra, one: int, other: int, numbers: Numbers) -> int:
    return algebra.sum(algebra.scaled(one, numbers[0]), algebra.scaled(other, numbers[1]))


def _common_ends(algebra: Algebra, one: list[int], other: list[int], numbers: Numbers) -> int | None:
    """The sum of two chains that begin or end alike, with what they share outside of it."""
    before = after = 0
    shortest = min(len(one), len(other))
    while after < shortest and one[-1 - after] == other[-1 - after]:
        after += 1
    while before < shortest - after and one[before] == other[before]:
        before += 1
    if len(one) == len(other) == before + after:
        return algebra.scaled(_product(algebra, one), sum(numbers, Fraction(0)))
    if not before + after or before + after == shortest:
        # What is left of one of them would be a unit matrix.
        return None
    inner = [_product(algebra, factors[before : len(factors) - after]) for factors in (one, other)]
    if algebra.shape(inner[0]) != algebra.shape(inner[1]):
        return None
    result = _added(algebra, inner[0], inner[1], numbers)
    for factor in one[:before][::-1]:
        result = algebra.product_of(factor, result)
    for factor in one[len(one) - after :]:
        result = algebra.product_of(result, factor)
    return result


CHANGES: dict[str, Change] = {
    "transpose": _turned, "matmul": _multiplied, "matvec": _multiplied, "cofactor": _cofactor, **PART_CHANGES,
}  # fmt: skip
