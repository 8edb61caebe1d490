"""What a chart is to whoever shows it, and the few things that all charts share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import altair as alt

Datum = Mapping[str, object]

WIDTH, HEIGHT = 640, 300
"""Of a chart without a browser; in one it is as wide as there is room."""
SECONDS = "format(datum.value, '~s') + 's'"
"""An axis of seconds: ``100µs``, ``1ms``."""
COUNTS = "replace(format(datum.value, '~s'), 'G', ' G')"
BOUNDS = {"compute": "#0072b2", "memory": "#e69f00", "overhead": "#cc79a7"}
"""What bounds a row, in colours that everyone can tell apart (Okabe and Ito 2008)."""
OTHERS = ("#009e73", "#d55e00", "#56b4e9", "#0072b2", "#e69f00", "#cc79a7", "#8c8c8c")
GREY = "#8c8c8c"
PAPER = "as the paper promises"


class Picture(NamedTuple):
    """A chart, its heading and what it says in words; ``is_wide`` where it fills its place."""

    key: str
    title: str
    description: str
    chart: alt.Chart | alt.LayerChart
    is_wide: bool = True


def chart(data: Sequence[Datum]) -> alt.Chart:
    """A chart of ``data``, which stand in it."""
    return alt.Chart(alt.InlineData(values=[dict(datum) for datum in data]))


def layered(*charts: alt.Chart | alt.LayerChart) -> alt.LayerChart:
    """Charts on the same axes: altair's own function may give facets too, which none here has."""
    whole: Any = alt.layer(*charts)
    return cast("alt.LayerChart", whole)


def sized(layers: alt.LayerChart, height: int = HEIGHT) -> alt.LayerChart:
    """The layers at the size that they have without a browser."""
    return layers.properties(width=WIDTH, height=height)


def log_axis(field: str, title: str, labels: str, channel: Any) -> Any:
    """A logarithmic axis whose labels are an expression."""
    return channel(
        f"{field}:Q",
        title=title,
        scale=alt.Scale(type="log", nice=False, padding=16),
        axis=alt.Axis(labelExpr=labels, tickCount=6),
    )


def named(count: int, thing: str) -> str:
    """``1 layer``, ``53 layers``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
