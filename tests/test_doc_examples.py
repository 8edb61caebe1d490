"""What the README and the docs show is what happens."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from cli import environment

from convcost.report import METRICS

ROOT = Path(__file__).parents[1]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLES = load("make_examples")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", EXAMPLES.pages(), ids=named)
def test_the_commands_of_a_page_print_what_it_shows(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert EXAMPLES.filled(text) == text, "run python docs/make_examples.py"


def test_a_page_with_another_output_is_seen() -> None:
    page = "```console\n$ echo yes\nno\n```\n"
    assert EXAMPLES.filled(page) == "```console\n$ echo yes\nyes\n```\n"


def test_commands_go_on_after_a_sign_and_share_a_folder() -> None:
    page = "```console\n$ cat > a <<'END'\n> one\n> END\n```\n\n```console\n$ cat a\n```\n"
    assert EXAMPLES.filled(page).endswith("$ cat a\none\n```\n")


def python_blocks(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def with_python() -> Iterator[Path]:
    # the test of a user in ci.md runs in tests/test_plugins.py
    return (page for page in PAGES if python_blocks(page) and page.name != "ci.md")


@pytest.mark.parametrize("page", list(with_python()), ids=named)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text("\n".join(python_blocks(page)), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, script],
        cwd=ROOT,
        env=environment({"PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def shell_lines(page: Path) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("convcost ")]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's repository with what the pages name."""
    for name in ("configs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "models").mkdir()
    for name in ("model.py", "models/mobile.py"):
        (tmp_path / name).write_text(MODEL)
    for line in (
        "git init -q -b main",
        "git add models",
        "git -c user.name=a -c user.email=a@example.org commit -qm a",
        "git update-ref refs/remotes/origin/main main",
    ):
        subprocess.run(line.split(), cwd=tmp_path, check=True)
    return tmp_path


MODEL = """
from torch import nn


def build():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
"""
HAS_TORCHVISION = importlib.util.find_spec("torchvision") is not None


# those of the README run in tests/test_docs.py
@pytest.mark.parametrize("page", [p for p in PAGES[1:] if shell_lines(p)], ids=named)
def test_the_shell_lines_of_a_page_run(page: Path, project: Path) -> None:
    for line in shell_lines(page):
        if "torchvision" in line and not HAS_TORCHVISION:
            continue
        measures = line.startswith("convcost compare") and "--no-measure" not in line
        command, _, _ = line.partition("  #")
        ran = subprocess.run(
            f"{sys.executable} -m {command}{' --seconds 0.1' if measures else ''}",
            shell=True,
            cwd=project,
            env=environment({"PYTHONPATH": str(ROOT)}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, (line, ran.stderr)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    missing = []
    for link in links:
        name, _, heading = link.partition("#")
        if name.startswith(("http:", "https:")):
            continue
        target = page.parent / name if name else page
        if not target.exists() or (heading and heading not in headings(target)):
            missing.append(link)
    assert missing == []


def headings(page: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings."""
    lines = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"({name})" not in index} == set()


OTHER_WORDS = (
    *("rate", "atrous", "depthwise", "pointwise", "separable", "dense", "variant", "baseline"),
    *("depth_multiplier", "atrous_separable", "limit", "finding", "flops", "output stride"),
    "effective kernel size",
)


@pytest.mark.parametrize("word", OTHER_WORDS)
def test_every_word_of_the_field_has_its_row(word: str) -> None:
    told = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| (.*?) \|", told, re.MULTILINE)
    assert any(word in row.replace("`", "").split(", ") for row in words)


def test_every_word_of_a_report_is_explained() -> None:
    told = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
    assert [key for key in METRICS if f"`{key}`" not in told] == []
