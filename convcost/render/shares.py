"""Where a model's time and multiplications go: the largest rows as bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from convcost.report import METRICS, Report, Row, Value, number
from convcost.units import format_percent

MOST_ROWS = 10
WIDEST_BAR, NARROWEST_BAR = 30, 4
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_PERCENT = 8
"""Columns of a blank, a percentage and the gap to the next column."""
_LEAST = 0.001
"""Of smaller shares only that they are smaller is told."""
_STYLES = {"latency": "magenta", "multiplications": "cyan"}


class Share(NamedTuple):
    """A row's part of the whole, by metric, or that of all rows without a line of their own."""

    name: str
    parts: Mapping[str, float]
    is_row: bool = True


def shares(report: Report) -> list[Share]:
    """The rows with the largest share of the time, or of the multiplications without one.

    What all others have together stands last, so that each metric adds up to 1; ``--top`` and
    ``--filter`` may have taken some of them out of the report.
    """
    metrics = [key for key in _STYLES if any(_part(key, row, report) for row in report.rows)]
    if not metrics:
        return []
    found = [_share(rows, metrics, report) for rows in _timed_together(report, metrics)]
    found = [share for share in found if any(share.parts.values())]
    largest = sorted(found, key=lambda share: -share.parts[metrics[0]])[:MOST_ROWS]
    rest = {key: max(0.0, 1 - sum(share.parts[key] for share in largest)) for key in metrics}
    if max(rest.values()) < _LEAST:
        return largest
    return [*largest, Share("all others", rest, is_row=False)]


def _timed_together(report: Report, metrics: Sequence[str]) -> Iterator[list[Row]]:
    """Each row with those after it that ran in its time; of chosen rows only those with one."""
    together: list[Row] = []
    for row in report.rows:
        timed = "latency" not in metrics or "latency_share" in row.values or row.op == "input"
        if together and (timed or report.selection):
            yield together
            together = []
        if timed or not report.selection:
            together.append(row)
    if together:
        yield together


def _share(rows: Sequence[Row], metrics: Sequence[str], report: Report) -> Share:
    first, *others = rows
    name = f"{first.name} and {len(others)} after it" if others else first.name
    return Share(name, {key: sum(_part(key, row, report) for row in rows) for key in metrics})


def _part(key: str, row: Row, report: Report) -> float:
    if key == "latency":
        return _number(row.values.get("latency_share"))
    total = _number(report.totals.get(key))
    return _number(row.values.get(key)) / total if total else 0.0


def _number(value: Value | None) -> float:
    return 0.0 if value is None or value.value is None else number(value)


def shares_view(found: Sequence[Share], width: int) -> Iterator[Text | Table]:
    """The shares as bars, as long as the width allows; nothing where there is no room for any."""
    metrics = list(found[0].parts)
    names = max(len(share.name) for share in found)
    longest = min(WIDEST_BAR, (width - names - 2) // len(metrics) - _PERCENT)
    if longest < NARROWEST_BAR:
        return
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    for key in metrics:
        table.add_column(Text(METRICS[key].label if key != "latency" else "time"), no_wrap=True)
    largest = max(part for share in found if share.is_row for part in share.parts.values())
    for share in found:
        # what is left together is no row: a bar of it would dwarf them all
        scale = longest / largest if share.is_row else 0.0
        cells = (_cell(part, scale, _STYLES[key]) for key, part in share.parts.items())
        table.add_row(Text(share.name), *cells)
    yield Text("Where it goes", style="bold")
    yield Text("")
    yield table


def _cell(part: float, scale: float, style: str) -> Text:
    percent = format_percent(part) if part >= _LEAST or not part else f"< {format_percent(_LEAST)}"
    return Text.assemble(f"{percent:>7} ", (bar(part * scale), style))


def bar(length: float) -> str:
    """A bar of so many columns, to an eighth of one."""
    full, eighths = divmod(round(length * 8), 8)
    return _EIGHTHS[8] * full + _EIGHTHS[eighths].strip()
