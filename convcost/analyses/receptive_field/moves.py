"""How ops that move positions, or lay them beside others, change the field."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from convcost.analyses.receptive_field.axis import at_position, gather, shift_axis, window
from convcost.analyses.receptive_field.field import Dim, Field, alone_axis, axes_of, irregular
from convcost.analyses.receptive_field.joins import (
    Fields,
    Rule,
    Shapes,
    side_by_side,
    union_of,
)
from convcost.analyses.receptive_field.reshape import reshape
from convcost.analyses.receptive_field.uneven import (
    dim_of,
    full_in,
    is_uneven,
    laid,
    one_of_several,
    reorder,
    take,
)
from convcost.ops import (
    Concat,
    Flatten,
    Permute,
    Rearrange,
    Reshape,
    Select,
    Shift,
    Slice,
    Stack,
    Write,
)


def _rearrange(op: Rearrange, fields: Fields, shapes: Shapes) -> Field:
    joined = union_of(fields, len(shapes[-1]))
    axes = [axis for field in fields for dim in field.dims for axis in axes_of(dim)]
    if not op.dims or len(joined.dims) != len(fields[0].dims):
        for dim, parts in enumerate(joined.dims):
            joined = one_of_several(joined, dim) if is_uneven(parts) else joined
        dims: tuple[Dim, ...] = (irregular(axes), *((),) * (len(shapes[-1]) - 1))
        lost = joined.lose(axes, f"{op.kind} isn't followed")
        if shapes[0] != shapes[-1]:
            lost = lost.without_step(axes)
        return lost._replace(dims=dims[: len(shapes[-1])])
    moved = [axis for dim in op.dims for axis in axes_of(joined.dims[dim])]
    for dim in op.dims:
        joined = _rearranged(op, joined, fields, dim, shapes[-1][dim])
    return joined.lose(moved, f"{op.kind} isn't followed")


def _rearranged(op: Rearrange, joined: Field, fields: Fields, dim: int, size: int) -> Field:
    if axes := axes_of(joined.dims[dim]):
        return joined.at(dim, irregular(axes))
    if size > 1 and any(field.boxes != joined.boxes for field in fields):
        return joined.at(dim, dim_of(bytes(size)))
    if op.kind in _REORDERINGS:
        return reorder(joined, dim, size)
    return one_of_several(joined, dim) if is_uneven(joined.dims[dim]) else joined


def _write(op: Write, fields: Fields, shapes: Shapes) -> Field:
    base, written = fields
    if _is_interleaved(op, base, written, shapes):
        return _interleaved(op, base, written)
    if op.selected:
        written = written._replace(dims=(*written.dims[: op.dim], (), *written.dims[op.dim :]))
    joined = union_of([base, written], len(shapes[-1]))
    axes = axes_of(joined.dims[op.dim])
    if not axes:
        size, new = shapes[-1][op.dim], 1 if op.selected else shapes[1][op.dim]
        place = slice(op.start, op.start + new * op.step, op.step)
        full = bytearray(full_in(joined, base, op.dim, size))
        full[place] = bytes(new)
        if joined.boxes != written.boxes and 1 not in full:
            # all that saw so much may be gone
            joined = one_of_several(joined, op.dim)
        full[place] = full_in(joined, written, op.dim, new)
        return joined.at(op.dim, dim_of(bytes(full)))
    reason = "positions are written elsewhere"
    if op.in_place:
        differ = base.boxes and written.boxes and base.boxes != written.boxes
        kept = joined.bound(axes, reason) if differ else joined
        return _unlike(kept, [base, written], axes, reason)
    lost = _unlike(joined.lose(axes, reason), [base, written], axes, reason)
    return lost.at(op.dim, irregular(axes))


def _is_interleaved(op: Write, base: Field, written: Field, shapes: Shapes) -> bool:
    """Whether each ``op.step``-th position of one axis is written, and every position followed."""
    axis = alone_axis(written.dims[op.dim])
    every = len(range(op.start % op.step, shapes[-1][op.dim], op.step)) == shapes[1][op.dim]
    alike = not base.boxes or alone_axis(base.dims[op.dim]) == axis
    if op.selected or op.step == 1 or axis is None or not (every and alike):
        return False
    boxes = (*base.boxes, *written.boxes)
    return all(box[axis].phases and box[axis].jump for box in boxes)


def _interleaved(op: Write, base: Field, written: Field) -> Field:
    """What was written at its positions, and what was there at the others."""
    start, step = op.start, op.step

    def new(output: int) -> tuple[int, ...]:
        return () if (output - start) % step else ((output - start) // step,)

    def old(output: int) -> tuple[int, ...]:
        return (output,) if (output - start) % step else ()

    axis = written.dims[op.dim][0].axis
    there = base.map_axes({axis: partial(gather, step=step, per=step, taps=old, reads=1)})
    put = written.map_axes({axis: partial(gather, step=1, per=step, taps=new, reads=1)})
    return union_of([there, put], len(written.dims))


def _unlike(joined: Field, fields: Fields, axes: Sequence[int], reason: str) -> Field:
    """``joined`` where some positions along ``axes`` are of fields that see all, others aren't."""
    seeing = [field for field in fields if field.boxes]
    alike = ({field.sees_all(axis) for field in seeing} for axis in axes)
    unlike = [axis for axis, found in zip(axes, alike, strict=True) if len(found) > 1]
    return joined._replace(bounds={**joined.bounds, **dict.fromkeys(unlike, reason)})


