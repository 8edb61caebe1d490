"""Clocks: how long a block of calls takes on a device."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import ceil
from operator import truediv
from typing import Any, Protocol

import torch

from convcost.measure.caches import flushed
from convcost.measure.rounds import Spent

Call = Callable[[], object]

PARTS = 20
"""Parts of a block at most: the clock's own cost stays below a thousandth of each."""


class Clock(Protocol):
    """What measuring needs of time; tests hand in a fake one."""

    def now(self) -> float:
        """Seconds on a steady clock."""
        ...

    def block(self, call: Call, times: int) -> Spent:
        """How long ``times`` calls take, one after the other."""
        ...


class MarkingClock(Clock, Protocol):
    """A clock that can also tell the parts of a pass."""

    def mark(self) -> Any:
        """A mark in the device's time, at almost no cost."""
        ...

    def spans(self, marks: Sequence[Any]) -> list[float]:
        """The seconds between neighbouring marks."""
        ...


class HostClock:
    """The processor's own clock: for work that is done when the call returns."""

    now = staticmethod(time.perf_counter)
    mark = staticmethod(time.perf_counter)

    def block(self, call: Call, times: int) -> Spent:
        size = ceil(times / PARTS)
        parts = [min(size, times - done) for done in range(0, times, size)]
        marks = [self.mark()]
        for part in parts:
            for _ in range(part):
                call()
            marks.append(self.mark())
        spans = self.spans(marks)
        return Spent(sum(spans) / times, min(map(truediv, spans, parts)))

    def spans(self, marks: Sequence[Any]) -> list[float]:
        return [after - before for before, after in pairwise(marks)]


class EventClock:
    """Events on an accelerator's stream, synchronised once per block."""

    now = staticmethod(time.perf_counter)

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def block(self, call: Call, times: int) -> Spent:
        start = self.mark()
        for _ in range(times):
            call()
        mean = self.spans([start, self.mark()])[0] / times
        return Spent(mean, mean)

    def mark(self) -> torch.Event:
        event = torch.Event(self._device, enable_timing=True)
        event.record()
        return event

    def spans(self, marks: Sequence[Any]) -> list[float]:
        marks[-1].synchronize()
        return [before.elapsed_time(after) / 1e3 for before, after in pairwise(marks)]


class MpsClock(EventClock):
    """Its events are noted by threads of the host, neighbours now and then in the wrong order.

    They only tell the parts of a pass; a block is timed from an empty stream to an empty one.
    """

    def block(self, call: Call, times: int) -> Spent:
        torch.mps.synchronize()
        start = self.now()
        for _ in range(times):
            call()
        torch.mps.synchronize()
        mean = (self.now() - start) / times
        return Spent(mean, mean)

    def spans(self, marks: Sequence[Any]) -> list[float]:
        # an event that was waited for never tells its time there (pytorch issue 162872)
        torch.mps.synchronize()
        return [self._between(before, after) for before, after in pairwise(marks)]

    def _between(self, before: torch.Event, after: torch.Event) -> float:
        try:
            return before.elapsed_time(after) / 1e3
        except RuntimeError:
            return 0.0


class ColdClock:
    """Another clock, with nothing in the caches when a call begins."""

    def __init__(self, clock: MarkingClock, flush: Call) -> None:
        self._clock, self._flush = clock, flush
        self.now, self.mark, self.spans = clock.now, clock.mark, clock.spans

    def block(self, call: Call, times: int) -> Spent:
        calls = [self._once(call) for _ in range(times)]
        return Spent(sum(calls) / times, min(calls))

    def _once(self, call: Call) -> float:
        self._flush()
        return self._clock.block(call, 1).mean


def clock_for(device: torch.device, *, cold: bool = False) -> MarkingClock:
    """The clock that fits ``device``; ``cold`` flushes its caches before each call."""
    clock: MarkingClock = (
        HostClock()
        if device.type == "cpu"
        else MpsClock(device)
        if device.type == "mps"
        else EventClock(device)
    )
    return ColdClock(clock, flushed(device)) if cold else clock
