"""A field as runs of positions, for whoever draws it."""

from __future__ import annotations

from collections.abc import Iterator

from convcost.analyses.receptive_field.describe import widest
from convcost.analyses.receptive_field.field import Field
from convcost.analyses.receptive_field.positions import Positions, UnknownFieldError, boxes_of
from convcost.report import Runs

MAX_RUNS = 4096
"""A field of more runs than this is left out: no picture would show them."""


def seen_by(field: Field | str) -> tuple[tuple[Runs, ...], ...]:
    """The boxes that the output at 0 sees; none where that isn't finite and known."""
    if isinstance(field, str) or not field.boxes or field.bounds:
        return ()
    try:
        axes = [widest(boxes) for boxes in zip(*field.boxes, strict=True)]
    except UnknownFieldError:
        return ()
    sets = [axis for axis in axes if axis is not None]
    if len(sets) < len(axes):
        return ()
    found = tuple(tuple(tuple(runs(part)) for part in box) for box in boxes_of(sets))
    return found if sum(len(part) for box in found for part in box) <= MAX_RUNS else ()


def runs(positions: Positions) -> Iterator[tuple[int, int]]:
    """The first position and the length of each run without holes."""
    if positions.mask is None:
        yield positions.start, positions.span
        return
    rest, at = positions.mask, positions.start
    while rest:
        skipped = (rest & -rest).bit_length() - 1
        rest >>= skipped
        length = (~rest & rest + 1).bit_length() - 1
        yield at + skipped, length
        rest >>= length
        at += skipped + length
