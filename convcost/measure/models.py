"""A model, its inputs and its values where and as they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from convcost.measure.in_place import on_device
from convcost.measure.machine import find_device, with_seed
from convcost.measure.place import lay_out, memory_format
from convcost.measure.settings import Settings


class Placed(NamedTuple):
    """A module and the arguments of one pass."""

    module: nn.Module
    args: Sequence[Any]
    kwargs: Mapping[str, Any]


def with_dtype(
    module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], settings: Settings
) -> Placed:
    """The same in the dtype that is asked for."""
    dtype = getattr(torch, settings.dtype)

    def cast(value: Tensor) -> Tensor:
        return value.to(dtype) if value.is_floating_point() else value

    return Placed(module.to(dtype=dtype), *tree_map_only(Tensor, cast, (list(args), dict(kwargs))))


def with_data(
    module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], settings: Settings
) -> Placed:
    """The same on the device, with random data in the arguments that had none.

    Raises:
        ConvcostError: no such device, or the model has no data.
    """
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        find_device("meta")
    device = find_device(settings.device)
    module = module.to(device)
    with with_seed(settings.seed):
        return Placed(module, *on_device(args, kwargs, device))


def on_its_device(
    module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], settings: Settings
) -> Placed:
    """The same as ``with_data``, in the memory format too.

    Raises:
        ConvcostError: no such device, the format doesn't fit the inputs, or the model has no data.
    """
    module, inputs, named = with_data(module, args, kwargs, settings)
    lay_out(module, settings)

    def laid_out(value: Tensor) -> Tensor:
        if value.dim() < 3:
            return value
        return value.to(memory_format=memory_format(settings, value.dim()))

    return Placed(module, *tree_map_only(Tensor, laid_out, (inputs, named)))
