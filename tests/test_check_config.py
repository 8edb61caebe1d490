"""Configurations: every kind of mistake, and the JSON Schema held against the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli import refused_at_once
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from convcost.errors import ConvcostError
from convcost.sources.check_fields import LIMITED
from convcost.sources.checks import load_checks
from convcost.sources.yaml_file import load_yaml
from convcost.units import FORMATTERS, parse_quantity, quantity_pattern
from convcost.variants import parse_variant
from convcost.workflows.schemas import SCHEMAS

ROOT = Path(__file__).parents[1]
SCHEMA = Draft202012Validator(SCHEMAS["check"]())
LIMITS = {"parameters": {"max": "3.5 M"}}


def check(**more: object) -> dict[str, Any]:
    entry = {"name": "a", "source": "a.py", "limits": LIMITS, **more}
    return {"version": 1, "checks": [{key: v for key, v in entry.items() if v is not ...}]}


def limits(**metrics: object) -> dict[str, Any]:
    return check(limits=metrics)


def taken(data: object, folder: Path) -> bool:
    path = folder / "convcost.yaml"
    path.write_text(json.dumps(data))
    try:
        load_checks(path, parse_variant)
    except ConvcostError:
        return False
    return True


def test_the_schema_is_a_valid_schema_of_its_dialect() -> None:
    assert SCHEMAS["check"]()["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(SCHEMAS["check"]())


def test_the_schema_knows_every_metric() -> None:
    known = SCHEMAS["check"]()["properties"]["checks"]["items"]["properties"]["limits"]
    assert set(known["properties"]) == {*LIMITED, "layers"}


def test_the_projects_own_configuration_validates() -> None:
    SCHEMA.validate(load_yaml(str(ROOT / "convcost.yaml")).data)
    assert load_checks(ROOT / "convcost.yaml", parse_variant).checks


VALID = [
    check(),
    check(input=[1, 3, 224, 224], message="look\nhere"),
    check(input=[[1, 3, 8, 8], [1, 5]]),
    check(limits=..., layers={"stem.*": LIMITS}),
    check(layers={"stem.*": LIMITS, "*": {"receptive_field": {"min": 3}}}),
    limits(layers={"*": LIMITS}),
    limits(parameters={"max": 3, "min": 1, "level": "off"}),
    limits(parameters={"max": "1,228,800", "max_increase": 0, "min_delta": "1 k"}),
    limits(multiplications={"max_increase": "1%"}),
    limits(multiplications={"max_increase": "150 %"}),
    limits(multiplications={"max_increase": 0.5, "level": "warn"}),
    limits(receptive_field_density={"min": "90%"}, arithmetic_intensity={"min": 3.5}),
    limits(receptive_field_density={"min": "0.5", "max": "100.0 %"}),
    limits(parameter_bytes={"max": "20 mb", "min": "1 KB"}),
    limits(peak_activation_bytes={"max": "20 MB"}, bytes_moved={"max": "1.5GiB"}),
    limits(latency={"max_increase": "5%", "min_delta": "50 us"}),
    limits(latency={"max": "1.5 ms"}),
    limits(latency_ratio={"variant": "separable", "max": 0.8}),
    limits(multiplications_ratio={"variant": {"atrous": {"rate": 2}}, "max": "0.8x"}),
]
INVALID: list[object] = [
    check(limits={**LIMITS, "layers": None}),
    check(limits={"layers": None}),
    None,
    [],
    "text",
    {},
    {"version": 1},
    {"checks": check()["checks"]},
    {**check(), "version": 2},
    {**check(), "version": "1"},
    {**check(), "colour": "red"},
    {"version": 1, "checks": []},
    {"version": 1, "checks": {}},
    {"version": 1, "checks": [None]},
    check(name=...),
    check(source=...),
    check(name=""),
    check(name=3),
    check(source=None),
    check(limits=...),
    check(limits={}),
    check(limits=None),
    check(layers={}),
    check(layers={"a": {}}),
    check(layers={"a": {"latency": {"max": "1 ms"}}}),
    check(layers={"a": {"peak_activation_bytes": {"max": 1}}}),
    check(input=[]),
    check(input=[0]),
    check(input=["1", 3]),
    check(input=[[1, 3], 3]),
    check(input="1x3"),
    check(message=""),
    check(message=3),
    check(set={"a": 1}),
    limits(flops={"max": 1}),
    limits(parameters=3),
    limits(parameters={}),
    limits(parameters={"level": "error"}),
    limits(parameters={"max": None}),
    limits(parameters={"max": -1}),
    limits(parameters={"max": "many"}),
    limits(parameters={"max": "3.5 MB"}),
    limits(parameters={"max": "3.5m"}),
    limits(parameters={"max": "1,22"}),
    limits(parameters={"max": True}),
    limits(parameters={"max": [3]}),
    limits(parameters={"max": 1, "level": "fatal"}),
    limits(parameters={"max": 1, "level": False}),
    limits(parameters={"maximum": 1}),
    limits(parameters={"max": 1, "min_delta": 1}),
    limits(parameters={"min_delta": 1}),
    limits(receptive_field_density={"min": 90}),
    limits(receptive_field_density={"max": "1.5"}),
    limits(receptive_field_density={"max": "101%"}),
    limits(parameter_bytes={"max": "20 Mb"}),
    limits(parameters={"max_increase": 5}),
    limits(parameters={"max_increase": "5 k"}),
    limits(parameters={"max": 1, "variant": "separable"}),
    limits(latency={"max": 3}),
    limits(latency={"max": "3 h"}),
    limits(latency={"min": "1 ms"}),
    limits(latency_ratio={"max": 0.8}),
    limits(latency_ratio={"variant": "separable"}),
    limits(latency_ratio={"variant": "separabel", "max": 0.8}),
    limits(latency_ratio={"variant": "separable", "max_increase": "1%"}),
]


@pytest.mark.parametrize("data", VALID, ids=json.dumps)
def test_what_is_valid_is_taken_by_schema_and_loader(data: object, tmp_path: Path) -> None:
    assert [error.message for error in SCHEMA.iter_errors(data)] == []
    assert taken(data, tmp_path)


@pytest.mark.parametrize("data", INVALID, ids=json.dumps)
def test_what_is_invalid_is_refused_by_schema_and_loader(data: object, tmp_path: Path) -> None:
    found = {"schema": SCHEMA.is_valid(data), "loader": taken(data, tmp_path)}
    assert found == {"schema": False, "loader": False}


MISTAKES = """\
version: 2
check: 3
checks:
  - name: mobile
    sorce: models/mobile.py:build
    input: [1, 3, -224, 224]
    limits:
      parameters: {max: 3.5 X}
      multiplications: {max_increase: 5}
      receptive_field: {mn: 400}
      flops: {max: 3}
      receptive_field_density: {min: 0.9, max: 0.8}
      latency: {max_increase: 5%, min_delta: 50}
      latency_ratio: {variant: separabl, max: 0.8}
      bytes_moved: 3
    layers: {"stem.*": {latency: {max: 200 M}}}
  - {name: mobile, source: a.yaml, input: [1, 3], limits: {parameters: {max: 1}}}
