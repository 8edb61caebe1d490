"""A module's parameters, buffers, flags and attributes, put back after a pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.jit import ScriptModule

from convcost.sources.contents import Contents
from convcost.sources.torch_layers import ATTRIBUTES

_HOLDERS = ("_parameters", "_buffers", "_modules")
_HOOKS = (
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
)
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
        self._scripts: list[tuple[ScriptModule, bool]] = []
        self._unhooked: list[dict[str, Any]] = []
        self._contents = Contents()
        seen: set[int] = set()
        pending = [("", root)]
        while pending:
            path, module = pending.pop()
            if id(module) not in seen:
                seen.add(id(module))
                self._add(path, module)
                pending += _children(path, module._modules)  # noqa: SLF001  a script has no other

    def _add(self, path: str, module: nn.Module) -> None:
        attributes = module.__dict__
        if isinstance(module, ScriptModule):
            # what it holds is torch's own, and no code of the user's reaches it
            self._scripts.append((module, module.training))
        else:
            self._modules.append((path, module, attributes))
            if len(attributes) != len(_OWN) + ATTRIBUTES.get(type(module), 0):
                for key in attributes.keys() - _OWN:
                    self._contents.keep(attributes[key])
        self._keep_hooks(attributes)
        prefix = f"{path}." if path else ""
        # named_parameters and its brothers are too slow
        for key, parameter in module._parameters.items():  # noqa: SLF001
            if parameter is not None and id(parameter) not in self.parameters:
                self.parameters[id(parameter)] = (prefix + key, parameter)
        for buffer in module._buffers.values():  # noqa: SLF001
            if buffer is not None:
                self.buffers[id(buffer)] = buffer

    def _keep_hooks(self, attributes: dict[str, Any]) -> None:
        if attributes["_forward_hooks"] or attributes["_forward_pre_hooks"]:
            for name in _HOOKS:
                self._contents.keep(attributes[name], depth=0)
        else:
            self._unhooked.append(attributes)

    def tensors(self) -> Iterator[Tensor]:
        """Every parameter and buffer."""
        yield from (parameter for _, parameter in self.parameters.values())
        yield from self.buffers.values()

    def wrap_forward(self, wrap: Callable[[str, nn.Module], Callable[..., Any]]) -> None:
        """Sets what each module's call runs to ``wrap(path, module)``, until all is put back.

        An attribute of the module costs less than a hook, and a class needn't be patched.
        """
        for path, module, _ in self._modules:
            module.__dict__["forward"] = wrap(path, module)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Eval mode inside; outside, everything is as it was, also after an error.

        Inside, each module works on a copy of its attributes, so that its own are never touched.
        """
        flags = [(tensor, tensor.requires_grad) for _, tensor in self.parameters.values()]
        try:
            for _, module, attributes in self._modules:
                object.__setattr__(module, "__dict__", _copied(attributes))
            for script, _ in self._scripts:
                script.training = False
            yield
        finally:
            self._put_back(flags)

    @contextmanager
    def kept_with_data(self) -> Iterator[None]:
        """The same for a pass that computes: all tensors keep their values too."""
        every = (*self.tensors(), *self._contents.tensors)
        values = [(tensor, tensor.data, tensor.detach().clone()) for tensor in every]
        with self.kept():
            try:
                yield
            finally:
                with torch.inference_mode():
                    for tensor, data, value in values:
                        if not _is_expanded(data):
                            data.copy_(value)
                        tensor.data = data

    def _put_back(self, flags: list[tuple[Tensor, bool]]) -> None:
        for _, module, attributes in self._modules:
            # what runs in its place knows the module: a circle, which only the collector would find
            module.__dict__.pop("forward", None)
            object.__setattr__(module, "__dict__", attributes)
        for script, training in self._scripts:
            script.training = training
        for tensor, flag in flags:
            if tensor.requires_grad is not flag:
                tensor.requires_grad_(flag)
        for attributes in self._unhooked:
            if attributes["_forward_hooks"] or attributes["_forward_pre_hooks"]:
                _clear_hooks(attributes)
        self._contents.put_back()


def _clear_hooks(attributes: dict[str, Any]) -> None:
    for name in _HOOKS:
        attributes[name].clear()


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
    """A module's attributes in eval mode, with holders of its own."""
    copy = attributes.copy()
    copy["training"] = False
    for key in _HOLDERS:
        copy[key] = copy[key].copy()
    return copy
