"""The processes of a check: one for the user's tree, and one for a revision where one is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from convcost.errors import MissingError
from convcost.measure.waiting import waited_seconds
from convcost.measure.workers import Side, Worker
from convcost.ops import Shape
from convcost.report import Report
from convcost.sources.saved import report_adapter


def as_report(found: Any) -> Report:
    """A report as a worker sends it."""
    return report_adapter().validate_python(found)


class Sides:
    """A head and a base, each alone in its process; without a base folder all is new there."""

    def __init__(self, head: Side, base: Side | None, limit: float) -> None:
        self._make: list[Callable[[], Worker]] = [lambda: Worker(head, limit)]
        if base is not None and base.folder.is_dir():
            self._make.append(lambda: Worker(base, limit))
        self._workers: list[Worker] = []

    def start(self) -> None:
        """Starts fresh processes in place of those that there are."""
        self.close()
        for make in self._make:
            self._workers.append(make())

    def close(self) -> None:
        """Ends the processes."""
        while self._workers:
            self._workers.pop().close()

    @property
    def head(self) -> Worker:
        """The user's own side."""
        return self._workers[0]

    @property
    def base(self) -> Worker | None:
        """The revision's side, if it has the folder."""
        return self._workers[1] if len(self._workers) > 1 else None

    def count(self, source: str, inputs: Sequence[Shape]) -> tuple[Report, Report | None]:
        """The exact costs on both sides; None where the base hasn't got the source.

        Raises:
            ConvcostError: a side can't tell.
        """
        for worker in self._workers:
            worker.send("count", source, source=source, inputs=inputs)
        mine = as_report(self.head.receive())
        if self.base is None:
            return mine, None
        try:
            return mine, as_report(self.base.receive())
        except MissingError:
            return mine, None

    def prepare(self, key: str, source: str, inputs: Sequence[Shape]) -> int:
        """Builds a source on both sides, for blocks of calls; gives the most threads of a side.

        Raises:
            ConvcostError: a side can't.
        """
        for worker in self._workers:
            worker.send("prepare", source, key=key, source=source, inputs=inputs)
        threads: list[int] = [worker.receive() for worker in self._workers]
        return max(threads)

    def waited(self) -> float:
        """The seconds so far that threads of all sides waited for a processor."""
        return waited_seconds(*(worker.tasks for worker in self._workers))


@contextmanager
def opened(head: Side, base: Side | None, limit: float) -> Iterator[Sides]:
    """The processes, ended afterwards whatever happens; each may take ``limit`` seconds in all."""
    sides = Sides(head, base, limit)
    try:
        sides.start()
        yield sides
    finally:
        sides.close()
