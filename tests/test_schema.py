from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import convcost
from convcost.errors import ConvcostError
from convcost.measure.settings import Settings
from convcost.report import METRICS
from convcost.sources.kinds import KINDS
from convcost.sources.saved import load_report
from convcost.sources.spec import load_spec
from convcost.sources.yaml_file import load_yaml
from convcost.variants import VARIANTS, parse_variant
from convcost.workflows.schemas import SCHEMAS

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))
SPEC = Draft202012Validator(SCHEMAS["spec"]())
REPORT = Draft202012Validator(SCHEMAS["report"]())
CONV: dict[str, object] = {"out_channels": 8, "kernel_size": 3}

Entry = dict[str, object]


def layer(**entry: object) -> Entry:
    return {"version": 1, "input": [4, 12, 12], "layers": [entry]}


def conv(**settings: object) -> Entry:
    return layer(conv={**CONV, **settings})


def variants(*entries: object) -> Entry:
    return {**conv(), "variants": list(entries)}


def without(key: str) -> Entry:
    return {name: value for name, value in conv().items() if name != key}


def parser_takes(data: object, folder: Path) -> bool:
    path = folder / "spec.yaml"
    path.write_text(json.dumps(data))
    try:
        load_spec(str(path), 1, 4, parse_variant)
    except ConvcostError:
        return False
    return True


def reader_takes(data: object, folder: Path) -> bool:
    path = folder / "saved.json"
    path.write_text(json.dumps(data))
    try:
        load_report(str(path))
    except ConvcostError:
        return False
    return True


def report_mistakes(report: convcost.Report) -> list[str]:
    """What the schema finds wrong with a report, through the JSON that is saved."""
    return [error.message for error in REPORT.iter_errors(json.loads(report.to_json()))]


# the schemas themselves


@pytest.mark.parametrize("kind", ["spec", "report"])
def test_a_schema_is_a_valid_schema_of_its_dialect(kind: str) -> None:
    schema = SCHEMAS[kind]()
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)


def test_the_spec_schema_knows_every_kind_and_variant() -> None:
    schema = SCHEMAS["spec"]()
    assert set(KINDS) <= set(schema["$defs"]["Layer"]["properties"])
    listed = schema["properties"]["variants"]["items"]["anyOf"]
    assert {key for form in listed for key in form.get("properties", {})} == set(VARIANTS)


# specs


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_validates(path: Path) -> None:
    SPEC.validate(load_yaml(str(path)).data)


def test_there_are_configs() -> None:
    assert len(CONFIGS) >= 8


@pytest.mark.parametrize(
    "data",
    [
        conv(),
        conv(rate=2),
        conv(dilation=[2, 1]),
        conv(kernel_size=[3, 1], stride=[1, 2], padding=[1, 0]),
        conv(padding=[[1, 0], [2, 1]]),
        conv(padding="same"),
        conv(padding="valid"),
        conv(groups=4, bias=False),
        conv(out_channels=1e1),
        conv(dilation=None),
        {**conv(), "name": "net"},
        {**conv(), "name": None},
        {**conv(), "version": 1.0},
        {**conv(), "input": [4, 64]},
        {**conv(), "input": [4, 8, 8, 8]},
        layer(name="a", inputs=["input"], conv=CONV),
        layer(name="a", inputs=None, conv=CONV),
        layer(repeat=3, conv={**CONV, "padding": "same"}),
        layer(inputs=["input", "input"], add={}),
        layer(inputs=["input", "input"], concat={}),
        layer(conv_transpose={**CONV, "stride": 2, "output_padding": 1}),
        layer(max_pool={"kernel_size": 2, "stride": None, "ceil_mode": True}),
        layer(avg_pool={"kernel_size": [2, 3], "padding": 1}),
        layer(upsample={"scale": 2, "mode": "bilinear", "align_corners": True}),
        layer(upsample={"size": [24, 36]}),
        layer(pad={"padding": [[1, 2], [3, 4]], "mode": "reflect"}),
        layer(global_avg_pool={}),
        layer(flatten={}),
        variants("separable"),
        variants("atrous:rate=2x3", "separable:depth_multiplier=2"),
        variants({"atrous": {"rate": 2}}, {"atrous_separable": {"rate": [2, 3]}}),
        variants({"atrous": {"rate": 2.0}}),
        variants({"standard": {}}, {"separable": {}}),
        variants({"separable": {"depth_multiplier": 2}}),
        {
            "version": 1,
            "input": [4, 12, 12],
            "layers": [{"flatten": {}}, {"linear": {"out_features": 3, "bias": False}}],
        },
    ],
    ids=json.dumps,
)
def test_what_is_valid_is_taken_by_schema_and_parser(data: Entry, tmp_path: Path) -> None:
    assert [error.message for error in SPEC.iter_errors(data)] == []
    assert parser_takes(data, tmp_path)


