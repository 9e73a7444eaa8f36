"""The steps of a run in the widest of three layouts that fits: a line each, updates below each other, or stacked."""

from __future__ import annotations

from collections.abc import Sequence

from gradexplain.errors import ASCII, columns
from gradexplain.output.grid import filled, layout, total
from gradexplain.output.numbers import show
from gradexplain.output.training.updates import arithmetic
from gradexplain.readings.dtypes import DTYPES
from gradexplain.training.schedule import spaced
from gradexplain.training_records import NORM, Training, TrainingStep, grad_of

# A line with the verdict at its end, so that it can be coloured.
JudgedLines = list[tuple[str, str]]
SEPARATOR = ",  "
# With more updates than this in a step, those of elements stand below each other.
MANY = 4


def shown(training: Training, every: bool) -> list[TrainingStep]:
    """The steps to show: every one of the record, or of many those at a sensible spacing."""
    steps = list(training.steps)
    if every or not steps:
        return steps
    numbers = frozenset((*spaced(steps[-1].step), steps[-1].step))
    return [step for step in steps if step.step in numbers]


def headings(training: Training) -> tuple[str, ...]:
    """What stands above the columns of `cells`, for a table whose headings are a line each."""
    names = list(training.parameters)
    sums = "then holds" if training.order != "backward-zero-step" else "at step()"
    both = [*[f"backward() by {name}" for name in names], *[f"{grad_of(name)} {sums}" for name in names]]
    grads = both if _detailed(training) else [grad_of(name) for name in names]
    return ("step", *names, training.objective, *grads, "update", "verdict")


def cells(training: Training, every: bool) -> list[Sequence[str] | str]:
    """The steps to show, a row of cells each; updates below each other; a row that is a text goes across."""
    steps = shown(training, every)
    return _rows(training, steps, _at_rest(steps), "\n")[1:]


def step_lines(training: Training, width: int, every: bool = False, ascii_only: bool = False) -> JudgedLines:
    """The table of the steps, in lines of at most `width` columns where that can be.

    With `ascii_only` our own symbols are replaced before the columns are lined up.
    """
    steps = shown(training, every)
    if not steps:
        return []
    rest = _at_rest(steps)
    several = training.tensors is not None and len(training.parameters) > MANY
    for split in ("\n",) if several else (SEPARATOR, "\n"):
        rows = _rows(training, steps, rest, split)
        if ascii_only:
            rows = [row.translate(ASCII) if isinstance(row, str) else [c.translate(ASCII) for c in row] for row in rows]
        if total([row for row in rows if not isinstance(row, str)]) <= width:
            left = frozenset((len(rows[0]) - 2, len(rows[0]) - 1))
            verdicts = {step.verdict for step in steps}
            return [(line, next((v for v in verdicts if line.endswith(v)), "")) for line in layout(rows, left)]
    return _stacked(training, steps, rest, width)


def _at_rest(steps: Sequence[TrainingStep]) -> tuple[int, str]:
    """From which of the steps on nothing changes any more until the last one, and why; past the end where it does."""

    def same(one: TrainingStep, other: TrainingStep) -> bool:
        return repr((one.parameters, one.loss, one.grad)) == repr((other.parameters, other.loss, other.grad))

    first = len(steps) - 1
    while first > 0 and same(steps[first - 1], steps[-1]):
        first -= 1
    if first > len(steps) - 3:
        return len(steps), ""
    step = steps[first]
    if step.loss != step.loss:
        return first, "nan from here on"
    if all(value == 0 for value in step.backward.values()):
        return first, "the gradient is zero from here on"
    return first, "nothing changes from here on"


def _detailed(training: Training) -> bool:
    """Whether what backward() computed and what .grad holds are two things."""
    return not training.zero_grad or training.accumulate > 1 or training.order == "backward-zero-step"


def _updates(training: Training, step: TrainingStep) -> list[list[str]]:
    return [arithmetic(training, name, update, step.grad[name], step.step) for name, update in step.update.items()]


def _update_cell(training: Training, step: TrainingStep, split: str) -> str:
    """The updates of all parameters: on one line where each is one, else the optimizer's numbers below each other."""
    updates = _updates(training, step)
    if all(len(lines) == 1 for lines in updates):
        return split.join(lines[0] for lines in updates)
    names = list(step.update)
    found = []
    for name, lines in zip(names, updates, strict=True):
        if len(lines) > 1:
            indent = " " * (columns(name) + 2)
            lines = [f"{name}: {lines[0]}", *[f"{indent}{line}" for line in lines[1:]]]
        found += lines
    return "\n".join(found)


