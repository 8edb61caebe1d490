"""Stand-ins that outlived their pass, in caches outside the model."""

from __future__ import annotations

import functools
import gc
from typing import Any

from torch import Tensor

from convcost.sources.traced import Traced


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
    # a loop would hold the last one
    list(map(_take_out, _alive()))
    left = _alive()
    for tensor in left:
        tensor.__class__ = Escaped
    return len(left)


def _alive() -> list[Tensor]:
    return [thing for thing in gc.get_objects() if type(thing) is Traced]


def _take_out(tensor: Tensor) -> None:
    for holder in gc.get_referrers(tensor):
        if isinstance(holder, functools._lru_cache_wrapper):  # noqa: SLF001  it has no other name
            holder.cache_clear()
        elif isinstance(holder, dict) and not _is_namespace(holder):
            for key in [key for key, value in holder.items() if value is tensor]:
                del holder[key]


def _is_namespace(holder: dict[Any, Any]) -> bool:
    """Whether a dict is the attributes of a module, class or object: code would miss them."""
    owners = gc.get_referrers(holder)
    return any(
        isinstance(owner, type) or getattr(owner, "__dict__", None) is holder for owner in owners
    )
