"""What a row of the rule table can say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from gradexplain.rules.result_shapes import elementwise
from gradexplain.rules.settings import Setting
from gradexplain.rules.shapes import Settings, Shape, Size
from gradexplain.rules.versions import version_of

ZERO = "PyTorch takes 0"
ShapeRule = Callable[[Sequence[Shape], Settings], Shape]
ClassRule = Callable[[Sequence[Shape], Settings], tuple[int, Size] | None]


class Earlier(NamedTuple):
    """What a row said of every PyTorch before a `version`: the local derivatives, and what is taken at a kink."""

    version: str
    partials: tuple[str, ...]
    at_kink: str


class Documented(NamedTuple):
    """What PyTorch is known to do that no formula of a row says: where (an expression that is true there), what, and
    the verdict on a difference that comes of it; `agrees` where the row says it, and a note names it. `seen` is where a
    dtype can tell, in place of `where` (exp(-40) is below the rounding of every one)."""

    where: str
    what: str
    verdict: str = "convention"
    seen: str = ""

    @property
    def condition(self) -> str:
        """The expression that is true where it can be told that PyTorch does so."""
        return self.seen or self.where


@dataclass(frozen=True, slots=True)
class Rule:
    """How one operation is differentiated.

    `name` is the stable id and `title` the plain name of the rule. `partials` has a local derivative for each input of
    an elementwise operation; every other one has `pullbacks`, vector-Jacobian products, in their place. An empty one
    means that nothing can flow to that input (a condition, or a setting that must be a number). `definition` writes
    the operation with simpler ones and is empty for the elementary ones. `kink` is an expression that is 0 just where
    the derivative may not exist, and `at_kink` says what PyTorch takes there. `defaults` fills inputs that were left
    out, `keywords` are their names in PyTorch. `torch` is PyTorch's name below `torch.` where it is not `name`, or the
    call as a pattern (see readings/torch_rules.py), None where it takes more. `staircase` marks operations whose
    derivative is 0 wherever it exists. `example` is a formula to show. `numpy` is the call of NumPy as a pattern, where
    output/code/numpy.py has none.

    `shape` gives the shape of the result. `settings` are the arguments that are no tensors, each with its default and
    its kind. `written` is the name under which the operation is written where it is not `name`. `any_number` takes a
    list of tensors, with one pullback for all. So many of the first inputs is the operation `linear` in, each alone.
    `classes` says which input holds classes, whole numbers that have no gradient, and how many there are. `by_number`
    is the rule that an elementwise operation follows where all of its inputs but the first are numbers, which nothing
    flows to. A row is that of the newest PyTorch that we know; `before` is what held for those before a version.
    `documented` is what PyTorch is known to do in a way of its own.

    >>> Rule("tanh", "hyperbolic tangent", ("1 - out**2",)).derivatives
    ('1 - out**2',)
    """

    name: str
    title: str
    partials: tuple[str, ...] = ()
    definition: str = ""
    kink: str = ""
    at_kink: str = ""
    defaults: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    torch: str | None = ""
    aliases: tuple[str, ...] = ()
    staircase: bool = False
    boolean: bool = False
    symbol: str = ""
    example: str = ""
    pullbacks: tuple[str, ...] = ()
    shape: ShapeRule = elementwise
    settings: tuple[Setting, ...] = ()
    written: str = ""
    any_number: bool = False
    linear: int = 0
    classes: ClassRule | None = None
    numpy: str = ""
    by_number: str = ""
    before: Earlier | None = None
    documented: Documented | None = None

    def in_version(self, version: tuple[int, int]) -> Rule:
        """The row as it is in a PyTorch of this version."""
        if self.before is None or version >= version_of(self.before.version):
            return self
        return replace(self, partials=self.before.partials, at_kink=self.before.at_kink)

    @property
    def derivatives(self) -> tuple[str, ...]:
        """One expression for each input: a local derivative, or a vector-Jacobian product."""
        return self.partials or self.pullbacks

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the inputs in the expressions, in order."""
        return tuple("abcdefgh"[: len(self.derivatives)])

    @property
    def required(self) -> int:
        """How many inputs cannot be left out."""
        return len(self.partials) - len(self.defaults)