"""
TOLD = (
    ":1: version: expected 1, found 2",
    ":2: check: unknown key; did you mean checks?",
    ":4: checks[0].source: missing",
    ":5: checks[0].sorce: unknown key; did you mean source?",
    ":6: checks[0].input: expected a whole number from 1",
    ":8: checks[0].limits.parameters.max: expected a number such as 3.5 M",
    ':9: checks[0].limits.multiplications.max_increase: expected a share such as "5%", found 5',
    ":10: checks[0].limits.receptive_field.mn: unknown key; did you mean min?",
    ":11: checks[0].limits.flops: no metric of the whole; valid: parameters,",
    ":12: checks[0].limits.receptive_field_density: min is above max",
    ":13: checks[0].limits.latency.min_delta: expected a number such as 50 us",
    ":14: checks[0].limits.latency_ratio.variant: unknown variant 'separabl'",
    ":15: checks[0].limits.bytes_moved: expected a mapping",
    ":16: checks[0].layers.stem.*.latency: no metric of a layer",
    ":17: checks[1].input: a layer spec says its own input",
    ":17: checks[1].name: 'mobile' is also that of line 4",
)


def test_all_mistakes_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "convcost.yaml").write_text(MISTAKES)
    told = refused_at_once("check", "convcost.yaml", folder=tmp_path)
    lines = told.splitlines()
    assert len(lines) == len(TOLD)
    for line, expected in zip(lines, TOLD, strict=True):
        assert f"convcost.yaml{expected}" in line


def test_what_a_saved_report_could_not_hold_is_told(tmp_path: Path) -> None:
    for more, told in (
        (check(message="see\tdocs"), "message: expected printable text, found 'see\\tdocs'"),
        (check(message="\x1b[31mred"), "message: expected printable text, found '\\x1b[31mred'"),
        (limits(bytes_moved={"max": 1e-35}), "expected 0, or from 1e-30 to 1e+30, found 1e-35"),
        (limits(receptive_field={"min": -3}), "min: expected 0 or more, found -3"),
        (limits(receptive_field_density={"min": 90}), "min: expected 0 to 1, or 90%, found 90"),
    ):
        (tmp_path / "convcost.yaml").write_text(json.dumps(more))
        assert told in refused_at_once("check", "convcost.yaml", folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty; expected version and checks"),
        ("[", "not valid YAML"),
        ("version: 1\nversion: 1\nchecks: []", "given twice"),
        ("- a", "found no mapping at the top"),
    ],
)
def test_what_is_no_configuration_is_told(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "convcost.yaml").write_text(text)
    assert message in refused_at_once("check", "convcost.yaml", folder=tmp_path)


# quantities


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("3.5 M", "count", 3_500_000),
        ("1,228,800", "count", 1_228_800),
        ("1e3", "count", 1000),
        ("20 MB", "bytes", 20_000_000),
        ("1 KB", "bytes", 1_000),
        ("1kb", "bytes", 1_000),
        ("2 gib", "bytes", 2 * 1024**3),
        ("1.5 MiB", "bytes", 1_572_864),
        ("50 us", "seconds", 50e-6),
        ("50 µs", "seconds", 50e-6),
        ("1%", "share", 0.01),
        ("0.9", "share", 0.9),
        ("0.8×", "factor", 0.8),
    ],
)
def test_a_quantity_is_read_exactly(text: str, unit: str, value: float) -> None:
    assert parse_quantity(text, unit) == value


def test_what_may_be_bits_is_no_size() -> None:
    with pytest.raises(ValueError, match=r"such as 20 MB \(B, kB, MB, GB, TB, KiB"):
        parse_quantity("20 Mb", "bytes")


@given(st.sampled_from(["count", "bytes", "seconds", "share", "factor"]), st.floats(1e-9, 1e13))
def test_a_formatted_quantity_is_read_back(unit: str, value: float) -> None:
    text = FORMATTERS[unit](value, 12)
    assert parse_quantity(text, unit) == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert quantity_pattern(unit)


def test_a_variant_is_not_held_against_itself(tmp_path: Path) -> None:
    path = tmp_path / "costs.yaml"
    path.write_text(
        "version: 1\nchecks:\n  - name: net\n    source: net.yaml\n    limits:\n"
        "      latency_ratio: {variant: standard, max: 1.1}\n"
    )
    with pytest.raises(ConvcostError, match="variant: standard is what a variant is held against"):
        load_checks(path, parse_variant)
