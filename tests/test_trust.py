"""Verdicts and what takes them back, on clocks that tests turn by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from clocks import FakeClock

from convcost.measure.comparison import Measurement, Protocol, measure_calls
from convcost.measure.intervals import Estimate
from convcost.measure.settings import CONFIDENCE
from convcost.measure.trust import own_doubts, spread_doubt, waiting_doubt
from convcost.measure.waiting import processors, waited_seconds


def base() -> None: ...
def other() -> None: ...


class Machine:
    """A machine on which each call takes 1 ms, ``other`` by ``factor`` more, with some noise."""

    def __init__(self, factor: float = 1.0, noise: float = 0.01, seed: int = 0) -> None:
        self._random = Random(seed)
        self._factor = factor
        self._noise = noise

    def __call__(self, call: object, _: float) -> float:
        factor = self._factor if call is other else 1.0
        return 1e-3 * factor * self._random.lognormvariate(0, self._noise)


def measured(
    cost: Callable[[object, float], float], *, delta: float = 0.03, waited: float = 0.0
) -> Measurement:
    """Both calls measured for two seconds; each second, threads waited ``waited`` seconds."""
    clock = FakeClock(cost)
    protocol = Protocol(2.0, delta, clock, Random(1), lambda: clock.time * waited, 1, 2)
    return measure_calls({"base": base, "other": other}, protocol, lambda *_: None)


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "same"), (1.1, "slower"), (0.9, "faster"), (1.01, "same")]
)
def test_a_quiet_machine_gives_the_true_verdict(factor: float, verdict: str) -> None:
    comparison = measured(Machine(factor)).comparisons["other"]
    assert (comparison.verdict, comparison.doubts) == (verdict, ())


def test_a_thing_against_itself_is_never_faster_or_slower() -> None:
    """Of 200 runs; the intervals of each hold with 99 % together, so a few may be too narrow."""
    found = [measured(Machine(seed=seed), delta=0.0).comparisons["other"] for seed in range(200)]
    alarms = [comparison for comparison in found if comparison.verdict in ("faster", "slower")]
    assert len(alarms) <= 2


def test_comparisons_share_the_error_budget_without_the_hidden_one() -> None:
    clock = FakeClock(Machine())
    protocol = Protocol(2.0, 0.03, clock, Random(1), lambda: 0.0, 1, 2)
    calls = {"base": base, "other": other, "third": other}
    found = measure_calls(calls, protocol, lambda *_: None)
    assert list(found.latencies) == list(calls)
    assert {c.ratio.confidence for c in found.comparisons.values()} == {1 - (1 - CONFIDENCE) / 2}


@pytest.mark.parametrize(("min_delta", "verdict"), [(0.0, "slower"), (200e-6, "same")])
def test_a_change_has_to_be_of_so_many_seconds_too(min_delta: float, verdict: str) -> None:
    """10 % of a call of 1 ms are 0.1 ms."""
    clock = FakeClock(Machine(1.1))
    protocol = Protocol(2.0, 0.03, clock, Random(1), lambda: 0.0, 1, 2, min_delta)
    found = measure_calls({"base": base, "other": other}, protocol, lambda *_: None)
    assert found.comparisons["other"].verdict == verdict
    assert found.comparisons["other"].delta == pytest.approx(max(0.03, min_delta / 1e-3), rel=0.01)


def test_one_candidate_alone_has_nothing_to_compare() -> None:
    clock = FakeClock(Machine())
    protocol = Protocol(0.5, 0.03, clock, Random(1), lambda: 0.0, 1, 2)
    found = measure_calls({"base": base}, protocol, lambda *_: None)
    assert found.comparisons == {}
    assert found.latencies["base"].rounds == found.rounds


def interval(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high, low, 0.995, 20)


@pytest.mark.parametrize(
    ("again", "said"),
    [
        ((0.99, 1.01), []),
        ((1.05, 1.15), ["base against itself measured 1.05–1.15"]),
        # not beyond delta itself, but as slow as what is compared
        ((1.02, 1.14), ["the change is hardly more than base shows against itself: 1.02–1.14"]),
    ],
)
def test_what_differs_from_itself_takes_the_verdict_back(
    again: tuple[float, float], said: list[str]
) -> None:
    ratio = interval(1.08, 1.12)
    assert own_doubts([1.1] * 20, ratio, interval(*again), "base", 0.03) == said


def test_where_no_change_is_judged_its_size_is_no_doubt() -> None:
    def doubts(seed: int, *, judges: bool) -> tuple[str, ...]:
        clock = FakeClock(Machine(1.036, seed=seed))
        protocol = Protocol(2.0, 0.03, clock, Random(1), lambda: 0.0, 1, 2, judges=judges)
        found = measure_calls({"base": base, "other": other}, protocol, lambda *_: None)
        return found.comparisons["other"].doubts

    said = [doubt for seed in range(30) for doubt in doubts(seed, judges=True)]
    assert any("hardly more than base shows against itself" in doubt for doubt in said)
    assert not any(doubts(seed, judges=False) for seed in range(30))


def test_a_ratio_that_drifts_takes_the_verdict_back() -> None:
    noise = Machine()

    def drifting(call: object, time: float) -> float:
        late = call is other and time > 1.0
        return noise(call, time) * (1.3 if late else 1.0)

    comparison = measured(drifting, delta=0.002).comparisons["other"]
    assert comparison.verdict == "untrusted"
    assert any("drifted from 1.00 " in doubt for doubt in comparison.doubts)


def test_threads_that_wait_for_a_processor_take_the_verdict_back() -> None:
    comparison = measured(Machine(1.2), waited=0.3).comparisons["other"]
    assert comparison.verdict == "untrusted"
    assert "30 % of the time for a processor" in comparison.doubts[0]


def test_too_few_rounds_are_inconclusive_whatever_the_noise() -> None:
    clock = FakeClock(Machine())
    protocol = Protocol(0.1, 0.03, clock, Random(1), lambda: clock.time, 1, 2)
    calls = {"base": base, "other": other}
    assert measure_calls(calls, protocol, lambda *_: None).comparisons["other"].verdict == (
        "inconclusive"
    )


def test_ctrl_c_in_the_first_round_leaves_nothing_to_compare() -> None:
    def stopped(_: object, time: float) -> float:
        if time > 0.012:
            raise KeyboardInterrupt
        return 1e-3

    found = measured(stopped)
    assert (found.interrupted, found.rounds) == (True, 0)
    assert (found.latencies, found.comparisons) == ({}, {})


def test_a_side_that_spreads_wide_is_doubted_by_name() -> None:
    assert spread_doubt("base", [1.0, 1.1, 1.0, 1.2, 1.1]) == ""
    assert "the rounds of base spans 150 %" in spread_doubt("base", [1, 1, 1, 2, 2, 4, 4, 4])


@pytest.mark.parametrize(
    ("waited", "threads", "said"),
    [
        (0.05, 1, ""),
        (0.5, 1, "other processes took the CPU"),
        (1.0, 2, "(fewer --threads would leave them room)"),
        (4.0, 4, "4 threads share 2"),
    ],
)
def test_waiting_is_a_share_of_all_threads_time(waited: float, threads: int, said: str) -> None:
    doubt = waiting_doubt(waited, 1.0, threads, 2)
    assert said in doubt
    assert bool(said) == bool(doubt)
    assert threads > 1 or "fewer" not in doubt


def test_what_the_kernel_tells_of_waiting_is_summed_over_threads(tmp_path: Path) -> None:
    for name, text in {"1": "9 2000000000 3\n", "2": "9 500000000 3\n", "3": "odd\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "schedstat").write_text(text, encoding="ascii")
    steal = waited_seconds(tmp_path / "none")
    assert waited_seconds(tmp_path) - steal == pytest.approx(2.5, abs=0.1)
    assert processors() >= 1
