"""JUnit XML: a suite for each check, a test case for each limit."""

from __future__ import annotations

from itertools import groupby
from xml.etree import ElementTree as ET

from convcost.errors import printable
from convcost.render.limits import sentence, title
from convcost.report import Finding, Limit, Report

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NEVER = "1970-01-01T00:00:00"


def render(report: Report) -> str:
    """``report`` by the schemas of Jenkins and of Ant; warnings stand in ``system-out``."""
    suites = ET.Element("testsuites")
    groups = groupby(report.limits, key=lambda limit: limit.name)
    for number, (name, limits) in enumerate(groups):
        suites.append(_suite(number, name, list(limits), report))
    ET.indent(suites)
    # ASCII passes through a stream of any encoding
    return f"{_HEAD}{ET.tostring(suites, encoding='us-ascii').decode()}\n"


def _suite(number: int, name: str, limits: list[Limit], report: Report) -> ET.Element:
    hints = {_key(finding): finding.hint for finding in report.findings}
    cases = [_case(limit, hints.get(_key(limit), "")) for limit in limits]
    counted = {kind: sum(case.find(kind) is not None for case in cases) for kind in _KINDS}
    attributes = {
        "name": printable(name),
        "package": printable(report.source),
        "id": str(number),
        "tests": str(len(cases)),
        "failures": str(counted["failure"]),
        "errors": "0",
        "skipped": str(counted["skipped"]),
        "time": "0",
        "timestamp": str(report.environment.get("started", _NEVER)),
        "hostname": "localhost",
    }
    suite = ET.Element("testsuite", attributes)
    properties = ET.SubElement(suite, "properties")
    for key, value in report.environment.items():
        if value is not None:
            ET.SubElement(properties, "property", {"name": key, "value": printable(str(value))})
    suite.extend(cases)
    told = (
        f"{_place(limit)}: {title(limit)}: {sentence(limit)}" for limit in limits if _is_told(limit)
    )
    ET.SubElement(suite, "system-out").text = _printable_lines("\n".join(told))
    ET.SubElement(suite, "system-err")
    return suite


_KINDS = ("failure", "skipped")


def _key(of: Finding | Limit) -> tuple[object, ...]:
    """What a limit and its finding have in common."""
    return of.name, of.variant, of.metric, of.layer, of.bound, of.file, of.line


def _case(limit: Limit, hint: str) -> ET.Element:
    name = f"{title(limit).removeprefix(f'{limit.name}: ')} {limit.bound}"
    attributes = {"name": printable(name), "classname": printable(limit.name), "time": "0"}
    case = ET.Element("testcase", attributes)
    if limit.outcome == "broken" and limit.level == "error":
        message = printable(f"{title(limit)}: {sentence(limit)}")
        failure = ET.SubElement(case, "failure", {"type": limit.bound, "message": message})
        lines = (message, limit.note, hint, _place(limit))
        failure.text = _printable_lines("\n".join(filter(None, lines)))
    if limit.outcome == "skipped":
        ET.SubElement(case, "skipped", {"message": printable(limit.reason)})
    return case


def _is_told(limit: Limit) -> bool:
    is_warning = limit.outcome == "broken" and limit.level == "warn"
    return is_warning or limit.outcome in ("inconclusive", "new")


def _place(limit: Limit) -> str:
    return f"{limit.file}:{limit.line}"


def _printable_lines(text: str) -> str:
    """``text`` with nothing but printable characters and line ends: XML takes few others."""
    return "\n".join(map(printable, text.splitlines()))
