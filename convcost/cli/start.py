"""What makes a start quick, and lets Ctrl-C end it: imported before anything else."""

import gc
import os
import signal
import sys
from contextlib import suppress
from types import FrameType, ModuleType

_SWITCH = "PYDANTIC_DISABLE_PLUGINS"


def _without_collecting() -> None:
    """A start makes some 100,000 objects that stay: collecting among them finds nothing."""
    gc.set_threshold(100_000, 50, 100)


def _without_plugins() -> None:
    """No plugin of pydantic's is ours, and looking for others costs a tenth of a start.

    Half of that is what its loader imports, before it asks whether to look: one that finds none
    stands in its place. Where pydantic has no such module, it is never asked for.
    """
    if os.environ.setdefault(_SWITCH, "1") == "1":
        loader = ModuleType("pydantic.plugin._loader")
        vars(loader)["get_plugins"] = tuple
        sys.modules.setdefault(loader.__name__, loader)


def _end(_number: int, _frame: FrameType | None) -> None:
    with suppress(OSError):
        os.write(2, b"error: interrupted\n")
    os._exit(2)


def _end_at_once() -> None:
    """Ctrl-C ends the process while it imports; one that was started to ignore it still does."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        with suppress(ValueError):  # another thread than the main one imports this
            signal.signal(signal.SIGINT, _end)


def hand_over() -> None:
    """Leaves Ctrl-C as it was before: all is imported."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


_end_at_once()
_without_collecting()
_without_plugins()
