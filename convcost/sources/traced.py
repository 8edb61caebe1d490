"""Tensors that stand in for data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import ref

import torch
from torch import Tensor

from convcost.ops import Op

META = torch.device("meta")


class Traced(Tensor):
    """A tensor without data: ``twin`` has its shape and strides, ``node`` says what made it.

    A view has a ``base``, and what it ``shows`` of it; the base knows its ``views``. A view of a
    buffer or a parameter has a ``holder`` instead, until it is written to.
    """

    # torch's own way to leave a subclass alone
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # noqa: SLF001
    twin: Tensor
    node: int
    base: Traced | None = None
    holder: Tensor | None = None
    shows: Op
    views: list[ref[Traced]] | None = None
    real_device = torch.device("cpu")

    @property
    def device(self) -> torch.device:  # type: ignore[override]  # answered for the real device
        return self.real_device

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        return self.real_device.type == "meta"

    @property
    def is_cpu(self) -> bool:  # type: ignore[override]
        return self.real_device.type == "cpu"


def node_of(tensor: Tensor) -> int | None:
    """The index of the node that made a tensor, or None."""
    return getattr(getattr(tensor, "stand_in", tensor), "node", None)


def share_storage(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors show the same scalars, of data or of none."""
    one, other = first.untyped_storage(), second.untyped_storage()
    return bool(one._cdata == other._cdata)  # noqa: SLF001  data_ptr is 0 without data


def results_in(result: Any) -> Iterator[Tensor]:
    """Every tensor in what a ``forward`` gave, an object of the user's own too."""
    yield from tensors_in(result)
    if hasattr(result, "__dict__") and not isinstance(result, Tensor):
        yield from tensors_in(vars(result))


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