def _rows(
    training: Training, steps: Sequence[TrainingStep], rest: tuple[int, str], split: str
) -> list[Sequence[str] | str]:
    names = list(training.parameters)
    detailed = _detailed(training)
    if detailed:
        sums = ".grad then holds" if training.order != "backward-zero-step" else ".grad at step()"
        heads = [*_grouped("this backward()", names), *_grouped(sums, names)]
    else:
        heads = [grad_of(name) for name in names]
    plain = ["step", *names, training.objective]
    rows: list[Sequence[str] | str] = [
        tuple(f"\n{cell}" if detailed and "\n" not in cell else cell for cell in (*plain, *heads, "update", "verdict"))
    ]
    for k, step in enumerate(steps):
        if rest[0] < k < len(steps) - 1:
            if k == rest[0] + 1:
                rows.append(f"{'…':>4}   {rest[1]}")
            continue
        grads = [show(step.backward[name]) or "none" for name in names]
        if detailed:
            grads += [held(training, step, name) for name in names]
        update = "" if rest[0] < k else _update_cell(training, step, split)
        values = [show(value) for value in step.parameters.values()]
        rows.append((f"{step.step}", *values, show(step.loss), *grads, update, step.verdict))
    return rows


def _grouped(title: str, names: Sequence[str]) -> list[str]:
    """The headings of columns that belong together: the title stands above the first one."""
    return [f"{title if k == 0 else ''}\n{name}" for k, name in enumerate(names)]


def held(training: Training, step: TrainingStep, name: str) -> str:
    """What `.grad` holds after backward(), as arithmetic: what it held before, plus what was added.

    It may be something else: the gradients of two parameters may share their memory.
    """
    grad = step.grad[name]
    if grad is None:
        return "none"
    if name.startswith(NORM):
        # Norms do not add up.
        return show(grad)
    terms = [step.held[name]] if step.held[name] is not None else []
    if training.accumulate > 1 and step.batches:
        terms += [batch.gradient[name] for batch in step.batches]
    else:
        terms.append(step.backward[name])
    if len(terms) < 2:
        return show(grad)
    known = [term or 0.0 for term in terms]
    wrong = abs(sum(known) - grad) > DTYPES[training.dtype].tolerance * sum(map(abs, known))
    shown_terms = f"sum of {len(terms)}" if len(terms) > 6 else _sum([show(term) or "0" for term in terms])
    return f"{shown_terms} {'≠' if wrong else '='} {show(grad)}"


def _sum(terms: Sequence[str]) -> str:
    """Numbers added up, as one would write it.

    >>> _sum(["-8", "8"]), _sum(["1", "-2"])
    ('-8 + 8', '1 - 2')
    """
    return terms[0] + "".join(f" - {term[1:]}" if term.startswith("-") else f" + {term}" for term in terms[1:])


def _stacked(training: Training, steps: Sequence[TrainingStep], rest: tuple[int, str], width: int) -> JudgedLines:
    """A few short lines for each step, for a narrow terminal: the gradient of each parameter, and its update."""
    lines: JudgedLines = []
    detailed = _detailed(training)
    for k, step in enumerate(steps):
        if rest[0] < k < len(steps) - 1:
            if k == rest[0] + 1:
                lines.append((f"…   {rest[1]}", ""))
            continue
        lines.append((f"step {step.step}   {step.verdict}", step.verdict))
        values = [f"{name} = {show(value)}" for name, value in step.parameters.items()]
        values.append(f"{training.objective} = {show(step.loss)}")
        if training.tensors is not None:
            lines += [(line, "") for line in filled(values, SEPARATOR, width, "  ")]
        else:
            lines.append((f"  {SEPARATOR.join(values)}", ""))
        if rest[0] < k:
            continue
        if training.tensors is not None and not detailed and (pairs := _paired(training, step, width)):
            lines += [(line, "") for line in pairs]
            continue
        for name, update in zip(step.update, _updates(training, step), strict=True):
            computed = show(step.backward[name]) or "none"
            both = f"backward(): {computed};  {grad_of(name)} = {held(training, step, name)}"
            lines.append((f"  {both if detailed else f'{grad_of(name)} = {computed}'}", ""))
            lines += [(part, "") for line in update for part in _broken(f"    {line}", width)]
    return lines


def _paired(training: Training, step: TrainingStep, width: int) -> list[str]:
    """The gradient of each element and its update beside each other; no lines where that does not fit."""
    updates = _updates(training, step)
    grads = [f"{grad_of(name)} = {show(step.backward[name]) or 'none'}" for name in step.update]
    if any(len(lines) > 1 for lines in updates):
        return []
    start = max(map(columns, grads), default=0)
    pairs = zip(grads, updates, strict=True)
    found = [f"  {grad}{' ' * (start - columns(grad))}   {lines[0]}" for grad, lines in pairs]
    return found if all(columns(line) <= width for line in found) else []


def _broken(line: str, width: int) -> list[str]:
    """A line of arithmetic, its result below it where it is too long."""
    before, equals, result = line.rpartition(" = ")
    return [line] if columns(line) <= width or not equals else [before, f"      = {result}"]
