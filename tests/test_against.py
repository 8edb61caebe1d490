"""``convcost check --against``: two revisions, and nothing left behind, whatever happens."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from cli import COMMAND, Ran, assert_refusal, convcost, environment

MODEL = """\
import torch
model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, WIDTH, 3))
"""
CONFIG = """\
version: 1
checks:
  - name: net
    source: SOURCE
    input: [1, 3, 16, 16]
    limits:
      parameters: {max: 1 M, max_increase: 1%}
"""
BEFORE = (9 * 3 + 1) * 8 + (9 * 8 + 1) * 4
AFTER = (9 * 3 + 1) * 8 + (9 * 8 + 1) * 5


class Repository:
    """A git repository with a model and a configuration in a subfolder of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "models"
        self.folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.model("4")
        self.config("net.py")

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def model(self, width: str) -> None:
        self.write("models/net.py", MODEL.replace("WIDTH", width))

    def config(self, source: str, *more: str) -> None:
        text = CONFIG.replace("SOURCE", source)
        self.write("models/convcost.yaml", text + "".join(f"      {line}\n" for line in more))

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=a")

    def state(self) -> tuple[object, ...]:
        """All that a check must leave as it was."""
        files = {
            path.relative_to(self.root): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and ".git" not in path.parts
        }
        return files, self.git("status", "--short"), self.git("worktree", "list")


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The folder where worktrees are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def repository(tmp_path: Path, temporary: Path) -> Iterator[Repository]:
    """A repository that is as before afterwards; no worktree and no process is left."""
    made = Repository(tmp_path / "repository")
    yield made
    assert list(temporary.iterdir()) == []
    assert made.git("worktree", "list").count("\n") == 1
    assert left(tmp_path) == []


def left(folder: Path) -> list[str]:
    """The processes that still work in a folder or below."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        cwd = process.info["cwd"] or ""
        if Path(cwd).is_relative_to(folder) and process.pid != os.getpid():
            found.append(" ".join(process.info["cmdline"] or ()))
    return found


def against(repository: Repository, temporary: Path, *options: str, revision: str = "HEAD") -> Ran:
    """One run; the user's tree is as before afterwards."""
    before = repository.state()
    ran = convcost(
        *("check", "--against", revision, "--format", "json", *options),
        folder=repository.folder,
        env={"TMPDIR": str(temporary)},
        timeout=120,
    )
    assert repository.state() == before
    return ran


def report(ran: Ran, code: int = 0) -> Any:
    assert ran.code == code, ran
    return json.loads(ran.out)


def outcomes(found: Any) -> list[str]:
    return [limit["outcome"] for limit in found["limits"]]


def refusal(ran: Ran) -> str:
    assert_refusal(ran)
    return ran.err


def test_a_dirty_tree_is_compared_with_a_revision(repository: Repository, temporary: Path) -> None:
    repository.commit()
    repository.model("5")
    repository.write("models/untracked.py", "x = 1\n")
    found = report(against(repository, temporary), code=1)
    assert outcomes(found) == ["kept", "broken"]
    limit = found["limits"][1]
    assert (limit["base"]["value"], limit["found"]["value"]) == (BEFORE, AFTER)
    assert limit["file"] == "models/convcost.yaml"
    hint = "reduce it, or raise the limit at models/convcost.yaml:7"
    assert found["findings"][0]["hint"] == hint
    assert found["environment"]["base"] == repository.git("rev-parse", "HEAD").strip()


@pytest.mark.parametrize("name", ["v1", "HEAD~1", "a branch: hash"])
def test_a_revision_is_a_tag_or_a_hash(name: str, repository: Repository, temporary: Path) -> None:
    repository.commit()
    repository.git("tag", "v1")
    repository.model("5")
    repository.commit()
    revision = repository.git("rev-parse", "HEAD~1").strip() if "hash" in name else name
    assert outcomes(report(against(repository, temporary, revision=revision), 1)) == [
        "kept",
        "broken",
    ]


@pytest.mark.parametrize("revision", ["gone", "origin/main", "--help", "", "HEAD:models"])
def test_a_revision_that_doesnt_exist_is_told(
    revision: str, repository: Repository, temporary: Path
) -> None:
    repository.commit()
    assert f"there is no revision {revision!r}" in refusal(
        against(repository, temporary, revision=revision)
    )


