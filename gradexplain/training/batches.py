"""Which rows make which step: batches of an epoch after the other, the last one of an epoch perhaps smaller."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from gradexplain.readings.place import Place


def steps_in_epoch(rows: int, batch_size: int, accumulate: int) -> int:
    """How many steps go once through the data.

    >>> steps_in_epoch(10, 4, 1), steps_in_epoch(10, 4, 2), steps_in_epoch(10, 10, 1)
    (3, 2, 1)
    """
    batches = math.ceil(rows / batch_size)
    return math.ceil(batches / accumulate)


def groups(place: Place, rows: int, batch_size: int, accumulate: int, shuffle: bool, seed: int) -> Iterator[list[Any]]:
    """For every step its batches, without end: each the numbers of its rows as a tensor, None for all rows in order.

    Rows are counted from 0. With `shuffle` every epoch has an order of its own, which `seed` decides.
    """
    generator = place.generator(seed)
    whole = batch_size >= rows and not shuffle
    while True:
        if whole:
            # Without data, several batches in one step are the same point again.
            yield [None] * accumulate
            continue
        order = place.shuffled(rows, generator) if shuffle else place.rows(rows)
        starts = range(0, rows, batch_size)
        for first in range(0, len(starts), accumulate):
            yield [order[start : start + batch_size] for start in starts[first : first + accumulate]]
