"""The command as a shell sees it: exit status, pipes, files, encodings, colours, terminals of any width, completion."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import typer
from test_bad_input import underlined

from gradexplain.errors import columns
from gradexplain.output.formats import DERIVATION, GRAPH

if os.name == "nt":
    pytest.skip("pseudo terminals, signals and bash", allow_module_level=True)
import fcntl
import termios

COMMAND = [sys.executable, "-m", "gradexplain"]
LINE = ["derive", "(y - (w*x+b))**2", "--at", "w=1,b=0,x=2,y=4"]
UNSET = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PYTHONIOENCODING", "PYTHONUTF8", "LC_ALL", "LANG", "LC_CTYPE")
PLAIN = {name: value for name, value in os.environ.items() if name not in UNSET}
PLAIN |= {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}


def run(*arguments: str, given: str = "", **environment: str) -> tuple[int, str, str]:
    """Status, standard output and standard error of the command, both of them pipes."""
    done = subprocess.run([*COMMAND, *arguments], input=given.encode(), capture_output=True, env=PLAIN | environment)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def bash(script: str, folder: Path) -> tuple[int, str, str]:
    """The same of a script of bash in a folder."""
    start = f'gradexplain() {{ "{sys.executable}" -m gradexplain "$@"; }}; {script}'
    done = subprocess.run(["bash", "-c", start], cwd=folder, capture_output=True, env=PLAIN)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def terminal(columns: int, *arguments: str, **environment: str) -> str:
    """What a terminal of that many columns shows as the result; the notes go elsewhere."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    streams = {"stdin": theirs, "stdout": theirs, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*COMMAND, *arguments], env=PLAIN | environment, **streams):
        os.close(theirs)
        shown = b""
        # Linux reports the end of a pseudo terminal as an error.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 65536):
                shown += part
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def squeeze(text: str) -> Counter[str]:
    return Counter("".join(text.split()))