def test_a_missing_revision_comes_with_the_command_that_gets_it(
    repository: Repository, temporary: Path, tmp_path: Path
) -> None:
    repository.commit()
    typo = refusal(against(repository, temporary, revision="mainn"))
    assert "git branch --all and git tag list what there is" in typo
    repository.git("branch", "dev/a")
    repository.commit()
    clone, url = tmp_path / "clone", f"file://{repository.root}"
    repository.git("clone", "--quiet", "--depth=1", "--single-branch", url, str(clone))
    folder = clone / "models"
    told = refusal(convcost("check", "--against", "HEAD~1", folder=folder))
    assert "a shallow clone has only its newest: git fetch --unshallow" in told
    told = refusal(convcost("check", "--against", "origin/dev/a", folder=folder))
    command = re.search("git fetch --depth=1 .*", told)
    assert command
    subprocess.run(command[0].split(), cwd=clone, check=True, capture_output=True)
    assert convcost("check", "--against", "origin/dev/a", folder=folder).code == 0


def test_a_repository_of_someone_else_is_told_and_can_be_trusted(
    repository: Repository, temporary: Path
) -> None:
    repository.commit()
    env = {"TMPDIR": str(temporary), "GIT_TEST_ASSUME_DIFFERENT_OWNER": "true", "LC_ALL": "C.UTF-8"}
    told = refusal(convcost("check", "--against", "HEAD", folder=repository.folder, env=env))
    assert "detected dubious ownership in repository" in told
    assert "git config --global --add safe.directory" in told
    trusted = {"COUNT": "1", "KEY_0": "safe.directory", "VALUE_0": "*"}
    env |= {f"GIT_CONFIG_{key}": value for key, value in trusted.items()}
    assert convcost("check", "--against", "HEAD", folder=repository.folder, env=env).code == 0


def test_a_folder_without_a_repository_is_told(tmp_path: Path) -> None:
    (tmp_path / "convcost.yaml").write_text(CONFIG.replace("SOURCE", "net.py"))
    ran = convcost("check", "--against", "HEAD", folder=tmp_path)
    assert "not a git repository" in refusal(ran)


def test_a_model_that_the_base_lacks_is_new(repository: Repository, temporary: Path) -> None:
    (repository.folder / "net.py").unlink()
    repository.commit()
    repository.model("4")
    repository.config("net.py", "latency: {max_increase: 5%}")
    found = report(against(repository, temporary))
    assert outcomes(found) == ["kept", "new", "new"]
    repository.config("net.py:model")
    repository.write("models/net.py", MODEL.replace("WIDTH", "4").replace("model =", "other ="))
    repository.commit()
    repository.model("4")
    assert outcomes(report(against(repository, temporary))) == ["kept", "new"]
    repository.config("net.py")
    repository.write("models/net.py", "def helper():\n    return 3\n")
    repository.commit()
    repository.model("4")
    assert outcomes(report(against(repository, temporary))) == ["kept", "new"]


def add_submodule(repository: Repository, origin: Path) -> None:
    part = Repository(origin)
    part.commit()
    allowed = ("-c", "protocol.file.allow=always")
    repository.git(*allowed, "submodule", "--quiet", "add", str(part.root), "part")


def test_a_model_in_a_submodule_is_compared_with_the_bases(
    repository: Repository, temporary: Path, tmp_path: Path
) -> None:
    add_submodule(repository, tmp_path / "part")
    repository.config("../part/models/net.py")
    repository.commit()
    repository.write("part/models/net.py", MODEL.replace("WIDTH", "5"))
    found = report(against(repository, temporary), code=1)
    assert outcomes(found) == ["kept", "broken"]
    assert found["limits"][1]["base"]["value"] == BEFORE
    assert repository.git("-C", "part", "worktree", "list").count("\n") == 1
    clone = tmp_path / "clone"
    repository.git("clone", "--quiet", str(repository.root), str(clone))
    assert not list((clone / "part").iterdir())
    ran = convcost("check", "--against", "HEAD", folder=clone / "models")
    assert "part/models/net.py: no such file" in refusal(ran)


