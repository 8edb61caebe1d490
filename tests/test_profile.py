"""``convcost profile``: what it shows of a model, how rows are chosen, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import textwrap
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from cli import COMMAND, assert_no_fault, assert_refusal, convcost, environment
from torch import Tensor, nn

import convcost as convcost_package
from convcost import render
from convcost.errors import ConvcostError
from convcost.measure import rounds
from convcost.render.sections import title
from convcost.report import Report, Row, Value, number
from convcost.workflows.profile import ProfileRequest, profile

IMPORTS = "import torch\nfrom torch import nn\n"
SUMMED = ("parameters", "parameter_bytes", "multiplications", "activation_bytes", "bytes_moved")
NET = """
class Net(nn.Module):
    def __init__(self, width=4, deep=False):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2), nn.BatchNorm2d(width), nn.ReLU())
        self.body = nn.Sequential(*[Block(width) for _ in range(3 if deep else 2)])
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.body(self.stem(x))
        return self.head(x.mean((2, 3)))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width, 1))
        self.scale = nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, x):
        y = self.conv(x)
        return x + y * torch.sigmoid(self.gate(y)) * self.scale
"""
SHARED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.inner = nn.ModuleDict({"a": nn.Sequential(self.conv, self.relu)})
        self.unused = nn.Linear(7, 5)

    def forward(self, x):
        for _ in range(3):
            x = self.relu(self.conv(x)) + self.inner["a"](x)
        return x[..., ::2, ::2].flatten(1) @ x.new_ones(3 * 4 * 4, 2)
"""
FUSION = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rgb = nn.Sequential(nn.Conv2d(3, 4, 3))
        self.depth = nn.Conv2d(1, 4, 3)

    def forward(self, rgb, depth):
        return self.rgb(rgb) + self.depth(depth)

example_inputs = {"rgb": (1, 3, 8, 8), "depth": (1, 1, 8, 8)}
"""
ATTENTION = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.layers = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)

    def forward(self, x):
        y = self.patches(x)
        tokens = self.layers(y.flatten(2).transpose(1, 2))
        return {"tokens": tokens, "maps": [y, tokens.mean(1)]}
"""
MODELS = {"net": NET, "shared": SHARED, "attention": ATTENTION}


def write(folder: Path, text: str, name: str = "net.py") -> str:
    path = folder / name
    path.write_text(IMPORTS + textwrap.dedent(text), encoding="utf-8")
    return str(path)


def counted(source: str, *shape: int, **settings: Any) -> Report:
    asked = ProfileRequest(source, inputs=(shape or (1, 3, 8, 8),), measure=False, **settings)
    return profile(asked)


def names(report: Report) -> list[str]:
    return [row.name for row in report.rows]


def value(row: Row, key: str) -> float:
    return number(row.values[key])


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of ``Net``: a stem, two blocks that squeeze and excite, and a head."""
    return write(tmp_path_factory.mktemp("net"), NET) + ":Net"


# Rows


def test_rows_are_in_running_order(tmp_path: Path) -> None:
    source = write(
        tmp_path,
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.last, self.first = nn.Linear(4, 2), nn.Linear(8, 4)
                self.middle = nn.ReLU()

            def forward(self, x):
                return self.last(self.middle(self.first(x)))
        """,
    )
    assert names(counted(source, 2, 8)) == ["input", "first", "middle", "last"]


