"""A check in every format: one full expected text, published schemas, hostile names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from cli import convcost, fine, refused_at_once
from jsonschema import Draft4Validator
from markdown_it import MarkdownIt

from convcost import ConvcostError, Report, Row, Value, load, render
from convcost.cli.step_summary import LIMIT, fitting
from convcost.report import Limit
from convcost.workflows.judge import findings_of

UPDATE = "convcost check --update"
PUBLISHED = Path(__file__).parent / "published"
SARIF = Draft4Validator(json.loads((PUBLISHED / "sarif-schema-2.1.0.json").read_text()))
JUNIT = xmlschema.XMLSchema(PUBLISHED / "junit-10.xsd")


def exact(value: int) -> Value:
    return Value("exact", value)


def limit(metric: str, outcome: str, found: Value | None, **more: Any) -> Limit:
    given = {
        "name": "mobile",
        "variant": "standard",
        "layer": "",
        "bound": "max",
        "level": "error",
        "expected": 3_500_000,
        "file": "convcost.yaml",
        "line": 8,
        **more,
    }
    return Limit(metric=metric, outcome=outcome, found=found, **given)  # type: ignore[arg-type]


LIMITS = (
    limit("parameters", "broken", exact(3_620_000), note="see docs/cost.md"),
    limit(
        "multiplications",
        "broken",
        exact(310_000_000),
        bound="max_increase",
        expected=0.01,
        base=exact(300_000_000),
        level="warn",
        line=9,
    ),
    limit(
        "receptive_field", "kept", Value("exact", (427, 491)), bound="min", expected=400, line=10
    ),
    limit(
        "latency",
        "inconclusive",
        Value("measured", 1.04e-3, 1.0e-3, 1.1e-3, 0.99, 20),
        bound="max_increase",
        expected=0.05,
        base=Value("measured", 1.0e-3, 0.9e-3, 1.1e-3, 0.99, 20),
        ratio=Value("measured", 1.04, 0.98, 1.11, 0.99, 20),
        reason="this run could only have seen a change of 18 % or more",
        line=11,
    ),
    limit("latency", "skipped", None, expected=0.002, reason="--exact", line=12),
    limit("parameters", "new", exact(10), layer="head", reason="new: the base has none", line=13),
)


def report(limits: tuple[Limit, ...] = LIMITS) -> Report:
    return Report(
        kind="check",
        source="convcost.yaml",
        input=(),
        environment={"started": "2026-11-24T00:00:00", "against": "main"},
        rows=(Row("mobile", "standard", "check", "mobile.py", (), {"parameters": exact(1)}),),
        limits=limits,
        findings=tuple(findings_of(limits, UPDATE)),
    )


TABLE = """\
convcost.yaml against main: 1 kept, 1 broken, 1 warned, 1 inconclusive, 1 skipped, 1 new

   limit                     expected          found                              by how much
✗  mobile: parameters        at most 3.50 M    3.62 M                             120 k (3.4 %) too much
!  mobile: multiplications   at most +1 %      300 M → 310 M                      +3.3 %
✓  mobile: receptive field   at least 400      427
?  mobile: latency           at most +5 %      1.00 ms → 1.04 ms [-2.0 … +11.0 %] inconclusive
–  mobile: latency           at most 2.00 ms                                      skipped
+  mobile: head: parameters  at most 3.50 M    10                                 new

error: mobile: parameters: found 3.62 M, expected at most 3.50 M: 120 k (3.4 %) too much
  see docs/cost.md
  reduce it, or raise the limit at convcost.yaml:8

warning: mobile: multiplications: found 300 M → 310 M, expected at most +1 %: +3.3 %
  reduce it, or raise the limit at convcost.yaml:9, or approve the new costs:
  convcost check --update

warning: mobile: latency: found 1.00 ms → 1.04 ms [-2.0 … +11.0 %], expected at most +5 %: this run could only have seen
a change of 18 % or more
  give it more time with --seconds, or a quieter machine
