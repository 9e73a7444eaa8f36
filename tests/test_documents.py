"""Markdown as a renderer shows it, LaTeX as a real TeX compiles it, CSV as a program reads it, and plain text."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from test_golden import DERIVATIONS, GOLDEN, RUNS

import gradexplain
from gradexplain.cli import app
from gradexplain.errors import columns
from gradexplain.output import tex
from gradexplain.output.formats import DERIVATION, TRAINING, Look, writer
from gradexplain.output.numbers import bare
from gradexplain.records import Derivation

TEX = next((found for name in ("pdflatex", "lualatex") if (found := shutil.which(name))), None)
needs_tex = pytest.mark.skipif(TEX is None, reason="neither pdflatex nor lualatex is installed")
# Names that are hard to set: other directions, other scripts, underscores, twins of commands.
NAMES = [
    "שלום",
    "مرحبا",
    "損失",
    "λ",
    "ŷ_pred",
    "_",
    "x__2",
    "lambda_",
    "n1",
    "naïve",
    "Ω",
    "ß",
    "переменная",
    "が",
    "한",
]
# Two names on one line and one that a forge would take for HTML or mathematics, were it not escaped.
HOSTILE_FILE = "a|b`<i>&$x$%#_{c}~^'\"[d](e) *f*.csv"


def rendered(text: str) -> tuple[list[Any], list[Any]]:
    """The blocks and the pieces of their lines that a renderer makes of Markdown; it would pass HTML on."""
    blocks = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    return blocks, [piece for block in blocks for piece in block.children or ()]


def tables(text: str) -> list[list[list[str]]]:
    """The cells of all tables, as they are shown: a list of rows for each."""
    found: list[list[list[str]]] = []
    blocks, _ = rendered(text)
    for place, block in enumerate(blocks):
        if block.type == "table_open":
            found.append([])
        elif block.type == "tr_open":
            found[-1].append([])
        elif block.type in ("th_open", "td_open"):
            pieces = blocks[place + 1].children or ()
            found[-1][-1].append("".join("\n" if piece.type == "html_inline" else piece.content for piece in pieces))
    return found


def harmless(text: str) -> None:
    """Assert that nothing in the Markdown is a link, an image, emphasis, or HTML other than a new line."""
    blocks, pieces = rendered(text)
    assert {piece.type for piece in pieces} <= {"text", "text_special", "code_inline", "html_inline", "softbreak",
                                                "hardbreak"}  # fmt: skip
    assert {piece.content for piece in pieces if piece.type == "html_inline"} <= {"<br>"}
    assert not any(block.type in ("html_block", "link_open", "blockquote_open") for block in blocks)


def write(format: str, record: object, standalone: bool = False) -> str:
    row = (DERIVATION if isinstance(record, Derivation) else TRAINING)[format]
    return writer(row)(record, Look(standalone=standalone))


def compiled(text: str, folder: Path) -> None:
    """Assert that a TeX that is installed makes pages of a document."""
    (folder / "page.tex").write_text(text, encoding="utf-8")
    command = [str(TEX), "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "page.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert b"Missing character" not in (folder / "page.log").read_bytes()
    assert (folder / "page.pdf").stat().st_size > 1000


@pytest.mark.parametrize("name", DERIVATIONS)
def test_markdown_has_every_row_and_the_exact_formulas(name: str) -> None:
    derivation = gradexplain.derive(*DERIVATIONS[name])
    text = write("markdown", derivation)
    harmless(text)
    forward, backward, gradient = tables(text)
    assert [row[:2] for row in forward[1:]] == [[row.node, row.expression] for row in derivation.nodes]
    lines = sum(len(row.contributions) + (len(row.contributions) > 1) for row in derivation.backward)
    assert len(backward) == 1 + lines
    assert {len(row) for row in backward} == {8}
    locals_ = [entry.local for row in derivation.backward for entry in row.contributions]
    assert [row[3] for row in backward[1:] if row[1]] == locals_
    for row, entry in zip(gradient[1:], derivation.gradient.values(), strict=True):
        assert row[0] == entry.partial
        assert row[1].split("\n")[0] == entry.chain
        assert row[2].split("\n")[0] == (entry.symbolic or "")
    code = [piece.content for piece in rendered(text)[1] if piece.type == "code_inline"]
    assert code[: len(derivation.statements)] == list(derivation.statements)


@pytest.mark.parametrize("name", RUNS)
def test_markdown_of_a_run_has_a_row_for_each_step_that_is_shown(name: str) -> None:
    training = gradexplain.train(**RUNS[name])
    text = write("markdown", training)
    harmless(text)
    formulas, steps = tables(text)
    assert [row[:2] for row in formulas[1:]] == [
        [entry.partial, entry.symbolic] for entry in training.gradient.values()
    ]
    assert steps[1][0] == "1"
    assert steps[-1][0] == str(training.final.step)
    assert len(steps) < 12


@needs_tex
@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*.latex")))
def test_latex_compiles(name: str, tmp_path: Path) -> None:
    compiled(tex.document((GOLDEN / name).read_text(encoding="utf-8")), tmp_path)


@needs_tex
def test_latex_with_hard_names_compiles(tmp_path: Path) -> None:
    formula = " + ".join(f"where({name} < 2, exp(-{name}**2), abs({name})/3)" for name in NAMES)
    text = write("latex", gradexplain.derive(formula, dict.fromkeys(NAMES, 1e-30)), standalone=True)
    assert text.startswith("\\documentclass")
    compiled(text, tmp_path)
    formula = "; ".join(f"{name}2 = floor({name})*1e-20 + log2({name})" for name in NAMES)
    compiled(write("latex", gradexplain.derive(formula + "; L = λ2*ŷ_pred2*n12"), standalone=True), tmp_path)


def test_second_derivatives_are_typeset(tmp_path: Path) -> None:
    hessian = gradexplain.derive("x**3*y_2", "x=2,y_2=3", hessian=True)
    jacobian = gradexplain.derive("z = A @ x", "A=[[2,1],[0,3]],x=[1,2]", jacobian=True)
    text, other = write("latex", hessian, standalone=True), write("latex", jacobian, standalone=True)
    assert r"$\frac{\partial^{2} L}{\partial x^{2}}$ $= 6 \cdot x \cdot y_{2}$\par" in text
    assert r"$\frac{\partial^{2} L}{\partial x \, \partial y_{2}}$ $= 3 \cdot x^{2}$\par" in text
    assert r"$\partial^{2} L$ (2x2): agrees" in text
    assert r"$\frac{\partial z}{\partial x}$ $= A$\par" in other
    for document in (text, other):
        assert "U+" not in document and r"\partial$" not in document
        if TEX:
            compiled(document, tmp_path)


@needs_tex
@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "adamw", "rmsprop", "adagrad"])
def test_latex_of_every_update_rule_compiles(optimizer: str, tmp_path: Path) -> None:
    training = gradexplain.train(steps=5, optimizer=optimizer, weight_decay=0.01)
    text = write("latex", training, standalone=True)
    assert not re.search(r"\\text\{[^}]*(←|leftarrow)", text)
    compiled(text, tmp_path)


@pytest.fixture
def hostile_run(tmp_path: Path) -> gradexplain.records.Record:  # type: ignore[name-defined]
    path = tmp_path / HOSTILE_FILE
    path.write_text("x,ŷ_1\n1,3\n2,5\n", encoding="utf-8")
    return gradexplain.train("(ŷ_1 - (w*x + b_2))**2", "w=0,b_2=0", data=path, steps=3)


def test_a_hostile_file_name_is_text_in_markdown(hostile_run: Any) -> None:
    text = write("markdown", hostile_run)
    harmless(text)
    assert any(HOSTILE_FILE in piece.content for piece in rendered(text)[1] if piece.type == "code_inline")


@needs_tex
def test_a_hostile_file_name_is_text_in_latex(hostile_run: Any, tmp_path: Path) -> None:
    compiled(write("latex", hostile_run, standalone=True), tmp_path)


LETTERS = "xyλשمあé損"
names = st.builds(
    lambda first, rest: first + rest, st.sampled_from([*LETTERS, "_"]), st.text([*LETTERS, "_", "1"], max_size=5)
).filter(str.isidentifier)


@settings(max_examples=40, deadline=None)
@given(names, names, st.sampled_from(["<", ">=", "==", "!="]))
def test_no_name_and_no_sign_is_markup_in_any_format(one: str, other: str, sign: str) -> None:
    try:
        derivation = gradexplain.derive(f"{one} + where({one} {sign} {other}, {other}**2, -{one})*abs({other})")
    except gradexplain.FormulaError:
        # Two names that look the same are refused.
        return
    markdown = write("markdown", derivation)
    harmless(markdown)
    assert len(tables(markdown)[0]) == 1 + len(derivation.nodes)
    code = [piece.content for piece in rendered(markdown)[1] if piece.type == "code_inline"]
    assert derivation.statements[0] in code
    latex = re.sub(r"(?m)^%.*\n", "", write("latex", derivation))
    assert latex.isascii()
    assert not re.search(r"(?<!\\)[%#]", latex)
    assert not re.search(r"_(?!\{)", latex.replace(r"\_", "")), latex
    unescaped = re.sub(r"\\[{}]", "", latex)
    assert unescaped.count("{") == unescaped.count("}")
    assert latex.replace(r"\$", "").count("$") % 2 == 0
    for line in csv.reader(io.StringIO(write("csv", derivation))):
        assert len(line) == 14
    assert max(map(columns, write("text", derivation).splitlines())) <= 78


@pytest.mark.parametrize("name", DERIVATIONS)
def test_csv_has_every_contribution_and_every_gradient(name: str) -> None:
    derivation = gradexplain.derive(*DERIVATIONS[name])
    rows = list(csv.DictReader(io.StringIO(write("csv", derivation))))
    parts = [(row["node"], row["through"], row["local"]) for row in rows if row["line"] == "contribution"]
    assert parts == [(row.node, part.through, part.local) for row in derivation.backward for part in row.contributions]
    sums = {row["node"]: row for row in rows if row["line"] == "gradient"}
    assert list(sums) == [row.node for row in derivation.backward]
    for row in derivation.backward:
        found = sums[row.node]
        assert found["verdict"] == row.verdict
        assert found["began"] == (row.began.node if row.began else "")
        if row.value is not None:
            assert bare(float(found["value"])) == bare(float(row.value))


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*.text")))
def test_text_is_narrow_and_plain(name: str) -> None:
    text = (GOLDEN / name).read_text(encoding="utf-8")
    assert max(map(columns, text.splitlines())) <= 78
    assert not re.search("[\x1b\u2500-\u259f\u2800-\u28ff\t]", text)


@pytest.mark.parametrize("command", [("derive", "w*x + b", "--at", "w=1,x=2,b=3"), ("train", "--steps", "60")])
def test_the_suffix_of_a_file_is_its_format(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    starts = {"a.html": "<!DOCTYPE html>", "a.svg": "<?xml", "a.json": "{"}
    starts["a.csv"] = "step" if command[0] == "train" else "line"
    starts |= {"a.md": "`", "a.txt": " ", "a.tex": "\\documentclass"}
    for name, start in starts.items():
        assert app.run([*command, "-o", name, "--standalone"]) == 0
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert text.startswith(start)
        # A selection of the steps, except in what programs read.
        assert len(text.splitlines()) < 100 or name == "a.html"
