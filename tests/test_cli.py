from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cli import (
    COMMAND,
    assert_no_fault,
    convcost,
    environment,
    fine,
    is_printable,
    refused,
    widest,
)

from convcost import __version__

CONFIGS = Path(__file__).parent.parent / "configs"
COLOR = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|4\d|9\d|10\d)(?:;\d+)*m")
STYLE = re.compile(r"\x1b\[[\d;]*m")
TWO_LAYERS = """
version: 1
name: two
input: [8, 12, 12]
layers:
  - {name: first, conv: {out_channels: 8, kernel_size: 3}}
  - {name: second, conv: {out_channels: 8, kernel_size: 3}}
"""
ONE_AXIS = "{version: 1, input: [8, 64], layers: [{conv: {out_channels: 8, kernel_size: 3}}]}"
NO_CONVOLUTION = "{version: 1, input: [8, 12], layers: [{relu: {}}]}"
DIFFERING = "{version: 1, name: 'a, \"b\"', input: [8, 12], layers: [{name: 'é 日本', relu: {}}]}"


def report(*arguments: str | Path, folder: Path | None = None) -> Any:
    """The JSON that ``compare`` puts on standard output."""
    return json.loads(fine("compare", *arguments, "--format", "json", folder=folder))


def counted(*arguments: str | Path, folder: Path | None = None) -> Any:
    return report(*arguments, "--no-measure", folder=folder)


def values(found: Any, key: str) -> list[Any]:
    return [row["values"][key]["value"] for row in found["rows"]]


def variants(found: Any) -> list[str]:
    return [row["variant"] for row in found["rows"]]


