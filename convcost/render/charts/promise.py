"""Multiplications against latency, with the line that the paper promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt
from typing import Any

import altair as alt

from convcost.render.cells import format_value, row_label
from convcost.render.charts.names import names
from convcost.render.charts.picture import (
    BOUNDS,
    COUNTS,
    GREY,
    OTHERS,
    PAPER,
    SECONDS,
    Datum,
    Picture,
    chart,
    layered,
    log_axis,
    sized,
)
from convcost.report import METRICS, Report, Row, Value, number
from convcost.units import format_several


def pictures(report: Report) -> Iterator[Picture]:
    """One point for each row that multiplies and was timed."""
    if report.kind == "diff":  # its rows are only what changed: they share no reference
        return
    rows = [row for row in report.rows if _has(row, "multiplications") and _has(row, "latency")]
    whole = report.totals if report.kind == "profile" else report.rows[0].values
    if len(rows) < 2 or not all(_is_positive(whole.get(k)) for k in ("multiplications", "latency")):
        return
    promised = number(whole["latency"]) / number(whole["multiplications"])
    key = _colour_key(report, rows)
    data = [_datum(row, report, key) for row in rows]
    slowest = max(data, key=lambda datum: float(str(datum["latency"])))
    labels = data if report.kind == "compare" else [slowest]
    yield Picture(
        "promise",
        "Multiplications against latency",
        _describe(rows, report, promised),
        _chart(data, labels, promised, key),
    )


def _has(row: Row, key: str) -> bool:
    return _is_positive(row.values.get(key))


def _is_positive(value: Value | None) -> bool:
    return value is not None and isinstance(value.value, int | float) and value.value > 0


def _colour_key(report: Report, rows: Sequence[Row]) -> str:
    """What bounds a row where that was measured, else what the row is."""
    if any("bound" in row.values for row in rows):
        return "bound"
    return "op" if report.kind == "profile" else "variant"


def _datum(row: Row, report: Report, key: str) -> Datum:
    latency = row.values["latency"]
    bound = row.values.get("bound")
    told = {"bound": str(bound.value if bound else "not known"), "op": row.op}
    return {
        "name": row.name if report.kind == "profile" else row_label(row),
        "group": {**told, "variant": row.variant}[key],
        "multiplications": number(row.values["multiplications"]),
        "latency": number(latency),
        "low": latency.low or number(latency),
        "high": latency.high or number(latency),
        "counted": format_value("multiplications", row.values["multiplications"]),
        "timed": format_value("latency", latency),
    }


def _chart(
    data: Sequence[Datum], labels: Sequence[Datum], promised: float, key: str
) -> alt.LayerChart:
    ends = [pick(float(str(d["multiplications"])) for d in data) for pick in (min, max)]
    middle = sqrt(ends[0] * ends[1])
    paper = [{"multiplications": at, "latency": at * promised} for at in (ends[0], middle, ends[1])]
    times = [float(str(datum[key])) for datum in data for key in ("low", "high")]
    times += [float(str(datum["latency"])) for datum in paper]
    x = log_axis(_axis(alt.X, "multiplications"), COUNTS, ends)
    y = log_axis(_axis(alt.Y, "latency"), SECONDS, times)
    found = dict.fromkeys(str(datum["group"]) for datum in data)
    groups = [bound for bound in BOUNDS if bound in found] + [g for g in found if g not in BOUNDS]
    colours = [BOUNDS.get(group, OTHERS[i % len(OTHERS)]) for i, group in enumerate(groups)]
    title = METRICS[key].label if key in METRICS else key
    colour: Any = alt.Color(
        "group:N",
        title=title,
        scale=alt.Scale(domain=groups, range=colours),
        legend=alt.Legend(orient="top", columns=3),
    )
    line = chart(paper)
    points = chart(data)
    return sized(
        layered(
            line.mark_line(strokeDash=[6, 4], color=GREY).encode(x=x, y=y),
            chart(paper[1:2])
            .mark_text(align="right", dx=-8, dy=-6, color=GREY, fontStyle="italic")
            .encode(x=x, y=y, text=alt.value(PAPER)),
            points.mark_rule(strokeWidth=2).encode(x=x, y="low:Q", y2="high:Q", color=colour),
            points.mark_point(filled=True, size=70, opacity=1).encode(
                x=x,
                y=y,
                color=colour,
                tooltip=[
                    alt.Tooltip("name:N"),
                    alt.Tooltip("group:N", title=title),
                    alt.Tooltip("counted:N", title=METRICS["multiplications"].label),
                    alt.Tooltip("timed:N", title=METRICS["latency"].label),
                ],
            ),
            names(labels, [*paper, *data], x, y),
        )
    )


def _axis(channel: Any, key: str) -> Any:
    return channel(f"{key}:Q", title=METRICS[key].label)


def _describe(rows: Sequence[Row], report: Report, promised: float) -> str:
    over = [
        row
        for row in rows
        if number(row.values["latency"]) > 1.1 * promised * number(row.values["multiplications"])
    ]
    what = "layer" if report.kind == "profile" else "variant"
    whole = "the whole model" if report.kind == "profile" else rows[0].variant
    slowest = max(rows, key=lambda row: number(row.values["latency"]))
    name = slowest.name if report.kind == "profile" else row_label(slowest)
    return (
        f"{format_several(len(rows), what)} on logarithmic axes. On the dashed line time follows "
        f"the multiplications at the rate of {whole}; above it a {what} takes longer than its "
        f"multiplications promise: {len(over)} of {len(rows)} do, by more than 10 %. The slowest "
        f"is {name} with {format_value('latency', slowest.values['latency'])}."
    )