def test_a_row_tells_what_its_layer_does(net: str) -> None:
    stem = next(row for row in counted(net).rows if row.name == "stem.0")
    assert (stem.module, stem.op, stem.output_shape) == ("stem.0", "conv", (1, 4, 3, 3))
    assert value(stem, "parameters") == 4 * 3 * 9 + 4
    assert value(stem, "multiplications") == (3 * 3) * 4 * 3 * 9
    assert value(stem, "activation_bytes") == 4 * (4 * 3 * 3)
    read, weights, wrote = 3 * 8 * 8, 4 * 3 * 9 + 4, 4 * 3 * 3
    assert value(stem, "bytes_moved") == 4 * (read + weights + wrote)
    work = 2 * (3 * 3) * 4 * 3 * 9
    assert value(stem, "arithmetic_intensity") == work / (4 * (read + weights + wrote))
    assert stem.values["receptive_field"] == Value("exact", (3, 3))
    assert stem.values["effective_stride"] == Value("exact", (2, 2))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "rows", [{}, {"expand": True}, {"depth": 1}, {"depth": 2}, {"depth": 3}, {"depth": 9}]
)
def test_rows_add_up_to_the_totals(model: str, rows: dict[str, Any], tmp_path: Path) -> None:
    report = counted(write(tmp_path, MODELS[model]) + ":Net", **rows)
    for key in SUMMED:
        assert sum(value(row, key) for row in report.rows) == number(report.totals[key]), key


@pytest.mark.parametrize("model", MODELS)
def test_totals_are_the_same_however_rows_are_shown(model: str, tmp_path: Path) -> None:
    source = write(tmp_path, MODELS[model]) + ":Net"
    plain = counted(source)
    ways: tuple[dict[str, Any], ...] = (
        {"expand": True},
        {"depth": 1},
        {"top": 1},
        {"sort": "parameters"},
        {"glob": "input"},
    )
    assert all(counted(source, **way).totals == plain.totals for way in ways)


def test_depth_folds_modules(net: str) -> None:
    assert names(counted(net, depth=1))[:3] == ["input", "stem", "body"]
    assert {"stem.0", "stem.1", "stem.2", "body.0", "body.1", "head"} < set(
        names(counted(net, depth=2))
    )


AROUND = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)
            self.pool = nn.MaxPool2d(2)
        def forward(self, x):
            x = self.pool(self.first(x)) + 1
            return self.pool(self.second(x)) + 1
"""


def test_folded_modules_stand_where_they_run(tmp_path: Path) -> None:
    report = counted(write(tmp_path, AROUND), 1, 3, 20, 20, depth=1)
    assert [(row.name, row.output_shape[-1]) for row in report.rows] == [
        ("input", 20),
        ("first", 18),
        ("pool", 9),
        ("add", 9),
        ("second", 7),
        ("pool#2", 3),
        ("add#2", 3),
    ]


def test_what_the_model_itself_does_not_use_stands_alone(tmp_path: Path) -> None:
    text = AROUND.replace("self.pool =", "self.spare = nn.Parameter(torch.zeros(5)); self.pool =")
    report = counted(write(tmp_path, text), 1, 3, 20, 20, depth=1)
    assert [row.name for row in report.rows[-2:]] == ["add#2", "unused"]
    assert value(report.rows[-1], "parameters") == 5


def test_a_folded_row_has_what_its_layers_have_together(net: str) -> None:
    folded = {row.name: row for row in counted(net, depth=1).rows}
    block = (4 * 4 * 9 + 4) + (4 * 4 + 4) + 4
    assert value(folded["body"], "parameters") == 2 * block
    assert value(folded["body"], "multiplications") == 2 * ((3 * 3) * 4 * 4 * 9 + 4 * 4)
    assert folded["stem"].output_shape == (1, 4, 3, 3)
    assert folded["stem"].op == "conv"
    assert folded["body"].values["receptive_field"].value == "global"


SEVERAL_OUTPUTS = """
class Aside(nn.Module):
    def forward(self, x):
        y = x * 2
        self.mean = y.mean(1)
        return y

class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(8, 6, batch_first=True)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.aside = Aside()

    def forward(self, x):
        y, state = self.gru(x)
        z, weights = self.attention(y, y, y)
        return {"z": self.aside(z), "weights": weights + 1, "state": state + 1}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = Body()

    def forward(self, x):
        return self.body(x)