"""  # noqa: E501  as wide as it is printed

GITHUB = """\
::error file=convcost.yaml,line=8,title=mobile%3A parameters::mobile: parameters: found 3.62 M, \
expected at most 3.50 M: 120 k (3.4 %25) too much%0Asee docs/cost.md%0Areduce it, or raise the \
limit at convcost.yaml:8
::warning file=convcost.yaml,line=9,title=mobile%3A multiplications::mobile: multiplications: \
found 300 M → 310 M, expected at most +1 %25: +3.3 %25%0Areduce it, or raise the limit at \
convcost.yaml:9, or approve the new costs:%0Aconvcost check --update
::warning file=convcost.yaml,line=11,title=mobile%3A latency::mobile: latency: found 1.00 ms → \
1.04 ms [-2.0 … +11.0 %25], expected at most +5 %25: this run could only have seen a change of \
18 %25 or more%0Agive it more time with --seconds, or a quieter machine
convcost: 1 of 6 limits broken
"""

MARKDOWN = """\
**convcost.yaml against main: 1 kept, 1 broken, 1 warned, 1 inconclusive, 1 skipped, 1 new**

- **error**: mobile: parameters: found 3.62 M, expected at most 3.50 M: 120 k (3.4 %) too much<br>\
see docs/cost.md<br>reduce it, or raise the limit at convcost.yaml:8
- **warning**: mobile: multiplications: found 300 M → 310 M, expected at most +1 %: +3.3 %<br>\
reduce it, or raise the limit at convcost.yaml:9, or approve the new costs: convcost check \
--update
- **warning**: mobile: latency: found 1.00 ms → 1.04 ms \\[-2.0 … +11.0 %\\], expected at most \
+5 %: this run could only have seen a change of 18 % or more<br>give it more time with --seconds, \
or a quieter machine

|  | limit | expected | found | by how much |
| --- | --- | --- | --- | --- |
| ✗ | mobile: parameters | at most 3.50 M | 3.62 M | 120 k (3.4 %) too much |
| ! | mobile: multiplications | at most +1 % | 300 M → 310 M | +3.3 % |
| ✓ | mobile: receptive field | at least 400 | 427 |  |
| ? | mobile: latency | at most +5 % | 1.00 ms → 1.04 ms \\[-2.0 … +11.0 %\\] | inconclusive |
| – | mobile: latency | at most 2.00 ms |  | skipped |
| + | mobile: head: parameters | at most 3.50 M | 10 | new |
"""

JUNIT_XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="mobile" package="convcost.yaml" id="0" tests="6" failures="1" errors="0" \
skipped="1" time="0" timestamp="2026-11-24T00:00:00" hostname="localhost">
    <properties>
      <property name="started" value="2026-11-24T00:00:00" />
      <property name="against" value="main" />
    </properties>
    <testcase name="parameters max" classname="mobile" time="0">
      <failure type="max" message="mobile: parameters: found 3.62 M, expected at most 3.50 M: \
120 k (3.4 %) too much">mobile: parameters: found 3.62 M, expected at most 3.50 M: 120 k (3.4 %) \
too much
see docs/cost.md
reduce it, or raise the limit at convcost.yaml:8
convcost.yaml:8</failure>
    </testcase>
    <testcase name="multiplications max_increase" classname="mobile" time="0" />
    <testcase name="receptive field min" classname="mobile" time="0" />
    <testcase name="latency max_increase" classname="mobile" time="0" />
    <testcase name="latency max" classname="mobile" time="0">
      <skipped message="--exact" />
    </testcase>
    <testcase name="head: parameters max" classname="mobile" time="0" />
    <system-out>convcost.yaml:9: mobile: multiplications: found 300 M &#8594; 310 M, expected at \
most +1 %: +3.3 %
convcost.yaml:11: mobile: latency: found 1.00 ms &#8594; 1.04 ms [-2.0 &#8230; +11.0 %], expected \
at most +5 %: this run could only have seen a change of 18 % or more
convcost.yaml:13: mobile: head: parameters: found 10, expected at most 3.50 M: new: the base has \
none</system-out>
    <system-err />
  </testsuite>
</testsuites>
"""


