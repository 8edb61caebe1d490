"""What a ratio of latencies says of a limit; no clock runs here."""

from __future__ import annotations

import pytest

from convcost.measure.comparison import Comparison
from convcost.measure.intervals import Estimate, judge, smallest_change
from convcost.measure.turns import TURN, steady_block, turn_threads
from convcost.report import Report, Value
from convcost.sources.checks import Check, Limit
from convcost.workflows.timed import Clockwork, _absolute, _once, relative_outcome


def limit(expected: float, bound: str) -> Limit:
    return Limit("latency", bound, expected, "error", 1)


def comparison(low: float | None, high: float | None, *doubts: str) -> Comparison:
    middle = (low + high) / 2 if low and high else 1.0
    ratio = Estimate(middle, low, high, 0.9, 0.99, 20)
    verdict = "untrusted" if doubts else judge(ratio, 0.05)
    return Comparison(ratio, verdict, 0.05, smallest_change(ratio, 0.05), doubts)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.99, 1.01, "kept"),
        (0.5, 0.6, "kept"),
        (0.5, 1.05, "kept"),
        (1.02, 1.05, "kept"),
        (1.06, 1.10, "broken"),
        (1.04, 1.10, "inconclusive"),
        (0.90, 1.20, "inconclusive"),
        (None, None, "inconclusive"),
    ],
)
def test_an_interval_is_held_against_the_allowed_increase(
    low: float | None, high: float | None, outcome: str
) -> None:
    assert relative_outcome(comparison(low, high))[0] == outcome


@pytest.mark.parametrize(("low", "high"), [(1.06, 1.10), (0.99, 1.01)])
def test_a_run_that_cant_be_trusted_is_inconclusive_and_says_why(low: float, high: float) -> None:
    outcome, reason = relative_outcome(comparison(low, high, "base against itself", "it drifted"))
    assert (outcome, reason) == ("inconclusive", "base against itself; it drifted")


def test_an_inconclusive_run_says_what_it_could_have_seen() -> None:
    # 5 % allowed, and an interval of ±10 % that may lie off by half its width
    _, reason = relative_outcome(comparison(0.9, 1.1))
    assert reason == "this run could only have seen a change of 25 % or more"
    assert "20 rounds are too few" in relative_outcome(comparison(None, None))[1]


@pytest.mark.parametrize("comparisons", [1, 3, 10])
def test_two_runs_together_keep_the_confidence_of_the_whole(comparisons: int) -> None:
    error = 1 - Clockwork(None, None, comparisons, print).confidence  # type: ignore[arg-type]  # no side runs
    assert comparisons * error**2 == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("bound", "expected", "outcome"),
    [
        ("max", 2.0, "kept"),
        ("max", 0.5, "broken"),
        ("max", 1.0, "inconclusive"),
        ("min", 0.5, "kept"),
        ("min", 2.0, "broken"),
    ],
)
def test_an_absolute_limit_takes_the_whole_interval(
    bound: str, expected: float, outcome: str
) -> None:
    found = Value("measured", 1.0, 0.9, 1.1, 0.99, 20)
    assert _absolute(limit(expected, bound), found)[0] == outcome


def test_a_turn_leaves_out_its_first_call_and_what_interrupts_it() -> None:
    time = [0.0]
    costs = iter([9.0, 0.01, 5.0, 0.01, 0.01, 0.01, 0.01])

    def call() -> None:
        time[0] += next(costs)

    assert steady_block(call, 5, lambda: time[0]) == pytest.approx(0.01)


@pytest.mark.parametrize(("own", "there", "threads"), [(2, 2, 1), (1, 1, 1), (4, 8, 4), (8, 8, 7)])
def test_one_processor_is_left_to_everything_else(
    own: int, there: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: own)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(there), raising=False)
    assert turn_threads() == threads


def test_a_turn_of_short_calls_is_filled() -> None:
    time, calls = [0.0], [0]

    def call() -> None:
        calls[0] += 1
        time[0] += 0.001

    steady_block(call, 1, lambda: time[0])
    assert calls[0] - 1 == pytest.approx(TURN / 0.001, abs=1)


@pytest.mark.parametrize(("doubts", "outcome"), [(None, "kept"), ("it drifted", "inconclusive")])
def test_a_latency_of_a_run_that_cannot_be_trusted_is_inconclusive(
    doubts: str | None, outcome: str
) -> None:
    """Noise can't be ordered: a worker's answer is given."""
    latency = Value("measured", 0.010, 0.0099, 0.0101, 0.99, 20, 0.0098, doubts)
    report = Report("profile", "net.py", ((1, 3, 8, 8),), {}, (), {"latency": latency})

    class Head:
        def ask(self, *_: object, **__: object) -> object:
            return report.to_dict()

    class Both:
        head = Head()

    check = Check("net", "net.py", (), "", ())
    clockwork = Clockwork(Both(), None, 1, lambda *_: None)  # type: ignore[arg-type]
    found = _once(check, limit(0.020, "max"), "costs.yaml", clockwork, 0)
    assert (found.outcome, found.reason) == (outcome, doubts or "")
