"""Files that an interruption, a full disk or a missing package must not harm; see also interruptions.py."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import interruptions
import pytest

from gradexplain.__main__ import INTERRUPTED, TERMINATED, Terminated, _asked_to_end
from gradexplain.cli.streams import Lines, write_to
from gradexplain.data.columns import read_columns
from gradexplain.errors import OptionError, broken_package

posix = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")
OLD = "the old file\n"


@posix
def test_runs_that_are_ended_at_random_moments() -> None:
    assert interruptions.run(8, 1, [*interruptions.CASES]) == []


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "out.json"
    path.write_text(OLD)
    path.chmod(0o640)
    return path


def alone(path: Path, text: str) -> None:
    """The file has this text, the mode that it had, and nothing is beside it."""
    assert (path.read_text(), path.stat().st_mode & 0o777) == (text, 0o640)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_file_keeps_its_mode(old: Path) -> None:
    write_to(old, "new")
    alone(old, "new")
    with Lines(old) as lines:
        lines.write("a\n")
    alone(old, "a\n")


def full(*arguments: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("raised", [full, KeyboardInterrupt, Terminated])
def test_what_ends_the_writing_of_a_file_keeps_the_old_one(
    old: Path, monkeypatch: pytest.MonkeyPatch, raised: Any
) -> None:
    def write(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[:3])
        raise raised if isinstance(raised, type) else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises((OptionError, KeyboardInterrupt, Terminated)) as refused:
        write_to(old, "a new text")
    assert raised is not full or str(refused.value) == f"cannot write {old}: No space left on device"
    alone(old, OLD)


def test_a_full_disk_keeps_the_old_file_of_lines(old: Path) -> None:
    with pytest.raises(OptionError, match="No space left on device"), Lines(old) as lines:
        lines.write("a\n")
        lines.flush()
        assert lines.stream is not None
        lines.stream.close()
        lines.stream = type("Full", (), {"write": staticmethod(full), "close": staticmethod(full)})()  # type: ignore
        lines.write("b\n")
        lines.flush()
    alone(old, OLD)


@pytest.mark.parametrize("error", [KeyboardInterrupt, Terminated, OptionError("one of the processes was ended")])
def test_lines_that_were_answered_are_kept(old: Path, error: BaseException | type[BaseException]) -> None:
    with pytest.raises((KeyboardInterrupt, Terminated, OptionError)), Lines(old):
        raise error
    alone(old, OLD)
    with pytest.raises((KeyboardInterrupt, Terminated, OptionError)), Lines(old) as lines:
        lines.write("a\n")
        raise error
    alone(old, "a\n")


def test_what_asked_the_process_to_end_is_found_in_other_errors() -> None:
    wrapped = RuntimeError("Error calling __set_name__")
    wrapped.__cause__ = KeyboardInterrupt()
    found = [_asked_to_end(error) for error in (KeyboardInterrupt(), Terminated(), wrapped, ValueError())]
    assert found == [INTERRUPTED, TERMINATED, INTERRUPTED, None]


@posix
@pytest.mark.parametrize(("number", "status"), [("SIGINT", INTERRUPTED), ("SIGTERM", TERMINATED)])
def test_what_python_drops_is_asked_again(number: str, status: int) -> None:
    """An exception that a signal raises within a callback of a weak reference goes nowhere."""
    script = f"""
import os, signal, time, weakref, gradexplain.__main__ as main
class Thing: pass
def run(arguments):
    thing = Thing()
    watched = weakref.ref(thing, lambda gone: (os.kill(os.getpid(), signal.{number}), time.sleep(0.01)))
    del thing
    time.sleep(20)
main._run = run
main.main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (status, "")


# A command that needs the package, and one that does not.
PACKAGES = {
    "numpy": (["derive", "sum(x)", "--at", "x=[1,2]", "--format", "value"], ["derive", "x", "--format", "value"]),
    "matplotlib": (["train", "--steps", "9999999", "--plot", "a.svg"], ["train", "--steps", "1"]),
    "orjson": (["derive", "x", "--json"], ["derive", "x"]),
    "jinja2": (["derive", "x", "-o", "a.html"], ["derive", "x"]),
    "torch": (["derive", "x", "--at", "x=1"], ["rules"]),
    "rich": (["derive", "x"], ["derive", "x", "--format", "csv"]),
    "typer": (["derive", "x"], []),
}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_that_cannot_be_loaded_is_one_message_before_the_work(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise ImportError('libx.so: cannot open shared object file')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    needs, does_not = PACKAGES[name]
    message = f"error: {name} is installed, and cannot be loaded: libx.so: cannot open shared object file\n"
    for arguments, status in ((needs, 2), (does_not, 0)):
        if not arguments:
            continue
        done = subprocess.run(
            [sys.executable, "-m", "gradexplain", *arguments], cwd=tmp_path, env=environment, capture_output=True,
            text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        assert (message in done.stderr) == (status == 2)
        assert "Traceback" not in done.stderr


def test_a_package_that_is_not_there() -> None:
    error = ModuleNotFoundError("No module named 'pyarrow.parquet'", name="pyarrow.parquet")
    assert str(broken_package(error)) == "pyarrow is not installed\n  python -m pip install pyarrow"
    assert broken_package(ModuleNotFoundError("", name="gradexplain.nothing")) is None
    assert broken_package(OSError("a disk")) is None


@pytest.mark.parametrize(("name", "text"), [("a.csv", "x,y\n1,2\n3,4\n"), ("a.jsonl", '{"x":1,"y":2}\n{"x":3,"y":4}')])
def test_text_is_read_without_pyarrow(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("pyarrow", "pyarrow.csv", "pyarrow.json"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_text(text)
    assert list(read_columns(tmp_path / name, {"y"}).values["y"].cast("d")) == [2, 4]
