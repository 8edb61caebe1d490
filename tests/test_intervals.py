"""Intervals and verdicts, against scipy and by simulation."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from random import Random
from typing import Any

import pytest
from scipy.stats import quantile_test

from convcost.measure.intervals import (
    Estimate,
    estimate,
    judge,
    least_rounds,
    smallest_change,
)


def ratio(low: float | None, high: float | None) -> Estimate:
    middle = 1.0 if low is None or high is None else (low + high) / 2
    return Estimate(middle, low, high, middle, 0.99, 20)


@pytest.mark.parametrize(
    ("rounds", "confidence"),
    [(8, 0.99), (10, 1 - 0.01 / 3), (11, 0.999), (20, 0.95), (160, 0.99), (1500, 0.99)],
)
def test_the_interval_is_scipys_exact_one(rounds: int, confidence: float) -> None:
    random = Random(rounds)
    samples = [random.lognormvariate(0, 1) for _ in range(rounds)]
    expected: Any = quantile_test(samples, p=0.5).confidence_interval(confidence)
    found = estimate(samples, confidence)
    assert (found.low, found.high) == (expected.low, expected.high)


@pytest.mark.parametrize(("needed", "confidence"), [(8, 0.99), (10, 1 - 0.01 / 3), (11, 0.999)])
def test_too_few_rounds_give_no_interval(needed: int, confidence: float) -> None:
    assert estimate(range(1, needed), confidence).low is None
    assert estimate(range(1, needed + 1), confidence).low == 1
    assert least_rounds(confidence) == needed


@pytest.mark.parametrize("kind", ["skewed", "heavy-tailed", "tied"])
def test_the_interval_covers_the_median_as_often_as_it_says(kind: str) -> None:
    random = Random(1)
    draws: dict[str, Callable[[], float]] = {
        "skewed": lambda: random.expovariate(log(2)),
        "heavy-tailed": lambda: 1 + random.gauss(0, 1) / (abs(random.gauss(0, 1)) + 1e-9),
        "tied": lambda: float(random.choice((0, 1, 1, 2))),
    }
    draw = draws[kind]
    trials = 2000
    covered = 0
    for _ in range(trials):
        found = estimate([draw() for _ in range(25)], 0.95)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 1 <= found.high
    assert covered / trials >= 0.94


def test_the_estimate_holds_median_minimum_and_rounds() -> None:
    found = estimate([3.0, 1.0, 2.0, 10.0], 0.99)
    assert found == (2.5, None, None, 1.0, 0.99, 4)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.5, 0.96, "faster"),
        (0.5, 0.98, "inconclusive"),
        (0.98, 1.02, "same"),
        (1.02, 1.2, "inconclusive"),
        (1.04, 1.2, "slower"),
        (None, None, "inconclusive"),
    ],
)
def test_the_verdict_needs_the_whole_interval(
    low: float | None, high: float | None, verdict: str
) -> None:
    assert judge(ratio(low, high), 0.03) == verdict


def test_no_delta_lets_any_difference_count() -> None:
    assert judge(ratio(1.001, 1.002), 0) == "slower"


def test_the_smallest_change_grows_with_the_spread() -> None:
    assert smallest_change(ratio(0.99, 1.01), 0.03) == pytest.approx(0.03 + 0.02)