CSV = """\
name,layer,variant,metric,bound,level,expected,found,base,change,outcome,reason,note,file,line
mobile,,standard,parameters,max,error,3500000,3620000,,120000.0,broken,,see docs/cost.md,\
convcost.yaml,8
mobile,,standard,multiplications,max_increase,warn,0.01,310000000,300000000,0.03333333333333344,\
broken,,,convcost.yaml,9
mobile,,standard,receptive_field,min,error,400,427x491,,27.0,kept,,,convcost.yaml,10
mobile,,standard,latency,max_increase,error,0.05,0.00104,0.001,0.040000000000000036,inconclusive,\
this run could only have seen a change of 18 % or more,,convcost.yaml,11
mobile,,standard,latency,max,error,0.002,,,,skipped,--exact,,convcost.yaml,12
mobile,head,standard,parameters,max,error,3500000,10,,-3499990.0,new,new: the base has none,,\
convcost.yaml,13
"""


def without_trailing_blanks(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


@pytest.mark.parametrize(
    ("format", "expected"),
    [("github", GITHUB), ("markdown", MARKDOWN), ("junit", JUNIT_XML), ("csv", CSV)],
    ids=["github", "markdown", "junit", "csv"],
)
def test_text(format: str, expected: str) -> None:  # noqa: A002  the option's name
    assert render(report(), format) == expected


def test_table() -> None:
    printed = without_trailing_blanks(render(report(), "table"))
    squeezed = re.sub(r" {2,}", "  ", printed)
    assert squeezed == re.sub(
        r" {2,}", "  ", TABLE.replace(" %] inconclusive", " %]  inconclusive")
    )


def test_a_command_to_copy_is_never_broken() -> None:
    command = f"convcost check {'a/long/folder/' * 12}costs.yaml --update"
    long = report()._replace(findings=tuple(findings_of(LIMITS, command)))
    assert f"\n  {command}\n" in render(long, "table")


def test_gitlab() -> None:
    first, *rest = json.loads(render(report(), "gitlab"))
    assert first == {
        "description": "mobile: parameters: found 3.62 M, expected at most 3.50 M: 120 k (3.4 %) "
        "too much; see docs/cost.md; reduce it, or raise the limit at convcost.yaml:8",
        "check_name": "convcost/parameters",
        "fingerprint": first["fingerprint"],
        "severity": "major",
        "location": {"path": "convcost.yaml", "lines": {"begin": 8}},
    }
    assert [entry["severity"] for entry in rest] == ["minor", "minor"]
    assert len({entry["fingerprint"] for entry in (first, *rest)}) == 3


def test_a_fingerprint_holds_when_value_and_line_change() -> None:
    later = limit("parameters", "broken", exact(9_999_999), line=80, expected=1)
    prints = [
        json.loads(render(report((one,)), "gitlab"))[0]["fingerprint"] for one in (LIMITS[0], later)
    ]
    assert prints[0] == prints[1]


def test_sarif() -> None:
    data = json.loads(render(report(), "sarif"))
    SARIF.validate(data)
    (run,) = data["runs"]
    first = run["results"][0]
    assert first["ruleId"] == run["tool"]["driver"]["rules"][first["ruleIndex"]]["id"]
    assert first["level"] == "error"
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "convcost.yaml"},
        "region": {"startLine": 8},
    }


def test_nothing_broken_is_valid_everywhere() -> None:
    kept = report((LIMITS[2],))
    SARIF.validate(json.loads(render(kept, "sarif")))
    JUNIT.validate(render(kept, "junit"))
    assert json.loads(render(kept, "gitlab")) == []
    assert render(kept, "github") == "convcost: 0 of 1 limits broken\n"


