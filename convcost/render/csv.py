"""One line per row, for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from convcost.render.cells import usual_settings
from convcost.report import METRICS, Report, Row, Value

_INTERVAL = ("low", "high")


def render(report: Report) -> str:
    """``report``'s rows and layers as CSV; what isn't known is an empty field."""
    rows = [*report.rows, *report.layers]
    keys = [key for key in METRICS if any(key in row.values for row in rows)]
    settings = usual_settings(report)
    measured = [k for k in keys if any(_has_interval(row.values.get(k)) for row in rows)]
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(["name", "variant", "op", "output_shape", *settings, *_headers(keys, measured)])
    writer.writerows(
        [*_head(row), *_settings(row, settings), *_fields(row, keys, measured)] for row in rows
    )
    return written.getvalue()


def _headers(keys: list[str], measured: list[str]) -> Iterator[str]:
    for key in keys:
        yield key
        if key in measured:
            yield from (f"{key}_{end}" for end in _INTERVAL)


def _head(row: Row) -> list[str]:
    return [row.name, row.variant, row.op, text(row.output_shape)]


def _settings(row: Row, usual: dict[str, object]) -> Iterator[str]:
    for key, value in usual.items():
        yield text(row.settings.get(key, value))


def _fields(row: Row, keys: list[str], measured: list[str]) -> Iterator[str]:
    for key in keys:
        value = row.values.get(key)
        yield text(value.value if value else None)
        if key in measured:
            yield from (text(getattr(value, end) if value else None) for end in _INTERVAL)


def _has_interval(value: Value | None) -> bool:
    return value is not None and value.rounds is not None


def text(value: object) -> str:
    """A value as a field: the sizes of several axes with a sign between them."""
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return "" if value is None else str(value)
