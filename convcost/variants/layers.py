"""Layers that pad as torch's own can't: unlike before and after, or by the input's size."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from convcost.ops import Padding, Sizes
from convcost.variants.dense import Denser

Pads = Callable[[Sizes], Padding]
"""(before, after) per axis for an input of these spatial sizes; a negative one crops."""

_CONVS: Any = (functional.conv1d, functional.conv2d, functional.conv3d)
_MAX_POOLS: Any = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)


class Fixed:
    """The same padding for every size."""

    def __init__(self, padding: Padding) -> None:
        self.padding = padding

    def __call__(self, _: Sizes) -> Padding:
        return self.padding

    def __repr__(self) -> str:
        return repr(self.padding)


class Scaled:
    """The padding of a layer that was made dense."""

    def __init__(self, denser: Denser) -> None:
        self.denser = denser

    def __call__(self, sizes: Sizes) -> Padding:
        return self.denser.padding(sizes)

    def __repr__(self) -> str:
        return f"rate {self.denser.rate}, stride was {getattr(self.denser.op, 'stride', ())}"


def _flat(padding: Padding) -> list[int]:
    """In the order that ``torch.nn.functional.pad`` wants: last axis first."""
    return [size for pair in reversed(padding) for size in pair]


class _PaddedConv:
    """A convolution of torch's that pads by ``pads``; its parameters have torch's own names."""

    pads: Pads
    fill_mode = "constant"
    weight: Tensor
    bias: Tensor | None
    stride: Any
    dilation: Any
    groups: int

    def forward(self, x: Tensor) -> Tensor:
        padding = self.pads(tuple(x.shape[2 - self.weight.dim() :]))
        direct = tuple(before for before, _ in padding)
        if self.fill_mode != "constant" or any(a != b or a < 0 for a, b in padding):
            x = functional.pad(x, _flat(padding), self.fill_mode)
            direct = (0,) * len(padding)
        conv = _CONVS[len(padding) - 1]
        out: Tensor = conv(
            x, self.weight, self.bias, self.stride, direct, self.dilation, self.groups
        )
        return out

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, pads={self.pads!r}"  # type: ignore[misc]  # of a Module


class PaddedConv1d(_PaddedConv, nn.Conv1d):
    """``nn.Conv1d`` with padding of its own."""


class PaddedConv2d(_PaddedConv, nn.Conv2d):
    """``nn.Conv2d`` with padding of its own."""


class PaddedConv3d(_PaddedConv, nn.Conv3d):
    """``nn.Conv3d`` with padding of its own."""


class _CroppedConvTranspose:
    """A transposed convolution of torch's whose output is cropped by ``crop``."""

    crop: Padding

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        out = super().forward(x, output_size)  # type: ignore[misc]  # of a Module
        return functional.pad(out, [-size for size in _flat(self.crop)])

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, crop={self.crop}"  # type: ignore[misc]  # of a Module


class CroppedConvTranspose1d(_CroppedConvTranspose, nn.ConvTranspose1d):
    """``nn.ConvTranspose1d`` with a crop of its own."""


class CroppedConvTranspose2d(_CroppedConvTranspose, nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` with a crop of its own."""


class CroppedConvTranspose3d(_CroppedConvTranspose, nn.ConvTranspose3d):
    """``nn.ConvTranspose3d`` with a crop of its own."""


PADDED = (PaddedConv1d, PaddedConv2d, PaddedConv3d)
CROPPED = (CroppedConvTranspose1d, CroppedConvTranspose2d, CroppedConvTranspose3d)


class _Dense(nn.Module):
    """A layer without parameters that was made dense."""

    def __init__(self, denser: Denser) -> None:
        super().__init__()
        self.denser = denser

    def padding(self, x: Tensor) -> Padding:
        """What this input is padded by."""
        return self.denser.padding(tuple(x.shape[-len(self.denser.rate) :]))

    def extra_repr(self) -> str:
        return f"{self.denser.op}, rate={self.denser.rate}, stride={self.denser.stride}"


class DensePad(_Dense):
    """Constant padding of a map that has more positions."""

    def __init__(self, denser: Denser, value: float) -> None:
        super().__init__(denser)
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, _flat(self.padding(x)), value=self.value)


class DenseMaxPool(_Dense):
    """A max pool with its taps where they were."""

    def forward(self, x: Tensor) -> Tensor:
        op: Any = self.denser.op
        padding = self.padding(x)
        x = functional.pad(x, _flat(padding), value=float("-inf"))
        pool = _MAX_POOLS[len(padding) - 1]
        out: Tensor = pool(x, op.kernel_size, self.denser.stride, 0, self.denser.dilation)
        if any(after > 0 for _, after in padding):
            # a window between the old ones may lie in the padding alone: it has no maximum
            out = out.masked_fill(out == float("-inf"), 0)
        return out


class DenseAvgPool(_Dense):
    """An average pool with its taps where they were: a depthwise convolution of equal weights.

    Its divisor is the old one: ``count_include_pad``, ``ceil_mode``, ``divisor_override``. The
    weights aren't learnt, and not in the ``state_dict``.
    """

    weight: Tensor

    def __init__(
        self, denser: Denser, like: Tensor, divisor: int | None, *, counts_padding: bool
    ) -> None:
        """``like`` has the channels in its first dimension, and the device and dtype."""
        super().__init__(denser)
        op: Any = denser.op
        self.counts_padding = counts_padding
        always_whole = not op.ceil_mode and (counts_padding or not any(map(any, op.padding)))
        self.divisor = divisor or (prod(op.kernel_size) if always_whole else None)
        ones = like.new_ones(len(like), 1, *op.kernel_size)
        # ones are exact in every dtype that the model may be put in later
        self.register_buffer("weight", ones, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        padding = self.padding(x)
        weight = self.weight.to(x) / (self.divisor or 1)
        total = self._sum(functional.pad(x, _flat(padding)), weight)
        return total if self.divisor else total / self._counted(x, padding)

    def _sum(self, x: Tensor, weight: Tensor) -> Tensor:
        conv = _CONVS[len(self.denser.rate) - 1]
        steps = self.denser.stride, 0, self.denser.dilation, len(weight)
        out: Tensor = conv(x, weight, None, *steps)
        return out

    def _counted(self, x: Tensor, padding: Padding) -> Tensor:
        """How many positions each window averages over, as torch counts them."""
        op: Any = self.denser.op
        # padding counts as far as it reached before, what lies beyond it never does
        reach = [
            (before, min(pad[1] * rate, after)) if self.counts_padding else (0, min(0, after))
            for pad, rate, (before, after) in zip(
                op.padding, self.denser.rate, padding, strict=True
            )
        ]
        rest = tuple((b - cb, a - ca) for (b, a), (cb, ca) in zip(padding, reach, strict=True))
        sizes = x.shape[-len(padding) :]
        ones = torch.ones(1, *sizes, dtype=x.dtype, device=x.device)
        ones = functional.pad(ones, _flat(tuple(reach)), value=1)
        return self._sum(functional.pad(ones, _flat(rest)), self.weight[:1].to(x)).clamp(min=1)
