"""The house rules: which way imports go, what is loaded when, how long a file or a function may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gradexplain"
FILES = sorted(PACKAGE.rglob("*.py"))

# From the outside in; a layer may import from itself and from those that come after it.
LAYERS = (
    "cli",
    "batch_jobs",
    "batch",
    "output",
    "train",
    "training",
    "derive",
    "explain",
    "data",
    "readings",
    "calculus",
    "language",
    "rules",
)
OPEN = ("records", "training_records", "errors", "tensor", "wording", "words")
HOMES = {
    "torch": {
        "readings/conventions.py", "readings/devices.py",
        "readings/lean.py",
        "data/torch_files.py",
        "readings/worker.py",
        "readings/witness.py",
        "training/loop.py",
        "training/stepping.py",
        "training/curvature.py",
    },
    "sympy": {"readings/symbol_arrays.py", "readings/symbols.py"},
    "mpmath": {"readings/arithmetic.py", "readings/digits.py"},
    "rich": {
        "output/derivation/table.py",
        "output/derivation/passes.py",
        "output/cells.py",
        "output/grid.py",
        "output/training/table.py",
        "cli/progress.py",
    },
    "orjson": {"output/json.py"},
    "jinja2": {"output/page/pages.py"},
    "typer": {
        "cli/app.py",
        "cli/batch.py",
        "cli/derive.py",
        "cli/graph.py",
        "cli/options.py",
        "cli/rules.py",
        "cli/train.py",
    },
    "matplotlib": {
        "output/training/plot.py",
        "output/training/axes.py",
        "output/training/path.py",
        "output/training/svg.py",
    },
    "numpy": {
        "data/files.py",
        "output/training/path.py",
        "readings/exact_arrays.py",
        "readings/exact_rules.py",
        "readings/symbol_arrays.py",
    },
    "pyarrow": {
        "data/delimited.py",
        "data/json_lines.py",
        "data/parquet.py",
    },
}
MAX_LINES = 400
MAX_LINES_OF_A_FUNCTION = 40
MAX_FILES = 25
# Functions that are longer. The lists of options of the commands stay; of the others this list may only shrink.
LONG = {
    "cli/batch.py command",
    "cli/derive.py command",
    "cli/train.py command",
}
# Names that two classes have; this list may only shrink.
TWICE = {"Builder", "Judge", "Line", "Link", "Place", "Question", "Reading", "Row"}
# Folders with more files; this list may only shrink.
FULL: set[str] = set()
# A record prints itself as a table and shows itself in a notebook: the one way back, taken inside of a method.
EXCEPTIONS = {("records", "output"), ("training_records", "output")}
# Circles of imports, those inside of functions and for types among them: the first module of each, and how many there
# are in it. This list may only shrink.
CIRCLES = {
    "calculus.algebra 4",
}


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


def _reached(start: str, graph: dict[str, set[str]]) -> set[str]:
    """The modules that can be reached from one, by one import or more."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def test_no_imports_go_round_in_a_circle() -> None:
    names = {path: "gradexplain." + path.relative_to(PACKAGE).as_posix().removesuffix(".py") for path in FILES}
    modules = {path: name.replace("/", ".").removesuffix(".__init__") for path, name in names.items()}
    known = {*modules.values()}
    graph = {modules[path]: {module for module in _modules(path) if module in known} for path in FILES}
    for record in ("gradexplain.records", "gradexplain.training_records"):
        graph[record] = {module for module in graph[record] if not module.startswith("gradexplain.output")}
    circles = {
        frozenset({module} | {other for other in _reached(module, graph) if module in _reached(other, graph)})
        for module in graph
        if module in _reached(module, graph)
    }
    told = {f"{min(circle).removeprefix('gradexplain.')} {len(circle)}" for circle in circles}
    assert told == CIRCLES


def _modules(path: Path) -> set[str]:
    """All modules that a file imports anywhere, those that are named in `from package import module` among them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *[f"{node.module}.{alias.name}" for alias in node.names]}
    return found


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
    files = [path for layer in ("rules", "language", "calculus") for path in (PACKAGE / layer).glob("*.py")]
    for path in files:
        for module, _ in _imports(path):
            assert module.split(".")[0] in sys.stdlib_module_names or module.startswith("gradexplain."), module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def _length(function: ast.FunctionDef) -> int:
    """The lines of a function without its docstring."""
    first = function.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    end = function.end_lineno or function.lineno
    return end - function.lineno + 1 - is_docstring * ((first.end_lineno or 0) - first.lineno + 1)


def test_functions_stay_short() -> None:
    long = {
        f"{path.relative_to(PACKAGE).as_posix()} {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and _length(node) > MAX_LINES_OF_A_FUNCTION
    }
    assert long == LONG


def test_only_layout_asks_for_tensors() -> None:
    """A writer writes lines; whether some of them are vectors is asked where the layout depends on it."""
    asking = {
        path.relative_to(PACKAGE).as_posix() for path in FILES if "has_tensors" in path.read_text(encoding="utf-8")
    }
    assert asking == {"records.py", "output/derivation/lines.py", "output/derivation/live.py"}


def test_one_name_means_one_thing() -> None:
    names = [
        node.name.lstrip("_")
        for path in FILES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    ]
    assert {name for name, count in Counter(names).items() if count > 1} <= TWICE


def test_no_folder_is_a_heap() -> None:
    counts = Counter(path.relative_to(PACKAGE).parent.as_posix() for path in FILES)
    assert {folder for folder, count in counts.items() if count > MAX_FILES} == FULL


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_text_is_ever_run(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            assert name not in ("eval", "exec", "sympify", "parse_expr", "compile", "nsimplify", "lambdify") or (
                name == "compile" and "re" in ast.dump(node.func)
            )


# What makes tensors of nothing but numbers; `zeros_like` and the like follow a tensor that is there.
FACTORIES = {
    "tensor", "as_tensor", "scalar_tensor", "asarray", "from_numpy", "frombuffer", "zeros", "ones", "full", "empty",
    "eye", "arange", "range", "linspace", "logspace", "rand", "randn", "randint", "randperm", "Generator", "new_tensor",
    "new_zeros", "new_ones", "new_full", "new_empty",
}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_one_place_makes_tensors(path: Path) -> None:
    """Where a tensor lives, in which dtype and on which device, is said by what makes it, and by nobody else."""
    if path.relative_to(PACKAGE).as_posix() == "readings/place.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in FACTORIES:
            owner = getattr(node.value, "attr", getattr(node.value, "id", ""))
            assert owner != "torch" and not node.attr.startswith("new_"), f"{path.name}:{node.lineno} {node.attr}"
            assert node.attr != "Generator", f"{path.name}:{node.lineno}"


HEAVY = {"torch", "sympy", "mpmath", "rich", "orjson", "matplotlib", "numpy", "pyarrow", "jinja2"}


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
