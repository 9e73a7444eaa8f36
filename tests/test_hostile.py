"""Names, formulas and notes that a format could take for its own: text everywhere, as the programs that read it see it.

A name is an identifier, so only underscores and letters of any script get into one; signs such as `<` are part of
formulas, and anything at all may stand in a comment, in the name of a value that the formula lacks, and in a record
that somebody made by hand.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from html import escape, unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from test_code import load as load
from test_code import numpy_gradients, run_program, torch_gradients
from test_documents import compiled, harmless, needs_tex, rendered, tables, write
from test_graph import read_by_mermaid
from test_html import Reader, dumped, needs_chromium

import gradexplain
from gradexplain.output.formats import DERIVATION, Look
from gradexplain.output.graph import svg
from gradexplain.output.graph.picture import picture
from gradexplain.records import Derivation

RUNS = "</script><script>ran=1</script><img src=x onerror=ran=1>"
# What HTML, XML, Markdown, TeX, CSV, Graphviz, Mermaid and Python have for marks, and letters from right to left.
HOSTILE = RUNS + "&amp;&lt;|_$%#{b}~^\\'\";,`*[x](y)*<br>%%\\n=1+1 שלום مرحبا \u202e"
FORMULA = f"""# {HOSTILE}
שלום_מ = where(_x_ < __y__, x_1*λ, _x_**2) # {HOSTILE}
L_1_ = (שלום_מ - مرحبا)**2 + abs(__y__*lambda_)"""
POINT: dict[str, Any] = {"_x_": 1, "__y__": 2, "x_1": 3, "λ": 0.5, "مرحبا": 2, "lambda_": 1, HOSTILE: 4}
MARKER = "marked_name"


@functools.cache
def derived() -> Derivation:
    return gradexplain.derive(FORMULA, POINT)


def renamed(record: Any) -> Any:
    """The record with the hostile text in place of a name, wherever the name stands."""
    if isinstance(record, str):
        return record.replace(MARKER, HOSTILE)
    if isinstance(record, tuple):
        return tuple(map(renamed, record))
    if isinstance(record, Mapping):
        return {renamed(key): renamed(value) for key, value in record.items()}
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        values = {field.name: renamed(getattr(record, field.name)) for field in dataclasses.fields(record)}
        return dataclasses.replace(record, **values)
    return record


@functools.cache
def made_by_hand() -> Derivation:
    found: Derivation = renamed(gradexplain.derive(f"{MARKER}**2 + sin({MARKER})*w", {MARKER: 1, "w": 2}))
    assert HOSTILE in found.inputs
    return found


both = pytest.mark.parametrize("made", [derived, made_by_hand])


def plain(text: str) -> str:
    """The text without the marks that keep the order of letters."""
    return text.replace("\u200e", "")


def names_of(found: Derivation) -> list[str]:
    return [node.formula for node in picture(found).nodes]


def test_the_derivation_is_what_it_would_be_under_other_names() -> None:
    assert derived().verdict == "agrees"
    assert any(HOSTILE in note for note in derived().notes)
    assert HOSTILE in derived().source


def test_json_holds_the_text_itself() -> None:
    for found in (derived(), made_by_hand()):
        assert json.loads(write("json", found)) == found.to_dict()


@both
def test_csv_has_a_line_for_each_row(made: Callable[[], Derivation]) -> None:
    found = made()
    rows = list(csv.DictReader(io.StringIO(write("csv", found))))
    assert {None} & set().union(*rows) == set()
    expected = [row.node for row in found.backward for _ in (*row.contributions, row)]
    assert [row["node"] for row in rows] == expected


@both
def test_markdown_has_the_text_in_its_cells(made: Callable[[], Derivation]) -> None:
    found = made()
    text = write("markdown", found)
    harmless(text)
    forward, _, gradient = tables(text)
    assert [row[:2] for row in forward[1:]] == [[row.node, row.expression] for row in found.nodes]
    assert [row[0] for row in gradient[1:]] == [entry.partial for entry in found.gradient.values()]
    shown = "".join(piece.content for piece in rendered(text)[1] if piece.type != "html_inline")
    assert all(note in shown for note in found.notes)


@both
def test_svg_is_xml_with_the_names(made: Callable[[], Derivation]) -> None:
    root = ElementTree.fromstring(svg.write(made()))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "title", "desc", "style", "rect", "g", "path", "text", "tspan"}
    drawn = [element.get("data-node") for element in root.iter() if element.get("data-node")]
    assert drawn == [node.name for node in picture(made()).nodes]


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@both
def test_graphviz_shows_the_names(made: Callable[[], Derivation]) -> None:
    done = subprocess.run(["dot", "-Tsvg"], input=write("dot", made()).encode(), capture_output=True, check=True)
    assert b"syntax" not in done.stderr
    root = ElementTree.fromstring(done.stdout)
    assert not any(element.tag.endswith(("script", "image")) for element in root.iter())
    shown = plain("".join(root.itertext())).replace("\xa0", " ")
    for formula in names_of(made()):
        # A long label is broken by nobody but its own line ends.
        assert len(formula) > 60 or formula in shown


@both
def test_mermaid_shows_the_names(made: Callable[[], Derivation], tmp_path: Path) -> None:
    [read] = read_by_mermaid([write("mermaid", made())], tmp_path)
    drawn = picture(made())
    assert (len(read["vertices"]), len(read["edges"])) == (len(drawn.nodes), len(drawn.edges))
    for label, formula in zip(read["vertices"], names_of(made()), strict=True):
        # Mermaid keeps the characters that are given by number in a notation of its own until it draws them.
        decoded = re.sub(r"(?:ﬂ°°|#)(\d+)(?:¶ß|;)", lambda code: chr(int(code[1])), label.replace("<br>", "\n"))
        assert formula in plain(decoded) or len(formula) > 60
        assert not re.search(r"<(?!br>)", label)


@both
@pytest.mark.parametrize("name", ["text", "table", "drawing"])
def test_characters_alone(name: str, made: Callable[[], Derivation]) -> None:
    found = made()
    squeezed = re.sub(r"[\s│|]", "", write(name, found))
    for row in found.nodes:
        assert re.sub(r"[\s│|]", "", row.expression) in squeezed
    assert "\x1b" not in squeezed


@needs_tex
def test_latex_compiles(tmp_path: Path) -> None:
    compiled(write("latex", derived(), standalone=True), tmp_path)


def test_generated_code_has_the_gradients(load: Any) -> None:
    expected = {name: entry.value for name, entry in derived().gradient.items()}
    assert torch_gradients(load(write("pytorch", derived())), derived())[1] == pytest.approx(expected)
    assert numpy_gradients(load(write("numpy", derived())), derived())[1] == pytest.approx(expected)
    assert run_program(derived()) == pytest.approx(expected)


def test_the_page_has_the_text_and_no_element_of_it() -> None:
    found = derived()
    read = Reader(write("html", found))
    assert not any(tag == "img" for tag, _ in read.tags)
    assert sum(tag == "script" for tag, _ in read.tags) == 2
    shown = plain("".join(read.texts))
    assert all(plain(note) in shown for note in found.notes)


LOOK = """
<script>
window.onload = () => {
  const found = [...document.querySelectorAll("iframe")].map(frame => [
    frame.contentWindow.ran ?? 0, frame.contentDocument.querySelectorAll("img").length,
    frame.contentDocument.body.textContent.length]);
  document.body.textContent = `RESULT${JSON.stringify(found)}END`;
};
</script>"""


@needs_chromium
def test_a_browser_runs_nothing_of_it(tmp_path: Path) -> None:
    data = tmp_path / "a<script>ran=1<b>.csv"
    data.write_text("x,y\n1,3\n2,5\n")
    from gradexplain.output.training import html as training_html
    from gradexplain.output.training import svg as training_svg

    trained = gradexplain.train("(y - (w*x + b))**2 # " + HOSTILE, "w=0,b=0", data=data, steps=3)
    by_hand = dataclasses.replace(trained, statements=(f"L = {HOSTILE}",), notes=(HOSTILE,))
    page = dataclasses.replace(derived(), statements=(f"L = {HOSTILE}",), notes=(HOSTILE,))
    pages = [
        f"<p>{RUNS}</p>",
        write("html", derived()),
        write("html", page),
        svg.write(derived(), embedded=True),
        svg.write(made_by_hand(), embedded=True),
        training_html.write(trained, Look()),
        training_html.write(by_hand, Look()),
        training_svg.write(by_hand, Look(), embedded=True),
        derived()._repr_html_(),
        made_by_hand()._repr_html_(),
        by_hand._repr_html_(),
    ]
    frames = "".join(f'<iframe srcdoc="{escape(text)}"></iframe>' for text in pages)
    file = tmp_path / "frames.html"
    file.write_text(f'<!DOCTYPE html><meta charset="utf-8">{frames}{LOOK}', encoding="utf-8")
    found = re.search(r"RESULT(.*)END", dumped(file.as_uri(), tmp_path / "profile"))
    assert found
    unguarded, *guarded = json.loads(unescape(found.group(1)))
    # The text does run where nobody escapes it: this test could fail.
    assert unguarded[:2] == [1, 1]
    # The one image is the plot of the run in a notebook.
    assert [frame[:2] for frame in guarded] == [*[[0, 0]] * (len(pages) - 2), [0, 1]]
    assert all(frame[2] > 100 for frame in guarded)


def test_every_format_is_tried() -> None:
    tried = {"json", "csv", "markdown", "latex", "svg", "dot", "mermaid", "html", "text", "table", "drawing"}
    tried |= {"program", "pytorch", "numpy"}
    # Bare numbers have no names.
    assert set(DERIVATION) - tried == {"value"}
