from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cli import (
    COMMAND,
    assert_no_fault,
    convcost,
    environment,
    fine,
    interrupted,
    refused,
    refused_at_once,
)

from convcost import ConvcostError, profile
from convcost.cli.interrupts import raise_again, watch

HEAD = "version: 1\ninput: [3, 12, 12]\n"
CONV = "{out_channels: 8, kernel_size: 3}"
LAYERS = f"layers:\n  - {{conv: {CONV}}}\n"
LAUGHS = "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def layers(*entries: str) -> str:
    return HEAD + "layers:\n" + "".join(f"  - {entry}\n" for entry in entries)


def conv(settings: str) -> str:
    return layers(f"{{conv: {{{settings}}}}}")


def told(folder: Path, text: str | bytes, timeout: float = 20) -> str:
    """The one message that a spec of this text is refused with."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    (folder / "spec.yaml").write_bytes(data)
    return refused_at_once("compare", "spec.yaml", "--no-measure", folder=folder, timeout=timeout)


def counted(folder: Path, text: str, *options: str) -> Any:
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    arguments = ("compare", "spec.yaml", "--no-measure", "--format", "json", *options)
    return json.loads(fine(*arguments, folder=folder))


# files


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gone.yaml", "gone.yaml: no such file"),
        ("folder.yaml", "folder.yaml: is a directory"),
        ("folder", "folder: not a layer spec"),
        ("file/spec.yaml", "file/spec.yaml: can't be read: Not a directory"),
        ("spec.txt", "spec.txt: not a layer spec"),
        ("", "SOURCE is empty"),
    ],
)
def test_a_source_that_is_no_file_is_named(source: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "file").touch()
    assert message in refused_at_once("compare", source, "--no-measure", folder=tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bytes(range(256)) * 20, "spec.yaml: can't be read: not a UTF-8 text file"),
        (b"version: \0", "spec.yaml: not a YAML text file"),
        (HEAD.encode("utf-16"), "spec.yaml: can't be read: not a UTF-8 text file"),
        (b"# ten megabytes\n" * 640_000, "10,240,000 bytes, more than the 1,000,000 allowed"),
    ],
)
def test_a_file_that_is_no_text_of_a_spec_is_refused(
    data: bytes, message: str, tmp_path: Path
) -> None:
    assert message in told(tmp_path, data, timeout=5)


# YAML


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "spec.yaml:1: the file is empty; expected version, input and layers"),
        ("# nothing\n", "spec.yaml:1: the file is empty"),
        ("~\n", "spec.yaml:1: the file is empty"),
        ("- 1\n", "spec.yaml:1: found no mapping at the top"),
        ("text\n", "spec.yaml:1: found no mapping at the top"),
        (HEAD + "layers: [\n", "spec.yaml:4: not valid YAML"),
        (HEAD + "layers:\n\t- a\n", "spec.yaml:4: not valid YAML"),
        (HEAD + "layers: *gone\n", "spec.yaml:3: not valid YAML: found undefined alias 'gone'"),
        (HEAD + LAYERS + "---\n" + HEAD, "spec.yaml:5: not valid YAML"),
        (HEAD + HEAD + LAYERS, "spec.yaml:2: input: given twice, also at line 4"),
        (conv("out_channels: 8, groups: 1, groups: 2"), "layers[0].conv.groups: given twice"),
        (HEAD + "layers: &a [*a]\n", "spec.yaml"),
        ("&a {version: 1, input: [3, 4], layers: [*a]}\n", "spec.yaml"),
        (HEAD + "a: &a [x, x, x, x, x, x, x, x, x]\n" + LAUGHS, "more than 100,000 values"),
        (HEAD + f"layers: {'[' * 2_000}{']' * 2_000}\n", "spec.yaml: nested too deeply"),
        (HEAD + f"layers: {'{a: ' * 2_000}1{'}' * 2_000}\n", "spec.yaml: nested too deeply"),
    ],
)
def test_yaml_that_cannot_be_read_is_refused(text: str, message: str, tmp_path: Path) -> None:
    assert message in told(tmp_path, text, timeout=5)


WITHOUT_LIBYAML = "import sys; sys.modules['yaml._yaml'] = None; import convcost.cli as c; c.main()"


@pytest.mark.parametrize(
    "text",
    [
        HEAD + LAYERS,
        HEAD + HEAD + LAYERS,
        HEAD + "layers: !!python/name:os.system\n",
        HEAD + f"layers: {'[' * 2_000}{']' * 2_000}\n",
        HEAD + "name: &a 'aä: 1e6'\n" + "layers: [{name: *a, conv: {out_channels: 1e1, "
        "kernel_size: 0x3, stride: 0o1, bias: TRUE, padding: null, groups: 'off'}}]\n",
    ],
)
def test_a_pyyaml_without_libyaml_reads_the_same(text: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(text, encoding="utf-8")
    arguments = ("compare", "spec.yaml", "--no-measure", "--format", "json")
    command = (sys.executable, "-c", WITHOUT_LIBYAML, *arguments)
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    usual = convcost(*arguments, folder=tmp_path)
    assert (ran.returncode, ran.stdout.decode()) == (usual.code, usual.out)
    assert ran.stderr.decode() == usual.err


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (HEAD + "name: !!binary aGVsbG8=\n" + LAYERS, "spec.yaml:3: name: "),
        (HEAD + "layers: !!python/name:os.system\n", "spec.yaml:3: layers: "),
        (HEAD + "layers: !!python/object/apply:os.system ['touch made']\n", "spec.yaml:3: layers"),
        (f"version: 1\ninput: !!python/tuple [3, 12, 12]\n{LAYERS}", "spec.yaml:2: input: "),
        (layers(f"{{conv: !!python/object:os.Any {CONV}}}"), "spec.yaml:4: layers[0].conv: "),
    ],
)
def test_tags_are_refused_and_never_run(text: str, place: str, tmp_path: Path) -> None:
    message = told(tmp_path, text)
    assert place in message
    assert "tag" in message
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ("out_channels: 1e1, kernel_size: 3", 10 * 3 * 3 * 3 + 10),
        ("out_channels: 0x10, kernel_size: 3", 16 * 3 * 3 * 3 + 16),
        ("out_channels: 010, kernel_size: 3", 10 * 3 * 3 * 3 + 10),
        ("out_channels: 8.0, kernel_size: 3, bias: False", 8 * 3 * 3 * 3),
    ],
)
def test_numbers_are_those_of_yaml_1_2(settings: str, parameters: int, tmp_path: Path) -> None:
    found = counted(tmp_path, conv(settings))
    assert found["rows"][0]["values"]["parameters"]["value"] == parameters


@pytest.mark.parametrize("word", ["off", "no", "n", "yes", "0", "'true'"])
def test_only_true_and_false_are_booleans(word: str, tmp_path: Path) -> None:
    message = told(tmp_path, conv(f"out_channels: 8, kernel_size: 3, bias: {word}"))
    assert "spec.yaml:4: layers[0].conv.bias: expected true or false, found" in message


# keys and types


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + LAYERS + "nmae: x\n", "spec.yaml:5: nmae: unknown key; did you mean name?"),
        (layers(f"{{convv: {CONV}}}"), "layers[0].convv: unknown key; did you mean conv?"),
        (layers(f"{{conv: {CONV}, stride: 2}}"), "spec.yaml:4: layers[0].stride: unknown key"),
        (conv("out_channels: 8, kernel_sise: 3"), "kernel_sise: unknown key; did you mean kernel"),
        (layers("{1: {}}"), "spec.yaml:4: layers[0].1: unknown key"),
        ("input: [3, 12, 12]\n" + LAYERS, "spec.yaml:1: version: missing"),
        ("version: 1\n" + LAYERS, "spec.yaml:1: input: missing"),
        (HEAD, "spec.yaml:1: layers: expected a list of at least one layer"),
        (HEAD + "layers: []\n", "spec.yaml:3: layers: expected a list of at least one layer"),
        (HEAD + "layers: {relu: {}}\n", "spec.yaml:3: layers: expected a list"),
        (layers("relu"), "spec.yaml:4: layers[0]: expected a mapping"),
        (layers("~"), "spec.yaml:4: layers[0]: expected a mapping"),
        (layers("{relu: ~}"), "spec.yaml:4: layers[0].relu: expected a mapping of settings"),
        (layers("{relu: {}, tanh: {}}"), "layers[0]: a layer has exactly one kind, found relu and"),
        (layers("{name: a}"), "layers[0]: a layer has exactly one kind, found none"),
        ("version: 2\ninput: [3, 12]\n" + LAYERS, "spec.yaml:1: version: expected 1, found 2"),
        ("version: '1'\ninput: [3, 12]\n" + LAYERS, "spec.yaml:1: version: expected 1, found '1'"),
        ("version: true\ninput: [3, 12]\n" + LAYERS, "spec.yaml:1: version: expected 1, found"),
        ("version: 1\ninput: 3x12\n" + LAYERS, "spec.yaml:2: input: expected"),
        ("version: 1\ninput: [3]\n" + LAYERS, "spec.yaml:2: input: should have at least 2"),
        ("version: 1\ninput: [3, 1, 1, 1, 1]\n" + LAYERS, "input: should have at most 4"),
        (conv("out_channels: 8, kernel_size: '3'"), "conv.kernel_size: expected a whole number"),
        (conv("out_channels: 8, kernel_size: [3, 3, 3, 3]"), "kernel_size: expected a whole"),
        (conv("out_channels: 8, kernel_size: 3, padding: full"), "valid or same, found 'full'"),
        (
            conv("out_channels: 8, kernel_size: 3, padding: -1"),
            "conv.padding: expected a whole number from 0 to 65,536, one per axis",
        ),
        (conv("out_channels: 8, kernel_size: 3, rate: 2, dilation: 2"), "give one of them"),
        (layers("{upsample: {scale: 2, mode: cubic}}"), "layers[0].upsample.mode: expected"),
        (layers("{upsample: {}}"), "layers[0].upsample: give either scale or size"),
    ],
)
def test_a_wrong_key_or_type_is_told_with_its_place(
    text: str, message: str, tmp_path: Path
) -> None:
    found = told(tmp_path, text)
    assert "spec.yaml:" in found
    assert message in found


@pytest.mark.parametrize(
    "size", ["0", "-4", "4.5", "true", ".nan", ".inf", "-.inf", "1e400", "9" * 30, "9" * 5_000]
)
def test_a_size_that_is_no_size_is_told_with_its_place(size: str, tmp_path: Path) -> None:
    message = told(tmp_path, f"version: 1\ninput:\n  - 3\n  - {size}\n{LAYERS}")
    assert "spec.yaml:4: input[1]: " in message
    assert len(message) < 200


def test_negative_settings_are_told_with_their_places(tmp_path: Path) -> None:
    settings = ("out_channels: -8", "kernel_size: -3", "stride: -1", "padding: -1", "groups: -1")
    text = "".join(f"      {setting}\n" for setting in settings)
    message = told(tmp_path, f"{HEAD}layers:\n  - conv:\n{text}")
    for line, setting in enumerate(settings, 5):
        key, _, value = setting.partition(": ")
        assert f"spec.yaml:{line}: layers[0].conv.{key}: expected" in message
        assert f"found {value}" in message


@pytest.mark.parametrize(
    "text",
    [
        layers(f"'{'x' * 50_000}'"),
        HEAD + f"layers: {'[' * 300}{']' * 300}\n",
        layers(f"{{? {'x' * 900} : 1}}") + f"{'y' * 900}: 1\n",
        HEAD + LAYERS + f"variants: [{'x' * 50_000}]\n",
    ],
)
def test_what_was_found_is_shown_in_short(text: str, tmp_path: Path) -> None:
    message = told(tmp_path, text)
    assert max(map(len, message.splitlines())) < 500


# shapes and graphs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (conv("out_channels: 8, kernel_size: 13"), "spans 13×13 positions, the padded input has"),
        (conv("out_channels: 8, kernel_size: 3, padding: 2, rate: 8"), "has only 16×16"),
        (layers("{max_pool: {kernel_size: 13}}"), "layers[0].max_pool: "),
        (conv("out_channels: 8, kernel_size: 3, groups: 2"), "groups (2) must divide both"),
        (conv("out_channels: 8, kernel_size: 3, groups: 3"), "groups (3) must divide both"),
        (conv("out_channels: 8, kernel_size: [3, 3, 3]"), "has 3 entries, the input has 2 spatial"),
        (layers("{linear: {out_features: 2}}"), "flatten it first"),
        (layers("{flatten: {}}", f"{{conv: {CONV}}}"), "spec.yaml:5: layers[1].conv: "),
        (
            layers("{conv_transpose: {out_channels: 8, kernel_size: 1, padding: 6}}"),
            "the padding crops the whole output",
        ),
        (
            layers(f"{{name: a, conv: {CONV}}}", "{name: b, inputs: [a, input], add: {}}"),
            "spec.yaml:5: layers[1].add: b: needs inputs of one shape, found 8×10×10 and 3×12×12",
        ),
        (
            layers(f"{{name: a, conv: {CONV}}}", "{name: b, inputs: [a, input], concat: {}}"),
            "layers[1].concat: b: needs inputs of one spatial shape, found 10×10 and 12×12",
        ),
        (layers("{inputs: [gone], relu: {}}"), "layers[0].inputs[0]: no layer is called 'gone'"),
        (
            layers("{name: a, inputs: [b], relu: {}}", "{name: b, inputs: [a], relu: {}}"),
            "spec.yaml:4: layers[0].inputs[0]: 'b' comes later",
        ),
        (layers("{name: a, inputs: [a], relu: {}}"), "so there are no cycles"),
        (layers("{inputs: [], relu: {}}"), "layers[0].inputs: should have at least 1 item"),
        (layers("{inputs: [input, input], relu: {}}"), "relu takes one input, found 2"),
        (layers("{name: a, relu: {}}", "{name: a, relu: {}}"), "layers[1].name: the name 'a'"),
        (layers("{name: input, relu: {}}"), "layers[0].name: the name 'input' is taken"),
        (
            layers("{name: a, repeat: 2, relu: {}}", "{name: a.1, relu: {}}"),
            "layers[1].name: the name 'a.1' is taken",
        ),
        (layers(f"{{repeat: 9, conv: {CONV}}}"), "the padded input has only 2×2"),
        (layers("{repeat: 65536, relu: {}}", "{repeat: 65536, relu: {}}"), "more than 100,000"),
    ],
)
def test_layers_that_do_not_fit_are_told_with_their_place(
    text: str, message: str, tmp_path: Path
) -> None:
    found = told(tmp_path, text)
    assert "spec.yaml:" in found
    assert message in found


@pytest.mark.parametrize(
    "layer",
    [
        "{repeat: 10, conv: {out_channels: 1, kernel_size: 3, stride: 65536, padding: same}}",
        "{repeat: 10, conv: {out_channels: 1, kernel_size: 65536, rate: 65536, padding: same}}",
        "{conv: {out_channels: 1, kernel_size: 65536, rate: 30000}}",
        "{conv_transpose: {out_channels: 1, kernel_size: 65536, stride: 2000}}",
    ],
)
def test_a_few_bytes_never_cost_minutes_or_all_memory(layer: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(f"version: 1\ninput: [1, 2147483647]\nlayers: [{layer}]")
    ran = convcost("compare", "spec.yaml", "--no-measure", folder=tmp_path, timeout=4)
    assert ran.code in (0, 2)
    assert_no_fault(ran)


def test_all_mistakes_of_a_file_are_told_at_once_in_its_order(tmp_path: Path) -> None:
    text = """version: 3
