"""``convcost check`` as a user runs it: limits, levels, baselines, exit codes."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from cli import assert_refusal, convcost, fine, refused

SPEC = """\
version: 1
name: net
input: [3, 12, 12]
layers:
  - {name: stem.a, conv: {out_channels: 8, kernel_size: 3}}
  - {name: stem.b, conv: {out_channels: 4, kernel_size: 3}}
"""
PARAMETERS = (3 * 3 * 3 + 1) * 8 + (3 * 3 * 8 + 1) * 4
MULTIPLICATIONS = 3 * 3 * 3 * 8 * (10 * 10) + 3 * 3 * 8 * 4 * (8 * 8)


def written(folder: Path, limits: str, *, layers: str = "", more: str = "") -> Path:
    """A folder with a spec and a configuration that has one check."""
    (folder / "net.yaml").write_text(SPEC, encoding="utf-8")
    lines = ["version: 1", "checks:", "  - name: net", "    source: net.yaml"]
    lines += [f"    {line}" for line in more.splitlines()]
    lines += [f"    limits: {limits}"] if limits else []
    lines += [f"    layers: {layers}"] if layers else []
    (folder / "convcost.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def checked(folder: Path, *options: str, code: int = 0) -> Any:
    """The JSON report of a check that ends with ``code``."""
    ran = convcost("check", "--format", "json", *options, folder=folder)
    assert ran.code == code, ran
    return json.loads(ran.out)


def outcomes(report: Any) -> list[tuple[str, str, str]]:
    return [(limit["metric"], limit["bound"], limit["outcome"]) for limit in report["limits"]]


# limits


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (f"{{parameters: {{max: {PARAMETERS}}}}}", 0),
        (f"{{parameters: {{max: {PARAMETERS - 1}}}}}", 1),
        (f"{{parameters: {{min: {PARAMETERS}}}}}", 0),
        (f"{{parameters: {{min: {PARAMETERS + 1}}}}}", 1),
        (f"{{multiplications: {{max: {MULTIPLICATIONS / 1e3} k}}}}", 0),
        (f"{{multiplications: {{max: {(MULTIPLICATIONS - 1) / 1e3} k}}}}", 1),
        ("{receptive_field: {min: 5, max: 5}}", 0),
        ("{receptive_field: {min: 6}}", 1),
        ("{receptive_field_density: {min: 100%}}", 0),
        (f"{{parameter_bytes: {{max: {PARAMETERS * 4} B}}}}", 0),
        (f"{{parameters: {{max: {PARAMETERS - 1}, level: warn}}}}", 0),
        ("{parameters: {max: 1, level: off}, receptive_field: {min: 5}}", 0),
        ("{multiplications_ratio: {variant: separable, max: 0.9}}", 0),
        ("{multiplications_ratio: {variant: separable, max: 0.01}}", 1),
    ],
)
def test_a_limit_is_kept_or_broken_by_one(limits: str, code: int, tmp_path: Path) -> None:
    checked(written(tmp_path, limits), code=code)


def test_a_finding_says_all_there_is_to_say(tmp_path: Path) -> None:
    folder = written(tmp_path, f"{{parameters: {{max: {PARAMETERS - 10}}}}}", more="message: look")
    (finding,) = checked(folder, code=1)["findings"]
    assert finding == {
        "name": "net",
        "variant": "standard",
        "metric": "parameters",
        "message": f"net: parameters: found {PARAMETERS}, expected at most {PARAMETERS - 10}: "
        f"10 ({10 / (PARAMETERS - 10):.1%} too much".replace("%", " %)"),
        "level": "error",
        "bound": "max",
        "expected": PARAMETERS - 10,
        "found": PARAMETERS,
        "change": 10,
        "note": "look",
        "hint": "reduce it, or raise the limit at convcost.yaml:6",
        "file": "convcost.yaml",
        "line": 6,
    }


def test_a_limit_of_layers_is_of_each_that_the_glob_matches(tmp_path: Path) -> None:
    layers = '{"stem.*": {parameters: {max: 230}}, "*.b": {receptive_field: {max: 5}}}'
    report = checked(written(tmp_path, "", layers=layers), code=1)
    assert [(limit["layer"], limit["outcome"]) for limit in report["limits"]] == [
        ("stem.a", "kept"),
        ("stem.b", "broken"),
        ("stem.b", "kept"),
    ]


def test_layers_may_also_stand_among_the_limits(tmp_path: Path) -> None:
    report = checked(written(tmp_path, "{layers: {stem.a: {parameters: {max: 1 k}}}}"))
    assert [limit["layer"] for limit in report["limits"]] == ["stem.a"]


def test_a_glob_that_matches_nothing_is_no_pass(tmp_path: Path) -> None:
    folder = written(tmp_path, "", layers='{"head.*": {parameters: {max: 1}}}')
    told = refused("check", folder=folder)
    assert "convcost.yaml:5: no layer matches 'head.*'" in told
    assert "stem.a, stem.b" in told
    relative = '{"head.*": {parameters: {max_increase: 1%}}}'
    told = refused("check", folder=written(tmp_path, "", layers=relative))
    assert "error: convcost.yaml:5: no layer matches 'head.*'" in told
    told = refused("check", folder=written(tmp_path, "", layers="{stem: {parameters: {max: 1}}}"))
    assert "no layer matches 'stem': it is a module, and limits are of layers" in told
    assert "hint: stem.* is each of its layers, by itself" in told


def test_figures_that_look_alike_get_more_digits(tmp_path: Path) -> None:
    folder = written(tmp_path, f"{{multiplications: {{max: {MULTIPLICATIONS - 1}}}}}")
    (finding,) = checked(folder, code=1)["findings"]
    assert "found 40.032 k, expected at most 40.031 k" in finding["message"]


# finding the configuration


def test_the_configuration_is_found_upwards(tmp_path: Path) -> None:
    written(tmp_path, "{receptive_field: {min: 5}}")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert "1 kept" in fine("check", folder=below)
    assert "1 kept" in fine("check", tmp_path / "convcost.yaml", folder=Path("/"))


def test_no_configuration_is_told(tmp_path: Path) -> None:
    told = refused("check", folder=tmp_path)
    assert f"there is no convcost.yaml in {tmp_path} or above it" in told
    assert "convcost init" in told
    assert "gone.yaml: no such file" in refused("check", "gone.yaml", folder=tmp_path)


def test_all_sources_that_can_not_be_counted_are_told_with_their_lines(tmp_path: Path) -> None:
    folder = written(tmp_path, "{parameters: {max: 1}}")
    text = (folder / "convcost.yaml").read_text()
    gone = "  - {name: %s, source: %s, limits: {parameters: {max: 1}}}\n"
    lines = (gone % ("first", "gone.py"), gone % ("second", "gone.yaml"))
    (folder / "convcost.yaml").write_text(text + "".join(lines))
    at = len(text.splitlines()) + 1
    told = refused("check", folder=folder)
    assert f"convcost.yaml:{at}: first: gone.py: no such file" in told
    assert f"convcost.yaml:{at + 1}: second: gone.yaml: no such file" in told


# exit codes


def test_exit_zero_hides_a_broken_limit_and_nothing_else(tmp_path: Path) -> None:
    folder = written(tmp_path, "{parameters: {max: 1}}")
    checked(folder, "--exit-zero", code=0)
    (folder / "net.yaml").unlink()
    assert "net.yaml: no such file" in refused("check", "--exit-zero", folder=folder)


@pytest.mark.parametrize(
    ("limits", "options", "why"),
    [
        ("{parameters: {max: 1, level: off}}", (), "every limit is off"),
        ("{latency: {max_increase: 5%}}", (), "give --against REV"),
        ("{latency: {max: 1 s}}", ("--exact",), "--exact leaves out what is timed"),
    ],
)
def test_nothing_checked_is_no_pass(
    limits: str, options: tuple[str, ...], why: str, tmp_path: Path
) -> None:
    told = refused("check", *options, "--exit-zero", folder=written(tmp_path, limits))
    assert "nothing was checked" in told
    assert why in told


def test_relative_latency_without_a_base_is_skipped_with_a_notice(tmp_path: Path) -> None:
    timed = "latency: {max_increase: 5%}, latency_ratio: {variant: separable, max: 99}"
    limits = f"{{parameters: {{max: 1 M}}, {timed}}}"
    ran = convcost("check", "--exact", folder=written(tmp_path, limits))
    assert ran.code == 0
    assert "skipped net: latency, net: latency_ratio: --exact" in ran.err
    assert "1 kept, 2 skipped" in ran.out


def test_timed_limits_of_this_machine_are_measured(tmp_path: Path) -> None:
    limits = "{latency: {max: 10 s}, latency_ratio: {variant: separable, max: 1000}}"
    report = checked(written(tmp_path, limits))
    latency, ratio = report["limits"]
    assert latency["outcome"] == "kept"
    # beside other work its run may be one that can't be trusted, and then says why
    assert (ratio["outcome"], bool(ratio["reason"])) in [("kept", False), ("inconclusive", True)]
    assert {limit["found"]["status"] for limit in report["limits"]} == {"measured"}


def test_a_ratio_is_also_of_a_model_with_the_input_that_the_check_gives(tmp_path: Path) -> None:
    ratios = "multiplications_ratio: {variant: separable, max: 0.99}"
    timed = "latency_ratio: {variant: 'atrous:rate=2', max: 1000}"
    written(tmp_path, f"{{{ratios}, {timed}}}", more="input: [2, 3, 9, 9]")
    config = tmp_path / "convcost.yaml"
    config.write_text(config.read_text().replace("net.yaml", "net.py"))
    (tmp_path / "net.py").write_text("import torch\nmodel = torch.nn.Conv2d(3, 8, 3)\n")
    exact, measured = checked(tmp_path)["limits"]
    # 27 multiplications for each of 8 outputs, against 27 and 3 for each of 8
    assert exact["found"] == {"status": "exact", "value": (27 + 3 * 8) / (27 * 8)}
    assert measured["found"]["status"] == "measured"


def test_an_absolute_latency_is_broken_after_two_runs(tmp_path: Path) -> None:
    report = checked(written(tmp_path, "{latency: {max: 1 ns}}"), "--seconds", "2", code=1)
    assert outcomes(report) == [("latency", "max", "broken")]


# what isn't known


def test_a_bound_that_proves_nothing_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(ODD, encoding="utf-8")
    for limit, code in (("{max: 1}", 1), ("{min: 1}", 0)):
        config(tmp_path, limit)
        assert convcost("check", folder=tmp_path).code == code
    config(tmp_path, "{max: 1 G}")
    told = refused("check", folder=tmp_path)
    assert "multiplications is only a lower bound" in told
    assert "level: off leaves it out" in told


def test_an_increase_of_what_isnt_known_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(ODD, encoding="utf-8")
    config(tmp_path, "{max_increase: 1%}")
    for options in ((), ("--update",)):
        (tmp_path / "convcost-baseline.json").write_text(
            '{"version": 1, "checks": {"odd": {"totals": {}}}}'
        )
        told = refused("check", *options, folder=tmp_path)
        assert "convcost.yaml:3: odd: multiplications is only a lower bound: " in told
        assert "make it" not in told


ODD = """\
import torch
class Odd(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3)
    def forward(self, x):
        return torch.linalg.matrix_exp(self.conv(x))
