"""The page: well-formed, closed to the world, and with the numbers of `derive`, as a browser finds them."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import gradexplain
from gradexplain.explain import build, closed_forms
from gradexplain.language.calls import VARIADIC
from gradexplain.output.derivation import html
from gradexplain.output.derivation.live import definitions
from gradexplain.output.formats import DERIVATION, Look, by_suffix
from gradexplain.output.page import pages
from gradexplain.records import Derivation, Value
from gradexplain.rules.table import ELEMENTWISE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VOID = frozenset(("meta", "input", "br", "rect", "path"))
CASES = {
    "readme": ("(y - (w*x+b))**2", "w=1,b=0,x=2,y=4"),
    "named": ("y_pred = w*x + b; loss = (y_true - y_pred)**2", "w=1,b=0,x=2,y_true=4"),
    "shared": ("a = x*x; L = a*sin(a)", "x=1.5"),
    "constant": ("c = 2*pi; a = z*2; L = c*x*log(1 + exp(z)) + max(q, 0) + where(x > 2, x, -x)", "x=3,z=1000,q=0"),
    "names": (
        "損失 = (λ*שלום - ŷ_predicted)**2 + where(_a_ < 1, _a_, __b__*2)",
        "λ=1,ŷ_predicted=2,שלום=3,_a_=1,__b__=5",
    ),
    "missing": ("(y - (w*x+b))**2", "w=1"),
    "alone": ("x", "x=2"),
    "precision": ("(1 - cos(x))/x**2", "x=1e-8"),
    "large": (" + ".join(f"x{i}*w" for i in range(300)), ",".join([*(f"x{i}={i}" for i in range(300)), "w=2"])),
    "many": ("; ".join(f"h{i} = tanh(w{i}*h{i - 1})" for i in range(1, 31)) + "; L = h30**2", "h0=1"),
}


@functools.cache
def derived(case: str) -> Derivation:
    return gradexplain.derive(*CASES[case])


@functools.cache
def page(case: str) -> str:
    return html.write(derived(case), Look())


each_case = pytest.mark.parametrize("case", CASES)


class Reader(HTMLParser):
    """Reads a page, and fails where an element is not closed by its own end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] != "style":
            self.texts.append(data)


@each_case
def test_the_page_is_well_formed_and_always_the_same(case: str) -> None:
    read = Reader(page(case))
    assert page(case) == html.write(derived(case))
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = {attributes.get("for") for tag, attributes in read.tags if tag == "label"}
    for tag, attributes in read.tags:
        if tag == "input":
            assert "aria-label" in attributes or attributes["id"] in labels