"""


@pytest.mark.parametrize("extra", ["", "torch.linalg.norm(x).item()"], ids=["traced", "on_data"])
@pytest.mark.parametrize(
    ("depth", "layers"), [(None, ("body.gru", "body.attention", "body.aside")), (1, ("body",))]
)
def test_a_layer_with_several_outputs_has_the_shape_of_the_first(
    depth: int | None, layers: tuple[str, ...], extra: str, tmp_path: Path
) -> None:
    text = SEVERAL_OUTPUTS.replace("return self.body(x)", f"{extra}\n        return self.body(x)")
    report = counted(write(tmp_path, text) + ":Net", 1, 12, 8, depth=depth)
    shapes = {row.name: row.output_shape for row in report.rows}
    assert [shapes[name] for name in layers] == [(1, 12, 6)] * len(layers)
    assert bool(report.notices) is bool(extra)


RESULTS = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)
        def forward(self, x):
            q, r = torch.linalg.qr(self.conv(x)[..., :6])
            scores, index = q.flatten(1).topk(5)
            return scores, index + 1, r
"""


@pytest.mark.parametrize("depth", [None, 1])
def test_further_results_of_an_op_are_no_rows(depth: int | None, tmp_path: Path) -> None:
    source = write(tmp_path, RESULTS) + ":Net"
    report = counted(source, 1, 3, 12, 12, depth=depth)
    shapes = {row.name: row.output_shape for row in report.rows}
    assert "output" not in shapes
    assert (shapes["linalg_qr"], shapes["topk"]) == ((1, 8, 10, 6), (1, 5))
    expanded = counted(source, 1, 3, 12, 12, expand=True)
    assert names(expanded).count("output") == 1
    for key in SUMMED:
        assert sum(value(row, key) for row in report.rows) == number(expanded.totals[key]), key


def test_expanded_rows_are_single_ops(tmp_path: Path) -> None:
    source = write(tmp_path, ATTENTION) + ":Net"
    report = counted(source, expand=True)
    assert len(report.rows) > len(counted(source).rows)
    assert {"conv", "linear", "layer_norm", "add", "mean"} <= {row.op for row in report.rows}


@pytest.mark.parametrize("key", ["multiplications", "parameters", "activation_bytes"])
def test_sort_shows_the_largest_first(key: str, net: str) -> None:
    sizes = [value(row, key) for row in counted(net, sort=key).rows]
    assert sizes == sorted(sizes, reverse=True)


def test_sort_by_receptive_field_shows_global_before_any_number(net: str) -> None:
    fields = [
        row.values["receptive_field"].value for row in counted(net, sort="receptive_field").rows
    ]
    assert fields[0] == "global"
    spans = [field for field in fields if isinstance(field, tuple)]
    assert spans
    assert all(a >= b for a, b in pairwise(spans))


def test_top_shows_so_many_rows(net: str) -> None:
    report = counted(net, sort="multiplications", top=2)
    assert names(report) == ["body.0.conv", "body.1.conv"]


def test_filter_chooses_rows_by_name(net: str) -> None:
    assert names(counted(net, glob="body.*.conv")) == ["body.0.conv", "body.1.conv"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({}, ""),
        ({"top": 2}, ", the first 2 of 20 rows"),
        ({"top": 99}, ""),
        ({"sort": "parameters"}, ", all 20 rows, sorted by parameters"),
        ({"glob": "body.*.conv"}, ", 2 of 20 rows, filtered by 'body.*.conv'"),
        (
            {"glob": "body.*", "sort": "multiplications", "top": 1},
            ", the first 1 of 20 rows, filtered by 'body.*', sorted by multiplications",
        ),
    ],
)
def test_which_rows_are_shown_is_said(rows: dict[str, Any], said: str, net: str) -> None:
    assert title(counted(net, **rows)).endswith(f"input 1×3×8×8{said}")


def test_a_filter_that_matches_nothing_is_refused_with_names(net: str) -> None:
    with pytest.raises(ConvcostError, match="no row matches 'nope'") as caught:
        counted(net, glob="nope")
    assert "stem.0" in caught.value.hint


def test_a_sort_key_that_is_no_metric_is_refused_with_those_that_are(net: str) -> None:
    with pytest.raises(ConvcostError, match="can't sort by 'size'") as caught:
        counted(net, sort="size")
    assert "multiplications" in caught.value.hint
    with pytest.raises(ConvcostError, match="can't sort by 'multiplication'") as caught:
        counted(net, sort="multiplication")
    assert caught.value.hint.startswith("did you mean multiplications? sort by one of: ")
    with pytest.raises(ConvcostError, match="can't sort by latency: it isn't measured") as caught:
        counted(net, sort="latency")
    assert caught.value.hint == "leave out --no-measure"


