"""A run as a page and as a picture: well-formed, closed to the world, complete, and as wide as the screen."""

from __future__ import annotations

import functools
import json
import os
import re
from html import escape, unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.textpath import TextPath
from test_documents import HOSTILE_FILE
from test_html import Reader, dumped, needs_chromium

import gradexplain
from gradexplain.output.formats import TRAINING, Look, writer
from gradexplain.output.training import html as training_html
from gradexplain.output.training import svg as training_svg
from gradexplain.output.training.axes import MARKED_POINTS
from gradexplain.output.training.losses import curves
from gradexplain.training_records import Training

NAMESPACE = "{http://www.w3.org/2000/svg}"
RUNS: dict[str, dict[str, Any]] = {
    "usual": {"steps": 100},
    "stale": {"steps": 3, "zero_grad": False},
    "adam": {"steps": 20, "optimizer": "adam", "lr": 0.5},
    "diverges": {"steps": 400, "lr": 3},
    "once": {"steps": 1},
    "names": {"expression": "損失 = (λ*שלום - ŷ_1)**2 + abs(_a_)", "at": "λ=1,ŷ_1=2,שלום=3,_a_=1", "params": "λ,שלום"},
}


@functools.cache
def trained(name: str) -> Training:
    return gradexplain.train(**RUNS[name])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A run on a file whose name a page could take for its own markup."""
    path = tmp_path_factory.mktemp("data") / HOSTILE_FILE
    path.write_text("x,ŷ_1\n1,3\n2,5\n", encoding="utf-8")
    return gradexplain.train("(ŷ_1 - (w*x + b_2))**2", "w=0,b_2=0", data=path, steps=3)


each_run = pytest.mark.parametrize("name", RUNS)


@each_run
def test_the_page_is_well_formed_has_all_and_runs_nothing(name: str) -> None:
    training, text = trained(name), training_html.write(trained(name), Look())
    read = Reader(text)
    [policy] = [a["content"] or "" for tag, a in read.tags if tag == "meta" and "http-equiv" in a]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert not any(tag == "script" or {name for name in a if name.startswith("on")} for tag, a in read.tags)
    shown = "".join(read.texts).replace("\u200e", "")
    for entry in training.gradient.values():
        assert entry.partial in shown
    assert all(entry.text in shown for entry in training.diagnosis)
    assert all(note in shown for note in training.notes)
    cells = re.findall(r'<tr><td class="number">(\d+)</td>', text)
    assert (cells[0], int(cells[-1])) == ("1", training.steps[-1].step)
    assert ("gradexplain-curve" in text) == (len(training.curve) > 1)
    every = re.findall(r'<tr><td class="number">(\d+)</td>', training_html.write(training, Look(every=True)))
    assert len(every) >= len(cells)


def test_a_hostile_file_name_is_text(hostile: Training) -> None:
    read = Reader(training_html.write(hostile, Look()))
    assert not any(tag == "i" for tag, _ in read.tags)
    assert any(HOSTILE_FILE in text for text in read.texts)
    assert training_html.write(hostile, Look(ascii_only=True)).isascii()
    assert Reader(training_html.write(hostile, Look(ascii_only=True))).texts == read.texts


@pytest.mark.skipif(os.name == "nt", reason="a file whose name has an escape character")
@pytest.mark.parametrize("format", TRAINING)
def test_what_cannot_be_seen_in_names_of_files_and_columns_is_an_escape(format: str, tmp_path: Path) -> None:
    """An escape sequence, and a mark that turns the direction of what follows."""
    path, column = tmp_path / "a\x1b[31m\u202eb.csv", "x\x1b]0;\u2066"
    path.write_text(f"{column},z,y\n1,2,3\n2,1,5\n", encoding="utf-8")
    training = gradexplain.train("mse_loss(X @ w, y)", "w=[0,0]", data=path, columns={"X": [column, "z"]}, steps=2)
    for look in (Look(200), Look(200, ascii_only=True)):
        text = writer(TRAINING[format])(training, look)
        assert not re.search("[\x1b\u202e\u2066]", text)
        if format == "json":
            assert r"\u001b" in text and json.loads(text)["data"]["columns"][0] == column
        elif format != "svg":
            assert r"\x1b" in text.replace(r"\textbackslash{}", "\\").replace("\\\\", "\\")


@each_run
def test_the_picture_has_a_point_for_each_finite_loss_and_all_texts_are_inside(name: str) -> None:
    text = training_svg.write(trained(name), Look())
    root = ElementTree.fromstring(text)
    width, height = map(float, root.get("viewBox", "").split()[2:])
    [drawn] = [group for group in root.iter(f"{NAMESPACE}g") if group.get("class") == "run"]
    [run] = curves(trained(name))
    finite = [loss for _, loss in run.points if loss < float("inf")]
    marks = [(float(mark.get("x", 0)), float(mark.get("y", 0))) for mark in drawn.iter(f"{NAMESPACE}use")]
    line = drawn.find(f"{NAMESPACE}path")
    assert line is not None
    places = [tuple(map(float, place.split())) for place in re.findall(r"[\d.]+ [\d.]+", line.get("d", ""))]
    if len(run.points) <= MARKED_POINTS:
        assert len(marks) == len(finite) and all(map(close, marks, places))
    assert len(places) == len(finite)
    heights = [y for _, y in places]
    # Further up is a larger loss.
    assert heights.index(min(heights)) == finite.index(max(finite))
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
    for label in root.iter(f"{NAMESPACE}text"):
        room = TextPath((0, 0), "".join(label.itertext()), 10).get_extents().width
        anchor = re.search(r"text-anchor: (\w+)", label.get("style", ""))
        share = {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor.group(1) if anchor else "start"]
        *turned, x, y = map(float, re.findall(r"[\d.-]+", label.get("transform", "0 0 0")))
        left, right = x - share * room, x + (1 - share) * room
        if turned == [-90]:
            left, right = y - (1 - share) * room, y + share * room
        assert left >= 0 and right <= (height if turned == [-90] else width) and 0 < y <= height, label.attrib
    if len(finite) < len(run.points):
        assert "from step" in text
    assert not re.search(r"<script|href=.(?!#)|url\((?!#)|@import|@font-face", text)


def close(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(abs(a - b) < 1e-3 for a, b in zip(one, other, strict=True))


def test_a_dark_page_changes_every_colour() -> None:
    """A style sheet sets what matplotlib wrote into the elements, and nothing that a page has besides."""
    text = training_svg.write(gradexplain.train(steps=12, lr=0.05, compare="zero-grad"), Look())
    sheet, _, drawn = text.partition("</style>")
    for kind, color in set(re.findall(r"(fill|stroke): (#\w+)", drawn)):
        assert f'.gradexplain-curve [style*="{kind}: {color}"]{{{kind}:#' in sheet, (kind, color)
    assert not re.search(r"(?m)^ *<style[^>]*>\*", text)


def test_runs_compared_have_a_line_and_a_label_each() -> None:
    training = gradexplain.train(steps=12, lr=0.05, compare="zero-grad")
    root = ElementTree.fromstring(training_svg.write(training, Look()))
    labels = [group.get("data-run") for group in root.iter(f"{NAMESPACE}g") if group.get("data-run")]
    assert labels == [run.label for run in curves(training)] and len(labels) == 2
    texts = ["".join(text.itertext()) for text in root.iter(f"{NAMESPACE}text")]
    assert set(labels) <= set(texts)
    assert "Runs side by side" in training_html.write(training, Look())


WIDTHS = (390, 1200)
MEASURE = """
<script>
window.onload = () => {
  const found = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument, element = page.documentElement;
    const curve = page.querySelector(".gradexplain-curve");
    return [element.scrollWidth, curve ? curve.getBoundingClientRect().width : 0, page.querySelectorAll("math").length,
      Boolean(frame.contentWindow.ran)];
  });
  document.body.textContent = `RESULT${JSON.stringify(found)}END`;
};
</script>"""


@needs_chromium
def test_a_browser_shows_it_as_wide_as_the_screen(tmp_path: Path, hostile: Training) -> None:
    pages = [training_html.write(training, Look()) for training in (*map(trained, RUNS), hostile)]
    frames = [
        f'<iframe style="width:{width}px;border:0" srcdoc="{escape(page)}"></iframe>'
        for page in pages
        for width in WIDTHS
    ]
    file = tmp_path / "frames.html"
    file.write_text(f'<!DOCTYPE html><meta charset="utf-8">{"".join(frames)}{MEASURE}', encoding="utf-8")
    found = re.search(r"RESULT(.*)END", dumped(file.as_uri(), tmp_path / "profile"))
    assert found
    measured = json.loads(unescape(found.group(1)))
    for k, (wide, curve, formulas, ran) in enumerate(measured):
        # Tables scroll inside of their boxes; the page itself never does.
        assert wide <= WIDTHS[k % 2], (k, wide)
        assert 0 <= curve <= WIDTHS[k % 2] and formulas > 1 and not ran
