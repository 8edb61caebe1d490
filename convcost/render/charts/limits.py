"""A check's limits: how much of what each allows is used, and which are broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

import altair as alt

from convcost.render.charts.picture import (
    GREY,
    Datum,
    Picture,
    chart,
    layered,
    log_axis,
    sized,
)
from convcost.render.check_cells import heading, state
from convcost.render.limits import before_and_after, expected, found, size, title
from convcost.report import Limit, Report

_STATES = {
    "broken": "#d55e00",
    "warned": "#e69f00",
    "inconclusive": "#cc79a7",
    "kept": "#009e73",
    "new": "#56b4e9",
    "skipped": GREY,
}
_ROW = 34


def pictures(report: Report) -> Iterator[Picture]:
    """A bar for each limit that has a finite number on both sides."""
    limits = [limit for limit in report.limits if _used(limit) is not None]
    if not limits:
        return
    order = sorted(limits, key=lambda limit: list(_STATES).index(state(limit)))
    names = "".join(_named(report, wanted) for wanted in ("broken", "warned"))
    yield Picture(
        "limits",
        "How close the limits are",
        f"{heading(report)}.{names} Each bar goes from 100 %, the limit, to what was found.",
        _chart([_datum(limit) for limit in order]),
    )


def _named(report: Report, wanted: str) -> str:
    found = [title(limit) for limit in report.limits if state(limit) == wanted]
    return f" {wanted.capitalize()}: {'; '.join(found)}." if found else ""


def _used(limit: Limit) -> float | None:
    """What was found over the limit; None where one of them isn't a finite number above 0."""
    if limit.found is None or limit.found.value is None:
        return None
    allowed, mine = float(limit.expected), size(limit.found, limit.bound)
    if limit.bound == "max_increase":
        if limit.base is None or limit.base.value is None:
            return None
        before, mine = before_and_after(limit.base, limit.found)[0]
        allowed = before * (1 + limit.expected)
    used = mine / allowed if allowed > 0 else 0
    return used if used > 0 and isfinite(used) else None


def _datum(limit: Limit) -> Datum:
    return {
        "name": title(limit),
        "limit": f"{title(limit)}\n{expected(limit)}",
        "used": _used(limit),
        "state": state(limit),
        "expected": expected(limit),
        "found": found(limit),
    }


def _chart(data: Sequence[Datum]) -> alt.LayerChart:
    states = [name for name in _STATES if any(datum["state"] == name for datum in data)]
    used = (float(str(datum["used"])) for datum in data)
    share = "format(datum.value * 100, ',~r') + ' %'"
    x = log_axis(alt.X("used:Q", title="found, of the limit"), share, [1, *used], padding=20)
    lines = alt.Axis(labelExpr="split(datum.label, '\\n')")
    base = chart(data).encode(
        y=alt.Y("limit:N", title=None, axis=lines, sort=[str(datum["limit"]) for datum in data]),
        color=alt.Color(
            "state:N",
            title=None,
            scale=alt.Scale(domain=states, range=[_STATES[name] for name in states]),
            legend=alt.Legend(orient="top"),
        ),
        tooltip=["name:N", "expected:N", "found:N", "state:N"],
    )
    one = chart([{"one": 1}]).mark_rule(color=GREY, strokeDash=[4, 3]).encode(x="one:Q")
    return sized(
        layered(
            one,
            base.mark_bar(height=10).encode(x=x, x2=alt.datum(1)),
            base.mark_point(filled=True, size=70, opacity=1).encode(x=x),
        ),
        _ROW * len(data) + 20,
    )
