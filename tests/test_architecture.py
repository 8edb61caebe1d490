"""Holds the rooms of docs/architecture.md: who may import whom, and where torch may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "convcost"

LAYERS = (
    {
        "errors",
        "units",
        "ops",
        "graph",
        "report",
        "picture",
        "uncollected",
        "whole_file",
        "notify",
        "given",
        "_version",
    },
    {"sources", "variants", "analyses", "measure", "render"},
    {"search"},
    {"workflows"},
    {"cli", "pytest_plugin"},
)
TORCH_ROOMS = {"measure"}
TORCH_FREE_FILES = {
    f"measure/{name}.py" for name in ("__init__", "settings", "intervals", "workers")
}
TORCH_FILES = {
    f"sources/{name}.py"
    for name in (
        "build_model",
        "example_inputs",
        "exported",
        "exported_check",
        "forward",
        "model",
        "module_state",
        "on_data",
        "trace",
        "tracer",
        "traced",
        "recorder",
        "writer",
        "at_once",
        "contents",
        "escaped",
        "torch_layers",
        "user_code",
        "find_model",
        "python_file",
    )
} | {f"variants/{name}.py" for name in ("dense_modules", "layers", "modules", "program", "weights")}
"""The files of rooms without torch that turn models into graphs or rewrite them."""
CORE_BELOW = {
    "errors": set(),
    "units": set(),
    "_version": set(),
    "uncollected": set(),
    "ops": {"errors"},
    "graph": {"ops"},
    "report": {"errors"},
    "picture": {"report"},
    "given": {"errors", "report"},
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports when it runs, at its top or inside a function."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for block in ast.walk(tree):
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            block.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from names if node.module == "convcost" else (node.module,)


def imported_rooms(path: Path) -> set[str]:
    names = (name.split(".") for name in imports(path))
    return {name[1] for name in names if name[0] == "convcost" and len(name) > 1} - {room(path)}


def layer(name: str) -> int:
    return next(number for number, rooms in enumerate(LAYERS) if name in rooms)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_and_brothers_stay_apart(path: Path) -> None:
    name = room(path)
    if name in ("__init__", "__main__"):
        return
    others = imported_rooms(path)
    if name in CORE_BELOW:
        assert others <= CORE_BELOW[name]
    else:
        assert all(layer(other) < layer(name) for other in others)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_torch_is_imported_only_in_its_rooms(path: Path) -> None:
    names = {name.split(".")[0] for name in imports(path)}
    where = str(path.relative_to(PACKAGE))
    models = where in TORCH_FILES or where.startswith("sources/aten/")
    if (room(path) not in TORCH_ROOMS and not models) or where in TORCH_FREE_FILES:
        assert not names & {"torch", "fvcore", "numpy", "scipy"}


def test_only_the_command_line_prints() -> None:
    printing = {
        room(path)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and node.id == "print"
    }
    assert printing <= {"cli"}


TORCH_FREE = {
    "import": "import convcost",
    "help": "main(['--help'])",
    "compare --help": "main(['compare', '--help'])",
    "compare": "main(['compare', '--no-measure', '--per-layer'])",
    "show": "main(['show'])",
    "check --help": "main(['check', '--help'])",
    "pytest plugin": "import convcost.pytest_plugin",
    "schema": "main(['schema', 'report'])",
    "api": "convcost.render(convcost.compare(measure=False), 'markdown')",
}
PROGRAM = """
import sys
import convcost
def main(arguments):
    from convcost.cli import run
    sys.argv = ["convcost", *arguments]
    code = run()
    assert code == 0, f"exit code {{code}}"
{code}
assert "torch" not in sys.modules and "fvcore" not in sys.modules
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(code=code)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("code", TORCH_FREE.values(), ids=TORCH_FREE)
def test_these_paths_never_load_torch(code: str) -> None:
    result = run(code)
    assert result.returncode == 0, result.stderr


def test_a_start_looks_for_no_plugins_of_pydantics() -> None:
    code = "main(['compare', '--no-measure']){}\nassert 'importlib.metadata' not in sys.modules"
    assert run(code.format("")).returncode == 0
    assert run(code.format("\nimport pydantic.networks")).returncode == 1


def test_a_start_leaves_out_what_only_pyyamls_reader_in_python_needs() -> None:
    code = (
        "{}\nmain(['compare', '--no-measure'])\nimport re, yaml\n"
        "assert not isinstance(yaml.reader.Reader.NON_PRINTABLE, re.Pattern)\n"
        "assert isinstance(re.compile('\\ufffd'), re.Pattern)\n"
        "try: yaml.safe_load('a: b\\1')\n"
        "except yaml.reader.ReaderError as error: assert error.character == 1\n"
        "else: raise AssertionError\n"
    )
    assert run(code.format("")).returncode == 0
    assert run(code.format("import yaml")).returncode == 1


def test_rendering_a_saved_report_never_loads_torch(tmp_path: Path) -> None:
    saved = tmp_path / "saved.json"
    result = run(
        f"main(['compare', '--no-measure', '-o', {str(saved)!r}])\nmain(['render', {str(saved)!r}])"
    )
    assert result.returncode == 0, result.stderr
    assert saved.exists()


def test_the_test_of_torch_free_paths_can_fail() -> None:
    assert run("import torch").returncode == 1
    failing = run("main(['compare', 'nowhere.yaml'])")
    assert failing.returncode == 1
    assert "AssertionError: exit code 2" in failing.stderr
