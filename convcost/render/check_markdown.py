"""A check for a forge: a pull request's comment, a job's summary."""

from __future__ import annotations

from collections.abc import Iterator

from convcost.render.check_table import SIGNS, heading, outcome, state
from convcost.render.limits import expected, found, title
from convcost.render.markdown import escape
from convcost.report import Report

_HEAD = ("", "limit", "expected", "found", "by how much")


def render(report: Report) -> str:
    """``report`` as GitHub-flavoured markdown."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield from (f"**{escape(heading(report))}**", "")
    for finding in report.findings:
        word = "error" if finding.level == "error" else "warning"
        told = (finding.message, *finding.note.splitlines(), finding.hint)
        yield f"- **{word}**: {'<br>'.join(map(escape, told))}"
    if report.findings:
        yield ""
    yield from (_row(*_HEAD), _row(*("---" for _ in _HEAD)))
    for limit in report.limits:
        cells = (title(limit), expected(limit), found(limit), outcome(limit))
        yield _row(SIGNS[state(limit)], *map(escape, cells))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
