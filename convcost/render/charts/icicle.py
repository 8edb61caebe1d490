"""The cost of each module and of those inside it, as an icicle: widths are shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import altair as alt

from convcost.render.cells import format_value
from convcost.render.charts.picture import ROOM, WIDTH, Datum, Picture, chart, layered, sized
from convcost.render.module_tree import Module, module_tree
from convcost.report import METRICS, Report, Row, Value, number
from convcost.units import format_percent

_BAR = 34
_SMALLEST = 0.0005
"""A share that would be less than a hair's breadth is left out."""
_KEYS = {"multiplications": "Multiplications", "latency_share": "Latency"}
_PARTS = {
    False: "Outer modules above, those inside them below; widths are shares.",
    True: "Widths are shares of the whole model's; what is left is that of rows not shown.",
}


def pictures(report: Report) -> Iterator[Picture]:
    """One for each cost that adds up over a model's layers; some rows alone make no modules."""
    if report.kind != "profile":
        return
    some = report.selection is not None and len(report.rows) < report.selection.rows
    tree = Module("", report.rows) if some else module_tree(report.rows)
    for key, title in _KEYS.items():
        whole = _whole(report, key)
        if whole and _size(tree, key):
            data = list(_bars(tree.children, key, whole, 0.0, 0))
            told = f"{_PARTS[some]} The largest: {_largest(tree, key, whole)}."
            name = f"{title} by {'row' if some else 'module'}"
            yield Picture(f"icicle-{key}", name, told, _chart(data, key))


def _whole(report: Report, key: str) -> float:
    """What 100 % is: a part of the time is a share already."""
    total = Value("exact", 1) if key == "latency_share" else report.totals.get(key)
    return number(total) if total is not None and total.value is not None else 0


def _value(part: Module | Row, key: str) -> Value | None:
    return (part.values if isinstance(part, Row) else part.sums()).get(key)


def _size(part: Module | Row, key: str) -> float:
    value = _value(part, key)
    return value.value if value is not None and isinstance(value.value, int | float) else 0


def _name(part: Module | Row) -> str:
    return part.name if isinstance(part, Row) else part.path


def _bars(  # noqa: PLR0913  a part, its place and what it is a share of
    parts: Sequence[Module | Row], key: str, whole: float, left: float, depth: int, top: str = ""
) -> Iterator[Datum]:
    """Each part's place; ``top`` is the outermost module, whose colour all inside it have."""
    for part in parts:
        share = _size(part, key) / whole
        if share >= _SMALLEST:
            name = _name(part)
            yield {
                "name": name,
                "short": name.removeprefix(top).lstrip(".") if depth else name,
                "top": top or name,
                "x": left,
                "x2": left + share,
                "y": depth,
                "y2": depth + 1,
                "told": format_value(key, _value(part, key)),
                "share": format_percent(share),
            }
            if isinstance(part, Module):
                yield from _bars(part.children, key, whole, left, depth + 1, top or name)
        left += share


def _chart(data: Sequence[Datum], key: str) -> alt.LayerChart:
    levels = max(int(str(datum["y2"])) for datum in data)
    base = chart(data).encode(
        x=alt.X(
            "x:Q",
            title=f"share of {'time' if key == 'latency_share' else METRICS[key].label}",
            axis=alt.Axis(format="%", grid=False),
            scale=alt.Scale(domain=[0, 1], nice=False),
        ),
        y=alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[0, levels], reverse=True)),
    )
    bars = base.mark_rect(stroke="white", strokeWidth=0.5).encode(
        x2="x2:Q",
        y2="y2:Q",
        color=alt.Color(
            "top:N",
            legend=None,
            sort=None,
            scale=alt.Scale(
                range=["#5b8db8", "#d9a441", "#6aa584", "#b5739d", "#c0705a", "#8797b2"]
            ),
        ),
        opacity=alt.Opacity("y:Q", legend=None, scale=alt.Scale(range=[1, 0.6])),
        tooltip=[
            alt.Tooltip("name:N"),
            alt.Tooltip("told:N", title=METRICS[key].label),
            alt.Tooltip("share:N", title="of the whole"),
        ],
    )
    labels = (
        base.transform_calculate(middle="(datum.x + datum.x2) / 2", line="datum.y + 0.5")
        .mark_text(color="#111", fontSize=11)
        .encode(
            x="middle:Q",
            y="line:Q",
            text=alt.condition(
                f"(datum.x2 - datum.x) * {ROOM} > 7 * length(datum.short) + 6",
                "short:N",
                alt.value(""),
            ),
        )
        .add_params(alt.param(name=ROOM, value=WIDTH))
    )
    return sized(layered(bars, labels), _BAR * levels)


def _largest(tree: Module, key: str, whole: float) -> str:
    largest = sorted(tree.children, key=lambda part: _size(part, key), reverse=True)[:3]
    return ", ".join(
        f"{_name(part)} {format_percent(_size(part, key) / whole)}"
        for part in largest
        if _size(part, key)
    )
