"""What names files: sources and outputs that are too long, empty, in capitals, or the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli import fine, refused, refused_at_once

SPEC = "{version: 1, input: [3, 8], layers: [{conv: {out_channels: 4, kernel_size: 3}}]}"
MODEL = "from torch import nn\n\nmodel = nn.Conv1d(3, 4, 3)\n"
LONG = "z" * 300
DEEP = "folder/" * 900
COUNTED = ("compare", "--no-measure", "--output")
REWRITE = ("rewrite", "model.py", "--variant", "separable", "--output")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name not in (".out", ".err")}


@pytest.mark.parametrize(
    "command",
    [
        (*COUNTED, f"json:{LONG}"),
        (*COUNTED, f"{LONG}.json"),
        (*COUNTED, f"{DEEP}a.json"),
        ("profile", "model.py", "--no-measure", "--output", f"{LONG}.md"),
        (*REWRITE, f"{LONG}.pt2"),
        ("init", "spec.yaml", "--config", f"{LONG}.yaml"),
    ],
    ids=["prefix", "suffix", "folders", "profile", "rewrite", "init"],
)
def test_an_output_whose_name_is_too_long_is_refused(
    command: tuple[str, ...], folder: Path
) -> None:
    told = refused_at_once(*command, folder=folder)
    name = command[-1].removeprefix("json:")
    assert told == f"error: {name}: can't be written: File name too long\n"
    assert names(folder) == {"spec.yaml", "model.py"}


@pytest.mark.parametrize(
    "command",
    [
        *((command, f"{LONG}.yaml") for command in ("compare", "show", "check")),
        *(("profile", f"{LONG}.{suffix}") for suffix in ("py", "pt2")),
        ("render", f"{LONG}.json"),
        ("diff", f"{LONG}.json", f"{LONG}.json"),
    ],
    ids=lambda command: f"{command[0]} {command[1][-4:]}",
)
def test_a_source_whose_name_is_too_long_is_refused(command: tuple[str, ...], folder: Path) -> None:
    told = refused_at_once(*command, folder=folder)
    assert told == f"error: {command[1]}: can't be read: File name too long\n"


def test_a_long_name_that_is_no_file_is_refused(folder: Path) -> None:
    assert f"{LONG}: no such file" in refused_at_once("profile", LONG, folder=folder)


def test_the_longest_name_that_a_file_may_have_is_written(folder: Path) -> None:
    name = "z" * 250 + ".json"
    fine(*COUNTED, name, folder=folder)
    assert json.loads((folder / name).read_text())["kind"] == "compare"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("compare", ""), "SOURCE is empty"),
        (("profile", ""), "SOURCE is empty"),
        (("init", "spec.yaml", ""), "SOURCE is empty"),
        (("render", ""), "REPORT.json is empty"),
        (("diff", "spec.yaml", ""), "HEAD is empty"),
        (("check", ""), "CONFIG is empty"),
        ((*COUNTED, ""), "--output is empty"),
        ((*REWRITE, ""), "--output is empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_an_empty_name_is_told_as_such(command: tuple[str, ...], told: str, folder: Path) -> None:
    assert refused_at_once(*command, folder=folder).startswith(f"error: {told}\n")


@pytest.mark.parametrize(
    "command",
    [
        ("compare", "spec.yaml", "--output", "json:spec.yaml"),
        ("compare", "spec.yaml", "--output", "json:./link.yaml"),
        ("profile", "model.py:model", "--output", "json:model.py"),
        ("suggest", "spec.yaml", "--max-parameters", "9", "--output", "spec.yaml"),
        ("crossover", "spec.yaml", "--vary", "batch=1:2", "--output", "csv:spec.yaml"),
        ("rewrite", "model.py", "--variant", "separable", "--output", "json:model.py"),
        ("render", "saved.json", "--output", "csv:saved.json"),
        ("diff", "saved.json", "spec.yaml", "--output", "json:spec.yaml"),
        ("check", "--output", "csv:convcost.yaml"),
        ("init", "spec.yaml", "--force", "--config", "spec.yaml"),
    ],
    ids=lambda command: f"{command[0]} {command[-1]}",
)
def test_no_command_writes_over_what_it_reads(command: tuple[str, ...], folder: Path) -> None:
    fine("compare", "spec.yaml", "--no-measure", "--output", "saved.json", folder=folder)
    fine("init", "spec.yaml", "--quiet", folder=folder)
    (folder / "link.yaml").symlink_to(folder / "spec.yaml")
    before = {path.name: path.read_text() for path in folder.iterdir()}
    told = refused_at_once(*command, folder=folder)
    assert "can't be written: it is what is read\n" in told
    assert {name: (folder / name).read_text() for name in before} == before


def test_suffixes_may_be_in_capitals(folder: Path) -> None:
    (folder / "SPEC.YML").write_text(SPEC)
    (folder / "MODEL.PY").write_text(MODEL)
    outputs = (part for name in ("A.JSON", "A.PNG", "A.Md") for part in ("--output", name))
    fine("compare", "SPEC.YML", "--no-measure", *outputs, folder=folder)
    assert (folder / "A.PNG").read_bytes().startswith(b"\x89PNG")
    assert "nothing differs" in fine("diff", "A.JSON", "A.JSON", folder=folder)
    options = ("--input", "1x3x8", "--quiet")
    fine("rewrite", "MODEL.PY", "--variant", "separable", *options, "-o", "A.PT2", folder=folder)
    assert "conv" in fine("profile", "A.PT2", "--no-measure", *options, folder=folder)


def test_a_saved_report_as_a_source_is_told_what_takes_it(folder: Path) -> None:
    told = refused("compare", "saved.json", folder=folder)
    assert "convcost render saved.json shows a saved report, convcost diff compares two" in told
