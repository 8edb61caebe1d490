"""Products of per-axis sets, and the fewest of them that make up a union."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from operator import le, ne
from typing import NamedTuple

from convcost.analyses.receptive_field.axis import AxisField, covers, join
from convcost.analyses.receptive_field.positions import UnknownFieldError

Box = tuple[AxisField, ...]

MAX_BOXES = 512
"""More boxes than this are not followed: each op would compare each with all others."""
_FEW = 8
"""Boxes that are compared axis by axis at once."""


class _Ends(NamedTuple):
    """Where a box begins and, less than 0, ends along each axis: all are less in one it holds."""

    jumps: tuple[int, ...]
    along: tuple[tuple[int, int], ...]
    flat: tuple[int, ...]


def unite(boxes: Iterable[Box]) -> tuple[Box, ...]:
    """The fewest boxes that make up the same union: contained ones drop, neighbours merge.

    Raises:
        UnknownFieldError: they are too many to be followed.
    """
    kept: dict[Box, _Ends | None] = {}
    for box in boxes:
        _add(kept, box)
        if len(kept) > MAX_BOXES:
            raise UnknownFieldError(f"it is a union of more than {MAX_BOXES} boxes")
    return tuple(kept)


def _add(kept: dict[Box, _Ends | None], box: Box) -> None:
    # most unions are of one or two
    mine = _ends(box) if len(kept) > _FEW else None
    for other, ends in kept.items():
        if mine and ends and _stay_two(mine, ends):
            continue
        merged = _merge(other, box)
        if merged is other:
            return
        if merged is not None:
            del kept[other]
            # the merged box may cover what its parts did not
            _add(kept, merged)
            return
    kept[box] = mine


def _ends(box: Box) -> _Ends | None:
    """Of a box without holes and phases, which most are; else None."""
    solid = [axis.phases[0] for axis in box if axis.period == 1 and axis.phases]
    if len(solid) < len(box) or not all(seen.span and seen.mask is None for seen in solid):
        return None
    ends = tuple((seen.start, -seen.start - seen.span) for seen in solid)
    return _Ends(tuple(axis.jump for axis in box), ends, tuple(chain.from_iterable(ends)))


def _stay_two(first: _Ends, second: _Ends) -> bool:
    """Whether neither box holds the other, and they differ along more than one axis."""
    return (
        first.jumps == second.jumps
        and sum(map(ne, first.along, second.along)) > 1
        and not all(map(le, first.flat, second.flat))
        and not all(map(le, second.flat, first.flat))
    )


def _merge(first: Box, second: Box) -> Box | None:
    if all(map(covers, first, second)):
        if all(axis.jump and axis.phases for axis in first):
            return first
        # an axis without a step of its own takes the other's
        joined = tuple(map(join, first, second))
        return first if joined == first else joined
    if all(map(covers, second, first)):
        return tuple(map(join, first, second))
    unlike = sum(not (covers(a, b) and covers(b, a)) for a, b in zip(first, second, strict=True))
    return tuple(map(join, first, second)) if unlike < 2 else None
