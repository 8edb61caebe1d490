"""From callables to verdicts: the one path of ``compare``, ``profile`` and the public API.

The clock, the randomness and the time spent waiting for a processor are parameters, so that all of
it is tested without waiting. No torch here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from convcost.measure.intervals import Estimate, Verdict, estimate, judge, smallest_change
from convcost.measure.rounds import Plan, run_rounds
from convcost.measure.settings import CONFIDENCE, SECONDS_PER_CANDIDATE
from convcost.measure.trust import own_doubts, spread_doubt, waiting_doubt

if TYPE_CHECKING:
    from convcost.measure.clocks import Call, Clock
    from convcost.measure.rounds import Progress, Samples

_AGAIN = "\0again"
"""Ends the name of the reference's second arm; no candidate's name can hold it."""


class Comparison(NamedTuple):
    """One candidate against the reference.

    ``ratio`` is its latency over the reference's, ``delta`` the smallest change that matters and
    ``smallest_change`` the smallest that the run would have been sure to see (shares); ``doubts``
    say why the verdict is ``untrusted``.
    """

    ratio: Estimate
    verdict: Verdict
    delta: float
    smallest_change: float
    doubts: tuple[str, ...] = ()


class Measurement(NamedTuple):
    """What interleaved rounds gave; without a complete round ``latencies`` is empty.

    ``latencies`` are seconds of one call of each candidate; ``comparisons`` holds every candidate
    that is compared with another. ``times`` is how many calls a block of each had.
    """

    latencies: Mapping[str, Estimate]
    comparisons: Mapping[str, Comparison]
    times: Mapping[str, int]
    rounds: int
    interrupted: bool


class Protocol(NamedTuple):
    """How to measure: a budget, the smallest change that matters, and what runs it.

    ``threads`` run each call on ``processors``; ``waited`` gives the seconds so far
    that they waited for one. A change also has to be of ``min_delta`` seconds; where changes aren't
    what is asked for (``judges`` is false), noise alone makes a doubt. All comparisons of a call
    together keep ``confidence``; without ``seconds`` each candidate gets ``seconds_per_candidate``.
    """

    seconds: float | None
    delta: float
    clock: Clock
    random: Random
    waited: Callable[[], float]
    threads: int
    processors: int
    min_delta: float = 0.0
    confidence: float = CONFIDENCE
    seconds_per_candidate: float = SECONDS_PER_CANDIDATE
    judges: bool = True


def measure_calls(
    calls: Mapping[str, Call],
    protocol: Protocol,
    progress: Progress,
    references: Mapping[str, str] | None = None,
) -> Measurement:
    """Times ``calls`` in interleaved rounds, each against its reference, else the first.

    A reference runs a second time in every round, hidden: what it shows against itself is what
    noise alone makes of a comparison. The comparisons that are judged share the confidence
    (Bonferroni).
    """
    first, *others = calls
    if references is None:
        references = dict.fromkeys(others, first)
    again = {name + _AGAIN: name for name in dict.fromkeys(references.values())}
    arms = {**calls, **{arm: calls[name] for arm, name in again.items()}}
    confidence = 1 - (1 - protocol.confidence) / max(1, len(references))
    budget = protocol.seconds_per_candidate * len(calls)
    plan = Plan(protocol.seconds, budget, protocol.delta / 3, confidence, {**references, **again})
    start, waited = protocol.clock.now(), protocol.waited()
    samples = run_rounds(arms, plan, protocol.clock, protocol.random, progress)
    elapsed, waited = protocol.clock.now() - start, protocol.waited() - waited
    doubt = waiting_doubt(waited, elapsed, protocol.threads, protocol.processors)
    rounds = len(samples.blocks[first])
    run = _Run(samples, protocol, confidence, (doubt,) if doubt else ())
    return Measurement(
        {name: estimate(samples.seconds(name), CONFIDENCE) for name in calls} if rounds else {},
        {pair[0]: _comparison(run, *pair) for pair in references.items()} if rounds else {},
        samples.times,
        rounds,
        samples.interrupted,
    )


class _Run(NamedTuple):
    """What all comparisons of a run share."""

    samples: Samples
    protocol: Protocol
    confidence: float
    doubts: tuple[str, ...]


def _comparison(run: _Run, name: str, reference: str) -> Comparison:
    ratios = run.samples.ratios(name, reference)
    ratio = estimate(ratios, run.confidence)
    again = estimate(run.samples.ratios(reference + _AGAIN, reference), run.confidence)
    protocol = run.protocol
    delta = max(protocol.delta, protocol.min_delta / median(run.samples.seconds(reference)))
    own = own_doubts(ratios, ratio if protocol.judges else again, again, reference, delta)
    doubts = (*own, *run.doubts, *_spread_doubts(run, (name, reference)))
    judged = Comparison(ratio, judge(ratio, delta), delta, smallest_change(ratio, delta))
    return doubted(judged, doubts)


def doubted(comparison: Comparison, doubts: tuple[str, ...]) -> Comparison:
    """A comparison that has more to be doubted for.

    With too few rounds for an interval there is nothing to distrust yet.
    """
    untrusted = doubts and comparison.ratio.low is not None
    verdict = "untrusted" if untrusted else comparison.verdict
    return comparison._replace(verdict=verdict, doubts=(*comparison.doubts, *doubts))


def _spread_doubts(run: _Run, names: Sequence[str]) -> list[str]:
    found = (spread_doubt(name, run.samples.seconds(name)) for name in names)
    return list(filter(None, found))
