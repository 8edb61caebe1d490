"""What a chart is to whoever shows it, and the few things that all charts share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, floor, log10
from typing import Any, NamedTuple, cast

import altair as alt

Datum = Mapping[str, object]

WIDTH, HEIGHT = 640, 300
"""Of a chart without a browser; in one it is as wide as there is room."""
SECONDS = "replace(format(datum.value, '~s') + 's', regexp('[a-zµ]+$'), ' $&')"
"""An axis of seconds: ``100 µs``, ``1 ms``."""
COUNTS = "replace(format(datum.value, '~s'), regexp('[A-Za-z]$'), ' $&')"
"""An axis of counts: ``800 k``, ``50 M``."""
NUMBERS = "format(datum.value, ',~r')"
"""An axis of what has no prefix: ``0.5``, ``1,000``."""
BOUNDS = {"compute": "#0072b2", "memory": "#e69f00", "overhead": "#cc79a7"}
"""What bounds a row, in colours that everyone can tell apart (Okabe and Ito 2008)."""
OTHERS = ("#009e73", "#d55e00", "#56b4e9", "#0072b2", "#e69f00", "#cc79a7", "#8c8c8c")
GREY = "#8c8c8c"
HEAT = ("#dfe7ee", "#0b4f86")
"""Of nothing and of all, on white."""
PAPER = "as the paper promises"
_ALIKE = 1.02
"""Numbers that differ by less get an axis that is wider than they are."""
ROOM = "room"
"""The parameter with the width of a wide chart's plot, which a page sets to what there is."""


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


def log_axis(channel: Any, labels: str, values: Iterable[float], padding: int = 16) -> Any:
    """``channel`` as a logarithmic axis of ``values``, whose labels are an expression."""
    ends = min(found := list(values)), max(found)
    scaled = channel.scale(type="log", nice=False, padding=padding)
    if ends[1] < _ALIKE * ends[0]:
        scaled = channel.scale(type="log", nice=False, domain=[ends[0] / 1.2, ends[1] * 1.2])
    return scaled.axis(labelExpr=labels, values=log_ticks(*ends))


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from somewhat below ``low`` to somewhat above ``high``, that fit a phone."""
    powers = [10.0**power for power in range(floor(log10(low)) - 1, ceil(log10(high)) + 1)]
    ticks = powers if high > 1000 * low else [n * power for power in powers for n in (1, 2, 5)]
    if high < 3 * low:
        step = round_step(high - low if high >= _ALIKE * low else 0.4 * low, 4)
        ticks = [n * step for n in range(1, ceil(1.5 * high / step))]
    return [float(f"{tick:.6g}") for tick in ticks if low / 1.5 <= tick <= high * 1.5]


def round_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5, 10, 20 … that goes into ``span`` no more than ``most`` times."""
    power = 10.0 ** floor(log10(span / most))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= span / most)
