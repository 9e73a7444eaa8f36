"""Which nodes of a large graph are drawn, and how the others are passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

# With fewer statements than this, operations without a name are shown as well.
FEW_NODES = 12


class Contracted(NamedTuple):
    """A graph without some of its nodes: what each node reads directly and through nodes left out, and how many."""

    direct: list[list[int]]
    through: list[list[int]]
    hidden: list[int]


def kept_nodes(
    names: Sequence[str], reads: Sequence[Sequence[int]], objective: str, named: Collection[str], most: int
) -> list[int]:
    """The numbers of the nodes to draw: all of a graph with up to `most`, else those that somebody named.

    `reads` are the numbers that each node reads, all smaller than its own. Where there are few names, the operations
    that are nearest to the objective are drawn as well, those inside of a run of single operations last; where there
    are too many names, the nearest of them.

    >>> kept_nodes(["x", "v1", "v2", "L"], [[], [0], [1], [2]], "L", ["L"], 3)
    [0, 2, 3]
    """
    if len(names) <= most:
        return list(range(len(names)))
    distance = _distances(reads, list(names).index(objective))
    nearest = sorted(range(len(names)), key=lambda k: (distance[k], -k))
    inputs = [k for k in nearest if not reads[k]]
    statements = [k for k in nearest if reads[k] and names[k] in named]
    chosen = {*statements[: most // 2], *inputs[: most // 2]}
    if len(statements) < FEW_NODES:
        runs = _runs(reads)
        for candidates, limit in (([k for k in nearest if not runs[k]], most), (nearest, min(FEW_NODES, most))):
            rest = [k for k in candidates if k not in chosen]
            chosen.update(rest[: max(0, limit - len(chosen))])
    return sorted(chosen)


def _runs(reads: Sequence[Sequence[int]]) -> list[bool]:
    """Whether each node is inside of a run: it reads one node, and one other reads it."""
    readers = Counter(j for row in reads for j in row)
    return [len(row) == 1 and readers[k] == 1 for k, row in enumerate(reads)]


def _distances(reads: Sequence[Sequence[int]], objective: int) -> list[int]:
    """How many steps each node is from the objective, at least; what it does not depend on is far away."""
    distance = [len(reads)] * len(reads)
    distance[objective] = 0
    for k in range(len(reads) - 1, -1, -1):
        for j in reads[k]:
            distance[j] = min(distance[j], distance[k] + 1)
    return distance


def contract(reads: Sequence[Sequence[int]], kept: Collection[int]) -> Contracted:
    """Leave out all nodes but those in `kept`; each is counted where a walk from a kept node back meets it.

    >>> contract([[], [0], [1, 0]], [0, 2])
    Contracted(direct=[[], [], [0]], through=[[], [], [0]], hidden=[0, 0, 1])
    """
    shown = set(kept)
    found = Contracted([[] for _ in reads], [[] for _ in reads], [0] * len(reads))
    for k in sorted(shown):
        found.direct[k].extend(j for j in reads[k] if j in shown)
        seen: set[int] = set()
        stack = [j for j in reads[k] if j not in shown]
        while stack:
            i = stack.pop()
            if i in seen:
                continue
            seen.add(i)
            if i not in shown:
                stack.extend(reads[i])
        found.through[k].extend(sorted(seen & shown))
        found.hidden[k] = len(seen - shown)
    return found
