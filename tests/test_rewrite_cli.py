"""Comparing and rewriting models as a user does: what is printed, written and refused."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from cli import convcost, fine, refused

MODEL = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
)
example_inputs = torch.zeros(1, 3, 17, 32)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def test_a_model_is_compared_as_its_variants(folder: Path) -> None:
    out = fine("compare", "model.py", "--no-measure", folder=folder)
    rows = [line.split() for line in out.splitlines()[2:8]]
    assert [row[0] for row in rows] == [
        "variant",
        "standard",
        "atrous:rate=2",
        "separable",
        "atrous_separable:rate=2",
        "dense:output_stride=2",
    ]
    # 9·3·16 · (9·16) + 9·16·32 · (5·8) + 32·10, by hand
    counts = json.loads(fine("compare", "model.py", "--no-measure", "-f", "json", folder=folder))
    values = {row["variant"]: row["values"] for row in counts["rows"]}
    stem, head = 9 * 3 * 16 * (9 * 16), 32 * 10
    assert values["standard"]["multiplications"]["value"] == stem + 9 * 16 * 32 * (5 * 8) + head
    parts = (9 * 16 + 16 * 32) * (5 * 8)
    assert values["separable"]["multiplications"]["value"] == stem + parts + head
    dense = values["dense:output_stride=2"]
    assert dense["multiplications"]["value"] == stem + 9 * 16 * 32 * (10 * 16) + head
    assert dense["feature_map"]["value"] == [1, 32, 10, 16]
    assert dense["receptive_field"]["value"] == [7, 7]
    assert dense["response_share"]["value"] == 1 / 4
    assert "largest_difference" not in dense


def test_what_all_rewrites_leave_is_told_once(folder: Path) -> None:
    own = "class Own(nn.Conv2d):\n    def forward(self, x):\n        return super().forward(x)\n"
    text = MODEL.replace("model =", f"{own}model =").replace("nn.Conv2d(16", "Own(16")
    (folder / "model.py").write_text(text)
    variants = ("--variant", "atrous", "--variant", "separable")
    ran = convcost("compare", "model.py", "--no-measure", *variants, folder=folder)
    assert ran.err.splitlines() == [
        "note: atrous:rate=2, separable: left as they are: 2 (Own has a forward of its own)"
    ]
    (folder / "model.py").write_text(MODEL)
    keeping = ("--keep", "*", *variants, "--no-measure")
    ran = convcost("compare", "model.py", *keeping, folder=folder)
    assert ran.err.count("\n") == 1
    assert "note: atrous:rate=2, separable: nothing is rewritten" in ran.err


def test_the_layers_that_make_the_difference_are_listed(folder: Path) -> None:
    (folder / "deep.py").write_text(
        "from torch import nn\n"
        "model = nn.Sequential(nn.Conv1d(8, 8, 3), nn.Conv1d(8, 64, 3), nn.Conv1d(64, 8, 1))\n"
    )
    out = fine(
        *("compare", "deep.py", "--no-measure", "--per-layer", "-f", "json"),
        *("--variant", "separable", "--input", "1x8x32"),
        folder=folder,
    )
    layers = json.loads(out)["layers"]
    assert [(layer["name"], layer["variant"]) for layer in layers] == [
        ("1", "separable"),
        ("0", "separable"),
    ]
    saved = [layer["values"]["multiplications_saved"]["value"] for layer in layers]
    assert saved == [(3 * 8 * 64 - 3 * 8 - 8 * 64) * 28, (3 * 8 * 8 - 3 * 8 - 8 * 8) * 30]


def test_layers_that_only_see_more_are_listed_too(folder: Path) -> None:
    arguments = ("--no-measure", "--per-layer", "--variant", "atrous:rate=2", "-f", "json")
    (layer,) = json.loads(fine("compare", "model.py", *arguments, folder=folder))["layers"]
    assert layer["name"] == "2"
    assert layer["values"]["multiplications_saved"]["value"] == 0
    # the stem sees 3, the next 2 · (5 - 1) more
    assert layer["values"]["receptive_field"]["value"] == [11, 11]


def test_the_shape_of_the_output_is_part_of_the_proof(folder: Path) -> None:
    (folder / "positions.py").write_text(
        "from torch import nn\nmodel = nn.Sequential(nn.Conv2d(8, 8, 3, 2), nn.Flatten(2))\n"
    )

    def told(source: str, *arguments: str) -> str:
        out = fine("compare", source, "--no-measure", *arguments, folder=folder)
        return " ".join(out.split())

    assert "output 1×10 as before." in told("model.py", "--variant", "separable")
    dense = ("--variant", "dense:output_stride=1")
    assert "output 1×10 as before; last feature map" in told("model.py", *dense)
    sentence = told("positions.py", "--input", "1x8x9x9", *dense)
    assert "output 1×8×64 in place of 1×8×16; last feature map 1×8×8×8" in sentence


def test_a_measured_comparison_proves_the_dense_model_and_is_read_back(folder: Path) -> None:
    arguments = ("compare", "model.py", "--seconds", "0.2", "--variant", "dense:output_stride=1")
    fine(*arguments, "-o", "saved.json", folder=folder)
    saved = json.loads((folder / "saved.json").read_text())
    standard, dense = (row["values"] for row in saved["rows"])
    assert standard["latency"]["status"] == "measured"
    assert dense["latency_ratio"]["value"] > 0
    assert dense["largest_difference"]["value"] < 1e-5
    assert dense["largest_difference"]["reason"] == "within rounding of float32"
    shown = " ".join(fine("render", "saved.json", folder=folder).split())
    assert "a response at all of the input's positions, before at 1/16" in shown
    assert "receptive field 7×7 as before" in shown


POOLS = """
import torch
from torch import nn
model = nn.Sequential(
    nn.AvgPool2d(3, stride=2, ceil_mode=True), nn.Conv2d(8, 8, 3, padding="same"),
)
example_inputs = torch.zeros(1, 8, 12, 12)
"""
NAMED = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3)
    def forward(self, *, image):
        return self.conv(image)
model = Net()
example_inputs = {"image": torch.zeros(1, 8, 12, 12)}
"""


