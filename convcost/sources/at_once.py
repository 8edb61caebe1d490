"""Layers that are one op, without torch's dispatch: it takes longer than all that we do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._C import (
    _DisableTorchDispatch,
    _is_any_autocast_enabled,
    _len_torch_dispatch_stack,
    _len_torch_function_stack,
)

from convcost.graph import Node, Parameter
from convcost.sources.torch_layers import OneOp
from convcost.sources.traced import Traced

if TYPE_CHECKING:
    from convcost.sources.tracer import Tracer


class _Seen(NamedTuple):
    """What a layer did: its node, and its output's twin, None where it is written into the input.

    ``source`` is the input's twin, held so that no other gets its id.
    """

    node: Node
    twin: Tensor | None
    source: Tensor


def at_once(layer: OneOp, rule: Callable[..., Any]) -> Callable[..., Any]:
    """What a call of such a layer runs, after the tracer, the module's path and the module itself.

    It is what a layer like it did before, or the ``rule`` of its op.
    """
    func = getattr(torch.ops.aten, layer.op).default
    depth = _len_torch_dispatch_stack() + 1

    def run(tracer: Tracer, path: str, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        x = args[0] if len(args) == 1 and not kwargs else None
        others = _len_torch_function_stack() or _len_torch_dispatch_stack() != depth
        if type(x) is not Traced or tracer.shadows or others or _is_any_autocast_enabled():
            return tracer.called(path, _forward(module), *args, **kwargs)
        attributes = module.__dict__
        try:
            made, kinds = _held(tracer, layer, attributes)
            key = (layer.op, id(x.twin), *map(attributes.__getitem__, layer.reads), *kinds)
            found = tracer.seen_layers.get(key)
        except (KeyError, AttributeError, TypeError):
            # a weight that is computed, no statistics, settings of types of the user's
            return tracer.called(path, _forward(module), x)
        if found is None and _is_plain(layer, attributes, x):
            with _DisableTorchDispatch():
                result = tracer.called(path, rule, tracer, func, x, **_arguments(layer, attributes))
            _remember(tracer, key, x, result)
            return result
        if found is None or (found.twin is None and (x.base is not None or x.views)):
            return tracer.called(path, _forward(module), x)
        return tracer.again(found.node, found.twin, x, made, path)

    return run


def _forward(module: nn.Module) -> Callable[..., Any]:
    """The class's own ``forward``: what runs in its place is the instance's."""
    return MethodType(type(module).forward, module)


def _held(
    tracer: Tracer, layer: OneOp, attributes: Mapping[str, Any]
) -> tuple[tuple[Parameter, ...], list[Any]]:
    """What is recorded of a layer's parameters, and what its op asks of its tensors.

    Raises:
        KeyError: one is none of the model's, or of a type of its own.
    """
    made: list[Parameter] = []
    kinds: list[Any] = []
    held = attributes["_parameters"]
    for name in layer.parameters:
        tensor = held[name]
        if tensor is None:
            kinds.append(None)
        elif type(tensor) is nn.Parameter:
            parameter = tracer.parameter(tensor)
            made.append(parameter)
            kinds += parameter.shape, tensor.dtype
        else:
            raise KeyError
    for name in layer.buffers:
        kinds.append(attributes["_buffers"][name].numel())
    return tuple(made), kinds


def _is_plain(layer: OneOp, attributes: Mapping[str, Any], x: Traced) -> bool:
    if layer.ranks and x.dim() not in layer.ranks:
        return False
    return all(attributes[name] == value for name, value in layer.plain.items())


def _arguments(layer: OneOp, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What the layer's op takes after the input."""
    arguments = {name: attributes[name] for name in layer.settings}
    for name in layer.parameters:
        arguments[name] = attributes["_parameters"][name]
    for name in layer.buffers:
        arguments[name] = attributes["_buffers"][name]
    return arguments


def _remember(tracer: Tracer, key: tuple[Any, ...], x: Traced, result: Any) -> None:
    """Keeps what a layer did for those like it, where that was one node that reads its input."""
    node = tracer.nodes[-1]
    if type(result) is not Traced or result.node != len(tracer.nodes) - 1:
        return
    if result is x:
        tracer.seen_layers[key] = _Seen(node, None, x.twin)
    elif node.shares is None:
        tracer.seen_layers[key] = _Seen(node, result.twin, x.twin)
