"""How each op changes the field: one function and one line in the table for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from convcost.analyses.receptive_field.axis import AxisField, resize, shift_axis, transposed, window
from convcost.analyses.receptive_field.field import Field, unite
from convcost.ops import (
    Concat,
    Conv,
    Elementwise,
    Flatten,
    Linear,
    Norm,
    Pad,
    Pool,
    Reduce,
    Resize,
    Shape,
)

Rule = Callable[[Any, Sequence[Field], Sequence[Shape]], Field]
"""From the op, the fields and the shapes of its inputs to the field of its output."""


def _window(op: Conv | Pool, fields: Sequence[Field], _: Sequence[Shape]) -> Field:
    along = transposed if isinstance(op, Conv) and op.transposed else window
    settings = zip(op.kernel_size, op.stride, op.padding, op.dilation, strict=True)
    return _spatially(
        fields[0],
        [
            partial(along, kernel_size=k, stride=s, before=p[0], dilation=d)
            for k, s, p, d in settings
        ],
    )


def _resize(op: Resize, fields: Sequence[Field], shapes: Sequence[Shape]) -> Field:
    sizes = zip(shapes[0][2:], op.size, strict=True)
    return _spatially(
        fields[0],
        [
            partial(resize, size=old, new_size=new, mode=op.mode, align_corners=op.align_corners)
            for old, new in sizes
        ],
    )


def _pad(op: Pad, fields: Sequence[Field], _: Sequence[Shape]) -> Field:
    return _spatially(fields[0], [partial(shift_axis, by=-before) for before, _ in op.padding])


def _spatially(field: Field, changes: Sequence[Callable[[AxisField], AxisField]]) -> Field:
    """``field`` after one change per spatial dimension, in the tensor's order."""
    dims = field.dims[-len(changes) :]
    return field.map_axes(
        {axis: change for axes, change in zip(dims, changes, strict=True) for axis in axes}
    )


def _reduce(_: Reduce, fields: Sequence[Field], __: Sequence[Shape]) -> Field:
    return fields[0].pool(axis for axes in fields[0].dims[2:] for axis in axes)


def _flatten(_: Flatten, fields: Sequence[Field], shapes: Sequence[Shape]) -> Field:
    dims, boxes = fields[0]
    sizes = zip(dims[1:], shapes[0][1:], strict=True)
    # an axis of one position loses nothing: a linear layer after it mixes no positions
    folded = tuple(axis for axes, size in sizes if size > 1 for axis in axes)
    return Field((dims[0], folded), boxes)


def _linear(_: Linear, fields: Sequence[Field], __: Sequence[Shape]) -> Field:
    field = fields[0]
    return Field((*field.dims[:-1], ()), field.pool(field.dims[-1]).boxes)


def _join(_: Elementwise | Norm | Concat, fields: Sequence[Field], __: Sequence[Shape]) -> Field:
    if len(fields) == 1:
        return fields[0]
    return Field(fields[0].dims, unite(box for field in fields for box in field.boxes))


RULES: dict[type, Rule] = {
    Conv: _window,
    Pool: _window,
    Resize: _resize,
    Pad: _pad,
    Reduce: _reduce,
    Flatten: _flatten,
    Linear: _linear,
    Elementwise: _join,
    Norm: _join,
    Concat: _join,
}
