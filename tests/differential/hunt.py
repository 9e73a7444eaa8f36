"""Many cases one after the other: the problems of each sort, shrunk, with a command line that shows them."""

from __future__ import annotations

import json
import shlex
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .compare import compared
from .grow import Case, grown
from .measure import Problem
from .soup import CASES


@dataclass
class Found:
    """What a run has found: of each sort of problem the number, and the smallest cases by what they are made of."""

    cases: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[Problem, str]] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)


def hunt(seeds: Iterator[str], numbers: bool, shrinks: int = 40, tell: Callable[[str], None] = lambda _: None) -> Found:
    """Compare a case for every seed; the first problems of a sort are shrunk, so many tries each."""
    found = Found()
    start = time.process_time()
    warnings.simplefilter("ignore")
    for seed in seeds:
        case = grown(seed, numbers)
        problems, refusal = compared(case)
        found.cases += 1
        if refusal:
            found.refusals[refusal] += 1
        for problem in first_of_each(problems):
            found.counts[problem.check] += 1
            if problem.key in found.examples:
                continue
            small, least = shrunk(case, problem, shrinks)
            if least.key not in found.examples:
                found.examples[least.key] = least, command(small)
                tell(f"{seed}  {least.key}\n  {command(small)}\n  said: {least.said}\n  right: {least.right}\n")
    found.seconds = time.process_time() - start
    return found


def hunt_soup(seeds: Iterator[str], kind: str, tell: Callable[[str], None] = lambda _: None) -> Found:
    """Read a text, a value or a file for every seed."""
    found = Found()
    start = time.process_time()
    warnings.simplefilter("ignore")
    for seed in seeds:
        problems, shown = CASES[kind](seed)
        found.cases += 1
        for problem in problems:
            found.counts[problem.check] += 1
            if problem.key not in found.examples:
                found.examples[problem.key] = problem, shown
                tell(f"{seed}  {problem.key}\n  {shown}\n  said: {problem.said}\n")
    found.seconds = time.process_time() - start
    return found


def first_of_each(problems: list[Problem]) -> list[Problem]:
    """One problem of each sort."""
    return list({problem.check: problem for problem in reversed(problems)}.values())[::-1]


def shrunk(case: Case, problem: Problem, tries: int) -> tuple[Case, Problem]:
    """A smaller case with a problem of the same sort, and that problem."""
    again = True
    while again and tries > 0:
        again = False
        for other in case.smaller():
            tries -= 1
            if tries < 0:
                break
            own = next((one for one in compared(other)[0] if one.check == problem.check), None)
            if own is not None and (own.check != "exception" or own.where == problem.where):
                case, problem, again = other, own, True
                break
    return case, problem


def command(case: Case) -> str:
    """The command line that shows a case."""
    at = ",".join(f"{name}={json.dumps(value.tolist()).replace(' ', '')}" for name, value in case.used.items())
    words = ["gradexplain", "derive", case.text, "--at", at] if at else ["gradexplain", "derive", case.text]
    if case.upstream is not None:
        words += ["--upstream", json.dumps(case.upstream.tolist()).replace(" ", "")]
    return shlex.join(words + [f"--{case.want}"] * bool(case.want))
