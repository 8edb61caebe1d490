"""Calls with different numbers of threads in one run, and who of them waited for a processor."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from convcost.measure.clocks import Call, Clock
from convcost.measure.comparison import Measurement, Protocol, doubted, measure_calls
from convcost.measure.rounds import Progress, Spent
from convcost.measure.trust import waiting_doubt


class ThreadsClock:
    """Another clock, which sets torch to each call's number of threads before its block.

    ``waited`` gives the seconds so far that threads waited for a processor.
    """

    def __init__(
        self, clock: Clock, threads: Mapping[Call, int], waited: Callable[[], float]
    ) -> None:
        self._clock, self._threads, self._waited = clock, threads, waited
        self._waits = dict.fromkeys(threads.values(), (0.0, 0.0))
        self.now = clock.now

    def block(self, call: Call, times: int) -> Spent:
        threads = self._threads[call]
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
            # the first call pays for the new pool of threads
            call()
        start, waited = self.now(), self._waited()
        spent = self._clock.block(call, times)
        before = self._waits[threads]
        now = self._waited() - waited, self.now() - start
        self._waits[threads] = (before[0] + now[0], before[1] + now[1])
        return spent

    def doubt(self, threads: int, processors: int) -> str:
        """Why nothing can be said of calls with so many threads; empty where something can."""
        return waiting_doubt(*self._waits[threads], threads, processors)


def measure_threaded(
    calls: Mapping[str, Call],
    threads: Mapping[str, int],
    protocol: Protocol,
    progress: Progress,
    references: Mapping[str, str],
) -> Measurement:
    """``measure_calls`` where each call has its own number of threads.

    A comparison is doubted for what the threads of its own two sides waited.
    """
    if len(set(threads.values())) == 1:
        return measure_calls(calls, protocol, progress, references)
    by_call = {calls[name]: threads[name] for name in calls}
    clock = ThreadsClock(protocol.clock, by_call, protocol.waited)
    alike = protocol._replace(clock=clock, waited=lambda: 0.0)
    found = measure_calls(calls, alike, progress, references)

    def doubts(*names: str) -> tuple[str, ...]:
        counts = dict.fromkeys(threads[name] for name in names)
        return tuple(filter(None, (clock.doubt(n, protocol.processors) for n in counts)))

    comparisons = {
        name: doubted(comparison, doubts(name, references[name]))
        for name, comparison in found.comparisons.items()
    }
    return found._replace(comparisons=comparisons)
