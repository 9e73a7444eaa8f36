"""What there is to say about a run: named, in words, with numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gradexplain.explain.notes import short
from gradexplain.training.course import Watch
from gradexplain.training.curvature import largest_rate
from gradexplain.training.setup import Setup
from gradexplain.training_records import NORM, Diagnosis, grad_of

# So many of the last changes of a parameter must turn back for an oscillation, of at least so many.
OFTEN, ENOUGH = 0.75, 4
# A run that stands still for fewer steps, with a gradient that is not 0, may be passing a turning point.
FEW = 3
# What has an infinite derivative and a finite value where its argument is 0; the others are powers below 1.
ROOTS = frozenset(("sqrt", "pow", "hypot"))


def diagnose(setup: Setup, watch: Watch, final: float, curvature: Callable[[], float | None]) -> list[Diagnosis]:
    """The diagnoses, the most important first. `final` is the loss after the last step; `curvature` asks PyTorch."""
    if not watch.steps:
        id = "done_at_start" if watch.whole else "done_in_first_batch"
        return [Diagnosis.of("done", id, 0, final, loss=short(watch.small_enough))]
    found = _reached(watch, final)
    found += _without_gradient(setup, watch)
    found += _stale(setup, watch)
    broken = _broken(setup, watch, final)
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
    id, loss = "done" if watch.whole else "done_in_batch", short(watch.small_enough)
    return [Diagnosis.of("done", id, watch.steps, final, step=watch.steps, loss=loss)]


def _without_gradient(setup: Setup, watch: Watch) -> list[Diagnosis]:
    if setup.job.order == "backward-zero-step":
        return [Diagnosis.of("no gradient", "cleared_before_step", 1, None)]
    names = [name.strip(NORM) for name, ever in zip(setup.parameters, watch.ever, strict=True) if not ever]
    objective = setup.names.of[setup.graph.objective]
    return [Diagnosis.of("no gradient", "no_gradient", 1, None, names=names, objective=objective)] if names else []


def _stale(setup: Setup, watch: Watch) -> list[Diagnosis]:
    stale = watch.stale
    if stale is None:
        return []
    said = {"step": stale.step, "count": stale.step - 1, "loss": short(stale.loss)}
    if not any(stale.backward):
        return [Diagnosis.of("stale gradient", "pushed_away", stale.step, stale.after, **said)]
    # The parameter whose held gradient is the largest.
    entries = zip(setup.parameters, stale.backward, stale.held, strict=True)
    name, backward, held = max(entries, key=lambda entry: abs(entry[2] or 0.0))
    return [Diagnosis.of(
        "stale gradient", "stale_gradient", stale.step, stale.after, **said, after=short(stale.after), name=name,
        computed=short(backward), grad=grad_of(name), held=short(held),
    )]  # fmt: skip


def _broken(setup: Setup, watch: Watch, final: float) -> list[Diagnosis]:
    """The first step with something that is not finite, and what helps where that is a point without a derivative."""
    step, began = watch.broken_step, watch.broken_began
    if not step:
        return []
    said: dict[str, Any] = {"step": step}
    passed = math.isfinite(final)
    id = "broken_at" if passed else "broken_from"
    if began is not None:
        id = "broken_at_node" if passed else "broken_from_node"
        said |= {"node": began.node, "reason": began.sentence}
    if not watch.no_derivative:
        return [Diagnosis.of("nan", id, step, None, **said)]
    rules = {name: setup.graph.nodes[i].rule for i, name in setup.names.of.items()}
    rooted = began is not None and rules.get(began.node) in ROOTS
    broke = {"id": id, "values": said}
    return [Diagnosis.of("nan", "root_of_zero" if rooted else "no_derivative", step, None, broke=broke)]


def _diverging(setup: Setup, watch: Watch, final: float, curvature: Callable[[], float | None]) -> list[Diagnosis]:
    rising = not math.isfinite(final) or (final > watch.first_loss and (not watch.whole or final > watch.recent[0]))
    if not rising or not watch.moved or watch.steps < 2 or watch.no_derivative:
        return []
    job = setup.job
    said: dict[str, Any] = {"first": short(watch.first_loss)}
    if final == -math.inf:
        return [Diagnosis.of("diverging", "fell_without_end", None, None, **said)]
    id, said = "grew", {**said, "final": short(final)}
    if watch.whole and watch.best_step > 1:
        id, said = "grew_from_least", {**said, "least": short(watch.best_loss), "step": watch.best_step}
    if not job.zero_grad:
        return [Diagnosis.of("diverging", id, None, None, **said)]
    grew, rate = {"id": id, "values": said}, job.settings["lr"]
    if watch.broken_step == 1:
        return [Diagnosis.of("diverging", "no_rate", None, None, grew=grew)]
    eigenvalue = curvature() if watch.whole else None
    limit = None if eigenvalue is None else largest_rate(job.optimizer, job.settings, eigenvalue)
    if limit is None or eigenvalue is None:
        return [Diagnosis.of("diverging", "lower_rate", None, None, grew=grew, rate=short(rate))]
    if rate < limit and math.isfinite(final):
        # It settles elsewhere, where a decay balances the gradient.
        return []
    return [Diagnosis.of(
        "diverging", "largest_rate", None, limit, grew=grew, curvature=short(eigenvalue), optimizer=job.optimizer,
        limit=short(limit), rate=short(rate),
    )]  # fmt: skip


def _oscillating(setup: Setup, watch: Watch) -> list[Diagnosis]:
    names = [
        name.strip(NORM) for name, flips in zip(setup.parameters, watch.flips, strict=True)
        if len(flips) > ENOUGH and sum(flips) >= OFTEN * len(flips)
    ]  # fmt: skip
    if not names:
        return []
    turns, looked = max((sum(flips), len(flips)) for flips in watch.flips)
    return [Diagnosis.of("oscillating", "turned_back", None, float(turns), names=names, turns=turns, looked=looked)]


def _converged(setup: Setup, watch: Watch, final: float) -> list[Diagnosis]:
    if watch.flat and not watch.moved:
        return [Diagnosis.of("zero gradient", "flat_from_start", 1, None)]
    job = setup.job
    still = watch.still_since if watch.moved and watch.zero_grad and watch.steps - FEW >= watch.still_since > 1 else 0
    since = {
        "zero_since": watch.zero_since,
        "rest_since": watch.rest_since if watch.rest_since > 1 else 0,
        "balanced_since": still if job.settings.get("weight_decay") else 0,
        "lost_since": still,
    }
    for id, step in since.items():
        if step:
            more = {"dtype": job.dtype} if id == "lost_since" else {}
            return [Diagnosis.of("converged", id, step, final, step=step, final=short(final), **more)]
    return []


def _course(watch: Watch, final: float) -> list[Diagnosis]:
    said = {"first": short(watch.first_loss), "final": short(final)}
    if final < watch.first_loss:
        return [Diagnosis.of("decreasing", "falling", None, final, **said)]
    return [Diagnosis.of("undecided", "went", None, final, **said)]