def test_a_submodule_that_lacks_the_bases_commit_is_told(
    repository: Repository, temporary: Path, tmp_path: Path
) -> None:
    add_submodule(repository, tmp_path / "part")
    repository.commit()
    other = "1" * 40
    repository.git("update-index", "--cacheinfo", f"160000,{other},part")
    repository.git("commit", "--quiet", "--message=a")
    told = refusal(against(repository, temporary))
    assert f"part: the submodule hasn't got commit {other}" in told
    assert f"git -C part fetch origin {other}" in told


def test_a_folder_that_the_base_lacks_is_new(repository: Repository, temporary: Path) -> None:
    repository.write("README", "")
    repository.git("add", "README")
    repository.git("commit", "--quiet", "--message=a")
    assert outcomes(report(against(repository, temporary))) == ["kept", "new"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "at HEAD: net.py:1: ZeroDivisionError"),
        ("import os; os.kill(os.getpid(), 11)", "at HEAD: net.py: the process that ran it ended"),
        ("import time; time.sleep(60)", "at HEAD: net.py: not ready after 8 s"),
        ("model = 3", "at HEAD: net.py: no model found"),
    ],
)
def test_a_base_that_crashes_or_hangs_is_told(
    code: str, message: str, repository: Repository, temporary: Path
) -> None:
    repository.write("models/net.py", f"{code}\n")
    repository.commit()
    repository.model("4")
    ran = against(repository, temporary, "--time-limit", "8")
    assert message in refusal(ran)


def test_prints_of_both_sides_are_no_data(repository: Repository, temporary: Path) -> None:
    loud = "import os\nprint('{}')\nos.write(1, b'{}' * 9000)\n" + MODEL.replace("WIDTH", "4")
    repository.write("models/net.py", loud)
    repository.commit()
    repository.config("net.py", "latency: {max_increase: 1000%}")
    found = report(against(repository, temporary, "--seconds", "0.3"))
    assert outcomes(found)[:2] == ["kept", "kept"]


SLEEPER = """
class Sleeper(torch.nn.Module):
    def forward(self, x):
        time.sleep(SECONDS)
        return x
import time
model.append(Sleeper())
"""


def test_latency_is_measured_on_both_sides(repository: Repository, temporary: Path) -> None:
    text = MODEL.replace("WIDTH", "4") + SLEEPER
    repository.write("models/net.py", text.replace("SECONDS", "0"))
    repository.commit()
    repository.write("models/net.py", text.replace("SECONDS", "0.05"))
    repository.config("net.py", "latency: {max_increase: 20%}")
    found = report(against(repository, temporary, "--seconds", "3"), code=1)
    limit = found["limits"][2]
    assert limit["outcome"] == "broken"
    assert limit["ratio"]["rounds"] >= 8
    assert limit["found"]["value"] >= 0.05 > limit["base"]["value"] > 0


def test_too_few_rounds_are_a_warning(repository: Repository, temporary: Path) -> None:
    repository.commit()
    repository.config("net.py", "latency: {max_increase: 5%}")
    found = report(against(repository, temporary, "--seconds", "0.01"))
    assert outcomes(found) == ["kept", "kept", "inconclusive"]
    (finding,) = found["findings"]
    assert finding["level"] == "warn"
    assert "too few for an interval" in finding["message"]


# each side runs its own code


def test_each_side_imports_its_own_packages(repository: Repository, temporary: Path) -> None:
    repository.write("src/parts/__init__.py", "WIDTH = 4\n")
    repository.write("models/net.py", "from parts import WIDTH\n" + MODEL)
    repository.commit()
    repository.write("src/parts/__init__.py", "WIDTH = 5\n")
    found = report(against(repository, temporary), code=1)
    assert found["limits"][1]["base"]["value"] == BEFORE
    assert found["limits"][1]["found"]["value"] == AFTER


