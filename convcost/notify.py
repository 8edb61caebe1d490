"""How long work tells what it is doing."""

from __future__ import annotations

from collections.abc import Callable

Notify = Callable[[str, float | None], None]
"""Told what is being done, and the share that is done where it is known."""


def silently(_: str, __: float | None) -> None:
    """Tells nobody."""
