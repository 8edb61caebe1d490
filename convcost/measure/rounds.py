"""Interleaved rounds: every candidate runs in every round, so that noise hits all alike.

Duet benchmarking (Bulej et al., ICPE 2020) pairs two runs in time; each round here is such a pair
for every candidate. The clock and the randomness are parameters. No torch here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil, inf
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from convcost.measure.intervals import estimate, least_rounds

if TYPE_CHECKING:
    from convcost.measure.clocks import Call, Clock

MIN_BLOCK = 0.005
"""A block's seconds at least: the clock's own cost is then below a thousandth."""
LIKE_SPEED = 1.5
"""Candidates whose speeds differ by less share a block's number of calls."""
FIRST_LOOK = 10
"""Rounds before the intervals' width is looked at first; then at twice as many, and so on."""
SURE_ROUNDS = 12
"""Rounds that slow candidates get time for where no budget is given, if no more are needed."""

Progress = Callable[[int, float], None]
"""Told after each round: the rounds so far and the share of the budget that is spent."""


class Plan(NamedTuple):
    """How long to measure: until all ratios are as narrow as ``half_width`` or time is up.

    ``seconds`` None: ``default_seconds``, or the time of 12 rounds, or of as many as an interval
    needs, where that is longer. ``references`` has what each candidate is compared with.
    """

    seconds: float | None
    default_seconds: float
    half_width: float
    confidence: float
    references: Mapping[str, str]


class Spent(NamedTuple):
    """What a block took: seconds per call, over all of it and over the fastest of its parts."""

    mean: float
    fastest: float


class Samples(NamedTuple):
    """What each candidate's blocks took, one for each complete round.

    ``times`` is how many calls each block of a candidate had.
    """

    blocks: Mapping[str, Sequence[Spent]]
    times: Mapping[str, int]
    interrupted: bool = False

    def seconds(self, name: str) -> list[float]:
        """Seconds per call, one for each round."""
        return [block.mean for block in self.blocks[name]]

    def ratios(self, name: str, reference: str) -> list[float]:
        """One paired ratio per round, of the blocks' fastest parts where both have as many.

        What comes between only ever makes a part slower (Chen and Revels, 'Robust benchmarking in
        noisy environments', 2016). The least of more parts is less by itself, so blocks of
        different numbers of calls are compared as wholes.
        """
        pairs = list(zip(self.blocks[name], self.blocks[reference], strict=True))
        if self.times[name] != self.times[reference]:
            return [mine.mean / other.mean for mine, other in pairs]
        return [mine.fastest / other.fastest for mine, other in pairs]


def run_rounds(
    candidates: Mapping[str, Call], plan: Plan, clock: Clock, random: Random, progress: Progress
) -> Samples:
    """Measures all candidates. Ctrl-C ends it with what there is."""
    blocks: dict[str, list[Spent]] = {name: [] for name in candidates}
    samples = Samples(blocks, {})
    try:
        samples = Samples(blocks, calibrate(candidates, clock))
        start = clock.now()
        for number, order in enumerate(orders(list(candidates), random), 1):
            found = {name: clock.block(candidates[name], samples.times[name]) for name in order}
            for name, block in found.items():
                blocks[name].append(block)
            elapsed = clock.now() - start
            budget = _budget(plan, elapsed / number)
            progress(number, elapsed / budget)
            if elapsed + elapsed / number > budget or _is_narrow(samples, number, plan):
                break
    except KeyboardInterrupt:
        return samples._replace(interrupted=True)
    return samples


def _budget(plan: Plan, round_seconds: float) -> float:
    if plan.seconds is not None:
        return plan.seconds
    rounds = max(SURE_ROUNDS, least_rounds(plan.confidence))
    return max(plan.default_seconds, rounds * round_seconds * 1.01)


def _is_narrow(samples: Samples, rounds: int, plan: Plan) -> bool:
    """Whether, at a round where one looks, every ratio's interval is narrow enough.

    A candidate alone has its whole time: there is no ratio to stop at.
    """
    looks, rest = divmod(rounds, FIRST_LOOK)
    if rest or looks & looks - 1:
        return False
    widths = (
        estimate(samples.ratios(*pair), plan.confidence).half_width
        for pair in plan.references.items()
    )
    return max(widths, default=inf) <= plan.half_width


def calibrate(candidates: Mapping[str, Call], clock: Clock) -> dict[str, int]:
    """Calls per block, so that each block lasts ``MIN_BLOCK``; like speeds share the number."""
    # a call may be there under two names, and need not be hashable
    calls = {id(call): call for call in candidates.values()}
    singles = {key: _seconds_per_call(call, clock) for key, call in calls.items()}
    times: dict[int, int] = {}
    fastest = 0.0
    for key, seconds in sorted(singles.items(), key=lambda item: item[1]):
        if seconds > fastest * LIKE_SPEED or not times:
            fastest = seconds
        times[key] = max(1, ceil(MIN_BLOCK / max(fastest, 1e-9)))
    return {name: times[id(call)] for name, call in candidates.items()}


def _seconds_per_call(call: Call, clock: Clock) -> float:
    """A call's seconds, from growing blocks that end at a fifth of ``MIN_BLOCK``.

    With whatever the clock does between calls: flushing the caches takes longer than small calls.
    """
    clock.block(call, 1)
    times = 1
    while (spent := _elapsed(call, times, clock)) < MIN_BLOCK / 5 and times < 2**20:
        times *= 2
    return spent / times


def _elapsed(call: Call, times: int, clock: Clock) -> float:
    start = clock.now()
    clock.block(call, times)
    return clock.now() - start


def orders(names: Sequence[str], random: Random) -> Iterator[list[str]]:
    """Random orders, each followed by its reverse, so that no candidate tends to come first."""
    while True:
        order = random.sample(names, len(names))
        yield order
        yield order[::-1]
