"""Remarks on a derivation on tensors, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradexplain.explain.notes import listed

if TYPE_CHECKING:
    from gradexplain.explain.tensor_build import Build


def tensor_notes(build: Build) -> list[str]:
    """Remarks on the derivation as a whole."""
    problem, notes = build.problem, []
    if build.refused and build.refused_at in build.names.of:
        at = build.names.expression(build.refused_at)
        notes.append(f"{at} does not exist here, and PyTorch refuses it: {build.refused}")
    elif build.refused:
        notes.append(f"PyTorch refused: {build.refused}")
    elif not build.found:
        notes.append("PyTorch is not installed, so autograd's column is empty; install it with pip install torch")
    elif problem.missing:
        has = "has no value" if len(problem.missing) == 1 else "have no values"
        notes.append(f"{listed(problem.missing)} {has}: random numbers stand in for them, to check the formulas")
    if build.graph.sizes:
        sizes = ", ".join(f"{name} = {number}" for name, number in build.graph.sizes.items())
        notes.append(f"checked with {sizes}")
    unreached = [build.names.of[j] for j in problem.sources if j not in build.walk.totals]
    if unreached:
        reach, objective = "does" if len(unreached) == 1 else "do", build.names.of[build.graph.objective]
        notes.append(f"nothing flows from {objective} back to {listed(unreached)}, which {reach} "
                     "not influence it smoothly: the gradient is 0, and PyTorch leaves .grad None")  # fmt: skip
    for j in problem.sources:
        began = build.began.get(j)
        if build.verdicts.get(j) == "convention" and began is not None:
            notes.append(f"{problem.partial(j)}: {began.reason}")
    long = [j for j in problem.sources if build.form(j)[1] is None]
    if long:
        notes.append(f"the closed form of {listed(long, problem.partial)} is too long, or was not confirmed "
                     "at numbers; the chain stands for it")  # fmt: skip
    return list(dict.fromkeys(notes))
