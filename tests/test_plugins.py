"""Where a check plugs in: the pytest fixture, the action, the pre-commit hook, the recipes."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli import environment

ROOT = Path(__file__).parents[1]
RECIPES = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
MODEL = "import torch\nmodel = torch.nn.Conv2d(3, 8, 3)\n"
CONFIG = """\
version: 1
checks:
  - name: net
    source: model.py
    input: [1, 3, 8, 8]
    limits: {parameters: {max: 224, max_increase: 0%}}
"""


# pytest


def run_pytest(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_cost.py").write_text(text)
    entry = [] if installed() else ["-p", "convcost.pytest_plugin"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *entry, "test_cost.py"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def installed() -> bool:
    """Whether the entry point is among what is installed, as it is after ``pip install .``."""
    return any(found.value == "convcost.pytest_plugin" for found in entry_points(group="pytest11"))


def test_the_plugin_is_an_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"convcost": "convcost.pytest_plugin"}


def test_the_fixture_passes_and_fails_tests(tmp_path: Path) -> None:
    ran = run_pytest(
        tmp_path,
        "import torch\n"
        "model = torch.nn.Conv2d(3, 8, 3)\n"
        "size = (1, 3, 8, 8)\n"
        "def test_kept(convcost):\n"
        "    convcost.check(model, input=size, parameters='<= 224', receptive_field='>= 3')\n"
        "def test_broken(convcost):\n"
        "    convcost.check(model, input=size, parameters='<= 0.2 k', receptive_field='>= 4')\n"
        "def test_mistake(convcost):\n"
        "    convcost.check(model, input=size, parameters='< 3')\n"
        "def test_unknown(convcost):\n"
        "    convcost.check(model, input=size, flops='<= 3')\n"
        "def test_nothing(convcost):\n"
        "    convcost.check(model, input=size)\n",
    )
    assert "1 passed" in ran.stdout.replace("4 failed, ", "")
    assert "4 failed" in ran.stdout
    assert "Conv2d: parameters: found 224, expected at most 200: 24 (12 %) too much" in ran.stdout
    assert (
        "Conv2d: receptive field: found 3, expected at least 4: 1 (25 %) too little" in ran.stdout
    )
    assert "expected <= or >= and a quantity" in ran.stdout
    assert "no metric 'flops'" in ran.stdout
    assert "hint: limits are of parameters, " in ran.stdout
    assert "no limit is given" in ran.stdout


def test_a_mistake_shows_the_users_line_and_no_frame_of_ours(tmp_path: Path) -> None:
    ran = run_pytest(
        tmp_path,
        "import torch\n"
        "model = torch.nn.Conv2d(3, 8, 3)\n"
        "def test_text(convcost):\n"
        "    convcost.check(model, input=(1, 3, 8, 8), parameters=3.5e6)\n"
        "def test_metric(convcost):\n"
        "    convcost.check(model, input=(1, 3, 8, 8), params='<= 3.5 M')\n"
        "def test_input(convcost):\n"
        "    convcost.check(model, input=(1, 4, 8, 8), parameters='<= 3.5 M')\n",
    )
    assert "3 failed" in ran.stdout
    assert 'hint: for example parameters="<= 3.5 M"' in ran.stdout
    assert "hint: did you mean parameters? limits are of parameters, " in ran.stdout
    assert "hint: raised in forward; is the input right? give it with input=" in ran.stdout
    assert "inline_limits.py" not in ran.stdout
    assert "nn/modules" not in ran.stdout
    assert ran.stdout.count("convcost.check(") == 3


def test_the_fixture_refuses_an_input_for_a_layer_spec(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(
        "version: 1\ninput: [3, 8, 8]\nlayers:\n  - conv: {out_channels: 8, kernel_size: 3}\n"
    )
    ran = run_pytest(
        tmp_path,
        "def test_kept(convcost):\n"
        "    convcost.check('net.yaml', parameters='<= 224')\n"
        "def test_mistake(convcost):\n"
        "    convcost.check('net.yaml', input=(1, 3, 9, 9), parameters='<= 224')\n",
    )
    assert "1 failed, 1 passed" in ran.stdout
    assert "net.yaml: a layer spec says its own input" in ran.stdout


def test_pytest_starts_without_torch(tmp_path: Path) -> None:
    ran = run_pytest(
        tmp_path,
        "import sys\n"
        "def test_start(convcost):\n"
        "    assert 'torch' not in sys.modules\n"
        "    assert 'convcost.pytest_plugin' in sys.modules\n",
    )
    assert ran.returncode == 0, ran.stdout


# recipes


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's repository with a branch main, and the CLI on the path as its users have it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "model.py").write_text(MODEL)
    (folder / "convcost.yaml").write_text(CONFIG)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["commit", "--quiet", "--message=a"],
        ["update-ref", "refs/remotes/origin/main", "HEAD"],
    ):
        subprocess.run([*git, *command], cwd=folder, check=True)
    shims = tmp_path / "bin"
    shims.mkdir()
    for name, line in (
        ("convcost", f'exec {sys.executable} -m convcost "$@"'),
        ("pip", 'echo "pip $*"'),
        ("python", f'[ "$2" != pip ] || exit 0; exec {sys.executable} "$@"'),
    ):
        shim = shims / name
        shim.write_text(f"#!/bin/sh\n{line}\n")
        shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    return folder


def bash(script: str, project: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs a step as a runner does: with ``bash -eo pipefail``."""
    path = f"{project.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=project,
        env=environment({"PATH": path, **env}),
        capture_output=True,
        text=True,
        check=False,
    )


