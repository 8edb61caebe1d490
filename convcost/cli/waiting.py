"""What a wait looks like on a terminal: what is done, for how long, and what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from convcost.cli.interrupts import raise_again


class LeftColumn(ProgressColumn):
    """The seconds that are left, once they can be told."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        left = task.time_remaining if task.total else None
        return Text("" if left is None else f"{left:.0f} s left", style="cyan")


@contextmanager
def bars() -> Iterator[Callable[[str, float | None], None]]:
    """Shows on standard error what it is told: what is done, and the share where it is known."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(20),
        TimeElapsedColumn(),
        LeftColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("starting", total=None)

        def notify(doing: str, share: float | None) -> None:
            raise_again()
            total = None if share is None else 1.0
            is_new = shown.tasks[0].description.partition(",")[0] != doing.partition(",")[0]
            if is_new:
                # another kind of work has another speed
                shown.reset(task)
            shown.update(
                task,
                description=doing,
                total=total,
                completed=min(share or 0.0, 1.0),
                refresh=is_new,  # some of it holds the lock that drawing in another thread needs
            )

        yield notify
