"""What a person can ask of a training run, and whether the options make sense, each alone and together."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

from gradexplain.errors import OptionError, nearest
from gradexplain.readings.devices import check_name
from gradexplain.readings.dtypes import DTYPES
from gradexplain.readings.place import CPU
from gradexplain.training.job import ORDERS
from gradexplain.training.optimizers import OPTIMIZERS

REDUCTIONS = ("mean", "sum")
MAX_STEPS = 10**9


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, as it was asked; the fields are the arguments of `gradexplain.train`."""

    expression: str | None
    at: Any
    params: str | Sequence[str] | None
    data: Any
    reduction: str
    optimizer: str
    settings: Mapping[str, float | None]
    steps: int | None
    epochs: int | None
    batch_size: int | None
    shuffle: bool
    seed: int
    dtype: str
    zero_grad: bool
    accumulate: int
    order: str
    until: float | None
    every: int | None
    # Of a formula on tensors alone.
    shape: Any = None
    init: Any = None
    columns: Any = None
    device: str = CPU


def _choice(value: str, choices: Collection[str], what: str) -> None:
    if value not in choices:
        hint = nearest(value, choices) or "it is one of " + ", ".join(choices)
        raise OptionError(f"unknown {what} {value}", hint=hint)


def check_whole(value: int | None, what: str, least: int = 1) -> None:
    """Raise OptionError where `value`, called `what`, is no whole number from `least` on (or far too large)."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, SupportsIndex) or value < least):
        raise OptionError(f"{what} must be a whole number from {least} on, and is {value}")
    if value is not None and value > MAX_STEPS and what != "the seed":
        raise OptionError(f"{what} is at most {MAX_STEPS:,}, and is {value:,}")


def check_request(request: Request) -> None:
    """Raise OptionError where an option is out of its range, or two of them contradict each other."""
    _choice(request.dtype, DTYPES, "dtype")
    check_name(request.device, request.dtype)
    _choice(request.optimizer, OPTIMIZERS, "optimizer")
    _choice(request.reduction, REDUCTIONS, "reduction")
    _choice(request.order, ORDERS, "order")
    for value, what in (
        (request.steps, "the number of steps"), (request.epochs, "the number of epochs"),
        (request.batch_size, "the batch size"), (request.accumulate, "the number of batches to accumulate"),
        (request.every, "the spacing of the shown steps"),
    ):  # fmt: skip
        check_whole(value, what)
    check_whole(request.seed, "the seed", 0)
    if request.seed >= 2**63:
        raise OptionError(f"the seed is at most {2**63 - 1:,}")
    if request.steps is not None and request.epochs is not None:
        raise OptionError("the number of steps and of epochs are both given", hint="keep one of them")
    if request.until is not None and not math.isfinite(request.until):
        raise OptionError(f"the loss to stop at is {request.until}, and must be a finite number")
    if not request.zero_grad and request.order != ORDERS[0]:
        raise OptionError("without zero_grad() there is no order to choose", hint="leave out one of the two options")
    if request.data is None:
        for value, what in ((request.epochs, "epochs"), (request.batch_size, "a batch size")):
            if value is not None:
                raise OptionError(f"{what} without data", hint="give the data with --data FILE, or use --steps")
        if request.shuffle:
            raise OptionError("there is nothing to shuffle without data", hint="give the data with --data FILE")


def optimizer_name(request: Request) -> str:
    """SGD with a momentum is the optimizer called momentum, as in PyTorch's SGD(momentum=…)."""
    return "momentum" if request.optimizer == "sgd" and request.settings.get("momentum") else request.optimizer


# A setting by name: the option as a person knows it, the least value, and the value below which it stays.
_LIMITS = {
    "lr": ("the learning rate", 0.0, math.inf),
    "momentum": ("the momentum", 0.0, math.inf),
    "weight_decay": ("the weight decay", 0.0, math.inf),
    "beta1": ("the first beta", 0.0, 1.0),
    "beta2": ("the second beta", 0.0, 1.0),
    "alpha": ("alpha", 0.0, math.inf),
    "eps": ("eps", 0.0, math.inf),
}


def _option(setting: str) -> str:
    """The option that sets a setting."""
    return "betas" if setting.startswith("beta") else setting.replace("_", "-")


def settings_of(request: Request) -> dict[str, float]:
    """The settings of the optimizer, those that were not given at their defaults."""
    row = OPTIMIZERS[optimizer_name(request)]
    settings = {"lr": row.lr, **row.settings}
    for name, value in request.settings.items():
        what, least, below = _LIMITS[name]
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise OptionError(f"{what} is {value!r}, and must be a number")
        if name not in settings and not (name == "momentum" and row.name == "sgd" and value == 0):
            takes = ", ".join(dict.fromkeys(map(_option, settings)))
            raise OptionError(f"{row.name} has no setting {_option(name)}", hint=f"it has {takes}")
        if not math.isfinite(value) or value < least or value >= below:
            limit = f"from {least:g} to below {below:g}" if below < math.inf else f"a finite number from {least:g} on"
            raise OptionError(f"{what} is {value:g}, and must be {limit}")
        if name in settings:
            settings[name] = float(value)
    if row.name == "nesterov" and not settings["momentum"]:
        raise OptionError("nesterov needs a momentum above 0", hint="such as --momentum 0.9")
    return settings
