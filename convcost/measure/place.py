"""A spec's modules and their inputs where and as the settings say, and torch's refusals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from convcost.errors import ConvcostError
from convcost.measure.settings import MemoryFormat, Settings


class Inputs:
    """One random input for all that take the same: they find it in the same caches."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._made: dict[tuple[object, ...], Tensor] = {}

    def like(self, shape: Sequence[int], settings: Settings) -> Tensor:
        """The input of that shape, in the dtype and the memory format of the settings."""
        key = (shape, settings.dtype, settings.memory_format)
        if key not in self._made:
            sample = torch.randn(shape, dtype=getattr(torch, settings.dtype)).to(self._device)
            layout = memory_format(settings, len(shape))
            self._made[key] = sample.to(memory_format=layout)
        return self._made[key]


def place(module: nn.Module, settings: Settings, device: torch.device) -> nn.Module:
    """``module`` on the device, in the dtype and the memory format of the settings."""
    module = module.to(device, getattr(torch, settings.dtype))
    lay_out(module, settings)
    return module


def lay_out(module: nn.Module, settings: Settings) -> None:
    """Gives a module's weights the memory format of the settings."""
    for parameter in module.parameters():
        if parameter.dim() > 3:
            layout = memory_format(settings, parameter.dim())
            parameter.data = parameter.data.contiguous(memory_format=layout)


def format_of(module: nn.Module) -> MemoryFormat:
    """The memory format of a module's weights."""
    last = any(
        weight.dim() > 3 and weight.stride(1) == 1 and not weight.is_contiguous()
        for weight in module.parameters()
    )
    return "channels_last" if last else "contiguous"


def memory_format(settings: Settings, dims: int) -> torch.memory_format:
    """Torch's own name of the format that is asked for, for a tensor of ``dims`` dimensions.

    Raises:
        ConvcostError: there is none for so few.
    """
    if settings.memory_format == "contiguous":
        return torch.contiguous_format
    if dims < 4:
        raise ConvcostError(
            "channels_last needs two or three spatial axes, the input has one",
            "use --memory-format contiguous",
        )
    return torch.channels_last if dims == 4 else torch.channels_last_3d


@contextmanager
def torch_errors(settings: Settings) -> Iterator[None]:
    """Torch's refusals as errors of ours: out of memory, an op without a kernel for the dtype."""
    try:
        yield
    except ConvcostError:
        raise
    except (RuntimeError, TypeError, NotImplementedError) as error:
        reason = _reason(error)
        how = ", compiled" if settings.compile == "on" else ""
        or_not = " or --compile off," if how else ""
        or_not += " without --cuda-graph," if settings.cuda_graph else ""
        raise ConvcostError(
            f"torch can't run this on {settings.device} as {settings.dtype} "
            f"({settings.memory_format}{how}): {reason}",
            f"try another --dtype, --memory-format or --device,{or_not} or a smaller --batch",
        ) from error
    except Exception as error:
        raise ConvcostError(
            f"forward raised on {settings.device}: {type(error).__name__}: {_reason(error)}",
            "it runs on random data: give data that it takes, as example_inputs in the file",
        ) from error


def _reason(error: Exception) -> str:
    """The first line of what it says, else its type."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