def spec(folder: Path, text: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# help, version and exit codes


@pytest.mark.parametrize(
    "arguments",
    ["-h", "compare --help", "profile --help", "render --help"],
)
def test_what_tells_about_itself_ends_well_and_silently(arguments: str) -> None:
    assert fine(*arguments.split())


def test_help_names_the_commands() -> None:
    told = fine("--help")
    assert all(command in told for command in ("compare", "render", "schema"))


def test_version_is_the_packages() -> None:
    assert fine("--version") == f"convcost {__version__}\n"


@pytest.mark.parametrize("kind", ["spec", "report"])
def test_schema_prints_a_json_schema(kind: str) -> None:
    assert json.loads(fine("schema", kind))["type"] == "object"


@pytest.mark.parametrize(
    "arguments",
    [
        "nope",
        "--nope",
        "render",
        "schema nope",
    ],
)
def test_bad_usage_ends_with_2_and_points_to_help(arguments: str) -> None:
    ran = convcost(*arguments.split())
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert "--help" in ran.err
    assert_no_fault(ran)


def test_no_arguments_show_the_help_without_an_empty_error() -> None:
    ran = convcost()
    assert ran.code == 2
    assert "compare" in ran.out + ran.err
    assert "error: \n" not in ran.err


# what compare prints


def test_without_a_source_compare_shows_the_primers_layer() -> None:
    told = fine("compare", "--no-measure")
    assert told.startswith("primer: input 1×3×12×12, output 1×256×8×8\n")
    assert "22.8× fewer" in told


def test_standard_output_is_data_and_notices_go_to_standard_error(tmp_path: Path) -> None:
    source = spec(tmp_path, NO_CONVOLUTION)
    ran = convcost("compare", source, "--no-measure", "--format", "json")
    assert ran.code == 0
    assert json.loads(ran.out)["notices"] == ["nothing is rewritten: there is no convolution here"]
    assert ran.err == "note: nothing is rewritten: there is no convolution here\n"


def test_a_batch_in_a_specs_input_is_told(tmp_path: Path) -> None:
    layer = "layers: [{conv: {out_channels: 8, kernel_size: 3}}]"
    source = spec(tmp_path, f"version: 1\ninput: [1, 3, 32, 32]\n{layer}\n")
    told = "note: the input has three spatial axes: a spec's input has no batch (--batch says it)\n"
    assert convcost("compare", source, "--no-measure").err == told
    for volume in ("[3, 9, 32, 32]", "[1, 16, 32, 32]"):
        source = spec(tmp_path, f"version: 1\ninput: {volume}\n{layer}\n")
        assert convcost("compare", source, "--no-measure").err == ""


def test_json_counts_the_primers_layer() -> None:
    found = counted()
    standard, *_ = values(found, "multiplications")
    assert standard == 256 * 5 * 5 * 3 * (8 * 8)
    assert found["schema_version"] == 1
    assert found["kind"] == "compare"
    assert found["input"] == [[1, 3, 12, 12]]


def test_csv_has_a_line_per_row_and_survives_hard_names(tmp_path: Path) -> None:
    source = spec(tmp_path, DIFFERING)
    ran = convcost("compare", source, "--no-measure", "--per-layer", "--format", "csv")
    header, *lines = csv.reader(io.StringIO(ran.out))
    assert header[:4] == ["name", "variant", "op", "output_shape"]
    assert {line[0] for line in lines} == {'a, "b"', "é 日本"}
    assert {len(line) for line in lines} == {len(header)}


def test_markdown_is_a_table_with_cells_of_one_number() -> None:
    told = fine("compare", "--no-measure", "--format", "markdown")
    table = [line for line in told.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 4
    assert len({line.count("|") for line in table}) == 1


def test_json_keeps_names_on_a_stream_that_is_not_utf8(tmp_path: Path) -> None:
    source = spec(tmp_path, DIFFERING)
    ran = convcost(
        *("compare", source, "--no-measure", "--per-layer", "--format", "json"),
        env={"PYTHONIOENCODING": "ascii"},
    )
    assert json.loads(ran.out)["layers"][0]["name"] == "é 日本"


def test_a_table_on_a_stream_that_is_not_utf8_still_comes() -> None:
    ran = convcost("compare", "--no-measure", env={"PYTHONIOENCODING": "ascii"})
    assert ran.code == 0
    assert "19.5 k" in ran.out


# options that change the work


def test_variants_are_those_asked_for_in_their_order_beside_standard() -> None:
    asked = ("atrous:rate=2x3", "separable:depth_multiplier=4", "atrous")
    found = counted(*(f"--variant={name}" for name in asked))
    expected = ["standard", "atrous:rate=2x3", "separable:depth_multiplier=4", "atrous:rate=2"]
    assert variants(found) == expected
    assert values(found, "receptive_field")[1] == [2 * 4 + 1, 3 * 4 + 1]
    assert values(found, "parameters")[2] == 5 * 5 * (3 * 4) + (3 * 4) * 256 + 256


@pytest.mark.parametrize("options", [("--only", "f*"), ("--keep", "sec*")])
def test_only_and_keep_choose_layers_by_name(options: tuple[str, ...], tmp_path: Path) -> None:
    source = spec(tmp_path, TWO_LAYERS)
    found = counted(source, "--variant", "separable", "--per-layer", *options)
    assert values(found, "convolutions") == [2, 2]
    assert values(found, "rewritten") == [0, 1]
    rewritten = [row["name"] for row in found["layers"] if row["variant"] == "separable"]
    assert rewritten == ["first.depthwise", "first.pointwise", "second"]


def test_per_layer_shows_every_layer_of_every_variant(tmp_path: Path) -> None:
    source = spec(tmp_path, TWO_LAYERS)
    assert counted(source)["layers"] == []
    told = fine("compare", source, "--no-measure", "--per-layer", "--variant", "separable")
    assert all(name in told for name in ("first", "second", "first.depthwise", "second.pointwise"))


def test_batch_multiplies_the_work_but_not_the_parameters() -> None:
    one, five = counted(), counted("--batch", "5")
    assert five["input"] == [[5, 3, 12, 12]]
    assert values(five, "multiplications") == [5 * n for n in values(one, "multiplications")]
    assert values(five, "parameters") == values(one, "parameters")


@pytest.mark.parametrize(("dtype", "size"), [("float64", 8), ("bfloat16", 2)])
def test_dtype_decides_the_bytes(dtype: str, size: int) -> None:
    found = counted("--dtype", dtype)
    assert values(found, "parameter_bytes")[0] == size * (256 * 5 * 5 * 3 + 256)
    assert values(found, "activation_bytes")[0] % size == 0
    assert found["environment"]["dtype"] == dtype


# measuring


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one measured comparison in every format, ``out.txt`` what compare printed."""
    folder = tmp_path_factory.mktemp("measured")
    copies = ("saved.json", "saved.csv", "saved.md", "table:saved.table")
    told = fine(
        *("compare", "--seconds", "0.3", "--threads", "1", "--seed", "7", "--delta", "0.05"),
        *("--dtype", "float64", "--batch", "2", "--per-layer"),
        *("--variant", "separable", "--variant", "atrous:rate=3"),
        *(part for copy in copies for part in ("--output", copy)),
        folder=folder,
    )
    (folder / "out.txt").write_text(told, encoding="utf-8")
    return folder


def saved(folder: Path) -> Any:
    return json.loads((folder / "saved.json").read_text(encoding="utf-8"))


def test_the_environment_records_what_ran(measured: Path) -> None:
    found = saved(measured)["environment"]
    asked = {"dtype": "float64", "batch": 2, "threads": 1, "seed": 7, "seconds": 0.3, "delta": 0.05}
    chosen = {"device": "cpu", "memory_format": "contiguous", "cuda_graph": False}
    assert {**asked, **chosen}.items() <= found.items()
    assert all(found[key] for key in ("convcost", "python", "platform", "torch", "processor"))
    assert found["rounds"] >= 1


def test_each_variant_has_a_latency_and_a_second_count_that_agrees(measured: Path) -> None:
    found = saved(measured)
    assert all(seconds > 0 for seconds in values(found, "latency"))
    assert values(found, "fvcore_multiplications") == values(found, "multiplications")
    assert found["findings"] == []
    assert found["interrupted"] is False


def test_what_fvcore_does_in_an_old_way_is_no_warning_of_ours() -> None:
    # torch 2.14 warns of torch.jit where users see it, earlier ones where only tests do
    strict = {"PYTHONWARNINGS": "error::FutureWarning,error::DeprecationWarning"}
    ran = convcost("compare", "--seconds", "0.1", "--variant", "separable", env=strict)
    assert (ran.code, ran.err) == (0, "")


def test_each_variant_but_the_reference_has_a_verdict(measured: Path) -> None:
    reference, *others = saved(measured)["rows"]
    assert "verdict" not in reference["values"]
    verdicts = {row["values"]["verdict"]["value"] for row in others}
    assert verdicts <= {"faster", "slower", "same", "inconclusive", "untrusted"}


@pytest.mark.parametrize(
    ("format", "copy"),
    [
        ("table", "out.txt"),
        ("table", "saved.table"),
        ("json", "saved.json"),
        ("csv", "saved.csv"),
        ("markdown", "saved.md"),
    ],
)
def test_a_saved_report_renders_as_compare_printed_it(
    format: str,  # noqa: A002  the option's name
    copy: str,
    measured: Path,
) -> None:
    told = fine("render", "saved.json", "--format", format, folder=measured)
    assert told == (measured / copy).read_text(encoding="utf-8")


def test_render_writes_copies_too(measured: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.md"
    fine("render", measured / "saved.json", "--output", copy)
    assert copy.read_text(encoding="utf-8") == (measured / "saved.md").read_text(encoding="utf-8")


def test_channels_last_runs_in_two_axes() -> None:
    options = ("--seconds", "0.01", "--variant", "separable", "--dtype", "bfloat16")
    found = report("--memory-format", "channels_last", *options)
    assert found["environment"]["memory_format"] == "channels_last"
    assert all(values(found, "latency"))


def test_channels_last_is_refused_in_one_axis(tmp_path: Path) -> None:
    ran = convcost("compare", spec(tmp_path, ONE_AXIS), "--memory-format", "channels_last")
    assert ran.code == 2
    assert ran.out == ""
    assert "channels_last needs two or three spatial axes" in ran.err
    assert_no_fault(ran)


# copies


@pytest.mark.parametrize("name", ["table", "csv"])
def test_a_counted_report_renders_as_compare_printed_it(name: str, tmp_path: Path) -> None:
    source = spec(tmp_path, TWO_LAYERS)
    copy = tmp_path / "saved.json"
    options = ("--no-measure", "--per-layer", "--format", name, "--output", copy)
    told = fine("compare", source, *options)
    assert fine("render", copy, "--format", name) == told


def test_output_takes_the_format_from_the_suffix_or_the_prefix(tmp_path: Path) -> None:
    copies = ("a.json", "b.csv", "c.md", "d.txt", "json:e.md", "markdown:f", "json:g:h")
    options = [part for copy in copies for part in ("--output", copy)]
    told = fine("compare", "--no-measure", *options, folder=tmp_path)
    texts = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert set(texts) == {"a.json", "b.csv", "c.md", "d.txt", "e.md", "f", "g:h"}
    assert json.loads(texts["a.json"])["kind"] == "compare"
    assert texts["a.json"] == texts["e.md"] == texts["g:h"]
    assert texts["b.csv"].startswith("name,variant,")
    assert texts["c.md"] == texts["f"]
    assert texts["d.txt"] == told


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("report.pdf", "suffix '.pdf' doesn't tell a format"),
        ("report", "name it: FORMAT:report"),
        ("xml:report", "there is no format 'xml'"),
        (
            "markdow:costs.md",
            "there is no format 'markdow'\n  hint: did you mean markdown? formats: ",
        ),
        ("jnit:x", "there is no format 'jnit'\n  hint: formats: table, json, csv"),
        ("report.html.gz", "use one of .txt, .json, .csv, .md, .html, .svg, .png, or name it"),
        ("nowhere/report.json", "there is no folder nowhere"),
        ("file/report.json", "there is no folder file"),
        ("csv:folder", "folder: can't be written there"),
        ("csv:", "--output"),
        ("/proc/report.json", "/proc/report.json: can't be written"),
    ],
)
def test_an_output_that_cannot_be_is_refused(output: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    ran = convcost("compare", "--no-measure", "--output", output, folder=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert_no_fault(ran)


def test_an_output_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "report.json"
    link.symlink_to(tmp_path / "there" / "real.json")
    for _ in range(2):
        convcost("compare", "--no-measure", "--output", "report.json", folder=tmp_path)
        assert link.is_symlink()
        assert json.loads((tmp_path / "there" / "real.json").read_text())["kind"] == "compare"
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["real.json"]


def test_a_bad_output_is_told_before_anything_is_written(tmp_path: Path) -> None:
    ran = convcost("compare", "-o", "fine.json", "-o", "no/where.json", folder=tmp_path)
    assert ran.code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_copy_takes_an_old_files_place_only_when_complete(tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text("old")
    assert convcost("compare", "no.yaml", "-o", "old.json", folder=tmp_path).code == 2
    assert old.read_text() == "old"
    fine("compare", "--no-measure", "-o", "old.json", folder=tmp_path)
    assert json.loads(old.read_text(encoding="utf-8"))["kind"] == "compare"
    assert list(tmp_path.iterdir()) == [old]


# terminals


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_no_line_of_a_measured_table_is_wider_than_columns(columns: int, measured: Path) -> None:
    ran = convcost("render", measured / "saved.json", env={"COLUMNS": str(columns)})
    assert ran.code == 0
    assert widest(ran.out) <= columns
    assert "…" not in ran.out


@pytest.mark.parametrize("columns", [40, 120])
def test_no_line_of_many_layers_is_wider_than_columns(columns: int) -> None:
    source = CONFIGS / "aspp.yaml"
    env = {"COLUMNS": str(columns)}
    ran = convcost("compare", source, "--no-measure", "--per-layer", env=env)
    assert ran.code == 0
    assert widest(ran.out) <= columns


@pytest.mark.parametrize("columns", ["40", "80"])
def test_a_narrow_table_shows_the_same_figures(columns: str) -> None:
    ran = convcost("compare", "--no-measure", env={"COLUMNS": columns})
    figures = ("atrous_separable:", "rate=2", "9×9", "31 % seen", "19.5 k", "1.23 M", "22.8×")
    assert all(figure in ran.out for figure in figures)


@pytest.mark.parametrize("columns", ["0", "wide"])
def test_a_senseless_width_does_no_harm(columns: str) -> None:
    ran = convcost("compare", "--no-measure", env={"COLUMNS": columns})
    assert ran.code == 0
    assert "19.5 k" in ran.out


def test_a_pipe_gets_no_escape_codes() -> None:
    assert is_printable(fine("compare", "--no-measure"))


def test_force_color_only_adds_styles(measured: Path) -> None:
    plain = fine("render", "saved.json", folder=measured)
    ran = convcost("render", "saved.json", folder=measured, env={"FORCE_COLOR": "1"})
    assert STYLE.search(ran.out)
    assert STYLE.sub("", ran.out) == plain


def test_no_color_wins_over_force_color(measured: Path) -> None:
    env = {"FORCE_COLOR": "1", "NO_COLOR": "1"}
    ran = convcost("render", "saved.json", folder=measured, env=env)
    assert not COLOR.search(ran.out)


@pytest.mark.parametrize("name", ["json", "csv", "markdown"])
def test_data_formats_are_never_styled(name: str) -> None:
    ran = convcost("compare", "--no-measure", "--format", name, env={"FORCE_COLOR": "1"})
    assert is_printable(ran.out)


# streams that go away


def run_into(stdout: int, *arguments: str) -> tuple[int, bytes]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        env=environment(),
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "compare --no-measure",
        "schema spec",
        "--help",
    ],
)
def test_a_closed_pipe_ends_with_2_in_silence(arguments: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    assert run_into(writer, *arguments.split()) == (2, b"")
    os.close(writer)


def test_a_pipe_that_closes_midway_ends_with_2_in_silence() -> None:
    source = CONFIGS / "wavenet.yaml"
    arguments = ("compare", str(source), "--no-measure", "--per-layer", "--format", "json")
    with subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(100).startswith(b"{")
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (2, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
@pytest.mark.parametrize(
    "arguments", ["compare --no-measure", "compare --no-measure -f json", "schema spec", "--help"]
)
def test_a_full_disk_behind_standard_output_is_told(arguments: str) -> None:
    with Path("/dev/full").open("wb") as full:
        code, said = run_into(full.fileno(), *arguments.split())
    message = b"error: standard output can't be written: No space left on device\n"
    assert (code, said) == (2, message)


@pytest.mark.parametrize("stream", [">&-", "2>&-"])
def test_a_stream_that_is_closed_from_the_start_is_no_traceback(stream: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {stream}', "sh", *COMMAND, "compare", "no.yaml"],
        capture_output=True,
        check=False,
        env=environment(),
        timeout=60,
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("profile net.py --set width=8 --set width=16", "--set width=16: width is given twice"),
        ("profile net.py --expand --depth 1", "--expand shows ops, --depth folds modules"),
        ("check --against HEAD --update", "--update approves today's costs, --against compares"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(
    arguments: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text("from torch import nn\nmodel = nn.Conv2d(3, 8, 3)\n")
    assert told in refused(*arguments.split(), folder=tmp_path)


def test_a_value_that_is_not_one_of_several_is_told_in_one_sentence(tmp_path: Path) -> None:
    told = refused("profile", "net.py", "--device", "gpu", folder=tmp_path)
    assert "Invalid value for '--device': 'gpu' is not one of 'cpu', 'cuda', 'mps'" in told
