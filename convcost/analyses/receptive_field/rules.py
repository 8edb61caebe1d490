"""How each op changes the field: one function and one line in a table for each.

Windows, moves and products have theirs in modules of their own; what joins or reduces is here.
"""

from __future__ import annotations

from typing import Any

from convcost.analyses.receptive_field import moves, products, windows
from convcost.analyses.receptive_field.field import Field, axes_of
from convcost.analyses.receptive_field.joins import Fields, Rule, Shapes, spread_out, union_of
from convcost.analyses.receptive_field.positions import UnknownFieldError
from convcost.analyses.receptive_field.uneven import is_uneven, reorder
from convcost.ops import (
    Elementwise,
    Expand,
    GlobalPool,
    Mix,
    Norm,
    Opaque,
    Output,
    Reduce,
    Sizes,
    Unused,
)


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
    **products.RULES,
    **windows.RULES,
    GlobalPool: _global_pool,
    Reduce: _reduce,
    Mix: _mix,
    Elementwise: _elementwise,
    Norm: _join,
    Expand: _join,
    Output: _join,
    Unused: lambda _, __, shapes: Field.of_nothing(len(shapes[-1])),
    Opaque: _opaque,
}
