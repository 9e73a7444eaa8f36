"""Every format of a few derivations and runs, as files in `golden/`; run as a script, this writes them anew.

A file is called NAME.FORMAT.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gradexplain
from gradexplain.output.formats import DERIVATION, TRAINING, Format, Look, writer
from gradexplain.output.numbers import UNLIMITED
from gradexplain.output.training import lines as training_lines

GOLDEN = Path(__file__).parent / "golden"


def long_chain(operations: int) -> str:
    """A formula of so many operations, one after the other; all of them are rounded alike on every machine."""
    formula = "x"
    for k in range(operations // 3):
        formula = f"sqrt(({formula})*{'w' if k % 2 else 'x'} + {k + 1})"
    return formula


DERIVATIONS = {
    "readme": ("(y - (w*x+b))**2", "w=1,b=0,x=2,y=4"),
    "named": ("y_pred = w*x + b; loss = (y_true - y_pred)**2", "w=1,b=0,x=2,y_true=4"),
    "shared": ("a = x*x; L = a*sin(a)", "x=1.5"),
    "kink": ("max(0, x)", "x=0"),
    "missing": ("(y - (w*x+b))**2", "w=1,b=0,x=2"),
    "precision": ("(1 - cos(x))/x**2", "x=1e-8"),
    "long": (long_chain(60), "x=1.5,w=2"),
    "names": ("損失 = (λ - ŷ)**2", "λ=1,ŷ=2"),
}
# On vectors and matrices.
TENSORS = {
    "linear": ("mean((X @ W.T + b - Y)**2)", "X=[[1,2],[3,4]],Y=[[3],[7]],W=[[0.5,-0.5]],b=[0]"),
    "classes": ("z = X @ W + b; loss = cross_entropy(z, y)", "X=[[1,2],[0,1]],W=[[1,-1,0],[0,1,2]],b=[0,1,0],y=[0,2]"),
}
# The formats that write a line for each step as it is made.
STREAMED = {name: Format("training_lines", (), "") for name in training_lines.FORMATS}
RUNS = {"steps": {"steps": 100}, "no_zero_grad": {"steps": 3, "zero_grad": False}}


def cases() -> dict[str, tuple[Format, Callable[[], object]]]:
    """For the name of each file, the format and what makes the record."""
    found: dict[str, tuple[Format, Callable[[], object]]] = {}
    for format, row in DERIVATION.items():
        for name, (formula, point) in (DERIVATIONS | TENSORS).items():
            found[f"{name}.{format}"] = (row, lambda formula=formula, point=point: gradexplain.derive(formula, point))
    for format, row in (TRAINING | STREAMED).items():
        for name, options in RUNS.items():
            found[f"train_{name}.{format}"] = (row, lambda options=options: gradexplain.train(**options))
    return found


def written(name: str) -> bytes:
    """What a format writes of a record, fragments where it has them."""
    row, make = CASES[name]
    record: Any = make()
    if row.module == "training_lines":
        heading, line = training_lines.FORMATS[name.rpartition(".")[2]]
        return "".join([*heading(list(record.parameters)), *map(line, record.steps)]).encode()
    return writer(row)(record, Look(width=UNLIMITED)).encode()


def drawn(found: re.Match[str]) -> str:
    """Of a curve what it says: where matplotlib puts things depends on its version."""
    return "\n".join([found.group(1), *re.findall("<text[^>]*>(.*?)</text>", found.group(2))])


def rounded(text: str) -> str:
    """The text with numbers in 12 digits: the last ones of a sine are not the same on every machine."""
    text = re.sub(r'<svg [^>]*class="gradexplain-curve"[^>]*>(.*?</style>)(.*?</svg>)', drawn, text, flags=re.DOTALL)

    def shorter(found: re.Match[str]) -> str:
        number = float(found.group())
        return "0.0" if abs(number) < 1e-13 else f"{number:.12g}"

    return re.sub(r"(?<![\w.])\d+\.\d{8,}(?:e[+-]?\d+)?(?![\w.])", shorter, text)


CASES = cases()


# What has no file: a format that refuses the record.
REFUSED = {"missing.value"}


@pytest.mark.parametrize("name", [name for name in CASES if name not in REFUSED])
def test_a_format_writes_what_it_wrote(name: str) -> None:
    expected = (GOLDEN / name).read_bytes().replace(b"\r\n", b"\n")
    found = written(name)
    assert rounded(found.decode()) == rounded(expected.decode()), "python tests/test_golden.py writes it anew"


def test_every_format_has_its_files_and_every_file_a_format() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(CASES) - REFUSED


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name in CASES:
        try:
            (GOLDEN / name).write_bytes(written(name))
        except gradexplain.GradexplainError as error:
            # Such as a value that is not there.
            print(f"{name}: {error}", file=sys.stderr)
