"""The measuring protocol on a clock that tests turn by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from random import Random

import pytest
from clocks import FakeClock

from convcost.measure.rounds import FIRST_LOOK, Plan, Samples, Spent, calibrate, orders, run_rounds


def fast() -> None: ...
def slow() -> None: ...
def odd() -> None: ...


NAMES = {fast: "fast", slow: "slow", odd: "odd"}
CANDIDATES = {"fast": fast, "slow": slow}
PAIR = {"slow": "fast"}


def clock(costs: Mapping[object, float], noise: float = 0.0) -> FakeClock:
    random = Random(0)
    return FakeClock(lambda call, _: costs[call] * (1 + noise * random.random()))


def plan(seconds: float | None = 1.0, half_width: float = -1.0) -> Plan:
    return Plan(
        seconds, default_seconds=1.0, half_width=half_width, confidence=0.99, references=PAIR
    )


def run(fake: FakeClock, plan: Plan, looks: list[int] | None = None) -> Samples:
    def progress(rounds: int, _: float) -> None:
        if looks is not None:
            looks.append(rounds)

    return run_rounds(CANDIDATES, plan, fake, Random(0), progress)


def test_a_block_of_a_short_op_lasts_five_milliseconds() -> None:
    times = calibrate(CANDIDATES, clock({fast: 1e-5, slow: 1e-3}))
    assert times == {"fast": 500, "slow": 5}


def test_like_speeds_share_the_number_of_calls() -> None:
    candidates = {"fast": fast, "odd": odd, "slow": slow}
    times = calibrate(candidates, clock({fast: 1.0e-5, odd: 1.4e-5, slow: 1.6e-5}))
    assert times["fast"] == times["odd"] == 500
    assert times["slow"] == 313


def test_a_slow_op_is_one_call_a_block() -> None:
    assert calibrate({"slow": slow}, clock({slow: 0.2})) == {"slow": 1}


def test_each_order_is_followed_by_its_reverse() -> None:
    first, second, third, fourth = islice(orders("abcde", Random(3)), 4)
    assert second == first[::-1]
    assert fourth == third[::-1]
    assert first != third


def test_every_place_in_the_order_is_as_likely_for_all() -> None:
    firsts = Counter(order[0] for order in islice(orders("abc", Random(0)), 3000))
    assert all(900 < count < 1100 for count in firsts.values())


def test_every_round_runs_every_candidate_once() -> None:
    fake = clock({fast: 1e-2, slow: 2e-2})
    samples = run(fake, plan(seconds=1.0))
    rounds = len(samples.blocks["fast"])
    blocks = fake.calls[-2 * rounds :]
    pairs = [{blocks[2 * i][0], blocks[2 * i + 1][0]} for i in range(rounds)]
    assert rounds == 33
    assert pairs == [{fast, slow}] * rounds


def test_the_ratio_pairs_what_ran_in_one_round() -> None:
    samples = run(clock({fast: 1e-2, slow: 2e-2}), plan())
    assert samples.ratios("slow", "fast") == pytest.approx([2.0] * 33)


def test_it_stops_as_soon_as_the_interval_is_narrow_and_looks_only_then() -> None:
    seen: list[int] = []
    run(clock({fast: 1e-4, slow: 1e-4}, noise=0.01), plan(half_width=0.5), seen)
    assert seen[-1] == FIRST_LOOK


def test_it_looks_at_ten_twenty_and_forty_rounds() -> None:
    for half_width in (0.001, 0.0003, 0.0001, 0.00003):
        seen: list[int] = []
        run(clock({fast: 1e-3, slow: 1e-3}, noise=0.02), plan(5.0, half_width), seen)
        assert seen[-1] in (10, 20, 40, 80, 160, 320) or seen[-1] >= 490


def test_the_budget_ends_it_before_a_round_that_would_not_fit() -> None:
    fake = clock({fast: 0.1, slow: 0.1})
    assert len(run(fake, plan(seconds=1.0)).blocks["fast"]) == 5


def test_slow_candidates_get_twelve_rounds_without_a_budget() -> None:
    fake = clock({fast: 1.0, slow: 1.5})
    assert len(run(fake, plan(seconds=None)).blocks["slow"]) == 12


def test_a_small_budget_still_gives_one_round() -> None:
    assert len(run(clock({fast: 1.0, slow: 1.5}), plan(seconds=0.1)).blocks["slow"]) == 1


def test_ctrl_c_keeps_the_complete_rounds() -> None:
    def cost(_: object, time: float) -> float:
        if time > 1.0:
            raise KeyboardInterrupt
        return 0.1

    samples = run(FakeClock(cost), plan(seconds=10.0))
    assert samples.interrupted
    assert len(samples.blocks["fast"]) == len(samples.blocks["slow"]) == 3


def test_blocks_of_as_many_calls_are_compared_by_their_fastest_parts() -> None:
    blocks = {"fast": [Spent(mean=2.0, fastest=1.0)], "slow": [Spent(mean=3.0, fastest=1.1)]}
    assert Samples(blocks, {"fast": 20, "slow": 20}).ratios("slow", "fast") == [1.1]
    assert Samples(blocks, {"fast": 20, "slow": 10}).ratios("slow", "fast") == [1.5]


def test_one_call_under_two_names_has_blocks_of_one_size() -> None:
    noise = Random(0)
    fake = FakeClock(lambda *_: 1e-5 * noise.choice((1, 3)))
    times = calibrate({"once": fast, "again": fast}, fake)
    assert times["once"] == times["again"]


def test_a_candidate_alone_has_its_whole_time() -> None:
    alone = plan(seconds=2.0, half_width=0.5)._replace(references={})
    samples = run_rounds({"fast": fast}, alone, clock({fast: 1e-3}), Random(0), lambda *_: None)
    assert len(samples.blocks["fast"]) > 300


def test_a_call_under_two_names_is_calibrated_once_and_need_not_be_hashable() -> None:
    @dataclass
    class Nothing:
        def __call__(self) -> None: ...

    call = Nothing()
    fake = FakeClock(lambda *_: 0.01)
    assert calibrate({"once": call, "again": call}, fake) == {"once": 1, "again": 1}
    # a first call, and one that is timed
    assert len(fake.calls) == 2
