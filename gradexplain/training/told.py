"""What the steps of a run tell of its parameters: single numbers and small tensors by element, large ones by norm."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from gradexplain.readings.place import Place
from gradexplain.tensor import elements
from gradexplain.training_records import norm_of

# A parameter with more elements is told by its norm; so are the largest where there are more elements in all.
MAX_ELEMENTS, MAX_ALL = 8, 12


def by_element(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The parameters that are told element by element: the small ones, as long as there are not too many elements.

    >>> by_element({"W": (1, 2), "b": (1,), "V": (3, 3)}), by_element({"W": (8,), "V": (8,), "c": ()})
    (['W', 'b'], ['c'])
    """
    counts = {name: math.prod(shape) for name, shape in shapes.items()}
    most = MAX_ELEMENTS
    while sum(count for count in counts.values() if count <= most) > MAX_ALL:
        most -= 1
    # A single number always is.
    return [name for name, count in counts.items() if count <= most or not shapes[name]]


def told(name: str, shape: tuple[int, ...], singly: bool) -> list[str]:
    """What the steps tell of a parameter: its elements where `singly`, or its norm; a single number by its own name.

    >>> told("W", (1, 2), True), told("W", (1, 2), False)
    (['W[0, 0]', 'W[0, 1]'], ['‖W‖'])
    """
    return elements(name, shape) if singly else [norm_of(name)]


class Teller:
    """Tells tensors as the steps do, one for each of the parameters; `singly` says which are told by element.

    `places` are where each begins in what is told.
    """

    def __init__(self, torch: Any, parameters: Sequence[Any], singly: Sequence[bool]) -> None:
        self.torch, self.exact, self.parameters = torch, Place(torch), parameters
        self.counts = [parameter.numel() if single else 0 for parameter, single in zip(parameters, singly, strict=True)]
        self.places = [0, *itertools.accumulate(max(count, 1) for count in self.counts)][:-1]
        self.single = all(count == 1 for count in self.counts)
        self.large = [k for k, count in enumerate(self.counts) if not count]
        self._last: dict[int, Any] = {}
        self._signs = dict.fromkeys(self.large, 1.0)

    def __call__(self, tensors: Sequence[Any], nothing: Any = None) -> list[Any]:
        """The elements of each tensor in order, or its norm; `nothing` for each number of no tensor."""
        if self.single:
            return [nothing if tensor is None else tensor.item() for tensor in tensors]
        found: list[Any] = []
        for tensor, count in zip(tensors, self.counts, strict=True):
            if tensor is None:
                found += [nothing] * (count or 1)
            elif count == 1:
                found.append(tensor.item())
            elif count:
                found += tensor.detach().flatten().tolist()
            else:
                found.append(self._norm(self.exact.bring(tensor.detach())))
        return found

    def copies(self) -> dict[int, Any]:
        """The large parameters as they are now."""
        return {k: self.parameters[k].detach().clone() for k in self.large}

    def moved(self, before: Mapping[int, Any]) -> dict[int, float]:
        """By how much each large parameter moved since, by its place; the sign turns where it turned back."""
        found = {}
        for k, old in before.items():
            move = self.exact.bring(self.parameters[k].detach() - old)
            if k in self._last and (self._last[k] * move).sum() < 0:
                self._signs[k] = -self._signs[k]
            self._last[k] = move
            found[self.places[k]] = self._signs[k] * self._norm(move)
        return found

    def _norm(self, tensor: Any) -> float:
        return self.torch.linalg.vector_norm(tensor).item()  # type: ignore[no-any-return]
