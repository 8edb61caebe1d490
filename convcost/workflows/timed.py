"""Limits that need a clock: latency against a revision, an absolute one, a variant's ratio."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from convcost.measure.intervals import Estimate, estimate, judge, smallest_change
from convcost.measure.settings import CONFIDENCE
from convcost.measure.workers import Remote, RemoteClock
from convcost.report import Limit as Judged
from convcost.report import Outcome, Value
from convcost.sources.checks import Check, Limit
from convcost.units import format_percent
from convcost.workflows.judge import is_relative, is_timed, judged
from convcost.workflows.measured import estimated
from convcost.workflows.sides import Sides, as_report

if TYPE_CHECKING:
    from convcost.measure.rounds import Samples

Notify = Callable[[str, float | None], None]

SECONDS = 4.0
"""For two sides of one model: twice what a comparison within one process gets."""


class Clockwork(NamedTuple):
    """How to measure: ``comparisons`` share one error budget, each takes ``seconds``."""

    sides: Sides
    seconds: float | None
    comparisons: int
    notify: Notify

    @property
    def confidence(self) -> float:
        """Of each comparison, so that all of them together keep ``CONFIDENCE`` (Bonferroni)."""
        return 1 - (1 - CONFIDENCE) / max(1, self.comparisons)


def judge_timed(check: Check, limit: Limit, file: str, clockwork: Clockwork) -> Judged:
    """What became of a limit that needs a clock; it is broken only if two runs say so.

    The second run has fresh processes: memory that happened to be laid out badly isn't there again.

    Raises:
        ConvcostError: a side can't be run.
    """
    first = _once(check, limit, file, clockwork, 0)
    if first.outcome != "broken" or not is_timed(limit):
        return first
    clockwork.sides.start()
    second = _once(check, limit, file, clockwork, 1)
    if second.outcome == "broken":
        return second
    doubt = "broken in one run, which a second with fresh processes didn't confirm"
    return second._replace(reason="; ".join(filter(None, (doubt, second.reason))))


def _once(check: Check, limit: Limit, file: str, clockwork: Clockwork, seed: int) -> Judged:
    if is_relative(limit):
        return _against_base(check, limit, file, clockwork, seed)
    if limit.metric == "latency":
        found = _latency(check, clockwork)
    else:
        found = _ratio(check, limit, clockwork)
    outcome, reason = _absolute(limit, found)
    return judged(check, limit, file, outcome, found, reason=reason)


def _against_base(check: Check, limit: Limit, file: str, clockwork: Clockwork, seed: int) -> Judged:
    samples = _samples(check, limit, clockwork, seed)
    head, base = (estimate(samples.seconds[name], CONFIDENCE) for name in ("head", "base"))
    ratio = estimate(samples.ratios("head", "base"), clockwork.confidence)
    outcome, reason = _relative(limit, ratio, base.median)
    return judged(
        check,
        limit,
        file,
        outcome,
        estimated(head),
        base=estimated(base),
        ratio=estimated(ratio),
        reason=reason,
    )


def _samples(check: Check, limit: Limit, clockwork: Clockwork, seed: int) -> Samples:
    """Seconds of both sides, in turn, block by block."""
    clockwork.notify(f"building {check.name}", None)
    sides = clockwork.sides
    sides.prepare(check.name, check.source, check.inputs)
    from convcost.measure.rounds import Plan, run_rounds  # noqa: PLC0415  torch

    assert sides.base is not None  # noqa: S101  else the check is new
    candidates: dict[str, Callable[[], object]] = {
        "base": Remote(sides.base, check.name),
        "head": Remote(sides.head, check.name),
    }
    plan = Plan(clockwork.seconds, SECONDS, limit.expected / 3, clockwork.confidence)

    def progress(rounds: int, share: float) -> None:
        clockwork.notify(f"measuring {check.name}, round {rounds}", share)

    random = Random(seed)  # noqa: S311  an order, no secret
    samples = run_rounds(candidates, plan, RemoteClock(), random, progress)
    if samples.interrupted:
        raise KeyboardInterrupt
    return samples


def _relative(limit: Limit, ratio: Estimate, base: float) -> tuple[Outcome, str]:
    """An increase counts above ``max_increase`` and above ``min_delta`` seconds."""
    allowed = max(limit.expected, limit.min_delta / base)
    verdict = judge(ratio, allowed)
    if verdict == "slower":
        return "broken", ""
    if ratio.low is None or ratio.high is None:
        return "inconclusive", f"{ratio.rounds} rounds are too few for an interval"
    if verdict != "untrusted" and ratio.high <= 1 + allowed:
        return "kept", ""
    change = format_percent(smallest_change(ratio, allowed))
    return "inconclusive", f"this run could only have seen a change of {change} or more"


def _latency(check: Check, clockwork: Clockwork) -> Value:
    clockwork.notify(f"measuring {check.name}", None)
    found = clockwork.sides.head.ask(
        "measure", check.source, source=check.source, inputs=check.inputs, seconds=clockwork.seconds
    )
    report = as_report(found)
    return (report.totals or report.rows[0].values)["latency"]


def _ratio(check: Check, limit: Limit, clockwork: Clockwork) -> Value:
    clockwork.notify(f"comparing {check.name} with {limit.variant}", None)
    found = clockwork.sides.head.ask(
        "compare",
        check.source,
        source=check.source,
        inputs=check.inputs,
        variant=limit.variant,
        seconds=clockwork.seconds,
        measure=is_timed(limit),
    )
    row = next(row for row in as_report(found).rows if row.variant == limit.variant)
    return row.values[limit.metric]


def _absolute(limit: Limit, found: Value) -> tuple[Outcome, str]:
    """A measured value breaks a limit only with its whole interval."""
    if found.status == "exact":
        low = high = found.value
    else:
        low, high = found.low, found.high
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return "inconclusive", found.reason or f"{found.rounds} rounds are too few for an interval"
    inside = (low, high) if limit.bound == "min" else (-high, -low)
    bound = limit.expected if limit.bound == "min" else -limit.expected
    if inside[0] >= bound:
        return "kept", ""
    if inside[1] < bound:
        return "broken", ""
    return "inconclusive", "the limit lies within the interval of what was measured"
