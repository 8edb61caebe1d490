"""How the command line feels: errors, waits, ``--quiet``, streams without Unicode, completion."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from cli import convcost, environment, fine, in_terminal
from rich.console import Console
from rich.progress import Progress

from convcost.cli import COMMANDS
from convcost.cli.look_alikes import LOOK_ALIKES
from convcost.cli.waiting import LeftColumn
from convcost.workflows.profile import ProfileRequest, profile

ROOT = Path(__file__).parent.parent
NOTE = "note: nothing is rewritten: there is no convolution here\n"
NO_CONVOLUTION = "{version: 1, input: [8, 12], layers: [{relu: {}}]}"
BOX = """\
╭─ error ──────────────────────────────────────────────╮
│ nope.txt: not a layer spec, nor a model              │
│ hint: give a .yaml file, model.py, model.py:attr or  │
│ package.module:attr                                  │
╰──────────────────────────────────────────────────────╯
"""
PLAIN = """\
error: nope.txt: not a layer spec, nor a model
  hint: give a .yaml file, model.py, model.py:attr or package.module:attr
"""


# errors


def test_an_error_is_boxed_in_a_terminal() -> None:
    env = {"COLUMNS": "56", "NO_COLOR": "1", "TERM": "xterm"}
    ran = in_terminal("compare", "nope.txt", "--no-measure", "-q", env=env)
    assert (ran.code, ran.out) == (2, "")
    assert unstyled(ran.err) == BOX


def test_the_same_error_is_plain_in_a_pipe() -> None:
    assert convcost("compare", "nope.txt", "--no-measure").err == PLAIN


def test_bad_usage_is_boxed_too_and_red_where_there_is_colour() -> None:
    ran = in_terminal("compare", "--nope", env={"TERM": "xterm-256color"})
    assert ran.code == 2
    assert "\x1b[31m╭─" in ran.err
    assert "No such option: --nope" in ran.err


def test_an_option_without_its_value_is_told_with_the_commands_own_help() -> None:
    ran = convcost("compare", "--compile")
    assert (ran.code, ran.out) == (2, "")
    assert (
        "error: Option '--compile' requires an argument.\n  hint: see convcost compare --help"
        in (ran.err)
    )


def unstyled(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r\n", "\n")


# waits


def test_a_wait_says_what_is_done_and_what_is_left() -> None:
    ran = in_terminal("compare", "--seconds", "3", "--variant", "separable", env={"TERM": "xterm"})
    assert ran.code == 0
    said = unstyled(ran.err)
    assert "loading torch" in said
    assert re.search(r"measuring.* [0-9:]+ [0-9]+ s left", said)


def test_drawing_is_a_wait_too(tmp_path: Path) -> None:
    saved, shown = tmp_path / "primer.json", tmp_path / "primer.html"
    fine("compare", "--no-measure", "--output", saved)
    ran = in_terminal("render", str(saved), "--output", str(shown), env={"COLUMNS": "300"})
    assert ran.code == 0
    assert f"writing {shown}" in unstyled(ran.err)


def test_gradients_say_what_is_left(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\nmodel = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))\n"
    )
    said: list[tuple[str, float | None]] = []
    request = ProfileRequest(str(tmp_path / "net.py"), measure=False, effective_field=True)
    profile(request, lambda doing, share: said.append((doing, share)))
    shares = [share for doing, share in said if doing == "following gradients"]
    assert shares == [n / 8 for n in range(8)]


def test_what_is_left_is_told_only_once_it_can_be() -> None:
    clock = iter(range(100))
    with Progress(console=Console(quiet=True), get_time=lambda: next(clock)) as progress:
        unknown, known = progress.add_task("", total=None), progress.add_task("", total=1.0)
        for share in (0.25, 0.5):
            progress.update(known, completed=share)
        tasks = {task.id: str(LeftColumn().render(task)) for task in progress.tasks}
    assert tasks[unknown] == ""
    assert re.fullmatch(r"[1-9][0-9]* s left", tasks[known])


# --quiet


def test_quiet_leaves_data_and_errors(tmp_path: Path) -> None:
    spec = tmp_path / "none.yaml"
    spec.write_text(NO_CONVOLUTION)
    loud = convcost("compare", spec, "--no-measure")
    quiet = convcost("compare", spec, "--no-measure", "--quiet")
    assert (loud.err, quiet.err) == (NOTE, "")
    assert quiet.out == loud.out != ""
    assert convcost("compare", "nope.txt", "-q").err == PLAIN


@pytest.mark.parametrize("command", [("compare",), ("profile", str(ROOT / "examples/resnet.py"))])
def test_no_warning_of_what_counts_twice_is_shown(command: tuple[str, ...]) -> None:
    # fvcore's mere import makes torch warn of torch.jit, from torch 2.14 on to users as well
    env = {"PYTHONWARNINGS": "error:`torch.jit"}
    options = ("--verify", "--no-measure") if command[0] == "profile" else ("--seconds", "0.1")
    assert convcost(*command, *options, "-q", env=env).err == ""


def test_quiet_shows_no_progress_in_a_terminal() -> None:
    ran = in_terminal("compare", "--seconds", "0.1", "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert "standard" in ran.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_quiet(command: str) -> None:
    assert "--quiet" in fine(command, "--help")


# streams without Unicode


def test_a_stream_without_unicode_gets_what_looks_alike() -> None:
    ran = convcost("compare", "--no-measure", env={"PYTHONIOENCODING": "ascii"})
    assert "9x9, 31 % seen" in ran.out
    assert "?" not in ran.out


def test_a_character_that_nothing_looks_like_is_a_question_mark(tmp_path: Path) -> None:
    spec = tmp_path / "named.yaml"
    spec.write_text(NO_CONVOLUTION.replace("version: 1", "version: 1, name: '日'"))
    ran = convcost("compare", spec, "--no-measure", "-q", env={"PYTHONIOENCODING": "ascii"})
    assert ran.out.startswith("?: input 1x8x12")


def test_every_look_alike_is_ascii() -> None:
    assert all(text.isascii() for text in LOOK_ALIKES.values())


# completion

NO_DETECTION = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    script = Path(sys.executable).with_name("convcost")
    if not script.exists():
        pytest.skip("convcost isn't installed as a command")
    ran = subprocess.run(
        [script, "--install-completion", "bash"],
        env=environment(
            {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "bash completion installed" in ran.stdout
    return tmp_path


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("convcost comp", ["compare"]),
        ("convcost compare --per", ["--per-layer"]),
        ("convcost show --for", ["--format"]),
    ],
)
def test_the_installed_completion_completes(words: str, completed: list[str], home: Path) -> None:
    program = (
        f"source {home}/.bash_completions/convcost.sh; COMP_WORDS=({words}); "
        f"COMP_CWORD={len(words.split()) - 1}; _convcost_completion convcost; "
        'echo "${COMPREPLY[@]}"'
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    ran = subprocess.run(
        ["bash", "-c", program],
        env=environment({"HOME": str(home), "PATH": path}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == completed


# worked examples


def examples(command: str) -> list[str]:
    """The lines that a command's help tells to try."""
    text = import_module(f"convcost.cli.{command}").command.__doc__ or ""
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    return [part.removeprefix("$ ") for part in paragraphs if part.startswith("$ ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_has_two_worked_examples(command: str) -> None:
    found = examples(command)
    assert len(found) >= 2
    assert all(line.startswith(f"convcost {command}") for line in found)
    told = " ".join(fine(command, "--help").split())
    assert all(line in told for line in found)


def with_sources(folder: Path) -> Path:
    for name in ("configs", "examples"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's repository with what the examples name, one commit before today."""
    folder = with_sources(tmp_path_factory.mktemp("project"))
    (folder / "models").mkdir()
    (folder / "models" / "mobile.py").write_text(MODEL.format(channels=8))
    (folder / "convcost.yaml").write_text(CHECK)
    for line in (
        "git init -q -b main",
        "git add models convcost.yaml",
        "git -c user.name=a -c user.email=a@example.org commit -qm a",
        "git update-ref refs/remotes/origin/main main",
    ):
        subprocess.run(line.split(), cwd=folder, check=True)
    for name in ("saved", "before", "after"):
        fine("compare", "--no-measure", "-o", f"{name}.json", folder=folder)
    return folder


MODEL = """
from torch import nn
model = nn.Sequential(nn.Conv2d(3, {channels}, 3), nn.ReLU(), nn.Conv2d({channels}, 8, 3))
"""
CHECK = """
version: 1
checks:
  - name: mobile
    source: models/mobile.py
    input: [1, 3, 32, 32]
    limits: {parameters: {max: 1 M}}
"""
MEASURED = ("compare", "profile")


@pytest.mark.parametrize("line", [line for command in COMMANDS for line in examples(command)])
def test_a_worked_example_runs(line: str, project: Path, tmp_path: Path) -> None:
    command = line.split()[1]
    quick = " --seconds 0.05" if command in MEASURED and "--no-measure" not in line else ""
    ran = subprocess.run(
        f"{sys.executable} -m {line}{quick}",
        shell=True,
        cwd=with_sources(tmp_path) if command == "init" else project,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout or command == "init" or ">" in line
