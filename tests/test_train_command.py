"""`gradexplain train` as a shell sees it: streams, files, interrupts, pipes, memory, terminals, plots, data."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from test_shell import COMMAND, ENCODINGS, PLAIN, bash, run, terminal

LINE = "y_pred = w*x + b; loss = (y - y_pred)**2"
ENDLESS = ["train", "--steps", "100000000", "--lr", "0.001"]


@pytest.fixture
def points(tmp_path: Path) -> Path:
    path = tmp_path / "points.csv"
    path.write_text("x,y,who\n1,3.1,a\n2,4.9,b\n3,7.2,c\n4,9.1,d\n5,10.8,e\n")
    return path


def test_the_classic_example() -> None:
    status, out, err = run("train", "--steps", "100")
    assert (status, err) == (0, "")
    for part in (
        "∂loss/∂w = -2*x*(y_true - y_pred)", "w ← w - 0.1·∂loss/∂w", "w ← 1 - 0.1·(-8) = 1.8,  b ← 0 - 0.1·(-4) = 0.4",
        "the gradient is zero from here on", "w = 1.8   b = 0.4   loss = 0   (after 100 steps)",
        "converged: since step 2 every gradient is 0", "backward() agreed with the chain rule at all 100 steps.",
    ):  # fmt: skip
        assert part in out
    assert sum(line.lstrip()[:1].isdigit() and "agrees" in line for line in out.splitlines()) == 3


def test_formats_carry_the_same_numbers(tmp_path: Path) -> None:
    script = "for f in a.json a.ndjson a.csv a.txt; do gradexplain train --steps 4 --lr 0.03 -o $f || exit 9; done"
    status, out, err = bash(script, tmp_path)
    assert (status, out) == (0, "")
    # What a table says below itself, lines say beside themselves.
    assert [line[:30] for line in err.splitlines()] == ["note: decreasing: the loss fel"] * 2
    whole = json.loads((tmp_path / "a.json").read_text())
    lines = [json.loads(line) for line in (tmp_path / "a.ndjson").read_text().splitlines()]
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert whole["schema"] == "gradexplain/training@1"
    assert lines == whole["steps"]
    assert len(rows) == 4
    for row, step in zip(rows, lines, strict=True):
        assert (int(row["step"]), float(row["loss"]), row["verdict"]) == (step["step"], step["loss"], step["verdict"])
        assert float(row["w"]) == step["parameters"]["w"]
        assert float(row["grad:b"]) == step["grad"]["b"]
        assert float(row["after:b"]) == step["update"]["b"]["after"]
    assert "backward() agreed" in (tmp_path / "a.txt").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json", "a.ndjson", "a.txt"]


def test_data_from_a_file_and_from_standard_input(points: Path) -> None:
    arguments = ["train", LINE, "--at", "w=0,b=0", "--lr", "0.02", "--steps", "2000", "--json", "--every", "2000"]
    status, out, _ = run(*arguments, "--data", str(points))
    again = run(*arguments, "--data", "-", given=points.read_text())
    assert (status, again[0]) == (0, 0)
    one, other = json.loads(out), json.loads(again[1])
    assert one["final"] == other["final"]
    # The least squares of these five points.
    assert one["final"]["parameters"] == pytest.approx({"w": 1.96, "b": 1.14}, rel=1e-6)
    assert (one["data"]["rows"], other["data"]["source"]) == (5, "standard input")


def test_a_formula_from_standard_input() -> None:
    status, out, _ = run("train", "-", "--at", "w=0", "--steps", "3", "--json", given="loss = (w - 2)**2\n")
    assert (status, json.loads(out)["objective"]) == (0, "loss")


def test_the_rows_of_a_small_file_are_shown(points: Path) -> None:
    out = run("train", LINE, "--data", str(points), "--at", "w=0,b=0", "--lr", "0.01", "--steps", "2")[1]
    assert "the gradient is the mean of the gradients of the rows" in out
    assert [line.split() for line in out.splitlines() if line.startswith("    1   ")][-1] == [
        "1",
        "9.61",
        "-6.2",
        "-6.2",
    ]


def interrupted(arguments: list[str], seconds: float) -> tuple[int, bytes, bytes]:
    """Status and streams of a command that is interrupted after some seconds."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, *arguments], env=PLAIN, **pipes) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