_REORDERINGS = ("write", "flip", "channel_shuffle")
"""Rearrangements that leave nothing out."""


def _reshape(_: Flatten | Reshape, fields: Fields, shapes: Shapes) -> Field:
    return reshape(fields[0], shapes[0], shapes[-1])


def _permute(op: Permute, fields: Fields, _: Shapes) -> Field:
    return fields[0]._replace(dims=tuple(fields[0].dims[dim] for dim in op.order))


def _slice(op: Slice, fields: Fields, shapes: Shapes) -> Field:
    field = fields[0]
    if shapes[0] == shapes[-1]:
        return field
    if not axes_of(field.dims[op.dim]):
        taken = slice(op.start, op.start + shapes[-1][op.dim] * op.step, op.step)
        return take(field, op.dim, shapes[0][op.dim], taken)
    axis = alone_axis(field.dims[op.dim])
    if axis is None:
        axes = axes_of(field.dims[op.dim])
        return field.lose(axes, "a slice of folded positions").at(op.dim, irregular(axes))
    change = partial(window, kernel_size=1, stride=op.step, before=-op.start, dilation=1)
    return field.map_axes({axis: change})


def _select(op: Select, fields: Fields, shapes: Shapes) -> Field:
    taken = slice(op.position, op.position + 1)
    field = take(fields[0], op.dim, shapes[0][op.dim], taken)
    axes = axes_of(field.dims[op.dim])
    axis = alone_axis(field.dims[op.dim])
    if axis is None:
        field = field.lose(axes, "one of several folded positions is taken")
    chosen = field.map_axes({a: partial(at_position, position=op.position) for a in axes})
    return chosen._replace(dims=(*field.dims[: op.dim], *field.dims[op.dim + 1 :]))


def _shift(op: Shift, fields: Fields, shapes: Shapes) -> Field:
    field = fields[0]
    for dim, offset in zip(op.dims, op.offsets, strict=True):
        axis = alone_axis(field.dims[dim])
        if not axes_of(field.dims[dim]):
            field = reorder(field, dim, shapes[0][dim])
        elif axis is None:
            axes = axes_of(field.dims[dim])
            field = field.lose(axes, "folded positions are rolled").at(dim, irregular(axes))
        else:
            # the shorter way round
            size = shapes[0][dim]
            by = (offset + size // 2) % size - size // 2
            field = field.map_axes({axis: partial(shift_axis, by=-by)})
    return field


def _concat(op: Concat, fields: Fields, shapes: Shapes) -> Field:
    filled = [i for i, field in enumerate(fields) if axes_of(field.dims[op.dim])]
    if not filled:
        joined = laid(union_of(fields, len(shapes[-1])), fields, shapes, op.dim)
        return side_by_side(joined, fields, op.dim)
    if len(filled) == 1 and not any(f.boxes for i, f in enumerate(fields) if i != filled[0]):
        axis = alone_axis(fields[filled[0]].dims[op.dim])
        before = sum(shape[op.dim] for shape in shapes[: filled[0]])
        if axis is not None:
            change = partial(shift_axis, by=-before)
            return fields[filled[0]].map_axes({axis: change})
    axes = [axis for field in fields for axis in axes_of(field.dims[op.dim])]
    joined = union_of([field.at(op.dim, ()) for field in fields], len(shapes[-1]))
    reason = "positions are joined end to end"
    lost = _unlike(joined.lose(axes, reason), fields, axes, reason)
    return lost.at(op.dim, irregular(axes))


def _stack(op: Stack, fields: Fields, shapes: Shapes) -> Field:
    joined = union_of(fields, len(shapes[0]))
    dim = dim_of(bytes(field.boxes == joined.boxes for field in fields))
    stacked = joined._replace(dims=(*joined.dims[: op.dim], dim, *joined.dims[op.dim :]))
    return side_by_side(stacked, fields, op.dim)


RULES: dict[type, Rule] = {
    Rearrange: _rearrange,
    Write: _write,
    Flatten: _reshape,
    Reshape: _reshape,
    Permute: _permute,
    Slice: _slice,
    Select: _select,
    Shift: _shift,
    Concat: _concat,
    Stack: _stack,
}
