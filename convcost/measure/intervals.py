"""Order statistics and verdicts: from paired rounds to what can be said."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from statistics import median
from typing import Literal, NamedTuple

Verdict = Literal["faster", "slower", "same", "inconclusive", "untrusted"]


class Estimate(NamedTuple):
    """A median and its interval; ``low`` and ``high`` are None with too few rounds for one."""

    median: float
    low: float | None
    high: float | None
    minimum: float
    confidence: float
    rounds: int

    @property
    def half_width(self) -> float:
        """Half the interval's width as a share of the median; infinite without an interval."""
        if self.low is None or self.high is None:
            return float("inf")
        return (self.high - self.low) / 2 / self.median


def estimate(samples: Sequence[float], confidence: float) -> Estimate:
    """The median of ``samples`` and its exact sign-test interval.

    The interval runs from the k-th smallest sample to the k-th largest, for the largest k that
    keeps the confidence whatever the distribution (Conover, 'Practical Nonparametric
    Statistics', section 3.2).
    """
    ordered = sorted(samples)
    rank = _rank(len(ordered), 1 - confidence)
    low, high = (ordered[rank - 1], ordered[-rank]) if rank else (None, None)
    return Estimate(median(ordered), low, high, ordered[0], confidence, len(ordered))


def _rank(rounds: int, error: float) -> int:
    """The largest k with ``2 P(Binomial(rounds, 1/2) < k) <= error``; 0 where there is none."""
    allowed = (1 << rounds) * round(error * 10**9) // (2 * 10**9)
    below, ways, rank = 0, 1, 0
    while below + ways <= allowed:
        below += ways
        ways = ways * (rounds - rank) // (rank + 1)
        rank += 1
    return rank


def least_rounds(confidence: float) -> int:
    """How many samples an interval needs: with fewer, ``estimate`` gives none."""
    return next(rounds for rounds in count(1) if _rank(rounds, 1 - confidence))


def judge(ratio: Estimate, delta: float) -> Verdict:
    """What the interval of a latency ratio says of a change of at least ``delta``."""
    if ratio.low is None or ratio.high is None:
        return "inconclusive"
    if ratio.high < 1 - delta:
        return "faster"
    if ratio.low > 1 + delta:
        return "slower"
    return "same" if ratio.low >= 1 - delta and ratio.high <= 1 + delta else "inconclusive"


def smallest_change(ratio: Estimate, delta: float) -> float:
    """The smallest change that a run with this spread would have been sure to judge.

    The interval may lie half its width off the truth and has half its width to either side.
    """
    return delta + 2 * ratio.half_width
