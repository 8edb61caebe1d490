"""Heat maps of what one output sees: its receptive field, and how much of it matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import altair as alt

from convcost.render.charts.picture import GREY, Datum, Picture, chart, layered
from convcost.report import EffectiveField, Report, Runs, Seen
from convcost.units import format_percent

_CELLS = 48
"""Of a wide field's map, along each axis."""
_SIDE = 280
_LAP = 0.2
"""Of a cell, what it is drawn wider than it is."""
_LINE: Runs = ((0, 1),)
"""The axis that a field along a line hasn't got."""
Box = tuple[Runs, Runs]
Span = tuple[int, int]


def pictures(report: Report) -> Iterator[Picture]:
    """A map for each variant whose field is finite, and the effective field where it was asked."""
    boxes = {seen.variant: _last_two_axes(seen) for seen in report.seen}
    wanted = [_hull([box[axis] for found in boxes.values() for box in found]) for axis in (0, 1)]
    reach = max((end - start for start, end in wanted), default=0) if boxes else 0
    for number, seen in enumerate(report.seen):
        yield _density(number, seen, boxes[seen.variant], reach, report)
    if report.effective_field is not None:
        yield _effective(report.effective_field)


def _last_two_axes(seen: Seen) -> list[Box]:
    """Each box as height and width; of a volume, what is seen at any depth."""
    return [(box[-2] if len(box) > 1 else _LINE, box[-1]) for box in seen.boxes]


def _hull(axes: Sequence[Runs]) -> Span:
    """From the first position that any has to behind the last one."""
    if not axes:
        return 0, 0
    return (
        min(first for runs in axes for first, _ in runs),
        max(first + length for runs in axes for first, length in runs),
    )


def _density(index: int, seen: Seen, boxes: Sequence[Box], reach: int, report: Report) -> Picture:
    spans = [_hull([box[axis] for box in boxes]) for axis in (0, 1)]
    cells = list(_cells(boxes, spans))
    share = sum(_area(cell) * float(str(cell["share"])) for cell in cells) / sum(map(_area, cells))
    name = "" if len(report.seen) == 1 else f": {seen.variant}"
    height, width = (end - start for start, end in spans)
    return Picture(
        f"field-{index}",
        f"Receptive field{name}",
        f"One output of the last feature map spans {height}×{width} input positions and sees "
        f"{format_percent(share, 3)} of them{'.' if share == 1 else '; the others are holes.'}",
        _map(cells, reach),
        is_wide=False,
    )


def _area(cell: Datum) -> float:
    left, right, top, bottom = (float(str(cell[key])) for key in ("x", "x2", "y", "y2"))
    return (right - left) * (bottom - top)


def _cells(boxes: Sequence[Box], spans: Sequence[Span]) -> Iterator[Datum]:
    """The share of each cell's positions that is seen; positions count from the middle."""
    rows, columns = (_cuts(span) for span in spans)
    middle = [(start + end) / 2 for start, end in spans]
    for top, bottom in rows:
        lines: dict[tuple[int, ...], int] = {}
        for first, end in _alike(boxes, top, bottom):
            here = tuple(i for i, box in enumerate(boxes) if _has(box[0], first))
            lines[here] = lines.get(here, 0) + end - first
        for left, right in columns:
            seen = sum(
                times * _count([boxes[i][1] for i in here], left, right)
                for here, times in lines.items()
            )
            yield {
                "x": left - middle[1],
                "x2": right - middle[1],
                "y": top - middle[0],
                "y2": bottom - middle[0],
                "share": seen / ((right - left) * (bottom - top)),
            }


def _alike(boxes: Sequence[Box], top: int, bottom: int) -> Iterator[Span]:
    """The stretches of rows that are in the same boxes."""
    ends = {at for rows, _ in boxes for first, length in rows for at in (first, first + length)}
    yield from pairwise(sorted({top, bottom, *(at for at in ends if top < at < bottom)}))


