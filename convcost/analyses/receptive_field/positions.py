"""Finite sets of integers, kept as one big integer's bits: the positions seen on one axis."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

MAX_SPAN = 65_536
"""A set with holes is followed as far as this; a span without holes is exact at any width."""


class UnknownFieldError(Exception):
    """The field can't be followed; the text says why."""


UNLIKE_STEPS = "branches of different effective strides are joined"


class UnlikeStepsError(UnknownFieldError):
    """Neighbouring outputs are a different step apart in what is joined."""

    def __init__(self) -> None:
        super().__init__(UNLIKE_STEPS)


class Positions(NamedTuple):
    """``start + i`` for each set bit i of ``mask``; all ``span`` of them where ``mask`` is None.

    The first and the last position of the span are in the set. ``span`` 0 is the empty set.
    """

    start: int
    span: int
    mask: int | None = None


EMPTY = Positions(0, 0)
ORIGIN = Positions(0, 1)


def boxes_of(axes: Sequence[Sequence[Positions]]) -> list[tuple[Positions, ...]]:
    """The boxes whose sides each axis has, without those that are empty along one of them.

    These see nothing along the others either.
    """
    return [box for box in zip(*axes, strict=True) if all(side.span for side in box)]


def bits(positions: Positions) -> int:
    """The set as bits, relative to its start.

    Raises:
        UnknownFieldError: it is wider than ``MAX_SPAN``.
    """
    _need_narrow(positions.span)
    return (1 << positions.span) - 1 if positions.mask is None else positions.mask


def count(positions: Positions) -> int:
    """How many positions are in the set."""
    return positions.span if positions.mask is None else positions.mask.bit_count()


def shift(positions: Positions, offset: int) -> Positions:
    """The set moved by ``offset``."""
    start, span, mask = positions
    return Positions(start + offset, span, mask)


def spread(positions: Positions, step: int, times: int) -> Positions:
    """The Minkowski sum with ``{0, step, …, (times - 1) * step}``.

    Raises:
        UnknownFieldError: it has holes and is wider than ``MAX_SPAN``.
    """
    result, taps = positions, 1
    while taps < times and positions.span:
        if result.mask is None and step <= result.span:
            return Positions(result.start, result.span + step * (times - taps))
        more = min(taps, times - taps)
        result = union((result, shift(result, step * more)))
        taps += more
    return result


def union(sets: Iterable[Positions]) -> Positions:
    """The positions that are in any of the sets.

    Raises:
        UnknownFieldError: the union has holes and is wider than ``MAX_SPAN``.
    """
    filled = [s for s in sets if s.span]
    if len(filled) < 2:
        return filled[0] if filled else EMPTY
    start, span, _ = around = hull(filled)
    if _end_of_solids(filled, start) == start + span:
        return around
    _need_narrow(span)
    mask = 0
    for s in filled:
        mask |= bits(s) << s.start - start
    return Positions(start, span, None if mask == (1 << span) - 1 else mask)


def hull(sets: Iterable[Positions]) -> Positions:
    """All positions from the first to the last that is in any of the sets."""
    filled = [s for s in sets if s.span]
    if not filled:
        return EMPTY
    start = min(s.start for s in filled)
    return Positions(start, max(s.start + s.span for s in filled) - start)


def _end_of_solids(sets: Iterable[Positions], start: int) -> int:
    """Where the sets without holes, end to end from ``start`` on, leave the first gap."""
    end = start
    for s in sorted(s for s in sets if s.mask is None):
        if s.start > end:
            break
        end = max(end, s.start + s.span)
    return end


def _need_narrow(span: int) -> None:
    if span > MAX_SPAN:
        raise UnknownFieldError(f"it has holes and spans more than {MAX_SPAN:,} positions")


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
    holes = bits(positions) ^ (1 << positions.span) - 1 if positions.mask is not None else 0
    return _longest_run(holes)


def _longest_run(ones: int) -> int:
    """The length of the longest run of ones, from where runs of 1, 2, 4, … start."""
    if not ones:
        return 0
    starts, length = [ones], 1
    while longer := starts[-1] & starts[-1] >> length:
        starts.append(longer)
        length *= 2
    found = starts.pop()
    for power in reversed(range(len(starts))):
        if longer := found & starts[power] >> length:
            found, length = longer, length + 2**power
    return length


def count_products(products: Sequence[Sequence[Positions]]) -> int:
    """The size of a union of products of sets, one set per axis in each product.

    Raises:
        UnknownFieldError: a set of several products is wider than ``MAX_SPAN``.
    """
    if len(products) == 1 or not products[0]:
        size = 1
        for positions in products[0]:
            size *= count(positions)
        return size
    if len(products[0]) == 1:
        return count(union(product[0] for product in products))
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
        offset = positions.start - origin
        _need_narrow(offset + positions.span)
        rest = bits(positions) << offset
        split = []
        for part, members in atoms:
            split.append((part & rest, [*members, index]))
            split.append((part & ~rest, members))
            rest &= ~part
        atoms = [atom for atom in [*split, (rest, [index])] if atom[0]]
    return atoms
