"""The values of a parameter at which the loss is drawn."""

from __future__ import annotations

from collections.abc import Sequence

GRID_SIZE = 60
# Parameters beyond this are on no picture.
FAR = 1e100


def around(values: Sequence[float]) -> list[float]:
    """Evenly spaced values that reach a quarter beyond the given ones on either side; none where these go too far."""
    values = [value for value in values if abs(value) < FAR]
    if not values:
        return []
    low, high = min(values), max(values)
    margin = (high - low) / 4 or max(abs(low), 1.0) / 2
    return [low - margin + (high - low + 2 * margin) * k / (GRID_SIZE - 1) for k in range(GRID_SIZE)]
