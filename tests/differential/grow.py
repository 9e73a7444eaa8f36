"""Formulas grown at random, and points for them; what Python refuses on the way is a case itself now and then."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch

from .python import DTYPE, REFUSED, run
from .rows import rows

NUMBERS = ("2", "3", "0.5", "1", "-1", "1.5", "0", "1/3", "pi", "2.5", "1e-3", "-0.25", "10", "sqrt(2)", "0.1")
ORDERS = ("1", "2", "3", "1.5", "0.5", "'fro'", "float('inf')", "0", "-1", "'nuc'")
INDICES = ("0", "-1", "1", ":", "1:", ":-1", "::2", "...", "None", "-2:", "[0, 1]", "[0, -1]", "1:2", ":1", "[0]",
           "::-1", "0:3:2")  # fmt: skip
# Points: how one number is drawn.
MODES = (
    lambda rng: float(rng.choice((-2, -1, 0, 1, 2, 3))),
    lambda rng: float(rng.choice((-1.5, -0.5, 0.25, 0.5, 1, 2))),
    lambda rng: round(rng.uniform(0.1, 0.9), 3),
    lambda rng: round(rng.gauss(0, 1.5), 3),
    lambda rng: round(rng.uniform(0.2, 4), 3),
    lambda rng: round(rng.gauss(0, 1.5), 4),
    lambda rng: rng.choice((0.0, 1.0)),
    lambda rng: rng.choice((-1e3, 50.0, 0.0, 300.0, -20.0, 1e6)),
)
SHAPES = ("", "n", "n", "m", "nm", "nm", "mn", "nn", "nn", "1n", "n1", "pnm", "pnn", "1")


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a formula: its pattern with the parts in it, their texts in between, and the row it is of."""

    parts: tuple[str | Term, ...]
    row: str = ""

    @property
    def text(self) -> str:
        """The part as it is written."""
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)

    def terms(self) -> list[Term]:
        """The terms in it, each once."""
        return [part for part in dict.fromkeys(self.parts) if isinstance(part, Term)]

    def names(self) -> set[str]:
        """The rows that it is made of."""
        return ({self.row} if self.row else set()).union(*[term.names() for term in self.terms()])


