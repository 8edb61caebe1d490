"""A rewritten model as a program for inference: ``torch.export`` with a free batch."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from convcost.errors import ConvcostError


class Program(NamedTuple):
    """What a ``.pt2`` file holds, and what the user must know about it."""

    content: bytes
    notices: tuple[str, ...]


def export_program(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Program:
    """``module`` in eval mode, exported with its weights; ``args`` and ``kwargs`` hold data.

    The first dimension of each input, which all share, is free; where the model's own code needs
    it to be one number, it stays fixed, and a notice says so.

    Raises:
        ConvcostError: torch can't export it.
    """
    module = module.eval()
    inputs: Any = tuple(args), dict(kwargs)
    batch = _batch(inputs)
    try:
        wide = tree_map_only(Tensor, partial(_wide, batch=batch), inputs)
        return Program(_saved(module, wide, free=max(batch, 2)), ())
    except Exception as error:  # noqa: BLE001  torch.export fails in many ways, told below
        reason = _first_line(error)
    try:
        content = _saved(module, inputs, free=0)
    except Exception as error:
        raise ConvcostError(f"torch can't export the model: {_first_line(error)}") from error
    return Program(content, (f"the program's batch is fixed, since {reason}",))


def _batch(inputs: Any) -> int:
    """The first dimension of the input that has the most of them: others may not be batched."""
    most = max(filter(Tensor.dim, _tensors(inputs)), key=Tensor.dim, default=())
    return len(most)


def _wide(value: Tensor, batch: int) -> Tensor:
    """A batch of one as two: torch takes a size of 1 for a fixed one.

    Others are new tensors of the same data: torch.export marks those whose batch is free.
    """
    if batch == 1 and value.dim() and len(value) == 1:
        return value.expand(2, *value.shape[1:]).clone()
    return value.detach()


def _saved(module: nn.Module, inputs: Any, *, free: int) -> bytes:
    """The program's file; first dimensions of the size ``free`` are free in it."""
    shapes: Any = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]  # torch's own
    for tensor in _tensors(inputs):
        if tensor.dim() and len(tensor) == free:
            shapes[tensor] = {0: torch.export.Dim.DYNAMIC}
    # torch prints whole graphs of what it can't export: the error tells why
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, *inputs, dynamic_shapes=shapes if free else None)
        file = io.BytesIO()
        torch.export.save(program, file)
    return file.getvalue()


def _tensors(inputs: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
