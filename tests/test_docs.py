"""The docs say what the code does."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make", ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["cli.md", "spec.md", "python.md"])
def test_a_reference_page_is_what_the_code_makes(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == script("make_reference").PAGES[name](), "run python docs/make_reference.py"


def words(picture: str) -> list[str]:
    return re.findall(r">([^<]+)</text>", picture)


def test_the_readmes_picture_is_what_a_terminal_shows() -> None:
    make = script("make_picture")
    shown = words(make.PICTURE.read_text(encoding="utf-8"))
    assert "convcost&#160;compare" in shown
    assert shown == words(make.drawn()), "run python docs/make_picture.py"


def test_the_readme_has_both_commands_once() -> None:
    lines = README.splitlines()
    assert lines.count("pip install -c constraints.txt . && convcost compare") == 1
    assert lines.count("pip install -c constraints.txt -e '.[test]' && pytest") == 1


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_shipped_spec_is_the_one_in_configs() -> None:
    shipped = ROOT / "convcost" / "primer.yaml"
    assert shipped.read_bytes() == (ROOT / "configs" / "primer.yaml").read_bytes()


def readme_commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("convcost ")]


@pytest.mark.parametrize("folder_has", ["aspp.yaml"])
def test_the_readmes_commands_run(folder_has: str, tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert yaml.safe_load(example)["name"] == "aspp"
    (tmp_path / folder_has).write_text(example, encoding="utf-8")
    for folder in ("configs", "examples"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for line in readme_commands():
        runs = line.startswith(("convcost compare", "convcost profile"))
        quick = " --seconds 0.1" if runs and "--no-measure" not in line else ""
        command = f"{sys.executable} -m {line}{quick}"
        result = subprocess.run(
            command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
        )  # the README's lines, as a shell reads them
        assert result.returncode == 0, (line, result.stderr)
        assert result.stdout or line.startswith("convcost init")  # its data is a file
