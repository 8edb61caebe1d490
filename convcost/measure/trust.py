"""Whether a run can be trusted: what noise does to it, and the words for that. No torch here.

Duet benchmarking (Bulej et al., ICPE 2020) pairs runs so that noise hits both sides; what noise is
left shows where a thing is compared with itself (an A/A test, as Laaber et al., EMSE 2019, do).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles

from convcost.measure.intervals import Estimate, estimate, judge
from convcost.units import format_digits, format_factor, format_percent

MOST_WAITED = 0.1
"""The share of its time that a thread may wait for a processor.

Seen on 2 processors beside one busy process: 0.006 with 1 thread, 0.37 with 2.
"""
MOST_SPREAD = 1.0
"""The middle half of a side's rounds may span so much of their median.

Seen: 0.03 to 0.4 on a quiet machine, up to 1.8 where threads wait for each other.
"""
MOST_INSTRUMENT = 3.0
"""A pass with the layers' clocks may take so many times as long as one without."""
SELF_DELTA = 0.01
"""A thing may differ by so much from itself however small a change is asked for."""
_DECISIVE = ("faster", "slower")


def own_doubts(
    ratios: Sequence[float], ratio: Estimate, again: Estimate, reference: str, delta: float
) -> list[str]:
    """Why one comparison's rounds don't allow a verdict; empty where they do.

    ``again`` is the ratio of the reference's second arm to the first.
    """
    found = (_self_doubt(ratio, again, reference, delta), _drift(ratios, ratio, delta))
    return list(filter(None, found))


def _self_doubt(ratio: Estimate, again: Estimate, reference: str, delta: float) -> str:
    """A change counts if it is larger than what the same thing shows against itself."""
    if again.low is None or again.high is None or ratio.low is None or ratio.high is None:
        return ""
    shown = f"{format_digits(again.low)}–{format_digits(again.high)}"
    if judge(again, max(delta, SELF_DELTA)) in _DECISIVE:
        return f"{reference} against itself measured {shown}"
    verdict = judge(ratio, delta)
    slower_only_by_noise = verdict == "slower" and ratio.low <= (1 + delta) * again.median
    faster_only_by_noise = verdict == "faster" and ratio.high >= (1 - delta) * again.median
    if slower_only_by_noise or faster_only_by_noise:
        return f"the change is hardly more than {reference} shows against itself: {shown}"
    return ""


def _drift(ratios: Sequence[float], ratio: Estimate, delta: float) -> str:
    """Halves of a run whose intervals lie apart and don't say the same have drifted."""
    middle = len(ratios) // 2
    if middle < 1:
        return ""
    first, second = (
        estimate(half, ratio.confidence) for half in (ratios[:middle], ratios[middle:])
    )
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return ""
    apart = first.high < second.low or second.high < first.low
    said = judge(first, delta)
    if not apart or (said == judge(second, delta) and said != "inconclusive"):
        return ""
    return (
        f"its ratio drifted from {format_digits(first.median)} in the first half of the run "
        f"to {format_digits(second.median)} in the second"
    )


def spread_doubt(name: str, seconds: Sequence[float]) -> str:
    """A side whose rounds lie so far apart that their median says little."""
    if len(seconds) < 4:
        return ""
    low, middle, high = quantiles(seconds, n=4)
    if (high - low) / middle <= MOST_SPREAD:
        return ""
    return (
        f"the middle half of the rounds of {name} spans {format_percent((high - low) / middle)} "
        "of their median"
    )


def instrument_doubt(cost: Estimate) -> str:
    """Clocks that take longer than the layers that they time."""
    if cost.median <= MOST_INSTRUMENT:
        return ""
    return (
        "the layers' latencies are not to be trusted: with their clocks a pass takes "
        f"{format_factor(cost.median)} of one without"
    )


def waiting_doubt(waited: float, elapsed: float, threads: int, processors: int) -> str:
    """Threads that were ready to run while something else had the processor.

    ``waited`` is the sum over all threads, in seconds.
    """
    share = waited / (elapsed * threads) if elapsed else 0.0
    if share <= MOST_WAITED:
        return ""
    if threads > processors:
        return (
            f"{threads} threads share {processors} processors: each waited "
            f"{format_percent(share)} of the time for one"
        )
    room = " (fewer --threads would leave them room)" if threads > 1 else ""
    return (
        f"other processes took the CPU: this run's threads waited {format_percent(share)} "
        f"of the time for a processor{room}"
    )
