"""PyTorch's own optimizers, in their functional forms: those of `torch.optim` without a second of further imports."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradexplain.readings.place import Place
from gradexplain.training.optimizers import OPTIMIZERS, state_of


class Stepper:
    """What `optimizer.step()` does to `parameters`: PyTorch's code for one optimizer, and the numbers that it keeps.

    `state` has by name (as in the rule) one tensor for each parameter, None before the first step.
    """

    def __init__(self, place: Place, name: str, settings: Mapping[str, float], parameters: Sequence[Any]) -> None:
        self.torch, self.name, self.settings, self.parameters = place.torch, name, settings, list(parameters)
        names = state_of(OPTIMIZERS[name], settings)
        self.state: dict[str, list[Any]] = {key: [None] * len(self.parameters) for key in names}
        # PyTorch keeps these on the CPU wherever the parameters are.
        self.counts = [Place(place.torch, "float32").zeros() for _ in self.parameters]
        self._step, module, function = _STEPS[name]
        self.function = getattr(importlib.import_module(f"torch.optim.{module}"), function)

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        used = [k for k, parameter in enumerate(self.parameters) if parameter.grad is not None]
        if used:
            with self.torch.no_grad():
                self._step(self, used)

    def _lists(self, used: Sequence[int], *names: str) -> list[list[Any]]:
        """The parameters, their gradients, and the kept tensors under each name, made where they are not there yet."""
        for name in names:
            for k in used:
                if self.state[name][k] is None:
                    self.state[name][k] = self.torch.zeros_like(self.parameters[k])
        parameters = [self.parameters[k] for k in used]
        kept = [[self.state[name][k] for k in used] for name in names]
        return [parameters, [parameter.grad for parameter in parameters], *kept]


def _sgd(self: Stepper, used: Sequence[int]) -> None:
    settings, buffers = self.settings, self.state.get("buffer")
    parameters, gradients = self._lists(used)
    # Without a buffer PyTorch makes one that begins with the first gradient.
    kept = [buffers[k] for k in used] if buffers is not None else [None] * len(used)
    self.function(
        parameters, gradients, kept, foreach=False, weight_decay=settings["weight_decay"],
        momentum=settings.get("momentum", 0.0), lr=settings["lr"], dampening=0.0,
        nesterov=self.name == "nesterov", maximize=False,
    )  # fmt: skip
    if buffers is not None:
        for k, buffer in zip(used, kept, strict=True):
            buffers[k] = buffer


def _adam(self: Stepper, used: Sequence[int], decoupled: bool = False) -> None:
    settings = self.settings
    parameters, gradients, first, second = self._lists(used, "m", "v")
    self.function(
        parameters, gradients, first, second, [], [self.counts[k] for k in used], foreach=False, fused=False,
        decoupled_weight_decay=decoupled, amsgrad=False, beta1=settings["beta1"], beta2=settings["beta2"],
        lr=settings["lr"], weight_decay=settings["weight_decay"], eps=settings["eps"], maximize=False,
    )  # fmt: skip


def _adamw(self: Stepper, used: Sequence[int]) -> None:
    _adam(self, used, decoupled=True)


def _rmsprop(self: Stepper, used: Sequence[int]) -> None:
    settings = self.settings
    names = [name for name in ("v", "buffer") if name in self.state]
    parameters, gradients, squares, *buffers = self._lists(used, *names)
    self.function(
        parameters, gradients, squares, [], buffers[0] if buffers else [], [self.counts[k] for k in used],
        foreach=False, lr=settings["lr"], alpha=settings["alpha"], eps=settings["eps"],
        weight_decay=settings["weight_decay"], momentum=settings["momentum"], centered=False,
    )  # fmt: skip


def _adagrad(self: Stepper, used: Sequence[int]) -> None:
    settings = self.settings
    parameters, gradients, totals = self._lists(used, "total")
    self.function(
        parameters, gradients, totals, [self.counts[k] for k in used], fused=False, foreach=False, lr=settings["lr"],
        weight_decay=settings["weight_decay"], lr_decay=0.0, eps=settings["eps"], maximize=False,
    )  # fmt: skip


# What makes a step, and the module and the name of PyTorch's function for it.
_STEPS: dict[str, tuple[Callable[[Stepper, Sequence[int]], None], str, str]] = {
    "sgd": (_sgd, "sgd", "sgd"),
    "momentum": (_sgd, "sgd", "sgd"),
    "nesterov": (_sgd, "sgd", "sgd"),
    "adam": (_adam, "adam", "adam"),
    "adamw": (_adamw, "adam", "adam"),
    "rmsprop": (_rmsprop, "rmsprop", "rmsprop"),
    "adagrad": (_adagrad, "adagrad", "adagrad"),
}
