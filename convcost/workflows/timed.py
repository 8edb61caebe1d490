"""Limits that need a clock: latency against a revision, an absolute one, a variant's ratio."""

from __future__ import annotations

from math import sqrt
from random import Random
from typing import NamedTuple

from convcost.measure.comparison import Comparison, Measurement, Protocol, measure_calls
from convcost.measure.settings import CONFIDENCE
from convcost.measure.waiting import processors
from convcost.measure.workers import Remote, RemoteClock
from convcost.notify import Notify
from convcost.report import Limit as Judged
from convcost.report import Outcome, Value
from convcost.sources.checks import Check, Limit
from convcost.units import format_percent, format_too_few
from convcost.workflows.advice import OF_CHECKS, reworded
from convcost.workflows.judge import is_relative, is_timed, judged
from convcost.workflows.measured import estimated
from convcost.workflows.sides import Sides, as_report

SECONDS = 8.0
"""For two sides of one model, at most: processes apart share less noise than calls of one."""


class Clockwork(NamedTuple):
    """How to measure: ``comparisons`` share one error budget, each run takes ``seconds``."""

    sides: Sides
    seconds: float | None
    comparisons: int
    notify: Notify

    @property
    def confidence(self) -> float:
        """Of each run of a comparison, so that all together keep ``CONFIDENCE`` (Bonferroni).

        A limit is broken only if two runs with processes of their own say so, so the chance of an
        error is that of one run squared.
        """
        return 1 - sqrt((1 - CONFIDENCE) / max(1, self.comparisons))


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
        doubts = found.reason or ""
    else:
        found, doubts = _ratio(check, limit, clockwork)
    if doubts:
        return judged(check, limit, file, "inconclusive", found, reason=reworded(doubts, OF_CHECKS))
    outcome, reason = _absolute(limit, found)
    return judged(check, limit, file, outcome, found, reason=reason)


def _against_base(check: Check, limit: Limit, file: str, clockwork: Clockwork, seed: int) -> Judged:
    measured = _measured(check, limit, clockwork, seed)
    comparison = measured.comparisons["head"]
    outcome, reason = relative_outcome(comparison)
    return judged(
        check,
        limit,
        file,
        outcome,
        estimated(measured.latencies["head"]),
        base=estimated(measured.latencies["base"]),
        ratio=estimated(comparison.ratio),
        reason=reason,
    )


def _measured(check: Check, limit: Limit, clockwork: Clockwork, seed: int) -> Measurement:
    """Both sides, in turn, block by block, and the base against itself."""
    clockwork.notify(f"building {check.name}", None)
    sides = clockwork.sides
    threads = sides.prepare(check.name, check.source, check.inputs)
    assert sides.base is not None  # noqa: S101  else the check is new
    calls = {"base": Remote(sides.base, check.name), "head": Remote(sides.head, check.name)}
    protocol = Protocol(
        seconds=clockwork.seconds,
        delta=limit.expected,
        clock=RemoteClock(),
        random=Random(seed),  # noqa: S311  an order, no secret
        waited=sides.waited,
        threads=threads,
        processors=processors(),
        min_delta=limit.min_delta,
        confidence=clockwork.confidence,
        seconds_per_candidate=SECONDS / len(calls),
    )

    def progress(rounds: int, share: float) -> None:
        clockwork.notify(f"measuring {check.name}, round {rounds}", share)

    measured = measure_calls(calls, protocol, progress)
    if measured.interrupted:
        raise KeyboardInterrupt
    return measured


def relative_outcome(comparison: Comparison) -> tuple[Outcome, str]:
    """What a head's comparison with its base says of a limit whose allowance is its ``delta``."""
    ratio = comparison.ratio
    if comparison.verdict == "slower":
        return "broken", ""
    if ratio.low is None or ratio.high is None:
        return "inconclusive", format_too_few(ratio.rounds)
    if comparison.verdict == "untrusted":
        return "inconclusive", reworded("; ".join(comparison.doubts), OF_CHECKS)
    if ratio.high <= 1 + comparison.delta:
        return "kept", ""
    change = format_percent(comparison.smallest_change)
    return "inconclusive", f"this run could only have seen a change of {change} or more"


def _latency(check: Check, clockwork: Clockwork) -> Value:
    clockwork.notify(f"measuring {check.name}", None)
    found = clockwork.sides.head.ask(
        "measure", check.source, source=check.source, inputs=check.inputs, seconds=clockwork.seconds
    )
    report = as_report(found)
    return (report.totals or report.rows[0].values)["latency"]


def _ratio(check: Check, limit: Limit, clockwork: Clockwork) -> tuple[Value, str]:
    """A variant's ratio, and why its run can't be trusted, if it can't."""
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
    verdict = row.values.get("verdict") if is_timed(limit) else None
    return row.values[limit.metric], verdict.reason or "" if verdict else ""


def _absolute(limit: Limit, found: Value) -> tuple[Outcome, str]:
    """A measured value breaks a limit only with its whole interval."""
    if found.status == "exact":
        low = high = found.value
    else:
        low, high = found.low, found.high
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return "inconclusive", found.reason or format_too_few(found.rounds)
    inside = (low, high) if limit.bound == "min" else (-high, -low)
    bound = limit.expected if limit.bound == "min" else -limit.expected
    if inside[0] >= bound:
        return "kept", ""
    if inside[1] < bound:
        return "broken", ""
    return "inconclusive", "the limit lies within the interval of what was measured"
