"""Runs from the same start, side by side, and what their difference says."""

from __future__ import annotations

from gradexplain.errors import columns
from gradexplain.output.grid import GAP, layout, total, widths
from gradexplain.output.numbers import show
from gradexplain.output.training.steps import shown
from gradexplain.training_records import Training


def compare(training: Training, width: int) -> list[str]:
    """The runs of a comparison side by side, and where they end; no lines without other runs."""
    if not training.comparison:
        return []
    runs = [training, *training.comparison]
    lines = ["", *_side_by_side(runs, width), ""]
    still = [run.label for run in runs if _never_moves(run)]
    if still:
        verb = "never moves" if len(still) == 1 else "never move"
        lines.append(f"{_listed(still)} {verb} the parameters: {_end(next(run for run in runs if _never_moves(run)))}")
    groups: dict[str, list[str]] = {}
    for run in runs:
        if run.label not in still:
            groups.setdefault(_end(run), []).append(run.label)
    for end, labels in groups.items():
        lines.append(f"{_listed(labels)} {'ends at' if len(labels) == 1 else 'end at the same parameters:'} {end}")
    return lines


def _never_moves(run: Training) -> bool:
    """Whether step() never found a gradient."""
    return all(value is None for step in run.steps for value in step.grad.values())


def _end(run: Training) -> str:
    return ", ".join(f"{name} = {show(value)}" for name, value in run.final.parameters.items())


def _listed(labels: list[str]) -> str:
    return " and ".join([", ".join(labels[:-1]), labels[-1]] if len(labels) > 1 else labels)


def _side_by_side(runs: list[Training], width: int) -> list[str]:
    """The steps of all runs in one table, or in one below the other where that is too wide."""
    names, objective = list(runs[0].parameters), runs[0].objective
    by_step = [{step.step: step for step in shown(run, every=False)} for run in runs]
    each = len(names) + 1
    rows: list[tuple[str, ...]] = [("step", *[*names, objective] * len(runs))]
    for number in sorted(set.union(*map(set, by_step))):
        cells: list[str] = []
        for steps in by_step:
            step = steps.get(number)
            cells += [""] * each if step is None else [*map(show, step.parameters.values()), show(step.loss)]
        rows.append((f"{number}", *cells))
    ends = [cell for run in runs for cell in (*map(show, run.final.parameters.values()), show(run.final.loss))]
    rows.append(("end", *ends))
    labels = _labels(runs, rows, each)
    if max(total(rows), columns(labels)) <= width:
        return [labels, *layout(rows)]
    lines: list[str] = []
    for k, run in enumerate(runs):
        part = [(row[0], *row[1 + k * each : 1 + (k + 1) * each]) for row in rows]
        lines += [run.label, *layout(part), ""]
    return lines[:-1]


def _labels(runs: list[Training], rows: list[tuple[str, ...]], each: int) -> str:
    """The line above the columns with the label of each run, at the right end of its own columns."""
    size = widths(rows)
    line, place = "", size[0]
    for k, run in enumerate(runs):
        place += sum(size[1 + k * each : 1 + (k + 1) * each]) + len(GAP) * each
        line = line.ljust(place - len(run.label)) if len(line) + 2 <= place - len(run.label) else line + "   "
        line += run.label
    return line
