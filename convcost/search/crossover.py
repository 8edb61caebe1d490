"""Where a verdict turns: bisection between two numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isqrt
from typing import NamedTuple

NEAR = 1.1
"""Numbers whose ratio is less needn't be told apart."""

Side = int
"""1 where the variant is surely faster, -1 where it is surely slower, 0 where neither."""


class Crossover(NamedTuple):
    """What bisection found.

    At ``low`` the verdict is surely still that of the first number (``before``), at ``high`` surely
    that of the last (``after``); the crossover lies between. ``low`` is None where it is undecided
    from the start, ``high`` where to the end.
    """

    before: Side
    after: Side
    low: int | None
    high: int | None


def find_crossover(side: Callable[[int], Side], first: int, last: int, step: int = 1) -> Crossover:
    """Where between ``first`` and ``last`` a variant's verdict turns, if it turns once.

    Only every ``step``-th number from the first one on, of which the last is one, is asked for, and
    each at most once. What is neither faster nor slower widens the answer: both its ends are
    looked for.
    """
    known: dict[int, Side] = {}

    def ask(number: int) -> Side:
        if number not in known:
            known[number] = side(number)
        return known[number]

    before, after = ask(first), ask(last)
    if before == after:
        return Crossover(before, after, None, None)
    low = _narrowed(ask, known, before, step)[0] if before else None
    high = _narrowed(ask, known, after, step, last=True)[1] if after else None
    return Crossover(before, after, low, high)


def _narrowed(
    ask: Callable[[int], Side],
    known: Mapping[int, Side],
    wanted: Side,
    step: int,
    *,
    last: bool = False,
) -> tuple[int, int]:
    """Two numbers near each other between which the verdict begins, or ends, to be ``wanted``."""
    low, high = _bracket(known, wanted, last=last)
    while high - low > step and high > low * NEAR:
        middle = min(max(isqrt(low * high), low + step), high - step)
        middle -= (middle - low) % step
        low, high = (low, middle) if (ask(middle) == wanted) == last else (middle, high)
    return low, high


def _bracket(known: Mapping[int, Side], wanted: Side, *, last: bool) -> tuple[int, int]:
    """The nearest known numbers around where ``wanted`` begins (``last``) or ends."""
    if last:
        low = max(number for number, side in known.items() if side != wanted)
        return low, min(number for number in known if number > low)
    high = min(number for number, side in known.items() if side != wanted)
    return max(number for number in known if number < high), high
