"""Malformed, hostile and out-of-range input through the real command: one clear message, soon, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="CPU time and peak memory of one process need wait4")


class Row(NamedTuple):
    """What somebody types, and what they must see.

    `typed` are the arguments of `gradexplain`, or the formula alone: as text an argument of `derive`, as bytes its
    standard input. `place` is what the carets underline, None where there must be none.
    """

    id: str
    typed: str | bytes | list[str]
    message: str
    place: str | None = None
    status: int = 2

    @property
    def arguments(self) -> list[str]:
        if isinstance(self.typed, list):
            return self.typed
        return ["derive", self.typed if isinstance(self.typed, str) else "-"]


def at(formula: str, *points: str) -> list[str]:
    return ["derive", formula, *(part for point in points for part in ("--at", point))]


HERE, FOREIGN, TOO_LONG = " cannot stand here", " is not part of the language", "too large, too small or too long"
ROWS = [
    # Attempts at running something, and what other programs would expand.
    Row("import", "__import__('os').system('touch pwned')", "'" + HERE, "'"),
    Row("exec", "exec('x')", "'" + HERE, "'"),
    Row("bases", "().__class__.__bases__", "an expression is missing here", ")"),
    Row("lambda", "lambda x: x", "call it lam or λ", "lambda"),
    Row("f-string", "f'{x}'", "'" + FOREIGN, "'"),
    Row("string", '"abc"', '"' + HERE, '"'),
    Row("backticks", "`touch pwned`", "`" + HERE, "`"),
    Row("substitution", "$(touch pwned)", "leave the dollar signs out", "$"),
    Row("template", "{{7*7}}", "{" + HERE, "{"),
    Row("percent-s", "x%s%n", "write a - b*floor(a/b)", "%"),
    # Characters that do something to a terminal or are not what they look like.
    Row("escape", "\x1b[31mx", "U+001B", r"\x1b"),
    Row("escape-in-point", at("x", "x=\x1b[31m"), "U+001B", r"\x1b"),
    Row("nul", b"x\0+1", "U+0000", r"\x00"),
    Row("right-to-left", "x + \u202ey", "U+202E (RIGHT-TO-LEFT OVERRIDE)", r"\u202e"),
    Row("cyrillic", "a + а", "CYRILLIC SMALL LETTER A", "а"),
    Row("fullwidth-plus", "x＋1", "write +", "＋"),
    Row("bengali-4-like-8", "x*৪", "৪ (BENGALI DIGIT FOUR)" + FOREIGN, "৪"),
    Row("minus-sign", "x − 1", "write -", "−"),
    Row("times", "x×y", "write *", "×"),
    Row("divided", "x ÷ y", "write /", "÷"),
    Row("squared", "x² + 1", "write **2", "²"),
    Row("latin-1", b"x + \xe9", "standard input is not UTF-8: byte 0xe9 at offset 4"),
    Row("undecodable", ["derive", os.fsdecode(b"x+\xff")], FOREIGN, r"\udcff"),
    # Sizes that would take for ever.
    Row("tower", "9**9**9", "the formula has no variable to differentiate by", "9**9**9"),
    Row("tower-times", "9**9**9*x", "this constant is too large for float64", "9**9**9"),
    Row("tower-of-2", "x + 2**2**2**2**2**2", "this constant is too large for float64", "2**2**2**2**2**2"),
    Row("tower-in-power", "x**9**9**9", "this constant is too large for float64", "9**9**9"),
    Row("open-brackets", "(" * 100_000, "brackets are nested more than 20,000 deep", "("),
    Row("brackets", b"(" * 100_000 + b"x" + b")" * 100_000, "brackets are nested more than 20,000 deep", "("),
    Row("minus-signs", b"-" * 1_000_000 + b"x", "the formula has more than"),
    Row("10-MB", b"x+" * 5_000_000 + b"x", "10,000,001 characters; gradexplain reads at most 5,000,000"),
    Row("900-KB", b"x+" * 450_000 + b"x", "operations"),
    Row("2000-terms", b"-".join([b"x"] * 2000), "has no value", status=0),
    Row("10000-factors", b"*".join(b"x%d" % i for i in range(10_000)), "have no value", status=0),
    Row("long-name", "x" * 100_000 + "*2", "this name has 100,000 letters; at most 200 are read", "x" * 72),
    Row("long-function", "x" * 200 + "(2)", "unknown function x", "x" * 72),
    Row("long-wrt", ["derive", "x", "--wrt", "y" * 100_000], "in wrt is not in the formula"),
    Row("long-number", "x*" + "7" * 100_000, TOO_LONG, "7" * 70),
    Row("long-integer", at("x", "x=" + "7" * 5000), TOO_LONG, "7" * 70),
    Row("exponent", "x*1e999999999", TOO_LONG, "1e999999999"),
    # Points.
    Row("twice", at("x", "x=1,x=2"), "x is given twice", "x"),
    Row("not-there", at("weight**2", "wieght=1"), "wieght is not in the formula; did you mean weight?", status=0),
    Row("computed", at("a = x; a**2", "a=1"), "a is computed by the formula and cannot be given", "a"),
    Row("nan", at("x**2", "x=nan"), "nan is not a number that a gradient can be taken at", "nan"),
    Row("inf", at("x**2", "x=-inf"), "inf is not a number that a gradient can be taken at", "inf"),
    Row("huge", at("x**2", "x=1e999"), TOO_LONG, "1e999"),
    Row("tiny", at("x**2", "x=1e-999"), TOO_LONG, "1e-999"),
    Row("half-huge", [*at("x", "x=70000"), "--dtype", "float16"], "float16, which ends at 65504", "70000"),
    Row("half-tiny", [*at("x", "x=1e-9"), "--dtype", "float16"], "too small for float16, which would hold 0", "1e-9"),
    Row("complex", at("x", "x=sqrt(-1)"), "the value of x is not a real number", "sqrt(-1)"),
    Row("point-divides", at("x", "x=1/0"), "division by zero", "1/0"),
    Row("point-empty", at("x", "x="), "an expression is missing here", ""),
    # Formulas.
    Row("empty", "", "the formula is empty"),
    Row("blank", " \t\n ; # nothing\n;", "the formula is empty"),
    Row("empty-input", b"", "the formula is empty"),
    Row("no-variable", "3 + 4", "put a name where the number can change", "3 + 4"),
    Row("formula-inf", "x + inf", "inf is not a number", "inf"),
    Row("formula-huge", "x*1e999", TOO_LONG, "1e999"),
    Row("formula-tiny", "x*1e-999", TOO_LONG, "1e-999"),
    Row("formula-400", "x + 1e400", "this constant is too large for float64", "1e400"),
    Row("divides", at("x + 1/0", "x=1"), "division by zero", "1/0"),
    Row("zero-by-zero", "x + 0/0", "division by zero", "0/0"),
    Row("log-constant", "x + log(-1)", "this constant is not a real number", "log(-1)"),
    Row("log", at("log(x)", "x=-1"), "undefined", status=0),
    Row("reciprocal", at("1/x", "x=0"), "undefined", status=0),
    Row("caret", "x^2", "powers are written x**2", "^"),
    Row("2x", "2x", "to multiply, write 2*x", "2x"),
    Row("2(", "2(x+1)", "to multiply, write 2*(", "2("),
    Row("x-y", "x y", "write an operator between x and y", "x y"),
    Row("(x)(y)", "(x)(y)", "write * to multiply", "("),
    Row("x++", "x++", "nothing follows +", "+"),
    Row("trailing", "x*", "nothing follows *", "*"),
    Row("empty-call", "sin()", "sin takes 1 argument, 0 given", "sin"),
    Row("two-arguments", "sin(x, y)", "sin takes 1 argument, 2 given", "sin"),
    Row("keyword", "clamp(x, mni=1)", "did you mean min?", "mni"),
    Row("no-keyword", "sin(x, base=2)", "sin has no argument base", "base"),
    Row("function", "(y - sine(x))**2", "did you mean sin?", "sine"),
    Row("defined-twice", "a = x; a = x**2; a", "a is defined twice", "a"),
    Row("used-before", "b = a + x; a = x; b", "a is used before it is defined", "a"),
    Row("comparison", "x < 1", "a comparison has no gradient", "x < 1"),
    Row("where", "where(x, 1, 2)", "the condition of where must be a comparison", "x"),
    Row("chained", "where(1 < x < 2, x, 2)", "cannot be chained", "1 < x"),
    Row("index", "x[0]", "a single number has no elements", "x[0]"),
    Row("index-of-word", "x['a']", "an index is a whole number or a range", "'"),
    Row("index-open", "x[0", "this bracket is never closed", "["),
    Row("bracket", "x]", "there is no open bracket that this ] belongs to", "]"),
    Row("brackets-mixed", "sum([x)", "closed by ) and opened by [", "["),
    Row("empty-list", "sum([])", "this list is empty", "]"),
    Row("matmul", "a@b", "a matrix product needs vectors or matrices", "a@b"),
    Row("matmul-shapes", at("X @ W", "X=[[1,2]],W=[[3,4]]"), "did you mean X @ W.T?", "X @ W"),
    Row("matmul-nothing", "x @", "nothing follows @", "@"),
    Row("broadcast", at("x + y", "x=[1,2],y=[1,2,3]"), "the shapes 2 and 3 do not fit together", "x + y"),
    Row("not-a-scalar", at("2*x", "x=[1,2]"), "grad can be implicitly created only for scalar outputs"),
    Row("axis", at("sum(x, dim=1)", "x=[1,2]"), "there is no axis 1", "sum(x, dim=1)"),
    Row("setting", at("sum(x, dim=x)", "x=[1,2]"), "must be a number, not a variable", "x"),
    Row("keyword-of-sum", at("sum(x, dmi=1)", "x=[1,2]"), "sum has no argument dmi", "dmi"),
    Row("sum-of-comparison", at("sum(x > 0)", "x=[1,2]"), "this comparison is used as a number", "x > 0"),
    Row("hessian-of-cholesky", [*at("sum(cholesky(A))", "A=[[2,1],[1,2]]"), "--hessian"], "is not explained"),
    Row("ragged", at("sum(x)", "x=[[1,2],[3]]"), "cannot be stacked", "[[1,2],[3]]"),
    Row("nan-element", at("sum(x)", "x=[1,nan]"), "nan is not a number that a gradient can be taken at", "nan"),
    Row("infinite-element", at("sum(x)", "x=[1/0]"), "an element of x is not a finite number", "[1/0]"),
    Row(
        "huge-value",
        at("sum(X)", "X=zeros(100000,100000)"),
        "has more than 10,000,000 elements",
        "zeros(100000,100000)",
    ),
    Row("huge-part", at("x", "x=sum(eye(60000))"), "has more than 10,000,000 elements", "sum(eye(60000))"),
    Row("number-of-list", at("x", "x=mean([1,2])"), "the value of x is computed from a list", "mean([1,2])"),
    Row(
        "element-of-list", at("sum(x)", "x=[1,sum([1,2])]"), "the value of x is computed from a list", "[1,sum([1,2])]"
    ),
    Row("no-such-class", at("cross_entropy(A, y)", "A=[[1,2]],y=[2]"), "y has 2, which is no class"),
    Row("layer", at("nn.Linear(2, 1)(x)", "x=[1,2]"), "Linear has weights of its own", "Linear"),
    Row("upstream-shape", [*at("2*x", "x=[1,2]"), "--upstream", "[1]"], "upstream has the shape 1, and L 2"),
    Row("shape", ["derive", "sum(x)", "--shape", "x=3.5"], "in the shape of x is no size"),
    Row("shape-of-value", [*at("sum(x)", "x=[1,2]"), "--shape", "x=3"], "x has the shape 2, not 3"),
    Row("huge-shape", ["derive", "sum(A @ A)", "--shape", "A=99999x99999"], "take about 960 GB of memory, and "),
    Row("no-tensor-file", at("sum(x)", "x=@nowhere.csv"), "there is no file nowhere.csv"),
    Row("no-home", at("sum(x)", "x=@~no_such_user/x.csv"), "there is no home folder ~no_such_user"),
    Row("no-home-of-formula", ["derive", "@~no_such_user/a.gx"], "there is no home folder ~no_such_user"),
    Row("no-home-of-point", at("x", "@~no_such_user/a.json"), "there is no home folder ~no_such_user"),
    Row("upstream-of-number", [*at("2*x", "x=1"), "--upstream", "[1,2]"], "upstream has the shape 2, and L a single"),
    Row("classes", [*at("cross_entropy(A, y)", "A=[[1,2]],y=[1]"), "--wrt", "y"], "cannot require grad"),
    Row("class", "class*x", "call it class_", "class"),
    Row("if", "x if x > 0 else y", "write where(condition, value, other value)", "if"),
    # Options and commands.
    Row("option", ["derive", "x", "--fromat", "json"], "did you mean --format?"),
    Row("dtype", ["derive", "x", "--dtype", "float63"], "'float63' is not one of 'float64'"),
    Row("format", ["derive", "x", "--format", "xml"], "unknown format xml"),
    Row("command", ["derrive", "x"], "'derive'"),
    Row("wrt-unknown", ["derive", "weight**2", "--wrt", "wieght"], "did you mean weight?"),
    Row("wrt-empty", ["derive", "x", "--wrt", ""], "wrt names no variable"),
    Row("wrt-twice", ["derive", "x", "--wrt", "x,x"], "x is named twice in wrt"),
    Row("wrt-objective", ["derive", "x", "--wrt", "L"], "L is the objective itself"),
    Row("upstream", ["derive", "w", "--upstream", "abc"], "the value of upstream is not a number", "abc"),
    Row("upstream-nan", ["derive", "x", "--upstream", "nan"], "nan is not a number", "nan"),
    Row("upstream-empty", ["derive", "x", "--upstream", ""], "the value of upstream cannot be read"),
    Row("no-folder", ["derive", "x", "-o", "no/such/a.json"], "cannot write no/such/a.json: No such file or directory"),
    Row("folder", ["derive", "x", "--json", "-o", "."], "cannot write ."),
    Row("no-file", ["derive", "x", "--json", "-o", ""], "cannot write"),
    Row("under-file", ["derive", "x", "-o", "/dev/null/a.json"], "cannot write /dev/null/a.json: Not a directory"),
    Row("long-file", ["derive", "x", "-o", "a" * 300 + ".json"], "File name too long"),
    Row("suffix", ["derive", "x", "-o", "a.xyz"], "no format has the suffix .xyz"),
    Row("no-formula", ["derive"], "missing argument 'expression'"),
    Row("no-value", ["derive", "x", "--at"], "gradexplain derive --help"),
    Row("extra", ["derive", "x", "y"], "unexpected extra argument"),
    Row("short-option", ["derive", "x", "-j"], "-j"),
]

# Numbers out of reach, and settings that make no sense: any verdict or refusal, but soon.
EXTREMES = {
    "1": ["x**0.5**1e300", "polygamma(1e9, x)", "hardtanh(x, 2, -2)"],
    "10": ["x**x**x**x", "2**2**2**2**x", "erf(1e300*x)", "sinc(1e300*x)", "digamma(-1e300*x)"],
    "20": ["sin(exp(exp(x)))", "sigmoid(exp(exp(exp(x))))"],
}

ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
# A small process between this one and the command, since the peak memory of a process begins with that of its parent.
MEASURE = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
child = os.posix_spawn(sys.executable, [sys.executable, "-m", "gradexplain", *sys.argv[2:]], os.environ)
_, status, usage = os.wait4(child, 0)
with open(sys.argv[1], "w") as file:
    print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), file=file)
sys.exit(os.waitstatus_to_exitcode(status) % 256)
"""
# Each command in a copy of a process that has loaded the command line and no more.
LOADED = """
import json, os, sys
from gradexplain.cli.app import run
# What every child needs is loaded once; were a library among it, every row would say so.
import gradexplain.batch, gradexplain.derive, gradexplain.train
report = os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
os.dup2(1, 2)
for name, arguments in json.load(sys.stdin):
    if os.fork() == 0:
        run(arguments)
        loaded = sorted({"torch", "sympy", "mpmath", "rich"} & set(sys.modules))
        worker = sys.modules.get("gradexplain.readings.worker")
        if worker and worker.WITNESSES.worker:
            loaded.append("torch in a second process")
        os.write(report, json.dumps([name, loaded]).encode() + b"\\n")
        os._exit(0)
    os.wait()
"""


