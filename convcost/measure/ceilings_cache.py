"""Ceilings that were measured before, in the user's cache folder. No torch here."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from convcost.whole_file import write_whole

_VERSION = 3


class Ceilings(NamedTuple):
    """What a machine reaches at best; ``floor`` is the seconds of the smallest convolution.

    ``products_per_second`` are the multiplications of matrix products, which have more digits than
    convolutions on some GPUs.
    """

    multiplications_per_second: float
    bytes_per_second: float
    floor: float
    products_per_second: float


def cache_file() -> Path:
    """``machine.json`` below ``XDG_CACHE_HOME`` or ``~/.cache`` (XDG Base Directory).

    Raises:
        RuntimeError: there is no home folder.
    """
    folder = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(folder) if Path(folder).is_absolute() else Path.home() / ".cache"
    return base / "convcost" / "machine.json"


def load_ceilings(key: Sequence[str]) -> Ceilings | None:
    """What was saved under ``key``; None where nothing is, or nothing that makes sense."""
    found = _entries().get(_text(key))
    if not isinstance(found, list) or len(found) != len(Ceilings._fields):
        return None
    if not all(isinstance(number, float) and 0 < number < float("inf") for number in found):
        return None
    return Ceilings(*found)


def save_ceilings(key: Sequence[str], ceilings: Ceilings) -> None:
    """Keeps ``ceilings`` for the next run; where they can't be written, it measures again."""
    data = {"version": _VERSION, "ceilings": {**_entries(), _text(key): list(ceilings)}}
    with suppress(OSError, RuntimeError):
        file = cache_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(data, indent=1).encode())


def _entries() -> dict[str, object]:
    try:
        data = json.loads(cache_file().read_text(encoding="utf-8"))
    except (OSError, RuntimeError, ValueError, RecursionError):
        return {}
    if not isinstance(data, dict) or data.get("version") != _VERSION:
        return {}
    entries = data.get("ceilings")
    return entries if isinstance(entries, dict) else {}


def _text(key: Sequence[str]) -> str:
    return " | ".join(key)
