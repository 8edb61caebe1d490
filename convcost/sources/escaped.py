"""Stand-ins that outlived their pass, in caches outside the model."""

from __future__ import annotations

import functools
import gc
from typing import Any

from convcost.sources.traced import Traced

_DEPTH = 3
"""So many containers within each other are looked through."""


class Escaped(Traced):
    """A stand-in that can't be taken out of where it is kept: any use of it is an error."""

    @classmethod
    def __torch_function__(cls, *_: Any, **__: Any) -> Any:
        raise RuntimeError(
            "a cache outside the model holds a tensor of a pass of convcost's, which has no data: "
            "clear that cache first"
        )


def forget_escaped() -> int:
    """Takes all stand-ins out of the caches that hold them; how many are left, as ``Escaped``."""
    # what only a circle of garbage holds is in no cache
    gc.collect()
    _clear_caches(_alive(), _DEPTH)
    _take_out(_alive(), _DEPTH)
    left = _alive()
    for tensor in left:
        tensor.__class__ = Escaped
    return len(left)


def _alive() -> list[Any]:
    return [thing for thing in gc.get_objects() if type(thing) is Traced]


def _clear_caches(things: list[Any], depth: int) -> None:
    """Empties the caches of functions that gave ``things``, or containers of them."""
    holders = gc.get_referrers(*things)
    for holder in holders:
        if isinstance(holder, functools._lru_cache_wrapper):  # noqa: SLF001  it has no other name
            holder.cache_clear()
    containers = [holder for holder in holders if isinstance(holder, dict | list | tuple)]
    if depth and containers:
        _clear_caches(containers, depth - 1)


def _take_out(things: list[Any], depth: int) -> None:
    """Deletes ``things`` from dicts, alone and in tuples: those are as new as what they hold."""
    held = set(map(id, things))
    holders = gc.get_referrers(*things)
    for holder in holders:
        if isinstance(holder, dict) and not _is_namespace(holder):
            for key in [key for key, value in holder.items() if id(value) in held]:
                del holder[key]
    tuples = [holder for holder in holders if isinstance(holder, tuple)]
    if depth and tuples:
        _take_out(tuples, depth - 1)


def _is_namespace(holder: dict[Any, Any]) -> bool:
    """Whether a dict is the attributes of a module, class or object: code would miss them."""
    owners = gc.get_referrers(holder)
    return any(
        isinstance(owner, type) or getattr(owner, "__dict__", None) is holder for owner in owners
    )