@pytest.mark.parametrize(
    "kind", [key for key, kind in KINDS.items() if not kind.settings.model_fields]
)
def test_a_kind_without_settings_is_taken_by_schema_and_parser(kind: str, tmp_path: Path) -> None:
    assert SPEC.is_valid(layer(**{kind: {}}))
    assert parser_takes(layer(**{kind: {}}), tmp_path)
    assert not SPEC.is_valid(layer(**{kind: {"speed": 1}}))
    assert not parser_takes(layer(**{kind: {"speed": 1}}), tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        {},
        without("version"),
        without("input"),
        without("layers"),
        {**conv(), "version": 2},
        {**conv(), "version": "1"},
        {**conv(), "version": True},
        {**conv(), "colour": "red"},
        {**conv(), "name": ""},
        {**conv(), "name": 3},
        {**conv(), "input": [4]},
        {**conv(), "input": [4, 1, 1, 1, 1]},
        {**conv(), "input": [4, 0]},
        {**conv(), "input": [4, 12.5]},
        {**conv(), "input": [4, "12"]},
        {**conv(), "input": [True, 12]},
        {**conv(), "input": "4x12"},
        {**conv(), "layers": []},
        {**conv(), "layers": {}},
        {**conv(), "layers": [None]},
        {**conv(), "layers": ["relu"]},
        layer(),
        layer(name="a"),
        layer(relu={}, tanh={}),
        layer(relu=None),
        layer(relu=[]),
        layer(convolution=CONV),
        layer(conv={"out_channels": 8}),
        layer(conv={"kernel_size": 3}),
        layer(stride=2, conv=CONV),
        layer(repeat=0, relu={}),
        layer(repeat=70_000, relu={}),
        layer(inputs="input", relu={}),
        layer(inputs=[], relu={}),
        layer(inputs=[3], relu={}),
        conv(out_channels=0),
        conv(out_channels=-8),
        conv(out_channels=2**31),
        conv(kernel_size=0),
        conv(kernel_size="3"),
        conv(kernel_size=[]),
        conv(kernel_size=[3, 3, 3, 3]),
        conv(stride=0),
        conv(padding=-1),
        conv(padding="full"),
        conv(padding=[[1, 1, 1], [1, 1, 1]]),
        conv(padding=[[1, 1], 1]),
        conv(rate=0),
        conv(rate=2, dilation=2),
        conv(groups=0),
        conv(bias="off"),
        conv(bias=1),
        conv(speed=1),
        layer(upsample={}),
        layer(upsample={"scale": 2, "size": 4}),
        layer(upsample={"scale": 2, "mode": "cubic"}),
        layer(pad={"padding": 1, "mode": "mirror"}),
        layer(pad={"padding": "same"}),
        layer(conv_transpose={**CONV, "padding": "same"}),
        variants(),
        variants(3),
        variants("separabel"),
        variants("atrous:speed=2"),
        variants({"atrous": {"rate": 0}}),
        variants({"atrous": {"rate": 2.5}}),
        variants({"atrous": {"speed": 2}}),
        variants({"atrous": None}),
        variants({"atrous": {}, "separable": {}}),
        variants({"separable": {"depth_multiplier": [2, 2]}}),
        {**conv(), "variants": "separable"},
        {**conv(), "variants": None},
    ],
    ids=json.dumps,
)
def test_what_is_invalid_is_refused_by_schema_and_parser(data: object, tmp_path: Path) -> None:
    found = {"schema": SPEC.is_valid(data), "parser": parser_takes(data, tmp_path)}
    assert found == {"schema": False, "parser": False}


# reports


@pytest.mark.parametrize("per_layer", [False, True])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_counted_reports_validate(path: Path, per_layer: bool) -> None:  # noqa: FBT001
    report = convcost.compare(str(path), per_layer=per_layer, measure=False)
    assert bool(report.layers) is per_layer
    assert report_mistakes(report) == []


@pytest.mark.parametrize("per_layer", [False, True])
def test_measured_reports_validate_and_are_read_back(
    per_layer: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    report = convcost.compare(per_layer=per_layer, settings=Settings(seconds=0.1))
    assert all("latency" in row.values for row in report.rows)
    assert report_mistakes(report) == []
    (tmp_path / "saved.json").write_text(report.to_json(), encoding="utf-8")
    assert load_report(str(tmp_path / "saved.json")) == report


def test_a_report_of_too_few_rounds_for_an_interval_validates() -> None:
    report = convcost.compare(variants=["separable"], settings=Settings(seconds=0.01))
    assert report_mistakes(report) == []


def test_values_are_of_known_metrics() -> None:
    report = convcost.compare(per_layer=True, measure=False)
    assert all(set(row.values) <= set(METRICS) for row in (*report.rows, *report.layers))


def saved() -> dict[str, Any]:
    return convcost.compare(measure=False).to_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"schema_version": "1"},
        {"schema_version": True},
        {"kind": "other"},
        {"source": None},
        {"input": 3},
        {"input": [["wide"]]},
        {"environment": []},
        {"environment": {"torch": {}}},
        {"rows": {}},
        {"rows": [{}]},
        {"layers": [1]},
        {"findings": ["one"]},
        {"notices": [1]},
        {"interrupted": "perhaps"},
        {"totals": {"parameters": {"status": "guessed", "value": 1}}},
        {"totals": {"parameters": {"status": "exact", "value": {}}}},
        {"totals": {"parameters": {"value": 1}}},
    ],
    ids=json.dumps,
)
def test_a_wrong_report_is_refused_by_schema_and_reader(change: Entry, tmp_path: Path) -> None:
    data = {**saved(), **change}
    found = {"schema": REPORT.is_valid(data), "reader": reader_takes(data, tmp_path)}
    assert found == {"schema": False, "reader": False}


@pytest.mark.parametrize(
    "key", ["schema_version", "kind", "source", "input", "environment", "rows"]
)
def test_a_report_needs_its_keys_in_schema_and_reader(key: str, tmp_path: Path) -> None:
    data = {name: value for name, value in saved().items() if name != key}
    found = {"schema": REPORT.is_valid(data), "reader": reader_takes(data, tmp_path)}
    assert found == {"schema": False, "reader": False}
