"""The formats: one line each that registers the file which writes it.

A format is a module of `gradexplain.output` with a function `write(record, look)` that returns the text, and where it
has heavy imports a function `preload()` that makes them while PyTorch loads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from gradexplain.errors import OptionError, nearest


@dataclass(frozen=True, slots=True)
class Look:
    """What a format may need to know of the place where its text goes.

    `width` is in columns, None for that of the terminal (no limit in a pipe); `color` asks for ANSI escape sequences;
    with `ascii_only` the place has no other characters; `standalone` asks for a whole document in place of a fragment;
    `every` for every step of a record of training.
    """

    width: int | None = None
    color: bool = False
    ascii_only: bool = False
    standalone: bool = False
    every: bool = False


# A place that has everything.
PLAIN = Look()


class Format(NamedTuple):
    """A format: the module that writes it, the suffixes that ask for it, and what it is in a few words.

    `every` says that it has every step of a training run, where no option says which; others have a selection.
    """

    module: str
    suffixes: tuple[str, ...]
    about: str
    every: bool = False


DERIVATION: dict[str, Format] = {
    "table": Format("derivation.table", (), "the explanation, as wide as the terminal"),
    "text": Format("derivation.text", (".txt",), "the explanation in at most 78 columns, for mail and logs"),
    "markdown": Format("derivation.markdown", (".md",), "tables for a forge, a wiki or a page"),
    "latex": Format("derivation.latex", (".tex",), "the derivation typeset; a whole document with --standalone"),
    "html": Format("derivation.html", (".html", ".htm"), "a page with the graph, and sliders that recompute all of it"),
    "csv": Format("derivation.csv", (".csv",), "the backward pass, a line for each contribution and each sum"),
    "json": Format("json", (".json",), "one object on one line"),
    "value": Format("derivation.value", (), "the bare numbers, a line for each input"),
    "drawing": Format("graph.boxes", (), "the computation graph in characters"),
    "svg": Format("graph.svg", (".svg",), "the computation graph as a picture"),
    "dot": Format("graph.dot", (".dot", ".gv"), "the computation graph for Graphviz"),
    "mermaid": Format("graph.mermaid", (".mmd",), "the computation graph for Mermaid"),
    "program": Format("code.program", (), "forward and backward as straight lines of code, to be read aloud"),
    "pytorch": Format("code.pytorch", (".py",), "a torch.autograd.Function with its backward written by hand"),
    "numpy": Format("code.numpy", (), "a function of NumPy that returns the value and the gradients"),
}
# The formats that are a graph, for `gradexplain graph`.
GRAPH = {name: DERIVATION[name] for name in ("drawing", "svg", "dot", "mermaid")}
TRAINING: dict[str, Format] = {
    "table": Format("training.table", (), "the explanation, as wide as the terminal"),
    "text": Format("training.text", (".txt",), "the explanation in at most 78 columns, for mail and logs"),
    "markdown": Format("training.markdown", (".md",), "tables for a forge, a wiki or a page"),
    "latex": Format("training.latex", (".tex",), "the run typeset; a whole document with --standalone"),
    "html": Format("training.html", (".html", ".htm"), "a page with the formulas, the curve and the steps"),
    "svg": Format("training.svg", (".svg",), "the loss over the steps as a picture"),
    "json": Format("json", (".json",), "one object with every step", every=True),
}


def writer(format: Format) -> Callable[[Any, Look], str]:
    """The function that writes a record in a format."""
    return import_module(f"gradexplain.output.{format.module}").write  # type: ignore[no-any-return]


def preload(format: Format) -> None:
    """Make the imports of a format now."""
    module = import_module(f"gradexplain.output.{format.module}")
    if hasattr(module, "preload"):
        module.preload()


def by_suffix(path: Path, formats: Mapping[str, Format]) -> str:
    """The name of the format that a file's suffix asks for. Raises OptionError where there is none.

    >>> by_suffix(Path("a.json"), DERIVATION)
    'json'
    """
    suffixes = {suffix: name for name, row in formats.items() for suffix in row.suffixes}
    found = suffixes.get(path.suffix.lower())
    if found is None:
        hint = nearest(path.suffix, suffixes) or f"use {', '.join(suffixes)}, or --format"
        raise OptionError(f"no format has the suffix {path.suffix or '(none)'}", hint=hint)
    return found


def choose(
    name: str | None, json: bool, output: Path | None, formats: Mapping[str, Format], default: str = "table"
) -> str:
    """The name of the format that the options ask for, `default` where none does.

    Raises OptionError where `--format` and `--json` contradict each other, or the suffix of `output` says nothing.
    """
    if name is not None and name not in formats:
        offered = "it is one of " + ", ".join(formats)
        if name in DERIVATION or name in TRAINING:
            raise OptionError(f"this cannot be written as {name}", hint=offered)
        raise OptionError(f"unknown format {name}", hint=nearest(name, formats) or offered)
    if json and name not in (None, "json"):
        raise OptionError(f"--json and --format {name} contradict each other", hint="keep one of them")
    if json or name is not None:
        return name or "json"
    return default if output is None else by_suffix(output, formats)
