"""A report in a notebook's cell: its table and its sentences, as HTML without scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from convcost.render.cells import Column
from convcost.render.check_cells import HEADERS, cells_of, state
from convcost.render.notes import footnotes
from convcost.render.sections import main_section, title
from convcost.render.sentences import sentences, whose
from convcost.report import Report, Row


def render(report: Report) -> str:
    """``report`` as a fragment of a page."""
    return "\n".join(_parts(report))


def _parts(report: Report) -> Iterator[str]:
    yield f"<p><strong>{escape(title(report))}</strong></p>"
    yield from (f"<p>{escape(notice)}</p>" for notice in report.notices)
    for finding in report.findings:
        yield f"<p><strong>{escape(whose(finding, report))}: {escape(finding.message)}</strong></p>"
    if report.kind == "check":
        rows = [[state(limit), *cells_of(limit)] for limit in report.limits]
        yield _table(HEADERS, [False] * len(HEADERS), rows)
        return
    section = main_section(report)
    totals = [section.total] if section.total else []
    rows = [_cells(section.columns, row) for row in [*section.rows, *totals]]
    headers = [column.header for column in section.columns]
    if section.columns:
        yield _table(headers, [column.right for column in section.columns], rows)
    for name, sentence in sentences(report):
        yield f"<p><strong>{escape(name)}</strong> {escape(sentence)}</p>"
    for note in footnotes(report):
        yield f"<p><small>{escape(note)}</small></p>"


def _cells(columns: Sequence[Column], row: Row) -> list[str]:
    return [str(column.cell(row)) for column in columns]


def _table(headers: Sequence[str], right: Sequence[bool], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    body = "".join(
        f"<tr>{''.join(_cell(*pair) for pair in zip(row, right, strict=True))}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(text: str, right: bool) -> str:  # noqa: FBT001  the column's side
    side = "right" if right else "left"
    return f'<td style="text-align: {side}">{escape(text)}</td>'