@dataclass(frozen=True, slots=True)
class Case:
    """A formula and what is asked of it: `before` are the statements that the objective may use, by name."""

    objective: Term
    at: Mapping[str, torch.Tensor]
    before: tuple[tuple[str, Term], ...] = ()
    upstream: torch.Tensor | None = None
    want: str = ""
    shapes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The formula."""
        return "; ".join([*[f"{name} = {term.text}" for name, term in self.before], self.objective.text])

    @property
    def used(self) -> dict[str, torch.Tensor]:
        """The point without what the formula does not have."""
        words = set(re.findall(r"\w+", self.text)) - {name for name, _ in self.before}
        return {name: value for name, value in self.at.items() if name in words}

    def without_unused(self) -> Case:
        """The case without the statements that nothing uses."""
        kept: list[tuple[str, Term]] = []
        words = set(re.findall(r"\w+", self.objective.text))
        for name, term in reversed(self.before):
            if name in words:
                kept.insert(0, (name, term))
                words |= set(re.findall(r"\w+", term.text))
        return replace(self, before=tuple(kept))

    def smaller(self) -> Iterator[Case]:
        """The case with less in it: without statements, or with a part in place of a term."""
        for place, (name, own) in enumerate(self.before):
            rest = [(other, _put(term, name, own)) for other, term in self.before[:place] + self.before[place + 1 :]]
            yield replace(self, before=tuple(rest), objective=_put(self.objective, name, own))
        for term in _smaller(self.objective):
            yield replace(self, objective=term)
        for place, (name, term) in enumerate(self.before):
            for other in _smaller(term):
                yield replace(self, before=(*self.before[:place], (name, other), *self.before[place + 1 :]))


def _put(term: Term, name: str, own: Term) -> Term:
    """The term with another one in place of a name."""
    if term.parts == (name,):
        return Term(("(", own, ")"))
    return Term(tuple(part if isinstance(part, str) else _put(part, name, own) for part in term.parts), term.row)


def _smaller(term: Term) -> Iterator[Term]:
    yield from term.terms()
    for own in term.terms():
        for other in _smaller(own):
            yield Term(tuple(other if part is own else part for part in term.parts), term.row)


class Growth:
    """One formula as it grows: the inputs, what was made of them, and the values by Python."""

    def __init__(self, rng: random.Random, numbers: bool) -> None:
        self.rng, self.numbers = rng, numbers
        self.at: dict[str, torch.Tensor] = {}
        self.refused: Term | None = None
        self.pool: list[tuple[Term, torch.Tensor]] = []
        self.before: list[tuple[str, Term]] = []
        sizes = {"n": rng.randint(1, 4), "m": rng.randint(1, 4), "p": rng.randint(1, 3), "1": 1}
        draw = rng.choice(MODES)
        names = rng.sample(("x", "y", "w", "b", "A", "B", "u_1", "λ", "S", "N", "beta", "v", "I"), rng.randint(1, 3))
        for name in names:
            code = "" if numbers or rng.random() < 0.1 else rng.choice(SHAPES)
            self.input(name, tuple(sizes[letter] for letter in code), draw if rng.random() < 0.8 else rng.choice(MODES))

    def input(self, name: str, shape: tuple[int, ...], draw: Any) -> None:
        """One input more."""
        value = torch.tensor([draw(self.rng) for _ in range(math.prod(shape))], dtype=DTYPE).reshape(shape)
        self.at[name] = value
        self.pool.append((Term((name,)), value))

    def term(self, slot: str, first: torch.Tensor | None) -> Term:
        """A term for a slot: of the axes that it asks for, and often one that fits the first one's shape."""
        if slot == "k":
            rows = 1 if first is None or first.ndim < 2 else first.shape[0]
            classes = 3 if first is None or not first.ndim else first.shape[-1]
            self.at["t"] = torch.tensor([self.rng.randrange(max(classes, 1)) for _ in range(rows)])
            return Term(("t",))
        wanted = {"v": lambda s: len(s) == 1, "m": lambda s: len(s) == 2, "z": lambda s: not s,
                  "q": lambda s: len(s) > 1 and s[-1] == s[-2]}.get(slot, lambda s: True)  # fmt: skip
        found = [(term, value) for term, value in self.pool if wanted(value.shape)]
        if first is not None and slot in "bc" and self.rng.random() < 0.7:
            found = [pair for pair in found if _fit(pair[1].shape, first.shape)] or found
        if not found:
            raise LookupError(slot)
        return found[-1][0] if self.rng.random() < 0.4 else self.rng.choice(found)[0]

    def setting(self, slot: str, first: torch.Tensor) -> str:
        """The text of a setting, most often one that fits."""
        rng, rank, choose = self.rng, first.ndim, self.rng.choice
        axis = str(rng.randint(-rank, rank - 1)) if rank and rng.random() < 0.93 else str(rng.randint(-3, 2))
        if slot == "D":
            several = [f"({axis},)", "(0, 1)", "(-1, 0)", "[0]", "None", "(0, 2)"]
            return axis if rng.random() < 0.4 or rank < 2 else choose(several)
        if slot == "P":
            order = rng.sample(range(max(rank, 1)), max(rank, 1))
            return choose(("({})", "[{}]")).format(", ".join(map(str, order)) + ","*(len(order) == 1))
        if slot == "S":
            size = first.numel()
            return choose((f"[{size}]", f"(1, {size})", "[-1, 1]", "2, -1", f"({max(size // 2, 1)}, 2)", "-1"))
        sizes = list(first.shape)[-rng.randint(1, 2):] or [1]
        return {"d": axis, "i": choose(("0", "0", "-1", "1")), "n": choose(NUMBERS), "f": choose(("True", "False")),
                "r": choose(("'sum'", "'mean'", "'none'")), "o": choose(ORDERS), "x": self.index(rank),
                "N": str(first.shape[0] if rank else 2),
                "L": str(sizes[0]) if len(sizes) == 1 and rng.random() < 0.5 else str(sizes)}[slot]  # fmt: skip

    def index(self, rank: int) -> str:
        """What stands in the brackets of an index."""
        count = self.rng.randint(1, max(rank, 1) + (self.rng.random() < 0.2))
        return ", ".join(self.rng.choice(INDICES) for _ in range(count))

    def fill(self, row: str, pattern: str, given: Term | None = None) -> Term:
        """The pattern with something in every slot, `given` for `a`. Raises LookupError where nothing fits."""
        parts: list[str | Term] = []
        chosen: dict[str, str | Term] = {} if given is None else {"a": given}
        first: torch.Tensor | None = None
        pieces = re.split(r"\{(\w)\}", pattern)
        for place, piece in enumerate(pieces):
            if place % 2 == 0:
                parts.append(piece)
                continue
            if piece not in chosen or (piece in "zv" and self.rng.random() < 0.7):
                if piece in "abcvmqzk":
                    chosen[piece] = self.term(piece, first)
                else:
                    chosen[piece] = self.setting(piece, first if first is not None else self.pool[-1][1])
            part = chosen[piece]
            if isinstance(part, Term) and first is None and piece != "k":
                first = next((value for term, value in self.pool if term is part), None)
            bare = isinstance(part, str) or _is_alone(pieces[place - 1], pieces[place + 1]) or re.fullmatch(
                r"\w+|[\w.]*\([^()]*\)", part.text)  # fmt: skip
            parts += [part] if bare or self.rng.random() < 0.1 else ["(", part, ")"]
        return Term(tuple(parts), row)

    def grow(self, row: str, pattern: str) -> bool:
        """One term more; returns whether Python takes it."""
        try:
            term = self.fill(row, pattern)
        except LookupError:
            return False
        value = self.value(term)
        if value is None or value.numel() > 40:
            self.refused = term
            return False
        if self.rng.random() < 0.2 and row != "select":
            name = f"s{len(self.before)}"
            self.before.append((name, term))
            term = Term((name,))
        self.pool.append((term, value))
        return True

    def value(self, term: Term) -> torch.Tensor | None:
        """The value of a term, None where Python refuses it."""
        text = "; ".join([*[f"{name} = {own.text}" for name, own in self.before], term.text])
        try:
            return run(text, self.at)
        except REFUSED:
            return None


