"""What every table of a check shows: a line for each limit."""

from __future__ import annotations

from collections import Counter

from convcost.render.limits import by_how_much, expected, found, title
from convcost.report import Finding, Limit, Report

SIGNS = {"kept": "✓", "broken": "✗", "warned": "!", "inconclusive": "?", "skipped": "–", "new": "+"}
HEADERS = ("", "limit", "expected", "found", "by how much")
"""The first one is of what became of the limit."""


def heading(report: Report) -> str:
    """What was checked, and how many limits came out how."""
    counted = Counter(map(state, report.limits))
    told = ", ".join(f"{counted[outcome]} {outcome}" for outcome in SIGNS if counted[outcome])
    against = report.environment.get("against")
    return f"{report.source}{f' against {against}' if against else ''}: {told}"


def cells_of(limit: Limit) -> tuple[str, str, str, str]:
    """The cells after the first."""
    return title(limit), expected(limit), found(limit), _outcome(limit)


def state(limit: Limit) -> str:
    """What became of a limit: its outcome, or that it is broken at the level ``warn``."""
    is_warning = limit.outcome == "broken" and limit.level == "warn"
    return "warned" if is_warning else limit.outcome


def word_of(finding: Finding) -> str:
    """A finding's level as a reader says it."""
    return "error" if finding.level == "error" else "warning"


def _outcome(limit: Limit) -> str:
    """By how much a judged limit is broken or moved; else what became of it."""
    if limit.outcome == "broken" or (limit.outcome == "kept" and limit.bound == "max_increase"):
        return by_how_much(limit)
    return "" if limit.outcome == "kept" else limit.outcome
