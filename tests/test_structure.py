"""The tree keeps its shape: imports point one way, modules and functions stay small, names say what they hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lenext"
MODULES = sorted(PACKAGE.rglob("*.py"))

# A part imports only parts of an earlier layer; parts of one layer do not know each other.
LAYERS = [
    {"errors", "progress"},
    {"files", "registry", "device", "launch", "processes", "pages"},
    {"models"},
    {"weights"},
    {"building", "data", "recording"},
    {"creation", "prediction"},
    {"engines"},
    {"cost", "classifier", "conversion", "growing"},
    {"dense", "loading"},
    {"answering"},
    {"explanation"},
    {"evaluation", "scanning", "checking"},
    {"transfer"},
    {"training"},
    {"runs", "suspects", "deployment", "serving"},
    {"cli"},
]
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> set[str]:
    """Return the parts of lenext that a module imports, also inside functions and for types."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lenext."):
            found.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("lenext.")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    part = part_of(path)
    if part in ("__init__", "__main__"):
        return
    assert part in LEVEL, f"{part} has no layer: say in LAYERS what it may import"
    for other in imports(path) - {part}:
        assert LEVEL[other] < LEVEL[part], f"{part} imports {other}"


def modules_imported(path: Path) -> set[Path]:
    """Return the files of lenext that a file imports names from."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lenext."):
            base = PACKAGE.parent.joinpath(*str(node.module).split("."))
            inside = [base / f"{name.name}.py" for name in node.names]
            found |= {file for file in (base.with_suffix(".py"), base / "__init__.py", *inside) if file.exists()}
    return found - {path}


def test_no_module_needs_one_that_needs_it() -> None:
    TopologicalSorter({path: modules_imported(path) for path in MODULES}).prepare()  # raises CycleError


def test_the_registry_imports_no_model() -> None:
    assert "models" not in imports(PACKAGE / "registry.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            assert lines <= 60, f"{node.name} has {lines} lines"


def test_no_file_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "util", "misc", "helpers", "common", "tools"}
    assert not [path for path in PACKAGE.rglob("*") if path.stem in empty]


@pytest.mark.parametrize(
    ("statement", "banned"),
    [
        ("import lenext", {"torch", "numpy", "PIL", "typer", "rich"}),
        ("import lenext.cli", {"torch", "numpy", "PIL", "sklearn", "matplotlib", "pyarrow", "jinja2"}),
        ("import lenext.data.reading", {"torch", "sklearn", "matplotlib"}),
    ],
)
def test_heavy_modules_are_loaded_only_where_they_are_needed(statement: str, banned: set[str]) -> None:
    script = f"import sys; {statement}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not banned & set(loaded)


def test_help_loads_no_more_than_it_shows() -> None:
    script = """
import sys
from lenext.cli import main
try:
    main(["train", "--help"])
except SystemExit:
    pass
loaded = set(sys.modules) & {"torch", "numpy", "markdown_it", "pygments"}
import rich.markdown, rich.traceback
print("loaded", loaded, rich.markdown.Markdown.__module__, rich.traceback.Traceback.__module__)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Usage: lenext train" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded set() rich.markdown rich.traceback"


def test_every_public_name_can_be_had() -> None:
    import lenext

    for name in lenext.__all__:
        assert getattr(lenext, name) is not None
        assert name in dir(lenext)
    assert lenext.__version__ == "0.1.0"
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        lenext.nonsense  # noqa: B018
