"""The chain of a gradient as a product of partials, such as ∂L/∂v2 · ∂v2/∂w, over named nodes or over all."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from gradexplain.calculus.backward import Walk

LONGEST = 40
HEAD, TAIL = 4, 3


# How a tuple is made of another; the call of a named tuple does the same, but takes three times as long.
_make = tuple.__new__


class Link(NamedTuple):
    """The way from a node to the objective where there is only one: the next node, how far it is, the last links.

    `own` is the partial of the next node by this one.
    """

    following: int
    distance: int
    first: str
    own: str


class Chains:
    """The chains of all nodes of a walk. `visible` are the nodes over which they run; others are passed over."""

    def __init__(
        self, walk: Walk[Any], names: Mapping[int, str], visible: Collection[int], sources: Collection[int], top: int
    ) -> None:
        self.names, self.top = names, top
        self.links: dict[int, Link] = {}
        # The next nodes of those that have no link.
        self.parents: dict[int, tuple[int, ...]] = {}
        shown = {*visible, *sources}
        # The next nodes of those that are passed over.
        reached: dict[int, tuple[int, ...]] = {}
        for j in walk.order:
            ways = [reached.get(step.through) or (step.through,) for step in walk.steps[j]]
            parents = ways[0] if len(ways) == 1 else tuple(dict.fromkeys(itertools.chain(*ways)))
            if j not in shown:
                reached[j] = parents
            elif len(parents) > 1 or not self._link(j, parents[0]):
                self.parents[j] = parents

    def _link(self, j: int, parent: int) -> bool:
        """Make the link of node `j`, unless several ways lead on from its parent."""
        before = self.links.get(parent)
        if parent == self.top:
            own = self.partial(parent, j)
            self.links[j] = Link(parent, 1, own, own)
            return True
        if before is not None:
            own = self.partial(parent, j)
            _, distance, first, _ = before
            first = f"{first} · {own}" if distance < HEAD else first
            self.links[j] = _make(Link, (parent, distance + 1, first, own))
            return True
        return False

    def partial(self, of: int, by: int) -> str:
        """The partial derivative of one node by another, as a symbol.

        The chain never says more than that, the numbers stand beside it.
        """
        return f"∂{self.names[of]}/∂{self.names[by]}"

    def text(self, j: int) -> str:
        """The chain of the gradient with respect to node `j`; a sum where several ways lead on."""
        if j in self.links:
            return self._product(j)
        parents = self.parents.get(j, ())
        if not parents:
            return self.partial(self.top, j)
        shown = parents if len(parents) <= LONGEST else parents[:HEAD]
        terms = [self._term(parent, j) for parent in shown]
        if len(parents) > len(shown):
            terms.append(f"… ({len(parents) - len(shown):,} more)")
        return " + ".join(terms)

    def _term(self, parent: int, j: int) -> str:
        own = self.partial(parent, j)
        if parent == self.top:
            return own
        return f"{self.partial(self.top, parent)} · {own}"

    def path(self, j: int) -> list[int]:
        """The nodes from the objective to `j` where there is only one way and it is short, else an empty list."""
        if j not in self.links or self.links[j].distance > LONGEST:
            return []
        nodes = [j]
        while nodes[-1] != self.top:
            nodes.append(self.links[nodes[-1]].following)
        return nodes[::-1]

    def _product(self, j: int) -> str:
        link = self.links[j]
        if link.distance <= LONGEST:
            return self._last(link, link.distance)
        return f"{link.first} · … ({link.distance - HEAD - TAIL:,} more) · {self._last(link, TAIL)}"

    def _last(self, link: Link, count: int) -> str:
        """The last links of a way, of which `link` is the very last."""
        partials = [link.own]
        while len(partials) < count:
            link = self.links[link.following]
            partials.append(link.own)
        return " · ".join(partials[::-1])
