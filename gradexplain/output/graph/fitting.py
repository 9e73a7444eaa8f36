"""Places in a row that are as near as possible to those wanted, without coming too close to each other."""

from __future__ import annotations

from collections.abc import Sequence


def spread(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The heights nearest to the wanted ones, in the same order and at least `gaps` apart (least squares).

    Neighbours that are too close become one block, which stands where all of it together wants to.

    >>> spread([0, 0, 9], [1, 1, 1], [2, 2])
    [-1.0, 1.0, 9.0]
    """
    blocks: list[tuple[float, float, int]] = []
    offset, offsets = 0.0, []
    for k, (height, weight) in enumerate(zip(wanted, weights, strict=True)):
        offset += gaps[k - 1] if k else 0.0
        offsets.append(offset)
        block = ((height - offset) * weight, weight, 1)
        while blocks and blocks[-1][0] / blocks[-1][1] > block[0] / block[1]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    starts = [total / weight for total, weight, size in blocks for _ in range(size)]
    return [start + offset for start, offset in zip(starts, offsets, strict=True)]
