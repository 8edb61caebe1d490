"""The receptive field and the effective stride from layer to layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt

from convcost.render.charts.picture import OTHERS, Datum, Picture, chart, layered, named, sized
from convcost.report import METRICS, Report, Row

_KEYS = ("receptive_field", "effective_stride")
_AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def pictures(report: Report) -> Iterator[Picture]:
    """A step for each layer, in the report's order; a comparison has layers where asked for."""
    rows = report.rows if report.kind == "profile" else report.layers
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
    base = chart(data).encode(
        x=alt.X("row:Q", title="layer, in order", scale=alt.Scale(nice=False)),
        y=alt.Y("positions:Q", title="input positions", scale=alt.Scale(type="log")),
        color=alt.Color(
            f"{group}:N",
            title=None,
            scale=alt.Scale(range=list(OTHERS[3:] if not several else OTHERS)),
            legend=alt.Legend(orient="top", columns=2),
        ),
        detail=["axis:N", "what:N", "variant:N"],
        tooltip=["name:N", "what:N", "axis:N", "positions:Q"],
    )
    lines = base.mark_line(interpolate="step-after", strokeWidth=2)
    if several:
        lines = lines.encode(strokeDash=alt.StrokeDash("what:N", title=None))
    return sized(layered(lines, base.mark_point(filled=True, size=18)))


def _describe(rows: Sequence[Row], data: Sequence[Datum]) -> str:
    largest = {
        label: max((float(str(d["positions"])) for d in data if d["what"] == label), default=0)
        for label in (METRICS[key].label for key in _KEYS)
    }
    told = " and ".join(f"{label} up to {size:,.10g}" for label, size in largest.items() if size)
    blind = sum(1 for row in rows if not list(_sizes(row, "receptive_field")))
    rest = (
        f" {named(blind, 'row')} without a finite field {'is' if blind == 1 else 'are'} left out."
    )
    return f"Through the layers, in input positions: {told}.{rest if blind else ''}"
