"""The rules of DESIGN.md and STYLE.md that a machine can check."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "sterling"
LAYERS = (
    ("kernel",),
    ("stats",),
    ("modalities", "learners", "engines"),
    ("generators", "augmenters", "checks", "measures", "faults"),
    ("sources",),
    ("run",),
    ("review", "blend", "loops"),
    ("decide", "report", "ship"),
    ("study", "api"),
    ("cli", "web", "pytest_plugin"),
)
LAYER = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
SIBLINGS_APART = {"modalities", "learners", "engines", "generators", "augmenters", "checks", "measures", "faults"}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base"}
# Heavy modules are imported inside the function that uses them.
HEAVY = {"torch", "ray", "mujoco", "onnxruntime", "numba", "sklearn", "pandas", "polars", "duckdb", "narwhals"}
HEAVY_SUBMODULES = {"scipy.stats", "pyarrow.parquet", "pyarrow.csv", "pyarrow.json", "pyarrow.dataset"}
# Modules of numba kernels: nothing imports them but functions that are about to run one.
KERNELS = {
    "stats/_tree_kernels.py",
    "stats/_neighbour_kernels.py",
    "stats/_boosting_kernels.py",
    "stats/_coding_kernels.py",
    "stats/_shapley_kernels.py",
    "stats/_raking_kernels.py",
}
# Longer than 40 lines in the body, each with its reason.
LONG_FUNCTIONS: dict[str, str] = {}
LONG_FILES: dict[str, str] = {
    "stats/_boosting_kernels.py": "numba caches by file: kernels that call each other must stand in one file, or an "
    "edit of one leaves the old machine code of the others in the cache",
}

FILES = sorted(SRC.rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def room_of(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def imports(module: ast.Module, *, top_only: bool) -> list[str]:
    """Dotted names imported by a module, outside TYPE_CHECKING blocks when top_only."""
    found: list[str] = []

    def visit(node: ast.AST, *, inside: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            deeper = inside or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            if not (top_only and inside):
                if isinstance(child, ast.Import):
                    found.extend(a.name for a in child.names)
                elif isinstance(child, ast.ImportFrom) and child.module:
                    found.append(child.module)
                    found.extend(f"{child.module}.{a.name}" for a in child.names)
            visit(child, inside=deeper)

    visit(module, inside=False)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_point_down_and_siblings_never_meet(path: Path) -> None:
    room = room_of(path)
    if room in ("__init__", "__main__"):
        return
    assert room in LAYER, f"{room} is no room of DESIGN.md"
    for name in imports(tree(path), top_only=False):
        parts = name.split(".")
        if parts[0] != "sterling" or len(parts) < 2:
            continue
        other = parts[1]
        if other not in LAYER:
            continue
        if other == room:
            if room in SIBLINGS_APART and len(parts) > 2:
                me = path.relative_to(SRC / room).parts[0].removesuffix(".py")
                assert parts[2] == me, f"{path} imports its sibling {name}"
            continue
        if {room, other} == {"api", "study"}:  # the two halves of layer 8
            continue
        assert LAYER[other] < LAYER[room], f"{path}: {room} (layer {LAYER[room]}) imports {name} (layer {LAYER[other]})"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_heavy_modules_are_not_imported_at_module_top(path: Path) -> None:
    for name in imports(tree(path), top_only=True):
        if str(path.relative_to(SRC)) in KERNELS and name.split(".")[0] == "numba":
            continue
        assert name.split(".")[0] not in HEAVY, f"{path} imports {name} at module top"
        assert not any(name == h or name.startswith(f"{h}.") for h in HEAVY_SUBMODULES), f"{path} imports {name} at top"


def test_kernel_needs_only_the_standard_library_at_import() -> None:
    for path in FILES:
        if room_of(path) == "kernel":
            for name in imports(tree(path), top_only=True):
                first = name.split(".")[0]
                assert first == "sterling" or first in sys.stdlib_module_names, f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_sizes_and_names(path: Path) -> None:
    where = str(path.relative_to(SRC))
    assert path.stem not in FORBIDDEN_NAMES
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 500 or where in LONG_FILES, f"{where}: {lines} lines"
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            size = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert size <= 40 or f"{where}:{node.name}" in LONG_FUNCTIONS, f"{where}:{node.name} has {size} lines"


def test_exceptions_by_name_are_still_needed() -> None:
    present = {str(p.relative_to(SRC)) for p in FILES}
    assert {key.split(":")[0] for key in LONG_FUNCTIONS} | set(LONG_FILES) <= present


def test_blind_except_stands_in_the_task_runner_alone() -> None:
    for path in FILES:
        if "except Exception" in path.read_text(encoding="utf-8"):
            assert room_of(path) == "run", path


def test_terminal_output_only_in_cli() -> None:
    for path in FILES:
        calls = [n for n in ast.walk(tree(path)) if isinstance(n, ast.Call)]
        prints = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]
        assert not prints or room_of(path) == "cli", path


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in done.stdout.splitlines()}


def test_import_sterling_loads_no_numpy_and_has_no_side_effect() -> None:
    assert not {"numpy", "pyarrow", "scipy", "sklearn", "pydantic", "typer"} & loaded_by("import sterling")


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['sterling', '--help']\n"
        "from sterling.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert not {"numpy", "pyarrow", "scipy", "sklearn", "pydantic", "jinja2"} & loaded_by(code)


def test_no_registry_host_is_named_in_any_file() -> None:
    root = SRC.parent.parent
    tracked = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True)
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "registry.npmjs" + ".org", "deb.debian" + ".org")
    for name in tracked.stdout.splitlines():
        path = root / name
        if path.suffix in {".parquet", ".png"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not any(host in text for host in hosts), name