def test_parameters_that_nothing_reads_have_a_row(tmp_path: Path) -> None:
    source = write(
        tmp_path,
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.never = nn.Linear(3, 2)

            def forward(self, x):
                return x
        """,
    )
    report = counted(source, 1, 3)
    assert number(report.totals["parameters"]) == 3 * 2 + 2
    assert sum(value(row, "parameters") for row in report.rows) == 3 * 2 + 2


# The command


def ran_well(*arguments: str | Path, folder: Path | None = None) -> str:
    ran = convcost("profile", *arguments, folder=folder)
    assert ran.code == 0, ran.err
    assert_no_fault(ran)
    return ran.out


def test_input_sets_the_shape_and_json_holds_everything(net: str) -> None:
    found = json.loads(ran_well(net, "--input", "2x3x16x12", "--no-measure", "--format", "json"))
    assert found["kind"] == "profile"
    assert found["input"] == [[2, 3, 16, 12]]
    assert found["notices"] == []
    stem = next(row for row in found["rows"] if row["name"] == "stem.0")
    assert stem["output_shape"] == [2, 4, 7, 5]
    assert stem["values"]["multiplications"] == {
        "status": "exact",
        "value": 2 * (7 * 5) * 4 * 3 * 9,
    }


def test_without_an_input_the_usual_one_is_assumed_and_said(net: str) -> None:
    ran = convcost("profile", net, "--no-measure", "--format", "json")
    assert json.loads(ran.out)["input"] == [[1, 3, 224, 224]]
    assert "1×3×224×224" in ran.err
    assert "--input" in ran.err


def test_several_inputs_go_to_forward_in_turn(tmp_path: Path) -> None:
    source = write(
        tmp_path,
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(8, 4), nn.Linear(6, 4)

            def forward(self, x, y):
                return self.a(x) + self.b(y)
        """,
    )
    shapes = ("--input", "2x8", "--input", "2x6")
    found = json.loads(ran_well(source, *shapes, "--no-measure", "--format", "json"))
    assert found["input"] == [[2, 8], [2, 6]]
    assert found["totals"]["multiplications"]["value"] == 2 * (8 * 4 + 6 * 4)


def test_set_gives_arguments_to_a_class(net: str) -> None:
    options = ("--set", "width=8", "--set", "deep=true", "--input", "1x3x8x8", "--no-measure")
    found = json.loads(ran_well(net, *options, "--format", "json"))
    shapes = {row["name"]: row["output_shape"] for row in found["rows"]}
    assert shapes["stem.0"] == [1, 8, 3, 3]
    assert "body.2.conv" in shapes


def test_the_same_numbers_are_in_every_format(net: str) -> None:
    options = (net, "--input", "1x3x8x8", "--no-measure", "--format")
    rows = json.loads(ran_well(*options, "json"))["rows"]
    table = list(csv.DictReader(io.StringIO(ran_well(*options, "csv"))))
    assert [line["name"] for line in table] == [row["name"] for row in rows]
    for line, row in zip(table, rows, strict=True):
        for key in SUMMED:
            assert int(line[key]) == row["values"][key]["value"]
    markdown = ran_well(*options, "markdown").replace("\\", "")
    for text in (markdown, ran_well(*options, "table")):
        assert all(row["name"] in text for row in rows if row["op"] != "input")


def test_options_choose_rows(net: str) -> None:
    options = (net, "--input", "1x3x8x8", "--no-measure", "--format", "json")

    def shown(*more: str) -> list[str]:
        return [row["name"] for row in json.loads(ran_well(*options, *more))["rows"]]

    assert shown("--depth", "1")[:3] == ["input", "stem", "body"]
    assert shown("--sort", "multiplications", "--top", "1") == ["body.0.conv"]
    assert shown("--filter", "head") == ["head"]


