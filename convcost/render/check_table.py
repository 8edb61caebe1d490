"""A check for a terminal: a line for each limit, then what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from convcost.render.check_cells import HEADERS, SIGNS, cells_of, heading, state, word_of
from convcost.render.table import unbroken
from convcost.report import Report

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
        yield from ("", Text.assemble((word_of(finding), f"bold {style}"), f": {finding.message}"))
        advice, *commands = finding.hint.splitlines() or [""]
        for line in (*finding.note.splitlines(), advice):
            yield Padding(Text(line), (0, 0, 0, 2), expand=False)
        yield from (unbroken(f"  {command}") for command in commands)


def _table(report: Report) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(HEADERS[0])
    for header in HEADERS[1:]:
        table.add_column(header, overflow="fold")
    for limit in report.limits:
        sign = Text(SIGNS[state(limit)], style=_STYLES[state(limit)])
        table.add_row(sign, *map(Text, cells_of(limit)))
    return table
