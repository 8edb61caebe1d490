"""The report itself: the saved form."""

from __future__ import annotations

from convcost.report import Report


def render(report: Report) -> str:
    """``report`` as JSON, by the published schema."""
    return report.to_json()
