"""Ctrl-C, also while torch is imported, which may swallow it or abort the process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _Interrupts:
    """Whether there was one that hasn't been answered."""

    pending = False


def watch() -> None:
    """Notes every Ctrl-C from now on; a process that was started to ignore it still does."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _note)


def _note(number: int, frame: FrameType | None) -> None:
    is_first, _Interrupts.pending = not _Interrupts.pending, True
    # raised in the midst of torch's own start it would end as an abort in C++
    if not (is_first and _imports_torch(frame)):
        signal.default_int_handler(number, frame)


def _imports_torch(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == "torch":
            return True
        frame = frame.f_back
    return False


def was_interrupted() -> bool:
    """Whether Ctrl-C came and nothing has ended because of it."""
    return _Interrupts.pending


def answer() -> None:
    """Takes note that what was measured before Ctrl-C is shown: that is its answer."""
    _Interrupts.pending = False


def raise_again() -> None:
    """Raises an interrupt that was noted and put off, or lost.

    Raises:
        KeyboardInterrupt: there was one.
    """
    if _Interrupts.pending:
        _Interrupts.pending = False
        raise KeyboardInterrupt


@contextmanager
def end_as_interrupted() -> Iterator[None]:
    """Takes the signals that a runner ends a job with for Ctrl-C, so that all is cleaned up."""
    before = {number: signal.signal(number, _interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
