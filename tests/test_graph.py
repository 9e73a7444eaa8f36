"""The computation graph: where things go, what is drawn, and every format as the programs that read it see it."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_shell import run, terminal

import gradexplain
from gradexplain.cli import app
from gradexplain.errors import columns
from gradexplain.output.formats import DERIVATION, Look, writer
from gradexplain.output.graph import boxes as drawing
from gradexplain.output.graph import dot, lettering, mermaid, svg
from gradexplain.output.graph.collapse import contract, kept_nodes
from gradexplain.output.graph.fitting import spread
from gradexplain.output.graph.layout import Layout, arrange
from gradexplain.output.graph.levels import Link, Size, Spacing
from gradexplain.output.graph.picture import CONSTANT, INPUT, OBJECTIVE, OPERATION, picture, product
from gradexplain.output.numbers import show
from gradexplain.output.page import pages
from gradexplain.records import Derivation

SPACING = Spacing(across=20, down=10, bend=3, slope=0.2, widest=80)
NAMESPACE = "{http://www.w3.org/2000/svg}"
CASES = {
    "readme": ("(y - (w*x+b))**2", "w=1,b=0,x=2,y=4"),
    "named": ("y_pred = w*x + b; loss = (y_true - y_pred)**2", "w=1,b=0,x=2,y_true=4"),
    "shared": ("a = x*x; L = a*sin(a)", "x=1.5"),
    "softmax": ("s = exp(a)+exp(b)+exp(c); loss = -log(exp(a)/s)", "a=1,b=2,c=0.5"),
    "verdicts": ("c = 2*pi; L = c*x*log(1 + exp(z)) + max(q, 0) + where(x > 0, x, -x)", "x=3,z=1000,q=0"),
    "names": (
        "損失 = (λ*שלום - ŷ_predicted)**2 + where(_a_ < 1, _a_, __b__*2)",
        "λ=1,ŷ_predicted=2,שלום=3,_a_=1,__b__=5",
    ),
    "missing": ("(y - (w*x+b))**2", "w=1"),
    "alone": ("x", "x=2"),
    "unused": ("a = z*2; L = x**2", "x=2,z=1"),
    "long": ("; ".join(f"h{i} = tanh(w{i}*h{i - 1} + sin(w{i}))" for i in range(1, 31)) + "; L = h30**2", "h0=1"),
    "chain": ("tanh(" * 200 + "x" + ")" * 200, "x=1"),
    "sum": (" + ".join(f"x{i}" for i in range(200)), ",".join(f"x{i}={i}" for i in range(200))),
    "wide": ("a_very_long_name_of_an_input_that_goes_on" * 3 + "**2 + x", "x=1"),
}


@functools.cache
def derived(case: str) -> Derivation:
    return gradexplain.derive(*CASES[case])


each_case = pytest.mark.parametrize("case", CASES)


# Where things go.


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Size], list[Link]]:
    count = draw(st.integers(1, 25))
    side = st.integers(1, 60)
    label = st.none() | st.builds(Size, side, side, side)
    sizes, links = [], []
    for node in range(count):
        sources = draw(st.lists(st.integers(0, node - 1), max_size=4)) if node else []
        links += [Link(source, node, draw(label)) for source in sources]
        half = 3 * len(sources)
        entries = tuple(3.0 * (2 * k + 1 - len(sources)) for k in range(len(sources)))
        sizes.append(Size(draw(side), half + draw(side), half + draw(side), entries))
    return sizes, links


def rectangles(layout: Layout) -> list[tuple[float, float, float, float]]:
    places = [*layout.nodes, *(route.label for route in layout.routes if route.label)]
    return [(one.left, one.top, one.left + one.width, one.top + one.height) for one in places]


@settings(deadline=None)
@given(graphs())
def test_nothing_overlaps_and_edges_go_from_left_to_right(graph: tuple[list[Size], list[Link]]) -> None:
    sizes, links = graph
    layout = arrange(sizes, links, SPACING)
    assert (len(layout.nodes), len(layout.routes)) == (len(sizes), len(links))
    found = rectangles(layout)
    for k, (left, top, right, bottom) in enumerate(found):
        assert left >= 0 and top >= -1e-6 and right <= layout.width + 1e-6 and bottom <= layout.height + 1e-6
        for other in found[:k]:
            apart = left >= other[2] or right <= other[0] or top >= other[3] - 1e-6 or bottom <= other[1] + 1e-6
            assert apart, (found[k], other)
    for link, route in zip(links, layout.routes, strict=True):
        source, target = layout.nodes[link.source], layout.nodes[link.target]
        assert route.points[0] == (source.left + source.width, source.line)
        assert route.points[-1][0] == target.left
        assert target.top <= route.points[-1][1] <= target.top + target.height
        assert (route.label is None) == (link.label is None)
        for k, ((one, height), (other, after)) in enumerate(pairwise(route.points)):
            assert one <= other
            # Along a node or through a column an edge is level; only there could it meet a text.
            assert k % 2 == 1 or height == after
    assert arrange(sizes, links, SPACING) == layout


@settings(deadline=None)
@given(graphs())
def test_an_edge_meets_no_text_but_its_own(graph: tuple[list[Size], list[Link]]) -> None:
    sizes, links = graph
    layout = arrange(sizes, links, SPACING)
    for k, route in enumerate(layout.routes):
        # A level piece inside of a column; the others lie between columns, where there is no text.
        for (one, height), (other, _) in list(pairwise(route.points))[2:-1:2]:
            for n, place in enumerate([*layout.nodes, *(route.label for route in layout.routes)]):
                if place is None or n == len(sizes) + k:
                    continue
                beside = other <= place.left or one >= place.left + place.width
                assert beside or not place.top + 1e-6 < height < place.top + place.height - 1e-6


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(0.1, 9), st.floats(0, 20)), min_size=1, max_size=30))
def test_spread_keeps_the_order_and_the_gaps(rows: list[tuple[float, float, float]]) -> None:
    wanted, weights, gaps = (list(column) for column in zip(*rows, strict=True))
    found = spread(wanted, weights, gaps[1:])
    assert all(other - one >= gap - 1e-6 for (one, other), gap in zip(pairwise(found), gaps[1:], strict=True))
    if all(other - one >= gap for (one, other), gap in zip(pairwise(wanted), gaps[1:], strict=True)):
        assert found == pytest.approx(wanted, abs=1e-6)


def test_crossings_that_can_be_avoided_are_avoided() -> None:
    size = Size(10, 5, 5)
    layout = arrange([size] * 6, [Link(0, 5), Link(1, 4), Link(2, 3)], SPACING)
    tops = [place.top for place in layout.nodes]
    assert sorted(range(3), key=tops.__getitem__) == [5 - k for k in sorted(range(3, 6), key=tops.__getitem__)]
    assert all(len({height for _, height in route.points}) == 1 for route in layout.routes)


@pytest.mark.parametrize("far", [1, 40, 5_000])
def test_five_thousand_nodes_take_seconds(far: int) -> None:
    import random

    order = random.Random(1)
    links = [Link(order.randrange(max(0, k - far), k), k, None) for k in range(1, 5_000) for _ in range(2)]
    started = time.monotonic()
    layout = arrange([Size(10, 5, 5)] * 5_000, links, SPACING)
    assert time.monotonic() - started < 20
    assert len({(place.left, place.top) for place in layout.nodes}) == 5_000


# What is drawn.


@each_case
def test_the_numbers_are_those_of_the_record(case: str) -> None:
    derivation, drawn = derived(case), picture(derived(case))
    values = {row.node: row.value for row in derivation.nodes}
    values |= {name: entry.value for name, entry in derivation.inputs.items()}
    gradients = {row.node: row.value for row in derivation.backward}
    gradients |= {name: entry.value for name, entry in derivation.gradient.items()}
    gradients[derivation.objective] = derivation.upstream
    for node in drawn.nodes:
        assert (node.value, node.gradient) == (show(values[node.name]), show(gradients.get(node.name)))
    contributions = sorted(
        (row.node, entry.through, entry.local, show(entry.upstream), show(entry.local_value), show(entry.value))
        for row in derivation.backward
        for entry in row.contributions
        if {row.node, entry.through} <= {node.name for node in drawn.nodes}
    )
    name = [node.name for node in drawn.nodes]
    assert contributions == sorted(
        (name[edge.source], name[edge.target], edge.local, edge.upstream, edge.local_value, edge.contribution)
        for edge in drawn.edges
        if edge.local
    )


def test_kinds_verdicts_and_constants() -> None:
    drawn = picture(derived("verdicts"))
    kinds = {node.name: node.kind for node in drawn.nodes}
    assert kinds["c"] == CONSTANT
    assert (kinds["x"], kinds["v1"], kinds["L"]) == (INPUT, OPERATION, OBJECTIVE)
    verdicts = {node.name: node.verdict for node in drawn.nodes}
    assert verdicts["z"] == "nonfinite: autograd has nan"
    assert verdicts["q"] == "convention: autograd has 0.5"
    # The 2 of a power is in the formula and is no node.
    assert [node.formula for node in picture(gradexplain.derive("x**2", "x=1")).nodes] == ["x", "L = x**2"]


def test_a_value_used_twice_has_two_edges() -> None:
    edges = picture(derived("shared")).edges
    assert [(edge.source, edge.target, edge.contribution) for edge in edges[:2]] == [(0, 1, "-0.952976")] * 2


@pytest.mark.parametrize("case", ["long", "chain", "sum"])
def test_large_graphs_are_collapsed_and_say_so(case: str) -> None:
    derivation, drawn = derived(case), picture(derived(case))
    everything = len(derivation.nodes) + len(derivation.inputs)
    assert len(drawn.nodes) <= 60 < everything
    assert f"{everything - len(drawn.nodes)} of {everything} nodes are left out" in drawn.notes[0]
    assert any(node.hidden for node in drawn.nodes)
    assert any(edge.hidden for edge in drawn.edges) or case == "sum"
    assert drawn.nodes[-1].kind == OBJECTIVE
    assert all(note in svg.write(derivation) and note in drawing.write(derivation) for note in drawn.notes[:1])


def test_of_a_large_graph_the_named_nodes_stay_with_their_statements() -> None:
    formulas = [node.formula for node in picture(derived("long")).nodes]
    assert "h30 = tanh(w30*h29 + sin(w30))" in formulas
    assert not [formula for formula in formulas if formula.startswith("v")]


@given(st.lists(st.lists(st.integers(0, 10**6), max_size=3), min_size=1, max_size=40), st.integers(2, 40))
def test_what_is_left_out_is_counted(rows: list[list[int]], most: int) -> None:
    reads = [[j % k for j in row] if k else [] for k, row in enumerate(rows)]
    names = [f"n{k}" for k in range(len(reads))]
    kept = kept_nodes(names, reads, names[-1], ["n1", "n3", names[-1]], most)
    assert kept == sorted(set(kept)) and kept[-1] == len(reads) - 1
    assert len(kept) <= max(most, 12)
    shown = contract(reads, kept)
    for k in kept:
        assert set(shown.direct[k]) | set(shown.through[k]) <= set(kept)
        assert bool(shown.hidden[k]) == (set(reads[k]) - set(kept) != set())


# SVG.


def texts(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


@each_case
def test_svg_is_well_formed_and_complete(case: str) -> None:
    derivation, drawn = derived(case), picture(derived(case))
    text = svg.write(derivation)
    root = ElementTree.fromstring(text)
    nodes = [entry for entry in root.iter(f"{NAMESPACE}g") if entry.get("class", "").startswith("node")]
    edges = [entry for entry in root.iter(f"{NAMESPACE}g") if entry.get("class", "").startswith("edge")]
    assert [entry.get("data-node") for entry in nodes] == [node.name for node in drawn.nodes]
    assert [entry.get("id") for entry in nodes] == [f"node-{k}" for k in range(len(nodes))]
    assert {entry.get("tabindex") for entry in nodes} == {"0"}
    named = [(drawn.nodes[edge.source].name, drawn.nodes[edge.target].name) for edge in drawn.edges]
    assert [(entry.get("data-from"), entry.get("data-to")) for entry in edges] == named
    for node, entry in zip(drawn.nodes, nodes, strict=True):
        numbers = {piece.get("class"): texts(piece) for piece in entry.iter(f"{NAMESPACE}tspan")}
        assert numbers.get("value", "") == node.value
        assert numbers.get("gradient", "") == (node.gradient or ("?" if node.partial else ""))
        assert node.verdict.partition(":")[0] in texts(entry)
    for edge, entry in zip(drawn.edges, edges, strict=True):
        numbers = {piece.get("class"): texts(piece) for piece in entry.iter(f"{NAMESPACE}tspan")}
        if product(edge):
            found = (numbers["upstream"], numbers["local"], numbers["contribution"])
            assert found == (edge.upstream, edge.local_value, edge.contribution)
    assert svg.write(derivation) == text
    assert not re.search(r"<script|href|url\(|@import|@font-face", text)
    assert "prefers-color-scheme" in text


@each_case
def test_texts_in_svg_are_inside_of_the_picture_and_apart(case: str) -> None:
    root = ElementTree.fromstring(svg.write(derived(case)))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    boxes = []

    def visit(element: ElementTree.Element, x: float, y: float) -> None:
        moved = re.match(r"translate\(([\d.]+) ([\d.]+)\)", element.get("transform", ""))
        x, y = (x + float(moved[1]), y + float(moved[2])) if moved else (x, y)
        if element.tag == f"{NAMESPACE}text":
            size = lettering.small(element.get("class", ""))
            room = lettering.text_width(texts(element).replace("\u200e", ""), size)
            left = x + float(element.get("x", 0)) - (room / 2 if element.get("text-anchor") == "middle" else 0)
            bottom = y + float(element.get("y", 0))
            boxes.append((left, bottom - 0.75 * size, left + room, bottom + 0.2 * size, texts(element)))
        for child in element:
            visit(child, x, y)

    visit(root, 0, 0)
    for k, one in enumerate(boxes):
        assert one[0] >= 0 and one[1] >= 0 and one[2] <= width and one[3] <= height, one
        for other in boxes[:k]:
            assert one[0] >= other[2] or one[2] <= other[0] or one[1] >= other[3] or one[3] <= other[1], (one, other)


def test_an_embedded_picture_is_a_part_of_a_page() -> None:
    text = svg.write(derived("readme"), embedded=True)
    assert text.startswith("<svg ")
    assert 'class="ground"' not in text
    sheet = re.search(r"<style>(.*)</style>", text)[1]
    inner = re.sub(r"@media[^{]*\{", "", sheet)
    selectors = [selector for rule in re.findall(r"([^{}]+)\{[^{}]*\}", inner) for selector in rule.split(",")]
    assert [selector for selector in selectors if not selector.startswith(".gradexplain-graph ")] == []


def test_formulas_are_escaped_and_long_ones_have_a_title() -> None:
    text = svg.write(
        gradexplain.derive("where(x < 1, x, -x)*" + "*".join(f"factor_number_{i}" for i in range(9)), "x=0")
    )
    assert "x < 1" not in text
    assert "x &lt; 1" in text
    wide = ElementTree.fromstring(svg.write(derived("wide")))
    name = next(iter(derived("wide").inputs))
    assert any(name in texts(title) for title in wide.iter(f"{NAMESPACE}title"))
    lines = [line for entry in wide.iter(f"{NAMESPACE}g") for line in entry.iter(f"{NAMESPACE}text")]
    assert not any(name in texts(line) for line in lines)


def test_names_from_right_to_left_keep_formulas_in_order() -> None:
    text = svg.write(derived("names"))
    assert 'data-node="שלום"' in text
    assert "λ*ש\u200eל\u200eו\u200eם\u200e" in text


@pytest.mark.parametrize("dark", [False, True])
def test_contrast(dark: bool) -> None:
    """Every colour of a text against every ground that it may stand on."""

    def light(color: str) -> float:
        parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light_sheet, dark_sheet = pages.asset("graph.css").split("@media")
    rule = r"\.gradexplain-graph ([^{,]+)\{(\w+):(#\w+)\}"
    rows = re.findall(rule, dark_sheet if dark else light_sheet)
    assert len(rows) == 11
    grounds = [
        color for selector, what, color in rows if what == "fill" and ("shape" in selector or "ground" in selector)
    ]
    inks = [color for selector, what, color in rows if selector in ("text", ".caption", ".backward", ".verdict")]
    for ink in inks:
        for ground in grounds:
            one, other = sorted((light(ink), light(ground)))
            assert (other + 0.05) / (one + 0.05) >= 4.5, (ink, ground)


# Graphviz and Mermaid.


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@each_case
def test_graphviz_reads_the_graph(case: str, tmp_path: Path) -> None:
    drawn, derivation = picture(derived(case)), derived(case)
    done = subprocess.run(["dot", "-Tjson0"], input=dot.write(derivation).encode(), capture_output=True, check=True)
    assert not [line for line in done.stderr.decode().splitlines() if "syntax" in line.lower()]
    read = json.loads(done.stdout)
    assert len(read["objects"]) == len(drawn.nodes)
    assert len(read.get("edges", [])) == len(drawn.edges)
    for node, found in zip(drawn.nodes, sorted(read["objects"], key=lambda entry: int(entry["name"][1:])), strict=True):
        lines = found["label"].replace("\u200e", "").split("\\n")
        assert (node.value or "no value") in lines
        assert len(node.formula) > 60 or node.formula in lines
        assert not node.partial or any(line.endswith(f" = {node.gradient or '?'}") for line in lines)


MERMAID = """
import {createRequire} from 'module';
import {readFileSync} from 'fs';
import {pathToFileURL} from 'url';
const require = createRequire(process.argv[2] + '/');
const {JSDOM} = require('jsdom');
const {window} = new JSDOM('');
globalThis.window = window;
globalThis.document = window.document;
const mermaid = (await import(pathToFileURL(process.argv[2] + '/mermaid/dist/mermaid.core.mjs'))).default;
const found = [];
for (const text of JSON.parse(readFileSync(0, 'utf8'))) {
  await mermaid.parse(text);
  const diagram = await mermaid.mermaidAPI.getDiagramFromText(text);
  const vertices = [...diagram.db.getVertices().values()].map((vertex) => vertex.text);
  found.push({type: diagram.type, vertices, edges: diagram.db.getEdges().map((edge) => edge.text)});
}
console.log(JSON.stringify(found));
"""


def mermaid_modules() -> str:
    """The folder with Mermaid and jsdom, as the environment names it or npm knows it; empty where there is none."""
    folder = os.environ.get("MERMAID_MODULES", "")
    if not folder and shutil.which("node") and shutil.which("npm"):
        folder = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True).stdout.strip()
    return folder if folder and all((Path(folder) / name).is_dir() for name in ("mermaid", "jsdom")) else ""


def read_by_mermaid(texts: list[str], folder: Path) -> list[dict[str, Any]]:
    """What Mermaid makes of diagrams, all of them in one process; the test is skipped where there is no Mermaid."""
    modules = mermaid_modules()
    if not modules:
        pytest.skip("npm install -g mermaid jsdom, or name their folder in MERMAID_MODULES")
    (folder / "read.mjs").write_text(MERMAID)
    command = ["node", str(folder / "read.mjs"), modules]
    done = subprocess.run(command, input=json.dumps(texts).encode(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_mermaid_reads_the_graphs(tmp_path: Path) -> None:
    found = read_by_mermaid([mermaid.write(derived(case)) for case in CASES], tmp_path)
    for case, read in zip(CASES, found, strict=True):
        drawn = picture(derived(case))
        counted = (read["type"], len(read["vertices"]), len(read["edges"]))
        assert counted == ("flowchart-v2", len(drawn.nodes), len(drawn.edges)), case


def test_labels_for_mermaid_have_no_characters_that_it_takes_for_its_own() -> None:
    for line in mermaid.write(derived("names")).splitlines()[2:]:
        for label in re.findall(r'"([^"]*)"', line):
            assert not re.search(r"[*_`<>&\"\\]", label.replace("<br>", "")), label


# In characters.


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("width", [60, 80, 100, 200])
@each_case
def test_the_drawing_fits_and_has_every_node(case: str, width: int, ascii_only: bool) -> None:
    drawn, text = picture(derived(case)), drawing.write(derived(case), Look(width, ascii_only=ascii_only))
    assert max(map(columns, text.splitlines())) <= width
    assert not ascii_only or text.isascii()
    squeezed = re.sub(r"[\s│|]", "", text)
    for node in drawn.nodes if not ascii_only else []:
        assert re.sub(r"\s", "", node.formula) in squeezed, (node.formula, text)
        assert re.sub(r"\s", "", f"{node.partial} = {node.gradient}") in squeezed or not node.gradient
        assert node.verdict.partition(":")[0] in text
    assert drawing.write(derived(case), Look(width, ascii_only=ascii_only)) == text


NAMES = st.sampled_from(["x", "w", "λ", "a_long_name", "損失", "y"])
TERMS = st.recursive(
    NAMES,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner)
        | st.builds("{}({})".format, st.sampled_from(["sin", "tanh", "exp"]), inner)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=60)
@given(TERMS, st.integers(30, 200), st.booleans())
def test_any_drawing_fits(formula: str, width: int, ascii_only: bool) -> None:
    point = ",".join(f"{name}=0.5" for name in ("x", "w", "λ", "a_long_name", "損失", "y"))
    derivation = gradexplain.derive(formula, point)
    text = drawing.write(derivation, Look(width, ascii_only=ascii_only))
    assert max(map(columns, text.splitlines())) <= width
    assert len(re.findall("objective|╔|#=", text)) >= 1
    ElementTree.fromstring(svg.write(derivation))


def test_lines_that_cross_are_not_joined() -> None:
    """In the list, the rail of a value that is read further down goes on behind the others."""
    text = drawing.write(derived("readme"), Look(60))
    assert "├─│─┐" in text
    assert "◆       L = v3**2 = 4  objective" in text


def test_boxes_where_they_fit_and_a_list_where_they_do_not() -> None:
    wide, narrow = drawing.write(derived("readme"), Look(100)), drawing.write(derived("readme"), Look(60))
    assert ("╔" in wide, "◆" in wide) == (True, False)
    assert ("╔" in narrow, "◆" in narrow) == (False, True)
    assert "local 2*v3" in drawing.write(derived("readme"), Look(200))


# The command.


@pytest.mark.parametrize("width", [60, 100])
def test_the_command_fits_the_terminal(width: int) -> None:
    shown = terminal(width, "graph", "(y - (w*x+b))**2", "--at", "w=1,b=0,x=2,y=4")
    assert max(map(columns, shown.splitlines())) <= width
    assert "∂L/∂w = -8" in shown


Asked = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str]) -> Asked:
    """The command in this process, where PyTorch is loaded already: status, standard output, standard error."""

    def run_here(*arguments: str) -> tuple[int, str, str]:
        status = app.run(list(arguments))
        return status, *capsys.readouterr()

    return run_here


def test_the_command_and_the_formats_of_derive(tmp_path: Path, asked: Asked) -> None:
    arguments = ["x*sin(y)", "--at", "x=1,y=2"]
    for name, suffix in (("svg", ".svg"), ("dot", ".gv"), ("mermaid", ".mmd")):
        file = tmp_path / f"graph{suffix}"
        assert asked("graph", *arguments, "-o", str(file)) == (0, "", "")
        text = file.read_text(encoding="utf-8")
        assert asked("graph", *arguments, "--format", name) == (0, text, "")
        assert asked("derive", *arguments, "--format", name) == (0, text, "")
    assert asked("derive", *arguments, "--format", "drawing") == asked("graph", *arguments)


def test_the_command_has_the_manners_of_derive(asked: Asked) -> None:
    status, out, err = asked("graph", "x**2", "--format", "json")
    assert (status, out, "cannot be written as json" in err, "drawing, svg, dot, mermaid" in err) == (2, "", True, True)
    assert asked("graph", "exp(x)", "--at", "x=800")[0] == 1
    status, out, err = asked("graph", "-x*y", "--at", "x=2", "--wrt", "x")
    assert (status, "objective" in out or "L" in out, "note: " in err) == (0, True, True)
    status, out, err = run("graph", "-", "--at", "x=2,w=3", given="x*w", PYTHONIOENCODING="ascii")
    assert (status, out.isascii(), "dL/dw = 2" in out) == (0, True, True)


def test_all_formats_are_registered() -> None:
    for name in ("drawing", "svg", "dot", "mermaid"):
        assert writer(DERIVATION[name])(derived("readme"), Look(width=100))
