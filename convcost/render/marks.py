"""Marks for input positions: one for each, or one for several."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import ceil
from typing import NamedTuple

from rich.text import Text

from convcost.picture import Raster

MOST_ROWS = 33
"""A drawing with more lines doesn't fit a screen: a mark then stands for several positions."""
SCALED_ROWS = 16
"""Nor is much more to be seen in one whose marks stand for several positions."""
SEEN, UNSEEN = "■", "·"
SHADES = "·░▒▓█"
"""None of a mark's positions is seen, few, half, most, all."""
SEEN_STYLE, UNSEEN_STYLE = "cyan", "dim"
_MOST = len(SHADES) - 1


class Scale(NamedTuple):
    """``size`` positions along each axis make up a mark, ``pitch`` columns wide."""

    size: int
    pitch: int


def fitting_scale(high: int, wide: int, columns: int) -> Scale:
    """The scale that shows most of a field of ``high`` times ``wide`` positions."""
    for pitch in (2, 1):
        if pitch * wide - pitch + 1 <= columns and high <= MOST_ROWS:
            return Scale(1, pitch)
    pitch = 2 if high > 1 else 1
    return Scale(max(ceil(wide / max(1, columns // pitch)), ceil(high / SCALED_ROWS)), pitch)


def has_holes(seen: Raster) -> bool:
    """Whether a position inside the span isn't seen."""
    full = (1 << seen.spans[-1]) - 1
    return any(row != full for row in seen.rows)


def mark_rows(seen: Raster, scale: Scale) -> Iterator[Text]:
    """The field, a line of marks for each row or for several."""
    for shares in _shares(seen, scale.size):
        line = Text()
        for share in shares:
            line.append(*_mark(share, scale))
        line.rstrip()
        yield line


def _shares(seen: Raster, size: int) -> Iterator[list[float]]:
    """For each mark the share of its positions that is seen; marks differ by one position."""
    columns = list(pairwise(_cuts(seen.spans[-1], size)))
    for top, bottom in pairwise(_cuts(len(seen.rows), size)):
        rows = seen.rows[top:bottom]
        yield [
            sum((row >> left & (1 << right - left) - 1).bit_count() for row in rows)
            / ((bottom - top) * (right - left))
            for left, right in columns
        ]


def _cuts(span: int, size: int) -> list[int]:
    """Where a span is cut into parts of at least ``size``, as equal as can be."""
    parts = max(1, span // size)
    return [span * i // parts for i in range(parts + 1)]


def _mark(share: float, scale: Scale) -> tuple[str, str]:
    style = SEEN_STYLE if share else UNSEEN_STYLE
    if scale.size == 1:
        return (SEEN if share else UNSEEN).ljust(scale.pitch), style
    shade = min(max(share > 0, round(share * _MOST)), _MOST - (share < 1))
    return SHADES[shade] * scale.pitch, style
