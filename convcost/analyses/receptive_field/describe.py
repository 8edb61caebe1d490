"""From a field to the values that are reported."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from convcost.analyses.receptive_field.axis import AxisField, aligned
from convcost.analyses.receptive_field.field import Field
from convcost.analyses.receptive_field.positions import (
    Positions,
    UnknownFieldError,
    count,
    count_products,
    largest_hole,
    union,
)
from convcost.report import GLOBAL, Scalar, Value, exact, unavailable

KEYS = (
    "receptive_field",
    "effective_stride",
    "receptive_field_start",
    "receptive_field_density",
    "receptive_field_largest_hole",
)


class _Axis(NamedTuple):
    """One axis at the output phase that sees the most; None where the axis is global."""

    parts: tuple[Positions, ...] | None
    start: int | None
    stride: Scalar | None


def describe(field: Field | str) -> dict[str, Value]:
    """The values of one field; a text is the reason why it isn't known."""
    if isinstance(field, str):
        return dict.fromkeys(KEYS, unavailable(field))
    if not field.boxes:
        return dict.fromkeys(KEYS, unavailable("it doesn't depend on the input's positions"))
    try:
        return _known(field)
    except UnknownFieldError as error:
        return dict.fromkeys(KEYS, unavailable(str(error)))


def _known(field: Field) -> dict[str, Value]:
    axes = [_view(boxes) for boxes in zip(*field.boxes, strict=True)]
    seen = [None if axis.parts is None else union(axis.parts) for axis in axes]
    values = (
        _spans(seen),
        _per_axis([axis.stride for axis in axes], "one output sees the whole axis"),
        _per_axis([axis.start for axis in axes], _why_no_start(axes)),
        _density(axes),
        _per_axis([None if s is None else largest_hole(s) for s in seen]),
    )
    found = dict(zip(KEYS, values, strict=True))
    return {**found, **_bounded(found, field)} if field.bounds else found


def _bounded(found: dict[str, Value], field: Field) -> dict[str, Value]:
    """The values that are only bounds, or not known at all, where an axis is only bounded."""
    reason = "; ".join(dict.fromkeys(field.bounds.values()))
    span = Value("upper_bound", found["receptive_field"].value, reason=reason)
    unknown = dict.fromkeys(KEYS[2:], unavailable(reason))
    return {**unknown, "receptive_field": span}


def widest(boxes: Sequence[AxisField]) -> tuple[Positions, ...] | None:
    """One axis of each box at the output phase that sees the most; None where it is global.

    Raises:
        UnknownFieldError: branches of different effective strides are joined.
    """
    return _view(boxes).parts


def _view(boxes: Sequence[AxisField]) -> _Axis:
    stride = next((_number(box.jump, box.period) for box in boxes if box.jump), None)
    if any(box.phases is None for box in boxes):
        return _Axis(None, None, stride)
    if len(boxes) == 1 and boxes[0].period == 1 and boxes[0].phases is not None:
        (only,) = boxes[0].phases
        return _Axis((only,), only.start if only.span else None, stride)
    phases = list(zip(*aligned(*boxes), strict=True))
    widest = max(phases, key=_reach)
    first = union(phases[0])
    return _Axis(widest, first.start if first.span else None, stride)


def _reach(parts: Sequence[Positions]) -> tuple[int, int]:
    seen = union(parts)
    return seen.span, count(seen)


def _number(jump: int, period: int) -> Scalar:
    return jump // period if jump % period == 0 else jump / period


def _spans(seen: Sequence[Positions | None]) -> Value:
    if seen and all(s is None for s in seen):
        return exact(GLOBAL)
    return exact(tuple(GLOBAL if s is None else s.span for s in seen))


def _per_axis(values: Sequence[Scalar | None], reason: str = "the field is global") -> Value:
    known = tuple(value for value in values if value is not None)
    return exact(known) if len(known) == len(values) else unavailable(reason)


def _why_no_start(axes: Sequence[_Axis]) -> str:
    is_global = any(axis.parts is None for axis in axes)
    return "the field is global" if is_global else "output 0 sees nothing"


def _density(axes: Sequence[_Axis]) -> Value:
    """The share that is seen of the smallest box around all that is seen."""
    sets = [axis.parts for axis in axes if axis.parts is not None]
    if len(sets) < len(axes):
        return unavailable("the field is global")
    # a box that is empty along one axis sees nothing along the others either
    boxes = [box for box in zip(*sets, strict=True) if all(part.span for part in box)]
    if not boxes:
        return unavailable("nothing is seen")
    hull = prod(union(parts).span for parts in zip(*boxes, strict=True))
    return exact(count_products(boxes) / hull)
