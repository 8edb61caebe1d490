"""All charts of a report, one below the other, without a browser."""

from __future__ import annotations

import json
from typing import Any

import altair as alt

from convcost.errors import ConvcostError
from convcost.render.charts import charts_of
from convcost.render.charts.picture import HEAT
from convcost.render.sections import title
from convcost.report import Report


def column_of(report: Report) -> str:
    """The Vega-Lite of the report's charts as one.

    Raises:
        ConvcostError: it has none.
    """
    pictures = charts_of(report)
    if not pictures:
        raise ConvcostError(
            "there is nothing in this report to draw",
            "a profile or a comparison has pictures, most of them where it was measured",
        )
    charts = [
        picture.chart.properties(
            title=alt.TitleParams(picture.title, anchor="start", frame="group")
        )
        for picture in pictures
    ]
    whole: Any = alt.vconcat(
        *charts, title=alt.TitleParams(title(report), anchor="start", frame="group")
    )
    whole = whole.resolve_scale(color="independent", x="independent", y="independent")
    styled = whole.configure(
        background="white",
        padding=16,
        view=alt.ViewConfig(stroke=None),
        range=alt.RangeConfig(heatmap=HEAT),
    )
    return json.dumps(styled.to_dict())