# Latency in place


@pytest.fixture(scope="module")
def measured(net: str) -> Any:
    options = ("--input", "1x3x64x64", "--seconds", "0.4", "--threads", "1", "--format", "json")
    return json.loads(ran_well(net, *options))


def test_shares_of_the_latency_add_up_to_1(measured: Any) -> None:
    shares = [row["values"].get("latency_share", {"value": 0})["value"] for row in measured["rows"]]
    assert abs(sum(shares) - 1) <= 1e-9
    assert all(share >= 0 for share in shares)


def test_every_latency_has_an_interval_or_a_reason(measured: Any) -> None:
    for row in measured["rows"]:
        latency = row["values"]["latency"]
        if latency["status"] == "measured":
            assert latency["low"] <= latency["value"] <= latency["high"], row["name"]
            assert latency["rounds"] >= 8
        else:
            assert latency["status"] == "unavailable"
            assert latency["reason"]


def test_every_call_of_a_layer_is_timed(measured: Any) -> None:
    timed = {row["name"] for row in measured["rows"] if row["values"]["latency"]["value"]}
    assert {"stem.0", "stem.1", "stem.2", "body.0.conv", "body.1.gate.1", "head"} <= timed


def test_the_whole_is_timed_without_the_instrument_whose_cost_is_told(measured: Any) -> None:
    totals = measured["totals"]
    assert totals["latency"]["value"] > 0
    assert totals["latency"]["low"] <= totals["latency"]["value"] <= totals["latency"]["high"]
    assert 0.5 < totals["instrument_ratio"]["value"] < 10


@pytest.mark.parametrize("rows", [("--depth", "1"), ("--expand",)])
@pytest.mark.parametrize("model", ["shared", "attention"])
def test_shares_add_up_however_rows_are_shown(
    model: str, rows: tuple[str, ...], tmp_path: Path
) -> None:
    source = write(tmp_path, MODELS[model]) + ":Net"
    options = ("--input", "1x3x8x8", "--seconds", "0.1", "--threads", "1", "--format", "json")
    found = json.loads(ran_well(source, *options, *rows))
    shares = [row["values"].get("latency_share", {"value": 0})["value"] for row in found["rows"]]
    if model == "attention":
        # torch's fast path calls no inner module: each row says why it has no time
        reasons = {row["values"]["latency"].get("reason", "") for row in found["rows"]}
        assert reasons == {"the calls differ from those of the pass without data"}
    else:
        assert abs(sum(shares) - 1) <= 1e-9
    for key in SUMMED:
        total = sum(row["values"][key]["value"] for row in found["rows"])
        assert total == found["totals"][key]["value"], key


# What is refused


def test_ctrl_c_is_told_with_what_was_measured(net: str) -> None:
    def notify(said: str, _: float | None) -> None:
        if said == "measuring, round 2":
            raise KeyboardInterrupt

    report = profile(ProfileRequest(net, inputs=((1, 3, 8, 8),)), notify)
    assert report.interrupted
    assert "interrupted: only what was measured before is shown" in report.notices
    assert "latency_share" in report.rows[1].values


def test_ctrl_c_in_the_first_round_is_why_there_is_no_latency(
    net: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rounds, "calibrate", stopped)
    report = profile(ProfileRequest(net, inputs=((1, 3, 8, 8),)))
    assert report.interrupted
    reason = "interrupted before the first round was complete"
    assert {row.values["latency"].reason for row in report.rows} == {reason}
    text = render(report, "table")
    assert f"no latency: {reason}" in text
    assert "0 rounds" not in text


def refused(folder: Path, text: str, *options: str, name: str = "net.py") -> str:
    write(folder, text, name)
    ran = convcost("profile", name, "--no-measure", *options, folder=folder)
    assert_refusal(ran)
    return ran.err


def line_of(folder: Path, text: str, name: str = "net.py") -> int:
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    return next(i for i, line in enumerate(lines, 1) if text in line)


