"""The roofline as a plot of characters: what rows reach under the machine's ceilings.

Williams, Waterman and Patterson, 'Roofline', CACM 2009: at an intensity of i FLOP per byte no
more than ``min(peak, i / 2 * bandwidth)`` multiplications per second are possible. Both axes are
logarithmic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor, log10
from typing import Literal, NamedTuple

from rich.text import Text

from convcost.report import Report, Row, number
from convcost.units import FORMATTERS, format_count, format_digits

Bound = Literal["compute", "memory", "overhead"]

HEIGHT = 14
LEAST_WIDTH = 40
"""A narrower plot shows nothing."""
_LABEL = 9
_MARGIN = 0.1
"""Of a decade, beyond the largest value."""
_MARKS: dict[Bound, tuple[str, str]] = {
    "memory": ("▲", "magenta"),
    "compute": ("●", "cyan"),
    "overhead": ("◆", "yellow"),
}


class Point(NamedTuple):
    """A row: FLOP per byte moved, multiplications per second, and what bounds it."""

    intensity: float
    rate: float
    bound: Bound


class Roof(NamedTuple):
    """A machine's ceilings."""

    multiplications_per_second: float
    bytes_per_second: float

    def at(self, intensity: float) -> float:
        """The most multiplications per second at so many FLOP per byte."""
        return min(self.multiplications_per_second, intensity / 2 * self.bytes_per_second)

    @property
    def ridge(self) -> float:
        """FLOP per byte from which on memory is no bound."""
        return 2 * self.multiplications_per_second / self.bytes_per_second


class _Axis(NamedTuple):
    """Powers of ten from ``low`` to ``high`` on ``cells`` columns or lines."""

    low: int
    high: float
    cells: int

    @property
    def decades(self) -> list[float]:
        return [10.0**power for power in range(self.low, floor(self.high) + 1)]

    def cell(self, value: float) -> int:
        share = (log10(value) - self.low) / (self.high - self.low)
        return min(self.cells - 1, max(0, round(share * (self.cells - 1))))

    def value(self, cell: int) -> float:
        share: float = 10 ** (self.low + cell / (self.cells - 1) * (self.high - self.low))
        return share


def roofline_plot(points: Sequence[Point], roof: Roof, width: int) -> Iterator[Text]:
    """The plot, line by line; nothing where ``width`` is too small or there is no point.

    Points that multiply nothing have no place on it.
    """
    shown = [point for point in points if point.intensity > 0 and point.rate > 0]
    if not shown or width < LEAST_WIDTH:
        return
    across = _axis([roof.ridge, *(p.intensity for p in shown)], min(width, 100) - _LABEL)
    up = _axis([roof.multiplications_per_second, *(p.rate for p in shown)], HEIGHT)
    yield Text("multiplications per second", style="dim")
    yield from _body(_grid(shown, roof, across, up), up)
    yield Text(f"{' ' * (_LABEL - 1)}└{'─' * across.cells}", style="dim")
    yield Text(f"{' ' * _LABEL}{_scale(across)}", style="dim")
    yield Text("FLOP per byte".rjust(_LABEL + across.cells), style="dim")
    yield from _legend(shown, roof)


def _axis(values: Sequence[float], cells: int) -> _Axis:
    low = floor(log10(min(values)))
    return _Axis(low, max(log10(max(values)) + _MARGIN, low + 1), cells)


_Grid = list[list[tuple[str, str]]]


def _grid(points: Sequence[Point], roof: Roof, across: _Axis, up: _Axis) -> _Grid:
    grid: _Grid = [[(" ", "")] * across.cells for _ in range(up.cells)]
    for column in range(across.cells):
        intensity = across.value(column)
        sign = "╱" if intensity < roof.ridge else "─"
        if roof.at(intensity) >= up.value(0):
            grid[up.cell(roof.at(intensity))][column] = (sign, "dim")
    for point in sorted(points, key=lambda point: list(_MARKS).index(point.bound)):
        grid[up.cell(point.rate)][across.cell(point.intensity)] = _MARKS[point.bound]
    return grid


def _body(grid: _Grid, up: _Axis) -> Iterator[Text]:
    labels = {up.cell(decade): decade for decade in up.decades}
    for line in reversed(range(up.cells)):
        label = format_count(labels[line], 1) if line in labels else ""
        text = Text(label.rjust(_LABEL - 2) + (" ┤" if label else " │"), style="dim")
        for sign, style in grid[line]:
            text.append(sign, style)
        text.rstrip()
        yield text


def _scale(across: _Axis) -> str:
    """The decades' labels under the axis, as many as have room."""
    line = ""
    for decade in across.decades:
        label, at = format_digits(decade, 1), across.cell(decade)
        start = min(at, across.cells - len(label))
        if start > len(line) or not line:
            line = line.ljust(start) + label
    return line


def _legend(points: Sequence[Point], roof: Roof) -> Iterator[Text]:
    for bound, (sign, style) in _MARKS.items():
        count = sum(point.bound == bound for point in points)
        if count:
            yield Text.assemble((sign, style), f" bound by {bound}: {count}")
    peak = format_count(roof.multiplications_per_second)
    bandwidth = FORMATTERS["bandwidth"](roof.bytes_per_second)
    yield Text(
        f"the roof: {peak} multiplications/s and {bandwidth}, "
        f"which meet at {format_digits(roof.ridge)} FLOP per byte",
        style="dim",
    )


def roofline_of(report: Report) -> tuple[list[Point], Roof] | None:
    """A measured profile's rows and the ceilings that they were held against; None without them."""
    rows = [row for row in report.rows if _known(row, "bound", "latency", "compute_latency")]
    working = [row for row in rows if _of(row, "multiplications") and _of(row, "latency")]
    if not working:
        return None
    first = working[0]
    roof = Roof(
        _of(first, "multiplications") / _of(first, "compute_latency"),
        _of(first, "bytes_moved") / _of(first, "memory_latency"),
    )
    return [_point(row) for row in working], roof


def _known(row: Row, *keys: str) -> bool:
    values = (row.values.get(key) for key in keys)
    return all(value is not None and value.value is not None for value in values)


def _of(row: Row, key: str) -> float:
    return number(row.values[key])


def _point(row: Row) -> Point:
    bound = next(name for name in _MARKS if name == row.values["bound"].value)
    rate = _of(row, "multiplications") / _of(row, "latency")
    return Point(_of(row, "arithmetic_intensity"), rate, bound)
