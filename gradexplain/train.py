"""A formula, a start and an optimizer -> Training: the use case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradexplain.data.point import Point
from gradexplain.errors import OptionError
from gradexplain.training.options import Request
from gradexplain.training.run import Run
from gradexplain.training_records import Training


def train(
    expression: str | None = None,
    at: Point | None = None,
    *,
    params: str | Sequence[str] | None = None,
    data: str | Path | Mapping[str, Any] | None = None,
    reduction: str = "mean",
    optimizer: str = "sgd",
    lr: float | None = None,
    momentum: float | None = None,
    weight_decay: float | None = None,
    betas: tuple[float, float] | None = None,
    alpha: float | None = None,
    eps: float | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    shuffle: bool = False,
    seed: int = 0,
    dtype: str = "float64",
    zero_grad: bool = True,
    accumulate: int = 1,
    order: str = "zero-backward-step",
    until: float | None = None,
    every: int | None = 1,
    compare: str | None = None,
    shape: str | Sequence[str] | Mapping[str, Any] | None = None,
    init: str | Sequence[str] | Mapping[str, str] | None = None,
    columns: str | Sequence[str] | Mapping[str, str | Sequence[str]] | None = None,
    device: str = "cpu",
) -> Training:
    """Minimize a formula by gradient descent, as a training loop of PyTorch does, and explain every step.

    `expression` is a formula of the language whose last statement is the loss (the classic line through one point,
    without it); `at` has the starting values of the parameters and the values of the other inputs; `params` are the
    names of the parameters (with data: all inputs that are no columns). `data` is a file of columns, or a mapping from
    names to sequences of numbers of one length; the loss is then that of every row, reduced by `reduction` ("mean" or
    "sum"). `optimizer` is one of OPTIMIZERS, and the settings from `lr` to `eps` have PyTorch's meaning and, where they
    are None, the defaults of the optimizer. `steps` (or `epochs` over data) is how long the run is, `until` a loss at
    which it ends early. `batch_size` is how many rows each backward() has, `accumulate` how many backward() come before
    each step(); `shuffle` draws an order of the rows for every epoch, which `seed` decides. `zero_grad` and `order` say
    which calls are made and in which order. `every` thins the steps that the record keeps; None keeps those that the
    table shows. `compare` runs the same with and without zero_grad() ("zero-grad"), or in the three orders ("order").

    In a formula on tensors, values in `at` are nested lists, arrays or tensors, the columns of `data` are vectors over
    the rows, and `columns` makes matrices of them (`"X=x1,x2"`); the loss is that of the whole batch as it is written,
    a single number. `init` says how parameters begin (`"W=normal(0, 0.1)"`, see INITS), drawn from `seed` as
    `torch.nn.init` does; `shape` gives their shapes (`"W=8x2"`).

    `device` is where PyTorch computes: `cpu`, `cuda`, `cuda:1` and so on, or `mps`.

    Returns the record. Raises FormulaError, PointError or OptionError.

    >>> training = train(steps=2)
    >>> training.steps[0].grad["w"], training.final.parameters, training.verdict
    (-8.0, {'w': 1.8, 'b': 0.4}, 'agrees')
    """
    if betas is not None and len(betas) != 2:
        raise OptionError("betas are two numbers", hint="such as (0.9, 0.999)")
    beta1, beta2 = betas if betas is not None else (None, None)
    settings = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "beta1": beta1, "beta2": beta2,
                "alpha": alpha, "eps": eps}  # fmt: skip
    return Run(Request(
        expression, at, params, data, reduction, optimizer, settings, steps, epochs, batch_size, shuffle, seed, dtype,
        zero_grad, accumulate, order, until, every, shape, init, columns, device,
    ), compare).finish()  # fmt: skip