def test_a_path_into_the_users_tree_becomes_the_bases(
    repository: Repository, temporary: Path
) -> None:
    repository.write("odd/place/parts.py", "WIDTH = 4\n")
    repository.write("models/net.py", "from parts import WIDTH\n" + MODEL)
    repository.commit()
    repository.write("odd/place/parts.py", "WIDTH = 5\n")
    path = os.pathsep.join([str(repository.root / "odd/place"), os.environ.get("PYTHONPATH", "")])
    ran = convcost(
        *("check", "--against", "HEAD", "--format", "json"),
        folder=repository.folder,
        env={"TMPDIR": str(temporary), "PYTHONPATH": path},
    )
    assert report(ran, 1)["limits"][1]["base"]["value"] == BEFORE


SPEC = """\
version: 1
input: [3, 16, 16]
layers:
  - conv: {out_channels: 8, kernel_size: 3}
  - conv: {out_channels: WIDTH, kernel_size: 3}
"""


@pytest.mark.parametrize("name", ["net.yaml", "net.py:model"])
def test_a_file_named_by_its_absolute_path_is_each_sides_own(
    name: str, repository: Repository, temporary: Path
) -> None:
    source = str(repository.folder / name)
    repository.config(source, "latency: {max_increase: 1000%}")
    if name.endswith(".yaml"):
        config = (repository.folder / "convcost.yaml").read_text()
        repository.write("models/convcost.yaml", config.replace("    input: [1, 3, 16, 16]\n", ""))
        repository.write("models/net.yaml", SPEC.replace("WIDTH", "4"))
    repository.commit()
    repository.model("5")
    repository.write("models/net.yaml", SPEC.replace("WIDTH", "5"))
    found = report(against(repository, temporary, "--seconds", "0.3"), code=1)
    assert outcomes(found)[:2] == ["kept", "broken"]
    assert found["limits"][1]["base"]["value"] == BEFORE
    ran = convcost(
        *("diff", f"HEAD:{source}", source, "--format", "json"),
        folder=repository.folder,
        env={"TMPDIR": str(temporary)},
    )
    assert report(ran)["base_totals"]["parameters"]["value"] == BEFORE


