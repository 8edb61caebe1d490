"""SARIF 2.1.0, the OASIS format of analysis results."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from convcost._version import __version__
from convcost.render.gitlab import fingerprint
from convcost.report import Finding, Report

_LEVELS = {"error": "error", "warn": "warning"}
_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def render(report: Report) -> str:
    """``report``'s findings as one run."""
    metrics = sorted({finding.metric for finding in report.findings})
    driver = {
        "name": "convcost",
        "version": __version__,
        "rules": [
            {"id": key, "shortDescription": {"text": f"a limit of {key.replace('_', ' ')}"}}
            for key in metrics
        ],
    }
    results = [_result(finding, metrics.index(finding.metric)) for finding in report.findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    text = "\n".join(filter(None, (finding.message, finding.note, finding.hint)))
    place = {
        "artifactLocation": {"uri": quote(finding.file)},
        "region": {"startLine": finding.line},
    }
    return {
        "ruleId": finding.metric,
        "ruleIndex": rule,
        "level": _LEVELS[finding.level],
        "message": {"text": _escape(text)},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"limit/v1": fingerprint(finding)},
    }


def _escape(text: str) -> str:
    """Braces are doubled in a message (SARIF 2.1.0, section 3.11.5)."""
    return text.replace("{", "{{").replace("}", "}}")