"""


def config(folder: Path, limit: str) -> None:
    (folder / "convcost.yaml").write_text(
        "version: 1\nchecks:\n  - {name: odd, source: model.py, input: [1, 3, 12, 12], "
        f"limits: {{multiplications: {limit}}}}}\n"
    )


# baselines

RELATIVE = "{parameters: {max_increase: 1%}, receptive_field: {max_increase: 0%}}"


def test_without_a_baseline_the_command_is_told(tmp_path: Path) -> None:
    told = refused("check", folder=written(tmp_path, RELATIVE))
    assert "convcost-baseline.json: there is no baseline yet" in told
    assert "make it: convcost check --update\n" in told
    spaced = tmp_path / "my costs.yaml"
    (tmp_path / "convcost.yaml").rename(spaced)
    told = refused("check", spaced.name, folder=tmp_path)
    assert "make it: convcost check 'my costs.yaml' --update\n" in told


def test_an_update_writes_sorted_exact_costs_and_no_times(tmp_path: Path) -> None:
    layers = '{"stem.*": {multiplications: {max_increase: 1%}}}'
    folder = written(tmp_path, RELATIVE, layers=layers)
    checked(folder, "--update")
    text = (folder / "convcost-baseline.json").read_text(encoding="utf-8")
    assert text == BASELINE
    checked(folder, "--update")
    assert (folder / "convcost-baseline.json").read_text(encoding="utf-8") == text
    assert outcomes(checked(folder))[0] == ("parameters", "max_increase", "kept")
    assert sorted(path.name for path in folder.iterdir()) == [
        "convcost-baseline.json",
        "convcost.yaml",
        "net.yaml",
    ]


BASELINE = """\
{
  "checks": {
    "net": {
      "layers": {
        "stem.a": {
          "multiplications": 21600
        },
        "stem.b": {
          "multiplications": 18432
        }
      },
      "totals": {
        "activation_bytes": 5952,
        "arithmetic_intensity": 7.138373751783167,
        "bytes_moved": 11216,
        "effective_stride": [1, 1],
        "multiplications": 40032,
        "parameter_bytes": 2064,
        "parameters": 516,
        "peak_activation_bytes": 4928,
        "receptive_field": [5, 5],
        "receptive_field_density": 1.0,
        "receptive_field_largest_hole": [0, 0]
      }
    }
  },
  "version": 1
}
"""


def test_an_increase_is_held_against_the_baseline(tmp_path: Path) -> None:
    folder = written(tmp_path, RELATIVE)
    checked(folder, "--update")
    wider = SPEC.replace("out_channels: 4, kernel_size: 3", "out_channels: 4, kernel_size: 5")
    (folder / "net.yaml").write_text(wider, encoding="utf-8")
    first, second = checked(folder, code=1)["findings"]
    assert "parameters: found 516 → 1,028, expected at most +1 %: +99 %" in first["message"]
    assert "receptive field: found 5 → 7, expected at most +0 %: +40 %" in second["message"]
    assert "approve the new costs:\nconvcost check --update" in first["hint"]
    checked(folder, "--update")
    checked(folder)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("[3, 9]", "[9, 9]", "found 3 → 9, expected at most +0 %: +200 %"),
        ("[3, 9]", "[5, 11]", "found 3 → 5, expected at most +0 %: +67 %"),
        ("[9, 3]", "[7, 5]", "found 3 → 5, expected at most +0 %: +67 %"),
        ("[3, 9]", "[3, 7]", ""),
    ],
)
def test_an_increase_is_that_of_the_axis_that_grew_most(
    before: str, after: str, told: str, tmp_path: Path
) -> None:
    folder = written(tmp_path, "{receptive_field: {max_increase: 0%}}")
    layer = "conv: {out_channels: 8, kernel_size: KERNEL}"
    spec = f"version: 1\ninput: [3, 12, 12]\nlayers:\n  - {layer}\n"
    (folder / "net.yaml").write_text(spec.replace("KERNEL", before))
    checked(folder, "--update")
    (folder / "net.yaml").write_text(spec.replace("KERNEL", after))
    found = checked(folder, "--output", "check.svg", code=1 if told else 0)["findings"]
    assert [told in finding["message"] for finding in found] == ([True] if told else [])


def test_an_increase_below_min_delta_is_none(tmp_path: Path) -> None:
    folder = written(tmp_path, "{parameters: {max_increase: 1%, min_delta: 600}}")
    checked(folder, "--update")
    wider = SPEC.replace("out_channels: 4, kernel_size: 3", "out_channels: 4, kernel_size: 5")
    (folder / "net.yaml").write_text(wider, encoding="utf-8")
    checked(folder)


def test_a_renamed_check_and_a_missing_value_are_no_pass(tmp_path: Path) -> None:
    folder = written(tmp_path, RELATIVE)
    checked(folder, "--update")
    path = folder / "convcost.yaml"
    path.write_text(path.read_text().replace("name: net", "name: other"))
    told = refused("check", folder=folder)
    assert "has no other; renamed? it has net" in told
    assert "--update" in told
    written(folder, "", layers="{stem.a: {parameters: {max_increase: 1%}}}")
    assert "has no parameters of net: stem.a" in refused("check", folder=folder)


def test_configurations_of_one_folder_share_a_baseline(tmp_path: Path) -> None:
    text = (written(tmp_path, RELATIVE) / "convcost.yaml").read_text()
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / "b.yaml").write_text(text.replace("name: net", "name: other"))
    ran = convcost("check", "a.yaml", "--update", folder=tmp_path)
    assert (ran.code, ran.err) == (0, "wrote convcost-baseline.json\n")
    ran = convcost("check", "b.yaml", "--update", folder=tmp_path)
    assert "keeps net of other configurations: delete what none has" in ran.err
    for name in ("a.yaml", "b.yaml"):
        assert "2 kept" in fine("check", name, folder=tmp_path)
    (tmp_path / "convcost-baseline.json").write_text("<<<<<<< HEAD")
    assert convcost("check", "b.yaml", "--update", folder=tmp_path).code == 0
    assert "has no net" in refused("check", "a.yaml", folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        (BASELINE[:200], "not valid JSON"),
        ("\x00\x01", "not valid JSON"),
        ("[1]", "version null, this convcost reads 1"),
        (BASELINE.replace('"version": 1', '"version": 2'), "version 2, this convcost reads 1"),
        (BASELINE.replace('"version": 1', '"version": true'), "version true"),
        ('{"version": 1}', "checks: expected a mapping, found null"),
        ('{"version": 1, "checks": {"net": 3}}', "checks.net: expected a mapping with totals"),
        (BASELINE.replace("516", '"many"'), "checks.net.totals.parameters: 'many'"),
        (BASELINE.replace("516", "NaN"), "checks.net.totals.parameters"),
        (BASELINE.replace("516", "[]"), "checks.net.totals.parameters"),
        (BASELINE.replace("516", "[1, 2]"), "checks.net.totals.parameters"),
        (BASELINE.replace("516", "-5"), "checks.net.totals.parameters: -5"),
        (BASELINE.replace("516", '"global"'), "checks.net.totals.parameters: 'global'"),
        (BASELINE.replace('"parameters"', '"colour"'), "checks.net.totals.colour"),
        ("[" * 100_000, "not a JSON text file"),
    ],
)
def test_a_baseline_that_isnt_one_is_told(text: str, message: str, tmp_path: Path) -> None:
    folder = written(tmp_path, RELATIVE)
    (folder / "convcost-baseline.json").write_text(text)
    (folder / "convcost.yaml").rename(folder / "mine.yaml")
    told = refused("check", "mine.yaml", folder=folder)
    assert "convcost-baseline.json" in told
    assert message in told
    assert "convcost check mine.yaml --update writes a new one" in told


def _update(folder: str) -> None:
    ran = convcost("check", "--update", folder=Path(folder))
    assert ran.code == 0, ran


def test_two_updates_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    folder = written(tmp_path, RELATIVE)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(_update, [str(folder)] * 4)
    json.loads((folder / "convcost-baseline.json").read_text())
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_an_update_that_cant_count_writes_nothing(tmp_path: Path) -> None:
    folder = written(tmp_path, RELATIVE)
    checked(folder, "--update")
    before = (folder / "convcost-baseline.json").read_bytes()
    (folder / "net.yaml").write_text("version: 3\n")
    refused("check", "--update", folder=folder)
    assert (folder / "convcost-baseline.json").read_bytes() == before


# models


MODEL = """\
import torch, sys, os
print("said by the model")
os.write(1, b"said past Python\\n")
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = torch.nn.ModuleDict(PARTS)
    def forward(self, x):
        for part in self.parts.values():
            x = part(x)
        return x
