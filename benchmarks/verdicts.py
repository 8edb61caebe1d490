"""Verdicts: how often they cry wolf, how often they miss, and how often today's ways do.

    python benchmarks/verdicts.py              # about two minutes
    python benchmarks/verdicts.py long RESULTS # under two hours; goes on where RESULTS ends

A convolution of about 0.5 ms and one of about 20 µs, with 1 and 2 threads, alone and beside a busy
process: a thing compared with itself, with itself made 5 % and 10 % slower (21 and 22 calls for
20), and 3 % slower (34 for 33) with a delta of 0; two seconds each. The same for two
``torch.utils.benchmark`` timers one after the other, compared by their medians with a threshold of
3 %, and by their means with one of 5 % as ``pytest-benchmark`` does.

Goals: of 1,000 comparisons of a thing with itself at most 0.5 % are called faster or slower; +5 %
is found in 99 % and +3 % in 95 % on a quiet machine, +10 % in 90 % beside a busy process with one
thread. At the end, what measuring itself costs: ``compare``'s own time outside the measured blocks
(goal: 10 % of its budget, after torch is imported) and what the clocks of ``profile`` add to a pass
of a ResNet-50 (2 %).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count, product
from pathlib import Path
from timeit import repeat
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.benchmark import Timer

import convcost
from convcost.measure.clocks import HostClock
from convcost.measure.rounds import Spent
from convcost.measure.settings import SECONDS_PER_CANDIDATE, Settings

RESNET = Path(__file__).resolve().parents[1] / "examples" / "resnet.py"
SECONDS = 2.0
SIZES = {"0.5 ms": (64, 500e-6), "20 µs": (8, 20e-6)}
"""The channels of a convolution and about how many seconds a call of it takes."""
TRIALS = {
    "same": (20, 20, 0.03),
    "+5 %": (20, 21, 0.03),
    "+3 %, delta 0": (33, 34, 0.0),
    "+10 %": (20, 22, 0.03),
}
"""The calls of either side, and the smallest change that matters."""
WAYS = ("convcost", "two medians, 3 %", "two means, 5 %")


class Setting(NamedTuple):
    """What is run, and beside what."""

    size: str
    threads: int
    busy: bool

    def __str__(self) -> str:
        return f"{self.size}, {self.threads} threads, {'busy' if self.busy else 'quiet'}"


SETTINGS = [Setting(*point) for point in product(SIZES, (1, 2), (False, True))]


@cache
def width(size: str, threads: int) -> int:
    """The smallest map on which a call of the convolution takes that long on this machine."""
    channels, seconds = SIZES[size]
    torch.set_num_threads(threads)
    with torch.inference_mode():
        return next(side for side in count(4) if fastest(convolution(channels, side)) >= seconds)


def convolution(channels: int, side: int) -> Callable[[], object]:
    conv = nn.Conv2d(channels, channels, 3).eval()
    sample = torch.randn(1, channels, side, side)
    return lambda: conv(sample)


def fastest(call: Callable[[], object]) -> float:
    return min(repeat(call, number=1, repeat=50))


def repeated(call: Callable[[], object], times: int) -> Callable[[], object]:
    def run() -> None:
        for _ in range(times):
            call()

    return run


def by_convcost(
    first: Callable[[], object], second: Callable[[], object], threads: int, delta: float
) -> str:
    settings = Settings(threads=threads, seconds=SECONDS, delta=delta, seed=time.time_ns() % 2**31)
    found = convcost.measure({"first": first, "second": second}, settings=settings)
    return found.comparisons["second"].verdict


def by_timers(
    first: Callable[[], object], second: Callable[[], object], threads: int
) -> tuple[str, str]:
    """By the medians and by the means of two timers, each for half of the time."""
    medians, means = [], []
    for call in (first, second):
        with torch.inference_mode():
            timer = Timer("call()", globals={"call": call}, num_threads=threads)
            found = timer.blocked_autorange(min_run_time=SECONDS / 2)
        medians.append(found.median)
        means.append(found.mean)
    return _said(medians, 0.03), _said(means, 0.05)


def _said(pair: list[float], threshold: float) -> str:
    ratio = pair[1] / pair[0]
    if ratio > 1 + threshold:
        return "slower"
    return "faster" if ratio < 1 - threshold else "same"


@contextmanager
def neighbour(*, busy: bool) -> Iterator[None]:
    """A process that keeps one processor busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


