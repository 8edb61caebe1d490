"""Names beside points, none upon another."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import altair as alt

from convcost.render.charts.picture import Datum, chart

_GAP = 0.07
"""Of an axis' length, between two names: a line of text in a chart of the usual height."""


def names(points: Sequence[Datum], all_points: Sequence[Datum], x: alt.X, y: alt.Y) -> alt.Chart:
    """The names of ``points``, on the side where there is room; both axes are logarithmic."""
    across, up = (str(axis.shorthand).removesuffix(":Q") for axis in (x, y))
    widths, heights = ([float(str(d[key])) for d in all_points] for key in (across, up))
    middle = sqrt(min(widths) * max(widths))
    sides = [float(str(point[across])) <= middle for point in points]
    places = apart([float(str(point[up])) for point in points], max(heights) / min(heights))
    data = [
        {**point, up: place, "left": side}
        for point, place, side in zip(points, places, sides, strict=True)
    ]
    drawn: alt.Chart = (
        chart(data)
        .mark_text(
            align=alt.expr("datum.left ? 'left' : 'right'"),
            dx=alt.expr("datum.left ? 8 : -8"),
            dy=-8,
            limit=170,
        )
        .encode(x=x, y=y, text="name:N")
    )
    return drawn


def apart(places: Sequence[float], span: float) -> list[float]:
    """The places, moved up until they are a line of text apart.

    ``span`` is the highest over the lowest value of the axis.
    """
    gap = max(span, 1.1) ** _GAP
    moved, last = list(places), 0.0
    for index in sorted(range(len(places)), key=places.__getitem__):
        last = moved[index] = max(places[index], last * gap)
    return moved