input: [3, -1]
nmae: x
layers:
  - conv: {out_channels: 8}
  - {relu: {}, tanh: {}}
  - {inputs: [gone], relu: {}}
variants:
  - nope
"""
    lines = told(tmp_path, text).splitlines()
    places = (
        "1: version: ",
        "2: input[1]: ",
        "3: nmae: ",
        "5: layers[0].conv.kernel_size: missing",
        "6: layers[1]: ",
        "7: layers[2].inputs[0]: ",
        "9: variants[0]: ",
    )
    assert len(lines) == len(places)
    assert all(f"spec.yaml:{place}" in line for place, line in zip(places, lines, strict=True))


def test_of_many_mistakes_the_first_are_told(tmp_path: Path) -> None:
    lines = told(tmp_path, layers(*["{rulu: {}}"] * 1_500)).splitlines()
    assert len(lines) == 20 + 1
    assert "spec.yaml:4: layers[0].rulu: unknown key; did you mean relu?" in lines[0]
    assert lines[-1].strip() == "… and 1,480 more"


def test_one_mistake_does_not_pull_others_after_it(tmp_path: Path) -> None:
    text = layers("{name: a, conv: {out_channels: 8}}", "{inputs: [a], relu: {}}", "{flatten: {}}")
    assert len(told(tmp_path, text).splitlines()) == 1


# names


@pytest.mark.parametrize("name", [r'"a\e[31mb"', r'"a\nb"', r'"a\u202Eb"', "''", "' '", "3"])
def test_a_name_is_printable_text(name: str, tmp_path: Path) -> None:
    text = layers(f"{{name: {name}, conv: {CONV}}}")
    assert "spec.yaml:4: layers[0].name: expected a name: printable" in told(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        HEAD + r'"\e[31mred": 1' + "\n" + LAYERS,
        HEAD + LAYERS + r'variants: [{atrous: {rate: "\e[31m"}}]',
        HEAD + r"layers: !<%1b[31m> a",
    ],
)
def test_messages_never_steer_the_terminal(text: str, tmp_path: Path) -> None:
    assert "\x1b" not in told(tmp_path, text)


@pytest.mark.parametrize("name", ["[red]x[/red]", ":warning:"])
def test_markup_in_names_is_printed_as_it_stands(name: str, tmp_path: Path) -> None:
    text = f"version: 1\nname: '{name}'\ninput: [3, 12]\nlayers: [{{name: '{name}', conv: {CONV}}}]"
    (tmp_path / "spec.yaml").write_text(text)
    table = fine("compare", "spec.yaml", "--no-measure", "--per-layer", folder=tmp_path)
    assert table.startswith(f"{name}: input 1×3×12")
    assert f"\n{name} " in table


@pytest.mark.parametrize("name", ["a|b", "<b>c</b>", "*d*_e_", r"j\|k"])
def test_names_stay_in_their_cell_of_markdown(name: str, tmp_path: Path) -> None:
    text = f"version: 1\ninput: [3, 12]\nlayers: [{{name: '{name}', conv: {CONV}}}]"
    (tmp_path / "spec.yaml").write_text(text)
    options = ("--no-measure", "--per-layer", "--variant", "atrous", "--format", "markdown")
    lines = fine("compare", "spec.yaml", *options, folder=tmp_path).splitlines()
    cells = [line.replace("\\\\", "").replace("\\|", "").count("|") for line in lines]
    assert len({count for count in cells[-4:] if count}) == 1
    assert not any(line.startswith(f"| {name} |") for line in lines)


# options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--variant separabel",
            "unknown variant 'separabel'; did you mean separable? known: standard, atrous",
        ),
        ("--variant :", "unknown variant ''"),
        ("--variant atrous:speed=2", "atrous has no option 'speed'; its options: rate"),
        ("--variant separable:rate=2", "separable has no option 'rate'"),
        ("--variant standard:rate=2", "standard has no option 'rate'; its options: none"),
        ("--variant atrous:rate", "rate is a whole number"),
        ("--variant atrous:rate=0", "rate is a whole number from 1"),
        ("--variant atrous:rate=-1", "rate is a whole number from 1"),
        ("--variant atrous:rate=99999999", "rate is a whole number from 1 to 65,536"),
        ("--variant atrous:rate=2x3x4", "rate has 3 entries, the convolution 2 spatial axes"),
        ("--variant separable:depth_multiplier=2x2", "depth_multiplier"),
        ("--only nope", "no convolution matches 'nope'"),
        ("--keep nope*", "no convolution matches 'nope*'"),
        ("--format xml", "'xml' is not one of 'table', 'json', 'csv', 'markdown'"),
        ("--output report.pdf", "the suffix '.pdf' doesn't tell a format"),
    ],
)
def test_an_option_that_makes_no_sense_is_told(options: str, message: str, tmp_path: Path) -> None:
    arguments = ("compare", "--no-measure", *options.split())
    assert message in refused_at_once(*arguments, folder=tmp_path)


@pytest.mark.parametrize(
    "arguments",
    ["compare gone.yaml", "compare --only none", "render gone.json"],
)
def test_a_process_of_its_own_refuses_the_same_way(arguments: str, tmp_path: Path) -> None:
    expected = refused_at_once(*arguments.split(), folder=tmp_path)
    assert refused(*arguments.split(), folder=tmp_path) == expected


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("separabel", "unknown variant 'separabel'"),
        ("{atrous: {speed: 2}}", "atrous has no option 'speed'"),
        ("{atrous: {rate: 0}}", "rate is a whole number"),
        ("{atrous: 2}", "expected a variant"),
        ("3", "expected a variant"),
        ("{separable: {depth_multiplier: [2, 2]}}", "depth_multiplier"),
    ],
)
def test_a_variant_of_a_spec_is_told_with_its_line(
    entry: str, message: str, tmp_path: Path
) -> None:
    found = told(tmp_path, f"{HEAD}{LAYERS}variants:\n  - {entry}\n")
    assert "spec.yaml:6: variants[0]: " in found
    assert message in found


# running

TOO_LARGE = f"version: 1\ninput: [3, 100000, 100000]\nlayers: [{{conv: {CONV}}}]\n"


def test_a_tensor_that_does_not_fit_is_refused_with_the_numbers(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(TOO_LARGE)
    message = refused("compare", "spec.yaml", folder=tmp_path)
    assert "needs about 410 GiB of memory" in message
    assert "are free" in message
    assert "--no-measure" in message


@pytest.mark.parametrize("command", ["profile", "compare"])
def test_a_model_whose_activations_do_not_fit_is_refused_with_the_numbers(
    command: str, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text("from torch import nn\nnet = nn.Conv2d(3, 8, 3)\n")
    message = refused(command, "net.py", "--input", "1x3x100000x100000", folder=tmp_path)
    assert "needs about 410 GiB of memory" in message
    assert "--no-measure" in message


def test_what_does_not_fit_is_still_counted(tmp_path: Path) -> None:
    standard = counted(tmp_path, TOO_LARGE)["rows"][0]
    assert standard["values"]["multiplications"]["value"] == 8 * 3 * 3 * 3 * 99_998**2


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has one")
def test_a_device_that_is_not_there_is_refused() -> None:
    message = refused("compare", "--device", "cuda")
    assert "no cuda device" in message
    assert "available: cpu" in message


def test_ctrl_c_while_measuring_shows_what_was_measured(tmp_path: Path) -> None:
    options = ("--seconds", "60", "--delta", "0", "--format", "json", "--output", "saved.json")
    ran = interrupted(b"measuring, round", ("compare", *options), tmp_path)
    found = json.loads(ran.out)
    assert ran.code == 2
    assert found["interrupted"] is True
    assert found["environment"]["rounds"] >= 1
    assert all(row["values"]["latency"]["value"] > 0 for row in found["rows"])
    assert "interrupted: only what was measured before is shown" in ran.err
    assert_no_fault(ran)
    shown = fine_with_note("render", "saved.json", folder=tmp_path)
    assert f"; {found['environment']['rounds']} round" in shown


def fine_with_note(*arguments: str, folder: Path) -> str:
    ran = convcost(*arguments, folder=folder)
    assert ran.code == 0
    assert ran.err.startswith("note: ")
    return ran.out


def test_ctrl_c_before_anything_was_measured_shows_no_data(tmp_path: Path) -> None:
    ran = interrupted(b"loading torch", ("compare", "--seconds", "1"), tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "error" in ran.err
    assert "interrupted" in ran.err
    assert_no_fault(ran)


INTERRUPTING = """
import os, signal, sys
class Finder:
    def find_spec(name, path, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder)
