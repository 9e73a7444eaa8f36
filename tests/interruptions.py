"""Runs that are ended at random moments: the old file or the whole new one, what was answered, and no process left.

As a program, for long runs: `python tests/interruptions.py --count 500 --seed 1`. It prints a line for each fault, and
at the end how many runs of each kind there were. Every number that decides anything comes from the seed.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

OLD = "the old file\n"
MODE = 0o640
MARK = "GRADEXPLAIN_INTERRUPTED"
LINES = "".join(f"x**{k} + sin(x*{k})\n" for k in range(1, 25))


class Case(NamedTuple):
    """A command; whether its output comes line by line; and about how long it takes, in seconds."""

    arguments: list[str]
    streamed: bool
    seconds: float


CASES = {
    "derive": Case(["derive", "(y - (w*x+b))**2", "--at", "w=1,b=0,x=2,y=4", "-o", "out.json"], False, 2),
    "page": Case(["derive", "(y - (w*x+b))**2", "--at", "w=1,b=0,x=2,y=4", "-o", "out.html"], False, 2),
    "train": Case(["train", "--steps", "300", "-o", "out.json"], False, 3),
    "steps": Case(["train", "--steps", "300", "-o", "out.ndjson"], True, 3),
    "batch": Case(["batch", "lines", "--at", "x=2", "-o", "out.jsonl"], True, 4),
    "jobs": Case(["batch", "lines", "--at", "x=2", "--jobs", "2", "-o", "out.jsonl"], True, 6),
}
# Ctrl-C reaches all processes of a terminal, the others one.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
ENDS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}


def start(case: Case, folder: Path, mark: str) -> subprocess.Popen[str]:
    (folder / "lines").write_text(LINES)
    return subprocess.Popen(
        [sys.executable, "-m", "gradexplain", *case.arguments], cwd=folder, env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def left(mark: str) -> list[int]:
    """The processes of a run that are still there."""
    found = []
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and f"{MARK}={mark}".encode() in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def is_begun(text: str, whole: str) -> bool:
    """Whether these are the first lines of a whole text."""
    return text.endswith("\n") and whole.startswith(text)


def is_interrupted(text: str) -> bool:
    """Whether this is a whole record that says that its run was interrupted."""
    try:
        return bool(json.loads(text)["interrupted"])
    except (ValueError, KeyError):
        return False


def faults(case: Case, whole: str, ended: signal.Signals, delay: float, folder: Path, mark: str) -> list[str]:
    """What is wrong after a run was ended so many seconds after its start."""
    for path in folder.iterdir():
        path.unlink()
    out = folder / case.arguments[-1]
    out.write_text(OLD)
    out.chmod(MODE)
    process = start(case, folder, mark)
    try:
        _, err = process.communicate(timeout=delay)
    except subprocess.TimeoutExpired:
        if ended == signal.SIGINT:
            os.killpg(process.pid, ended)
        else:
            process.send_signal(ended)
        try:
            _, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return ["it went on for a minute"]
    found = []
    # In the first moments Python itself is asked.
    if process.returncode not in (0, 1, ENDS[ended], -ended):
        found.append(f"status {process.returncode}: {err[-300:]}")
    if "Traceback" in err and "gradexplain" in err:
        found.append(f"a traceback: {err[-300:]}")
    text = out.read_text()
    if text not in (OLD, whole) and not (is_begun(text, whole) if case.streamed else is_interrupted(text)):
        found.append(f"a partial file of {len(text):,} characters")
    if out.stat().st_mode & 0o777 != MODE:
        found.append(f"the mode is {out.stat().st_mode & 0o777:o}")
    beside = sorted({path.name for path in folder.iterdir()} - {out.name, "lines"})
    if beside and ended != signal.SIGKILL:
        found.append(f"left beside it: {beside}")
    texts = {name: (folder / name).read_text().rpartition("\n")[0] for name in beside if case.streamed}
    found += [f"{name} has other lines" for name, text in texts.items() if not whole.startswith(text)]
    limit = time.monotonic() + 10
    while (processes := left(mark)) and time.monotonic() < limit:
        time.sleep(0.1)
    if processes:
        found.append(f"still running: {processes}")
        for number in processes:
            os.kill(number, signal.SIGKILL)
    return found


def run(count: int, seed: int, names: list[str]) -> list[str]:
    """So many runs; what was wrong, a line for each fault."""
    chosen, told = random.Random(seed), []
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wholes = {}
        for case in names:
            process = start(CASES[case], folder, "whole")
            process.communicate()
            wholes[case] = (folder / CASES[case].arguments[-1]).read_text()
        for k in range(count):
            case, ended = chosen.choice(names), chosen.choice(SIGNALS)
            delay = chosen.uniform(0, CASES[case].seconds)
            for fault in faults(CASES[case], wholes[case], ended, delay, folder, f"{seed}-{k}-{os.getpid()}"):
                told.append(f"run {k}, {case}, {ended.name} after {delay:.3f} s: {fault}")
                print(told[-1], flush=True)
            counts[f"{case} {ended.name}"] += 1
    print(f"{count} runs, {len(told)} faults:", ", ".join(f"{key} {value}" for key, value in sorted(counts.items())))
    return told


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", default=",".join(CASES))
    options = parser.parse_args()
    sys.exit(bool(run(options.count, options.seed, options.cases.split(","))))
