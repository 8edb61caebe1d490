"""A comparison's measurements, intervals as intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt

from convcost.render.cells import format_value, row_label
from convcost.render.charts.picture import (
    GREY,
    SECONDS,
    Datum,
    Picture,
    chart,
    layered,
    log_axis,
    sized,
)
from convcost.report import METRICS, Report, Row, number
from convcost.units import format_factor

_VERDICTS = {
    "faster": "#009e73",
    "slower": "#d55e00",
    "same": "#0072b2",
    "inconclusive": "#e69f00",
    "untrusted": GREY,
}
_ROW = 44


def pictures(report: Report) -> Iterator[Picture]:
    """The latency of each variant, and its ratio to the reference beside what the paper says."""
    if report.kind != "compare":
        return
    timed = [row for row in report.rows if _is_known(row, "latency")]
    if timed:
        yield _latencies(timed)
    compared = [row for row in report.rows if _is_known(row, "latency_ratio")]
    if compared:
        yield _ratios(compared)


def _is_known(row: Row, key: str) -> bool:
    return key in row.values and row.values[key].value is not None


def _datum(row: Row, key: str) -> Datum:
    value = row.values[key]
    verdict = row.values.get("verdict")
    return {
        "name": row_label(row),
        "value": number(value),
        "low": number(value) if value.low is None else value.low,
        "high": number(value) if value.high is None else value.high,
        "told": format_value(key, value),
        "verdict": str(verdict.value) if verdict else "reference",
    }


def _interval(data: Sequence[Datum], x: alt.X, colour: Any) -> alt.LayerChart:
    base = chart(data).encode(y=_names(data))
    return layered(
        base.mark_rule(strokeWidth=6, opacity=0.45, strokeCap="round").encode(
            x=x, x2="high:Q", color=colour
        ),
        base.mark_point(filled=True, size=90, opacity=1).encode(
            x="value:Q",
            color=colour,
            tooltip=["name:N", alt.Tooltip("told:N", title="median"), "verdict:N"],
        ),
        base.mark_text(dy=-13).encode(x="value:Q", text="told:N"),
    )


def _names(data: Sequence[Datum]) -> alt.Y:
    """In the report's order: layers that share an axis must all say the same of it."""
    return alt.Y("name:N", title=None, sort=[str(datum["name"]) for datum in data])


def _latencies(rows: Sequence[Row]) -> Picture:
    data = [_datum(row, "latency") for row in rows]
    title = f"{METRICS['latency'].label} (median and interval)"
    axis = alt.Axis(labelExpr=SECONDS, tickCount=5)
    x = alt.X("low:Q", title=title, axis=axis, scale=alt.Scale(domain=_around(data), nice=False))
    told = "; ".join(
        f"{datum['name']}: {_told(row, 'latency')}" for datum, row in zip(data, rows, strict=True)
    )
    return Picture(
        "latencies",
        "Latency of each variant",
        f"The median of each variant with its interval. {told}.",
        sized(_interval(data, x, alt.value("#0072b2")), _ROW * len(data) + 20),
    )


def _around(data: Sequence[Datum]) -> list[float]:
    """The axis of all intervals, with room for the numbers at its ends."""
    low = min(float(str(datum["low"])) for datum in data)
    high = max(float(str(datum["high"])) for datum in data)
    more = 0.1 * (high - low or high)
    return [max(0.0, low - more), high + more]


def _told(row: Row, key: str) -> str:
    value = row.values[key]
    text = format_value(key, value)
    if value.low is None or value.high is None:
        return f"{text}, too few rounds for an interval"
    low, high = (format_value(key, value._replace(value=end)) for end in (value.low, value.high))
    return f"{text} ({low} to {high})"


def _ratios(rows: Sequence[Row]) -> Picture:
    data = [_datum(row, "latency_ratio") for row in rows]
    paper = [
        {"name": row_label(row), "value": number(row.values["multiplications_ratio"])}
        for row in rows
        if _is_known(row, "multiplications_ratio")
    ]
    ends = [float(str(datum[key])) for datum in data for key in ("low", "high")]
    x = log_axis(
        alt.X("low:Q", title="time over that of the reference (diamonds: multiplications)"),
        "format(datum.value, '~r') + '×'",
        [1, *ends, *(float(str(datum["value"])) for datum in paper)],
        padding=40,
    )
    verdicts = [verdict for verdict in _VERDICTS if any(d["verdict"] == verdict for d in data)]
    colour = alt.Color(
        "verdict:N",
        title=METRICS["verdict"].label,
        scale=alt.Scale(domain=verdicts, range=[_VERDICTS[v] for v in verdicts]),
        legend=alt.Legend(orient="top", symbolOpacity=1),
    )
    one = chart([{"one": 1}]).mark_rule(color=GREY, strokeDash=[4, 3]).encode(x="one:Q")
    diamonds = (
        chart(paper)
        .mark_point(shape="diamond", size=120, color=GREY, strokeWidth=2)
        .encode(
            x="value:Q",
            y=_names(data),
            tooltip=["name:N", alt.Tooltip("value:Q", title="on paper")],
        )
    )
    told = "; ".join(
        f"{row_label(row)}: {_told(row, 'latency_ratio')}, {row.values['verdict'].value}, on paper "
        f"{_on_paper(row)}"
        for row in rows
    )
    return Picture(
        "ratios",
        "What arrives of the saving on paper",
        f"Time over that of the reference, with its interval: left of 1× is faster. {told}.",
        sized(layered(one, _interval(data, x, colour), diamonds), _ROW * len(data) + 20),
    )


def _on_paper(row: Row) -> str:
    if not _is_known(row, "multiplications_ratio"):
        return "not known"
    return format_factor(number(row.values["multiplications_ratio"]))