def measured(arguments: list[str], given: bytes, folder: Path) -> tuple[int, str, str, float, float]:
    """Status, result, messages, seconds of CPU time and peak memory in bytes of the command, run in an empty folder."""
    empty, usage = folder / "empty", folder / "usage"
    empty.mkdir()
    command = [sys.executable, "-I", "-S", "-c", MEASURE, usage, *arguments]
    done = subprocess.run(command, input=given, capture_output=True, cwd=empty, env=ENVIRONMENT | {"PYTHONUTF8": "1"})
    assert not list(empty.iterdir())
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in out + err, err[-500:]
    assert not [c for c in {*out, *err} if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"]
    seconds, memory = map(float, usage.read_text().split())
    return done.returncode, out, err, seconds, memory


def underlined(lines: list[str]) -> str | None:
    """What the carets of a message stand under, counted in columns of a terminal; None without carets."""
    for text, carets in pairwise(lines):
        if carets.strip() and not carets.strip(" ^"):
            cells = [cell for c in text for cell in (c, "")[: 1 + (unicodedata.east_asian_width(c) in "WF")]]
            return "".join(cells[carets.index("^") : len(carets)]).strip()
    return None


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_bad_input(row: Row, tmp_path: Path) -> None:
    given = row.typed if isinstance(row.typed, bytes) else b""
    status, out, err, seconds, memory = measured(row.arguments, given, tmp_path)
    assert status == row.status, err[:500]
    assert row.message in (err if row.status == 2 else out + err), err[:500]
    assert memory < 500e6
    if row.status == 2:
        lines = err.splitlines()
        assert out == ""
        assert [i for i, line in enumerate(lines) if line.startswith("error: ")] == [0]
        assert len(lines) <= 6
        assert max(map(len, lines)) < 300, "a message that fills the screen"
        assert "Value error" not in err, "words of a library"
        assert underlined(lines) == row.place
        assert seconds < 2


@pytest.mark.parametrize(("formula", "x"), [(formula, x) for x, formulas in EXTREMES.items() for formula in formulas])
def test_extreme_numbers_end_soon(formula: str, x: str, tmp_path: Path) -> None:
    status, _, err, seconds, memory = measured(at(formula, f"x={x}"), b"", tmp_path)
    assert status in (0, 1, 2), err[:500]
    assert seconds < 9
    assert memory < 500e6


def test_errors_load_no_library() -> None:
    """That a constant is too large or not real takes exact arithmetic to know, and nothing else."""
    rows = [row for row in ROWS if row.status == 2 and not isinstance(row.typed, bytes) and "-o" not in row.arguments]
    given = json.dumps([(row.id, row.arguments) for row in rows])
    done = subprocess.run([sys.executable, "-c", LOADED], input=given, capture_output=True, text=True, check=True)
    found = dict(map(json.loads, done.stdout.splitlines()))
    exact = re.compile("constant|value of x|float16|zero|element of x")
    allowed = {row.id: {"mpmath"} if exact.search(row.message) else set() for row in rows}
    assert found.keys() == allowed.keys()
    assert {name: libraries for name, libraries in found.items() if not allowed[name].issuperset(libraries)} == {}
