"""Ratios with their intervals on one scale, a line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log
from typing import NamedTuple

from rich.text import Text

from convcost.render.cells import compared_here
from convcost.report import Report, Row, number
from convcost.units import format_factor

LABEL, MOST_CELLS, LEAST_CELLS = 24, 60, 16


class Scale(NamedTuple):
    """A logarithmic axis of ``cells`` cells."""

    low: float
    high: float
    cells: int

    def cell(self, ratio: float) -> int:
        """Where a ratio stands."""
        share = log(ratio / self.low) / log(self.high / self.low)
        return min(self.cells - 1, max(0, round(share * (self.cells - 1))))


def intervals_plot(report: Report, width: int) -> Iterator[Text]:
    """Each row's time over standard's, its interval, and the line where they are equal."""
    rows = [row for row in report.rows if row.values["latency_ratio"].low is not None]
    label = max((len(row.name) for row in rows), default=0)
    cells = min(MOST_CELLS, width - label - LABEL)
    if len(rows) < 2 or cells < LEAST_CELLS:
        return
    scale = _scale(rows, cells)
    key, turn = report.environment["vary"], _turn(report)
    yield Text("time over standard's, with its interval; │ is equal time", style="dim")
    for row in rows:
        line = Text(f"{row.name:>{label}}  {_track(row, scale)}  ")
        yield line.append(str(compared_here(row)), "dim")
        if row.settings.get(str(key)) == turn:
            yield Text(f"{'crossover':>{label}}  {'┄' * cells}", style="dim")
    ends = [format_factor(scale.low), format_factor(scale.high)]
    gap = cells - sum(map(len, ends))
    yield Text(f"{'':>{label}}  {ends[0]}{' ' * gap}{ends[1]}", style="dim")


def _turn(report: Report) -> float | None:
    """The number after which the verdict turns, where both sides of it are sure."""
    if "crossover_after" in report.totals and "crossover_until" in report.totals:
        return number(report.totals["crossover_after"])
    return None


def _scale(rows: Sequence[Row], cells: int) -> Scale:
    lows = [row.values["latency_ratio"].low or 1.0 for row in rows]
    highs = [row.values["latency_ratio"].high or 1.0 for row in rows]
    return Scale(min(*lows, 0.9), max(*highs, 1.1), cells)


def _track(row: Row, scale: Scale) -> str:
    ratio = row.values["latency_ratio"]
    line = [" "] * scale.cells
    for cell in range(scale.cell(ratio.low or 1.0), scale.cell(ratio.high or 1.0) + 1):
        line[cell] = "─"
    line[scale.cell(1.0)] = "│"
    line[scale.cell(number(ratio))] = "●"
    return "".join(line)