"""


@pytest.mark.parametrize("module", ["typer", "convcost.cli.streams", "convcost.cli.compare"])
def test_ctrl_c_in_a_start_ends_it(module: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING)
    env = {"PYTHONPATH": str(tmp_path), "INTERRUPT_AT": module}
    ran = convcost("compare", "--no-measure", env=env)
    assert ran == (2, "", "error: interrupted\n")


def test_ctrl_c_in_a_start_that_ignores_it_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING)
    ran = subprocess.run(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *COMMAND, "compare", "--no-measure"],
        env=environment({"PYTHONPATH": str(tmp_path), "INTERRUPT_AT": "typer"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("primer")


def test_whoever_imports_the_command_line_keeps_its_own_ctrl_c() -> None:
    program = (
        "import signal\nimport convcost.cli\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.fixture
def watched() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    watch()
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("watched")
def test_a_ctrl_c_that_was_swallowed_is_raised_at_the_next_step_and_once() -> None:
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        raise_again()
    raise_again()


@pytest.mark.usefixtures("watched")
def test_a_ctrl_c_in_torchs_own_start_is_put_off() -> None:
    torchs = {"__name__": "torch", "signal": signal}
    exec("signal.raise_signal(signal.SIGINT)", torchs)  # noqa: S102  as a module's body runs
    with pytest.raises(KeyboardInterrupt):
        raise_again()


# saved reports

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def counted_report() -> str:
    return fine("compare", "--no-measure", "--format", "json")


def rendered(folder: Path, data: str | bytes) -> str:
    """The one message that a saved report of this text is refused with."""
    (folder / "saved.json").write_bytes(data if isinstance(data, bytes) else data.encode())
    message = refused_at_once("render", "saved.json", folder=folder)
    assert "saved.json" in message
    return message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "saved.json:1: not valid JSON"),
        (bytes(range(256)), "saved.json: not a JSON text file"),
        ("[" * 100_000, "saved.json: not a JSON text file"),
        ("version: 1", "saved.json:1: not valid JSON"),
        ("[1]", "saved.json: not a convcost report"),
        ("null", "saved.json: not a convcost report"),
        ('{"a": 1}', "saved.json: not a convcost report"),
        ('{"schema_version": 1}', "saved.json: not a valid report: kind"),
        ('{"schema_version": 2}', "schema_version 2, this convcost reads 1"),
        ('{"schema_version": "1"}', "schema_version '1', this convcost reads 1"),
    ],
)
def test_a_file_that_is_no_report_is_refused(
    data: str | bytes, message: str, tmp_path: Path
) -> None:
    assert message in rendered(tmp_path, data)


def test_a_report_that_was_cut_off_is_refused_with_its_line(
    counted_report: str, tmp_path: Path
) -> None:
    half = counted_report[: len(counted_report) // 2]
    assert f"saved.json:{half.count(chr(10)) + 1}: not valid JSON" in rendered(tmp_path, half)


@pytest.mark.parametrize("source", ["gone.json", "folder.json"])
def test_a_report_that_is_no_file_is_named(source: str, tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    assert f"{source}: " in refused("render", source, folder=tmp_path)


def value(key: str, found: object, row: int = 0) -> Change:
    return lambda report: report["rows"][row]["values"].update({key: found})


def without(key: str) -> Change:
    return lambda report: report["rows"][0]["values"].pop(key)


@pytest.mark.parametrize(
    "change",
    [
        lambda report: report.update(rows="none"),
        lambda report: report.update(rows=[]),
        lambda report: report.update(rows=[1]),
        lambda report: report.update(kind="other"),
        lambda report: report.update(input=[["wide"]]),
        lambda report: report.update(environment=[]),
        lambda report: report.update(schema_version=True),
        lambda report: report["rows"][0].update(values=[]),
        value("parameters", 3),
        value("parameters", {"status": "guessed", "value": 3}),
        value("parameters", {"status": "exact", "value": {}}),
    ],
)
def test_a_report_of_wrong_types_is_refused(
    change: Change, counted_report: str, tmp_path: Path
) -> None:
    report = json.loads(counted_report)
    change(report)
    rendered(tmp_path, json.dumps(report))


@pytest.mark.parametrize(
    "change",
    [
        value("bound", {"status": "measured", "value": "overhead"}),
        without("convolutions"),
        without("receptive_field_density"),
        without("multiplications"),
        value("multiplications", {"status": "unavailable", "value": None, "reason": "unknown"}),
        value("multiplications_ratio", {"status": "exact", "value": "much"}, row=1),
        value("multiplications_ratio", {"status": "exact", "value": 0}, row=1),
        value("parameters", {"status": "exact", "value": float("nan")}),
        value("parameters", {"status": "exact", "value": float("inf")}),
        value("parameters", {"status": "exact", "value": 10**400}),
        value("multiplications_ratio", {"status": "exact", "value": None}, row=1),
        value("memory_bound_layers", {"status": "exact", "value": 3}),
        value("latency", {"status": "measured", "value": 1e-5}),
        value("latency", {"status": "measured", "value": 1e-310}),
        value("latency_ratio", {"status": "measured", "value": 0.5}, row=1),
        lambda report: report["environment"].update(processor="one"),
        lambda report: report["environment"].update(delta="small"),
    ],
)
def test_a_report_of_values_that_none_has_is_refused(
    change: Change, counted_report: str, tmp_path: Path
) -> None:
    report = json.loads(counted_report)
    change(report)
    assert "saved.json: not a valid report: " in rendered(tmp_path, json.dumps(report))


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A measured profile; its first row is the input."""
    folder = tmp_path_factory.mktemp("profiled")
    (folder / "net.py").write_text("from torch import nn\nnet = nn.Conv2d(3, 8, 3)\n")
    options = ("--input", "1x3x64x64", "--seconds", "0.3", "--quiet", "--format", "json")
    return fine("profile", "net.py", *options, folder=folder)


