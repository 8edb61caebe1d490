"""What several fields see together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

from convcost.analyses.receptive_field.axis import AxisField, at_step_of
from convcost.analyses.receptive_field.boxes import unite
from convcost.analyses.receptive_field.field import Dim, Field, alone_axis, axes_of, irregular
from convcost.analyses.receptive_field.positions import MAX_SPAN, UNLIKE_STEPS
from convcost.analyses.receptive_field.uneven import is_uneven, meeting
from convcost.ops import Shape

Fields = Sequence[Field]
Shapes = Sequence[Shape]
Rule = Callable[[Any, Fields, Shapes], Field]
"""From the op, the fields of its inputs, and their shapes with the output's last, to its field."""


def union_of(fields: Fields, rank: int) -> Field:
    """What is seen through any of the inputs, which broadcast to ``rank`` dimensions."""
    if len({field.dims for field in fields}) > 1:
        fields = [field.unrepeated() for field in fields]
    first = fields[0]
    if all(field is first for field in fields) and len(first.dims) == rank:
        return first
    # what is computed later has mostly seen more: it swallows the others at once
    boxes = unite(box for field in reversed(fields) for box in field.boxes)
    if len(first.dims) == rank and all(f.dims == first.dims and not f.bounds for f in fields):
        axes = [axis for dim in first.dims for axis in axes_of(dim)]
        if len(axes) == len(set(axes)):
            return next((f for f in fields if f.boxes == boxes), Field(first.dims, boxes))
    layouts = list(dict.fromkeys(field.dims for field in fields))
    bounds = {
        axis: reason
        for field in fields
        for axis, reason in field.bounds.items()
        if not any(other.sees_all(axis) for other in fields)
    }
    joined = Field(_broadcast(layouts, rank), boxes, bounds)
    crossed = _crossed(layouts, joined)
    return joined.lose(crossed, "positions meet across dimensions") if crossed else joined


def _broadcast(layouts: Sequence[tuple[Dim, ...]], rank: int) -> tuple[Dim, ...]:
    if len(layouts) == 1 and len(layouts[0]) == rank:
        return layouts[0]
    columns = zip_longest(*(dims[::-1][:rank] for dims in layouts), fillvalue=())
    dims = [_longest(column) for column in columns]
    return ((),) * (rank - len(dims)) + tuple(reversed(dims))


def _longest(column: Sequence[Dim]) -> Dim:
    if any(map(is_uneven, column)) and not any(map(axes_of, column)):
        return meeting(column)
    return max(column, key=lambda dim: (len(dim), any(not part.regular for part in dim)))


def _crossed(layouts: Sequence[tuple[Dim, ...]], joined: Field) -> set[int]:
    """Axes that lie along another dimension in an input than in the result."""
    offset = {axis: i for i, dim in enumerate(reversed(joined.dims)) for axis in axes_of(dim)}
    return {
        axis
        for dims in layouts
        for i, dim in enumerate(reversed(dims))
        for axis in axes_of(dim)
        if offset.get(axis) != i
    }


def spread_out(field: Field, before: Shape, after: Shape) -> Field:
    """``field`` once its only position along a dimension is broadcast over many."""
    if before == after:
        return field
    added = len(after) - len(before)
    for i, dim in enumerate(field.dims):
        axes = [axis for axis in axes_of(dim) if not field.sees_all(axis)]
        # a further output may have fewer dimensions than the one it is beside
        if axes and i + added >= 0 and before[i] == 1 < after[i + added]:
            field = field.lose(axes, "one position is spread over others").at(i, ())
    return field


def with_all_of(others: Fields, field: Field) -> Field:
    """``field`` where each output sees all of the others too: weights that are computed."""
    if not others:
        return field
    rank = len(field.dims)
    wholes = [
        other.pool(axis for dim in other.dims for axis in axes_of(dim))._replace(dims=((),) * rank)
        for other in others
    ]
    return union_of([field, *wholes], rank)


def in_step(fields: Fields, shapes: Shapes) -> Fields:
    """The fields with one step between positions along each axis, that of the fewest phases.

    Where it isn't a field's own, all is told that one of its positions sees beside the other's.
    """
    for axis in range(max(len(field.boxes[0]) for field in fields if field.boxes)):
        seen = [box[axis] for field in fields for box in field.boxes]
        like = min((s for s in seen if s.phases and s.jump), key=lambda s: s.period, default=None)
        if like is not None:
            size = _positions_along(axis, fields, shapes)
            fields = [_like(like, field, axis, size) for field in fields]
    return fields


def _like(like: AxisField, field: Field, axis: int, size: int) -> Field:
    moved = field.map_axes({axis: partial(at_step_of, like=like, size=size)})
    if moved is field:
        return field
    return moved.bound([axis], UNLIKE_STEPS) if size else field.lose([axis], UNLIKE_STEPS)


def _positions_along(axis: int, fields: Fields, shapes: Shapes) -> int:
    """How many positions an axis has; 0 where it lies along no dimension alone."""
    sizes = (
        size
        for field, shape in zip(fields, shapes, strict=False)
        for dim, size in zip(field.dims, shape, strict=True)
        if alone_axis(dim) == axis and size <= MAX_SPAN
    )
    return max(sizes, default=0)


def side_by_side(joined: Field, fields: Fields, dim: int) -> Field:
    """``joined`` where what lies along ``dim`` are single positions again, taken one by one."""
    axes = [axis for axis in range(len(joined.boxes[0])) if _are_single(fields, axis)]
    axes = [axis for axis in axes if not joined.sees_all(axis)]
    if not axes:
        return joined
    return joined.lose(axes, "single positions are laid side by side").at(dim, irregular(axes))


def _are_single(fields: Fields, axis: int) -> bool:
    """Whether the fields see single positions of an axis, and not the same."""
    seen = [box[axis] for field in fields for box in field.boxes]
    return any(each.phases and not each.jump for each in seen) and len(set(seen)) > 1