def _fit(one: Any, other: Any) -> bool:
    return all(a == b or 1 in (a, b) for a, b in zip(reversed(one), reversed(other), strict=False))


def _is_alone(before: str, after: str) -> bool:
    return (before.endswith(("(", ", ", "[", "=")) and after.startswith((")", ",", "]"))) or not before + after


@cache
def _patterns(numbers: bool) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((name, tuple(patterns)) for name, patterns in rows(numbers).items() if patterns)


ENDS = ("sum({a})", "mean({a})", "({a}).sum()", "sum(({a})*{b})", "sum(({a})**2)", "torch.sum({a})", "({a}).mean()",
        "sum(({a})*({a}))", "mean(({a})*sin({b}))")  # fmt: skip


def grown(seed: str, numbers: bool = False, refusals: float = 0.1) -> Case:
    """The case of a seed. Each of the rows is as likely as any other; `refusals` of what Python refuses is kept."""
    rng = random.Random(seed)
    growth = Growth(rng, numbers)
    patterns = _patterns(numbers)
    wanted = rng.choice((1, 1, 2, 2, 3, 4)) + numbers
    for _ in range(40):
        row, choices = rng.choice(patterns)
        if growth.grow(row, rng.choice(choices)):
            wanted -= 1
        elif growth.refused and rng.random() < refusals / 4:
            return Case(growth.refused, growth.at, tuple(growth.before))
        if not wanted:
            break
    return _ended(growth)


def _ended(growth: Growth) -> Case:
    rng, (top, value) = growth.rng, growth.pool[-1]
    upstream, want = None, ""
    if value.ndim and rng.random() < 0.85:
        ended = growth.fill("", rng.choice(ENDS), top)
        found = growth.value(ended)
        top, value = (ended, found) if found is not None and not found.ndim else (
            Term(("sum(", top, ")"), ""), value.sum())  # fmt: skip
    if value.ndim:
        upstream = torch.tensor([float(rng.choice((1, 2, -1, 0, 0.5))) for _ in range(value.numel())],
                                dtype=DTYPE).reshape(value.shape)  # fmt: skip
        want = "jacobian" if rng.random() < 0.5 else ""
    elif rng.random() < 0.12:
        want = "hessian"
    case = Case(top, growth.at, tuple(growth.before), upstream, want)
    return case if rng.random() < 0.1 else case.without_unused()