def test_a_file_outside_the_repository_has_no_revision(
    repository: Repository, temporary: Path, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text(MODEL.replace("WIDTH", "4"))
    repository.commit()
    for source in (str(tmp_path / "net.py"), "../../net.py:model"):
        repository.config(source)
        told = refusal(against(repository, temporary))
        assert f"{source}: is outside the repository" in told


@pytest.mark.parametrize("source", ["parts.net:model", "net.py"])
def test_an_installed_package_cant_stand_in(
    source: str, repository: Repository, temporary: Path, tmp_path: Path
) -> None:
    installed = tmp_path / "site-packages"
    (installed / "parts").mkdir(parents=True)
    (installed / "parts" / "__init__.py").touch()
    (installed / "parts" / "net.py").write_text(MODEL.replace("WIDTH", "4"))
    repository.write("lib/parts/__init__.py", "")
    repository.write("lib/parts/net.py", MODEL.replace("WIDTH", "4"))
    repository.write("models/net.py", "from parts.net import model\n")
    repository.config(source)
    repository.commit()
    path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    before = repository.state()
    ran = convcost(
        *("check", "--against", "HEAD"),
        folder=repository.folder,
        env={"TMPDIR": str(temporary), "PYTHONPATH": path},
    )
    told = refusal(ran)
    assert f"imported from {installed}" in told
    assert "can't stand in for both sides" in told
    assert repository.state() == before


# nothing is left


def started(repository: Repository, temporary: Path) -> subprocess.Popen[str]:
    """A check whose base waits, when it waits."""
    wait = f"open({str(temporary.parent / 'here')!r}, 'w').close(); import time; time.sleep(60)\n"
    repository.write("models/net.py", wait)
    repository.commit()
    repository.model("4")
    process = subprocess.Popen(
        [*COMMAND, "check", "--against", "HEAD", "--output", "report.json"],
        cwd=repository.folder,
        env=environment({"TMPDIR": str(temporary)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(600):
        if (temporary.parent / "here").exists():
            return process
        time.sleep(0.1)
    raise TimeoutError(process.stderr.read() if process.stderr else "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_nothing(
    number: signal.Signals, repository: Repository, temporary: Path
) -> None:
    process = started(repository, temporary)
    assert list(temporary.iterdir()) != []
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert_refusal(Ran(process.returncode, out, err))
    assert err == "error: interrupted\n"
    assert not (repository.folder / "report.json").exists()


def test_a_worker_ends_with_its_owner(tmp_path: Path, temporary: Path) -> None:
    repository = Repository(tmp_path / "repository")
    process = started(repository, temporary)
    process.kill()
    process.communicate()
    for _ in range(100):
        if not left(temporary):
            break
        time.sleep(0.1)
    assert left(temporary) == []


def test_a_hook_of_the_users_doesnt_run(repository: Repository, temporary: Path) -> None:
    hook = repository.root / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch ran\nexit 1\n")
    hook.chmod(0o755)
    repository.commit()
    assert outcomes(report(against(repository, temporary))) == ["kept", "kept"]


def test_a_git_hooks_environment_isnt_followed(repository: Repository, temporary: Path) -> None:
    repository.commit()
    before = (repository.root / ".git/index").read_bytes()
    ran = convcost(
        *("check", "--against", "HEAD"),
        folder=repository.folder,
        env={
            "TMPDIR": str(temporary),
            "GIT_DIR": str(repository.root / ".git"),
            "GIT_INDEX_FILE": str(repository.root / ".git/index"),
        },
    )
    assert ran.code == 0, ran
    assert (repository.root / ".git/index").read_bytes() == before


# diff


def test_a_diff_of_revisions_shows_what_changed(repository: Repository, temporary: Path) -> None:
    repository.commit()
    repository.model("5")
    ran = convcost(
        *("diff", "HEAD:net.py", "net.py", "--format", "json"),
        folder=repository.folder,
        env={"TMPDIR": str(temporary)},
    )
    found = report(ran)
    assert found["base_totals"]["parameters"]["value"] == BEFORE
    assert found["totals"]["parameters"]["value"] == AFTER
    assert [row["name"] for row in found["rows"]] == ["1"]
    assert tempfile.gettempdir() != str(temporary)


def test_the_users_side_has_the_same_path_as_a_revisions(
    repository: Repository, temporary: Path
) -> None:
    repository.write("src/mypkg/__init__.py", MODEL.replace("WIDTH", "4"))
    repository.write("models/use.py", "from mypkg import model\n")
    repository.config("mypkg:model")
    repository.commit()
    repository.write("src/mypkg/__init__.py", MODEL.replace("WIDTH", "5"))
    env = {"TMPDIR": str(temporary)}
    arguments = ("diff", "HEAD:use.py", "use.py", "--format", "json")
    found = report(convcost(*arguments, folder=repository.folder, env=env))
    assert found["base_totals"]["parameters"]["value"] == BEFORE
    assert found["totals"]["parameters"]["value"] == AFTER
    assert convcost("check", "--update", folder=repository.folder).code == 0
    (repository.folder / "convcost-baseline.json").unlink()


def test_the_interpreter_is_the_one_that_runs(repository: Repository, temporary: Path) -> None:
    repository.write("models/net.py", f"import sys\nassert sys.executable == {sys.executable!r}\n")
    with (repository.folder / "net.py").open("a") as file:
        file.write(MODEL.replace("WIDTH", "4"))
    repository.commit()
    assert outcomes(report(against(repository, temporary))) == ["kept", "kept"]


def test_a_repository_below_a_folder_of_any_name_is_found(tmp_path: Path, temporary: Path) -> None:
    repository = Repository(tmp_path / os.fsdecode(b"caf\xe9"))
    repository.write("net.yaml", "version: 1\ninput: [3, 8, 8]\nlayers: [{relu: {}}]\n")
    limits = "{multiplications: {max_increase: 0%}}"
    repository.write(
        "convcost.yaml",
        f"version: 1\nchecks: [{{name: a, source: net.yaml, limits: {limits}}}]\n",
    )
    repository.commit()
    arguments = ("check", "--against", "HEAD", "--format", "json")
    env = {"TMPDIR": str(temporary)}
    ran = convcost(*arguments, folder=repository.root, env=env, timeout=120)
    assert outcomes(report(ran)) == ["kept"]
