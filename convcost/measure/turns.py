"""A block of calls in a process that had to wait for its turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch

from convcost.graph import Graph
from convcost.measure.clocks import Call
from convcost.measure.modules import build_module
from convcost.measure.waiting import processors

TURN = 0.04
"""Seconds of a turn at least: several calls of most models, so that one of them is undisturbed."""


def steady_block(call: Call, times: int, now: Callable[[], float] = time.perf_counter) -> float:
    """The seconds of the fastest of ``times`` calls, or of as many as fill a turn.

    The first call isn't timed: the other side had the caches and the cores until now. What comes
    between only ever makes a call slower (Chen and Revels, 'Robust benchmarking in noisy
    environments', 2016): measured with identical sides on two shared cores, the turns' ratios
    spread a third to two thirds as wide as those of medians beside other work, and as wide
    without.
    """
    call()
    spent: list[float] = []
    start = now()
    while len(spent) < times or now() - start < TURN:
        before = now()
        call()
        spent.append(now() - before)
    return min(spent)


def turn_threads() -> int:
    """Torch's own choice, but one processor is left to whatever else runs.

    Threads on all of them wait for each other whenever one is taken away: beside other work calls
    took up to 80 times as long for seconds on end, measured on two processors.
    """
    return max(1, min(torch.get_num_threads(), processors() - 1))


def seeded() -> None:
    """Makes the weights and inputs that follow the same on both sides."""
    torch.manual_seed(0)


def call_of(graph: Graph) -> Call:
    """One pass of a spec's graph on random data."""
    return partial(build_module(graph), torch.randn(graph.nodes[0].shape))