def test_the_json_is_read_back_and_shown_again(tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    path.write_text(report().to_json())
    assert load(str(path)) == report()
    assert fine("render", path, "--format", "junit") == JUNIT_XML
    assert fine("render", path, "--format", "csv") == CSV


@pytest.mark.parametrize(
    "change",
    [
        lambda saved: saved["limits"][0].update(metric="x"),
        lambda saved: saved["limits"][0].update(metric="effective_field"),
        lambda saved: saved["limits"][0]["found"].update(value=[]),
        lambda saved: saved["limits"][0]["found"].update(value="x"),
        lambda saved: saved["limits"][2]["found"].update(value=[3, "x"]),
        lambda saved: saved["limits"][1]["base"].update(value="global"),
        lambda saved: saved["limits"][3]["ratio"].update(value=0),
        lambda saved: saved["limits"][3]["ratio"].update(value=None, status="unavailable"),
        lambda saved: saved["findings"][0].update(metric="x"),
        lambda saved: saved["findings"][0].update(level=""),
        lambda saved: saved["findings"][0].pop("level"),
        lambda saved: saved["findings"][0].pop("line"),
        lambda saved: saved["rows"][0].update(base={"parameters": {"status": "exact"}}),
        lambda saved: saved.update(base_totals={"parameters": {"status": "exact", "value": "x"}}),
    ],
)
def test_a_saved_check_that_no_format_can_show_is_refused(
    change: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    saved = report().to_dict()
    change(saved)
    (tmp_path / "saved.json").write_text(json.dumps(saved))
    told = refused_at_once("render", "saved.json", folder=tmp_path)
    assert "saved.json: not a valid report: " in told


def test_a_format_of_checks_is_of_checks_only(tmp_path: Path) -> None:
    with pytest.raises(ConvcostError, match="no format 'sarif' of a compare"):
        render(Report("compare", "a", (), {}, ()), "sarif")
    ran = convcost("compare", "--no-measure", "--output", "junit:a.xml", folder=tmp_path)
    assert ran.code == 2
    assert "junit is a format of convcost check only" in ran.err


def test_a_ratio_without_an_interval_is_shown_without_one() -> None:
    seconds, few = Value("measured", 6.06e-3, rounds=4), Value("measured", 1.5, rounds=4)
    inconclusive = limit(
        "latency",
        "inconclusive",
        seconds,
        bound="max_increase",
        expected=0.05,
        base=seconds,
        ratio=few,
        reason="4 rounds are too few for an interval",
    )
    (finding,) = findings_of([inconclusive], UPDATE)
    assert "found 6.06 ms → 6.06 ms, expected at most +5 %: 4 rounds" in finding.message


@pytest.mark.parametrize(
    ("metric", "of", "said"),
    [
        ("parameters", {"layer": "stem.0"}, "mobile%3A stem.0%3A parameters"),
        ("latency_ratio", {"variant": "separable"}, "mobile%3A latency ratio of separable"),
    ],
)
def test_github_names_the_limit_as_the_table_does(
    metric: str, of: dict[str, str], said: str
) -> None:
    broken = limit(metric, "broken", exact(9), expected=2, **of)
    assert f",title={said}::" in render(report((broken,)), "github")


def test_github_shows_the_worst_ten_and_rolls_up_the_rest() -> None:
    many = tuple(
        limit("parameters", "broken", exact(3_500_000 + i), layer=f"l{i}", line=i + 1)
        for i in range(1, 31)
    )
    lines = render(report(many), "github").splitlines()
    assert len(lines) == 11
    assert "l30: parameters" in lines[0]
    assert lines[9].startswith("::error title=and 21 more::")
    assert lines[9].count("%0A") == 20
    assert lines[10] == "convcost: 30 of 30 limits broken"


# what a model may call its layers

NAMES = (
    "a\nb",
    "::error::c",
    "100%",
    "d,e:f",
    "<script>alert(1)</script>",
    "&lt;b&gt;",
    "**g** [h](i) | j `k`",
    "l\x1b[31mm",
    "日本 é",
    "]]>",
    "{0} {{",
)
MODEL = f"""\
import torch
model = torch.nn.Sequential()
for name in {NAMES!r}:
    model.add_module(name, torch.nn.Conv2d(3, 3, 1))
"""
CONFIG = """\
version: 1
checks:
  - name: "odd: 100%, <b>|"
    source: model.py
    input: [1, 3, 4, 4]
    message: "50% <i>,: | `x`\\n::error::no"
    layers: {"*": {parameters: {max: 11}}}
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "model.py").write_text(MODEL)
    (folder / "convcost.yaml").write_text(CONFIG)
    formats = ("report.json", "junit:j.xml", "sarif:s", "gitlab:g", "github:h", "markdown:m")
    options = [option for name in formats for option in ("--output", name)]
    ran = convcost("check", *options, folder=folder, env={"GITHUB_STEP_SUMMARY": "summary"})
    assert ran.code == 1, ran
    return folder


SHOWN = [repr(name)[1:-1] if not name.isprintable() else name for name in NAMES]
"""The names as they are told: with escapes for what would steer a terminal."""


def test_hostile_names_in_junit(hostile: Path) -> None:
    JUNIT.validate(hostile / "j.xml")
    cases = ET.parse(hostile / "j.xml").findall(".//testcase")  # noqa: S314  our own file
    assert [case.get("name") for case in cases] == [f"{name}: parameters max" for name in SHOWN]
    assert all(case.find("failure") is not None for case in cases)


def test_hostile_names_in_sarif_and_gitlab(hostile: Path) -> None:
    sarif = json.loads((hostile / "s").read_text())
    SARIF.validate(sarif)
    texts = [result["message"]["text"] for result in sarif["runs"][0]["results"]]
    for name in SHOWN:
        assert any(name.replace("{", "{{").replace("}", "}}") in text for text in texts)
    entries = json.loads((hostile / "g").read_text())
    assert len({entry["fingerprint"] for entry in entries}) == len(NAMES)


def test_hostile_names_in_github(hostile: Path) -> None:
    lines = (hostile / "h").read_text().splitlines()
    assert len(lines) == 11
    for line in lines[:-1]:
        _, command, text = line.split("::", 2)
        assert command.startswith("error ")
        given = dict(pair.split("=", 1) for pair in command.partition(" ")[2].split(","))
        assert unquote(given["title"]).startswith(("odd: 100%, <b>|", "and "))
        assert "%25" in text
        assert unquote(text).count("\n") >= 1
    assert lines[-1] == "convcost: 11 of 11 limits broken"


@pytest.mark.parametrize("name", ["m", "summary"])
def test_hostile_names_in_markdown(name: str, hostile: Path) -> None:
    text = (hostile / name).read_text()
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert "<script" not in html
    assert "<i>" not in html
    assert "<a " not in html
    assert "<code>" not in html
    cells = [
        unescape(re.sub("<[^>]*>", "", row)) for row in re.findall("<tr>.*?</tr>", html, re.DOTALL)
    ]
    assert len(cells) == len(NAMES) + 1
    for shown, cell in zip(SHOWN, cells[1:], strict=True):
        assert f"odd: 100%, <b>|: {shown}: parameters" in cell


# the summary of a job


def test_a_summary_is_appended_below_its_limit(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("{version: 1, input: [3, 4, 4], layers: [{relu: {}}]}")
    limits = "{parameters: {max: 1}}"
    (tmp_path / "convcost.yaml").write_text(
        f"{{version: 1, checks: [{{name: a, source: net.yaml, limits: {limits}}}]}}"
    )
    summary = tmp_path / "summary"
    summary.write_text("before\n")
    env = {"GITHUB_STEP_SUMMARY": str(summary)}
    assert convcost("check", folder=tmp_path, env=env).code == 0
    assert summary.read_text().startswith("before\n**convcost.yaml: 1 kept**")
    ran = convcost("check", folder=tmp_path, env={"GITHUB_STEP_SUMMARY": str(tmp_path)})
    assert ran.code == 0
    assert "the summary can't be written: Is a directory" in ran.err


def test_what_stops_a_check_is_shown_where_github_shows_results(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("{version: 1, input: [3, 4, 4], layers: [{relu: {}}]}")
    limits = "{parameters: {max_increase: 1%}}"
    (tmp_path / "convcost.yaml").write_text(
        f"{{version: 1, checks: [{{name: a, source: net.yaml, limits: {limits}}}]}}"
    )
    summary = tmp_path / "summary"
    env = {"GITHUB_STEP_SUMMARY": str(summary)}
    ran = convcost("check", "--format", "github", folder=tmp_path, env=env)
    assert ran.code == 2
    told = "convcost-baseline.json: there is no baseline yet"
    assert ran.err.startswith("error: ")
    assert told in ran.err
    assert re.fullmatch(rf"::error title=convcost::.*{told}%0Amake it: .*\n", ran.out)
    assert told in summary.read_text()
    assert "hint: make it: convcost check --update" in summary.read_text()
    ran = convcost("check", folder=tmp_path)
    assert (ran.code, ran.out) == (2, "")


def test_a_long_summary_is_cut_at_a_line() -> None:
    text = "é" * 20 + "\n" + "line\n" * LIMIT
    cut = fitting(text, 1000)
    assert len(cut.encode()) <= 1000
    assert cut.endswith("line\n… cut: a summary has at most 1 MiB\n")
    assert fitting("short\n", 1000) == "short\n"
    assert fitting(text, 10) == ""
