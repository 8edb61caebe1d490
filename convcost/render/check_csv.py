"""A check for spreadsheets: one line per limit."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from convcost.render.csv import text
from convcost.render.limits import change
from convcost.report import Limit, Report

_HEAD = (
    "name",
    "layer",
    "variant",
    "metric",
    "bound",
    "level",
    "expected",
    "found",
    "base",
    "change",
    "outcome",
    "reason",
    "note",
    "file",
    "line",
)


def render(report: Report) -> str:
    """``report``'s limits as CSV; what isn't known is an empty field."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(_HEAD)
    writer.writerows(list(_fields(limit)) for limit in report.limits)
    return written.getvalue()


def _fields(limit: Limit) -> Iterator[str]:
    found, base = (value and value.value for value in (limit.found, limit.base))
    given = {**limit._asdict(), "found": found, "base": base, "change": change(limit)}
    yield from (text(given[key]) for key in _HEAD)
