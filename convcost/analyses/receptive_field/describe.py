"""From a field to the values that are reported."""

from collections.abc import Sequence
from math import prod
from operator import is_
from typing import NamedTuple

from convcost.analyses.receptive_field.axis import AxisField, aligned
from convcost.analyses.receptive_field.boxes import Box
from convcost.analyses.receptive_field.field import Field, is_repeated
from convcost.analyses.receptive_field.positions import (
    Positions,
    UnknownFieldError,
    boxes_of,
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
_DENSE = exact(1.0)
_NOTHING = unavailable("it doesn't depend on the input's positions")


class _Axis(NamedTuple):
    """One axis at the output phase that sees the most; None where the axis is global.

    ``parts`` is what each box sees along it, ``seen`` their union.
    """

    parts: tuple[Positions, ...] | None
    seen: Positions | None
    start: int | None
    stride: Scalar | None


def describe(field: Field | str) -> dict[str, Value]:
    """The values of one field; a text is the reason why it isn't known."""
    if isinstance(field, str):
        return dict.fromkeys(KEYS, unavailable(field))
    if not field.boxes:
        return dict.fromkeys(KEYS, _NOTHING)
    try:
        field = field.unrepeated()
        return _solid(field) or _known(field)
    except UnknownFieldError as error:
        return dict.fromkeys(KEYS, unavailable(str(error)))


def _is_empty(box: Box) -> bool:
    """Whether no output position sees anything along some axis."""
    return any(axis.phases and not any(seen.span for seen in axis.phases) for axis in box)


def is_plain(field: Field) -> bool:
    """Whether its boxes alone make up what is told of a field."""
    return not (field.bounds or any(map(is_repeated, field.dims)))


def _solid(field: Field) -> dict[str, Value] | None:
    """The values of one box without holes, phases or bounds, which most fields are; else None."""
    if len(field.boxes) > 1 or field.bounds:
        return None
    box = field.boxes[0]
    parts = []
    for axis in box:
        if not axis.jump or axis.period != 1 or axis.phases is None:
            return None
        part = axis.phases[0]
        if not part.span or part.mask is not None:
            return None
        parts.append(part)
    return {
        "receptive_field": exact(tuple([part.span for part in parts])),
        "effective_stride": exact(tuple([axis.jump for axis in box])),
        "receptive_field_start": exact(tuple([part.start for part in parts])),
        "receptive_field_density": _DENSE,
        "receptive_field_largest_hole": exact((0,) * len(box)),
    }


def _known(field: Field) -> dict[str, Value]:
    if all(map(_is_empty, field.boxes)):
        return dict.fromkeys(KEYS, _NOTHING)
    axes = _views(field.boxes)
    found = {
        "receptive_field": _spans(axes, whole=_is_whole(field.boxes)),
        "effective_stride": _per_axis(
            [axis.stride for axis in axes], "one output sees the whole axis"
        ),
        "receptive_field_start": _per_axis([axis.start for axis in axes], _why_no_start(axes)),
        "receptive_field_density": _density(axes),
        "receptive_field_largest_hole": _per_axis(
            [None if axis.seen is None else largest_hole(axis.seen) for axis in axes],
            "the field is global",
        ),
    }
    return {**found, **_bounded(found, field)} if field.bounds else found


def _views(boxes: Sequence[Box]) -> list[_Axis]:
    """Each axis; those that are one object in all boxes are looked at once."""
    first, *others = zip(*boxes, strict=True)
    view = _view(first)
    return [view, *(view if all(map(is_, other, first)) else _view(other) for other in others)]


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
        return _Axis(None, None, None, stride)
    if len(boxes) == 1 and boxes[0].period == 1 and boxes[0].phases is not None:
        only = boxes[0].phases[0]
        return _Axis((only,), only, only.start if only.span else None, stride)
    phases = list(zip(*aligned(*boxes), strict=True))
    widest = max(phases, key=_reach)
    first = union(phases[0])
    return _Axis(widest, union(widest), first.start if first.span else None, stride)


def _reach(parts: Sequence[Positions]) -> tuple[int, int]:
    seen = union(parts)
    return seen.span, count(seen)


def _number(jump: int, period: int) -> Scalar:
    return jump // period if jump % period == 0 else jump / period


def _spans(axes: Sequence[_Axis], *, whole: bool) -> Value:
    spans = [GLOBAL if axis.seen is None else axis.seen.span for axis in axes]
    return exact(GLOBAL if whole else tuple(spans))


def _is_whole(boxes: Sequence[Box]) -> bool:
    """Whether one of them is the whole input: rows and columns alone are not."""
    return any(all(axis.phases is None for axis in box) for box in boxes)


def _per_axis(values: Sequence[Scalar | None], reason: str) -> Value:
    known = [value for value in values if value is not None]
    return exact(tuple(known)) if len(known) == len(values) else unavailable(reason)


def _why_no_start(axes: Sequence[_Axis]) -> str:
    is_global = any(axis.seen is None for axis in axes)
    return "the field is global" if is_global else "output 0 sees nothing"


def _density(axes: Sequence[_Axis]) -> Value:
    """The share that is seen of the smallest box around all that is seen."""
    sets = [axis.parts for axis in axes if axis.parts is not None]
    if len(sets) < len(axes):
        return unavailable("the field is global")
    boxes = boxes_of(sets)
    if not boxes:
        return unavailable("nothing is seen")
    if len(boxes) == 1 and all(part.mask is None for part in boxes[0]):
        return _DENSE
    hull = prod(union(parts).span for parts in zip(*boxes, strict=True))
    return exact(count_products(boxes) / hull)
