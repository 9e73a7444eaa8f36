"""The chain of a gradient as a product of partials, such as ∂L/∂v2 · ∂v2/∂w, over named nodes or over all."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from gradexplain.language.backward import Walk

LONGEST = 40
HEAD, TAIL = 4, 3


class Link(NamedTuple):
    """The way from a node to the objective where there is only one: the next node, how far it is, the last links."""

    following: int
    distance: int
    first: str


class Chains:
    """The chains of all nodes of a walk. `visible` are the nodes over which they run; others are passed over."""

    def __init__(
        self, walk: Walk[Any], names: Mapping[int, str], visible: Collection[int], sources: Collection[int], top: int
    ) -> None:
        self.names, self.top = names, top
        self.reached: dict[int, tuple[int, ...]] = {top: (top,)}
        self.links: dict[int, Link] = {}
        self.parents: dict[int, tuple[int, ...]] = {}
        shown = {*visible, *sources}
        for j in walk.order:
            ways = [self.reached[step.through] for step in walk.steps[j]]
            parents = ways[0] if len(ways) == 1 else tuple(dict.fromkeys(itertools.chain(*ways)))
            self.parents[j] = parents
            if j not in shown:
                self.reached[j] = parents
                continue
            self.reached[j] = (j,)
            if len(parents) == 1:
                self._link(j, parents[0])

    def _link(self, j: int, parent: int) -> None:
        before = self.links.get(parent)
        if parent == self.top:
            self.links[j] = Link(parent, 1, self.partial(parent, j))
        elif before is not None:
            first = f"{before.first} · {self.partial(parent, j)}" if before.distance < HEAD else before.first
            self.links[j] = Link(parent, before.distance + 1, first)

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
            return self._partials(self.path(j))
        last = [j]
        while len(last) <= TAIL:
            last.append(self.links[last[-1]].following)
        return f"{link.first} · … ({link.distance - HEAD - TAIL:,} more) · {self._partials(last[::-1])}"

    def _partials(self, nodes: Sequence[int]) -> str:
        names = [self.names[node] for node in nodes]
        return " · ".join([f"∂{of}/∂{by}" for of, by in itertools.pairwise(names)])
