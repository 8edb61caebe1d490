"""Clocks: how long a block of calls takes on a device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import torch

Call = Callable[[], object]


class Clock(Protocol):
    """What measuring needs of time; tests hand in a fake one."""

    def now(self) -> float:
        """Seconds on a steady clock."""
        ...

    def block(self, call: Call, times: int) -> float:
        """The seconds that ``times`` calls take, one after the other."""
        ...


class HostClock:
    """The processor's own clock: for work that is done when the call returns."""

    now = staticmethod(time.perf_counter)

    def block(self, call: Call, times: int) -> float:
        start = time.perf_counter()
        for _ in range(times):
            call()
        return time.perf_counter() - start


class EventClock:
    """Events on an accelerator's stream, synchronised once per block."""

    now = staticmethod(time.perf_counter)

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def block(self, call: Call, times: int) -> float:
        start, end = (torch.Event(self._device, enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(times):
            call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3


def clock_for(device: torch.device) -> Clock:
    """The clock that fits ``device``."""
    return HostClock() if device.type == "cpu" else EventClock(device)