def trials(*, long: bool) -> Iterator[tuple[Setting, str, bool]]:
    """Setting, what is tried, and whether today's ways try it too; settings take turns."""
    rounds = 125 if long else 2
    for number, setting in product(range(rounds), SETTINGS):
        yield setting, "same", number < rounds / 3
        power = "+10 %" if setting.busy else ("+5 %", "+3 %, delta 0")[number % 2]
        if setting.busy:
            if setting.threads == 1 and number < 100:
                yield setting, power, number % 8 == 0
        else:
            yield setting, power, number % 8 == 0
            if long and number < 100:
                other = ("+3 %, delta 0", "+5 %")[number % 2]
                yield setting, other, False


def tried(setting: Setting, trial: str, *, peers: bool) -> dict[str, str]:
    """What each way says."""
    *times, delta = TRIALS[trial]
    side = width(setting.size, setting.threads)
    call = convolution(SIZES[setting.size][0], side)
    first, second = (repeated(call, int(number)) for number in times)
    with neighbour(busy=setting.busy):
        found = {WAYS[0]: by_convcost(first, second, setting.threads, delta)}
        if peers:
            found |= dict(zip(WAYS[1:], by_timers(first, second, setting.threads), strict=True))
    return found


def table(results: list[tuple[Setting, str, dict[str, str]]]) -> Iterator[str]:
    """A line for each way, trial and setting: how often it said what."""
    said: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for setting, trial, found in results:
        for way, verdict in found.items():
            said[trial, way, str(setting)][verdict] += 1
            said[trial, way, "all"][verdict] += 1
    yield "| compared | by | setting | trials | faster | slower | same | unsure |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for (trial, way, where), counts in sorted(said.items()):
        unsure = counts["inconclusive"] + counts["untrusted"]
        words = (counts.total(), counts["faster"], counts["slower"], counts["same"], unsure)
        yield f"| {trial} | {way} | {where} | {' | '.join(map(str, words))} |"


def own_costs() -> Iterator[str]:
    """What measuring costs besides what is measured; in a process that has done nothing else."""
    blocks = 0.0
    plain = HostClock.block

    def block(clock: HostClock, call: Callable[[], object], times: int) -> Spent:
        nonlocal blocks
        found = plain(clock, call, times)
        blocks += found.mean * times
        return found

    HostClock.block = block  # type: ignore[method-assign]
    start = time.perf_counter()
    report = convcost.compare()
    own = time.perf_counter() - start - blocks
    budget = SECONDS_PER_CANDIDATE * len(report.rows)
    yield f"compare's own time: {own:.2f} s, {own / budget:.1%} of its budget of {budget:g} s"
    HostClock.block = plain  # type: ignore[method-assign]
    settings = Settings(seconds=25, threads=1)
    ratio = convcost.profile(str(RESNET), settings=settings).totals["instrument_ratio"]
    interval = f"[{ratio.low:.3f}, {ratio.high:.3f}]"
    yield f"profile's clocks, 1 thread: {ratio.value:.3f} of a plain pass {interval}"


def main() -> None:
    """Runs the trials and prints the table."""
    if sys.argv[1:2] == ["own"]:
        print("\n".join(own_costs()))
        return
    long = sys.argv[1:2] == ["long"]
    file = Path(sys.argv[2]) if long else None
    lines = file.read_text(encoding="utf-8").splitlines() if file and file.exists() else []
    results = [(Setting(*s), t, f) for s, t, f in map(json.loads, lines)]
    for setting, trial, peers in list(trials(long=long))[len(results) :]:
        results.append((setting, trial, tried(setting, trial, peers=peers)))
        if file:
            with file.open("a", encoding="utf-8") as out:
                out.write(json.dumps(results[-1]) + "\n")
    print("\n".join(table(results)), flush=True)
    subprocess.run([sys.executable, __file__, "own"], check=True)


if __name__ == "__main__":
    main()
