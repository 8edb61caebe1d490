"""Ops that read windows along positions, or lay positions out anew along each axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod

from convcost.analyses.receptive_field.axis import (
    AxisField,
    adaptive,
    repeat,
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
from convcost.analyses.receptive_field.joins import Fields, Rule, Shapes, with_all_of
from convcost.analyses.receptive_field.uneven import (
    dim_of,
    grouped,
    is_uneven,
    one_of_several,
    sees_less,
)
from convcost.ops import AdaptivePool, Conv, Frames, Pad, PixelShuffle, Pool, Resize, Unfold

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
    from convcost.analyses.receptive_field.resize import resize  # noqa: PLC0415  few have it

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


def _frames(op: Frames, fields: Fields, _: Shapes) -> Field:
    change = partial(window, kernel_size=op.size, stride=op.step, before=0, dilation=1)
    after = len(fields[0].dims) - op.dim - 1
    field = _spatially(fields[0], [change, *[None] * after])
    # each entry of a frame has one of its positions
    return field._replace(dims=(*field.dims, dim_of(bytes(op.size)) if op.size > 1 else ()))


RULES: dict[type, Rule] = {
    Conv: _conv,
    Pool: _window,
    AdaptivePool: _adaptive_pool,
    Resize: _resize,
    Pad: _pad,
    PixelShuffle: _pixel_shuffle,
    Unfold: _unfold,
    Frames: _frames,
}
