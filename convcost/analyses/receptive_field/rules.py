"""How each op changes the field: one function and one line in the table for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

from convcost.analyses.receptive_field import moves
from convcost.analyses.receptive_field.axis import (
    AxisField,
    adaptive,
    repeat,
    resize,
    shift_axis,
    transposed,
    window,
)
from convcost.analyses.receptive_field.field import (
    NO_AXIS,
    Field,
    Part,
    alone_axis,
    axes_of,
    irregular,
)
from convcost.analyses.receptive_field.joins import (
    Fields,
    Rule,
    Shapes,
    spread_out,
    union_of,
    with_all_of,
)
from convcost.analyses.receptive_field.positions import UnknownFieldError
from convcost.analyses.receptive_field.uneven import (
    dim_of,
    grouped,
    is_uneven,
    one_of_several,
    reorder,
    sees_less,
)
from convcost.ops import (
    AdaptivePool,
    Attention,
    Conv,
    Elementwise,
    Expand,
    GlobalPool,
    Linear,
    Matmul,
    Mix,
    Norm,
    Opaque,
    Output,
    Pad,
    PixelShuffle,
    Pool,
    Recurrence,
    Reduce,
    Resize,
    Sizes,
    Unfold,
    Unused,
)

Change = Callable[[AxisField], AxisField]


def _conv(op: Conv, fields: Fields, shapes: Shapes) -> Field:
    field = _window(op, fields, shapes)
    channels = len(field.dims) - len(op.kernel_size) - 1
    mixed = field.dims[channels]
    if axes_of(mixed) and op.groups > 1:
        if not op.groups == op.in_channels == op.out_channels:
            field = field.lose(axes_of(mixed), "positions are read in groups")
            field = field.at(channels, irregular(axes_of(mixed)))
    elif mixed:
        read = grouped(mixed, op.in_channels, op.out_channels, op.groups)
        field = field.pool(axes_of(mixed)).at(channels, read)
    return with_all_of(fields[1:], field)


def _window(op: Conv | Pool, fields: Fields, _: Shapes) -> Field:
    along = transposed if isinstance(op, Conv) and op.transposed else window
    axes = zip(op.kernel_size, op.stride, op.padding, op.dilation, strict=True)
    first, *others = [(k, s, before, d) for k, s, (before, _), d in axes]
    change = _sliding(along, *first)
    # axes that change alike share one change, and most are one object
    changes = [change if each == first else _sliding(along, *each) for each in others]
    return _spatially(fields[0], [change, *changes])


def _sliding(
    along: Callable[[AxisField, int, int, int, int], AxisField], k: int, s: int, before: int, d: int
) -> Change | None:
    """What a window does to an axis; None where one tap stays where it is."""
    if k == s == 1 and not before:
        return None
    return lambda axis: along(axis, k, s, before, d)


def _resize(op: Resize, fields: Fields, shapes: Shapes) -> Field:
    factors = op.factors or (None,) * len(op.size)
    sizes = zip(shapes[0][-len(op.size) :], op.size, factors, strict=True)
    how = partial(resize, mode=op.mode, align_corners=op.align_corners)
    return _spatially(
        fields[0],
        [partial(how, size=old, new_size=new, factor=factor) for old, new, factor in sizes],
    )


def _adaptive_pool(op: AdaptivePool, fields: Fields, shapes: Shapes) -> Field:
    sizes = zip(shapes[0][-len(op.size) :], op.size, strict=True)
    return _spatially(fields[0], [partial(adaptive, size=old, new_size=new) for old, new in sizes])


def _pad(op: Pad, fields: Fields, _: Shapes) -> Field:
    field = fields[0]
    for dim, padding in enumerate(op.padding, len(field.dims) - len(op.padding)):
        if any(padding) and not axes_of(field.dims[dim]) and sees_less(field.dims[dim]):
            field = one_of_several(field, dim)
    return _spatially(field, [partial(shift_axis, by=-before) for before, _ in op.padding])


def _pixel_shuffle(op: PixelShuffle, fields: Fields, shapes: Shapes) -> Field:
    factor, channels = op.factor, len(shapes[-1]) - 3
    change: Change = (
        partial(repeat, times=factor)
        if op.upscale
        else partial(window, kernel_size=factor, stride=factor, before=0, dilation=1)
    )
    field = fields[0]
    if op.upscale and sees_less(field.dims[channels]):
        field = one_of_several(field, channels)
    field = _spatially(field, [change, change])
    # each channel has one position of a window
    return field if op.upscale else field.at(channels, dim_of(bytes(shapes[-1][channels])))


def _spatially(field: Field, changes: Sequence[Change | None]) -> Field:
    """``field`` after one change, or none, for each of its last dimensions, in their order."""
    followed: dict[int, Change] = {}
    for dim, change in enumerate(changes, len(field.dims) - len(changes)):
        if change is None:
            continue
        axis = alone_axis(field.dims[dim])
        if axis is None:
            if is_uneven(field.dims[dim]):
                field = one_of_several(field, dim)
            field = field.alone(dim)
            axis = alone_axis(field.dims[dim])
        if axis is not None:
            followed[axis] = change
        else:
            # the step between positions that aren't followed isn't known any more
            field = field.without_step(axes_of(field.dims[dim]))
    return field.map_axes(followed) if followed else field


def _unfold(op: Unfold, fields: Fields, shapes: Shapes) -> Field:
    settings = Pool("unfold", op.kernel_size, op.stride, op.padding, op.dilation)
    field = _window(settings, fields, shapes)
    columns = tuple(
        part._replace(size=size)
        for dim, size in zip(field.dims[-len(op.output) :], op.output, strict=True)
        for part in dim
    )
    *before, channels = field.dims[: -len(op.output)]
    taps = prod(op.kernel_size)
    inputs = channels if is_uneven(channels) else (Part(NO_AXIS, shapes[0][len(before)]),)
    rows = (*inputs, *dim_of(bytes(taps))) if taps > 1 else channels
    return field._replace(dims=(*before, rows, columns))


def _global_pool(_: GlobalPool, fields: Fields, __: Shapes) -> Field:
    return fields[0].pool(axis for dim in fields[0].dims[2:] for axis in axes_of(dim))


def _reduce(op: Reduce, fields: Fields, shapes: Shapes) -> Field:
    joined = union_of(fields, len(shapes[0]))
    field = joined.pool(axis for dim in op.dims for axis in axes_of(joined.dims[dim]))
    if op.keepdim:
        return _even(field, op.dims)
    dims = tuple(dim for i, dim in enumerate(field.dims) if i not in op.dims)
    return field._replace(dims=dims)


def _mix(op: Mix, fields: Fields, shapes: Shapes) -> Field:
    joined = _join(op, fields, shapes)
    if op.is_running:
        return _run(joined, op, shapes)
    if op.kind == "group_norm":
        groups = axes_of(joined.dims[1])
        joined = joined.lose(groups, "positions are normalised in groups")
    mixed = joined.mix(axis for dim in op.dims for axis in axes_of(joined.dims[dim]))
    return _even(mixed, op.dims)


def _run(field: Field, op: Mix, shapes: Shapes) -> Field:
    """``field`` where each position, or channel, sees those before it."""
    for dim in op.dims:
        field = reorder(field, dim, shapes[-1][dim])
    axes = [axis for dim in op.dims for axis in axes_of(field.dims[dim])]
    return field.lose(axes, "each position sees those before it")


def _even(field: Field, dims: Sizes) -> Field:
    """``field`` where the entries along ``dims`` see what any of them saw."""
    for dim in dims:
        field = field.at(dim, ()) if is_uneven(field.dims[dim]) else field
    return field


def _linear(_: Linear, fields: Fields, shapes: Shapes) -> Field:
    field = fields[0]
    rank = len(field.dims)
    return with_all_of(fields[1:], _summed(field, rank - 1, kept=len(shapes[-1]) >= rank))


def _summed(field: Field, dim: int, *, kept: bool) -> Field:
    """``field`` after a sum over a dimension, which others take the place of if it is ``kept``."""
    pooled = field.pool(axes_of(field.dims[dim]))
    if kept:
        return pooled.at(dim, ())
    return pooled._replace(dims=(*pooled.dims[:dim], *pooled.dims[dim + 1 :]))


def _matmul(_: Matmul, fields: Fields, shapes: Shapes) -> Field:
    *left, second = fields
    row = max(0, len(second.dims) - 2)
    if not left:
        # weights on the left
        mixed = _summed(second, row, kept=len(shapes[-1]) >= len(second.dims))
        return union_of([mixed], len(shapes[-1]))
    first = left[0]
    # a vector has no dimension but the one that is summed over, and gives the product none
    matrices = len(first.dims) > 1 and len(second.dims) > 1
    first = _summed(first, len(first.dims) - 1, kept=matrices)
    second = _summed(second, row, kept=matrices)
    shared = {axis for dim in first.dims for axis in axes_of(dim)}
    if matrices and shared & set(axes_of(second.dims[-1])):
        # rows and columns run over the same positions: every pair meets, and all once they are
        # summed over, as in attention
        columns = axes_of(second.dims[-1])
        second = second.lose(columns, "pairs of positions meet").without_step(columns)
        second = second.at(len(second.dims) - 1, ())
    if matrices:
        # batches of one position are broadcast
        sides = zip((first, second), shapes, strict=False)
        first, second = (
            spread_out(field, (*shape[:-2], *shapes[-1][-2:]), shapes[-1]) for field, shape in sides
        )
    return union_of([first, second], len(shapes[-1]))


def _attention(op: Attention, fields: Fields, shapes: Shapes) -> Field:
    # each weight is a sum over the features of a query and a key; a mask adds to it
    query, key, *masks = [
        _summed(field, len(field.dims) - 1, kept=True) for field in (*fields[:2], *fields[3:])
    ]
    pooled = [_keys(op, field) for field in (key, fields[2])]
    seen = [field.at(len(field.dims) - 2, ()) for field in pooled]
    return union_of([query, *seen, *masks], len(shapes[-1]))


def _keys(op: Attention, field: Field) -> Field:
    along = axes_of(field.dims[-2])
    if op.masked:
        return field.lose(along, "a mask hides positions").without_step(along)
    return field.pool(along)


def _recurrence(op: Recurrence, fields: Fields, shapes: Shapes) -> Field:
    last = len(fields[0].dims) - 1
    field = with_all_of(fields[1:], _summed(fields[0], last, kept=True))
    steps = axes_of(field.dims[op.time])
    if op.both_ways:
        seen = field.mix(steps)
        return seen if op.alike else seen.at(last, dim_of(bytes(shapes[-1][last])))
    return field.lose(steps, "each step sees those before it")


def _elementwise(op: Elementwise, fields: Fields, shapes: Shapes) -> Field:
    if op.kind == "embedding" and len(fields) == 1:
        # a vector for each index
        return fields[0]._replace(dims=(*fields[0].dims, ()))
    return _join(op, fields, shapes)


def _join(_: Any, fields: Fields, shapes: Shapes) -> Field:
    after = shapes[-1]
    known = [spread_out(field, shape, after) for field, shape in zip(fields, shapes, strict=False)]
    return union_of(known, len(after))


def _opaque(op: Opaque, _: Fields, __: Shapes) -> Field:
    raise UnknownFieldError(f"{op.kind} isn't known")


POINTWISE = frozenset({Elementwise, Norm})
"""Ops that leave the field of their one input as it is, if they leave its shape."""

RULES: dict[type, Rule] = {
    **moves.RULES,
    Conv: _conv,
    Pool: _window,
    AdaptivePool: _adaptive_pool,
    Resize: _resize,
    Pad: _pad,
    PixelShuffle: _pixel_shuffle,
    Unfold: _unfold,
    GlobalPool: _global_pool,
    Reduce: _reduce,
    Mix: _mix,
    Linear: _linear,
    Matmul: _matmul,
    Attention: _attention,
    Recurrence: _recurrence,
    Elementwise: _elementwise,
    Norm: _join,
    Expand: _join,
    Output: _join,
    Unused: lambda _, __, shapes: Field.of_nothing(len(shapes[-1])),
    Opaque: _opaque,
}
