"""A module's parameters, buffers, flags and attributes, put back after a pass."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn

from convcost.sources.torch_layers import ATTRIBUTES

_CONTAINERS = frozenset({dict, OrderedDict, list, set, deque})
_PLAIN = frozenset({bool, int, float, str, tuple, type(None)})
_DEPTH = 4
_HOLDERS = ("_parameters", "_buffers", "_modules")
_OWN = frozenset(nn.Module().__dict__)


class ModuleState:
    """What a module and all modules below it hold.

    ``parameters`` gives each parameter's path and tensor by its id, ``buffers`` each buffer; both
    are by identity, so what is shared is there once.
    """

    def __init__(self, root: nn.Module) -> None:
        self.parameters: dict[int, tuple[str, Tensor]] = {}
        self.buffers: dict[int, Tensor] = {}
        self._modules: list[tuple[str, nn.Module, dict[str, Any]]] = []
        self._contents: list[tuple[Any, Any]] = []
        self._loose: list[Tensor] = []
        seen: set[int] = set()
        pending = [("", root)]
        while pending:
            path, module = pending.pop()
            if id(module) not in seen:
                seen.add(id(module))
                self._add(path, module, module.__dict__)
                pending += _children(path, module.__dict__["_modules"])

    def _add(self, path: str, module: nn.Module, attributes: dict[str, Any]) -> None:
        self._modules.append((path, module, attributes))
        if len(attributes) != len(_OWN) + ATTRIBUTES.get(type(module), 0):
            self._keep_attributes(attributes)
        prefix = f"{path}." if path else ""
        # named_parameters and its brothers are too slow
        for key, parameter in attributes["_parameters"].items():
            if parameter is not None and id(parameter) not in self.parameters:
                self.parameters[id(parameter)] = (prefix + key, parameter)
        for buffer in attributes["_buffers"].values():
            if buffer is not None:
                self.buffers[id(buffer)] = buffer

    def _keep_attributes(self, attributes: dict[str, Any]) -> None:
        for key in attributes.keys() - _OWN:
            if isinstance(attributes[key], Tensor):
                self._loose.append(attributes[key])
            elif type(attributes[key]) not in _PLAIN:
                self._keep_contents(attributes[key], _DEPTH)

    def _keep_contents(self, value: Any, depth: int) -> None:
        """What a container holds, and the containers and plain objects in it, as far down."""
        if type(value) not in _CONTAINERS:
            if not depth or not _is_plain_object(value):
                return
            value = vars(value)
        self._contents.append((value, value.copy() if value else None))
        if depth:
            for item in list(value.values()) if isinstance(value, dict) else list(value):
                self._keep_contents(item, depth - 1)

    def tensors(self) -> Iterator[Tensor]:
        """Every parameter and buffer."""
        yield from (parameter for _, parameter in self.parameters.values())
        yield from self.buffers.values()

    def wrap_forward(self, wrap: Callable[[str, nn.Module], Callable[..., Any]]) -> None:
        """Sets what each module's call runs to ``wrap(path, module)``, until all is put back.

        An attribute of the module costs less than a hook, and a class needn't be patched.
        """
        for path, module, _ in self._modules:
            if not isinstance(module, torch.jit.ScriptModule):
                module.__dict__["forward"] = wrap(path, module)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Eval mode inside; outside, everything is as it was, also after an error.

        Inside, each module works on a copy of its attributes, so that its own are never touched.
        """
        try:
            for _, module, attributes in self._modules:
                object.__setattr__(module, "__dict__", _copied(attributes))
            yield
        finally:
            self._put_back()

    @contextmanager
    def kept_with_data(self) -> Iterator[None]:
        """The same for a pass that computes: all tensors keep their values too."""
        every = (*self.tensors(), *self._loose)
        values = [(tensor, tensor.data, tensor.detach().clone()) for tensor in every]
        with self.kept():
            try:
                yield
            finally:
                for tensor, data, value in values:
                    if not _is_expanded(data):
                        data.copy_(value)
                    tensor.data = data

    def _put_back(self) -> None:
        for _, module, attributes in self._modules:
            # what runs in its place knows the module: a circle, which only the collector would find
            module.__dict__.pop("forward", None)
            object.__setattr__(module, "__dict__", attributes)
        for container, before in self._contents:
            if before is None:
                container.clear()
            elif len(container) != len(before) or not _same_items(container, before):
                _refill(container, before)


def _children(path: str, modules: Mapping[str, nn.Module | None]) -> list[tuple[str, nn.Module]]:
    """The modules that one holds, last one first."""
    if not modules:
        return []
    prefix = f"{path}." if path else ""
    children = [(prefix + key, child) for key, child in modules.items() if child is not None]
    return children[::-1]


def _is_expanded(tensor: Tensor) -> bool:
    """Whether several of its scalars are one: torch writes into no such tensor."""
    pairs = zip(tensor.shape, tensor.stride(), strict=True)
    return any(size > 1 and not stride for size, stride in pairs)


def _copied(attributes: dict[str, Any]) -> dict[str, Any]:
    """A module's attributes in eval mode, with holders of its own; a script's are torch's."""
    copy = attributes.copy()
    copy["training"] = False
    for key in _HOLDERS:
        holder = copy[key]
        if type(holder) in _CONTAINERS:
            copy[key] = holder.copy()
    return copy


def _is_plain_object(value: Any) -> bool:
    """Whether a value is an instance of a class of the user's, with attributes of its own."""
    if isinstance(value, nn.Module | Tensor | type) or callable(value):
        return False
    return hasattr(value, "__dict__") and not type(value).__module__.startswith("torch")


def _same_items(now: Any, before: Any) -> bool:
    if isinstance(now, dict):
        return list(now) == list(before) and all(map(is_, now.values(), before.values()))
    if isinstance(now, set):
        return bool(now == before)
    return all(map(is_, now, before))


def _refill(container: Any, before: Any) -> None:
    container.clear()
    if isinstance(container, dict | set):
        container.update(before)
    else:
        container.extend(before)