@pytest.mark.parametrize(
    "change",
    [
        value("bound", {"status": "measured", "value": "x"}, row=1),
        value("bound", {"status": "measured", "value": 3}, row=1),
        value("multiplications", {"status": "exact", "value": -1}, row=1),
        value("effective_stride", {"status": "exact", "value": []}, row=1),
        value("effective_stride", {"status": "exact", "value": "wide"}, row=1),
        value("receptive_field", {"status": "exact", "value": [3, "wide"]}, row=1),
        value("bytes_moved", {"status": "exact", "value": 0}, row=1),
        value("compute_latency", {"status": "measured", "value": 0}, row=1),
        lambda report: report["rows"][1]["values"].pop("multiplications"),
        lambda report: report["rows"][1]["values"].pop("memory_latency"),
        lambda report: report["totals"].update(bound={"status": "measured", "value": 3}),
    ],
)
def test_a_profile_that_has_no_place_under_the_roofline_is_refused(
    change: Change, profiled: str, tmp_path: Path
) -> None:
    report = json.loads(profiled)
    # beside other work a row can be faster than the ceilings, and then has no bound
    report["rows"][1]["values"] |= {
        "bound": {"status": "measured", "value": "overhead"},
        "roofline_share": {"status": "measured", "value": 0.5},
    }
    (tmp_path / "whole.json").write_text(json.dumps(report))
    assert "bound by overhead" in fine("render", "whole.json", "--quiet", folder=tmp_path)
    change(report)
    assert "saved.json: not a valid report: " in rendered(tmp_path, json.dumps(report))


