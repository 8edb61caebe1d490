"""A check for a terminal: a line for each limit, then what is wrong and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from convcost.render.limits import by_how_much, expected, found, title
from convcost.render.table import unbroken
from convcost.report import Limit, Report

SIGNS = {"kept": "✓", "broken": "✗", "warned": "!", "inconclusive": "?", "skipped": "–", "new": "+"}
_STYLES = {
    "kept": "green",
    "broken": "red",
    "warned": "yellow",
    "inconclusive": "yellow",
    "skipped": "dim",
    "new": "cyan",
}


def check_view(report: Report) -> Iterator[RenderableType]:
    """The parts of a check, in order."""
    yield from (Text(heading(report), style="bold"), "")
    yield _table(report)
    for finding in report.findings:
        style = "red" if finding.level == "error" else "yellow"
        word = "error" if finding.level == "error" else "warning"
        yield from ("", Text.assemble((word, f"bold {style}"), f": {finding.message}"))
        advice, *commands = finding.hint.splitlines() or [""]
        for line in (*finding.note.splitlines(), advice):
            yield Padding(Text(line), (0, 0, 0, 2), expand=False)
        yield from (unbroken(f"  {command}") for command in commands)


def heading(report: Report) -> str:
    """What was checked, and how many limits came out how."""
    counted = Counter(map(state, report.limits))
    told = ", ".join(f"{counted[outcome]} {outcome}" for outcome in SIGNS if counted[outcome])
    against = report.environment.get("against")
    return f"{report.source}{f' against {against}' if against else ''}: {told}"


def _table(report: Report) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    for header in ("limit", "expected", "found", "by how much"):
        table.add_column(header, overflow="fold")
    for limit in report.limits:
        sign = Text(SIGNS[state(limit)], style=_STYLES[state(limit)])
        cells = (title(limit), expected(limit), found(limit), outcome(limit))
        table.add_row(sign, *map(Text, cells))
    return table


def state(limit: Limit) -> str:
    """What became of a limit: its outcome, or that it is broken at the level ``warn``."""
    is_warning = limit.outcome == "broken" and limit.level == "warn"
    return "warned" if is_warning else limit.outcome


def outcome(limit: Limit) -> str:
    """By how much a judged limit is broken or moved; else what became of it."""
    if limit.outcome == "broken" or (limit.outcome == "kept" and limit.bound == "max_increase"):
        return by_how_much(limit)
    return "" if limit.outcome == "kept" else limit.outcome
