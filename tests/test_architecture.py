"""The house rules: which way imports go, what is loaded when, and how long a file may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gradexplain"
FILES = sorted(PACKAGE.rglob("*.py"))

# From the outside in; a layer may import from itself and from those that come after it.
LAYERS = (
    "cli",
    "batch_jobs",
    "batch",
    "batch_lines",
    "output",
    "train",
    "training",
    "derive",
    "explain",
    "point",
    "tensor_point",
    "readings",
    "language",
)
OPEN = ("records", "training_records", "errors", "tensor_values")
HOMES = {
    "torch": {
        "readings/numbers.py",
        "readings/torch_files.py",
        "readings/worker.py",
        "readings/tensor_witness.py",
        "training/loop.py",
        "training/stepping.py",
        "training/curvature.py",
        "training/tensor_loop.py",
    },
    "sympy": {"readings/symbols.py"},
    "mpmath": {"readings/arithmetic.py"},
    "rich": {
        "output/table.py",
        "output/backward.py",
        "output/cells.py",
        "output/grid.py",
        "output/matrices.py",
        "output/tensor_table.py",
        "output/training.py",
        "cli/progress.py",
    },
    "orjson": {"output/json.py", "output/training_json.py"},
    "typer": {"cli/app.py", "cli/batch.py", "cli/derive.py", "cli/graph.py", "cli/rules.py", "cli/train.py"},
    "matplotlib": {"output/plot.py", "output/axes.py", "output/path.py"},
    "numpy": {"cli/tensor_files.py", "output/path.py"},
    "pyarrow": {
        "training/delimited.py",
        "training/json_lines.py",
        "training/parquet.py",
    },
}
MAX_LINES = 270
# A record prints itself as a table and shows itself in a notebook: the one way back, taken inside of a method.
EXCEPTIONS = {("records", "output"), ("training_records", "output")}


def _imports(path: Path) -> list[tuple[str, bool]]:
    """The modules that a file imports, and whether it does so at the top."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        for child in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) not in guarded) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or "", id(node) not in guarded))
    return found


def _layer(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module, _ in _imports(path):
        if not module.startswith("gradexplain.") or own in ("__init__", "__main__"):
            continue
        target = _layer(module)
        if target in OPEN or (own, target) in EXCEPTIONS:
            continue
        assert own in LAYERS and target in LAYERS, (own, module)
        assert LAYERS.index(own) <= LAYERS.index(target), f"{path.name} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_packages_stay_at_home(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    for module, at_top in _imports(path):
        package = module.split(".")[0]
        if package in HOMES:
            assert name in HOMES[package], f"{name} imports {package}"
            assert not (at_top and package in ("torch", "rich", "orjson", "matplotlib", "numpy", "pyarrow")), (
                f"{name} imports {package} at the top"
            )


def test_the_language_needs_the_standard_library_only() -> None:
    for path in (PACKAGE / "language").glob("*.py"):
        for module, _ in _imports(path):
            assert module.split(".")[0] in sys.stdlib_module_names or module.startswith("gradexplain."), module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_text_is_ever_run(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            assert name not in ("eval", "exec", "sympify", "parse_expr", "compile", "nsimplify", "lambdify") or (
                name == "compile" and "re" in ast.dump(node.func)
            )


HEAVY = {"torch", "sympy", "mpmath", "rich", "orjson", "matplotlib", "numpy", "pyarrow"}


@pytest.mark.parametrize(
    ("arguments", "free_of"),
    [
        (["--help"], {"torch", "sympy", "mpmath", "rich", "orjson"}),
        (["train", "--help"], HEAVY),
        (["train", "sine(w)"], HEAVY),
        (["train", "--steps", "0"], HEAVY),
        (["train", "(w - x)**2", "--at", "w=1", "--params", "w"], HEAVY),
        (["--version"], {"torch", "sympy", "mpmath", "rich", "orjson"}),
        (["rules"], {"torch", "sympy", "mpmath", "rich", "orjson"}),
        (["derive", "(y - sine(x))**2"], {"torch", "sympy", "mpmath", "rich", "orjson"}),
        (["batch", "--help"], HEAVY),
        (["batch", "--at", "x=nan"], HEAVY),
        (["derive", "x**2", "--at", "x=nan"], {"torch", "sympy", "mpmath", "rich", "orjson"}),
        (["derive", "x**2", "--at", "x=2", "--json"], {"torch", "rich"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_nothing_is_loaded_that_is_not_needed(arguments: list[str], free_of: set[str]) -> None:
    code = "import sys; from gradexplain.cli.app import run; run(sys.argv[1:]); print('loaded', *sorted(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.rsplit("loaded", 1)[1].split())
    assert not loaded & free_of