@pytest.mark.parametrize(
    "change",
    [
        lambda report: report["rows"][0].update(name="a\x1b[2Jb"),
        lambda report: report["rows"][1].update(variant="c\x1b[31md"),
        lambda report: report.update(notices=["e\x1b]0;f\x07"]),
    ],
)
def test_a_report_that_would_steer_the_terminal_is_refused(
    change: Change, counted_report: str, tmp_path: Path
) -> None:
    report = json.loads(counted_report)
    change(report)
    assert "not printable" in rendered(tmp_path, json.dumps(report))


FAILS_ON_DATA = """
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)
    def forward(self, x):
        if type(x) is torch.Tensor:
            raise IndexError("no such entry")
        return self.conv(x)
net = Net()
"""


@pytest.mark.parametrize("command", ["profile", "compare"])
def test_what_forward_raises_on_data_is_told_as_the_models(command: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FAILS_ON_DATA)
    options = ("--input", "1x3x8x8", "--seconds", "0.1")
    told = refused(command, "net.py:net", *options, folder=tmp_path)
    assert "forward raised on cpu: IndexError: no such entry" in told
    assert "example_inputs" in told


def test_a_forward_that_reads_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, n=1): return torch.zeros(3)\n"
        "net = Net()\nexample_inputs = {'n': 1}\n"
    )
    told = refused("profile", "net.py:net", "--no-measure", folder=tmp_path)
    assert "forward reads neither an input nor a parameter" in told