WRONG_INPUTS = [
    ("1x5x8x8", "stem.0", "to have 3 channels, but got 5 channels"),
    ("1x3x8x8x8", "stem.0", ""),
    ("3x8", "stem.0", ""),
    ("1x3x2x2", "stem.0", ""),
]


@pytest.mark.parametrize(("shape", "layer", "wanted"), WRONG_INPUTS)
def test_a_wrong_input_shape_names_the_layer_and_what_it_wanted(
    shape: str, layer: str, wanted: str, tmp_path: Path
) -> None:
    said = refused(tmp_path, NET, "--input", shape, name="net.py")
    assert layer in said
    assert "--input" in said
    assert wanted in said


def test_a_linear_layer_that_refuses_says_how_many_features_it_wanted(tmp_path: Path) -> None:
    text = "net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))\n"
    said = refused(tmp_path, text, "--input", "1x3x9x9")
    assert "in 2" in said
    assert "144" in said
    assert str(4 * 7 * 7) in said
    assert "--input" in said


def test_a_batch_norm_that_refuses_names_both_numbers(tmp_path: Path) -> None:
    text = "net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(5))\n"
    said = refused(tmp_path, text, "--input", "1x3x9x9")
    assert "in 1" in said
    assert "4" in said
    assert "5" in said


def test_shapes_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 5)

        def forward(self, x):
            return torch.cat([self.a(x), self.b(x)], 1)
    """
    said = refused(tmp_path, text, "--input", "1x3x9x9")
    assert f"net.py:{line_of(tmp_path, 'torch.cat')}" in said


def test_an_exception_in_forward_names_the_users_file_and_line(tmp_path: Path) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            x = self.conv(x)
            raise KeyError("scale")
    """
    said = refused(tmp_path, text)
    assert f"net.py:{line_of(tmp_path, 'raise KeyError')}" in said
    assert "KeyError" in said
    assert "scale" in said


