"""A check for a forge: a pull request's comment, a job's summary."""

from __future__ import annotations

from collections.abc import Iterator

from convcost.render.check_cells import HEADERS, SIGNS, cells_of, heading, state, word_of
from convcost.render.markdown import escape, line
from convcost.report import Report


def render(report: Report) -> str:
    """``report`` as GitHub-flavoured markdown."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield from (f"**{escape(heading(report))}**", "")
    for finding in report.findings:
        told = (finding.message, *finding.note.splitlines(), finding.hint)
        yield f"- **{word_of(finding)}**: {'<br>'.join(map(escape, told))}"
    if report.findings:
        yield ""
    yield from (line(HEADERS), line("---" for _ in HEADERS))
    for limit in report.limits:
        yield line((SIGNS[state(limit)], *map(escape, cells_of(limit))))