@functools.cache
def results(arguments: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """The table in a pipe, and the same as a record."""
    return run(*arguments)[1], json.loads(run(*arguments, "--json")[1])


STATUSES = [
    ("x**2", "3", 0, "agrees"), ("x**2*y", "3", 0, "unverified"), ("abs(x)", "0", 0, "convention"),
    ("1/x", "0", 0, "undefined"), ("exp(x)", "800", 1, "nonfinite"), ("(1 - cos(x))/x**2", "1e-8", 1, "precision"),
    ("abs(x) + 1e200*y", "0,y=1", 0, "convention"), ("x**1e20", "1", 0, "agrees"),
]  # fmt: skip


@pytest.mark.parametrize(("formula", "x", "status", "verdict"), STATUSES)
def test_exit_status_follows_the_verdict(formula: str, x: str, status: int, verdict: str) -> None:
    found, out, err = run("derive", formula, "--at", f"x={x}", "--json")
    assert (found, json.loads(out)["verdict"]) == (status, verdict), err


@pytest.mark.parametrize(("whole", "seconds"), [(False, 0.5), (True, 0.2), (True, 1)])
def test_ctrl_c_ends_with_130_and_no_traceback(whole: bool, seconds: float) -> None:
    """While it waits for the end of the formula, and while it works. The formula is longer than a pipe can hold."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, "derive", "-", "--at", "x=1"], env=PLAIN, **pipes) as process:
        process.stdin.write("+".join(f"sin(x*{i})" for i in range(20_000)).encode())
        if whole:
            process.stdin.close()
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        assert (process.wait(60), process.stdout.read(), process.stderr.read()) == (130, b"", b"")


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    """Of more than a pipe holds, so that the end of the reader is noticed while writing."""
    for command in ("rules", "derive '" + "x-" * 2000 + "x' --at x=1 --json"):
        status, out, err = bash(f"gradexplain {command} | head -1 | head -c 9; echo; echo ${{PIPESTATUS[0]}}", tmp_path)
        assert (status, out.splitlines()[-1], err) == (0, "0", "")


@pytest.mark.parametrize("script", ["derive x >/dev/full", "derive x >&-", "derive - <&-"])
def test_streams_that_cannot_be_used_are_an_error_in_one_line(script: str, tmp_path: Path) -> None:
    status, _, err = bash(f"gradexplain {script}", tmp_path)
    assert "Traceback" not in err
    assert (status, err.startswith("error: ")) == (2, True)


def test_results_go_to_stdout_and_notes_to_stderr(tmp_path: Path) -> None:
    assert bash("gradexplain derive 'w*x' --at w=1,q=2 >result 2>notes", tmp_path) == (0, "", "")
    notes = (tmp_path / "notes").read_text().splitlines()
    assert [note.split()[:2] for note in notes] == [["note:", "q"], ["note:", "x"]]
    result = (tmp_path / "result").read_text()
    assert ("∂L/∂w" in result, "note" in result) == (True, False)


def test_files_have_the_format_of_their_suffix_and_the_whole_result(tmp_path: Path) -> None:
    assert bash("for f in a.json b.txt; do gradexplain derive x**2 --at x=3 -o $f; done", tmp_path) == (0, "", "")
    assert json.loads((tmp_path / "a.json").read_text())["gradient"]["x"]["value"] == 6
    assert "∂L/∂x" in (tmp_path / "b.txt").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.txt"]


def test_a_file_name_stays_as_it_is_typed_and_what_is_no_file_is_written_through(tmp_path: Path) -> None:
    """A link keeps its target, and a pipe (or /dev/null, for root) is not replaced by a file."""
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "link.json").symlink_to("target.json")
    bash("gradexplain derive x -o -x.json; gradexplain derive x -o link.json", tmp_path)
    bash("timeout 5 cat pipe.json >read & gradexplain derive x -o pipe.json; exec 3<>pipe.json; wait", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"-x.json", "link.json", "pipe.json", "read", "target.json"}
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "pipe.json").is_fifo()


ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_streams_without_our_symbols_get_ascii(encoding: dict[str, str]) -> None:
    status, out, err = run("derive", "a*exp(x) + abs(y)", "--at", "a=1,x=2,y=0", **encoding)
    assert (status, out.isascii(), err.isascii()) == (0, True, True)
    assert "dL/dx = dL/dv2 * dv2/dv1 * dv1/dx = a*exp(x)" in out
    assert "note: dL/dy" in err
    assert json.loads(run("derive", "x**2", "--json", **encoding)[1])["gradient"]["x"]["partial"] == "∂L/∂x"
    assert run("rules", **encoding)[::2] == run("--help", **encoding)[::2] == (0, "")
    status, out, err = run("derive", "-", given="λ*x − 1", **encoding)
    assert (status, out, err.isascii(), "\\u2212 (MINUS SIGN)" in err) == (2, "", True, True), err
    assert underlined(err.splitlines()) == "\\u2212", err
    assert underlined(run("derive", "-", given="λ*sine(x)", **encoding)[2].splitlines()) == "sine"


# What the options and the environment say, and whether a terminal and whether a pipe gets colours.
COLORS = [
    ("", {}, True, False), ("", {"NO_COLOR": "1"}, False, False), ("", {"NO_COLOR": ""}, True, False),
    ("", {"FORCE_COLOR": "1"}, True, True), ("", {"FORCE_COLOR": "0"}, True, False),
    ("", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False), ("", {"TERM": "dumb"}, False, False),
    ("always", {"NO_COLOR": "1", "TERM": "dumb"}, True, True), ("never", {"FORCE_COLOR": "1"}, False, False),
]  # fmt: skip


@pytest.mark.parametrize(("option", "environment", "on_terminal", "in_pipe"), COLORS)
def test_colour(option: str, environment: dict[str, str], on_terminal: bool, in_pipe: bool) -> None:
    arguments = ["derive", "w*x + b", *(["--color", option] if option else [])]
    status, piped, err = run(*arguments, **environment)
    shown = terminal(120, *arguments, **environment)
    assert (status, "\x1b" in piped, "\x1b" in shown, "\x1b" in err) == (0, in_pipe, on_terminal, False)
    plain = [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", piped).splitlines()]
    assert plain == results(("derive", "w*x + b"))[0].splitlines()


FORMULAS = {
    "line": LINE,
    "named": ["derive", "y_pred = w*x + b; loss = (y_true - y_pred)**2", "--at", "w=1,b=0,x=2,y_true=4"],
    "japanese": ["derive", "損失 = (目標 - 重み*入力)**2", "--at", "重み=1,入力=2,目標=3"],
    "overflow": ["derive", "exp(first_input)*sqrt(second_input)", "--at", "first_input=800,second_input=1e-20"],
    "sum": ["derive", "relu(x)*abs(x) + x*sin(y)", "--at", "x=0"],
}


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("arguments", FORMULAS.values(), ids=FORMULAS)
def test_every_width_shows_everything(arguments: list[str], width: int) -> None:
    """Folded or not: every character that a pipe gets, no closed form torn by other columns, no verdict torn at all."""
    piped, record = results(tuple(arguments))
    shown = terminal(width, *arguments, "--color", "never")
    lines = shown.splitlines()
    assert max(map(columns, lines)) <= width
    assert "…" not in shown
    # On a narrow terminal two columns share a third one, and a colon takes the place of their headings.
    assert squeeze(piped) - squeeze(shown) <= squeeze("local derivative numbers"), shown
    below = "".join(shown[shown.index(" Gradient") :].split())
    forms = [entry["symbolic"] for entry in record["gradient"].values()] + [*record["gradient"]]
    assert [form for form in forms if "".join(form.split()) not in below] == [], shown
    verdicts = "|".join({row["verdict"] for row in record["backward"]})
    assert len(re.findall(verdicts, shown)) == len(re.findall(verdicts, piped)), shown
    assert [line for line in lines if line.strip() in ("=", "·")] == [], shown
    at = next(line for line in lines if f"at {next(iter(record['point']))} = " in line)
    assert at.startswith(" at ") or record["dtype"] in at, shown


def test_a_pipe_is_never_folded() -> None:
    formula = " + ".join(f"a_rather_long_name_{i}*x" for i in range(40))
    assert formula in run("derive", formula, TERM="dumb", COLUMNS="40")[1]
    assert formula in run("derive", formula, "--color", "always", TERM="dumb")[1]


MINUS = [
    (["-x**2"], "4"), (["-(x)"], "-1"), (["-x"], "-1"), (["-2*x"], "-2"), (["- x"], "-1"),
    (["-sin(x)"], "0.4161468365471424"), (["--wrt", "x", "-x + 1"], "-1"), (["--at=x=-2", "--", "--x"], "1"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "value"), MINUS, ids=lambda part: " ".join(part))
def test_a_formula_may_begin_with_a_minus(arguments: list[str], value: str) -> None:
    point = ["--at", "x=-2"] if "--" not in arguments else []
    assert run("derive", "--format", "value", *point, *arguments) == (0, f"{value}\n", "")


@pytest.mark.parametrize("typed", ["--fromat", "--jsn", "--dtpye", "--warta", "--upsteam=2"])
def test_a_mistyped_option_gets_a_suggestion(typed: str) -> None:
    status, out, err = run("derive", "-x", typed)
    assert (status, out, "did you mean --" in err) == (2, "", True)


def test_values_and_json_are_what_scripts_expect(tmp_path: Path) -> None:
    script = 'dw=$(gradexplain derive "w*x" --at w=3,x=2 --wrt w --format value) && echo "<$dw>"'
    assert bash(script, tmp_path) == (0, "<2>\n", "")
    assert run(*LINE, "--wrt", "x,w,b", "--format", "value") == (0, "-4\n-8\n-4\n", "")
    assert run("derive", "-", "--at", "x=3", "--format", "value", given="a = x**2\nL = a + 1\n") == (0, "6\n", "")
    status, out, err = bash("gradexplain derive 'sqrt(x)' --at x=0 --json | tee a | python3 -m json.tool", tmp_path)
    assert (status, json.loads(out)["gradient"]["x"]["value"], err) == (0, "inf", "")
    assert (tmp_path / "a").read_text().count("\n") == 1


def test_help_and_version() -> None:
    assert re.fullmatch(r"gradexplain \d+\.\d+\.\d+\n", run("--version")[1])
    for arguments in (["--help"], ["derive", "--help"], ["rules", "--help"]):
        assert max(map(columns, terminal(60, *arguments).splitlines())) <= 60
    assert run() == run("--help")


# A line up to the cursor, and some of what is offered there.
TYPED = [
    ("gradexplain ", "derive train batch rules"), ("gradexplain derive --dt", "--dtype"),
    ("gradexplain derive --format ", " ".join(DERIVATION)), ("gradexplain derive --dtype b", "bfloat16"),
    ("gradexplain derive --color ", "auto always never"), ("gradexplain rules tan", "tan tanh tanhshrink"),
    ("gradexplain train --optimizer a", "adam adamw adagrad"),
    ("gradexplain train --format ", "table html svg json ndjson csv"),
    ("gradexplain graph --format ", " ".join(GRAPH)), ("gradexplain derive --format m", "markdown mermaid"),
    ("gradexplain train --order ", "zero-backward-step backward-step-zero"), ("gradexplain train --comp", "--compare"),
    ("gradexplain train --compare ", "zero-grad order"), ("gradexplain train --reduction ", "mean sum"),
    ("gradexplain batch --", "--at --wrt --upstream --dtype --select --fail-fast --jobs --output"),
    ("gradexplain batch --select verdict,grad", "verdict,gradient"),
]  # fmt: skip


# For each shell how it asks for its completion script, reads it, and says what is offered for `$line`, `$words`.
SHELLS = {
    "bash": (
        ["--norc", "-c"],
        'script=$(gradexplain); unset _GRADEXPLAIN_COMPLETE; eval "$script"; for line in "$@"; do '
        'IFS=" " read -ra COMP_WORDS <<< "$line"; '
        '[[ $line == *" " ]] && COMP_WORDS+=(""); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); '
        '_gradexplain_completion gradexplain; echo "# $line"; printf "%s\\n" "${COMPREPLY[@]}"; done',
    ),
    "zsh": (
        ["-f", "-c"],
        "autoload -Uz compinit; compinit -D; script=$(gradexplain); unset _GRADEXPLAIN_COMPLETE; eval $script; "
        '_arguments() { print -r -- $@ }; for line in "$@"; do words=("${(@s: :)line}"); CURRENT=$#words; '
        'print -r -- "# $line"; _gradexplain_completion; done',
    ),
    "fish": (
        ["--no-config", "-c"],
        'gradexplain | source; set -e _GRADEXPLAIN_COMPLETE; for line in $argv; echo "# $line"; complete -C $line; end',
    ),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_in_a_real_shell(shell: str, tmp_path: Path) -> None:
    """Every line, typed in a shell that has read the completion script as a user's would."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    options, script = SHELLS[shell]
    folders = f"{Path(sys.executable).parent}{os.pathsep}{PLAIN['PATH']}"
    environment = PLAIN | {"PATH": folders, "HOME": str(tmp_path), "_GRADEXPLAIN_COMPLETE": f"source_{shell}"}
    lines = [typed for typed, _ in TYPED]
    name = [] if shell == "fish" else [shell]
    done = subprocess.run([shell, *options, script, *name, *lines], capture_output=True, env=environment)
    parts = re.split(r"^# (.*)\n", done.stdout.decode(), flags=re.MULTILINE)[1:]
    answers = dict(zip(parts[::2], parts[1::2], strict=True))
    assert list(answers) == lines, done.stderr.decode()
    for typed, offered in TYPED:
        found = set(re.findall(r"[\w,-]+", answers[typed]))
        assert set(offered.split()) <= found, (typed, answers[typed])


@pytest.mark.parametrize(("typed", "offered"), TYPED, ids=[typed for typed, _ in TYPED])
def test_completion(typed: str, offered: str) -> None:
    """What the installed command answers where a shell asks, whether or not the shell is here."""
    asked = {"_GRADEXPLAIN_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": typed}
    asked |= {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run([Path(sys.executable).with_name("gradexplain")], capture_output=True, env=PLAIN | asked)
    found = set(re.findall(r"[\w,-]+", done.stdout.decode()))
    assert (done.returncode, set(offered.split()) - found, done.stderr) == (0, set(), b"")


def test_what_is_known_of_options_before_they_are_declared() -> None:
    """A formula that begins with a minus is told from an option, and from the value of one, without the commands."""
    from gradexplain.cli import app, early

    commands = typer.main.get_command(app.app).commands.values()  # type: ignore[attr-defined]
    options = [option for command in commands for option in command.params if option.param_type_name == "option"]
    assert {name for option in options if not option.is_flag for name in option.opts} == early._TAKE_A_VALUE
    assert {name for option in options for name in option.opts if len(name) == 2} | {"-h"} == early._SHORT_OPTIONS
