"""From a field to the very positions that one output sees."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

from convcost.analyses.receptive_field.describe import widest
from convcost.analyses.receptive_field.field import Field
from convcost.analyses.receptive_field.positions import (
    Positions,
    UnknownFieldError,
    bits,
    boxes_of,
    union,
)
from convcost.ops import format_shape
from convcost.picture import Raster

MAX_DRAWN = 8192
"""Positions along an axis: no screen shows more."""


def rasterise(field: Field | str) -> Raster | str:
    """What one output position sees, at the phase that sees the most; else why it isn't drawn."""
    if isinstance(field, str):
        return field
    if field.bounds:
        return f"not known exactly: {'; '.join(dict.fromkeys(field.bounds.values()))}"
    try:
        axes = [widest(boxes) for boxes in zip(*field.boxes, strict=True)]
    except UnknownFieldError as error:
        return str(error)
    sets = [axis for axis in axes if axis is not None]
    if len(sets) < len(axes):
        return "sees every position" + (" along an axis" if sets else "")
    return _drawable(boxes_of(sets))


def _drawable(boxes: Sequence[Sequence[Positions]]) -> Raster | str:
    spans = tuple(union(parts).span for parts in zip(*boxes, strict=True))
    if not spans:
        return "sees no position of the input"
    if max(spans) > MAX_DRAWN:
        return f"receptive field {format_shape(spans)}: too wide to draw"
    return Raster(spans, _rows(boxes))


def _rows(boxes: Sequence[Sequence[Positions]]) -> tuple[int, ...]:
    """The union of ``boxes`` as one row of bits for each position of the last but one axis."""
    across = _masks([box[-1] for box in boxes])
    if len(boxes[0]) == 1:
        return (_merged(across),)
    down = _masks([box[-2] for box in boxes])
    # rows that the same boxes cover are one integer
    rows: dict[tuple[bool, ...], int] = {}
    found = []
    for y in range(max(mask.bit_length() for mask in down)):
        covers = tuple(bool(mask >> y & 1) for mask in down)
        if covers not in rows:
            rows[covers] = _merged(list(compress(across, covers)))
        found.append(rows[covers])
    return tuple(found)


def _masks(parts: Sequence[Positions]) -> list[int]:
    """Each set as bits, counted from the first position of all of them."""
    origin = min(part.start for part in parts)
    return [bits(part) << part.start - origin for part in parts]


def _merged(masks: Sequence[int]) -> int:
    merged = 0
    for mask in masks:
        merged |= mask
    return merged
