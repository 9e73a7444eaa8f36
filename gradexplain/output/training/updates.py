"""What `step()` does, in formulas and with the numbers of one step put in."""

from __future__ import annotations

from collections.abc import Mapping

from gradexplain.output.numbers import show
from gradexplain.training.optimizers import OPTIMIZERS, Line, lines_of, written
from gradexplain.training_records import NORM, Optimizer, Training, Update, norm_of


def bracketed(value: float) -> str:
    """A number as it stands after an operator.

    >>> bracketed(-8.0), bracketed(0.5)
    ('(-8)', '0.5')
    """
    found = show(value)
    return f"({found})" if found.startswith("-") else found


def title(optimizer: Optimizer) -> str:
    """The optimizer and its settings, those that are 0 left out.

    >>> title(Optimizer("sgd", {"lr": 0.1, "weight_decay": 0.0}))
    'SGD, lr = 0.1'
    """
    settings = [
        f"{name.replace('_', ' ')} = {show(value)}"
        for name, value in optimizer.settings.items()
        if value or name == "lr"
    ]
    return ", ".join([OPTIMIZERS[optimizer.name].title, *settings])


def _lines(optimizer: Optimizer) -> list[Line]:
    return lines_of(OPTIMIZERS[optimizer.name], optimizer.settings)


def _settings(optimizer: Optimizer) -> tuple[tuple[str, float], ...]:
    return tuple(optimizer.settings.items())


def rule(optimizer: Optimizer, parameter: str, gradient: str) -> list[str]:
    """The update rule in formulas for a parameter whose `.grad` is called `gradient`, a line each.

    >>> rule(Optimizer("sgd", {"lr": 0.1, "weight_decay": 0.0}), "w", "w.grad")
    ['w ← w - 0.1·w.grad']
    """
    lines = _lines(optimizer)
    names = {line.name: line.name for line in lines} | {"p": parameter, "g": gradient, "t": "t"}
    found = []
    for line in lines:
        formula = written(line.formula, names, _settings(optimizer), show)
        # With a decay, g is no longer what .grad holds.
        names["g"] = "g" if line.name == "g" else names["g"]
        found.append(f"{names[line.name]} ← {formula}")
    return found


def single_rules(training: Training) -> dict[str, str]:
    """The update rule of each parameter with its own name and gradient; none where a rule has several lines."""
    if len(rule(training.optimizer, "p", "g")) > 1:
        return {}
    usual = training.zero_grad and training.accumulate == 1
    return {
        name: rule(training.optimizer, name, entry.partial if usual else f"{name}.grad")[0]
        for name, entry in training.gradient.items()
    }


def arithmetic(training: Training, name: str, update: Update, grad: float | None, step: int) -> list[str]:
    """The update of one parameter in numbers: the optimizer's own lines, then the new value.

    Of a large parameter, of which only norms are told, it is how far it moved.
    """
    if grad is None:
        return [f"{name} ← {show(update.after)} (no .grad)"]
    if name.startswith(NORM):
        return [f"{norm_of('Δ' + name.strip(NORM))} = {show(update.state['change'])}"]
    lines = _lines(training.optimizer)
    if grad == 0 and len(lines) == 1 and update.before == update.after:
        return [f"{name} ← {show(update.after)}"]
    values: dict[str, float] = {**update.held, "p": update.before, "g": grad, "t": float(step)}
    found = []
    for line in lines:
        texts: Mapping[str, str] = {key: bracketed(value) for key, value in values.items()}
        formula = written(line.formula, texts, _settings(training.optimizer), show)
        result = update.after if line.name == "p" else update.state[line.name]
        values[line.name] = result
        found.append(f"{f'{name} ←' if line.name == 'p' else f'{line.name} ='} {formula} = {show(result)}")
    return found