@each_case
def test_nothing_but_its_own_script_can_run_and_nothing_is_fetched(case: str) -> None:
    text = page(case)
    read = Reader(text)
    [policy] = [a["content"] or "" for tag, a in read.tags if tag == "meta" and "http-equiv" in a]
    digest = base64.b64encode(hashlib.sha256(read.scripts[1].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
    assert f"script-src 'sha256-{digest}'; img-src data:" in policy
    assert [a.get("type") for tag, a in read.tags if tag == "script"] == ["application/json", None]
    addresses = set(re.findall(r"https?://[^\s\"'<>]*", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"}
    assert not any(name.startswith("on") or name == "src" for _, attributes in read.tags for name in attributes)
    assert not re.search(r"\beval\b|Function\(|innerHTML|document\.write|\bimport\b|fetch\(", read.scripts[1])


def test_data_cannot_end_its_element_and_is_what_was_meant() -> None:
    import dataclasses

    hostile = "</script><img src=x onerror=alert(1)>&amp;\u2028"
    derivation = dataclasses.replace(derived("readme"), notes=(hostile,), statements=(f"L = {hostile}",))
    read = Reader(html.write(derivation))
    assert not any(tag == "img" for tag, _ in read.tags)
    assert hostile in read.texts
    data = json.loads(read.scripts[0])
    assert not set("<>&\u2028") & set(read.scripts[0])
    assert [node["rule"] for node in data["nodes"]][:4] == ["input", "input", "input", "mul"]
    names = Reader(page("names"))
    assert {"λ", "שלום"} <= {node["name"] for node in json.loads(names.scripts[0])["nodes"]}


@pytest.mark.parametrize("case", ["names", "readme"])
def test_a_page_in_ascii_is_the_same_page(case: str) -> None:
    ascii_page = html.write(derived(case), Look(ascii_only=True))
    assert ascii_page.isascii()
    assert Reader(ascii_page).texts == Reader(page(case)).texts
    assert Reader(ascii_page).scripts == Reader(page(case)).scripts


def test_a_large_derivation_is_cut_and_says_so() -> None:
    text = page("large")
    assert "does not recompute" in text and "more (--format json has all of them)" in text
    assert 'type="range"' not in text and len(text) < 400_000
    assert json.loads(Reader(text).scripts[0]) == {"live": False, "nodes": [], "backward": []}


def test_missing_values_are_said_and_have_sliders() -> None:
    text = page("missing")
    assert text.count('type="range"') == 4 and "Without a value: " in text and "Verdict: unverified" in text


def test_a_hessian_says_that_it_does_not_move() -> None:
    text = html.write(gradexplain.derive("x**2*w", "x=2,w=3", hessian=True))
    Reader(text)
    stored = text.split('<section class="stored">')
    assert stored[1].startswith('\n<h2>Hessian</h2>\n<p class="only-moved">These numbers are those of the point')
    assert 'type="range"' in stored[0]


def test_the_format_is_registered() -> None:
    assert by_suffix(Path("a.html"), DERIVATION) == "html"


def test_every_rule_is_an_operation_of_the_page() -> None:
    script = pages.asset("rules.js")
    table = script[script.rindex("return {") :]
    own = set(re.findall(r"\b(\w+)(?=[:,])", table))
    # What is none of the script's own is computed by its definition, which the page gets with all that stands in it.
    assert {name for name, rule in ELEMENTWISE.items() if not rule.definition} <= own
    assert {"mish", "softplus"} <= set(definitions(["mish"]))
    assert definitions(["relu6"])["relu6"] == ["minimum", ["maximum", "a", 0.0], 6.0]


# Formulas with points, kinks among them; the browser is to find what `derive` finds.
POINTS: dict[str, list[dict[str, float]]] = {
    "y_pred = w*x + b; loss = (y_true - y_pred)**2": [
        {"w": w, "x": x, "b": 0.25, "y_true": 4.0} for w in (-1.5, 0.0, 1.0, 3.7) for x in (-2.0, 0.0, 0.1, 2.5, 1e3)
    ],
    "p = sigmoid(w*x + b); loss = -(y*log(p) + (1 - y)*log(1 - p))": [
        {"w": w, "x": 2.0, "b": b, "y": 1.0} for w in (-1.0, 0.0, 0.3, 2.0, 4.0) for b in (-2.0, 0.0, 0.5, 1.0)
    ],
    "max(0, x)*w + relu(w)": [{"x": x, "w": w} for x in (-1.0, 0.0, 1.0, 2.5, -0.0) for w in (-1.0, 0.0, 3.0, 0.5)],
    "max(a, b) + min(a, b)*a": [{"a": a, "b": b} for a in (-1.0, 0.0, 1.0, 2.5) for b in (-1.0, 0.0, 1.0, 2.5, 3.0)],
    "abs(x) + x**y": [{"x": x, "y": y} for x in (0.0, 1.0, 2.0, 0.5) for y in (0.0, 1.0, 2.0, 3.0, 0.5)],
    "clamp(w*x, 0, x) + hardtanh(w)": [
        {"w": w, "x": x} for w in (-1.0, 0.0, 1.0, 0.5) for x in (0.0, 1.0, 2.0, 3.0, 0.5)
    ],
    "where(x > y, x**2, -y*x) + leaky_relu(x - y)": [
        {"x": x, "y": y} for x in (-1.0, 0.0, 1.0, 2.0) for y in (-1.0, 0.0, 1.0, 2.0, 3.0)
    ],
    "s = exp(a)+exp(b)+exp(c); loss = -log(exp(a)/s)": [
        {"a": a, "b": b, "c": 0.5} for a in (-3.0, 0.0, 1.0, 10.0) for b in (-5.0, 0.0, 1.0, 2.0, 20.0)
    ],
    "erf(x)*w + erfc(x*w) + gelu(x) + lgamma(x**2 + w**2 + 1)*digamma(x**2 + 0.5)": [
        {"x": x, "w": w} for x in (-3.0, -0.5, 0.0, 0.7, 2.2) for w in (-1.0, 0.0, 0.4, 2.0)
    ],
    "a = atan2(y, x); r = hypot(x, y); L = a*r + floor(x)*y + round(y)*x": [
        {"x": x, "y": y} for x in (-1.5, 0.25, 1.5, 2.0) for y in (-2.5, -1.0, 0.0, 0.5, 3.5)
    ],
}
NUMBERS = (-2.3, -1.0, 0.0, 0.5, 3.0, 6.0)


def rule_points() -> Iterator[tuple[str, list[dict[str, float]]]]:
    """A formula for every rule, and points with kinks, ties and numbers outside of its domain."""
    variadic = set(VARIADIC.values())
    for rule in ELEMENTWISE.values():
        if rule.symbol:
            call = "-a*b" if rule.name == "neg" else f"a {rule.symbol} b"
            formula = f"where({call}, a**2, b)" if rule.boolean else call
        elif rule.name == "polygamma":
            formula = "polygamma(0, a) + polygamma(1, a)*b + polygamma(3, a)"
        elif rule.name == "where":
            formula = "where(a > b, a**2, -b)"
        elif rule.name in ("hardtanh", "softplus"):
            formula = f"{rule.name}(a)*b + {rule.name}(a, 0.5, 2)"
        elif rule.name in ("leaky_relu", "elu"):
            formula = f"{rule.name}(a)*b + {rule.name}(a, 0.3)"
        elif rule.name == "heaviside":
            formula = "heaviside(a, 1/2)*b"
        elif rule.name.startswith("clamp_") and rule.keywords:
            formula = f"{rule.name}(a, {', '.join(('0', '1')[: rule.required - 1])})*b"
        elif rule.required == 3:
            formula = f"{rule.name}(a, b, 1)"
        elif rule.required == 2 or rule.name in variadic:
            formula = f"{rule.name}(a, b)"
        else:
            formula = f"{rule.name}(a)*b" if rule.name != "identity" else "u = a; u*b"
        yield formula, [{"a": a, "b": b} for a, b in zip(NUMBERS, NUMBERS[3:] + NUMBERS[:3], strict=True)]
        if rule.required == 2 and rule.kink:
            yield formula, [{"a": a, "b": a} for a in NUMBERS]


DRIVER = """
window.onload = () => {
  const found = cases.map(([, points], k) => {
    const page = document.getElementById(`page${k}`).contentDocument;
    return points.map(point => {
      for (const [name, value] of Object.entries(point)) {
        const control = [...page.querySelectorAll(".control")].find(element => element.dataset.of === name);
        const field = control.querySelector("input[type=number]");
        field.value = Object.is(value, -0) ? "-0" : value;
        field.dispatchEvent(new page.defaultView.Event("input"));
      }
      const numbers = {};
      for (const cell of page.querySelectorAll("td[data-live]")) {
        if (cell.dataset.of) numbers[`${cell.dataset.live} ${cell.dataset.of}`] = cell.dataset.value;
      }
      numbers.check = page.body.dataset.check;
      numbers.now = page.getElementById("now").textContent;
      return numbers;
    });
  });
  document.body.replaceChildren();
  const result = document.createElement("pre");
  result.textContent = `RESULT${JSON.stringify(found)}END`;
  document.body.append(result);
};
"""


def dumped(address: str, profile: Path) -> str:
    """The document of a page as Chromium has it once it is loaded."""
    assert CHROMIUM is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += ["--disable-component-update", "--disable-sync", f"--user-data-dir={profile}", "--dump-dom"]
    done = subprocess.run([CHROMIUM, *options, address], capture_output=True, timeout=120, check=True)
    return done.stdout.decode()


def in_the_browser(cases: list[tuple[str, list[dict[str, float]]]], folder: Path) -> list[list[dict[str, Any]]]:
    """What the unchanged pages show at all points, each in a frame of its own, its number fields filled in."""
    from html import escape, unescape

    frames = [
        f'<iframe id="page{k}" srcdoc="{escape(html.write(gradexplain.derive(formula, points[0])))}"></iframe>'
        for k, (formula, points) in enumerate(cases)
    ]
    script = f"const cases = {json.dumps(cases)};{DRIVER}"
    file = folder / "frames.html"
    file.write_text(
        f'<!DOCTYPE html><meta charset="utf-8">{"".join(frames)}<script>{script}</script>', encoding="utf-8"
    )
    found = re.search(r"RESULT(.*)END</pre>", dumped(file.as_uri(), folder / "profile"), re.DOTALL)
    assert found
    return json.loads(unescape(found.group(1)))  # type: ignore[no-any-return]


def as_number(value: Value) -> float:
    return float(value) if value is not None else math.nan


def differences(cases: list[tuple[str, list[dict[str, float]]]], folder: Path) -> Iterator[tuple[float, str]]:
    """How far each number is from the exact one and from PyTorch's, whichever is nearer, relative where it is large."""
    for (formula, points), frames in zip(cases, in_the_browser(cases, folder), strict=True):
        for point, shown in zip(points, frames, strict=True):
            # The numbers are those of this point, and the page found at its own point what was stored there.
            now = dict(part.split("\u200e = ") for part in shown["now"].split(", "))
            assert ({name: float(value) for name, value in now.items()}, shown["check"]) == (point, "same"), formula
            derivation = gradexplain.derive(formula, point)
            rows = [(f"value {row.node}", row.value, row.autograd) for row in derivation.nodes]
            rows += [(f"gradient {name}", row.value, row.autograd) for name, row in derivation.gradient.items()]
            for key, *expected in rows:
                text = shown[key]
                number = {"true": 1.0, "false": 0.0}.get(text)
                number = float(text.replace("Infinity", "inf")) if number is None else number
                errors = []
                for other in map(as_number, expected):
                    # Where no finite value exists, infinities of different sides are as good as nan.
                    if number == other or not (math.isfinite(number) or math.isfinite(other)):
                        errors.append(0.0)
                    else:
                        error = abs(number - other) / max(1.0, abs(other))
                        errors.append(error if error == error else math.inf)
                yield min(errors), f"{formula} at {point}: {key} is {text}, not {expected}"


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@needs_chromium
@pytest.mark.parametrize("which", ["formulas", "rules"])
def test_the_page_finds_what_derive_finds(which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # SymPy takes most of the time of a derivation, for its closed forms and as a second witness; the numbers are ours.
    monkeypatch.setattr(closed_forms, "shortened", lambda algebra, roots, since: roots)
    monkeypatch.setattr(build, "ask_sympy", lambda problem, exact: dict)
    cases = list(POINTS.items()) if which == "formulas" else list(rule_points())
    found = list(differences(cases, tmp_path))
    wrong = [what for error, what in found if error > 1e-12]
    print(which, len(found), "numbers, the largest error is", max(error for error, _ in found))
    assert not wrong, "\n".join([f"{len(wrong)} of {len(found)}", *wrong[:40]])


@needs_chromium
def test_values_in_the_address_are_set(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page("readme"), encoding="utf-8")
    document = dumped(f"{file.as_uri()}#w=1.5&x=2&b=nonsense&%3Cq%3E=1&y=", tmp_path / "profile")
    exact = gradexplain.derive(CASES["readme"][0], "w=1.5,b=0,x=2,y=4").gradient["w"].value
    assert re.search(rf'data-live="gradient" data-of="w" data-value="{exact:g}"', document)
    assert 'data-check="same"' in document and 'class="moved"' in document


MARKING = """
<script>
window.onload = () => {
  const page = document.querySelector("iframe").contentDocument, event = page.defaultView.Event;
  const drawn = name => [...page.querySelectorAll(".node")].find(element => element.dataset.node === name);
  const names = selector => [...page.querySelectorAll(selector)].map(e => e.dataset.node ?? e.dataset.of);
  drawn("w").dispatchEvent(new event("focusin"));
  const marked = [names(".node.way-node"), names("tr.marked"), page.querySelectorAll(".way-edge").length];
  drawn("w").dispatchEvent(new event("focusout"));
  const after = names(".way-node, .marked").length;
  const slider = page.querySelector("input[type=range]");
  slider.valueAsNumber = Number(slider.max);
  slider.dispatchEvent(new event("input"));
  const moved = [page.querySelector("input[type=number]").value, drawn("w").querySelector(".value").textContent];
  page.getElementById("back").click();
  const back = [page.body.classList.contains("moved"), page.querySelector("input[type=number]").value];
  document.body.textContent = `RESULT${JSON.stringify({ marked, after, moved, back })}END`;
};
</script>"""


@needs_chromium
def test_a_node_marks_its_rows_and_its_way_and_the_button_goes_back(tmp_path: Path) -> None:
    from html import escape

    text = html.write(gradexplain.derive("p = w*x; L = (p - y)**2", "w=1,x=2,y=4"))
    file = tmp_path / "frame.html"
    file.write_text(f'<!DOCTYPE html><meta charset="utf-8"><iframe srcdoc="{escape(text)}"></iframe>{MARKING}')
    found = re.search(r"RESULT(.*)END", dumped(file.as_uri(), tmp_path / "profile"))
    assert found
    result = json.loads(found.group(1))
    nodes, rows, edges = result["marked"]
    assert set(nodes) == {"w", "p", "v1", "L"} and set(rows) == {"w"} and edges == 3
    assert result["after"] == 0
    assert result["moved"] == ["2", "2"] and result["back"] == [False, "1"]