"""


def test_a_models_prints_are_no_data(tmp_path: Path) -> None:
    parts = '{"a": torch.nn.Conv2d(3, 8, 3)}'
    (tmp_path / "model.py").write_text(MODEL.replace("PARTS", parts))
    config(tmp_path, "{max: 1 M}")
    ran = convcost("check", "--format", "json", folder=tmp_path)
    assert json.loads(ran.out)["kind"] == "check"
    assert "said by the model" in ran.err
    assert "said past Python" in ran.err


@pytest.mark.parametrize(
    ("code", "of_checks", "of_diffs"),
    [
        (
            "model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Linear(7, 7))",
            "no input given: 1×3×224×224 is assumed; say input: in the configuration",
            "no input given: 1×3×224×224 is assumed; use example_inputs in the file",
        ),
        (
            "class Model(torch.nn.Module):\n    def __init__(self, a, b): ...",
            "name a function without arguments that builds it",
            "name a function without arguments that builds it",
        ),
        (
            "model = torch.nn.Embedding(9, 9)",
            "say input: in the configuration, as in 1×128, or example_inputs = torch",
            "use example_inputs in the file, as in 1×128, or example_inputs = torch",
        ),
    ],
)
def test_advice_names_no_option_that_there_isnt(
    code: str, of_checks: str, of_diffs: str, tmp_path: Path
) -> None:
    (tmp_path / "model.py").write_text(f"import torch\n{code}\n")
    config(tmp_path, "{max: 1 M}")
    path = tmp_path / "convcost.yaml"
    path.write_text(path.read_text().replace("input: [1, 3, 12, 12], ", ""))
    assert of_checks in refused("check", folder=tmp_path)
    assert of_diffs in refused("diff", "model.py", "model.py", folder=tmp_path)


def test_a_notice_names_no_option_that_there_isnt(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("import torch\nmodel = torch.nn.Conv2d(3, 8, 3)\n")
    ran = convcost("diff", "model.py", "model.py", folder=tmp_path)
    assert "1×3×224×224 is assumed; use example_inputs in the file" in ran.err
    assert "--input" not in ran.err


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os; os.kill(os.getpid(), 11)", "ended with signal 11"),
        ("import os; os._exit(3)", "ended with exit code 3"),
        ("import time; time.sleep(60)", "not ready after 3 s"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_model_that_ends_or_hangs_is_told(code: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(f"{code}\n")
    config(tmp_path, "{max: 1 M}")
    ran = convcost("check", "--time-limit", "3", folder=tmp_path)
    assert_refusal(ran)
    assert message in ran.err
    assert "model.py" in ran.err


# init


def test_init_writes_what_check_keeps(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(SPEC)
    (tmp_path / "model.py").write_text("import torch\nmodel = torch.nn.Conv2d(3, 8, 3)\n")
    ran = convcost("init", "net.yaml", "model.py", folder=tmp_path)
    assert ran.code == 0, ran
    text = (tmp_path / "convcost.yaml").read_text()
    assert f"parameters: {{max: {PARAMETERS}}}" in text
    assert "receptive_field: {min: 5}" in text
    assert "input: [1, 3, 224, 224]" in text
    report = checked(tmp_path)
    assert {limit["outcome"] for limit in report["limits"]} == {"kept", "skipped"}


def test_init_says_what_it_assumed_and_what_it_left_out(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8))\n"
        "def make(width):\n    return model\n"
    )
    ran = convcost("init", "net.py", folder=tmp_path)
    assert ran.code == 0, ran
    assert ran.err.splitlines() == [
        "note: net: no input given: 1×3×224×224 is assumed; change input: in the configuration",
        "note: net: no limit of receptive field: it is global",
        "wrote convcost.yaml; convcost check holds the limits",
    ]
    told = refused("init", "net.py:make", "--config", "other.yaml", folder=tmp_path)
    assert "hint: name a function without arguments that builds it" in told


def test_init_leaves_inputs_to_a_file_that_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = torch.nn.Conv2d(3, 4, 3)\n"
        "    def forward(self, *, image):\n"
        "        return self.conv(image)\n"
        "net = Net()\n"
        "example_inputs = {'image': torch.zeros(1, 3, 8, 8)}\n"
    )
    assert convcost("init", "net.py:net", folder=tmp_path).code == 0
    assert "input:" not in (tmp_path / "convcost.yaml").read_text()
    assert convcost("check", "--exact", folder=tmp_path).code == 0


def test_init_never_overwrites_unasked(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(SPEC)
    (tmp_path / "convcost.yaml").write_text("mine")
    assert "convcost.yaml: is already there" in refused("init", "net.yaml", folder=tmp_path)
    assert (tmp_path / "convcost.yaml").read_text() == "mine"
    assert convcost("init", "net.yaml", "--force", folder=tmp_path).code == 0
    assert 'source: "net.yaml"' in (tmp_path / "convcost.yaml").read_text()
    refused("init", "gone.yaml", "--config", "new.yaml", folder=tmp_path)
    assert not (tmp_path / "new.yaml").exists()
