"""Finite sets of integers, kept as one big integer's bits: the positions seen on one axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Positions(NamedTuple):
    """``start + i`` for each set bit i of ``mask``; all ``span`` of them where ``mask`` is None.

    The first and the last position of the span are in the set. ``span`` 0 is the empty set.
    """

    start: int
    span: int
    mask: int | None = None


EMPTY = Positions(0, 0)
ORIGIN = Positions(0, 1)


def bits(positions: Positions) -> int:
    """The set as bits, relative to its start."""
    return (1 << positions.span) - 1 if positions.mask is None else positions.mask


def count(positions: Positions) -> int:
    """How many positions are in the set."""
    return positions.span if positions.mask is None else positions.mask.bit_count()


def shift(positions: Positions, offset: int) -> Positions:
    """The set moved by ``offset``."""
    start, span, mask = positions
    return Positions(start + offset, span, mask)


def spread(positions: Positions, step: int, times: int) -> Positions:
    """The Minkowski sum with ``{0, step, …, (times - 1) * step}``."""
    start, span, mask = positions
    if times == 1 or not span:
        return positions
    wider = span + step * (times - 1)
    if mask is None and step <= span:
        return Positions(start, wider)
    taps, result = 1, bits(positions)
    while taps < times:
        more = min(taps, times - taps)
        result |= result << step * more
        taps += more
    return _normal(start, wider, result)


def union(sets: Iterable[Positions]) -> Positions:
    """The positions that are in any of the sets."""
    filled = [s for s in sets if s.span]
    if len(filled) < 2:
        return filled[0] if filled else EMPTY
    start = min(s.start for s in filled)
    end = max(s.start + s.span for s in filled)
    if any(s.mask is None and s.start == start and s.span == end - start for s in filled):
        return Positions(start, end - start)
    mask = 0
    for s in filled:
        mask |= bits(s) << s.start - start
    return _normal(start, end - start, mask)


def contains(outer: Positions, inner: Positions) -> bool:
    """Whether every position of ``inner`` is in ``outer``."""
    offset = inner.start - outer.start
    if not inner.span:
        return True
    if offset < 0 or offset + inner.span > outer.span:
        return False
    return outer.mask is None or bits(inner) << offset & ~outer.mask == 0


def largest_hole(positions: Positions) -> int:
    """The longest run of positions inside the span that are not in the set."""
    if positions.mask is None:
        return 0
    return max(map(len, f"{positions.mask:b}".split("1")))


def count_products(products: Sequence[Sequence[Positions]]) -> int:
    """The size of a union of products of sets, one set per axis in each product."""
    if len(products) == 1 or not products[0]:
        size = 1
        for positions in products[0]:
            size *= count(positions)
        return size
    parts = _atoms([product[0] for product in products])
    return sum(
        part.bit_count() * count_products([products[i][1:] for i in members])
        for part, members in parts
    )


def _atoms(sets: Sequence[Positions]) -> list[tuple[int, list[int]]]:
    """Disjoint parts of the sets' union, each as bits with the indexes of the sets it is in."""
    origin = min(s.start for s in sets)
    atoms: list[tuple[int, list[int]]] = []
    for index, positions in enumerate(sets):
        rest = bits(positions) << positions.start - origin
        split = []
        for part, members in atoms:
            split.append((part & rest, [*members, index]))
            split.append((part & ~rest, members))
            rest &= ~part
        atoms = [atom for atom in [*split, (rest, [index])] if atom[0]]
    return atoms


def _normal(start: int, span: int, mask: int) -> Positions:
    return Positions(start, span, None if mask == (1 << span) - 1 else mask)
