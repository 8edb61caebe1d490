"""The machine's roofline, with the rows under it (Williams et al., CACM 2009)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import altair as alt

from convcost.render.cells import row_label
from convcost.render.charts.names import names
from convcost.render.charts.picture import (
    BOUNDS,
    COUNTS,
    GREY,
    NUMBERS,
    Datum,
    Picture,
    chart,
    layered,
    log_axis,
    sized,
)
from convcost.report import METRICS, Report, Row, number
from convcost.units import format_count, format_several

_NEEDED = ("latency", "multiplications", "arithmetic_intensity", "bound")


class Ceilings(NamedTuple):
    """What the machine does at best, per second."""

    multiplications: float
    byte_count: float

    @property
    def ridge(self) -> float:
        """The FLOP per byte from which the arithmetic is the limit."""
        return 2 * self.multiplications / self.byte_count


def pictures(report: Report) -> Iterator[Picture]:
    """One point for each row that was timed and held against the machine's ceilings."""
    # with another dtype or other threads the machine has other ceilings
    alike = [row for row in report.rows if not row.settings.keys() & {"dtype", "threads"}]
    rows = [row for row in alike if all(_size(row, key) for key in _NEEDED)]
    ceilings = _ceilings(alike)
    if ceilings is None or not rows:
        return
    yield Picture("roofline", "Roofline", _describe(rows, ceilings), _chart(rows, ceilings, report))


def _size(row: Row, key: str) -> object:
    value = row.values.get(key)
    return value and value.value


def _ceilings(rows: Sequence[Row]) -> Ceilings | None:
    """The machine's rates: a row's work over the time that it takes at best."""
    pairs = (("multiplications", "compute_latency"), ("bytes_moved", "memory_latency"))
    rates = [
        next((_rate(row, *pair) for row in rows if _size(row, pair[0]) and _size(row, pair[1])), 0)
        for pair in pairs
    ]
    return Ceilings(*rates) if all(rates) else None


def _rate(row: Row, work: str, seconds: str) -> float:
    return number(row.values[work]) / number(row.values[seconds])


def _chart(rows: Sequence[Row], ceilings: Ceilings, report: Report) -> alt.LayerChart:
    points = [_datum(row, report) for row in rows]
    intensities = [number(row.values["arithmetic_intensity"]) for row in rows]
    corners = sorted((min(intensities) / 2, ceilings.ridge, max(*intensities, ceilings.ridge) * 2))
    roof = [
        {
            "intensity": at,
            "rate": min(ceilings.multiplications, at * ceilings.byte_count / 2),
        }
        for at in corners
    ]
    both = [*roof, *points]
    across, up = ([float(str(datum[key])) for datum in both] for key in ("intensity", "rate"))
    title = METRICS["arithmetic_intensity"].label
    x = log_axis(alt.X("intensity:Q", title=title), NUMBERS, across)
    y = log_axis(alt.Y("rate:Q", title="multiplications per second"), COUNTS, up)
    return sized(
        layered(
            chart(roof).mark_line(color=GREY, strokeWidth=2).encode(x=x, y=y),
            chart(roof[-1:])
            .mark_text(align="right", dy=-8, color=GREY, fontStyle="italic")
            .encode(x=x, y=y, text=alt.value("what this machine does at best")),
            chart(points)
            .mark_point(filled=True, size=70, opacity=1)
            .encode(
                x=x,
                y=y,
                color=alt.Color(
                    "bound:N",
                    title=METRICS["bound"].label,
                    scale=alt.Scale(domain=list(BOUNDS), range=list(BOUNDS.values())),
                    legend=alt.Legend(orient="top"),
                ),
                tooltip=["name:N", "bound:N", alt.Tooltip("intensity:Q", format=".3~g")],
            ),
            *([names(points, both, x, y)] if report.kind == "compare" else []),
        )
    )


def _datum(row: Row, report: Report) -> Datum:
    return {
        "name": row.name if report.kind == "profile" else row_label(row),
        "intensity": number(row.values["arithmetic_intensity"]),
        "rate": _rate(row, "multiplications", "latency"),
        "bound": str(row.values["bound"].value),
    }


def _describe(rows: Sequence[Row], ceilings: Ceilings) -> str:
    counts = {bound: sum(row.values["bound"].value == bound for row in rows) for bound in BOUNDS}
    told = ", ".join(f"{count} by {bound}" for bound, count in counts.items() if count)
    return (
        f"The line is the most that this machine does: {format_count(ceilings.byte_count)}B moved "
        f"and {format_count(ceilings.multiplications)} multiplications a second; from "
        f"{ceilings.ridge:.3g} FLOP per byte on arithmetic is the limit. What bounds the "
        f"{format_several(len(rows), 'row')}: {told}."
    )