def test_ctrl_c_keeps_the_table_so_far() -> None:
    """The time that PyTorch takes to load differs from machine to machine: try longer until there were steps."""
    for seconds in (6, 12, 24, 48):
        status, out, err = interrupted(ENDLESS, seconds)
        assert status == 130
        assert b"Traceback" not in err
        text = out.decode()
        words = r"interrupted at step ([0-9,]+) of 100,000,000; the last loss known is that after ([0-9,]+) step"
        if said := re.search(words, text):
            # The table, the end and the sentence know of the same steps.
            step, known = (int(number.replace(",", "")) for number in said.groups())
            assert known == step - 1
            assert re.search(rf"^ +{step} ", text, re.MULTILINE) and f"(after {known:,} step" in text
            return
    pytest.fail("there was no step in 48 seconds")


def test_ctrl_c_keeps_the_lines_so_far(tmp_path: Path) -> None:
    path = tmp_path / "steps.ndjson"
    for seconds in (6, 12, 24, 48):
        status, _, err = interrupted([*ENDLESS, "-o", str(path)], seconds)
        assert status == 130
        assert b"Traceback" not in err
        if path.exists() and path.read_text():
            lines = path.read_text().splitlines()
            assert [json.loads(line)["step"] for line in (lines[0], lines[-1])] == [1, len(lines)]
            assert [file.name for file in tmp_path.iterdir()] == ["steps.ndjson"]
            return
    pytest.fail("there was no step in 48 seconds")


def test_a_closed_pipe_ends_the_run_at_once_and_quietly(tmp_path: Path) -> None:
    for form in ("ndjson", "csv"):
        script = f"gradexplain {' '.join(ENDLESS)} --format {form} | head -2; echo ${{PIPESTATUS[0]}}"
        status, out, err = bash(script, tmp_path)
        assert (status, out.splitlines()[-1], err) == (0, "0", "")
        assert len(out.splitlines()) == 3


