"""Taps spread apart: the same weights over a larger field."""

from __future__ import annotations

from convcost.errors import ShapeError
from convcost.ops import Conv, Sizes


def atrous(conv: Conv, *, rate: int | Sizes = 2) -> tuple[tuple[str, Conv], ...]:
    """``conv`` with its dilation times ``rate`` and the padding that keeps the output's size.

    The taps then span ``(rate - 1) * dilation * (kernel_size - 1)`` positions more, which the
    padding takes up (Chen et al., 'DeepLab', TPAMI 2018, section 3.1). A transposed one stays as it
    is along an axis where some outputs would have no tap left: where rate and stride share a
    factor.

    Raises:
        ShapeError: ``rate`` hasn't one entry per axis.
    """
    rates = (rate,) * len(conv.kernel_size) if isinstance(rate, int) else rate
    if len(rates) != len(conv.kernel_size):
        raise ShapeError(
            f"rate has {len(rates)} entries, the convolution {len(conv.kernel_size)} spatial axes"
        )
    if conv.transposed:
        axes = zip(rates, conv.kernel_size, conv.dilation, conv.stride, strict=True)
        rates = tuple(1 if _loses_outputs(*axis) else axis[0] for axis in axes)
    settings = zip(conv.padding, conv.effective_kernel_size, rates, strict=True)
    wider = conv._replace(
        dilation=tuple(d * r for d, r in zip(conv.dilation, rates, strict=True)),
        padding=tuple(_widen(pad, (r - 1) * (kernel - 1)) for pad, kernel, r in settings),
    )
    return (("", wider),)


def _loses_outputs(rate: int, kernel_size: int, dilation: int, stride: int) -> bool:
    """Whether fewer phases of a transposed convolution's output have a tap at that rate."""
    now, then = (
        len({tap * step % stride for tap in range(kernel_size)})
        for step in (dilation, dilation * rate)
    )
    return then < now


def _widen(pad: tuple[int, int], extra: int) -> tuple[int, int]:
    """``pad`` with ``extra`` more, shared as it is now, so that causal padding stays causal."""
    before, after = pad
    share = extra * before // (before + after) if before + after else extra // 2
    return before + share, after + extra - share