def measured_quickly(source: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """The table, in one line, and each variant's second count."""
    files = ("-o", "saved.json", "--variant", "dense:output_stride=1", "--variant", "separable")
    chosen = files if source != "named.py" else (*files[:2], *files[4:])
    out = fine("compare", source, "--seconds", "0.2", *chosen, folder=folder)
    saved = json.loads((folder / "saved.json").read_text())
    counts = {
        row["variant"]: {
            "ours": row["values"]["multiplications"]["value"],
            **row["values"]["fvcore_multiplications"],
        }
        for row in saved["rows"]
    }
    assert saved["findings"] == []
    return " ".join(out.split()), counts


def test_what_runs_is_counted_again_by_fvcore(folder: Path) -> None:
    out, counts = measured_quickly("model.py", folder)
    assert all(count["value"] == count["ours"] for count in counts.values())
    assert "✓ fvcore counts the same" in out


def test_fvcores_other_count_has_its_reason(folder: Path) -> None:
    (folder / "pools.py").write_text(POOLS)
    out, counts = measured_quickly("pools.py", folder)
    assert counts["standard"]["value"] == 0
    assert counts["standard"]["reason"] == "fvcore counts 0 for string padding"
    # 9 taps of 8 channels at 12×12 positions, and of 1 channel for the divisor
    dense = counts["dense:output_stride=1"]
    assert dense["value"] - dense["ours"] == 9 * (8 + 1) * 12 * 12
    assert dense["reason"] == "fvcore counts average pools that run as convolutions"
    assert "≠ standard: fvcore counts 0 for string padding" in out


def test_what_fvcore_can_t_count_has_no_mark(folder: Path) -> None:
    (folder / "named.py").write_text(NAMED)
    out, counts = measured_quickly("named.py", folder)
    reason = "fvcore didn't count: ValueError: fvcore takes no keyword arguments"
    assert [count["reason"] for count in counts.values()] == [reason, reason]
    assert [count["status"] for count in counts.values()] == ["unavailable", "unavailable"]
    assert f"standard, separable: {reason}" in out
    assert "≠" not in out


def test_a_rewrite_prints_its_proof_and_writes_a_program_for_any_batch(folder: Path) -> None:
    from torch.export import load  # noqa: PLC0415  it takes seconds

    arguments = ("rewrite", "model.py", "--variant", "dense:output_stride=2")
    out = " ".join(fine(*arguments, "-o", "dense.pt2", "-o", "dense.json", folder=folder).split())
    assert "last feature map 1×32×10×16 in place of 1×32×5×8" in out
    assert "sampled at the old stride it" in out
    assert sorted(p.name for p in folder.iterdir() if p.suffix in (".pt2", ".json")) == [
        "dense.json",
        "dense.pt2",
    ]
    program = load(folder / "dense.pt2").module()
    for batch in (1, 3):
        assert program(torch.rand(batch, 3, 17, 32)).shape == (batch, 10)
    profiled = fine("profile", "dense.pt2", "--no-measure", "--input", "5x3x17x32", folder=folder)
    assert "5×32×10×16" in profiled


TIMED = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.steps = nn.Linear(4, 8)
    def forward(self, x, of):
        return self.conv(x) + self.steps(of["time"])[..., None, None]
model = Net()
example_inputs = (torch.zeros(1, 8, 16, 16), {"time": torch.zeros(1, 4)})
"""


def test_a_free_batch_is_that_of_all_inputs(folder: Path) -> None:
    from torch.export import load  # noqa: PLC0415  it takes seconds

    (folder / "timed.py").write_text(TIMED)
    fine("rewrite", "timed.py", "--variant", "separable", "-o", "timed.pt2", folder=folder)
    program = load(folder / "timed.pt2").module()
    for batch in (1, 4):
        given = torch.rand(batch, 8, 16, 16), {"time": torch.rand(batch, 4)}
        assert program(*given).shape == (batch, 8, 16, 16)


FIXED = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
    def forward(self, x):
        return self.conv(x).view({view})
model = Net()
"""


@pytest.mark.parametrize(("view", "shape"), [("2, -1", (2, 8, 16, 16)), ("8, -1", (8, 16, 16))])
def test_a_program_whose_batch_is_fixed_says_so(
    view: str, shape: tuple[int, ...], folder: Path
) -> None:
    from torch.export import load  # noqa: PLC0415  it takes seconds

    (folder / "fixed.py").write_text(FIXED.format(view=view))
    given = ("--variant", "separable", "--input", "x".join(map(str, shape)))
    ran = convcost("rewrite", "fixed.py", *given, "-o", "fixed.pt2", folder=folder)
    assert ran.code == 0, ran.err
    assert "the program's batch is fixed, since" in ran.err
    program = load(folder / "fixed.pt2").module()
    assert program(torch.rand(shape)).numel() == prod(shape)


def test_each_layers_error_is_shown_where_weights_are_approximated(folder: Path) -> None:
    arguments = ("rewrite", "model.py", "--variant", "separable", "--init", "svd", "-f", "json")
    (layer,) = json.loads(fine(*arguments, folder=folder))["layers"]
    assert layer["name"] == "2"
    assert 0 < layer["values"]["weight_error"]["value"] < 1


@pytest.mark.parametrize(
    ("model", "first", "rewritten"),
    [
        ("nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3, 2))", "separable@1", (1, 2)),
        ("nn.Sequential(nn.Conv2d(8, 8, 3, 2), nn.Conv2d(8, 8, 3))", "separable", (2, 2)),
        ("nn.Conv2d(8, 8, 3, 2)", "separable", (1, 1)),
    ],
)
def test_no_more_layers_are_rewritten_than_there_are(
    model: str, first: str, rewritten: tuple[int, int], folder: Path
) -> None:
    (folder / "half.py").write_text(f"from torch import nn\nmodel = {model}\n")
    variant = f"{first}+dense:output_stride=1"
    arguments = ("--variant", variant, "--input", "1x8x33x33", "-f", "json")
    report = json.loads(fine("rewrite", "half.py", *arguments, folder=folder))
    values = report["rows"][1]["values"]
    assert (values["rewritten"]["value"], values["convolutions"]["value"]) == rewritten
    assert len(report["layers"]) == rewritten[0]


FILES = {
    "pointwise.py": "from torch import nn\nmodel = nn.Sequential(nn.Conv2d(8, 8, 1))\n",
    "own.py": (
        "from torch import nn\n"
        "class Own(nn.Conv2d):\n    def forward(self, x):\n        return super().forward(x)\n"
        "model = Own(8, 8, 3)\n"
    ),
    "reflect.py": (
        "from torch import nn\n"
        "model = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, padding_mode='reflect'))\n"
    ),
    "shared.py": (
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.same = nn.Conv2d(8, 8, 3, stride=2, padding=1)\n"
        "    def forward(self, x):\n        return self.same(self.same(x))\n"
        "model = Net()\n"
    ),
    "broken.py": (
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.c = nn.Conv2d(8, 8, 3)\n"
        "    def forward(self, x):\n        raise RuntimeError('no way')\n"
        "model = Net()\n"
    ),
    "meta.py": ("from torch import nn\nmodel = nn.Sequential(nn.Conv2d(8, 8, 3, device='meta'))\n"),
    "sized.py": (
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.up = nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1)\n"
        "    def forward(self, x):\n        return self.up(x, output_size=(32, 32))\n"
        "build = Net\n"
    ),
    "reads.py": (
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.c = nn.Conv2d(8, 8, 3)\n"
        "    def forward(self, x):\n        return self.c(x) * self.c.weight.sum()\n"
        "model = Net()\n"
    ),
}
INPUT = ("--input", "1x8x16x16")
REFUSALS = {
    "nothing eligible": (
        ("rewrite", "pointwise.py", "--variant", "separable", *INPUT),
        "nothing to rewrite as separable: of 1 convolutions none is eligible",
    ),
    "nothing but a class of its own": (
        ("rewrite", "own.py", "--variant", "separable", *INPUT),
        "(Own has a forward of its own)",
    ),
    "an output stride that isn't reachable": (
        ("rewrite", "shared.py", "--variant", "dense:output_stride=3", *INPUT),
        "output stride 3 can't be reached: the last feature map's is 4",
    ),
    "an output stride larger than there is": (
        ("compare", "shared.py", "--no-measure", "--variant", "dense:output_stride=8", *INPUT),
        "dense can't give output stride 8: the last feature map's is 4",
    ),
    "a rate that leaves no valid output": (
        ("compare", "reflect.py", "--no-measure", "--variant", "atrous:rate=99", *INPUT),
        "the model doesn't run as atrous:rate=99: in 0:",
    ),
    "a shared convolution reached at two strides": (
        ("rewrite", "shared.py", "--variant", "dense:output_stride=2", *INPUT),
        "same is shared and reached at two strides",
    ),
    "a model that can't be traced": (
        ("compare", "broken.py", "--no-measure", *INPUT),
        "no way",
    ),
    "a forward that reads what isn't there any more": (
        ("compare", "reads.py", "--no-measure", "--variant", "separable", *INPUT),
        "the model doesn't run as separable",
    ),
    "a layer that is called with what its parts don't take": (
        ("compare", "sized.py:build", "--no-measure", "--variant", "separable", *INPUT),
        "the model doesn't run as separable: in up: sized.py:7: TypeError: ",
    ),
    "weights that hold nothing": (
        ("rewrite", "meta.py", "--variant", "separable", *INPUT),
        "the model's weights are on the meta device",
    ),
    "weights that hold nothing, to measure": (
        ("compare", "meta.py", *INPUT),
        "the model's weights are on the meta device",
    ),
    "weights that hold nothing, and an input that doesn't fit": (
        ("compare", "meta.py", "--no-measure", "--input", "1x7x9x9"),
        "needs 8 input channels, found 7",
    ),
    "a program without modules": (
        ("rewrite", "some.pt2", "--variant", "separable"),
        "some.pt2: an exported program has no modules left to rewrite",
    ),
    "a program to compare": (("compare", "some.pt2"), "has no modules left to rewrite"),
    "a glob that matches nothing": (
        ("compare", "model.py", "--no-measure", "--only", "nope.*"),
        "no convolution matches 'nope.*'",
    ),
    "dense of a spec": (
        ("compare", "--no-measure", "--variant", "dense:output_stride=2"),
        "dense can't give output stride 2: the last feature map's is 1",
    ),
    "an input of a spec": (("compare", "--no-measure", *INPUT), "--set and --input are for models"),
    "a batch of a model": (
        ("compare", "model.py", "--no-measure", "--batch", "2"),
        "--batch is for specs",
    ),
    "approximated weights of what keeps them": (
        ("rewrite", "model.py", "--variant", "atrous", "--init", "svd"),
        "--init svd is for separable variants",
    ),
    "a suffix that tells nothing": (
        ("rewrite", "model.py", "--variant", "separable", "-o", "sep.py"),
        "use one of .pt2, .txt, .json, .csv, .md, .html, .svg, .png, or name it: FORMAT:sep.py",
    ),
    "a folder that isn't there": (
        ("rewrite", "model.py", "--variant", "separable", "-o", "nowhere/model.pt2"),
        "there is no folder nowhere",
    ),
}


@pytest.mark.parametrize(("arguments", "told"), REFUSALS.values(), ids=REFUSALS)
def test_bad_input_is_told_and_nothing_is_written(
    arguments: tuple[str, ...], told: str, folder: Path
) -> None:
    for name, text in FILES.items():
        (folder / name).write_text(text)
    before = sorted(path.name for path in folder.iterdir())
    error = " ".join(refused(*arguments, folder=folder).split())
    assert told in error
    after = sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")
    assert after == before


def test_an_unknown_option_of_a_variant_is_a_mistake_of_usage(folder: Path) -> None:
    ran = convcost("rewrite", "model.py", "--variant", "dense:stride=2", folder=folder)
    assert ran.code == 2
    assert "dense has no option 'stride'; its options: output_stride" in " ".join(ran.err.split())


def test_what_is_left_alone_is_noted(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).write_text(text)
    ran = convcost("compare", "own.py", "--no-measure", *INPUT, folder=folder)
    assert ran.code == 0
    assert "Own has a forward of its own" in ran.err
