"""A table for a forge: a pull request, an issue, a README."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from convcost.render.cells import Column, footnotes, layer_columns, summary_columns, title
from convcost.render.sentences import sentences
from convcost.report import Report, Row


def render(report: Report) -> str:
    """``report`` as GitHub-flavoured markdown."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield from (f"**{_escape(title(report))}**", "")
    yield from _table(summary_columns(report), report.rows)
    yield ""
    for variant, sentence in sentences(report):
        yield f"- **{_escape(variant)}**: {_escape(sentence)}"
    for finding in report.findings:
        where = f"{finding.name}, {finding.variant}"
        yield f"- **finding**: {_escape(f'{where}: {finding.message}')}"
    for note in footnotes(report):
        yield from ("", _escape(note))
    for row in report.rows:
        layers = [layer for layer in report.layers if layer.variant == row.variant]
        if layers:
            yield from ("", f"**{_escape(row.variant)}**", "")
            yield from _table(layer_columns(), layers)


def _table(columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[str]:
    yield _line(column.header for column in columns)
    yield _line("---:" if column.right else "---" for column in columns)
    for row in rows:
        yield _line(_escape(str(column.cell(row))) for column in columns)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", text)
