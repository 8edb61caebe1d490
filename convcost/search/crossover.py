"""Where a verdict turns: bisection between two numbers."""

from __future__ import annotations

from collections.abc import Callable
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

    @property
    def is_missing(self) -> bool:
        """Whether nothing turns: the same verdict at both ends, or none."""
        return self.before == self.after


def find_crossover(side: Callable[[int], Side], first: int, last: int) -> Crossover:
    """Where between ``first`` and ``last`` a variant's verdict turns, if it turns once.

    Each number is asked for at most once. What is neither faster nor slower widens the answer: both
    its ends are looked for.
    """
    known: dict[int, Side] = {}

    def ask(number: int) -> Side:
        if number not in known:
            known[number] = side(number)
        return known[number]

    before, after = ask(first), ask(last)
    if before == after:
        return Crossover(before, after, None, None)
    low = _last_such(lambda n: ask(n) == before, first, last) if before else None
    high = _first_such(lambda n: ask(n) == after, low or first, last) if after else None
    return Crossover(before, after, low, high)


def _last_such(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The largest number at which it still holds; it does at ``low``, and not at ``high``."""
    while high - low > 1 and high > low * NEAR:
        middle = _between(low, high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _first_such(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The smallest number from which on it holds; it does at ``high``, and not at ``low``."""
    while high - low > 1 and high > low * NEAR:
        middle = _between(low, high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _between(low: int, high: int) -> int:
    """Their geometric mean, and none of them."""
    return min(max(isqrt(low * high), low + 1), high - 1)
