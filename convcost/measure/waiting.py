"""How long threads wait for a processor. No torch here."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

_TASKS = Path("/proc/self/task")


def waited_seconds(*processes: Path) -> float:
    """Seconds so far in which threads were ready to run and something else had the processor.

    ``processes`` are the folders of their threads; without any it is this process. The sum over
    the living threads (Linux, Documentation/scheduler/sched-stats.rst: the second
    number of ``schedstat``, in nanoseconds) and the time that the hypervisor gave to others.
    0 where the system doesn't tell.
    """
    threads = (file for tasks in processes or (_TASKS,) for file in tasks.glob("*/schedstat"))
    waited = sum(map(_run_delay, threads))
    return waited / 1e9 + getattr(psutil.cpu_times(), "steal", 0.0)


def _run_delay(schedstat: Path) -> int:
    try:
        return int(schedstat.read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        # the thread has ended, or the kernel keeps no statistics
        return 0


def processors() -> int:
    """The processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
