"""Ops that sum over what they read: linear layers, matrix products, attention, recurrence."""

from __future__ import annotations

from convcost.analyses.receptive_field.field import Field, axes_of
from convcost.analyses.receptive_field.joins import (
    Fields,
    Rule,
    Shapes,
    spread_out,
    union_of,
    with_all_of,
)
from convcost.analyses.receptive_field.uneven import dim_of
from convcost.ops import Attention, Linear, Matmul, Recurrence


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


RULES: dict[type, Rule] = {
    Linear: _linear,
    Matmul: _matmul,
    Attention: _attention,
    Recurrence: _recurrence,
}
