"""`gradexplain batch`: a line in, a line out, in order and at once, whatever the lines are; and what reads files."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource
from test_formulas import CASES
from test_shell import COMMAND, PLAIN, bash, run

import gradexplain
from gradexplain import batch as batch_module
from gradexplain.batch import MAX_LINE, Answerer, Settings, answers, numbered_lines
from gradexplain.cli import app
from gradexplain.errors import GradexplainError, OptionError

ROOT = Path(__file__).parent.parent
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
MIXED = """x**2
{"id": "a", "expression": "w*x + b", "at": {"w": "1/3", "x": 2, "b": 0}, "wrt": ["w"], "upstream": 2}

# a remark
sine(x)
{"id": [7], "expression": "exp(x)", "at": {"x": 800}}
{"id": null, "expression": "log(x)", "at": "x=0.1", "dtype": "float16"}
x**
abs(x)
"""


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def _schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "docs" / f"{name}.schema.json").read_text(encoding="utf-8"))
    return found


REGISTRY = Registry().with_resource("gradexplain/derivation@1", Resource.from_contents(_schema("derivation")))
VALIDATOR = jsonschema.Draft202012Validator(_schema("batch"), registry=REGISTRY)


def valid(record: dict[str, Any]) -> bool:
    """Whether a line is what the schema says."""
    VALIDATOR.validate(record)
    return True


def asked(line: str, **settings: Any) -> dict[str, Any]:
    """The answer to one line."""
    found: dict[str, Any] = json.loads(Answerer(Settings(**settings)).answer(1, line.encode()).text)
    return found


def test_every_line_is_answered_in_order() -> None:
    status, out, err = run("batch", "--at", "x=3", given=MIXED)
    found = objects(out)
    assert (status, err) == (1, "note: 3 of 7 lines failed\n")
    assert [record["line"] for record in found] == [1, 2, 5, 6, 7, 8, 9]
    assert [record.get("id", "none") for record in found] == ["none", "a", "none", [7], None, "none", "none"]
    assert [record.get("verdict", "error") for record in found] == [
        "agrees", "agrees", "error", "nonfinite", "agrees", "error", "agrees",
    ]  # fmt: skip
    assert all(map(valid, found))
    assert found[1]["gradient"].keys() == {"w"}
    assert (found[1]["gradient"]["w"]["autograd"], found[4]["dtype"]) == (4, "float16")
    assert found[2]["error"] == {
        "message": "unknown function sine",
        "place": {"start": 0, "end": 4, "text": "sine(x)"},
        "hint": "did you mean sin?",
    }


@pytest.mark.parametrize("jobs", ["2", "3"])
def test_more_jobs_give_the_same_bytes(jobs: str) -> None:
    given = MIXED + "\n".join(case.formula for case in CASES[:12])
    assert run("batch", "--at", "x=3", "--jobs", jobs, given=given) == run("batch", "--at", "x=3", given=given)


def test_a_record_is_that_of_derive() -> None:
    for case in CASES[::40]:
        record = asked(json.dumps({"expression": case.formula, "at": case.point}))
        assert record.pop("line") == 1
        assert record == gradexplain.derive(case.formula, case.point).to_dict()


MATRICES = [
    {"expression": "mean((X @ W.T + b - Y)**2)",
     "at": {"X": [[1, 2], [3, 4]], "Y": [[3], [7]], "W": [[0.5, -0.5]], "b": [0]}},
    {"expression": "y_pred = X @ w; mse_loss(y_pred, y)", "shape": {"X": "n x d", "w": ["d"], "y": "n"}, "wrt": "w"},
    {"expression": "A @ x", "at": {"A": [[2, 1], [0, 3]], "x": [1, 2]}, "jacobian": True},
    {"expression": "x @ A @ x", "at": {"A": [[2, 1], [0, 3]], "x": [1, 2]}, "wrt": ["x"], "hessian": True},
    {"expression": "2*x", "at": {"x": [1, 2, 3]}, "upstream": [1, 0, 2]},
]  # fmt: skip


@pytest.mark.parametrize("line", MATRICES, ids=lambda line: line["expression"])
def test_a_line_may_have_vectors_and_matrices(line: dict[str, Any]) -> None:
    found = asked(json.dumps(line))
    assert valid(found)
    assert found["verdict"] == "agrees"
    options = {key: value for key, value in line.items() if key not in ("expression", "at")}
    own = gradexplain.derive(line["expression"], line.get("at"), **options).to_dict()
    assert found == {**json.loads(json.dumps(own)), "line": 1}


def test_parts_of_tensors_are_selected() -> None:
    line = json.dumps(MATRICES[0])
    assert asked(line, select=["gradient.W.value.0"]) == [-26, -37]
    assert asked(line, select=["gradient.W.value", "gradient.b.symbolic"]) == {
        "gradient.W.value": [[-26, -37]], "gradient.b.symbolic": "sum(X @ W.T + b - Y, dim=0)",
    }  # fmt: skip
    assert asked(json.dumps(MATRICES[2]), select=["jacobian.x.value"]) == [[2, 1], [0, 3]]


def test_a_matrix_that_holds_for_all_lines() -> None:
    found = asked("sum(A @ x)", at=["A=[[2,1],[0,3]],x=[1,2],unused=[1]"])
    assert (found["gradient"]["x"]["value"], found["notes"]) == ([2, 4], [])


@pytest.mark.parametrize(("extra", "message"), [
    ({"at": {"X": [[1, 2], [3]]}}, "different lengths"),
    ({"shape": {"X": None}}, "shape is neither"),
    ({"shape": ["X"]}, "shape is neither"),
    ({"shape": {"X": "2x-1"}}, "is no size"),
    ({"at": {"X": [[1, 2]]}, "jacobian": 1}, "jacobian is neither"),
    ({"at": {"X": [[1, 2]]}, "jacobian": True, "hessian": True}, "two questions"),
    ({"at": {"X": [[1, 2]]}, "upstream": [1]}, "upstream has the shape"),
    ({"at": {"X": [[1, 2]]}}, "grad can be implicitly created only for scalar outputs"),
])  # fmt: skip
def test_what_is_wrong_with_a_tensor_is_an_error(extra: dict[str, Any], message: str) -> None:
    found = asked(json.dumps({"expression": "X*2", **extra}))
    assert valid(found)
    assert message in found["error"]["message"]


def test_options_hold_for_lines_that_say_nothing_else() -> None:
    settings = {"at": ["x=2,unused=1", {"w": "1/4"}], "wrt": "x", "upstream": "3", "dtype": "float32"}
    assert asked("w*x", **settings)["gradient"]["x"]["autograd"] == 0.75
    line = {"expression": "w*x", "at": {"w": 5}, "wrt": "w,x", "upstream": 1, "dtype": "float64"}
    found = asked(json.dumps(line), **settings)
    assert [entry["autograd"] for entry in found["gradient"].values()] == [2, 5]
    # What holds for all lines is no mistake in one that computes it, or does not have it.
    found = asked("w = x**2; w + 1", **settings)
    assert (found["notes"], found["point"]) == ([], {"x": "2"})
    assert asked('{"expression": "x", "at": null, "wrt": null, "upstream": null, "dtype": null}', **settings) == {
        **asked("x", **settings)
    }


REFUSED = [
    ('{"expresion": "x"}', "the object has an unknown key expresion", "did you mean expression?"),
    ('{"at": {"x": 1}}', "the object has no expression", "such as"),
    ('{"expression": 3}', "expression is not text", None),
    ('{"expression": "x", "at": [1]}', "at is neither an object nor text", "such as"),
    ('{"expression": "x", "at": {"x": NaN}}', "the value of x is nan, and a", None),
    ('{"expression": "x", "at": {"x": -Infinity}}', "the value of x is -inf, and a", None),
    ('{"expression": "x", "at": {"x": 1e999}}', "the value of x is inf, and a", None),
    ('{"expression": "x", "at": {"x": true}}', "the value of x is a bool, not a number", None),
    ('{"expression": "x", "at": {"x": [1, 2]}}', "grad can be implicitly created only for scalar outputs", None),
    ('{"expression": "x", "at": {"x": "one"}}', "the value of x is not a number", "write a number"),
    ('{"expression": "x", "at": {"x": 1, "x": 2}}', "x is given twice", "keep one"),
    ('{"expression": "x", "at": {"x": 1' + "0" * 400 + "}}", "the value of x is too large for float64", None),
    ('{"expression": "x", "at": {"x": 1' + "0" * 5000 + "}}", "a number has too many digits", None),
    ('{"expression": "x", "wrt": ["y"]}', "y in wrt is not in the formula", "the formula has x"),
    ('{"expression": "x", "wrt": 1}', "wrt is not a list of names", "such as"),
    ('{"expression": "x", "dtype": "float46"}', "unknown dtype float46", "did you mean float"),
    ('{"expression": "x", "upstream": NaN}', "the value of upstream is nan", None),
    ('{"expression": "x"', "the line is not JSON: expecting", "a line is a formula or a JSON object"),
    ('{"expression": "x"} x', "the line is not JSON: extra data", "a line is a formula or a JSON object"),
    ('{"id": ' * 100_000, "the line is not JSON that can be read: it is nested too deeply", None),
    ('{"expression": "\\ud800"}', "is not part of the language", None),
    ("[1, 2]", "the formula has no variable to differentiate by", "put a name where the number can change"),
    ("__import__('os')", "' cannot stand here", None),
]


@pytest.mark.parametrize(("line", "message", "hint"), REFUSED, ids=[line[:50] for line, *_ in REFUSED])
def test_what_is_wrong_with_a_line(line: str, message: str, hint: str | None) -> None:
    record = asked(line)
    assert valid(record)
    assert message in record["error"]["message"]
    assert (hint or "") in (record["error"]["hint"] or "")
    line = line.replace("{", '{"id": "q\\u2028", ', 1)
    if "line is not JSON" not in message and "digits" not in message and line.startswith("{"):
        assert asked(line)["id"] == "q\u2028"


def test_bytes_that_are_no_text_and_lines_without_end() -> None:
    assert list(numbered_lines(io.BytesIO(b"x" * MAX_LINE))) == [(1, b"x" * MAX_LINE)]
    stream = io.BytesIO(b"\xef\xbb\xbfx\r\n" + b"y" * (3 * MAX_LINE) + b"\nz\xff\n" + b"#" * 9 + b"\nx")
    found = list(numbered_lines(stream))
    assert [number for number, _ in found] == [1, 2, 3, 5]
    records = [json.loads(answer.text) for answer in answers(found, Settings())]
    assert records[0]["source"] == records[3]["source"] == "x"
    assert records[1]["error"]["message"] == "the line has more than 5,000,000 bytes"
    assert records[2]["error"]["message"] == "the line is not UTF-8: byte 0xff at offset 1"


def test_a_line_that_never_ends_ends_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "MAX_LINE", 10)
    lines = numbered_lines(io.BytesIO(b"x\n" + b"\0" * 1_000_000))
    assert [next(lines), next(lines)] == [(1, b"x"), (2, None)]
    with pytest.raises(OptionError, match="line 2 does not end"):
        next(lines)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_lines_begun_behind_a_tensor_are_answered(jobs: str) -> None:
    tensor = '{"expression": "sum(x**2)", "at": {"x": [1, 2]}}'
    lines = ["w*x", tensor, "w*x", "exp(w)", tensor, tensor, "w**2", "sin(w)*x", "w/x", tensor]
    command = [sys.executable, "-m", "gradexplain", "batch", "--at", "w=3,x=2", "--jobs", jobs, "--select", "verdict"]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ['"agrees"'] * len(lines))


KILLED = """
from gradexplain.batch import Settings, answers
from gradexplain.readings.worker import WITNESSES
settings = Settings(at=["x=3"], select=["verdict"])
for k, answer in enumerate(answers(((k, f"x**{k}*sin(x)".encode()) for k in range(1, 13)), settings)):
    print(answer.text, end="")
    if k == 2:
        WITNESSES.worker.process.kill()