def _cuts(span: Span) -> list[Span]:
    """At most ``_CELLS`` cells of like size, one position each where there are few."""
    start, end = span
    size = -(-(end - start) // _CELLS)
    return [(at, min(at + size, end)) for at in range(start, end, size)]


def _has(runs: Runs, position: int) -> bool:
    return any(first <= position < first + length for first, length in runs)


def _count(axes: Sequence[Runs], left: int, right: int) -> int:
    """How many positions from ``left`` to before ``right`` any of the axes has."""
    parts = sorted(
        (max(first, left), min(first + length, right)) for runs in axes for first, length in runs
    )
    seen, done = 0, left
    for start, end in parts:
        seen += max(0, end - max(start, done))
        done = max(done, end)
    return seen


def _map(cells: Sequence[Datum], reach: int) -> alt.LayerChart:
    """In the colours that a page or an image has for heat maps, so that holes are as dark as it."""
    scale = alt.Scale(domain=[0, 1])
    domain = alt.Scale(domain=[-reach / 2, reach / 2], nice=False, zero=False)
    rects = (
        chart(list(_lapped(cells)))
        .mark_rect()
        .encode(
            x=alt.X("x:Q", title="input position, from the middle", scale=domain),
            x2="x2:Q",
            y=alt.Y("y:Q", title=None, scale=domain.copy(deep=True)),
            y2="y2:Q",
            color=alt.Color("share:Q", title="share that is seen", scale=scale, legend=_legend()),
            tooltip=[alt.Tooltip("share:Q", format=".1%")],
        )
    )
    return layered(rects).properties(width=_SIDE, height=_SIDE)


def _lapped(cells: Sequence[Datum]) -> Iterator[Datum]:
    """Each laps over the next, which is drawn upon it: the page would show between them."""
    ends = {key: max(float(str(cell[key])) for cell in cells) for key in ("x2", "y2")}
    for cell in cells:
        left, right, top, bottom = (float(str(cell[key])) for key in ("x", "x2", "y", "y2"))
        wide = {"x2": right + _LAP * (right - left), "y2": bottom + _LAP * (bottom - top)}
        yield {**cell, **{key: min(end, ends[key]) for key, end in wide.items()}}


def _legend() -> alt.Legend:
    return alt.Legend(
        orient="bottom",
        direction="horizontal",
        format="%",
        gradientLength=200,
        values=[0, 0.5, 1],
    )


def _effective(field: EffectiveField) -> Picture:
    """Luo et al., 'Understanding the Effective Receptive Field', NeurIPS 2016."""
    cells = list(_weights(field))
    largest = max(float(str(cell["share"])) for cell in cells)
    half = _cells_for_half(cells)
    text = (
        "How much each part of the input changes the central output of the last feature map: the "
        f"gradient's size, the mean of {field.samples} random inputs. {format_percent(half)} of "
        "the cells hold half of it."
    )
    scale = alt.Scale(domain=[0, 1], scheme="viridis")
    rects = (
        chart(list(_lapped(cells)))
        .mark_rect()
        .encode(
            x=alt.X("x:Q", title="input position", scale=alt.Scale(nice=False)),
            x2="x2:Q",
            y=alt.Y("y:Q", title=None, scale=alt.Scale(nice=False, reverse=True)),
            y2="y2:Q",
            color=alt.Color(
                "relative:Q", title="share of the largest", scale=scale, legend=_legend()
            ),
            tooltip=[alt.Tooltip("share:Q", format=".2%", title="share of the whole")],
        )
        .transform_calculate(relative=f"datum.share / {largest or 1}")
    )
    layers = [rects]
    if field.field is not None:
        text += " The frame is the theoretical receptive field."
        layers.append(_frame(field, field.field))
    return Picture(
        "effective-field",
        "Effective receptive field",
        text,
        layered(*layers).properties(width=_SIDE, height=_SIDE),
        is_wide=False,
    )


def _weights(field: EffectiveField) -> Iterator[Datum]:
    height, width = field.cell
    for row, shares in enumerate(field.shares):
        for column, share in enumerate(shares):
            yield {
                "x": column * width,
                "x2": (column + 1) * width,
                "y": row * height,
                "y2": (row + 1) * height,
                "share": share,
            }


def _cells_for_half(cells: Sequence[Datum]) -> float:
    """The share of the cells that it takes, largest first, to hold half of the whole."""
    shares = sorted((float(str(cell["share"])) for cell in cells), reverse=True)
    held = 0.0
    for count, share in enumerate(shares, 1):
        held += share
        if held >= sum(shares) / 2:
            return count / len(shares)
    return 1.0


def _frame(field: EffectiveField, axes: Runs) -> alt.Chart:
    """The theoretical field, cut at the input's edges."""
    rows, columns = len(field.shares), len(field.shares[0])
    ends = [count * size for count, size in zip((rows, columns), field.cell, strict=True)]
    corners = [
        (max(0, first), min(end, first + span))
        for (first, span), end in zip(axes, ends, strict=True)
    ]
    (top, bottom), (left, right) = corners
    frame = [{"x": left, "x2": right, "y": top, "y2": bottom}]
    drawn: alt.Chart = (
        chart(frame)
        .mark_rect(filled=False, stroke=GREY, strokeWidth=2, strokeDash=[5, 3])
        .encode(x="x:Q", x2="x2:Q", y="y:Q", y2="y2:Q")
    )
    return drawn
