"""A rewritten model as a program for inference: ``torch.export`` with a free batch."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

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
    args, kwargs = tuple(args), dict(kwargs)
    wide = tuple(map(_twice, args)), {key: _twice(value) for key, value in kwargs.items()}
    try:
        return Program(_saved(module, *wide, free=True), ())
    except Exception as error:  # noqa: BLE001  torch.export fails in many ways, told below
        reason = _first_line(error)
    try:
        content = _saved(module, args, kwargs, free=False)
    except Exception as error:
        raise ConvcostError(f"torch can't export the model: {_first_line(error)}") from error
    return Program(content, (f"the program's batch is fixed, since {reason}",))


def _twice(value: Any) -> Any:
    """A batch of one as two: torch takes a size of 1 for a fixed one.

    Others are new tensors of the same data: torch.export marks those whose batch is free.
    """
    if _has_batch(value) == 1:
        return value.expand(2, *value.shape[1:]).clone()
    return value.detach() if _has_batch(value) else value


def _has_batch(value: Any) -> int:
    return len(value) if isinstance(value, Tensor) and value.dim() > 2 else 0


def _saved(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], *, free: bool
) -> bytes:
    shapes: Any = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]  # torch's own
    for tensor in _tensors(args, kwargs) if free else ():
        shapes[tensor] = {0: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, args, kwargs, dynamic_shapes=shapes if free else None)
        file = io.BytesIO()
        torch.export.save(program, file)
    return file.getvalue()


def _tensors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Tensor]:
    yield from (value for value in (*args, *kwargs.values()) if _has_batch(value))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
