"""The receptive field and the effective stride from layer to layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt

from convcost.render.charts.picture import (
    NUMBERS,
    OTHERS,
    Datum,
    Picture,
    chart,
    layered,
    log_axis,
    round_step,
    sized,
)
from convcost.report import METRICS, Report, Row
from convcost.units import format_several

_KEYS = ("receptive_field", "effective_stride")
_AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def pictures(report: Report) -> Iterator[Picture]:
    """A step for each layer, where all are there in order; a comparison has them if asked for."""
    rows = report.rows if report.kind == "profile" else report.layers
    if report.selection is not None:
        return
    data = [datum for variant in _variants(rows) for datum in _data(variant)]
    if report.kind not in ("profile", "compare") or len({d["row"] for d in data}) < 2:
        return
    yield Picture(
        "depth",
        "Receptive field and effective stride through depth",
        _describe(rows, data),
        _chart(data),
    )


def _variants(rows: Sequence[Row]) -> list[list[Row]]:
    names = dict.fromkeys(row.variant for row in rows)
    return [[row for row in rows if row.variant == name] for name in names]


def _data(rows: Sequence[Row]) -> Iterator[Datum]:
    for index, row in enumerate(rows, 1):
        for key in _KEYS:
            for axis, size in _sizes(row, key):
                yield {
                    "row": index,
                    "name": row.name,
                    "variant": row.variant,
                    "what": METRICS[key].label,
                    "axis": axis,
                    "positions": size,
                }


def _sizes(row: Row, key: str) -> Iterator[tuple[str, float]]:
    """The finite sizes along each axis; one where all axes have the same."""
    value = row.values.get(key)
    if value is None or not isinstance(value.value, tuple):
        return
    names = _AXES.get(len(value.value), ())
    if len(set(value.value)) == 1:
        names = ("each axis",)
    for name, size in zip(names, value.value, strict=False):
        if isinstance(size, int | float):
            yield name, size


def _chart(data: Sequence[Datum]) -> alt.LayerChart:
    several = len({datum["variant"] for datum in data}) > 1
    group = "variant" if several else "what"
    kinds = list(dict.fromkeys(str(datum["what"]) for datum in data))
    base = chart(data).encode(
        x=alt.X(
            "row:Q",
            title="layer, in order",
            scale=alt.Scale(nice=False, zero=False),
            axis=alt.Axis(
                values=_numbers(max(int(str(datum["row"])) for datum in data)), format="d"
            ),
        ),
        y=log_axis(
            alt.Y("positions:Q", title="input positions"),
            NUMBERS,
            (float(str(datum["positions"])) for datum in data),
        ),
        color=alt.Color(
            f"{group}:N",
            title=None,
            scale=alt.Scale(
                domain=list(dict.fromkeys(str(datum[group]) for datum in data)),
                range=list(OTHERS if several else OTHERS[3:]),
            ),
            legend=alt.Legend(orient="top", columns=2),
        ),
        detail=["axis:N", "what:N", "variant:N"],
        tooltip=["name:N", "what:N", "axis:N", "positions:Q"],
    )
    lines = base.mark_line(interpolate="step", strokeWidth=2)
    if several:
        dash = alt.Scale(domain=kinds, range=[[1, 0], [2, 2]])
        legend = alt.Legend(orient="top")
        lines = lines.encode(
            strokeDash=alt.StrokeDash("what:N", title=None, scale=dash, legend=legend)
        )
    return sized(layered(lines, base.mark_point(filled=True, size=18, opacity=1)))


def _numbers(count: int) -> list[int]:
    """About ten of the layers' numbers."""
    step = max(1, int(round_step(count, 10)))
    return list(range(step, count + 1, step))


def _describe(rows: Sequence[Row], data: Sequence[Datum]) -> str:
    largest = {
        label: max((float(str(d["positions"])) for d in data if d["what"] == label), default=0)
        for label in (METRICS[key].label for key in _KEYS)
    }
    told = " and ".join(f"{label} up to {size:,.10g}" for label, size in largest.items() if size)
    blind = sum(1 for row in rows if not list(_sizes(row, "receptive_field")))
    verb = "is" if blind == 1 else "are"
    rest = f" {format_several(blind, 'row')} without a finite field {verb} left out."
    return f"Through the layers, in input positions: {told}.{rest if blind else ''}"