def test_a_model_without_a_tensor_among_its_inputs_is_counted(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.linear = torch.nn.Linear(3, 5)\n"
        "        self.x = torch.nn.Parameter(torch.zeros(2, 3))\n"
        "    def forward(self, n=1): return self.linear(self.x * n)\n"
        "net = Net()\nexample_inputs = {'n': 1}\n"
    )
    out = fine("profile", "net.py:net", "--no-measure", "--format", "json", folder=tmp_path)
    assert json.loads(out)["totals"]["multiplications"]["value"] == 2 * 3 * 5


def test_a_file_keeps_its_permissions_and_a_device_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    path.touch(0o600)
    out = fine("compare", "--no-measure", "-o", path, "-o", "csv:/dev/null")
    assert out.startswith("primer")
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["kind"] == "compare"


def test_what_is_drawn_is_not_chosen_in_json() -> None:
    assert "leave it out" in refused("show", "--layer", "conv", "--format", "json")


def test_a_width_of_many_digits_is_none() -> None:
    ran = convcost("compare", "--no-measure", env={"COLUMNS": "9" * 5000})
    assert (ran.code, ran.err) == (0, "")


def test_a_path_that_no_file_has_is_refused() -> None:
    with pytest.raises(ConvcostError, match=r"can't be read: .*null"):
        profile("a\0b.py", measure=False)
