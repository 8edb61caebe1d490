"""A clock that tests turn by hand."""

from __future__ import annotations

from collections.abc import Callable

from convcost.measure.rounds import Spent


class FakeClock:
    """A call's cost depends on which it is and on how much time has gone by; nothing waits.

    ``calls`` are the blocks so far: each call and how many times it ran.
    """

    def __init__(self, cost: Callable[[object, float], float]) -> None:
        self.time = 0.0
        self.calls: list[tuple[object, int]] = []
        self._cost = cost

    def now(self) -> float:
        return self.time

    def block(self, call: object, times: int) -> Spent:
        spent = sum(self._cost(call, self.time) for _ in range(times))
        self.time += spent
        self.calls.append((call, times))
        return Spent(spent / times, spent / times)