@pytest.mark.skipif(not Path("/proc").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_steps_of_a_streamed_run() -> None:
    """Both processes: the peak after some thousand steps is that after ten times as many."""
    arguments = [*ENDLESS, "--format", "ndjson"]
    peaks: dict[int, list[int]] = {}
    with subprocess.Popen([*COMMAND, *arguments], env=PLAIN, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for count in range(1, 40_001):
            process.stdout.readline()
            if count in (4_000, 40_000):
                peaks[count] = [resident(process.pid), *map(resident, children(process.pid))]
        process.kill()
    assert len(peaks[40_000]) == 2
    assert all(after < before + 8_000 for before, after in zip(peaks[4_000], peaks[40_000], strict=True)), peaks


def resident(pid: int) -> int:
    """The memory of a process in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def children(pid: int) -> list[int]:
    return [int(part) for part in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_plots_are_files_that_open(points: Path, tmp_path: Path) -> None:
    arguments = ["train", LINE, "--data", str(points), "--at", "w=0,b=0", "--lr", "0.02", "--steps", "30"]
    for name in ("a.svg", "a.png"):
        assert run(*arguments, "--plot", str(tmp_path / name))[0] == 0
    tree = ElementTree.parse(tmp_path / "a.svg")
    text = "".join(tree.getroot().itertext())
    assert tree.getroot().tag.endswith("svg")
    assert "loss" in text
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG\r\n")


BAD = [
    (["train", "(w - sine(x))**2"], "unknown function sine", "sine"),
    (["train", "w**2", "--at", "w=1", "--lr", "-1"], "the learning rate is -1", None),
    (["train", "--steps", "0"], "the number of steps must be a whole number from 1 on", None),
    (["train", "--lr", "fast"], "invalid value for '--lr'", None),
    (["train", "--optimizer", "adam", "--momentum", "0.9"], "adam has no setting momentum", None),
    (["train", "--betas", "0.9"], "the betas are 0.9, and must be two numbers", None),
    (["train", "--plot", "a.pdf"], "no plot has the suffix .pdf", None),
    (["train", "--plot", "nowhere/a.svg"], "cannot write nowhere/a.svg", None),
    (["train", "-o", "nowhere/a.json"], "cannot write nowhere/a.json", None),
    (["train", "-o", "a.xml"], "no format has the suffix .xml", None),
    (["train", "--every", "2", "--all"], "--every and --all contradict each other", None),
    (["train", "--compare", "order", "--format", "csv"], "--compare cannot be written as csv", None),
    (["train", "-", "--data", "-"], "cannot both be standard input", None),
    (["train", LINE, "--at", "w=0,b=0", "--data", "no.csv"], "there is no file no.csv", None),
    (["train", "log(w)", "--at", "w=-1"], "L is not finite at the start: L = log(w) is nan at w = -1", None),
    (["train", "--stpes", "3"], "there is no option --stpes", None),
    (["train", "w**2", "--at", "w=1,w=2"], "w is given twice", "w"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message", "place"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_gets_one_message_and_leaves_nothing(
    arguments: list[str], message: str, place: str | None, tmp_path: Path
) -> None:
    from test_bad_input import underlined

    done = subprocess.run([*COMMAND, *arguments], capture_output=True, cwd=tmp_path, input=b"", env=PLAIN)
    err = done.stderr.decode()
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (2, b"", []), err
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) <= 4
    if place is not None:
        assert underlined(err.splitlines()) == place


BAD_DATA = [
    ("x,y\n1,2\n3,abc\n", 'column y has no number in row 2: "abc"'), ("x,y\n1,2\n3,\n", "column y has a gap in row 2"),
    ("", "is empty"), ("x,y\n", "has no rows"), ("x,z\n1,2\n", "y has no value and is no column of the data"),
    ("x,y\n1\n", "row 1 has 1 cell"), ("1,2\n3,4\n", "first line of the data is to name the columns"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD_DATA, ids=[message for _, message in BAD_DATA])
def test_bad_data_are_named_with_their_row(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(text)
    status, out, err = bash(f'gradexplain train "{LINE}" --data bad.csv --at w=0,b=0 -o out.json', tmp_path)
    assert (status, out, [path.name for path in tmp_path.iterdir()]) == (2, "", ["bad.csv"])
    assert message in err


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_streams_without_our_symbols_get_ascii(encoding: dict[str, str]) -> None:
    status, out, err = run("train", "--steps", "30", "--lr", "0.02", **encoding)
    assert (status, out.isascii(), err) == (0, True, "")
    assert "w <- 1 - 0.02*(-8) = 1.16" in out
    assert "dloss/dw" in out
    assert "\\u" not in out


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_terminal_of_any_width_shows_every_verdict(width: int) -> None:
    shown = terminal(width, "train", "--steps", "4", "--lr", "0.02", "--color", "never")
    assert max(map(len, shown.splitlines())) <= width
    assert shown.count("agrees") == 4
    assert "…" not in shown


def test_colour_is_for_terminals_only() -> None:
    assert "\x1b" not in run("train", "--steps", "2")[1]
    assert "\x1b" in terminal(100, "train", "--steps", "2")
    assert "\x1b" not in terminal(100, "train", "--steps", "2", NO_COLOR="1")


def test_the_verdict_is_the_exit_status() -> None:
    assert run("train", "relu(w - x)", "--at", "w=1,x=1", "--params", "w", "--steps", "1")[0] == 0
    status, out, err = run("train", "(1 - cos(w))/w**2", "--at", "w=1e-8", "--steps", "1", "--json")
    assert (status, json.loads(out)["verdict"]) == (1, "precision")
    assert "note: precision at 1 step, first at step 1" in err


def test_half_precision_trains_too() -> None:
    for dtype in ("float16", "bfloat16", "float32"):
        status, out, _ = run("train", "--steps", "5", "--dtype", dtype, "--json")
        assert (status, json.loads(out)["dtype"]) == (0, dtype)


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo terminals")
def test_progress_is_shown_on_a_terminal_only() -> None:
    """Standard error is a terminal here, standard output is not."""
    ours, theirs = os.openpty()
    arguments = [*COMMAND, "train", "--steps", "30000", "--lr", "0.001", "--json", "--every", "30000"]
    with subprocess.Popen(arguments, env=PLAIN, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:
            pass
        assert process.wait(120) == 0
    os.close(ours)
    assert b"30000" in shown
    assert run("train", "--steps", "3000", "--lr", "0.001", "--format", "csv", "-o", os.devnull)[2].count("\n") == 1
