"""A block of calls in a process that had to wait for its turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch

from convcost.graph import Graph
from convcost.measure.clocks import Call
from convcost.measure.modules import build_module

TURN = 0.06
"""Seconds of a turn at least: several calls of most models, so that their median means something.

Measured on two shared cores with identical sides: the interval of the ratio is three times
narrower than with sums of 5 ms.
"""


def steady_block(call: Call, times: int, now: Callable[[], float] = time.perf_counter) -> float:
    """The seconds that ``times`` calls take, from the median of those that fill a turn.

    The first call isn't timed: the other side had the caches and the cores until now. A median
    leaves out calls that were interrupted by something else.
    """
    call()
    spent: list[float] = []
    start = now()
    while len(spent) < times or now() - start < TURN:
        before = now()
        call()
        spent.append(now() - before)
    return times * median(spent)


def seeded() -> None:
    """Makes the weights and inputs that follow the same on both sides."""
    torch.manual_seed(0)


def call_of(graph: Graph) -> Call:
    """One pass of a spec's graph on random data."""
    return partial(build_module(graph), torch.randn(graph.nodes[0].shape))