def test_an_exception_in_a_helper_names_the_helper(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("def scale(x):\n    return x.nope\n", encoding="utf-8")
    text = """
    import helper

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return helper.scale(self.conv(x))
    """
    assert "helper.py:2" in refused(tmp_path, text)


@pytest.mark.parametrize("options", [("--no-measure",), ("--seconds", "0.05", "--threads", "1")])
def test_what_a_model_prints_does_not_reach_the_data(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    text = """
    import sys
    print("while loading")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            print("while building")
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            print("in forward", x.shape)
            sys.stdout.write("and more\\n")
            return self.conv(x)
    """
    write(tmp_path, text)
    arguments = ("net.py", "--input", "1x3x8x8", "--format", "json", *options)
    ran = convcost("profile", *arguments, folder=tmp_path)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["kind"] == "profile"
    assert "while loading" in ran.err
    assert "in forward" in ran.err


def test_sys_exit_in_forward_is_an_error(tmp_path: Path) -> None:
    text = """
    import sys

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            sys.exit(0)
    """
    assert "sys.exit" in refused(tmp_path, text)


def test_an_error_only_on_data_is_told_as_the_users(tmp_path: Path) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            if x.sum().item() > -1e9:
                raise ValueError("too bright")
            return self.conv(x)
    """
    said = refused(tmp_path, text)
    assert f"net.py:{line_of(tmp_path, 'raise ValueError')}" in said
    assert "too bright" in said


def test_a_recursion_without_end_is_an_error(tmp_path: Path) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self(x)
    """
    assert "RecursionError" in refused(tmp_path, text)


def test_no_module_in_the_file_is_an_error(tmp_path: Path) -> None:
    said = refused(tmp_path, "width = 3\n")
    assert "net.py" in said


@pytest.mark.parametrize("shape", ["", "3x", "axb", "1x-3", "1,3,8,8", "0x3x8x8"])
def test_a_shape_that_is_none_is_refused(shape: str, tmp_path: Path) -> None:
    assert "shape" in refused(tmp_path, NET, "--input", shape)


@pytest.mark.parametrize("setting", ["width", "=3", "wide th=3", "nope=3", "width=[1"])
def test_a_setting_that_is_none_is_refused(setting: str, tmp_path: Path) -> None:
    assert refused(tmp_path, NET, "--set", setting, "--input", "1x3x8x8")


def test_an_input_by_keyword_is_told_apart_from_a_module_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FUSION, encoding="utf-8")
    layers = json.loads(ran_well("net.py", "--no-measure", "-f", "json", folder=tmp_path))
    names = [row["name"] for row in layers["rows"]]
    assert names == ["input.rgb", "input.depth", "rgb.0", "depth", "add"]
    folded = json.loads(
        ran_well("net.py", "--no-measure", "--depth", "1", "-f", "json", folder=tmp_path)
    )
    assert [row["name"] for row in folded["rows"]] == [
        *("input.rgb", "input.depth", "rgb", "depth", "add")
    ]
    assert layers["rows"][2]["values"] == folded["rows"][2]["values"]


def test_too_few_inputs_are_told_as_the_users(tmp_path: Path) -> None:
    text = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, image, mask):
            return self.conv(image) * mask
    """
    said = refused(tmp_path, text, "--input", "1x3x8x8")
    assert "mask" in said
    assert "--input" in said


RECURRENT = {
    "GRU": ("fvcore counts 0 for gru", None),
    "LSTM": ("fvcore counts 0 for lstm", "FlopCounterMode counts 0 for mkldnn_rnn_layer"),
    "RNN": ("fvcore counts 0 for rnn_tanh", None),
}


@pytest.mark.parametrize("kind", RECURRENT)
def test_verify_says_why_recurrent_layers_are_not_counted(kind: str) -> None:
    counted = convcost_package.profile(
        getattr(nn, kind)(6, 4), input=(5, 2, 6), verify=True, measure=False
    )
    *rows, total = counted.verification
    values = {key: value for row in rows for key, value in row.values.items()}
    tools = ("fvcore_multiplications", "flop_counter_multiplications")
    assert tuple(values[tool].reason for tool in tools) == RECURRENT[kind]
    assert number(total.values["fvcore_multiplications"]) == 0
    assert not counted.findings


class Unread(nn.Module):
    """A convolution that nothing reads, and a product broadcast over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.aside = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 4, 3)
        self.weight = nn.Parameter(torch.rand(5, 8))

    def forward(self, x: Tensor) -> Tensor:
        self.aside(x)
        return self.weight @ self.conv(x).flatten(2)  # type: ignore[no-any-return]


def test_verify_says_what_fvcore_leaves_out() -> None:
    found = convcost_package.profile(Unread(), input=(2, 3, 6, 6), verify=True, measure=False)
    convolutions, products = (row.values for row in found.verification[:2])
    tool = "fvcore_multiplications"
    assert number(convolutions["multiplications"]) == 2 * 4 * 4 * 27 * (8 + 4)
    assert convolutions[tool].reason == "fvcore leaves out what nothing reads"
    assert number(products["multiplications"]) == 2 * number(products[tool]) == 2 * 5 * 8 * 16
    assert "broadcast" in (products[tool].reason or "")
    assert not found.findings


def test_verify_says_why_the_products_of_spectral_norm_are_not_counted() -> None:
    model = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 8, 3))
    found = convcost_package.profile(model, input=(1, 3, 8, 8), verify=True, measure=False)
    values = found.verification[1].values
    assert values["fvcore_multiplications"].reason == "fvcore counts 0 for mv, vdot"
    assert values["flop_counter_multiplications"].reason == "FlopCounterMode counts 0 for mv, vdot"
    assert not found.findings


ENDLESS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        with open("started", "w"):
            pass
        while True:
            {work}
        return x
"""


@pytest.mark.parametrize("work", ["pass", "x = self.conv(x)", "x = self.conv(x) * x.sum().item()"])
def test_ctrl_c_ends_an_endless_forward_cleanly(work: str, tmp_path: Path) -> None:
    write(tmp_path, ENDLESS.format(work=work))
    with subprocess.Popen(
        [*COMMAND, "profile", "net.py", "--no-measure", "--input", "1x3x8x8"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == b""
    assert b"Traceback" not in err
    assert b"interrupted" in err