"""


def test_lines_begun_survive_the_end_of_pytorch() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ['"agrees"'] * 12, done.stderr


def test_a_mistake_of_our_own_does_not_end_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    for begin in (lambda *_, **__: 1 / 0, lambda *_, **__: lambda: 1 / 0):
        monkeypatch.setattr(sys.modules["gradexplain.derive"], "begin", begin)
        record = asked('{"id": 1, "expression": "x"}')
        assert (record["id"], record["error"]["message"]) == (1, "ZeroDivisionError: division by zero")


def test_selected_parts() -> None:
    given = 'w*x\n{"id": 5, "expression": "x", "at": {"x": 1}}\nsine(x)\n'
    status, out, err = run("batch", "--at", "w=3,x=2", "--select", "gradient.w.autograd", given=given)
    first, second, third = out.splitlines()
    assert (status, first, second, json.loads(third)["line"]) == (1, "2.0", "null", 3)
    assert err.splitlines()[0].startswith("note: answer 2 has no gradient.w.autograd, and null stands for it")
    paths = "line,id,gradient.x,backward.0.contributions.0.rule,nodes.9"
    out = run("batch", "--at", "w=3,x=2", "--select", paths, "--select", "verdict", given=given)[1]
    found = objects(out)
    assert list(found[1]) == [*paths.split(","), "verdict"]
    assert (found[0]["id"], found[1]["id"], found[1]["nodes.9"]) == (None, 5, None)
    assert found[0]["gradient.x"] == gradexplain.derive("w*x", "w=3,x=2").to_dict()["gradient"]["x"]
    assert found[0]["backward.0.contributions.0.rule"] == "mul"
    for wrong, hint in (("gradent.w", "gradient"), ("gradient.w.autogard", "autograd"), ("", "it is one of")):
        status, out, err = run("batch", "--select", wrong)
        assert (status, out, hint in err) == (2, "", True)
    assert asked("exp(x)", at=["x=800"], select=["gradient.x.autograd"]) == "inf"


def test_fail_fast_stops_after_the_first_failure() -> None:
    status, out, err = run("batch", "--fail-fast", "--select", "verdict", given="x\nx+\nx\n")
    assert (status, out.splitlines()[0], len(out.splitlines())) == (1, '"unverified"', 2)
    assert err == "note: 1 of 2 lines failed; the lines after it were not answered\n"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_line_is_answered_before_the_next_one_is_sent(jobs: str) -> None:
    with subprocess.Popen([*COMMAND, "batch", "--at", "x=3", "--jobs", jobs], env=PLAIN, **PIPES) as process:
        for number in range(1, 5):
            process.stdin.write(b"x**2\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["line"] == number
        process.stdin.close()
        assert (process.wait(60), process.stderr.read()) == (0, b"")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_endless_input_ends_with_its_reader(jobs: str, tmp_path: Path) -> None:
    script = f"yes 'x**2' | gradexplain batch --at x=3 --select gradient.x.value --jobs {jobs} | head -5"
    status, out, err = bash(f"{script}; echo ${{PIPESTATUS[1]}}", tmp_path)
    assert (status, out, err) == (0, "6.0\n" * 5 + "0\n", "")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_with_130_and_leaves_what_is_done(jobs: str, tmp_path: Path) -> None:
    target = tmp_path / "out.ndjson"
    command = [*COMMAND, "batch", "--jobs", jobs, "-o", str(target)]
    with subprocess.Popen(command, env=PLAIN, **PIPES) as process:
        process.stdin.write(b"x**2\n")
        process.stdin.flush()
        for _ in range(600):
            if any(path.stat().st_size for path in tmp_path.iterdir()):
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert (process.wait(60), process.stdout.read(), process.stderr.read()) == (130, b"", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["out.ndjson"]
    assert json.loads(target.read_text())["source"] == "x**2"


def test_files_in_and_out(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("x\nx*y\n")
    assert bash("gradexplain batch in.txt --select objective -o out.txt", tmp_path) == (0, "", "")
    assert (tmp_path / "out.txt").read_text() == '"L"\n"L"\n'
    status, out, err = bash("gradexplain batch none.txt", tmp_path)
    assert (status, out, err) == (2, "", "error: cannot read none.txt: No such file or directory\n")
    assert bash("gradexplain batch .", tmp_path)[0] == 2
    assert bash("gradexplain batch <&-", tmp_path)[::2] == (2, "error: standard input is closed\n")
    assert bash("gradexplain batch /dev/null", tmp_path) == (0, "", "")


@pytest.mark.parametrize("option", [["--at", "x=nan"], ["--upstream", "q"], ["--jobs", "0"], ["--dtype", "f"]])
def test_what_is_wrong_with_an_option_is_said_before_a_line_is_read(option: list[str]) -> None:
    status, out, err = run("batch", *option, given="x\n")
    assert (status, out, err.startswith("error: ")) == (2, "", True)


def test_streams_without_our_symbols_get_escapes() -> None:
    status, out, _ = run("batch", given="λ*x\n", PYTHONIOENCODING="ascii")
    assert (status, out.isascii(), objects(out)[0]["source"]) == (0, True, "λ*x")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_lines() -> None:
    with subprocess.Popen([*COMMAND, "batch", "--select", "gradient.x.value"], env=PLAIN, **PIPES) as process:
        sizes = []
        for number in range(1, 1201):
            process.stdin.write(
                b'{"expression": "w*tanh(x) + b%d", "at": {"w": %d, "x": 2, "b%d": 1}}\n' % ((number,) * 3)
            )
            process.stdin.flush()
            process.stdout.readline()
            if number in (400, 1200):
                sizes.append(sum(map(_memory, _family(process.pid))))
        process.stdin.close()
    assert sizes[1] < sizes[0] + 8_000, sizes


def _family(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(member for child in children for member in _family(int(child)))]


def _memory(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


POINT_FILES = [
    ('{"w": 3, "x": "1/2"}', 0, "0.5"),
    ('{"w": 3,\n "x": }', 2, "p.json, line 2: expecting value"),
    ('{"w": 3,\n "x": NaN}', 2, "p.json, line 2: NaN is not a number of JSON"),
    ('{"w": 3,\n\n "x": "a"}', 2, "p.json, line 3: the value of x is not a number"),
    ('{"w": 3,\n "w": 4}', 2, "p.json, line 2: w is given twice"),
    ("[1]", 2, "p.json holds a list, not an object"),
    ('{"w": 3, "b": 1}', 2, "b is given twice"),
]


@pytest.mark.parametrize(("content", "status", "said"), POINT_FILES, ids=[content for content, *_ in POINT_FILES])
def test_points_from_a_file(content: str, status: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(content)
    found, out, err = bash("gradexplain derive w*x+0*b --at @p.json --at b=0 --wrt w --format value", tmp_path)
    assert (found, said in out + err, "Traceback" in err) == (status, True, False), err


def test_formulas_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def asked(*arguments: str) -> tuple[int, str, str]:
        return app.run(list(arguments)), *capsys.readouterr()

    Path("model.gx").write_text("\ufeffy_pred = w*x + b\nloss = (y_true - y_pred)**2\n", encoding="utf-8")
    Path("bad.gx").write_bytes(b"x\xff")
    Path("p.json").write_text('{"w": 1, "b": "0", "x": 2, "y_true": 4}')
    assert asked("derive", "@model.gx", "--at", "@p.json", "--wrt", "w", "--format", "value") == (0, "-8\n", "")
    options = ["--at", "@p.json", "--params", "w,b", "--steps", "2", "--format", "csv"]
    status, out, _ = asked("train", "@model.gx", *options)
    assert (status, len(out.splitlines())) == (0, 3)
    for wrong, said in (("@none.gx", "No such file"), ("@bad.gx", "bad.gx is not UTF-8"), ("@", "@ names no file")):
        for command in ("derive", "train"):
            found, out, err = asked(command, wrong)
            assert (found, out, said in err) == (2, "", True)
    assert asked("derive", "x", "--at", "@none.json")[0] == 2
    given = "w*x\n"
    assert run("batch", "--at", "@p.json", "--select", "gradient.w.value", given=given)[1] == "2.0\n"
    assert bash("cat model.gx | gradexplain derive - --at @p.json --wrt b --format value", tmp_path) == (0, "-4\n", "")
    process = "gradexplain derive @<(echo 'x**2') --at @<(echo '{\"x\": 3}') --format value"
    assert bash(process, tmp_path) == (0, "6\n", "")


def test_settings_that_suit_no_line_are_refused() -> None:
    for settings in (Settings(at=["x="]), Settings(select=["gradient.w.nothing"]), Settings(upstream="one")):
        with pytest.raises(GradexplainError):
            Answerer(settings)


def test_lines_are_read_one_at_a_time() -> None:
    class Endless(io.RawIOBase):
        def readline(self, size: int | None = -1) -> bytes:
            return b"x\n"

    assert [number for number, _ in islice(numbered_lines(Endless()), 3)] == [1, 2, 3]


def recipes() -> list[tuple[str, str]]:
    """The blocks of the page with recipes: the language and the text of each."""
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def typed(script: str, folder: Path) -> tuple[int, str]:
    """Status and both streams of a script, with the installed command on the path."""
    commands = f"{Path(sys.executable).parent}{os.pathsep}{PLAIN['PATH']}"
    environment = PLAIN | {"PATH": commands, "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, env=environment)
    return done.returncode, (done.stdout + done.stderr).decode()


# What each recipe with jq prints for the files below.
WITH_JQ = {
    "to_entries": "x\t-x*y*exp(-x**2/2)",
    "nonfinite": '[1,"exp(x)",{"node":"L"',
    "error": "formulas.txt:2: this bracket is never closed",
    "tsv": '{"id":"one","verdict":"agrees"}',
}


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.parametrize("word", WITH_JQ)
def test_the_recipes_with_jq_print_what_they_say(word: str, tmp_path: Path) -> None:
    (tmp_path / "formulas.txt").write_text("exp(x)\n(x\nx**2\n")
    (tmp_path / "formulas.tsv").write_text("one\tsquare\tx**2\tx=3\n")
    (tmp_path / "point.json").write_text('{"x": 800}')
    [script] = [text for kind, text in recipes() if kind == "bash" and "jq" in text and word in text]
    status, out = typed(script, tmp_path)
    assert (status, WITH_JQ[word] in out) == (0, True), out


def test_the_recipes_work(tmp_path: Path) -> None:
    """The pre-commit hook, the makefile and the program that asks line by line, as they are on the page."""
    blocks = recipes()
    hook = next(text for kind, text in blocks if text.startswith("#!/bin/sh"))
    program = next(text for kind, text in blocks if kind == "python")

    def shell(script: str) -> tuple[int, str]:
        return typed(script, tmp_path)

    if shutil.which("git"):
        assert shell("git init -q && git config user.name a && git config user.email a@b.c")[0] == 0
        (tmp_path / ".git" / "hooks" / "pre-commit").write_text(hook)
        (tmp_path / ".git" / "hooks" / "pre-commit").chmod(0o755)
        for formula, status in (("w*x", 0), ("w*", 1)):
            (tmp_path / "notes.md").write_text(f"# Notes\n\n```gradexplain\n{formula}\n```\n\nw* is text.\n")
            assert shell(f"git add notes.md && git commit -qm '{formula}'")[0] == status
        assert shell("git log --format=%s")[1] == "w*x\n"
    if shutil.which("make"):
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "point.json").write_text('{"x": 800}')
        for name, formula, status in (("a", "x**2", 0), ("b", "exp(x)", 2)):
            (tmp_path / "models" / f"{name}.gx").write_text(formula)
            (tmp_path / "Makefile").write_text(next(text for kind, text in blocks if kind == "make"))
            assert shell("make")[0] == status
        assert sorted(path.name for path in (tmp_path / "models").glob("?.json")) == ["a.json"]
    (tmp_path / "ask.py").write_text(program)
    assert shell(f"{sys.executable} ask.py") == (0, "3.0\n12.0\n27.0\n")