def recipe(language: str, title: str) -> str:
    """The code block of ``docs/ci.md`` that stands under a heading."""
    section = RECIPES.partition(f"## {title}\n")[2].partition("\n## ")[0]
    (block, *_) = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return str(block)


def test_the_shell_recipe_runs(project: Path) -> None:
    ran = bash(recipe("sh", "Plain shell"), project)
    assert ran.returncode == 0, ran.stderr
    assert "2 kept" in ran.stdout
    (project / "model.py").write_text(MODEL.replace("8, 3", "9, 3"))
    ran = bash(recipe("sh", "Plain shell"), project)
    assert ran.returncode == 1
    assert "found 252, expected at most 224" in ran.stdout


def test_the_gitlab_recipe_runs(project: Path) -> None:
    job: Any = yaml.safe_load(recipe("yaml", "GitLab"))["costs"]
    script = "\n".join(job["script"])
    ran = bash(script, project, CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main")
    assert ran.returncode == 0, ran.stderr
    reports = job["artifacts"]["reports"]
    for name in reports.values():
        assert (project / name).exists()


def test_the_github_recipe_uses_the_action_as_it_is() -> None:
    workflow: Any = yaml.safe_load(recipe("yaml", "GitHub"))
    (job,) = workflow["jobs"].values()
    (step,) = [step for step in job["steps"] if "convcost" in step.get("uses", "")]
    action: Any = yaml.safe_load((ROOT / "action.yml").read_text())
    assert set(step["with"]) <= set(action["inputs"])
    assert set(action["inputs"]) == {"config", "against", "format", "python-version"}


@pytest.mark.parametrize("against", ["", "origin/main"])
def test_the_action_runs(against: str, project: Path) -> None:
    action: Any = yaml.safe_load((ROOT / "action.yml").read_text())
    steps = [step for step in action["runs"]["steps"] if "run" in step]
    if not against:
        bash("convcost check --update", project)
    for step in steps:
        names = step.get("env", {})
        env = dict.fromkeys(names, "") | {"AGAINST": against, "FORMAT": "github"}
        ran = bash(step["run"], project, **env, GITHUB_ACTION_PATH=str(ROOT))
        assert ran.returncode == 0, ran.stderr
    assert "convcost: 0 of 2 limits broken" in ran.stdout
    (project / "model.py").write_text(MODEL.replace("8, 3", "9, 3"))
    ran = bash(step["run"], project, **env)
    assert ran.returncode == 1
    assert ran.stdout.startswith("::error file=convcost.yaml,line=6,")


def test_the_pre_commit_hook_runs(project: Path) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["pass_filenames"] is False
    bash("convcost check --update", project)
    assert bash(hook["entry"], project).returncode == 0
    (project / "model.py").write_text(MODEL.replace("8, 3", "9, 3"))
    assert bash(hook["entry"], project).returncode == 1
    used = yaml.safe_load(recipe("yaml", "pre-commit"))["repos"][0]["hooks"]
    assert [entry["id"] for entry in used] == [hook["id"]]
