"""GitLab's code quality report: one entry a finding."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from convcost.report import Finding, Report

_SEVERITIES = {"error": "major", "warn": "minor"}


def render(report: Report) -> str:
    """``report``'s findings as JSON of the code quality format."""
    return json.dumps([_entry(finding) for finding in report.findings], indent=2) + "\n"


def _entry(finding: Finding) -> dict[str, Any]:
    text = "; ".join(
        filter(None, (finding.message, finding.note, " ".join(finding.hint.splitlines())))
    )
    return {
        "description": text,
        "check_name": f"convcost/{finding.metric}",
        "fingerprint": fingerprint(finding),
        "severity": _SEVERITIES[finding.level],
        "location": {"path": finding.file, "lines": {"begin": finding.line}},
    }


def fingerprint(finding: Finding) -> str:
    """What stays the same while a limit stays broken, whatever its value and its line."""
    parts = (
        finding.file,
        finding.name,
        finding.layer,
        finding.variant,
        finding.metric,
        finding.bound,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
