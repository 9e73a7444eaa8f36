"""What there is to say about a run: named, in words, with numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

from gradexplain.explain.notes import short
from gradexplain.training.course import Stale, Watch
from gradexplain.training.curvature import largest_rate
from gradexplain.training.setup import Setup
from gradexplain.training_records import NORM, Diagnosis, grad_of
from gradexplain.wording import listed

# So many of the last changes of a parameter must turn back for an oscillation, of at least so many.
OFTEN, ENOUGH = 0.75, 4
# A run that stands still for fewer steps, with a gradient that is not 0, may be passing a turning point.
FEW = 3


def diagnose(setup: Setup, watch: Watch, final: float, curvature: Callable[[], float | None]) -> list[Diagnosis]:
    """The diagnoses, the most important first. `final` is the loss after the last step; `curvature` asks PyTorch."""
    if not watch.steps:
        where = "at the start" if watch.whole else "in the first batch"
        return [Diagnosis("done", f"the loss is {short(watch.small_enough)} {where}, which is small enough", 0, final)]
    found = _reached(watch, final)
    found += _without_gradient(setup, watch)
    found += _stale(setup, watch)
    broken = _broken(watch, final)
    diverging = _diverging(setup, watch, final, curvature)
    found += [*broken, *diverging]
    if watch.whole and not watch.still_since:
        found += _oscillating(setup, watch)
    if not broken and not diverging:
        found += _converged(setup, watch, final)
    if {entry.name for entry in found} <= {"no gradient", "done"} and watch.moved and not watch.small_enough:
        found += _course(watch, final)
    return found


def _reached(watch: Watch, final: float) -> list[Diagnosis]:
    """The run ended early, since its loss was small enough."""
    if watch.small_enough is None:
        return []
    what = "the loss" if watch.whole else "the loss of a batch"
    return [Diagnosis("done", f"after step {watch.steps} {what} is {short(watch.small_enough)}, which is small enough",
                      watch.steps, final)]  # fmt: skip


def _without_gradient(setup: Setup, watch: Watch) -> list[Diagnosis]:
    if setup.job.order == "backward-zero-step":
        text = ("zero_grad() came between backward() and step(): step() found no .grad at any step, "
                "and the parameters never moved")  # fmt: skip
        return [Diagnosis("no gradient", text, 1)]
    names = [name.strip(NORM) for name, ever in zip(setup.parameters, watch.ever, strict=True) if not ever]
    if not names:
        return []
    objective = setup.names.of[setup.graph.objective]
    has = "has no .grad" if len(names) == 1 else "have no .grad"
    return [Diagnosis("no gradient", f"{listed(names)} {has} at any step: nothing flows back from {objective}", 1)]


def _stale(setup: Setup, watch: Watch) -> list[Diagnosis]:
    stale = watch.stale
    if stale is None:
        return []
    earlier = "step 1" if stale.step == 2 else f"steps 1 to {stale.step - 1}"
    rose = f"and the loss rose from {short(stale.loss)} to {short(stale.after)}"
    if not any(stale.backward):
        text = (f"step {stale.step}: the loss was already {short(stale.loss)}, and the stale gradient of {earlier} "
                "pushed the parameters away from the minimum")  # fmt: skip
    else:
        text = f"step {stale.step}: {_held(setup, stale)} from {earlier}, {rose}"
    return [Diagnosis("stale gradient", text, stale.step, stale.after)]


def _held(setup: Setup, stale: Stale) -> str:
    """The parameter whose held gradient is the largest beside what backward() computed, in words."""
    entries = zip(setup.parameters, stale.backward, stale.held, strict=True)
    name, backward, held = max(entries, key=lambda entry: abs(entry[2] or 0.0))
    return f"backward() computed {short(backward)} for {name}, and {grad_of(name)} still held {short(held)}"


def _broken(watch: Watch, final: float) -> list[Diagnosis]:
    if not watch.broken_step:
        return []
    began = watch.broken_began
    where = f"; it began at {began.node}: {began.reason}" if began else ""
    when = f"at step {watch.broken_step}" if math.isfinite(final) else f"from step {watch.broken_step} on"
    return [Diagnosis("nan", f"the loss or a gradient is not finite {when}{where}", watch.broken_step)]


def _diverging(setup: Setup, watch: Watch, final: float, curvature: Callable[[], float | None]) -> list[Diagnosis]:
    rising = not math.isfinite(final) or (final > watch.first_loss and (not watch.whole or final > watch.recent[0]))
    if not rising or not watch.moved or watch.steps < 2:
        return []
    job = setup.job
    if final == -math.inf:
        return [Diagnosis("diverging", f"the loss fell from {short(watch.first_loss)} without end", None, None)]
    text = f"the loss grew from {short(watch.first_loss)} to {short(final)}"
    if watch.whole and watch.best_step > 1:
        text += f" (the least was {short(watch.best_loss)} at step {watch.best_step})"
    limit = None
    if job.zero_grad and watch.whole:
        eigenvalue = curvature()
        limit = None if eigenvalue is None else largest_rate(job.optimizer, job.settings, eigenvalue)
        if limit is not None and job.settings["lr"] < limit and math.isfinite(final):
            # It settles elsewhere, where a decay balances the gradient.
            return []
    if limit is not None and eigenvalue is not None:
        text += (f"; the loss is quadratic with a largest curvature of {short(eigenvalue)}, so {job.optimizer} is "
                 f"stable below lr = {short(limit)}, and lr is {short(job.settings['lr'])}")  # fmt: skip
    elif job.zero_grad:
        text += f"; a learning rate below {short(job.settings['lr'])} may help"
    return [Diagnosis("diverging", text, None, limit)]


def _oscillating(setup: Setup, watch: Watch) -> list[Diagnosis]:
    names = [
        name.strip(NORM) for name, flips in zip(setup.parameters, watch.flips, strict=True)
        if len(flips) > ENOUGH and sum(flips) >= OFTEN * len(flips)
    ]  # fmt: skip
    if not names:
        return []
    turns, looked = max((sum(flips), len(flips)) for flips in watch.flips)
    text = f"{listed(names)} turned back at {turns} of the last {looked} steps: each step jumps across the minimum"
    return [Diagnosis("oscillating", text, None, float(turns))]


def _converged(setup: Setup, watch: Watch, final: float) -> list[Diagnosis]:
    if watch.flat and not watch.moved:
        return [Diagnosis("zero gradient", "every gradient is 0 from the first step on, so no parameter moves", 1)]
    if watch.zero_since:
        text = f"since step {watch.zero_since} every gradient is 0, and the loss stays {short(final)}"
        return [Diagnosis("converged", text, watch.zero_since, final)]
    if watch.rest_since > 1:
        text = (f"since step {watch.rest_since} every gradient, and every change of a parameter, is below a millionth "
                f"of its largest, and the loss is {short(final)}")  # fmt: skip
        return [Diagnosis("converged", text, watch.rest_since, final)]
    if watch.moved and watch.zero_grad and 1 < watch.still_since <= watch.steps - FEW:
        why = (
            "the weight decay balances the gradient"
            if setup.job.settings.get("weight_decay")
            else (f"the gradient is not 0, but the steps are lost in the rounding of {setup.job.dtype}")
        )
        text = f"since step {watch.still_since} no parameter changes any more, and the loss is {short(final)}: {why}"
        return [Diagnosis("converged", text, watch.still_since, final)]
    return []


def _course(watch: Watch, final: float) -> list[Diagnosis]:
    first = watch.first_loss
    if final < first:
        text = f"the loss fell from {short(first)} to {short(final)}, and is not at rest yet"
        return [Diagnosis("decreasing", text, None, final)]
    return [Diagnosis("undecided", f"the loss went from {short(first)} to {short(final)}", None, final)]
