"""Clocks, on time that tests turn by hand."""

from __future__ import annotations

import pytest
import torch

from convcost.measure.clocks import PARTS, ColdClock, HostClock, MpsClock, clock_for
from convcost.measure.rounds import Spent


class HandClock(HostClock):
    """The processor's clock, on a time that calls turn themselves."""

    def __init__(self) -> None:
        self.time = 0.0
        self.marks = 0

    def mark(self) -> float:
        self.marks += 1
        return self.time


@pytest.mark.parametrize("calls", [1, 2, PARTS, 21, 50, 500, 2**20])
def test_a_block_is_cut_into_parts_and_nothing_of_it_is_lost(calls: int) -> None:
    clock, made = HandClock(), [0]

    def call() -> None:
        made[0] += 1
        clock.time += 1.0

    assert clock.block(call, calls) == Spent(mean=1.0, fastest=1.0)
    assert made == [calls]
    assert min(calls, PARTS / 2) < clock.marks <= PARTS + 1


def test_the_fastest_part_leaves_out_what_interrupts_a_block() -> None:
    clock = HandClock()
    costs = iter([1.0, 1.0, 5.0, 1.0, 1.0] * 8)

    def call() -> None:
        clock.time += next(costs)

    assert clock.block(call, 40) == Spent(mean=1.8, fastest=1.0)


def test_a_cold_clock_flushes_before_every_call_and_times_the_calls_alone() -> None:
    order: list[str] = []

    class Clock(HostClock):
        def block(self, _: object, times: int) -> Spent:
            order.append(f"timed {times}")
            return Spent(len(order), len(order))

    clock = ColdClock(Clock(), lambda: order.append("flushed"))
    assert clock.block(lambda: None, 3) == Spent(mean=4.0, fastest=2.0)
    assert order == ["flushed", "timed 1"] * 3


class FakeEvent:
    """Stands at the stream's time when it is recorded, in milliseconds."""

    stream = 0.0
    waits = 0

    def __init__(self, device: torch.device, *, enable_timing: bool) -> None:
        assert (device.type, enable_timing) == ("cuda", True)
        self._at = 0.0

    def record(self) -> None:
        self._at = FakeEvent.stream

    def synchronize(self) -> None:
        FakeEvent.waits += 1

    def elapsed_time(self, end: FakeEvent) -> float:
        return end._at - self._at


def test_an_accelerator_is_timed_by_events_and_waited_for_once_a_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "Event", FakeEvent)

    def call() -> None:
        FakeEvent.stream += 2.0

    clock = clock_for(torch.device("cuda"))
    assert clock.block(call, 10) == Spent(mean=0.002, fastest=0.002)
    assert FakeEvent.waits == 1
    marks = [clock.mark()]
    for _ in range(3):
        call()
        marks.append(clock.mark())
    assert clock.spans(marks) == [0.002] * 3
    assert FakeEvent.waits == 2


class MpsEvent(FakeEvent):
    """Its own order is told by threads, and waiting for one takes its time away."""

    def __init__(self, device: torch.device, *, enable_timing: bool) -> None:
        super().__init__(torch.device("cuda"), enable_timing=enable_timing)
        assert device.type == "mps"

    def synchronize(self) -> None:
        raise AssertionError

    def elapsed_time(self, end: FakeEvent) -> float:
        if end is not self and end._at < self._at:
            raise RuntimeError("End event was not recorded after start event")
        return super().elapsed_time(end)


def test_on_mps_the_stream_is_waited_for_and_never_an_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[None] = []
    monkeypatch.setattr(torch, "Event", MpsEvent)
    monkeypatch.setattr(MpsClock, "now", staticmethod(lambda: FakeEvent.stream / 1e3))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waits.append(None))

    def call() -> None:
        FakeEvent.stream += 2.0

    clock = clock_for(torch.device("mps"))
    found = clock.block(call, 10)
    assert found.mean == found.fastest == pytest.approx(0.002)
    assert len(waits) == 2
    first, second = clock.mark(), clock.mark()
    first._at, second._at = second._at + 1.0, first._at
    assert clock.spans([first, second]) == [0.0]
    assert len(waits) == 3
