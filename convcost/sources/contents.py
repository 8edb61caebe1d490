"""What a user's own attributes hold, put back after a pass."""

from __future__ import annotations

from collections import OrderedDict, deque
from operator import is_
from typing import Any

from torch import Tensor, nn

_PLAIN = frozenset({bool, int, float, str, type(None)})
_DEPTH = 4


class Contents:
    """The containers in attributes and what was in each; ``tensors`` are those among it."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self._held: list[tuple[Any, Any]] = []

    def keep(self, value: Any, depth: int = _DEPTH) -> None:
        """Notes what ``value`` holds, and the containers and plain objects in it, as far down."""
        if type(value) in _PLAIN:
            return
        if isinstance(value, Tensor):
            self.tensors.append(value)
        elif isinstance(value, dict | list | set | deque):
            self._keep_items(value, depth)
        elif isinstance(value, tuple):
            self._keep_each(value, depth)
        elif depth and _is_plain_object(value):
            self._keep_items(vars(value) if hasattr(value, "__dict__") else {}, depth)
            self._keep_each([getattr(value, name, None) for name in _slots(value)], depth)

    def _keep_items(self, container: Any, depth: int) -> None:
        self._held.append((container, _copy(container)))
        if container:
            items = container.values() if isinstance(container, dict) else container
            self._keep_each(list(items), depth)

    def _keep_each(self, items: list[Any] | tuple[Any, ...], depth: int) -> None:
        if depth:
            for item in items:
                self.keep(item, depth - 1)

    def put_back(self) -> None:
        """Fills each container again, where it isn't as it was."""
        for container, before in self._held:
            if len(container) != len(before) or not _same_items(container, before):
                _refill(container, before)


def _copy(container: Any) -> Any:
    """The items of a container of any class, in a plain one."""
    if isinstance(container, dict):
        return dict(container.items())
    return set(container) if isinstance(container, set) else list(container)


def _is_plain_object(value: Any) -> bool:
    """Whether a value is an instance of a class of the user's, with attributes of its own."""
    if isinstance(value, nn.Module | type) or callable(value):
        return False
    has_some = hasattr(value, "__dict__") or hasattr(type(value), "__slots__")
    return has_some and type(value).__module__.partition(".")[0] not in ("torch", "builtins")


def _slots(value: Any) -> list[str]:
    found = [getattr(kind, "__slots__", ()) for kind in type(value).__mro__]
    return [name for names in found for name in ([names] if isinstance(names, str) else names)]


def _same_items(now: Any, before: Any) -> bool:
    if isinstance(now, dict):
        return list(now) == list(before) and all(map(is_, now.values(), before.values()))
    if isinstance(now, set):
        return bool(now == before)
    return all(map(is_, now, before))


def _refill(container: Any, before: Any) -> None:
    """By the methods of the plain classes: those of a user's own may do more."""
    if isinstance(container, OrderedDict):
        OrderedDict.clear(container)
        for key, value in before.items():
            OrderedDict.__setitem__(container, key, value)
    elif isinstance(container, dict):
        dict.clear(container)
        dict.update(container, before)
    elif isinstance(container, set):
        set.clear(container)
        set.update(container, before)
    elif isinstance(container, list):
        list.__setitem__(container, slice(None), before)
    else:
        container.clear()
        container.extend(before)
